/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sk_msg and cgroup/setsockopt: what an end of a leg sends goes straight to the other end's queue.
 *
 * A message is redirected only while nothing that this socket sent went by TCP, and while the other
 * end is there and reads. Once a message had to go by TCP, all later ones of both ends do:
 * REDIRECT -> PASS keeps the order, since a receiver reads what was redirected first, and
 * PASS -> REDIRECT would not.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "address.bpf.h"
#include "leg.bpf.h"
#include "maps.bpf.h"
#include "pod.bpf.h"

#define SOL_SOCKET  1
#define SO_RCVLOWAT 18
#define SO_ZEROCOPY 60
#define TCP_ULP     31
#define EOPNOTSUPP  95

/*
 * Room for that many more bytes towards the other side? Counted first, looked up when too much. Who
 * has read everything gets any message, also one larger than the window: half a MiB at the most.
 */
static __always_inline bool has_room(struct weft_leg *leg, __u32 from, __u32 size)
{
	struct weft_leg_way *way = &leg->ways[from & 1];
	if (way->outstanding + size <= leg->window_bytes)
		return true;
	__u32 unread = queue_bytes(leg->queues[!(from & 1)]);
	if (unread > leg->window_bytes) /* also QUEUE_LONG */
		return false;
	way->outstanding = unread;
	return unread == 0 || unread + size <= leg->window_bytes;
}

/* Not any more after shutdown() or a reset: TCP answers EPIPE, a redirection would succeed. */
static __always_inline bool may_send(const struct bpf_sock *sk)
{
	return sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_CLOSE_WAIT;
}

/* What accepted the socket is not what was seen there before: its next connections go by TCP. */
static __always_inline void server_forget(struct sk_msg_md *msg)
{
	struct weft_server server = {.netns_cookie = bpf_get_netns_cookie(msg)};
	__be16 port = bpf_htons((__u16)context_read(msg->local_port));
	__be32 word0 = context_read(msg->local_ip6[0]), word1 = context_read(msg->local_ip6[1]);
	__be32 word2 = context_read(msg->local_ip6[2]), word3 = context_read(msg->local_ip6[3]);
	if (msg->family == AF_INET6)
		address_set(&server.address, word0, word1, word2, word3, port);
	else
		address_set_v4(&server.address, context_read(msg->local_ip4), port);
	bpf_map_delete_elem(&weft_servers, &server);
}

SEC("sk_msg")
int weft_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct weft_leg_end *end;
	if (!sk || !may_send(sk))
		return SK_PASS;
	struct weft_leg *leg = leg_of(sk, &end);
	if (!leg || leg->demoted)
		return SK_PASS;
	__u32 side = end->side & 1, size = msg->size;
	if (leg->wants_tcp) {
		leg_demote(leg, leg->wants_tcp);
		return SK_PASS;
	}
	if (side == leg->app_side && blocking_of(sk) == BLOCKING) {
		leg_demote(leg, WEFT_REASON_DEMOTED_BLOCKING);
		if (side == WEFT_LEG_ACCEPTOR)
			server_forget(msg);
		return SK_PASS;
	}
	if (!sent_nothing(sk)) {
		leg_demote(leg, WEFT_REASON_DEMOTED_SENT);
		return SK_PASS;
	}
	if (!has_room(leg, side, size)) {
		leg_demote(leg, WEFT_REASON_DEMOTED_WINDOW);
		return SK_PASS;
	}
	struct weft_leg_key peer = {.leg = end->leg, .side = !side};
	if (bpf_msg_redirect_hash(msg, &weft_leg_sockets, &peer, BPF_F_INGRESS) != SK_PASS) {
		leg_demote(leg, WEFT_REASON_DEMOTED_NO_PEER);
		return SK_PASS;
	}
	struct weft_leg_way *way = &leg->ways[side];
	way->bytes += size;
	way->messages++;
	way->outstanding += size;
	return SK_PASS;
}

/* What an option asks of its socket. */
enum option_needs { OPTION_ANY, OPTION_TCP, OPTION_TCP_FROM_THE_START };

static __always_inline enum option_needs option_judge(struct bpf_sockopt *ctx)
{
	if (ctx->level == IPPROTO_TCP && ctx->optname == TCP_ULP)
		return OPTION_TCP_FROM_THE_START;
	if (ctx->level != SOL_SOCKET ||
	    (ctx->optname != SO_ZEROCOPY && ctx->optname != SO_RCVLOWAT))
		return OPTION_ANY;
	int *value = ctx->optval;
	if ((void *)(value + 1) > ctx->optval_end)
		return OPTION_ANY; /* the kernel answers EINVAL */
	if (ctx->optname == SO_RCVLOWAT)
		return *value > 1 || *value < 0 ? OPTION_TCP : OPTION_ANY; /* < 0: all */
	return *value ? OPTION_TCP_FROM_THE_START : OPTION_ANY;
}

/*
 * A socket that has the shortcut keeps its place in the kernel's map until it is closed, so what
 * works there never (completions of zero copy, TLS of the kernel) is refused, as a kernel without
 * it would: programs have a way without. What works as soon as bytes go by TCP is granted.
 */
SEC("cgroup/setsockopt")
int weft_setsockopt(struct bpf_sockopt *ctx)
{
	struct weft_leg_end *end;
	enum option_needs needs = option_judge(ctx);
	if (needs == OPTION_ANY || !ctx->sk)
		goto pass;
	struct weft_leg *leg = leg_of(ctx->sk, &end);
	if (!leg)
		goto pass;
	if (needs == OPTION_TCP) {
		leg_demote(leg, WEFT_REASON_DEMOTED_OPTION);
		goto pass;
	}
	reason_count(leg->pod_id, WEFT_REASON_REFUSED_OPTION);
	bpf_set_retval(-EOPNOTSUPP);
	return 0;
pass:
	ctx->optlen = 0; /* the caller's own bytes; others would be refused beyond a page */
	return 1;
}

char weft_license[] SEC("license") = "Dual BSD/GPL";
