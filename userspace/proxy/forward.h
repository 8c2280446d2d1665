/*
 * A message on its way from one wire to the other: head, body, end. The same for requests and
 * answers. Internal to proxy.
 */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "http/h1.h"
#include "model/snapshot.h"
#include "proxy/replay.h"

/* One message, as its receiver gets it. */
struct forward {
	uint8_t framing;     /* enum http_framing */
	bool has_ended;      /* its last chunk was written with trailers */
	struct replay *copy; /* of body and end: kept to be sent again; NULL = none */
};

/* What the sender's bytes of this moment lie in: may be taken. */
struct forward_lent {
	struct block **block; /* NULL = nothing */
	const char *end;
};

/* The pseudonym of `via: true`, or nothing (RFC 9110 7.6.3). */
struct span forward_via(const struct settings *settings);

/* All return 0 or -ENOMEM. But for forward_head, `to` may be NULL: only the copy is made. */

/* `ret_written`, where not NULL: the head as it lies in the queue until the end of this turn; size
 * 0 when it is larger than a block. */
int forward_head(struct wire *to, const struct http_head *head, const struct h1_rewrite *rewrite,
		 struct span *ret_written) MUST_CHECK;
/* Only into the copy: it is sent later. */
int forward_head_later(struct replay *copy, const struct http_head *head,
		       const struct h1_rewrite *rewrite) MUST_CHECK;
/* Without a copy when the rest of what is lent is body. `lent` NULL: always copied. */
int forward_body(const struct forward *forward, struct wire *to, struct span bytes,
		 const struct forward_lent *lent) MUST_CHECK;
/* Only a chunked message carries trailers; otherwise they are left out. */
int forward_trailers(struct forward *forward, struct wire *to, const struct http_field *fields,
		     size_t count) MUST_CHECK;
int forward_end(const struct forward *forward, struct wire *to) MUST_CHECK;

#endif
