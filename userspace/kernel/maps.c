#include "kernel/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "weft.skel.h"

static bool map_fits(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

/*
 * -ESTALE: something pinned under the same layout version does not fit after all; rebuild.
 * The metric store alone may differ: its size depends on the number of workers.
 */
int maps_adopt(struct kernel *kernel, int *ret_old_series_fd, struct text *why)
{
	struct bpf_map *map;
	char path[PINS_PATH_MAX];
	*ret_old_series_fd = -1;
	bpf_object__for_each_map(map, kernel->skeleton->obj)
	{
		int fd = bpf_obj_get(pins_path(&kernel->pins, false, bpf_map__name(map), path));
		if (fd == -ENOENT)
			continue;
		if (fd < 0) {
			text_printf(why, "%s: %s", path, strerror(-fd));
			return fd;
		}
		bool fits = map_fits(fd, map);
		if (!fits && map == kernel->skeleton->maps.weft_series) {
			*ret_old_series_fd = fd;
			continue;
		}
		int error = fits ? bpf_map__reuse_fd(map, fd) : -ESTALE;
		close(fd);
		if (error) {
			text_printf(why, "%s cannot be taken over: %s", path,
				    fits ? strerror(-error) : "it has another shape");
			return error;
		}
	}
	return 0;
}

static int map_pin(struct kernel *kernel, const struct bpf_map *map, struct text *why)
{
	char path[PINS_PATH_MAX];
	pins_path(&kernel->pins, false, bpf_map__name(map), path);
	if (bpf_obj_pin(bpf_map__fd(map), path) == 0 || errno == EEXIST)
		return 0;
	int error = -errno;
	text_printf(why, "pinning %s: %s; is the bpf file system writable?", path,
		    strerror(-error));
	return error;
}

int maps_pin(struct kernel *kernel, struct text *why)
{
	/* the layout first and complete: it is what tells later that this folder is weft's */
	struct weft_layout layout = {.magic = WEFT_LAYOUT_MAGIC,
				     .version = WEFT_LAYOUT_VERSION,
				     .owner_pid = (__u32)getpid()};
	__u32 zero = 0;
	const struct bpf_map *layout_map = kernel->skeleton->maps.weft_layout;
	if (bpf_map_update_elem(bpf_map__fd(layout_map), &zero, &layout, BPF_ANY)) {
		text_printf(why, "writing the layout: %s", strerror(errno));
		return -errno;
	}
	int error = map_pin(kernel, layout_map, why);
	struct bpf_map *map;
	bpf_object__for_each_map(map, kernel->skeleton->obj)
	{
		if (!error && !bpf_map__is_internal(map))
			error = map_pin(kernel, map, why);
	}
	return error;
}

static size_t memory_bytes(size_t entries, size_t value_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (entries * value_size + page - 1) / page * page;
}

static void *memory_map(const struct bpf_map *map, size_t value_size, struct text *why)
{
	size_t bytes = memory_bytes(bpf_map__max_entries(map), value_size);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory != MAP_FAILED)
		return memory;
	text_printf(why, "mapping %s into memory: %s", bpf_map__name(map), strerror(errno));
	return NULL;
}

static void memory_unmap(void *memory, size_t entries, size_t value_size)
{
	if (memory)
		munmap(memory, memory_bytes(entries, value_size));
}

int maps_memory_map(struct kernel *kernel, struct text *why)
{
	struct weft *skeleton = kernel->skeleton;
	kernel->series = memory_map(skeleton->maps.weft_series, sizeof(*kernel->series), why);
	kernel->labels =
		memory_map(skeleton->maps.weft_series_labels, sizeof(*kernel->labels), why);
	kernel->proxy_counts =
		memory_map(skeleton->maps.weft_proxy_reasons, sizeof(*kernel->proxy_counts), why);
	kernel->heartbeats =
		memory_map(skeleton->maps.weft_heartbeats, sizeof(*kernel->heartbeats), why);
	kernel->legs = memory_map(skeleton->maps.weft_legs, sizeof(*kernel->legs), why);
	if (kernel->series && kernel->labels && kernel->proxy_counts && kernel->heartbeats &&
	    kernel->legs)
		return 0;
	return -ENOMEM;
}

void maps_memory_unmap(struct kernel *kernel)
{
	memory_unmap(kernel->series, (size_t)kernel->workers * WEFT_SERIES_MAX,
		     sizeof(*kernel->series));
	memory_unmap(kernel->labels, WEFT_SERIES_MAX, sizeof(*kernel->labels));
	memory_unmap(kernel->proxy_counts, WEFT_WORKERS_MAX, sizeof(*kernel->proxy_counts));
	memory_unmap(kernel->heartbeats, WEFT_WORKERS_MAX, sizeof(*kernel->heartbeats));
	memory_unmap(kernel->legs, WEFT_LEGS_MAX, sizeof(*kernel->legs));
}

static void series_add(struct weft_series *to, const struct weft_series *from)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *part = (const uint64_t *)from;
	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += part[i];
	to->requests_active = 0; /* gauges: nothing is active yet */
	to->cost_ns = to->cost_at_ns = 0;
}

static void series_merge(struct kernel *kernel, int old_series_fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	if (bpf_obj_get_info_by_fd(old_series_fd, &info, &size) ||
	    info.value_size != sizeof(struct weft_series))
		return;
	size_t bytes = memory_bytes(info.max_entries, info.value_size);
	struct weft_series *old = mmap(NULL, bytes, PROT_READ, MAP_SHARED, old_series_fd, 0);
	if (old == MAP_FAILED) {
		log_warn("metrics_lost", "cause=\"%s\"", strerror(errno));
		return;
	}
	for (size_t i = 0; i < info.max_entries; i++) {
		size_t worker = i / WEFT_SERIES_MAX % kernel->workers;
		series_add(&kernel->series[worker * WEFT_SERIES_MAX + i % WEFT_SERIES_MAX],
			   &old[i]);
	}
	munmap(old, bytes);
}

void maps_series_replace(struct kernel *kernel, int old_series_fd)
{
	char path[PINS_PATH_MAX];
	series_merge(kernel, old_series_fd);
	unlink(pins_path(&kernel->pins, false, "weft_series", path));
}
