/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An address and a port as both sides of the kernel boundary store it. IPv4 is always folded into
 * v4-mapped IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that one key type serves both families.
 */
#ifndef WEFT_ADDRESS_H
#define WEFT_ADDRESS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct weft_address {
	__u8 ip[16];
	__be16 port; /* network byte order */
	__u16 pad;   /* always 0: the struct is hashed as bytes */
};

_Static_assert(sizeof(struct weft_address) == 20, "kernel contract: struct weft_address");

#endif
