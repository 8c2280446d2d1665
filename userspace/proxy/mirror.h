/*
 * A copy of a request for a mirror: sent beside the request, its answer thrown away, counted apart
 * from real traffic (WEFT_PROXY_MIRRORED, WEFT_PROXY_MIRROR_FAILED) and never waited for. It lives
 * on when the exchange has ended, for at most MIRROR_LIMIT_NS. Internal to proxy.
 */
#ifndef PROXY_MIRROR_H
#define PROXY_MIRROR_H

#include "http/message.h"
#include "policy/route_rewrite.h"

#define MIRROR_LIMIT_NS 15000000000ull

struct exchange;
struct mirror;
struct worker;

/* One that cannot be sent is only counted. A mirror that takes bytes more slowly than the window is
 * given up. */
void mirror_begin(struct exchange *exchange, const struct rewritten *forwarded,
		  uint32_t service_id);
/* The request goes on, or ends; for all mirrors of the exchange. */
void mirrors_body(struct exchange *exchange, struct span bytes);
void mirrors_trailers(struct exchange *exchange, const struct http_field *fields, size_t count);
void mirrors_complete(struct exchange *exchange);
/* The exchange ends; copies of a request that is not complete are cut. */
void mirrors_leave(struct exchange *exchange);
void mirrors_cut_all(struct worker *worker);

/* Called by upstream.c for the role MIRROR. */
void mirror_upstream_data(struct mirror *mirror, struct span bytes);
void mirror_upstream_eof(struct mirror *mirror);
void mirror_upstream_failed(struct mirror *mirror);

#endif
