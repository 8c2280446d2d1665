/*
 * Address and port, IPv4 folded into v4-mapped IPv6 (RFC 4291 2.5.5.2). The same bytes as struct
 * weft_address. Any thread.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/span.h"
#include "weft/address.h"

#define ADDRESS_TEXT_MAX 56 /* "[v6 address]:65535" with its NUL */

static inline bool address_is_v4(const struct weft_address *address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(address->ip, mapped, sizeof(mapped)) == 0;
}

static inline bool address_equal(const struct weft_address *a, const struct weft_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool address_is_loopback(const struct weft_address *address);
bool address_is_any(const struct weft_address *address); /* 0.0.0.0 or :: , port ignored */

/* "10.0.0.1" or "2001:db8::1" (brackets allowed); port in host order. 0 or -EINVAL. */
int address_parse_ip(struct span ip, uint16_t port, struct weft_address *ret) MUST_CHECK;
/* "10.0.0.1:80" or "[2001:db8::1]:80". 0 or -EINVAL. */
int address_parse(struct span text, struct weft_address *ret) MUST_CHECK;
/* "10.0.0.1:80" / "[2001:db8::1]:80"; returns `text`. */
const char *address_print(const struct weft_address *address, char text[ADDRESS_TEXT_MAX]);
/* Without the port and without brackets; returns `text`. */
const char *address_print_ip(const struct weft_address *address, char text[ADDRESS_TEXT_MAX]);

/* From AF_INET or AF_INET6; false for any other family. */
bool address_from_sockaddr(const struct sockaddr *from, struct weft_address *ret);
/* AF_INET for v4-mapped addresses, else AF_INET6; returns the length used. */
socklen_t address_to_sockaddr(const struct weft_address *address, struct sockaddr_storage *ret);

/* Good spread over 32 bits, for tables. */
uint32_t address_hash(const struct weft_address *address);

#endif
