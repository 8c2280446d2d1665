/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sockops: the life of captured sockets and of our own dials. Passes flows on (flow.bpf.h) and adds
 * what a connection moved to weft_traffic when it ends. One program, since the kernel calls every
 * sockops program for every event of every socket.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "address.bpf.h"
#include "flow.bpf.h"
#include "maps.bpf.h"
#include "pod.bpf.h"

/* Flavour: where tcp_fin() leaves a note. */
struct sock_common___weft_flags {
	unsigned long skc_flags;
} __attribute__((preserve_access_index));
struct sock___weft_flags {
	struct sock_common___weft_flags __sk_common;
} __attribute__((preserve_access_index));

static __always_inline void traffic_opened(const struct weft_traffic_key *key)
{
	struct weft_traffic *row = bpf_map_lookup_elem(&weft_traffic, key);
	if (!row) {
		struct weft_traffic none = {};
		bpf_map_update_elem(&weft_traffic, key, &none, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&weft_traffic, key);
	}
	if (row)
		__sync_fetch_and_add(&row->connections_opened, 1);
}

/* TCP counts FIN and SYN as acknowledged and FIN as received; payload is wanted. */
static __always_inline __u64 without(__u64 bytes, __u64 flags)
{
	return bytes > flags ? bytes - flags : 0;
}

static __always_inline void traffic_closed(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					   const struct weft_traffic_key *key)
{
	struct weft_traffic *row = bpf_map_lookup_elem(&weft_traffic, key);
	if (!row)
		return;
	__u32 from = ctx->args[0];
	bool fin_acked = from == BPF_TCP_FIN_WAIT2 || from == BPF_TCP_LAST_ACK ||
			 from == BPF_TCP_CLOSING || from == BPF_TCP_TIME_WAIT;
	struct sock___weft_flags *full = (void *)bpf_skc_to_tcp_sock(sk);
	bool fin_received =
		full &&
		full->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;
	__u64 rtt_us = ctx->srtt_us >> 3;
	__sync_fetch_and_add(&row->connections_closed, 1);
	__u64 sent = without(ctx->bytes_acked, 1 + fin_acked);
	__u64 received = without(ctx->bytes_received, fin_received);
	struct weft_leg_end *end;
	struct weft_leg *leg = leg_of(sk, &end); /* TCP does not count what passes it by */
	if (leg) {
		__u64 sent_past = leg->ways[WEFT_LEG_DIALLER].bytes;
		__u64 received_past = leg->ways[WEFT_LEG_ACCEPTOR].bytes;
		sent += sent_past;
		received += received_past;
		__sync_fetch_and_add(&row->shortcut_bytes, sent_past + received_past);
	}
	__sync_fetch_and_add(&row->bytes_sent, sent);
	__sync_fetch_and_add(&row->bytes_received, received);
	__sync_fetch_and_add(&row->retransmitted_segments, ctx->total_retrans);
	__sync_fetch_and_add(&row->rtt_us_sum, rtt_us);
	if (rtt_us > row->rtt_us_max) /* a lost race costs one sample of a maximum */
		row->rtt_us_max = rtt_us;
}

static __always_inline struct weft_traffic_key traffic_key(__u32 pod_id, __u32 service_id,
							   __u32 role)
{
	struct weft_traffic_key key;
	key.pod_id = pod_id;
	key.service_id = service_id;
	key.role = role;
	key.pad = 0;
	return key;
}

static __always_inline struct weft_traffic_key traffic_of_app(const struct weft_flow *dial)
{
	return traffic_key(dial->pod_id, dial->service_id, 0);
}

static __always_inline struct weft_traffic_key traffic_of_upstream(const struct weft_socket *mark)
{
	return traffic_key(mark->pod_id, mark->service_id, WEFT_SOCKET_UPSTREAM);
}

static __always_inline void watch_close(struct bpf_sock_ops *ctx)
{
	callbacks_add(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* A dial succeeded. */
static __always_inline void active_established(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct weft_flow *dial = bpf_sk_storage_get(&weft_dials, sk, NULL, 0);
	if (dial) {
		struct weft_traffic_key key = traffic_of_app(dial);
		flow_file(ctx, sk, dial);
		traffic_opened(&key);
		watch_close(ctx);
		return;
	}
	struct weft_socket *mark = bpf_sk_storage_get(&weft_sockets, sk, NULL, 0);
	if (mark && mark->role == WEFT_SOCKET_UPSTREAM) {
		struct weft_traffic_key key = traffic_of_upstream(mark);
		if (mark->shortcut_window)
			flow_file_upstream(ctx, sk, mark);
		traffic_opened(&key);
		watch_close(ctx);
	}
}

/* A watched socket is gone: an app's or an upstream. */
static __always_inline void closed(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct weft_flow *dial = bpf_sk_storage_get(&weft_dials, sk, NULL, 0);
	if (dial) {
		struct weft_traffic_key key = traffic_of_app(dial);
		flow_dialler_closed(ctx);
		traffic_closed(ctx, sk, &key);
		return;
	}
	struct weft_socket *mark = bpf_sk_storage_get(&weft_sockets, sk, NULL, 0);
	if (mark && mark->role == WEFT_SOCKET_UPSTREAM) {
		struct weft_traffic_key key = traffic_of_upstream(mark);
		if (mark->shortcut_window)
			flow_dialler_closed(ctx);
		traffic_closed(ctx, sk, &key);
	}
}

SEC("sockops")
int weft_sockops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		leg_dials_again(sk);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		active_established(ctx, sk);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		flow_move(ctx, sk);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		server_look(ctx, sk);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == BPF_TCP_CLOSE)
			closed(ctx, sk);
		leg_end_changed(sk, ctx->args[0], ctx->args[1]);
		break;
	}
	return 1;
}

char weft_license[] SEC("license") = "Dual BSD/GPL";
