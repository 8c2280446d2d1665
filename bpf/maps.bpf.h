/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of include/weft/maps.h. Every object of bpf/ includes all of them; they are weak, so
 * that the linker (bpftool gen object) merges them into one set. Sizes that depend on the number
 * of workers are set by weftd before it loads.
 */
#ifndef WEFT_MAPS_BPF_H
#define WEFT_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "weft/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weft_layout);
} weft_layout SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct weft_pod_key);
	__type(value, struct weft_pod);
} weft_pods SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct weft_address);
	__type(value, struct weft_destination);
} weft_destinations SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct weft_skip_port);
	__type(value, __u8);
} weft_skip_ports SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct weft_skip_cidr);
	__type(value, __u8);
} weft_skip_cidrs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} weft_heartbeats SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct weft_socket);
} weft_sockets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct weft_flow);
} weft_dials SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct weft_flow);
} weft_accepted SEC(".maps") __weak;

/* Preallocated: filing a flow must not depend on memory being free in a softirq. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct weft_flow_key);
	__type(value, struct weft_flow);
} weft_flows SEC(".maps") __weak;

/* Free slots cost address space and, in the kernel, memory: 1.5 MiB in all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_LEGS_MAX);
	__type(key, __u32);
	__type(value, struct weft_leg);
} weft_legs SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct weft_leg_end);
} weft_leg_ends SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2 * WEFT_LEGS_MAX);
	__type(key, struct weft_leg_key);
	__type(value, __u64);
} weft_leg_sockets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} weft_splicers SEC(".maps") __weak;

/* What falls out of these two is learned again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} weft_bulky SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct weft_server);
	__type(value, __u64);
} weft_servers SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4097 * WEFT_KERNEL_REASON_COUNT);
	__type(key, struct weft_reason_key);
	__type(value, struct weft_reason_count);
} weft_reasons SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct weft_traffic_key);
	__type(value, struct weft_traffic);
} weft_traffic SEC(".maps") __weak;

/* The three below are written by weftd alone, through mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_SERIES_MAX); /* times the number of workers */
	__type(key, __u32);
	__type(value, struct weft_series);
} weft_series SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_SERIES_MAX);
	__type(key, __u32);
	__type(value, struct weft_series_label);
} weft_series_labels SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEFT_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct weft_proxy_counts);
} weft_proxy_reasons SEC(".maps") __weak;

#endif
