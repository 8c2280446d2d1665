/*
 * Who serves a name, by DNS: the addresses of a host, or what its SRV records say (RFC 2782), as
 * endpoints with weights. linkerd1.md M7. Owner: the resolver's thread.
 */
#ifndef DNS_LOOKUP_H
#define DNS_LOOKUP_H

#include "dns/resolver.h"

#define DNS_ENDPOINTS_MAX 256 /* of one name; further ones are left out */
#define DNS_WEIGHT_MAX    65535u

/* Which addresses of a host count. In the order of the key namers[].family. */
enum dns_family {
	DNS_FAMILY_AUTO, /* those of IPv4, and those of IPv6 where there are no others */
	DNS_FAMILY_V4,
	DNS_FAMILY_V6,
	DNS_FAMILY_BOTH,
};

enum dns_finding {
	DNS_FOUND,
	DNS_ABSENT,  /* DNS says that nobody serves it */
	DNS_UNKNOWN, /* DNS does not say: servers fail, or answer nothing of use */
};

struct dns_endpoint {
	struct weft_address address;
	uint32_t weight; /* 1..DNS_WEIGHT_MAX */
};

struct dns_found {
	enum dns_finding finding;
	bool is_partial; /* found, but some question failed that might have found more */
	const char *why; /* a sentence, of what is not found */
	uint32_t ttl_s;  /* how long that holds; UINT32_MAX = nobody said */
	uint32_t count;
	const struct dns_endpoint *endpoints; /* sorted by address, each once */
};

struct dns_lookup;

struct dns_lookup_options {
	struct dns_resolver *resolver;
	const char *name; /* complete */
	bool is_service;  /* ask for SRV, which has the ports */
	uint16_t port;    /* of a host; host order */
	enum dns_family family;
	/* Once, unless it is abandoned or the resolver closes; perhaps before dns_lookup_start
	 * returns. What was found is lent until it returns. */
	void (*done)(void *owner, const struct dns_found *found);
	void *owner;
};

/* 0 or -ENOMEM. *ret_lookup is set before `done` comes; it is gone afterwards. */
int dns_lookup_start(const struct dns_lookup_options *options,
		     struct dns_lookup **ret_lookup) MUST_CHECK;
/* `done` does not come. NULL is fine. */
void dns_lookup_abandon(struct dns_lookup *lookup);

#endif
