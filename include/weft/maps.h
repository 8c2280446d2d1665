/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that bpf/ and userspace/ share: keys and values, fixed width, explicit padding, sizes
 * asserted on both sides. Every map is pinned under WEFT_PIN_DIR by its own name and carries BTF.
 *
 *   weft_layout         array[1]        struct weft_layout          who made these pins
 *   weft_pods           hash            weft_pod_key -> weft_pod    who is enrolled
 *   weft_destinations   hash            weft_address -> weft_destination
 *   weft_skip_ports     hash            weft_skip_port -> __u8      excluded outbound ports
 *   weft_skip_cidrs     lpm_trie        weft_skip_cidr -> __u8      excluded outbound networks
 *   weft_heartbeats     array, mmap     worker -> __u64             CLOCK_MONOTONIC, nanoseconds
 *   weft_sockets        sk_storage      -> struct weft_socket       our own sockets
 *   weft_dials          sk_storage      -> struct weft_flow         app sockets that were captured
 *   weft_flows          hash            weft_flow_key -> weft_flow  our end is not up yet
 *   weft_accepted       sk_storage      -> struct weft_flow         our ends of captured dials
 *   weft_legs           array, mmap     slot -> struct weft_leg     pairs of sockets, past TCP
 *   weft_leg_ends       sk_storage      -> struct weft_leg_end      the leg that a socket ends
 *   weft_leg_sockets    sockhash        weft_leg_key -> cookie      the ends, to redirect to
 *   weft_servers        lru_hash        weft_server -> __u64        seen not to block, and when
 *   weft_bulky          lru_hash        service_id -> __u64         overflowed a window, and when
 *   weft_splicers       hash            pod_id -> __u64             seen to splice, and when
 *   weft_reasons        hash            weft_reason_key -> weft_reason_count
 *   weft_traffic        hash            weft_traffic_key -> weft_traffic   observed by sockops
 *   weft_series         array, mmap     worker * WEFT_SERIES_MAX + slot -> weft_series
 *   weft_series_labels  array, mmap     slot -> struct weft_series_label
 *   weft_proxy_reasons  array, mmap     worker -> struct weft_proxy_counts
 */
#ifndef WEFT_MAPS_H
#define WEFT_MAPS_H

#include "weft/address.h"
#include "weft/limits.h"
#include "weft/reason.h"
#include "weft/shortcut.h"

#define WEFT_LAYOUT_MAGIC       0x74666577u   /* "weft" */
#define WEFT_LAYOUT_VERSION     5u            /* raise on any change of this file */
#define WEFT_HEARTBEAT_STALE_NS 2000000000ull /* a worker silent for longer counts as dead */

struct weft_layout {
	__u32 magic;
	__u32 version;
	__u32 owner_pid; /* weftd that wrote the maps last */
	__u32 pad;
};

/* A pod is found by its network namespace's cookie; `weft run` by its cgroup v2 id. */
enum weft_pod_kind { WEFT_POD_BY_NETNS = 1, WEFT_POD_BY_CGROUP = 2 };

struct weft_pod_key {
	__u64 id; /* SO_NETNS_COOKIE, or the inode number of the cgroup v2 folder */
	__u32 kind;
	__u32 pad;
};

enum weft_pod_flag {
	WEFT_POD_CAPTURE = 1 << 0,     /* off: dials pass, what is accepted is drained */
	WEFT_POD_FAIL_CLOSED = 1 << 1, /* without a live worker dials are refused, not passed */
	WEFT_POD_CAPTURE_ALL = 1 << 2, /* every TCP dial, not only those to mesh destinations */
};

struct weft_listener {
	__be16 port4[WEFT_LANES]; /* 127.0.0.1; 0 = no listener */
	__be16 port6[WEFT_LANES]; /* ::1; 0 = no listener */
};

struct weft_pod {
	__u32 pod_id; /* >= 1 */
	__u32 flags;
	__u32 worker_count;
	__u16 shortcut;        /* enum weft_shortcut of the pod, or of its namespace */
	__u16 shortcut_mesh;   /* of the mesh: for what says nothing */
	__u32 shortcut_window; /* of the mesh: bytes */
	__u32 pad;
	__u8 local4[16]; /* v4-mapped address that a direct dial would have; all 0 = unknown */
	__u8 local6[16];
	struct weft_listener listeners[WEFT_WORKERS_MAX];
	char name[WEFT_NAME_MAX];
};

enum weft_destination_flag {
	WEFT_DESTINATION_READY = 1 << 0, /* at least one endpoint may be dialled */
	WEFT_DESTINATION_HTTP = 1 << 1,  /* declared HTTP */
	/* One endpoint's own address: who dials it wants that endpoint and no other. */
	WEFT_DESTINATION_ENDPOINT = 1 << 2,
};
/* In weft_flow.flags: filed by a dial of ours, for its leg. */
#define WEFT_FLOW_UPSTREAM (1 << 15)

struct weft_destination {
	__u32 service_id; /* >= 1 */
	__u32 flags;
	__u32 shortcut;        /* enum weft_shortcut of the service, or of its namespace */
	__u32 shortcut_window; /* bytes; 0 = the mesh's */
	char name[WEFT_NAME_MAX];
};

struct weft_skip_port {
	__u32 pod_id;
	__be16 port;
	__u16 pad;
};

struct weft_skip_cidr {
	__u32 prefixlen; /* 32 bits of pod_id + prefix of ip (v4: 96 + n) */
	__u32 pod_id;
	__u8 ip[16];
};

enum weft_socket_role { WEFT_SOCKET_LISTENER = 1, WEFT_SOCKET_UPSTREAM = 2 };

struct weft_socket {
	__u32 role;
	__u32 pod_id;
	__u32 worker;
	__u32 service_id;      /* upstream: service that it was dialled for; 0 = none yet */
	__u32 shortcut_window; /* upstream: bytes, 0 = stays on TCP */
	__u32 shortcut_is_auto;
};

/* What the kernel knew when it captured a dial. */
struct weft_flow {
	struct weft_address destination; /* as the app dialled it */
	struct weft_address app;         /* its socket's own; all 0 until it is established */
	__u32 pod_id;
	__u32 service_id; /* 0: no mesh service (capture of every dial) */
	__u32 worker;
	__u16 family;     /* AF_INET or AF_INET6: the app's socket, v4-mapped dials are AF_INET6 */
	__u16 flags;      /* enum weft_destination_flag of what was dialled */
	__u64 dialled_ns; /* CLOCK_MONOTONIC */
	__u64 leg;        /* weft_leg.id, 0 = none */
	__u32 leg_slot;
	__u32 shortcut_window; /* bytes, 0 = stays on TCP */
};

/* The app's socket and our listener as the app's socket has them after the redirect. */
struct weft_flow_key {
	__u64 netns_cookie;
	struct weft_address app;
	struct weft_address listener;
};

/* ---- the shortcut: two sockets of one network namespace, past TCP ---- */

#define WEFT_LEGS_MAX 16384 /* a power of two; further connections stay on TCP */

/* The end that dialled (the app towards us, or we towards an app), and the one that accepted. */
enum weft_leg_side { WEFT_LEG_DIALLER, WEFT_LEG_ACCEPTOR };

struct weft_leg_way {
	__u64 bytes; /* redirected by that side */
	__u64 messages;
	__u64 outstanding; /* of them, at most: counted up, looked up in the receiver when too much
			    */
};

struct weft_leg {
	__u64 id; /* the dialler's socket cookie; 0 = the slot is free */
	__u32 pod_id;
	__u32 service_id;
	__u32 window_bytes; /* outstanding, towards either side */
	__u32 demoted;   /* 0, or the enum weft_reason for which both sides are on TCP for good */
	__u32 wants_tcp; /* 0, or the reason for which the next message is to be the first there */
	__u32 ends;      /* that are in the map of sockets */
	__u32 unread;    /* bit of a side: it was closed before it had read everything */
	__u32 app_side;  /* enum weft_leg_side; the other one is weftd's */
	__u64 queues[2]; /* kernel addresses: what the sides have not read hangs there */
	struct weft_leg_way ways[2]; /* by the side that sends */
};

/* Where it listens, in which network namespace. */
struct weft_server {
	__u64 netns_cookie;
	struct weft_address address;
	__u32 pad;
};

struct weft_leg_end {
	__u64 leg;
	__u32 slot;
	__u32 side;
};

struct weft_leg_key {
	__u64 leg;
	__u32 side;
	__u32 pad;
};

struct weft_reason_key {
	__u32 pod_id; /* 0: dials that belong to no pod */
	__u32 reason; /* enum weft_reason */
};

struct weft_reason_count {
	char name[40]; /* written by weftd, so that a dump reads like a table */
	__u64 count;
};

struct weft_traffic_key {
	__u32 pod_id;
	__u32 service_id;
	__u32 role; /* 0: the app's captured socket, WEFT_SOCKET_UPSTREAM: our dial */
	__u32 pad;
};

struct weft_traffic {
	__u64 connections_opened;
	__u64 connections_closed;
	__u64 bytes_sent; /* acknowledged payload of closed connections */
	__u64 bytes_received;
	__u64 retransmitted_segments;
	__u64 rtt_us_sum; /* smoothed RTT at close, summed over connections_closed */
	__u64 rtt_us_max;
	__u64 shortcut_bytes; /* of the bytes both ways: past TCP */
};

/* ---- the metric store ---- */

#define WEFT_SERIES_MAX      4096
#define WEFT_LATENCY_BUCKETS 32

/* Upper bounds in microseconds; the last bucket is +Inf. */
#define WEFT_LATENCY_BOUNDS_US                                                                     \
	{                                                                                          \
		50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10000, 15000,     \
			20000, 30000, 50000, 75000, 100000, 150000, 200000, 300000, 500000,        \
			750000, 1000000, 1500000, 2000000, 3000000, 5000000, 10000000, 30000000    \
	}

/* responses[class]: 1..5 = 1xx..5xx final answers, 0 = ended without an answer. */
struct weft_series {
	__u64 requests;
	__u64 responses[6];
	__u64 proxy_errors; /* answers that weft made itself */
	__u64 retries;
	__u64 latency_us_sum;
	__u64 latency_buckets[WEFT_LATENCY_BUCKETS]; /* not cumulative; count = sum of all */
	__u64 connections_opened;
	__u64 connections_closed;
	__u64 connect_failures;
	__u64 bytes_sent;     /* towards the endpoint, payload of requests or tunnels with heads */
	__u64 bytes_received; /* from the endpoint */
	__u64 tunnels_opened;
	__u64 tunnels_closed;
	__u64 requests_active; /* gauge */
	/* Apart from all of the above: no client waited for these, or nobody served them. */
	__u64 faults_delayed; /* requests that were kept for a while on purpose; they count above */
	__u64 faults_aborted; /* requests that weft answered on purpose; they do not */
	__u64 mirrored;       /* copies that were answered */
	__u64 mirrors_failed;
	/* An endpoint's, gauges that are no sums: what a request costs by the worker's estimate. */
	__u64 cost_ns;
	__u64 cost_at_ns; /* CLOCK_MONOTONIC; since then it has decayed */
};

enum weft_series_state {
	WEFT_SERIES_FREE = 0,    /* was never used, a search ends here */
	WEFT_SERIES_CLAIMED = 1, /* the label is being written */
	WEFT_SERIES_READY = 2,
	WEFT_SERIES_RETIRED = 3, /* is about to be given back */
	WEFT_SERIES_VACANT = 4,  /* was given back: no label, all zero, a search goes on */
};

enum weft_series_kind { WEFT_SERIES_SERVICE = 0, WEFT_SERIES_ROUTE = 1 };

/* service alone: totals of a service; service + endpoint: one endpoint of it. Of a route's rule:
 * the route's name as service, the rule's name or number as endpoint. */
struct weft_series_label {
	__u32 state;
	__u32 hash;
	__u32 kind; /* enum weft_series_kind */
	__u32 pad;
	char service[WEFT_NAME_MAX];
	char endpoint[WEFT_ENDPOINT_MAX]; /* "10.0.0.1:80", "[2001:db8::1]:80"; "" = total */
};

struct weft_proxy_counts {
	__u64 reasons[64]; /* enum weft_proxy_reason */
	__u64 loop_turns;
	__u64 loop_busy_ns;
	__u64 sessions;       /* gauge */
	__u64 upstreams;      /* gauge */
	__u64 upstreams_idle; /* gauge */
	__u64 blocks_in_use;  /* gauge, buffers lent from the worker's pool */
	__u64 block_bytes;    /* gauge, bytes of them */
	__u64 accepted_connections;
};

_Static_assert(sizeof(struct weft_pod_key) == 16, "kernel contract: struct weft_pod_key");
_Static_assert(sizeof(struct weft_pod) == 504, "kernel contract: struct weft_pod");
_Static_assert(sizeof(struct weft_destination) == 208, "kernel contract: struct weft_destination");
_Static_assert(sizeof(struct weft_skip_port) == 8, "kernel contract: struct weft_skip_port");
_Static_assert(sizeof(struct weft_skip_cidr) == 24, "kernel contract: struct weft_skip_cidr");
_Static_assert(sizeof(struct weft_socket) == 24, "kernel contract: struct weft_socket");
_Static_assert(sizeof(struct weft_flow) == 80, "kernel contract: struct weft_flow");
_Static_assert(sizeof(struct weft_flow_key) == 48, "kernel contract: struct weft_flow_key");
_Static_assert(sizeof(struct weft_leg) == 104, "kernel contract: struct weft_leg");
_Static_assert(sizeof(struct weft_server) == 32, "kernel contract: struct weft_server");
_Static_assert(sizeof(struct weft_leg_end) == 16, "kernel contract: struct weft_leg_end");
_Static_assert(sizeof(struct weft_leg_key) == 16, "kernel contract: struct weft_leg_key");
_Static_assert(sizeof(struct weft_reason_count) == 48, "kernel contract: struct weft_reason_count");
_Static_assert(sizeof(struct weft_traffic) == 64, "kernel contract: struct weft_traffic");
_Static_assert(sizeof(struct weft_series_label) == 272, "kernel contract: weft_series_label");
_Static_assert(WEFT_PROXY_REASON_COUNT <= 64, "weft_proxy_counts.reasons is too small");

#endif
