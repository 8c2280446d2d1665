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

/* Volatile, since the verifier takes no pointer into the context that the compiler computed. */
#define context_read(field) (*(volatile typeof(field) *)&(field))

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

/* Our end towards an app is established: if the other one is in this namespace too, it joins. */
static __always_inline void flow_file_upstream(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					       const struct weft_socket *mark)
{
	struct weft_flow_key key = {.netns_cookie = bpf_get_netns_cookie(ctx)};
	struct weft_flow flow = {.flags = WEFT_FLOW_UPSTREAM};
	struct weft_leg wanted = {.pod_id = mark->pod_id,
				  .service_id = mark->service_id,
				  .window_bytes = mark->shortcut_window};
	ends_of(ctx, &key.app, &key.listener);
	if (!is_within_netns(&key.listener, &key.app))
		return;
	if (!leg_open(ctx, sk, &wanted, &flow.leg, &flow.leg_slot))
		return;
	flow.pod_id = mark->pod_id;
	if (bpf_map_update_elem(&weft_flows, &key, &flow, BPF_ANY))
		reason_count(mark->pod_id, WEFT_REASON_TCP_FULL);
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
					  .window_bytes = dial->shortcut_window};
		leg_open(ctx, sk, &wanted, &dial->leg, &dial->leg_slot);
	}
	if (bpf_map_update_elem(&weft_flows, &key, dial, BPF_ANY))
		reason_count(dial->pod_id, WEFT_REASON_FLOW_TABLE_FULL);
}

/* The app's end is gone; if ours has not come up until now, it will not. */
static __always_inline void flow_app_closed(struct bpf_sock_ops *ctx)
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
		bpf_sock_ops_cb_flags_set(ctx,
					  ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	else
		flow->leg = 0;
	if (flow->flags & WEFT_FLOW_UPSTREAM) {
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
