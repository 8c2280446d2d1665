# Debian packages by what needs them; .ci/install-packages installs those that are missing.
PACKAGES_BUILD := gcc make clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev liburing-dev libc-ares-dev node-llhttp \
	libcjson-dev libyaml-dev libpcre2-dev liburcu-dev libmnl-dev libssl-dev \
	libcmocka-dev iproute2 ca-certificates
PACKAGES_DEMO := nginx-light python3 redis-server redis-tools curl wrk
PACKAGES_LINT := python3 python3-pytest clang-format clang-tidy cppcheck
PACKAGES_TEST := $(PACKAGES_DEMO) python3-pytest python3-requests python3-aiohttp python3-yaml wget \
	apache2 apache2-utils git postgresql nodejs node-ws $(PACKAGES_LINT) \
	qemu-system-x86 busybox-static cpio linux-image-cloud-amd64
PACKAGES_IMAGE := python3 binutils git ca-certificates
# and golang-go, where there is no Go
PACKAGES_K8S := containerd runc containernetworking-plugins iptables nftables iproute2 openssl curl busybox-static \
	python3-pytest python3-yaml
PACKAGES_FUZZ := libclang-rt-dev
PACKAGES_BENCH := nginx-light haproxy wrk python3 python3-venv
PACKAGES_MICRO := python3 valgrind
