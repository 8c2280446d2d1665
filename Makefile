# weft: build, test, demo, bench. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
# All CPUs, unless the caller's -j says otherwise (make 4.3 lets the command line win).
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
# bpftool lives in /usr/sbin, which a plain user's PATH lacks.
export PATH := $(PATH):/usr/sbin:/sbin

# release | asan (ASan + UBSan) | tsan | fuzz (clang's libFuzzer)
VARIANT ?= release
OUT := build/$(VARIANT)
GEN := build/gen

CLANG ?= clang
BPFTOOL ?= bpftool
CC := $(if $(filter fuzz,$(VARIANT)),$(CLANG),gcc)
AR := gcc-ar

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
BASE_FLAGS := -std=gnu11 -D_GNU_SOURCE -g -fno-strict-aliasing -fno-omit-frame-pointer \
	-Iuserspace -Iinclude -I$(GEN) -I/usr/share/include/llhttp -DLLHTTP_STRICT_MODE=1
FLAGS_release := -O2 -flto=auto -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -fPIE
LINK_release := -O2 -flto=auto -pie -Wl,-z,relro,-z,now,-z,noexecstack
# gcc loses track of sizes and values in instrumented code; the release build still warns.
NOISE := -Wno-format-truncation -Wno-maybe-uninitialized -Wno-clobbered
FLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined $(NOISE)
LINK_asan := -fsanitize=address,undefined
FLAGS_tsan := -O1 -fsanitize=thread $(NOISE)
LINK_tsan := -fsanitize=thread
FLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-Wno-error -Wno-unknown-warning-option
LINK_fuzz := -fsanitize=fuzzer,address,undefined
CFLAGS_ALL = $(BASE_FLAGS) $(FLAGS_$(VARIANT)) $(CFLAGS)
LDFLAGS_ALL = $(LINK_$(VARIANT)) $(LDFLAGS)

# Other flags than last time: everything of the variant is compiled anew.
FLAGS_STAMP := $(OUT)/flags
FLAGS_NOW := $(strip $(CC) $(CFLAGS_ALL) $(WARN) $(LDFLAGS_ALL))
ifneq ($(file <$(FLAGS_STAMP)),$(FLAGS_NOW))
$(shell mkdir -p $(OUT))
$(file >$(FLAGS_STAMP),$(FLAGS_NOW))
endif

# ---- rooms: what each may include, in link order (architecture.md, the layer rule) ----
ROOMS := base model cni io dns tls http wire kernel policy telemetry kube proxy control admin cli
MAY_base :=
MAY_model := base
MAY_io := base
MAY_dns := base io
MAY_http := base
MAY_tls := base
MAY_wire := base io tls
MAY_kernel := base
MAY_cni := base
MAY_telemetry := base
MAY_policy := base model http
MAY_kube := base io http tls wire
MAY_proxy := base model io http wire kernel policy telemetry
MAY_control := base model policy io dns http wire kernel telemetry kube cni
MAY_admin := base model policy io wire http telemetry
MAY_cli := base model policy kernel http cni
# rooms whose tests run against doubles of these rooms instead of the real ones
DOUBLES_wire := io
DOUBLES_kube := io
DOUBLES_proxy := io kernel
DOUBLES_control := kernel
DOUBLES_admin := io

LINK_ORDER := proxy control kube admin cli policy wire tls kernel telemetry http dns io cni model base
LIBS_model := -lurcu-qsbr -lurcu-common
LIBS_io := -luring
LIBS_dns := -lcares
LIBS_tls := -lssl -lcrypto
LIBS_policy := -lm
LIBS_kernel := -lbpf -lelf -lz -lmnl
LIBS_kube := -lcjson
LIBS_control := -lcjson -lyaml
LIBS_admin := -lcjson
LIBS_cli := -lcjson
LIBS_policy := -lpcre2-8
LIBS := -Wl,--as-needed -lurcu-qsbr -lurcu-common -luring -lcares -lbpf -lelf -lz -lmnl \
	-lcjson -lyaml -lpcre2-8 -lssl -lcrypto -lpthread -lm

archive = $(OUT)/$(1).a
room_sources = $(sort $(wildcard userspace/$(1)/*.c))
objects = $(patsubst userspace/%.c,$(OUT)/obj/%.o,$(1))

.PHONY: all help deps
all: build/weftd build/weft build/weft-cni ## build build/weftd, build/weft and build/weft-cni (release)

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' Makefile .ci/*.mk */*.mk */*/*.mk | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16

# ---- packages: installed once, by name, with apt ----
include .ci/packages.mk
DEPS_STAMP := build/.deps-build
$(DEPS_STAMP): .ci/packages.mk .ci/install-packages
	@mkdir -p $(@D)
	@.ci/install-packages $(PACKAGES_BUILD)
	@touch $@
deps: $(DEPS_STAMP)

# ---- kernel side ----
BPF_SOURCES := $(sort $(wildcard bpf/*.bpf.c))
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,build/bpf/%.bpf.o,$(BPF_SOURCES))
# Line numbers name files from the checkout on: the same bytes wherever it lies.
BPF_FLAGS := -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Werror -Wno-unused-parameter \
	-D__TARGET_ARCH_x86 -I$(GEN) -Iinclude -Ibpf -fdebug-compilation-dir=.

$(GEN)/vmlinux.h: | $(DEPS_STAMP)
	@mkdir -p $(@D)
	@test -r /sys/kernel/btf/vmlinux || { echo "this kernel has no BTF: boot one with CONFIG_DEBUG_INFO_BTF" >&2; exit 1; }
	@echo "  BTF $@"
	@$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c > $@
build/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/weft/*.h) $(GEN)/vmlinux.h
	@mkdir -p $(@D)
	@echo "  BPF $<"
	@$(CLANG) $(BPF_FLAGS) -c $< -o $@
build/bpf/weft.o: $(BPF_OBJECTS)
	@$(BPFTOOL) gen object $@ $^ >/dev/null
$(GEN)/weft.skel.h: build/bpf/weft.o
	@{ echo '// NOLINTBEGIN'; $(BPFTOOL) gen skeleton $< name weft; echo '// NOLINTEND'; } > $@

# ---- user side ----
$(OUT)/obj/%.o: userspace/%.c $(FLAGS_STAMP) | $(DEPS_STAMP)
	@mkdir -p $(@D)
	@echo "  CC $(VARIANT) $<"
	@$(CC) $(CFLAGS_ALL) $(WARN) -MMD -MP -c $< -o $@
$(call objects,$(call room_sources,kernel) $(wildcard userspace/kernel/*/*.c)): | $(GEN)/weft.skel.h
$(OUT)/obj/llhttp/%.o: /usr/share/llhttp/%.c $(FLAGS_STAMP) | $(DEPS_STAMP)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -w -MMD -c $< -o $@
LLHTTP := $(addprefix $(OUT)/obj/llhttp/,api.o http.o llhttp.o)
# Named one by one: what only a pattern names is an intermediate file, which make removes again.
$(addprefix /usr/share/llhttp/,api.c http.c llhttp.c): | $(DEPS_STAMP)
	@test -e $@
EXTRA_OBJECTS_http := $(LLHTTP)

define room_rules
$(call archive,$(1)): $(call objects,$(call room_sources,$(1))) $(EXTRA_OBJECTS_$(1))
	@mkdir -p $$(@D); rm -f $$@
	@$(AR) rcs $$@ $$^
$(call archive,$(1)_double): $(call objects,$(sort $(wildcard userspace/$(1)/double/*.c)))
	@mkdir -p $$(@D); rm -f $$@
	@$(AR) rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rules,$(room))))

# A room's test links that room, what it may use and what those need: an upward call does not link.
linked = $(sort $(1) $(MAY_$(1)) $(foreach room,$(MAY_$(1)),$(MAY_$(room))))
test_archives = $(foreach room,$(filter $(linked),$(LINK_ORDER)),\
	$(call archive,$(room)$(if $(filter $(room),$(DOUBLES_$(1))),_double)))
test_libs = -lcmocka -Wl,--as-needed $(foreach room,$(linked),$(LIBS_$(room))) -lpthread -lm
# libFuzzer brings its own main; the other variants replay files.
FUZZ_DRIVER := $(if $(filter fuzz,$(VARIANT)),,$(OUT)/obj/base/fuzz/replay.o)
define test_rules
$(patsubst userspace/$(1)/tests/%.c,$(OUT)/tests/$(1)/%,$(wildcard userspace/$(1)/tests/test_*.c)): \
		$(OUT)/tests/$(1)/%: $(OUT)/obj/$(1)/tests/%.o $(call test_archives,$(1))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$(call test_libs,$(1))
UNIT_TESTS += $(patsubst userspace/$(1)/tests/%.c,$(OUT)/tests/$(1)/%,$(wildcard userspace/$(1)/tests/test_*.c))
$(patsubst userspace/$(1)/fuzz/%.c,$(OUT)/fuzz/$(1)/%,$(wildcard userspace/$(1)/fuzz/fuzz_*.c)): \
		$(OUT)/fuzz/$(1)/%: $(OUT)/obj/$(1)/fuzz/%.o $(FUZZ_DRIVER) $(call test_archives,$(1))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$(call test_libs,$(1))
FUZZ_REPLAYS += $(patsubst userspace/$(1)/fuzz/%.c,$(OUT)/fuzz/$(1)/%,$(wildcard userspace/$(1)/fuzz/fuzz_*.c))
endef
$(foreach room,$(ROOMS),$(eval $(call test_rules,$(room))))

# Programs that integration tests drive: a room on the real ring.
TEST_PROGRAMS := $(OUT)/tests/kube/follow
$(TEST_PROGRAMS): $(OUT)/tests/kube/%: $(OUT)/obj/kube/tests/%.o \
		$(foreach room,kube $(MAY_kube),$(call archive,$(room)))
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

ALL_ARCHIVES := $(foreach room,$(LINK_ORDER),$(call archive,$(room)))
define program_rule
$(OUT)/$(1): $(OUT)/obj/main/$(1).o $(ALL_ARCHIVES)
	@echo "  LINK $$@"
	@$(CC) $(LDFLAGS_ALL) -o $$@.new $$< -Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group $(LIBS)
	@mv $$@.new $$@
endef
$(foreach program,weftd weft,$(eval $(call program_rule,$(program))))
# Runs on nodes of any distribution, for each pod: without shared libraries (sanitizers need theirs).
$(OUT)/weft-cni: $(OUT)/obj/main/weft-cni.o $(call archive,cni) $(call archive,base)
	@echo "  LINK $@"
	@$(CC) $(patsubst -pie,-static-pie,$(LDFLAGS_ALL)) -o $@.new $^
	@mv $@.new $@
# The programs that users run are always the release ones.
ifeq ($(VARIANT),release)
build/weftd build/weft build/weft-cni: build/%: build/release/%
	@cp $< $@.new && mv $@.new $@
else
.PHONY: build/weftd build/weft build/weft-cni
build/weftd:
	@$(MAKE) --no-print-directory VARIANT=release build/weftd build/weft build/weft-cni
build/weft build/weft-cni: build/weftd
endif

.PHONY: install clean
PREFIX ?= /usr/local
install: all ## install weftd, weft and weft-cni under PREFIX (default /usr/local), a sample config in /etc/weft
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/weft
	install -m 755 build/weftd $(DESTDIR)$(PREFIX)/sbin/weftd
	install -m 755 build/weft $(DESTDIR)$(PREFIX)/bin/weft
	install -D -m 755 build/weft-cni $(DESTDIR)$(PREFIX)/lib/weft/weft-cni
	build/weft config --reference >build/weft.yaml.sample
	install -m 644 build/weft.yaml.sample $(DESTDIR)/etc/weft/weft.yaml.sample

clean: ## remove build/
	rm -rf build

include .ci/lint.mk .ci/test.mk bench/bench.mk helm/helm.mk integration-tests/kubernetes/k8s.mk
-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
