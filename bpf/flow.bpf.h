/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a flow gets from the app's end of a connection to ours. The app's end files it under the
 * addresses before its handshake's last segment leaves, so that it is there when our end comes up;
 * our end moves it at once into the storage of its own socket, where a worker finds it by the
 * descriptor. So it lives as long as our socket does: the app may send, reset and be gone before a
 * worker accepts, and what it sent is still delivered.
 */
#ifndef WEFT_FLOW_BPF_H
#define WEFT_FLOW_BPF_H

#include "address.bpf.h"
#include "leg.bpf.h"
#include "maps.bpf.h"
#include "pod.bpf.h"

/* The two ends as the socket has them, folded. */
static __always_inline void ends_of(struct bpf_sock_ops *ctx, struct weft_address *ret_local,
				    struct weft_address *ret_remote)
{
	__be16 local_port = bpf_htons((__u16)ctx->local_port);
	__be16 remote_port = bpf_htons((__u16)bpf_ntohl(ctx->remote_port));
	__be32 local4 = context_read(ctx->local_ip4);
	__be32 remote4 = context_read(ctx->remote_ip4);
	address_set_v4(ret_local, local4, local_port);
	address_set_v4(ret_remote, remote4, remote_port);
	if (ctx->family != AF_INET6)
		return;
	__be32 word0 = context_read(ctx->remote_ip6[0]), word1 = context_read(ctx->remote_ip6[1]);
	__be32 word2 = context_read(ctx->remote_ip6[2]), word3 = context_read(ctx->remote_ip6[3]);
	if (word0 == 0 && word1 == 0 && word2 == bpf_htonl(V4_MAPPED_WORD2))
		return; /* an IPv6 socket that talks IPv4 */
	address_set(ret_remote, word0, word1, word2, word3, remote_port);
	word0 = context_read(ctx->local_ip6[0]), word1 = context_read(ctx->local_ip6[1]);
	word2 = context_read(ctx->local_ip6[2]), word3 = context_read(ctx->local_ip6[3]);
	address_set(ret_local, word0, word1, word2, word3, local_port);
}

/* Both ends are of one network namespace: loopback, or an address that talks to itself. */
static __always_inline bool is_within_netns(const struct weft_address *listener,
					    const struct weft_address *dialler)
{
	bool same = true;
	for (int i = 0; i < 4; i++)
		same &= address_word(listener, i) == address_word(dialler, i);
	return same || address_is_loopback(listener);
}

/* Of which namespace that is, and where in it. */
static __always_inline struct weft_server server_at(__u64 netns_cookie,
						    const struct weft_address *address)
{
	struct weft_server server = {.netns_cookie = netns_cookie, .address = *address};
	return server;
}

/*
 * Our end towards an app is established. If the other one is in this namespace too, and its server
 * is known not to block, it joins; an unknown server is looked at, for connections to come.
 */
static __always_inline void flow_file_upstream(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					       const struct weft_socket *mark)
{
	struct weft_flow_key key = {.netns_cookie = bpf_get_netns_cookie(ctx)};
	struct weft_flow flow = {.flags = WEFT_FLOW_UPSTREAM, .pod_id = mark->pod_id};
	struct weft_leg wanted = {.pod_id = mark->pod_id,
				  .service_id = mark->service_id,
				  .window_bytes = mark->shortcut_window,
				  .app_side = WEFT_LEG_ACCEPTOR};
	ends_of(ctx, &key.app, &key.listener);
	if (!is_within_netns(&key.listener, &key.app))
		return;
	if (bpf_map_lookup_elem(&weft_splicers, &wanted.pod_id)) { /* the server may be it */
		reason_count(mark->pod_id, WEFT_REASON_TCP_SPLICER);
		return;
	}
	if (mark->shortcut_is_auto && service_is_bulky(mark->service_id)) {
		reason_count(mark->pod_id, WEFT_REASON_TCP_BULK);
		return;
	}
	struct weft_server server = server_at(key.netns_cookie, &key.listener);
	if (!bpf_map_lookup_elem(&weft_servers, &server))
		reason_count(mark->pod_id, WEFT_REASON_TCP_BLOCKING);
	else if (!leg_open(ctx, sk, &wanted, &flow.leg, &flow.leg_slot))
		return;
	if (bpf_map_update_elem(&weft_flows, &key, &flow, BPF_ANY))
		reason_count(mark->pod_id, WEFT_REASON_TCP_FULL);
}

static __always_inline void callbacks_add(struct bpf_sock_ops *ctx, int flags)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | flags);
}

/* An app's end towards us was acknowledged something: by now it may have been accepted. */
static __always_inline void server_look(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct weft_address local, remote;
	enum blocking is = blocking_of(sk);
	if (is == NOT_ACCEPTED)
		return;
	ends_of(ctx, &local, &remote);
	struct weft_server server = server_at(bpf_get_netns_cookie(ctx), &local);
	__u64 now = bpf_ktime_get_ns();
	if (is == NONBLOCKING)
		bpf_map_update_elem(&weft_servers, &server, &now, BPF_ANY);
	else
		bpf_map_delete_elem(&weft_servers, &server);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

/* The app's end is established. */
static __always_inline void flow_file(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				      struct weft_flow *dial)
{
	struct weft_flow_key key = {.netns_cookie = bpf_get_netns_cookie(ctx)};
	ends_of(ctx, &key.app, &key.listener);
	dial->app = key.app;
	if (dial->shortcut_window) {
		struct weft_leg wanted = {.pod_id = dial->pod_id,
					  .service_id = dial->service_id,
					  .window_bytes = dial->shortcut_window,
					  .app_side = WEFT_LEG_DIALLER};
		leg_open(ctx, sk, &wanted, &dial->leg, &dial->leg_slot);
	}
	if (bpf_map_update_elem(&weft_flows, &key, dial, BPF_ANY))
		reason_count(dial->pod_id, WEFT_REASON_FLOW_TABLE_FULL);
}

/* The dialling end is gone; if the other one has not come up until now, it will not. */
static __always_inline void flow_dialler_closed(struct bpf_sock_ops *ctx)
{
	struct weft_flow_key key = {.netns_cookie = bpf_get_netns_cookie(ctx)};
	ends_of(ctx, &key.app, &key.listener);
	bpf_map_delete_elem(&weft_flows, &key);
}

/*
 * Some server's end is established. If it is ours, the flow moves to its socket. Without one
 * (table or socket memory full, counted) the worker resets the connection.
 */
static __always_inline void flow_move(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct weft_flow_key key = {};
	ends_of(ctx, &key.listener, &key.app);
	if (!is_within_netns(&key.listener, &key.app))
		return;
	key.netns_cookie = bpf_get_netns_cookie(ctx);
	struct weft_flow *flow = bpf_map_lookup_elem(&weft_flows, &key);
	if (!flow)
		return;
	if (flow->leg && leg_join(ctx, sk, flow->leg, flow->leg_slot))
		callbacks_add(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
	else
		flow->leg = 0;
	if (flow->flags & WEFT_FLOW_UPSTREAM) {
		if (!flow->leg)
			callbacks_add(ctx, BPF_SOCK_OPS_RTT_CB_FLAG);
		bpf_map_delete_elem(&weft_flows, &key);
		return;
	}
	__u32 pod_id = flow->pod_id;
	if (!bpf_sk_storage_get(&weft_accepted, sk, flow, BPF_SK_STORAGE_GET_F_CREATE))
		reason_count(pod_id, WEFT_REASON_FLOW_TABLE_FULL);
	/* If the app's end has removed it meanwhile, the row that was copied may be another's. */
	if (bpf_map_delete_elem(&weft_flows, &key))
		bpf_sk_storage_delete(&weft_accepted, sk);
}

#endif
