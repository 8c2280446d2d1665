/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which pod is this, and the counting of reasons. */
#ifndef WEFT_POD_BPF_H
#define WEFT_POD_BPF_H

#include "maps.bpf.h"

#define POD_CGROUP_DEPTH_MAX 16

/* The innermost enrolled cgroup above the current task, so that child cgroups belong to it too. */
static __noinline struct weft_pod *pod_of_cgroup(void)
{
	struct weft_pod_key key = {};
	key.kind = WEFT_POD_BY_CGROUP;
	struct weft_pod *innermost = NULL;
	for (int level = 1; level < POD_CGROUP_DEPTH_MAX; level++) {
		key.id = bpf_get_current_ancestor_cgroup_id(level);
		if (!key.id)
			break;
		struct weft_pod *pod = bpf_map_lookup_elem(&weft_pods, &key);
		if (pod)
			innermost = pod;
	}
	return innermost;
}

static __always_inline struct weft_pod *pod_of_netns(__u64 netns_cookie)
{
	struct weft_pod_key key = {.id = netns_cookie, .kind = WEFT_POD_BY_NETNS};
	return bpf_map_lookup_elem(&weft_pods, &key);
}

static __always_inline struct weft_pod *pod_find(__u64 netns_cookie)
{
	struct weft_pod *pod = pod_of_netns(netns_cookie);
	return pod ? pod : pod_of_cgroup();
}

/* Rows are made by weftd when it enrols a pod; without a row nobody would read the number. */
static __always_inline void reason_count(__u32 pod_id, enum weft_reason reason)
{
	struct weft_reason_key key = {.pod_id = pod_id, .reason = reason};
	struct weft_reason_count *row = bpf_map_lookup_elem(&weft_reasons, &key);
	if (row)
		__sync_fetch_and_add(&row->count, 1);
}

#endif
