/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one place where IPv4 is folded into v4-mapped IPv6, and questions about folded addresses.
 * `word` n of an address is bytes 4n..4n+3 in network byte order.
 */
#ifndef WEFT_ADDRESS_BPF_H
#define WEFT_ADDRESS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "weft/address.h"

#define AF_INET         2
#define AF_INET6        10
#define V4_LOOPBACK     0x7f000001 /* 127.0.0.1, host order */
#define V4_MAPPED_WORD2 0x0000ffff /* host order */

/* Volatile, since the verifier takes no pointer into the context that the compiler computed. */
#define context_read(field) (*(volatile typeof(field) *)&(field))

static __always_inline void address_set(struct weft_address *address, __be32 word0, __be32 word1,
					__be32 word2, __be32 word3, __be16 port)
{
	__be32 *words = (__be32 *)address->ip;
	words[0] = word0;
	words[1] = word1;
	words[2] = word2;
	words[3] = word3;
	address->port = port;
	address->pad = 0;
}

static __always_inline void address_set_v4(struct weft_address *address, __be32 ip, __be16 port)
{
	address_set(address, 0, 0, bpf_htonl(V4_MAPPED_WORD2), ip, port);
}

static __always_inline __u32 address_word(const struct weft_address *address, int n)
{
	return bpf_ntohl(((const __be32 *)address->ip)[n]);
}

static __always_inline bool address_is_v4(const struct weft_address *address)
{
	return address_word(address, 0) == 0 && address_word(address, 1) == 0 &&
	       address_word(address, 2) == V4_MAPPED_WORD2;
}

/* 0.0.0.0, ::ffff:0.0.0.0 or :: */
static __always_inline bool address_is_any(const struct weft_address *address)
{
	__u32 word2 = address_word(address, 2);
	return address_word(address, 0) == 0 && address_word(address, 1) == 0 &&
	       (word2 == 0 || word2 == V4_MAPPED_WORD2) && address_word(address, 3) == 0;
}

static __always_inline bool address_is_loopback(const struct weft_address *address)
{
	if (address_is_v4(address))
		return address_word(address, 3) >> 24 == 127;
	return address_word(address, 0) == 0 && address_word(address, 1) == 0 &&
	       address_word(address, 2) == 0 && address_word(address, 3) == 1;
}

/* Multicast, broadcast, and IPv6 link-local (whose scope the hook does not see). */
static __always_inline bool address_is_unroutable(const struct weft_address *address)
{
	if (address_is_v4(address))
		return address_word(address, 3) >> 28 >= 0xe;
	__u32 word0 = address_word(address, 0);
	return word0 >> 24 == 0xff || (word0 & 0xffc00000) == 0xfe800000;
}

#endif
