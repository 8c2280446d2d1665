/* kernel_open, kernel_close, kernel_remove: the order in which maps, programs and hooks come. */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "kernel/mounts.h"
#include "kernel/object.h"
#include "weft.skel.h"

/* What libbpf complained about last, for the sentence in `why`. */
static _Thread_local char libbpf_said[256];

static int libbpf_listen(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_WARN)
		return 0;
	char line[sizeof(libbpf_said)];
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	memcpy(libbpf_said, line, sizeof(line));
	log_debug("libbpf", "said=\"%s\"", line);
	return 0;
}

/* Kernels before 5.11 count maps as locked memory; later ones ignore the limit. */
static void memlock_raise(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited))
		log_debug("memlock", "cause=\"%s\"", strerror(errno));
}

static int cgroup_open(const char *root, int *ret_fd, struct text *why)
{
	char found[PATH_MAX];
	if (!root || !*root) {
		int error = mounts_cgroup2(found, sizeof(found), why);
		if (error)
			return error;
		root = found;
	}
	*ret_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd >= 0)
		return 0;
	int error = -errno;
	text_printf(why, "cgroup root %s: %s; set bpf.cgroup_root to a cgroup v2 folder", root,
		    strerror(-error));
	return error;
}

/* Decides what to do with what is pinned. `ret_adopt`: take the maps over. */
static int pins_settle(struct kernel *kernel, bool *ret_adopt, struct text *why)
{
	struct weft_layout layout;
	*ret_adopt = false;
	switch (pins_inspect(&kernel->pins, &layout)) {
	case PINS_EMPTY:
		return 0;
	case PINS_SAME_LAYOUT:
		*ret_adopt = true;
		return 0;
	case PINS_OTHER_VERSION:
		log_info("pins_replaced", "dir=%s layout=%u new_layout=%u", kernel->pins.dir,
			 layout.version, WEFT_LAYOUT_VERSION);
		return pins_clear(&kernel->pins, why);
	case PINS_FOREIGN:
		break;
	}
	text_printf(why,
		    "pin folder %s holds something that is not weft's; look with ls and bpftool, "
		    "remove it or choose another bpf.pin_dir",
		    kernel->pins.dir);
	return -EEXIST;
}

/* (Re)opens the skeleton with sizes for our workers. */
static int skeleton_open(struct kernel *kernel, struct text *why)
{
	weft__destroy(kernel->skeleton);
	kernel->skeleton = weft__open();
	if (!kernel->skeleton) {
		text_printf(why, "opening the BPF object: %s (%s)", strerror(errno), libbpf_said);
		return -errno;
	}
	return bpf_map__set_max_entries(kernel->skeleton->maps.weft_series,
					kernel->workers * WEFT_SERIES_MAX);
}

static int skeleton_load(struct kernel *kernel, bool adopt, int *ret_old_series_fd,
			 struct text *why)
{
	int error = skeleton_open(kernel, why);
	if (!error && adopt) {
		struct text detail = {0};
		error = maps_adopt(kernel, ret_old_series_fd, &detail);
		if (error == -ESTALE) {
			log_warn("pins_replaced", "dir=%s cause=\"%.*s\"", kernel->pins.dir,
				 SPAN_PRINT(text_span(&detail)));
			if (*ret_old_series_fd >= 0) /* its labels go, so it means nothing */
				close(*ret_old_series_fd);
			*ret_old_series_fd = -1;
			error = pins_clear(&kernel->pins, why);
			if (!error)
				error = skeleton_open(kernel, why);
		} else if (error) {
			text_add(why, text_span(&detail));
		}
		text_fini(&detail);
	}
	if (error)
		return error;
	error = weft__load(kernel->skeleton);
	if (error)
		text_printf(why,
			    "loading the BPF programs failed: %s (%s); kernel 6.1 or newer with "
			    "BTF, CAP_BPF and CAP_NET_ADMIN are needed: see weft check",
			    strerror(-error), libbpf_said);
	return error;
}

static void descriptors_remember(struct kernel *kernel)
{
	struct weft *skeleton = kernel->skeleton;
	kernel->pods_fd = bpf_map__fd(skeleton->maps.weft_pods);
	kernel->destinations_fd = bpf_map__fd(skeleton->maps.weft_destinations);
	kernel->skip_ports_fd = bpf_map__fd(skeleton->maps.weft_skip_ports);
	kernel->skip_cidrs_fd = bpf_map__fd(skeleton->maps.weft_skip_cidrs);
	kernel->sockets_fd = bpf_map__fd(skeleton->maps.weft_sockets);
	kernel->leg_ends_fd = bpf_map__fd(skeleton->maps.weft_leg_ends);
	kernel->splicers_fd = bpf_map__fd(skeleton->maps.weft_splicers);
	kernel->accepted_fd = bpf_map__fd(skeleton->maps.weft_accepted);
	kernel->reasons_fd = bpf_map__fd(skeleton->maps.weft_reasons);
	kernel->traffic_fd = bpf_map__fd(skeleton->maps.weft_traffic);
}

static int kernel_build(struct kernel *kernel, bool adopt, struct text *why)
{
	int old_series_fd = -1;
	int error = skeleton_load(kernel, adopt, &old_series_fd, why);
	if (error)
		goto out;
	descriptors_remember(kernel);
	error = maps_memory_map(kernel, why);
	if (error)
		goto out;
	if (old_series_fd >= 0)
		maps_series_replace(kernel, old_series_fd);
	error = reasons_prepare(kernel, 0);
	if (error) {
		text_printf(why, "filling weft_reasons: %s", strerror(-error));
		goto out;
	}
	error = maps_pin(kernel, why);
	if (!error)
		error = hooks_attach(kernel, why);
out:
	if (old_series_fd >= 0)
		close(old_series_fd);
	return error;
}

int kernel_open(const struct kernel_options *options, struct text *why, struct kernel **ret_kernel)
{
	if (options->workers < 1 || options->workers > WEFT_WORKERS_MAX) {
		text_printf(why, "%u workers: must be 1 to %d", options->workers, WEFT_WORKERS_MAX);
		return -EINVAL;
	}
	struct kernel *kernel = mem_zalloc(sizeof(*kernel));
	if (!kernel)
		return -ENOMEM;
	kernel->workers = options->workers;
	kernel->cgroup_fd = -1;
	kernel->splice_fd = -1;
	kernel->pins.lock_fd = -1;
	libbpf_said[0] = '\0';
	libbpf_set_print(libbpf_listen);
	memlock_raise();

	bool adopt = false;
	int error = cgroup_open(options->cgroup_root, &kernel->cgroup_fd, why);
	if (!error)
		error = pins_open(&kernel->pins, options->pin_dir, why);
	if (!error)
		error = pins_settle(kernel, &adopt, why);
	if (error)
		goto close_kernel;
	error = kernel_build(kernel, adopt, why);
	if (error)
		goto undo_pins;
	*ret_kernel = kernel;
	return 0;

undo_pins:
	/* what an earlier weftd left keeps serving; what we began is taken away */
	if (!adopt && pins_clear(&kernel->pins, why) == 0)
		rmdir(kernel->pins.dir);
close_kernel:
	kernel_close(kernel);
	return error;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	maps_memory_unmap(kernel);
	weft__destroy(kernel->skeleton);
	if (kernel->splice_fd >= 0)
		close(kernel->splice_fd);
	if (kernel->cgroup_fd >= 0)
		close(kernel->cgroup_fd);
	pins_close(&kernel->pins);
	mem_free(kernel);
}

int kernel_remove(const char *pin_dir, struct text *why)
{
	const char *dir = pin_dir && *pin_dir ? pin_dir : WEFT_PIN_DIR;
	if (access(dir, F_OK) && errno == ENOENT)
		return 0;
	struct pins pins;
	int error = pins_open(&pins, dir, why);
	if (error)
		return error;
	struct weft_layout layout;
	if (pins_inspect(&pins, &layout) == PINS_FOREIGN) {
		text_printf(why, "%s holds something that is not weft's; nothing was removed", dir);
		error = -EEXIST;
	} else {
		error = pins_clear(&pins, why);
	}
	if (!error && rmdir(pins.dir)) {
		error = -errno;
		text_printf(why, "cannot remove %s: %s%s", pins.dir, strerror(errno),
			    error == -ENOTEMPTY ? "; what is left there is not weft's" : "");
	}
	pins_close(&pins);
	return error;
}

struct weft_series *kernel_series(struct kernel *kernel)
{
	return kernel->series;
}

struct weft_series_label *kernel_series_labels(struct kernel *kernel)
{
	return kernel->labels;
}

struct weft_proxy_counts *kernel_proxy_counts(struct kernel *kernel)
{
	return kernel->proxy_counts;
}

uint64_t *kernel_heartbeats(struct kernel *kernel)
{
	return kernel->heartbeats;
}
