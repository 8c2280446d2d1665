/*
 * A DNS answer read: what it says of one name (RFC 1035 4, RFC 2782). Pure; any thread.
 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include "base/address.h"

#define DNS_NAME_MAX      256 /* a name as text, with its NUL (RFC 1035 2.3.4: 253 characters) */
#define DNS_ADDRESSES_MAX 64  /* of one name; further ones are left out */
#define DNS_SERVERS_MAX   64  /* SRV records of one name; further ones are left out */

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_AAAA = 28, DNS_SRV = 33 };

/* What an SRV record says, and the addresses that came with it. */
struct dns_server {
	uint16_t priority; /* the lowest first */
	uint16_t weight;
	uint16_t port;
	char target[DNS_NAME_MAX]; /* in lower case; "" = decidedly not available (RFC 2782) */
};

/* An address that stands in the answer or in its additional section; the port is 0. */
struct dns_address {
	uint32_t ttl_s;
	uint16_t server; /* index in `servers`, of the first with this target; with DNS_SRV */
	struct weft_address address;
};

struct dns_answer {
	uint32_t ttl_s;          /* the least of what was used; UINT32_MAX = nothing was */
	uint32_t negative_ttl_s; /* RFC 2308 5; UINT32_MAX = no SOA is there */
	uint32_t address_count;
	uint32_t server_count;
	struct dns_address addresses[DNS_ADDRESSES_MAX];
	struct dns_server servers[DNS_SERVERS_MAX];
};

/*
 * Of the answer to the question `name`, `type` (DNS_A, DNS_AAAA or DNS_SRV): aliases are followed,
 * what belongs to another name is not looked at. 0, or -EBADMSG: its bytes are no such message. An
 * answer without records is good and empty.
 */
int dns_answer_read(struct span message, const char *name, enum dns_type type,
		    struct dns_answer *ret_answer) MUST_CHECK;

/* A name that can be asked for: labels of 1 to 63 letters, digits, - and _, in all at most 253, and
 * no more than a dot behind it. */
bool dns_name_is_valid(struct span name);

#endif
