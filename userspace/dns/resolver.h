/*
 * Questions to DNS servers, on the ring of whoever asks (c-ares): nothing here waits. UDP first,
 * TCP where an answer was cut short, the next server when one fails. Owner: the ring's thread.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "base/text.h"
#include "dns/message.h"
#include "io/ring.h"

#define DNS_RESOLVER_SERVERS_MAX 16 /* that are asked; further ones are not */

struct dns_resolver;

enum dns_outcome {
	DNS_ANSWERED, /* by `message` */
	DNS_NO_NAME,  /* NXDOMAIN; `message` may say for how long */
	DNS_NO_DATA,  /* the name has no such records; the same */
	DNS_FAILED,   /* no server gave an answer, or a bad one: nothing is known */
	DNS_CANCELLED /* by dns_resolver_close */
};

/* One question, embedded in who asks; not to be freed while it is under way. */
struct dns_query {
	/* Set by who asks. It may come before dns_resolver_ask returns. `why`: a sentence, of what
	 * is no answer. `message` is lent until it returns. It never closes the resolver. */
	void (*done)(struct dns_query *query, enum dns_outcome outcome, struct span message,
		     const char *why);
	bool is_under_way;
	/* the resolver's own: */
	struct dns_resolver *resolver;
};

struct dns_resolver_options {
	struct io_ring *ring;
	const struct weft_address *servers; /* the first is asked first */
	uint32_t server_count;              /* 0: those of a file, also when it changes */
	const char *file;                   /* that has them then; NULL = /etc/resolv.conf */
	uint16_t port;                      /* of those in the file; 0 = 53 */
	uint64_t timeout_ns; /* for a server's answer, doubled at a second try; at least 1 ms */
	unsigned tries;      /* each server is asked so often; at least 1 */
};

/* 0 or -errno, with a sentence in `why`. Waits for no server. */
int dns_resolver_open(const struct dns_resolver_options *options, struct text *why,
		      struct dns_resolver **ret_resolver) MUST_CHECK;
/* Ends what is under way with DNS_CANCELLED; nothing more is asked. Not from `done`. */
void dns_resolver_stop(struct dns_resolver *resolver); /* NULL is fine */
/* It was stopped, and dns_resolver_close does not turn the ring any more. */
bool dns_resolver_has_ended(const struct dns_resolver *resolver);
/* As dns_resolver_stop. Ends what is under way with DNS_CANCELLED and turns the ring until its last
 * operation is back: not from a callback of that ring. NULL is fine. */
void dns_resolver_close(struct dns_resolver *resolver);
/* The class is IN; `name` is complete: no search list, no /etc/hosts. */
void dns_resolver_ask(struct dns_resolver *resolver, const char *name, enum dns_type type,
		      struct dns_query *query);
#endif
