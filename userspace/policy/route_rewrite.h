/*
 * What the filters of a chosen rule, and of its chosen backend, make of a request's and an answer's
 * head (the Gateway API's HTTPRouteFilter). The received head itself is never written to. Pure; a
 * rewriter is one worker's memory, and what it returns lives until it is asked again.
 *
 * Fields that are set or added come apart from the received ones (h1_rewrite.extra): a Connection
 * header of the sender can take out what it sent itself, never what a filter put there.
 */
#ifndef POLICY_ROUTE_REWRITE_H
#define POLICY_ROUTE_REWRITE_H

#include "base/attr.h"
#include "http/message.h"
#include "model/route.h"

struct rewriter;
struct rewriter *rewriter_new(void) MUST_CHECK; /* NULL = out of memory */
void rewriter_free(struct rewriter *rewriter);

struct rewritten {
	struct http_head head;
	const struct http_field *extra;
	size_t extra_count;
};

struct rewrite_request {
	const struct route_match *match;     /* which held; NULL: no route */
	const struct route_filters *rule;    /* NULL = none */
	const struct route_filters *backend; /* after the rule's; NULL = none */
	uint32_t consumed;                   /* segments that an identifier took (identify.h) */
};

/*
 * The path, where it is changed, is changed in its normal form (model/route_path.h); the query
 * stays. Targets that are no path ("*", CONNECT's) stay. 0 or -ENOMEM.
 */
int rewrite_request(struct rewriter *rewriter, const struct rewrite_request *request,
		    const struct http_head *head, struct rewritten *ret_rewritten) MUST_CHECK;
/* 0 or -ENOMEM. */
int rewrite_answer(struct rewriter *rewriter, const struct route_filters *rule,
		   const struct route_filters *backend, const struct http_head *head,
		   struct rewritten *ret_rewritten) MUST_CHECK;
/* One more field behind what this rewriter made last, or behind a head as it came. 0 or -ENOMEM. */
int rewritten_add(struct rewriter *rewriter, struct rewritten *rewritten,
		  struct http_field field) MUST_CHECK;
/* Nothing would change. */
bool rewrite_request_keeps(const struct rewrite_request *request);
bool rewrite_answer_keeps(const struct route_filters *rule, const struct route_filters *backend);

/*
 * Location of a redirect: `port` is the one that was dialled. Relative where the request names no
 * host. 0 or -ENOMEM.
 */
int rewrite_location(struct rewriter *rewriter, const struct route_redirect *redirect,
		     const struct route_match *match, const struct http_head *head, uint16_t port,
		     struct span *ret_location) MUST_CHECK;

#endif
