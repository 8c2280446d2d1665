#include "kernel/check.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel/mounts.h"
#include "kernel/pins.h"
#include "kernel/probe.h"

void check_add(struct check_page *page, const char *name, enum check_result result,
	       const char *advice, const char *found, ...)
{
	if (page->count == page->most)
		return;
	struct check_line *line = &page->lines[page->count++];
	line->name = name;
	line->result = result;
	snprintf(line->advice, sizeof(line->advice), "%s", advice);
	va_list arguments;
	va_start(arguments, found);
	vsnprintf(line->found, sizeof(line->found), found, arguments);
	va_end(arguments);
}

static void check_kernel(struct check_page *page)
{
	struct utsname name;
	unsigned major = 0, minor = 0;
	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
		check_add(page, "kernel", CHECK_WARN, "weft needs Linux 6.1 or newer",
			  "version unknown");
		return;
	}
	bool is_new = major > 6 || (major == 6 && minor >= 1);
	check_add(page, "kernel", is_new ? CHECK_OK : CHECK_FAIL,
		  is_new ? "" : "weft needs Linux 6.1 or newer", "Linux %.100s", name.release);
}

static void check_btf(struct check_page *page)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		check_add(page, "btf", CHECK_OK, "", "/sys/kernel/btf/vmlinux");
	else
		check_add(page, "btf", CHECK_FAIL,
			  "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's are); in a "
			  "container /sys must be mounted",
			  "/sys/kernel/btf/vmlinux: %s", strerror(errno));
}

static bool capability_has(const struct __user_cap_data_struct *sets, unsigned capability)
{
	return sets[capability / 32].effective >> capability % 32 & 1;
}

static void check_capabilities(struct check_page *page)
{
	static const struct {
		unsigned capability;
		const char *name;
	} wanted[] = {{CAP_BPF, "BPF"},
		      {CAP_PERFMON, "PERFMON"},
		      {CAP_NET_ADMIN, "NET_ADMIN"},
		      {CAP_SYS_ADMIN, "SYS_ADMIN"}};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
	char missing[100] = "";
	if (syscall(SYS_capget, &header, sets)) {
		check_add(page, "capabilities", CHECK_WARN, "run as root", "capget: %s",
			  strerror(errno));
		return;
	}
	for (size_t i = 0; i < array_count(wanted); i++) {
		size_t used = strlen(missing);
		if (!capability_has(sets, wanted[i].capability))
			snprintf(missing + used, sizeof(missing) - used, " %s", wanted[i].name);
	}
	if (missing[0])
		check_add(page, "capabilities", CHECK_FAIL,
			  "run as root; in a container grant these capabilities", "missing:%s",
			  missing);
	else
		check_add(page, "capabilities", CHECK_OK, "", "BPF PERFMON NET_ADMIN SYS_ADMIN");
}

static void check_memlock(struct check_page *page)
{
	struct rlimit limit, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	if (getrlimit(RLIMIT_MEMLOCK, &limit)) {
		check_add(page, "memlock", CHECK_WARN, "", "%s", strerror(errno));
		return;
	}
	if (limit.rlim_max == RLIM_INFINITY || setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0) {
		(void)setrlimit(RLIMIT_MEMLOCK, &limit);
		check_add(page, "memlock", CHECK_OK, "", "may be unlimited");
		return;
	}
	/* since 5.11 maps count against the memory cgroup instead */
	check_add(page, "memlock", CHECK_WARN,
		  "grant CAP_SYS_RESOURCE or raise it (ulimit -l unlimited) if loading fails",
		  "limited to %llu KiB", (unsigned long long)limit.rlim_max / 1024);
}

/* The cgroup root to attach to; "" when there is none. */
static void check_cgroup(struct check_page *page, const char *wanted, char root[PATH_MAX])
{
	struct text why = {0};
	root[0] = '\0';
	if (wanted && *wanted)
		snprintf(root, PATH_MAX, "%s", wanted);
	else if (mounts_cgroup2(root, PATH_MAX, &why))
		root[0] = '\0';
	char controllers[PATH_MAX + 32];
	snprintf(controllers, sizeof(controllers), "%s/cgroup.procs", root);
	if (root[0] && access(controllers, F_OK) == 0) {
		check_add(page, "cgroup2", CHECK_OK, "", "%.120s", root);
	} else {
		check_add(page, "cgroup2", CHECK_FAIL,
			  "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 "
			  "/sys/fs/cgroup/unified",
			  "%.120s", root[0] ? "the given root is no cgroup v2" : "not mounted");
		root[0] = '\0';
	}
	text_fini(&why);
}

static void check_bpffs(struct check_page *page, const char *pin_dir)
{
	if (mounts_is_read_only(pin_dir))
		check_add(page, "bpffs", CHECK_FAIL,
			  "mount it writable: mount -o remount,rw /sys/fs/bpf",
			  "read-only at %.100s", pin_dir);
	else if (mounts_is_bpffs(pin_dir))
		check_add(page, "bpffs", CHECK_OK, "", "mounted below %.100s", pin_dir);
	else if (strncmp(pin_dir, "/sys/fs/bpf/", 12) == 0)
		check_add(page, "bpffs", CHECK_WARN, "weftd mounts it when it starts",
			  "not mounted at /sys/fs/bpf");
	else
		check_add(
			page, "bpffs", CHECK_FAIL,
			"choose a bpf.pin_dir below /sys/fs/bpf, or mount -t bpf bpf on its parent",
			"%.100s is on no bpf file system", pin_dir);
}

static void check_pins(struct check_page *page, const struct pins *pins)
{
	struct weft_layout layout;
	switch (pins_inspect(pins, &layout)) {
	case PINS_EMPTY:
		check_add(page, "pins", CHECK_OK, "", "nothing at %.120s", pins->dir);
		break;
	case PINS_SAME_LAYOUT:
		check_add(page, "pins", CHECK_OK, "", "%.100s, layout %u, written by process %u",
			  pins->dir, layout.version, layout.owner_pid);
		break;
	case PINS_OTHER_VERSION:
		check_add(page, "pins", CHECK_WARN,
			  "weftd replaces it when it starts; weft cleanup removes it",
			  "%.100s, layout %u of another weft (this one has %u)", pins->dir,
			  layout.version, WEFT_LAYOUT_VERSION);
		break;
	case PINS_FOREIGN:
		check_add(page, "pins", CHECK_FAIL,
			  "look with ls and bpftool; remove it or choose another bpf.pin_dir",
			  "%.100s holds something that is not weft's", pins->dir);
		break;
	}
}

size_t kernel_check(const char *pin_dir, const char *cgroup_root, struct check_line *lines,
		    size_t most)
{
	struct check_page page = {.lines = lines, .most = most};
	struct pins pins;
	struct text why = {0};
	char root[PATH_MAX];
	check_kernel(&page);
	check_btf(&page);
	check_capabilities(&page);
	check_memlock(&page);
	check_cgroup(&page, cgroup_root, root);
	if (pins_name(&pins, pin_dir, &why)) {
		check_add(&page, "pins", CHECK_FAIL, "set bpf.pin_dir", "%.150s", why.data);
	} else {
		check_bpffs(&page, pins.dir);
		check_pins(&page, &pins);
	}
	if (root[0])
		probe_hooks(&page, root);
	probe_io_uring(&page);
	probe_kernel_tls(&page);
	text_fini(&why);
	return page.count;
}
