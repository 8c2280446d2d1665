/*
 * A request's head asked about: its name, its rule, its backend. Decides for exchange.c; what lasts
 * longer than this turn is numbers and copies, as a snapshot's routes may be gone in the next.
 * Internal to proxy.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "policy/identify.h"
#include "policy/route_rewrite.h"
#include "proxy/session.h"

struct kept_change;

#define ROUTE_MIRRORS_MOST 8 /* four of the rule, four of the backend */

/* Of an exchange, for as long as it lasts. */
struct exchange_route {
	uint32_t service_id;  /* where the request goes; 0: to its original destination */
	uint32_t series;      /* of the rule that took it; SERIES_NONE = none did */
	uint32_t fallback_id; /* service that takes it when that is unreachable; 0 = none */
	bool has_address;     /* it goes to `address`, which is no service's */
	struct weft_address address;
	uint32_t retry_attempts;    /* beside the first; ROUTE_NONE = the rule says nothing */
	uint64_t retry_codes[4];    /* bit N: status 400 + N */
	uint64_t backoff_ns;        /* base between tries; 0 = the rule says nothing */
	uint64_t request_ns;        /* whole request with retries; 0 = no limit of the rule */
	uint64_t backend_ns;        /* one try; 0 = no limit of the rule */
	struct kept_change *answer; /* what is changed in the answer's head; NULL = nothing */
};

/* What to do with this head, now. */
struct route_way {
	unsigned status; /* 0: forward it; 3xx: redirect; else answer so */
	enum weft_proxy_reason reason;
	const char *text;           /* of an answer that is no redirect */
	struct span location;       /* of a redirect */
	struct rewritten forwarded; /* the head as it goes on */
	bool is_pending;            /* its name is not known yet; `status` if it cannot wait */
	bool strips_dtab;           /* without its l5d-dtab and l5d-ctx-dtab ... */
	struct span dtab;           /* ... but with this l5d-ctx-dtab; size 0 = none */
	uint32_t mirror_count;
	uint32_t mirrors[ROUTE_MIRRORS_MOST]; /* services that get a copy */
};

/* 0 or -ENOMEM. `forwarded` and `location` live until the worker's next request. */
int route_request(struct session *session, const struct http_head *head,
		  struct exchange_route *ret_route, struct route_way *ret_way) MUST_CHECK;
void exchange_route_fini(struct exchange_route *route);
static inline bool route_retries_code(const struct exchange_route *route, unsigned status)
{
	unsigned bit = status - 400;
	return status >= 400 && status < 600 && (route->retry_codes[bit / 64] >> (bit % 64) & 1);
}

/* The head of a final answer as it goes to the client. 0 or -ENOMEM. */
int route_answer(struct worker *worker, const struct exchange_route *route,
		 const struct http_head *head, struct rewritten *ret_rewritten) MUST_CHECK;

#endif
