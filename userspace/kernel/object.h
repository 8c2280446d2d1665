/*
 * The kernel object of kernel.h, for the files of this room only. Owner: the control thread; the
 * map descriptors never change after kernel_open.
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/kernel.h"
#include "kernel/pins.h"

struct weft; /* the skeleton that bpftool generated */

struct kernel {
	struct weft *skeleton;
	struct pins pins;
	int cgroup_fd;
	unsigned workers;

	/* maps that run-time calls use */
	int pods_fd;
	int destinations_fd;
	int skip_ports_fd;
	int skip_cidrs_fd;
	int sockets_fd;
	int accepted_fd;
	int leg_ends_fd;
	int splicers_fd;
	int reasons_fd;
	int traffic_fd;

	struct weft_series *series;
	size_t series_bytes;
	struct weft_series_label *labels;
	struct weft_proxy_counts *proxy_counts;
	uint64_t *heartbeats;
	struct weft_leg *legs;
	int splice_fd; /* of the tracepoint, -1 = nobody watches */
};

/* maps.c: before load take over pinned maps; after load pin the new ones; then map memory. */
int maps_adopt(struct kernel *kernel, int *ret_old_series_fd, struct text *why) MUST_CHECK;
int maps_pin(struct kernel *kernel, struct text *why) MUST_CHECK;
int maps_memory_map(struct kernel *kernel, struct text *why) MUST_CHECK;
void maps_memory_unmap(struct kernel *kernel);
/* Adds the counters of a store for another number of workers to the present one, which is not
 * pinned yet, and takes the old one's place. */
void maps_series_replace(struct kernel *kernel, int old_series_fd);

/* hooks.c: attaches what is not attached, replaces the programs of what is. */
int hooks_attach(struct kernel *kernel, struct text *why) MUST_CHECK;

/* reasons.c: rows for a pod, with names, so that the kernel has something to count in. */
int reasons_prepare(struct kernel *kernel, uint32_t pod_id) MUST_CHECK;
void reasons_forget(struct kernel *kernel, uint32_t pod_id);

#endif
