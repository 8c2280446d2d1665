/*
 * Second tries and the clock of an exchange: what failed before a byte of an answer was passed on
 * is discarded and sent again, after a wait and to another endpoint where there is one
 * (linkerd1.md 1.15); what takes too long is answered 504 (1.17). Internal to proxy.
 */
#ifndef PROXY_RETRY_H
#define PROXY_RETRY_H

#include "policy/classify.h"
#include "proxy/exchange.h"

/* What holds for this request: its route's rule, where that says something, else its service
 * (Gateway API, HTTPRouteTimeouts and HTTPRouteRetry). 0 = no limit; NULL = no service. */
uint64_t retry_total_ns(const struct exchange *exchange, const struct service *service);
/* With the first, at least 1. */
uint32_t retry_attempts_most(const struct exchange *exchange, const struct service *service);
/*
 * An answer's own `l5d-retryable` or nack counts (C7, H15). Apps that pass on the answers of their
 * own upstreams pass such fields on, too, when they have done their part of the request: so only
 * where a second try does no harm, or Linkerd's behaviour is wanted.
 */
bool retry_believes(const struct exchange *exchange);
/* An answer of this verdict is to be tried again: a rule's `codes` stand for the classifier's,
 * whatever the method; what the answer says itself goes before both. */
bool retry_wants(const struct exchange *exchange, const struct attempt_end *end,
		 struct verdict verdict);
/* How many of the request's bytes are to be kept for another try. */
uint32_t retry_buffer_bytes(const struct exchange *exchange);
/* An answer's head came that may be tried again. True: it is discarded, and the request begins
 * anew; what follows of this answer is nobody's. */
bool retry_answer(struct exchange *exchange, const struct http_head *head);
/* The attempt ended without an answer. As above. */
bool retry_unanswered(struct exchange *exchange, enum weft_proxy_reason reason);
/* The attempt failed, with an answer (`head`) or without, but a second one is under way: that is
 * the request's attempt now. False: there is none. */
bool retry_by_hedge(struct exchange *exchange, const struct http_head *head);
/* The second attempt answers first: as above, and the first is no failure. */
void retry_leave_first(struct exchange *exchange);
/* One more attempt is within the service's budget, and paid for. */
bool retry_is_paid(const struct exchange *exchange, const struct service *service);
/* Sends the request's kept bytes when this time has passed; the client is not read meanwhile. */
void retry_wait(struct exchange *exchange, uint64_t wait_ns);

/* Endpoints could not be reached, and the others are at their caps. True: it waits for one. */
bool retry_with_a_place(struct exchange *exchange) MUST_CHECK;

/* It waits no longer than to this turn's end. */
void retry_wait_less(struct exchange *exchange);

/* An attempt begins: its own limit, and the timer for the next of all limits. */
void retry_attempt_begins(struct exchange *exchange);
/* A limit has changed: the timer follows. */
void retry_watch(struct exchange *exchange);
/* The answer's head is passed on: no limit any more. */
void retry_clock_stops(struct exchange *exchange);
void retry_timer_init(struct exchange *exchange);

/* Nothing of it reached its service, which cannot be reached: the alternate that its name has takes
 * it, if all of it is kept. False: there is none. */
bool retry_elsewhere(struct exchange *exchange);

#endif
