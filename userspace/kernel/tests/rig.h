/*
 * What the tests that really load and attach share: a throw-away cgroup as hook root with this
 * process in it, a pin folder, network namespaces, and a pod enrolled in one. Needs root.
 * The test's own thread plays the app: it enters the pod's namespace and dials. Sockets that weft
 * would use come from the stock, as in weftd.
 */
#ifndef KERNEL_TESTS_RIG_H
#define KERNEL_TESTS_RIG_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/address.h"
#include "kernel/kernel.h"
#include "kernel/mounts.h"
#include "kernel/stock.h"

#define RIG_NAME        "weft-kernel-" /* + process id: of everything that is made */
#define RIG_WORKERS     2
#define RIG_LISTENERS   (2 * RIG_WORKERS * WEFT_LANES)
#define RIG_DEADLINE_MS 5000
#define RIG_HOUR_NS     3600000000000ll
#define RIG_POD_IP      "10.9.0.5"
#define RIG_POD_IP6     "fd09::5"
#define RIG_SERVER_IP   "10.9.0.7" /* a local address too: direct dials reach it */
#define RIG_VIRTUAL     "10.96.0.10:80"
#define RIG_VIRTUAL6    "[fd00:96::10]:80"

struct rig {
	char cgroup[PATH_MAX]; /* hook root; this process is in it */
	char home[PATH_MAX];   /* the cgroup that this process came from */
	char pin_dir[128];
	struct kernel_options options;
	struct kernel *kernel;
	struct stock *stock;
	int home_netns;
	uint32_t last_pod_id;
};

struct rig_pod {
	struct rig *rig;
	int netns;
	struct stock_pod *stock;
	struct stock_listeners listeners;
	struct weft_pod_key key;
	struct weft_pod pod;
};

#define rig_fn static __attribute__((unused))

rig_fn uint64_t rig_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Waits until `condition` holds; fails the test after the deadline. */
#define rig_wait_until(condition)                                                                  \
	do {                                                                                       \
		uint64_t rig_until = rig_now_ns() + RIG_DEADLINE_MS * 1000000ull;                  \
		while (!(condition)) {                                                             \
			if (rig_now_ns() > rig_until)                                              \
				fail_msg("not within %d ms: %s", RIG_DEADLINE_MS, #condition);     \
			poll(NULL, 0, 1);                                                          \
		}                                                                                  \
	} while (0)

rig_fn void rig_write_pid(const char *cgroup)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *file = fopen(path, "we");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	fprintf(file, "%d\n", getpid());
	if (fclose(file))
		fail_msg("%s: %s", path, strerror(errno));
}

rig_fn int rig_sweep_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)walk;
	if (kind == FTW_DP ? rmdir(path) : unlink(path)) /* a cgroup's files go with it */
		errno = 0;
	return 0;
}

/* Removes what runs of these tests left there that were ended half-way. */
rig_fn void rig_sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[PATH_MAX];
		int pid;
		if (sscanf(entry->d_name, RIG_NAME "%d", &pid) != 1 || kill(pid, 0) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		nftw(path, rig_sweep_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	if (dir)
		closedir(dir);
}

rig_fn void rig_make_cgroup(struct rig *rig)
{
	char root[1024] = "", line[1024];
	struct text why = {0};
	if (mounts_cgroup2(root, sizeof(root), &why))
		fail_msg("%s", why.data);
	text_fini(&why);
	snprintf(rig->home, sizeof(rig->home), "%s", root);
	FILE *file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			snprintf(rig->home, sizeof(rig->home), "%s%s", root, line + 3);
	}
	if (file)
		fclose(file);
	rig_sweep(root);
	snprintf(rig->cgroup, sizeof(rig->cgroup), "%s/" RIG_NAME "%d", root, getpid());
	if (mkdir(rig->cgroup, 0755) && errno != EEXIST)
		fail_msg("%s: %s", rig->cgroup, strerror(errno));
	rig_write_pid(rig->cgroup);
}

/* cmocka group set-up: kernel and stock are open. */
rig_fn int rig_open(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct text why = {0};
	if (geteuid() != 0)
		fail_msg("loading BPF programs needs root");
	rig_sweep("/sys/fs/bpf");
	rig_make_cgroup(rig);
	snprintf(rig->pin_dir, sizeof(rig->pin_dir), "/sys/fs/bpf/" RIG_NAME "%d", getpid());
	rig->options = (struct kernel_options){
		.pin_dir = rig->pin_dir, .cgroup_root = rig->cgroup, .workers = RIG_WORKERS};
	rig->home_netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (kernel_open(&rig->options, &why, &rig->kernel))
		fail_msg("kernel_open: %s", why.data);
	struct stock_options stock = {.kernel = rig->kernel, .workers = RIG_WORKERS, .depth = 4};
	assert_int_equal(stock_open(&stock, &rig->stock), 0);
	text_fini(&why);
	*state = rig;
	return 0;
}

rig_fn int rig_close(void **state)
{
	struct rig *rig = *state;
	struct text why = {0};
	stock_close(rig->stock);
	kernel_close(rig->kernel);
	if (kernel_remove(rig->pin_dir, &why))
		fail_msg("kernel_remove: %s", why.data);
	assert_int_not_equal(access(rig->pin_dir, F_OK), 0);
	rig_write_pid(rig->home);
	if (rmdir(rig->cgroup))
		fail_msg("%s: %s", rig->cgroup, strerror(errno));
	close(rig->home_netns);
	free(rig);
	return 0;
}

rig_fn void rig_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

rig_fn void rig_add_ip4(int fd, const char *label, const char *ip)
{
	struct ifreq request = {0};
	struct sockaddr_in address = {.sin_family = AF_INET};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", label);
	inet_pton(AF_INET, ip, &address.sin_addr);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
}

struct rig_in6_ifreq { /* as in <linux/ipv6.h>, which does not mix with <netinet/in.h> */
	struct in6_addr address;
	uint32_t prefix;
	int index;
};

rig_fn void rig_add_ip6(const char *ip)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rig_in6_ifreq request = {.prefix = 128, .index = (int)if_nametoindex("lo")};
	inet_pton(AF_INET6, ip, &request.address);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	close(fd);
}

/* A new namespace with lo up and the pod's addresses on it; the caller comes back. */
rig_fn int rig_netns_new(struct rig *rig, bool lo_up)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(netns >= 0);
	if (lo_up) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
		assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
		rig_add_ip4(fd, "lo:1", RIG_POD_IP);
		rig_add_ip4(fd, "lo:2", RIG_SERVER_IP);
		close(fd);
		rig_add_ip6(RIG_POD_IP6);
	}
	rig_enter(rig->home_netns);
	return netns;
}

rig_fn void rig_beat(struct rig *rig, int64_t age_ns)
{
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		__atomic_store_n(&kernel_heartbeats(rig->kernel)[i],
				 rig_now_ns() - (uint64_t)age_ns, __ATOMIC_SEQ_CST);
}

rig_fn void rig_pod_put(struct rig_pod *pod)
{
	assert_int_equal(kernel_pod_put(pod->rig->kernel, &pod->key, &pod->pod), 0);
}

/* Opens listeners in `netns` (-1: this process's namespace) and enrols with these flags. */
rig_fn void rig_pod_open_in(struct rig *rig, int netns, const char *cgroup, uint32_t flags,
			    struct rig_pod *ret)
{
	struct text why = {0};
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", netns);
	memset(ret, 0, sizeof(*ret));
	ret->rig = rig;
	ret->netns = netns;
	ret->pod.pod_id = ++rig->last_pod_id;
	struct stock_place place = {.netns_path = netns >= 0 ? path : NULL, .cgroup_path = cgroup};
	if (stock_pod_open(rig->stock, ret->pod.pod_id, &place, &why, &ret->stock, &ret->listeners))
		fail_msg("stock_pod_open: %s", why.data);
	text_fini(&why);
	ret->key =
		(struct weft_pod_key){.id = ret->listeners.netns_cookie, .kind = WEFT_POD_BY_NETNS};
	if (cgroup)
		ret->key = (struct weft_pod_key){.id = ret->listeners.cgroup_id,
						 .kind = WEFT_POD_BY_CGROUP};
	ret->pod.flags = flags;
	ret->pod.worker_count = RIG_WORKERS;
	memcpy(ret->pod.listeners, ret->listeners.ports, sizeof(ret->pod.listeners));
	memcpy(ret->pod.local4, ret->listeners.local4.ip, 16);
	memcpy(ret->pod.local6, ret->listeners.local6.ip, 16);
	snprintf(ret->pod.name, sizeof(ret->pod.name), "pod-%u", ret->pod.pod_id);
	rig_pod_put(ret);
	rig_beat(rig, -RIG_HOUR_NS); /* alive however slow this machine is */
}

/* A pod in a namespace of its own; the calling thread is inside afterwards. */
rig_fn void rig_pod_open(struct rig *rig, uint32_t flags, struct rig_pod *ret)
{
	rig_pod_open_in(rig, rig_netns_new(rig, true), NULL, flags, ret);
	rig_enter(ret->netns);
}

/* All of the pod's listeners in a row. */
rig_fn int *rig_listener(struct rig_pod *pod, unsigned index)
{
	unsigned lane = index % WEFT_LANES, worker = index / WEFT_LANES;
	return worker < RIG_WORKERS ? &pod->listeners.fd4[worker][lane]
				    : &pod->listeners.fd6[worker - RIG_WORKERS][lane];
}

rig_fn void rig_listeners_close(struct rig_pod *pod)
{
	for (unsigned i = 0; i < RIG_LISTENERS; i++) {
		int *fd = rig_listener(pod, i);
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

rig_fn void rig_pod_close(struct rig_pod *pod)
{
	rig_enter(pod->rig->home_netns);
	assert_int_equal(kernel_pod_remove(pod->rig->kernel, &pod->key, pod->pod.pod_id), 0);
	rig_listeners_close(pod);
	stock_pod_close(pod->rig->stock, pod->stock);
	if (pod->netns >= 0)
		close(pod->netns);
}

rig_fn uint64_t rig_count(const struct rig_pod *pod, enum weft_reason reason)
{
	return kernel_reason_count(pod->rig->kernel, pod->pod.pod_id, reason);
}

rig_fn struct weft_address rig_address(const char *text)
{
	struct weft_address address;
	if (address_parse(span_text(text), &address))
		fail_msg("bad address %s", text);
	return address;
}

rig_fn void rig_service(struct rig *rig, const char *address, uint32_t service_id, uint32_t flags)
{
	struct weft_address key = rig_address(address);
	struct weft_destination value = {.service_id = service_id, .flags = flags, .name = "web"};
	assert_int_equal(kernel_destination_put(rig->kernel, &key, &value), 0);
}

/* As the sockaddr of a socket of `family`: v4 becomes v4-mapped for AF_INET6. */
rig_fn socklen_t rig_sockaddr(int family, const struct weft_address *address,
			      struct sockaddr_storage *ret)
{
	if (family == AF_INET)
		return address_to_sockaddr(address, ret);
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = address->port};
	memcpy(&v6.sin6_addr, address->ip, 16);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, &v6, sizeof(v6));
	return sizeof(v6);
}

/* The socket's own address, as a hook may show it. */
rig_fn struct weft_address rig_local(int fd)
{
	struct sockaddr_storage sockaddr;
	socklen_t size = sizeof(sockaddr);
	struct weft_address address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sockaddr, &size), 0);
	assert_true(address_from_sockaddr((struct sockaddr *)&sockaddr, &address));
	return address;
}

/* 0 or -errno */
rig_fn int rig_connect(int fd, int family, const char *to)
{
	struct weft_address address = rig_address(to);
	struct sockaddr_storage sockaddr;
	socklen_t size = rig_sockaddr(family, &address, &sockaddr);
	return connect(fd, (struct sockaddr *)&sockaddr, size) ? -errno : 0;
}

rig_fn int rig_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	return fd;
}

/* A connected socket; fails the test when the dial does. */
rig_fn int rig_dial(int family, const char *to)
{
	int fd = rig_socket(family);
	int error = rig_connect(fd, family, to);
	if (error)
		fail_msg("connect to %s: %s", to, strerror(-error));
	return fd;
}

/* Which worker's listener has a connection; accepts it. -1 after `timeout_ms`. */
rig_fn int rig_accept_any(struct rig_pod *pod, int timeout_ms)
{
	struct pollfd fds[RIG_LISTENERS];
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		fds[i] = (struct pollfd){.fd = *rig_listener(pod, i), .events = POLLIN};
	if (poll(fds, RIG_LISTENERS, timeout_ms) <= 0)
		return -1;
	for (unsigned i = 0; i < RIG_LISTENERS; i++) {
		if (!(fds[i].revents & POLLIN))
			continue;
		int fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
		assert_true(fd >= 0);
		return fd;
	}
	return -1;
}

/* Accepts as weftd does and takes the flow; fails the test when there is none. */
rig_fn int rig_accept(struct rig_pod *pod, struct weft_flow *ret_flow)
{
	int fd = rig_accept_any(pod, RIG_DEADLINE_MS);
	if (fd < 0)
		fail_msg("nothing arrived at the listeners");
	int error = kernel_flow_take(pod->rig->kernel, fd, ret_flow);
	if (error)
		fail_msg("our end has no flow: %s", strerror(-error));
	return fd;
}

rig_fn void rig_assert_name(int fd, bool peer, const char *expected)
{
	struct sockaddr_storage sockaddr;
	socklen_t size = sizeof(sockaddr);
	struct weft_address address;
	char text[ADDRESS_TEXT_MAX];
	int result = peer ? getpeername(fd, (struct sockaddr *)&sockaddr, &size)
			  : getsockname(fd, (struct sockaddr *)&sockaddr, &size);
	assert_int_equal(result, 0);
	assert_true(address_from_sockaddr((struct sockaddr *)&sockaddr, &address));
	if (peer)
		assert_string_equal(address_print(&address, text), expected);
	else
		assert_string_equal(address_print_ip(&address, text), expected);
}

/* A plain server on `address` in the present namespace: what a dial reaches without weft. */
rig_fn int rig_server(const char *ip, char ret_address[ADDRESS_TEXT_MAX])
{
	struct weft_address address;
	struct sockaddr_storage sockaddr;
	assert_int_equal(address_parse_ip(span_text(ip), 0, &address), 0);
	socklen_t size = address_to_sockaddr(&address, &sockaddr);
	int fd = rig_socket(sockaddr.ss_family);
	assert_int_equal(bind(fd, (struct sockaddr *)&sockaddr, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sockaddr, &size), 0);
	assert_true(address_from_sockaddr((struct sockaddr *)&sockaddr, &address));
	address_print(&address, ret_address);
	return fd;
}

/* What a dial without weft reaches; fails the test when nothing comes. */
rig_fn int rig_accept_direct(int server)
{
	struct pollfd ready = {.fd = server, .events = POLLIN};
	if (poll(&ready, 1, RIG_DEADLINE_MS) != 1)
		fail_msg("nothing arrived at the plain server");
	return accept4(server, NULL, NULL, SOCK_CLOEXEC);
}

/* A dial that weft left alone: the plain server has it and nothing came to the listeners. */
rig_fn void rig_assert_direct(struct rig_pod *pod, int server, int app, const char *to)
{
	rig_assert_name(app, true, to);
	int accepted = rig_accept_direct(server);
	assert_true(accepted >= 0);
	assert_int_equal(rig_accept_any(pod, 0), -1);
	close(accepted);
}

#define rig_assert_peer(fd, expected)  rig_assert_name(fd, true, expected)
#define rig_assert_local(fd, expected) rig_assert_name(fd, false, expected)

#endif
