/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a leg of the shortcut begins and ends: two sockets of one network namespace, of which one
 * dialled the other. The dialler opens it when it is established, before its handshake's last
 * segment leaves; the acceptor joins it when it comes up; whoever is closed last frees the slot.
 * What happens in between is shortcut.bpf.c's.
 */
#ifndef WEFT_LEG_BPF_H
#define WEFT_LEG_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "pod.bpf.h"

#define LEG_PROBES   8       /* slots that are tried */
#define PSOCK_MASK   (~7ull) /* the low bits of sk_user_data are flags */
#define O_NONBLOCK   04000
#define RCV_SHUTDOWN 1
#define QUEUE_STEPS  64 /* messages of a queue that are looked at */
#define QUEUE_LONG   (~0u)

/* Flavours: what tells that a socket needs TCP. */
struct sock_common___weft_leg {
	unsigned long skc_flags;
} __attribute__((preserve_access_index));
struct file___weft_leg {
	unsigned int f_flags;
} __attribute__((preserve_access_index));
struct socket___weft_leg {
	struct file___weft_leg *file;
} __attribute__((preserve_access_index));
struct sock___weft_leg {
	struct sock_common___weft_leg __sk_common;
	unsigned char sk_kern_sock : 1;
	int sk_rcvlowat;
	void *sk_user_data;
	struct socket___weft_leg *sk_socket;
	unsigned char sk_shutdown;
} __attribute__((preserve_access_index));
struct inet_connection_sock___weft_leg {
	const void *icsk_ulp_ops;
} __attribute__((preserve_access_index));
struct tcp_sock___weft_leg {
	struct inet_connection_sock___weft_leg inet_conn;
	__u32 write_seq;
	__u32 snd_nxt;
	__u64 bytes_sent;
} __attribute__((preserve_access_index));

enum blocking { BLOCKING, NONBLOCKING, NOT_ACCEPTED };

/*
 * A receive that waits in the kernel is not the same past TCP: whatever wakes it ends it, with
 * EAGAIN, and MSG_WAITALL ends with each message. Who polls notices nothing of that.
 */
static __always_inline enum blocking blocking_of(struct bpf_sock *sk)
{
	struct sock___weft_leg *full = (void *)bpf_skc_to_tcp_sock(sk);
	if (!full || !full->sk_socket || !full->sk_socket->file)
		return NOT_ACCEPTED;
	return full->sk_socket->file->f_flags & O_NONBLOCK ? NONBLOCKING : BLOCKING;
}

/* Never a byte by TCP, and none queued. */
static __always_inline bool sent_nothing(struct bpf_sock *sk)
{
	struct tcp_sock___weft_leg *tcp = (void *)bpf_skc_to_tcp_sock(sk);
	return tcp && tcp->bytes_sent == 0 && tcp->write_seq == tcp->snd_nxt;
}

/*
 * Completions of zero copy never come past TCP, a low-water mark is not looked at, and kernel TLS
 * would be passed by. What a listener of MPTCP accepts from a dialler without it is plain TCP by
 * now, and told by its listener having been the kernel's own; when it is accepted, MPTCP looks for
 * TCP's functions in it, and must not find the map's.
 */
static __always_inline bool needs_tcp(struct bpf_sock *sk)
{
	struct tcp_sock___weft_leg *tcp = (void *)bpf_skc_to_tcp_sock(sk);
	struct sock___weft_leg *full = (void *)tcp;
	if (!tcp)
		return true;
	__u64 flags = full->__sk_common.skc_flags;
	return flags >> bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY) & 1 ||
	       full->sk_rcvlowat > 1 || tcp->inet_conn.icsk_ulp_ops ||
	       BPF_CORE_READ_BITFIELD_PROBED(full, sk_kern_sock);
}

/* Flavours: a socket's queue of redirected messages. */
struct sk_msg_sg___weft {
	__u32 size;
} __attribute__((preserve_access_index));
struct sk_msg___weft {
	struct sk_msg_sg___weft sg;
	struct list_head list;
} __attribute__((preserve_access_index));
struct sk_psock___weft {
	struct sock *sk;
	struct list_head ingress_msg;
	unsigned long state;
} __attribute__((preserve_access_index));

/*
 * Bytes that hang unread in a socket's queue, as far as can be seen; QUEUE_LONG: many messages.
 * Read while the receiver takes from it: what is seen may be a little old, and never hurts.
 */
static __noinline __u32 queue_bytes(__u64 queue)
{
	struct sk_psock___weft *psock = NULL;
	struct sk_msg___weft *message = NULL;
	__u64 head = queue + bpf_core_field_offset(psock->ingress_msg);
	__u64 at = 0;
	__u32 bytes = 0;
	if (!queue || bpf_probe_read_kernel(&at, sizeof(at), (void *)head))
		return QUEUE_LONG;
	for (int i = 0; i < QUEUE_STEPS; i++) {
		__u32 size = 0;
		if (at == head || !at)
			return bytes;
		message = (void *)(at - bpf_core_field_offset(message->list));
		bpf_probe_read_kernel(&size, sizeof(size), &message->sg.size);
		bytes += size;
		if (bpf_probe_read_kernel(&at, sizeof(at), (void *)at))
			return bytes;
	}
	return QUEUE_LONG;
}

/* Where the kernel keeps what was redirected to the socket and not read yet. */
static __always_inline __u64 queue_of(struct bpf_sock *sk)
{
	struct sock___weft_leg *full = (void *)bpf_skc_to_tcp_sock(sk);
	return full ? (__u64)full->sk_user_data & PSOCK_MASK : 0;
}

/* A free slot near the cookie's own. */
static __always_inline struct weft_leg *leg_claim(__u64 id, __u32 *ret_slot)
{
	for (__u32 i = 0; i < LEG_PROBES; i++) {
		__u32 slot = (__u32)(id + i) & (WEFT_LEGS_MAX - 1);
		struct weft_leg *leg = bpf_map_lookup_elem(&weft_legs, &slot);
		if (leg && __sync_val_compare_and_swap(&leg->id, 0, id) == 0) {
			*ret_slot = slot;
			return leg;
		}
	}
	return NULL;
}

static __always_inline void leg_let_go(struct weft_leg *leg)
{
	if (__sync_fetch_and_add(&leg->ends, -1) == 1)
		__sync_lock_test_and_set(&leg->id, 0);
}

/* Has a connection of the service overflowed its window lately? */
static __always_inline bool service_is_bulky(__u32 service_id)
{
	__u64 *since = bpf_map_lookup_elem(&weft_bulky, &service_id);
	return since && bpf_ktime_get_ns() - *since < WEFT_SHORTCUT_BULK_NS;
}

static __always_inline void leg_demote(struct weft_leg *leg, enum weft_reason reason)
{
	if (__sync_val_compare_and_swap(&leg->demoted, 0, reason) != 0)
		return;
	reason_count(leg->pod_id, reason);
	if (reason != WEFT_REASON_DEMOTED_WINDOW || leg->service_id == 0)
		return;
	__u32 service_id = leg->service_id;
	__u64 now = bpf_ktime_get_ns();
	bpf_map_update_elem(&weft_bulky, &service_id, &now, BPF_ANY);
}

/* Into the map that redirects find it by. */
static __always_inline bool leg_enter(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				      struct weft_leg *leg, __u64 id, __u32 slot, __u32 side)
{
	struct weft_leg_end end = {.leg = id, .slot = slot, .side = side};
	struct weft_leg_key key = {.leg = id, .side = side};
	if (!bpf_sk_storage_get(&weft_leg_ends, sk, &end, BPF_SK_STORAGE_GET_F_CREATE))
		return false;
	if (bpf_sock_hash_update(ctx, &weft_leg_sockets, &key, BPF_NOEXIST)) {
		bpf_sk_storage_delete(&weft_leg_ends, sk);
		return false;
	}
	leg->queues[side & 1] = queue_of(sk);
	return true;
}

/* The dialling end is established. False: the connection stays on TCP, counted. */
static __always_inline bool leg_open(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				     const struct weft_leg *wanted, __u64 *ret_id, __u32 *ret_slot)
{
	enum weft_reason reason = WEFT_REASON_TCP_FULL;
	if (needs_tcp(sk)) {
		reason = WEFT_REASON_TCP_SOCKET;
		goto stays;
	}
	if (wanted->app_side == WEFT_LEG_DIALLER && blocking_of(sk) != NONBLOCKING) {
		reason = WEFT_REASON_TCP_BLOCKING;
		goto stays;
	}
	if (!sent_nothing(sk)) {
		reason = WEFT_REASON_TCP_EARLY;
		goto stays;
	}
	__u64 id = bpf_get_socket_cookie(ctx);
	__u32 slot = 0;
	struct weft_leg *leg = leg_claim(id, &slot);
	if (!leg)
		goto stays;
	leg->pod_id = wanted->pod_id;
	leg->service_id = wanted->service_id;
	leg->window_bytes = wanted->window_bytes;
	leg->app_side = wanted->app_side;
	leg->demoted = leg->wants_tcp = leg->unread = 0;
	leg->ends = 1;
	leg->queues[0] = leg->queues[1] = 0;
	__builtin_memset(leg->ways, 0, sizeof(leg->ways));
	if (!leg_enter(ctx, sk, leg, id, slot, WEFT_LEG_DIALLER)) {
		leg_let_go(leg);
		goto stays;
	}
	*ret_id = id;
	*ret_slot = slot;
	return true;
stays:
	reason_count(wanted->pod_id, reason);
	return false;
}

/* The accepting end comes up. */
static __always_inline bool leg_join(struct bpf_sock_ops *ctx, struct bpf_sock *sk, __u64 id,
				     __u32 slot)
{
	struct weft_leg *leg = bpf_map_lookup_elem(&weft_legs, &slot);
	if (!leg || leg->id != id)
		return false;
	/* From 0 it would be a second first: the dialler is gone, and is about to free the slot. */
	if (__sync_val_compare_and_swap(&leg->ends, 1, 2) != 1)
		return false;
	__u32 pod_id = leg->pod_id;
	if (leg->id != id) { /* it was gone and the slot is another's, which waits for its own */
		leg_let_go(leg);
		return false;
	}
	if (!needs_tcp(sk) && leg_enter(ctx, sk, leg, id, slot, WEFT_LEG_ACCEPTOR)) {
		reason_count(pod_id, WEFT_REASON_SHORTCUT);
		return true;
	}
	leg->demoted = WEFT_REASON_TCP_SOCKET;
	leg_let_go(leg);
	reason_count(pod_id, WEFT_REASON_TCP_SOCKET);
	return false;
}

/* The leg that this socket is an end of. */
static __always_inline struct weft_leg *leg_of(struct bpf_sock *sk, struct weft_leg_end **ret_end)
{
	struct weft_leg_end *end = bpf_sk_storage_get(&weft_leg_ends, sk, NULL, 0);
	if (!end)
		return NULL;
	struct weft_leg *leg = bpf_map_lookup_elem(&weft_legs, &end->slot);
	if (!leg || leg->id != end->leg)
		return NULL;
	*ret_end = end;
	return leg;
}

/*
 * close() has stopped the queue before TCP is asked, and it is still in memory, since somebody else
 * holds it or it is freed after a grace period. TCP would send a RST for unread bytes and knows
 * nothing of these. After shutdown() it is not stopped.
 */
static __always_inline bool was_closed_unread(struct bpf_sock *sk, __u64 queue)
{
	struct sk_psock___weft *psock = (void *)queue;
	void *full = bpf_skc_to_tcp_sock(sk);
	unsigned long state = 0;
	__u64 owner = 0;
	bpf_probe_read_kernel(&owner, sizeof(owner), &psock->sk);
	bpf_probe_read_kernel(&state, sizeof(state), &psock->state);
	if (!full || owner != (__u64)full ||
	    state >> bpf_core_enum_value(enum sk_psock_state_bits, SK_PSOCK_TX_ENABLED) & 1)
		return false;
	return queue_bytes(queue) > 0;
}

/* The first step of an end: later on, the memory of its queue may be another's. */
static __always_inline bool is_first_step(int from)
{
	return from == BPF_TCP_ESTABLISHED || from == BPF_TCP_CLOSE_WAIT;
}

/* shutdown() both ways, or close(): TCP answers what comes then with a RST. */
static __always_inline bool reads_no_more(struct bpf_sock *sk, int to)
{
	struct sock___weft_leg *full = (void *)bpf_skc_to_tcp_sock(sk);
	return to == BPF_TCP_FIN_WAIT1 && full && full->sk_shutdown & RCV_SHUTDOWN;
}

/* One end goes to another state. */
static __always_inline void leg_end_changed(struct bpf_sock *sk, int from, int to)
{
	struct weft_leg_end *end;
	struct weft_leg *leg = leg_of(sk, &end);
	if (!leg)
		return;
	__u32 side = end->side & 1;
	if (is_first_step(from) && leg->queues[side] && was_closed_unread(sk, leg->queues[side]))
		leg->unread |= 1 << side;
	if (reads_no_more(sk, to))
		leg->wants_tcp = WEFT_REASON_DEMOTED_NO_PEER;
	if (to != BPF_TCP_CLOSE)
		return;
	end->slot = WEFT_LEGS_MAX;
	leg_let_go(leg);
}

/*
 * A socket that its program gave up by connect(AF_UNSPEC) dials again. TCP has dropped what was
 * unread; its queue, which the kernel's map holds, goes now. The new connection stays on TCP: of
 * the old one somebody may still be sending to the name that a leg of this socket would have again.
 */
static __always_inline void leg_dials_again(struct bpf_sock *sk)
{
	struct weft_leg_end *end = bpf_sk_storage_get(&weft_leg_ends, sk, NULL, 0);
	if (!end)
		return;
	struct weft_leg_key key = {.leg = end->leg, .side = end->side};
	bpf_map_delete_elem(&weft_leg_sockets, &key);
	bpf_sk_storage_delete(&weft_leg_ends, sk);
	struct weft_flow *dial = bpf_sk_storage_get(&weft_dials, sk, NULL, 0);
	if (!dial || !dial->shortcut_window)
		return;
	dial->shortcut_window = 0;
	reason_count(dial->pod_id, WEFT_REASON_TCP_EARLY);
}

#endif
