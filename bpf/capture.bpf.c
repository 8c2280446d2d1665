/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup/connect4 and connect6: an enrolled pod's dial to a mesh destination becomes a dial to one
 * worker's listener on the loopback address of the socket's own network namespace. The destination
 * that the app meant is kept in the socket's storage; observe.bpf.c files it once the connection
 * is established.
 *
 * Both hooks run for connect(2), for MSG_FASTOPEN sends and for io_uring; never while a connection
 * exists or is being set up. connect6 also sees the v4-mapped dials of IPv6 sockets.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "address.bpf.h"
#include "leg.bpf.h"
#include "maps.bpf.h"
#include "pod.bpf.h"

#define ECONNREFUSED 111

/* Flavours: only what is read here, found in the running kernel's BTF. */
struct sock_common___weft {
	unsigned char skc_ipv6only : 1;
} __attribute__((preserve_access_index));
struct sock___weft {
	struct sock_common___weft __sk_common;
} __attribute__((preserve_access_index));
struct tcp_sock___weft {
	bool is_mptcp; /* absent without CONFIG_MPTCP */
} __attribute__((preserve_access_index));

enum listener_state { LISTENER_ABSENT, LISTENER_FOREIGN, LISTENER_OURS };

/* Where a captured dial goes: 127.0.0.1 or ::1, and the worker's port there. */
struct route {
	__u32 worker;
	__be16 port;
	bool v6;
};

static __always_inline bool socket_is_mptcp(struct bpf_sock *sk)
{
	struct tcp_sock___weft *tcp = (void *)bpf_skc_to_tcp_sock(sk);
	return tcp && bpf_core_field_exists(tcp->is_mptcp) && tcp->is_mptcp;
}

static __always_inline bool socket_is_v6only(struct bpf_sock *sk)
{
	struct sock___weft *full = (void *)bpf_skc_to_tcp_sock(sk);
	return full && BPF_CORE_READ_BITFIELD(&full->__sk_common, skc_ipv6only);
}

/* CAPTURED when the kind of socket says nothing against it. */
static __always_inline enum weft_reason socket_judge(struct bpf_sock_addr *ctx, struct bpf_sock *sk)
{
	if (ctx->type == SOCK_DGRAM)
		return WEFT_REASON_PASS_UDP;
	if (ctx->type == SOCK_RAW)
		return WEFT_REASON_PASS_RAW;
	if (ctx->protocol == IPPROTO_MPTCP)
		return WEFT_REASON_PASS_MPTCP;
	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP)
		return WEFT_REASON_PASS_NOT_TCP;
	if (socket_is_mptcp(sk)) /* the TCP subflow below an MPTCP socket */
		return WEFT_REASON_PASS_MPTCP;
	if (sk->bound_dev_if)
		return WEFT_REASON_PASS_DEVICE_BOUND;
	return WEFT_REASON_CAPTURED;
}

static __always_inline enum weft_reason exclusion_judge(const struct weft_pod *pod,
							const struct weft_address *destination)
{
	struct weft_skip_port port = {.pod_id = pod->pod_id, .port = destination->port};
	if (bpf_map_lookup_elem(&weft_skip_ports, &port))
		return WEFT_REASON_PASS_EXCLUDED_PORT;
	struct weft_skip_cidr network = {.prefixlen = 32 + 128, .pod_id = pod->pod_id};
	__builtin_memcpy(network.ip, destination->ip, sizeof(network.ip));
	if (bpf_map_lookup_elem(&weft_skip_cidrs, &network))
		return WEFT_REASON_PASS_EXCLUDED_CIDR;
	return WEFT_REASON_CAPTURED;
}

/* An app that dials a worker's port must not be sent round in a circle. */
static __noinline bool dial_is_to_our_listener(const struct weft_pod *pod,
					       const struct weft_address *destination)
{
	if (!pod || !destination || !address_is_loopback(destination))
		return false;
	bool v4 = address_is_v4(destination);
	for (__u32 i = 0; i < WEFT_WORKERS_MAX * WEFT_LANES; i++) {
		const struct weft_listener *listener = &pod->listeners[i / WEFT_LANES];
		__u32 lane = i % WEFT_LANES;
		__be16 port = v4 ? listener->port4[lane] : listener->port6[lane];
		if (port && port == destination->port)
			return true;
	}
	return false;
}

/* Bytes that may wait past TCP; 0: by TCP. */
static __always_inline __u32 window_of(const struct weft_pod *pod,
				       const struct weft_destination *listed)
{
	if (!weft_shortcut_applies(pod->shortcut, listed->shortcut, pod->shortcut_mesh,
				   listed->flags & WEFT_DESTINATION_HTTP))
		return 0;
	if (weft_shortcut_is_auto(pod->shortcut, listed->shortcut, pod->shortcut_mesh) &&
	    service_is_bulky(listed->service_id)) {
		reason_count(pod->pod_id, WEFT_REASON_TCP_BULK);
		return 0;
	}
	return listed->shortcut_window ? listed->shortcut_window : pod->shortcut_window;
}

/* CAPTURED, PASS_NOT_MESH or REFUSED_NO_ENDPOINT. */
static __always_inline enum weft_reason destination_judge(const struct weft_pod *pod,
							  struct weft_flow *flow)
{
	const struct weft_address *destination = &flow->destination;
	struct weft_destination *listed = bpf_map_lookup_elem(&weft_destinations, destination);
	if (listed) {
		flow->service_id = listed->service_id;
		flow->flags = (__u16)listed->flags;
		flow->shortcut_window = window_of(pod, listed);
		return listed->flags & WEFT_DESTINATION_READY ? WEFT_REASON_CAPTURED
							      : WEFT_REASON_REFUSED_NO_ENDPOINT;
	}
	flow->service_id = 0;
	if (weft_shortcut_applies(pod->shortcut, WEFT_SHORTCUT_INHERIT, pod->shortcut_mesh, false))
		flow->shortcut_window = pod->shortcut_window;
	if (!(pod->flags & WEFT_POD_CAPTURE_ALL) || destination->port == 0 ||
	    address_is_unroutable(destination) || dial_is_to_our_listener(pod, destination))
		return WEFT_REASON_PASS_NOT_MESH;
	return WEFT_REASON_CAPTURED;
}

/* Looks in the network namespace of the dialling socket, whatever holds the port there. */
static __noinline enum listener_state listener_look(struct bpf_sock_addr *ctx, bool v6, __be16 port,
						    __u32 pod_id)
{
	struct bpf_sock_tuple tuple = {};
	if (v6) {
		tuple.ipv6.daddr[3] = bpf_htonl(1);
		tuple.ipv6.dport = port;
	} else {
		tuple.ipv4.daddr = bpf_htonl(V4_LOOPBACK);
		tuple.ipv4.dport = port;
	}
	struct bpf_sock *sk;
	if (v6)
		sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return LISTENER_ABSENT;
	struct weft_socket *mark = bpf_sk_storage_get(&weft_sockets, sk, NULL, 0);
	bool ours = mark && mark->role == WEFT_SOCKET_LISTENER && mark->pod_id == pod_id;
	bpf_sk_release(sk);
	return ours ? LISTENER_OURS : LISTENER_FOREIGN;
}

static __always_inline bool worker_is_alive(__u32 worker)
{
	__u64 *beat = bpf_map_lookup_elem(&weft_heartbeats, &worker);
	/* signed: another CPU may have written a beat that is younger than our "now" */
	return beat && *beat &&
	       (__s64)(bpf_ktime_get_ns() - *beat) < (__s64)WEFT_HEARTBEAT_STALE_NS;
}

/* A worker's lane for this dial; false when it has none of a family that the socket speaks. */
static __always_inline bool route_for(const struct weft_listener *listener, __u32 lane, bool v4,
				      bool v6only, struct route *ret)
{
	ret->v6 = !v4 && listener->port6[lane];
	ret->port = ret->v6 ? listener->port6[lane] : listener->port4[lane];
	return ret->port && (ret->v6 || v4 || !v6only);
}

/*
 * The first lane after a random one of ret->worker that our listener holds. One address would not
 * be enough for all dials of a pod: a pod has only so many source ports towards it.
 * Not static: the verifier looks at a global function once, not once for each worker.
 */
__noinline bool lane_pick(struct bpf_sock_addr *ctx, const struct weft_pod *pod, bool v4,
			  bool v6only, struct route *ret)
{
	if (!pod || !ret)
		return false;
	const struct weft_listener *listener =
		&pod->listeners[ret->worker & (WEFT_WORKERS_MAX - 1)];
	__u32 start = bpf_get_prandom_u32();
	for (__u32 i = 0; i < WEFT_LANES; i++) {
		if (!route_for(listener, (start + i) & (WEFT_LANES - 1), v4, v6only, ret))
			continue;
		enum listener_state state = listener_look(ctx, ret->v6, ret->port, pod->pod_id);
		if (state == LISTENER_OURS)
			return true;
		if (state == LISTENER_FOREIGN)
			reason_count(pod->pod_id, WEFT_REASON_FOREIGN_LISTENER);
	}
	return false;
}

/* The first live worker after a random one. */
static __noinline bool route_pick(struct bpf_sock_addr *ctx, const struct weft_pod *pod, bool v4,
				  bool v6only, struct route *ret)
{
	if (!pod || !ret)
		return false;
	__u32 count = pod->worker_count;
	if (count == 0 || count > WEFT_WORKERS_MAX)
		return false;
	__u32 start = bpf_get_prandom_u32();
	for (__u32 i = 0; i < WEFT_WORKERS_MAX; i++) {
		if (i >= count)
			break;
		ret->worker = (start + i) % count;
		if (worker_is_alive(ret->worker) && lane_pick(ctx, pod, v4, v6only, ret))
			return true;
	}
	return false;
}

/* What happens to this dial. CAPTURED fills `flow` and `route`. */
static __always_inline enum weft_reason dial_judge(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
						   const struct weft_pod *pod,
						   struct weft_flow *flow, struct route *route)
{
	enum weft_reason reason = socket_judge(ctx, sk);
	if (reason != WEFT_REASON_CAPTURED)
		return reason;
	reason = exclusion_judge(pod, &flow->destination);
	if (reason != WEFT_REASON_CAPTURED)
		return reason;
	reason = destination_judge(pod, flow);
	if (reason == WEFT_REASON_PASS_NOT_MESH)
		return reason;
	if (!(pod->flags & WEFT_POD_CAPTURE))
		return WEFT_REASON_PASS_CAPTURE_OFF;
	if (reason != WEFT_REASON_CAPTURED)
		return reason;
	bool v4 = address_is_v4(&flow->destination);
	bool v6only = flow->family == AF_INET6 && socket_is_v6only(sk);
	if (!route_pick(ctx, pod, v4, v6only, route))
		return pod->flags & WEFT_POD_FAIL_CLOSED ? WEFT_REASON_REFUSED_PROXY_DEAD
							 : WEFT_REASON_PASS_PROXY_DEAD;
	if (flow->shortcut_window && bpf_map_lookup_elem(&weft_splicers, &pod->pod_id)) {
		flow->shortcut_window = 0;
		reason_count(pod->pod_id, WEFT_REASON_TCP_SPLICER);
	}
	flow->pod_id = pod->pod_id;
	flow->worker = route->worker;
	flow->dialled_ns = bpf_ktime_get_ns();
	return WEFT_REASON_CAPTURED;
}

/* The socket remembers where it was meant to go. False when there is no memory for that. */
static __always_inline bool dial_remember(struct bpf_sock *sk, const struct weft_flow *flow)
{
	struct weft_flow *kept =
		bpf_sk_storage_get(&weft_dials, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return false;
	*kept = *flow;
	return true;
}

static __always_inline void dial_redirect4(struct bpf_sock_addr *ctx, const struct route *route)
{
	ctx->user_ip4 = bpf_htonl(V4_LOOPBACK);
	ctx->user_port = route->port;
}

static __always_inline void dial_redirect6(struct bpf_sock_addr *ctx, const struct route *route)
{
	ctx->user_ip6[0] = 0;
	ctx->user_ip6[1] = 0;
	ctx->user_ip6[2] = route->v6 ? 0 : bpf_htonl(V4_MAPPED_WORD2);
	ctx->user_ip6[3] = route->v6 ? bpf_htonl(1) : bpf_htonl(V4_LOOPBACK);
	ctx->user_port = route->port;
}

/* connect() to "any" reaches this host; the kernel replaces it after the hook. */
static __always_inline void destination_replace_any(struct weft_address *destination)
{
	if (!address_is_any(destination))
		return;
	if (address_is_v4(destination))
		address_set_v4(destination, bpf_htonl(V4_LOOPBACK), destination->port);
	else
		address_set(destination, 0, 0, 0, bpf_htonl(1), destination->port);
}

/* An app can use up its socket's option memory; that must not be a way past a closed pod. */
static __always_inline bool reason_refuses(const struct weft_pod *pod, enum weft_reason reason)
{
	if (reason == WEFT_REASON_STORAGE_FULL)
		return pod->flags & WEFT_POD_FAIL_CLOSED;
	return reason == WEFT_REASON_REFUSED_NO_ENDPOINT ||
	       reason == WEFT_REASON_REFUSED_PROXY_DEAD;
}

/*
 * True: go on with the dial, redirected where `ret_route` says if its port is not 0. False: refuse.
 * `flow` comes with the destination and the socket's family.
 */
static __always_inline bool dial_decide(struct bpf_sock_addr *ctx, struct weft_flow *flow,
					struct route *ret_route)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return true;
	/* a socket that dials again must not report the destination of an earlier dial */
	bpf_sk_storage_delete(&weft_dials, sk);
	struct weft_socket *mark = bpf_sk_storage_get(&weft_sockets, sk, NULL, 0);
	if (mark && mark->role == WEFT_SOCKET_UPSTREAM) {
		reason_count(mark->pod_id, WEFT_REASON_PASS_OURS);
		return true;
	}
	struct weft_pod *pod = pod_find(bpf_get_netns_cookie(ctx));
	if (!pod)
		return true;

	destination_replace_any(&flow->destination);
	struct route route = {};
	enum weft_reason reason = dial_judge(ctx, sk, pod, flow, &route);
	if (reason == WEFT_REASON_CAPTURED) {
		if (dial_remember(sk, flow))
			*ret_route = route;
		else
			reason = WEFT_REASON_STORAGE_FULL;
	}
	reason_count(pod->pod_id, reason);
	if (!reason_refuses(pod, reason))
		return true;
	bpf_set_retval(-ECONNREFUSED);
	return false;
}

SEC("cgroup/connect4")
int weft_connect4(struct bpf_sock_addr *ctx)
{
	struct weft_flow flow = {.family = AF_INET};
	struct route route = {};
	address_set_v4(&flow.destination, ctx->user_ip4, (__be16)ctx->user_port);
	if (!dial_decide(ctx, &flow, &route))
		return 0;
	if (route.port)
		dial_redirect4(ctx, &route);
	return 1;
}

SEC("cgroup/connect6")
int weft_connect6(struct bpf_sock_addr *ctx)
{
	struct weft_flow flow = {.family = AF_INET6};
	struct route route = {};
	if (ctx->user_family != AF_INET6)
		return 1; /* the kernel answers EAFNOSUPPORT */
	address_set(&flow.destination, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
		    ctx->user_ip6[3], (__be16)ctx->user_port);
	if (!dial_decide(ctx, &flow, &route))
		return 0;
	if (route.port)
		dial_redirect6(ctx, &route);
	return 1;
}

/* Raw sockets send without connecting: counted where they are made. */
SEC("cgroup/sock_create")
int weft_sock_create(struct bpf_sock *ctx)
{
	if (ctx->type != SOCK_RAW)
		return 1;
	struct weft_pod *pod = pod_find(bpf_get_netns_cookie(ctx));
	if (pod)
		reason_count(pod->pod_id, WEFT_REASON_PASS_RAW);
	return 1;
}

char weft_license[] SEC("license") = "Dual BSD/GPL";
