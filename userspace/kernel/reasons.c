/* What the kernel counted: reasons per pod, traffic per pod and service. */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "kernel/object.h"

static const char *const reason_names[] = {
#define REASON_NAME(symbol, name, help) name,
	WEFT_KERNEL_REASONS(REASON_NAME)
#undef REASON_NAME
};

static const char *const reason_help[] = {
#define REASON_HELP(symbol, name, help) help,
	WEFT_KERNEL_REASONS(REASON_HELP)
#undef REASON_HELP
};

const char *weft_reason_name(enum weft_reason reason)
{
	return (unsigned)reason < WEFT_KERNEL_REASON_COUNT ? reason_names[reason] : "unknown";
}

const char *weft_reason_help(enum weft_reason reason)
{
	return (unsigned)reason < WEFT_KERNEL_REASON_COUNT ? reason_help[reason] : "unknown";
}

int reasons_prepare(struct kernel *kernel, uint32_t pod_id)
{
	for (uint32_t reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++) {
		struct weft_reason_key key = {.pod_id = pod_id, .reason = reason};
		struct weft_reason_count row = {.count = 0};
		snprintf(row.name, sizeof(row.name), "%s", reason_names[reason]);
		if (bpf_map_update_elem(kernel->reasons_fd, &key, &row, BPF_NOEXIST) &&
		    errno != EEXIST)
			return -errno;
	}
	return 0;
}

void reasons_forget(struct kernel *kernel, uint32_t pod_id)
{
	for (uint32_t reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++) {
		struct weft_reason_key key = {.pod_id = pod_id, .reason = reason};
		bpf_map_delete_elem(kernel->reasons_fd, &key);
	}
	struct weft_traffic_key key, next;
	bool more = bpf_map_get_next_key(kernel->traffic_fd, NULL, &next) == 0;
	while (more) {
		key = next;
		more = bpf_map_get_next_key(kernel->traffic_fd, &key, &next) == 0;
		if (key.pod_id == pod_id)
			bpf_map_delete_elem(kernel->traffic_fd, &key);
	}
}

static uint64_t row_count(const struct kernel *kernel, const struct weft_reason_key *key)
{
	struct weft_reason_count row;
	return bpf_map_lookup_elem(kernel->reasons_fd, key, &row) == 0 ? row.count : 0;
}

uint64_t kernel_reason_count(const struct kernel *kernel, uint32_t pod_id, enum weft_reason reason)
{
	if (pod_id) {
		struct weft_reason_key one = {.pod_id = pod_id, .reason = reason};
		return row_count(kernel, &one);
	}
	uint64_t sum = 0;
	struct weft_reason_key key, *last = NULL;
	while (bpf_map_get_next_key(kernel->reasons_fd, last, &key) == 0) {
		if (key.reason == (uint32_t)reason)
			sum += row_count(kernel, &key);
		last = &key;
	}
	return sum;
}

int kernel_traffic_each(const struct kernel *kernel,
			void (*each)(const struct weft_traffic_key *key,
				     const struct weft_traffic *traffic, void *owner),
			void *owner)
{
	struct weft_traffic_key key, *last = NULL;
	while (bpf_map_get_next_key(kernel->traffic_fd, last, &key) == 0) {
		struct weft_traffic traffic;
		if (bpf_map_lookup_elem(kernel->traffic_fd, &key, &traffic) == 0)
			each(&key, &traffic, owner);
		last = &key;
	}
	return 0;
}
