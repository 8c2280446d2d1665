/*
 * A second attempt beside a first one that takes long: the request's kept bytes go to another
 * endpoint too, and whoever answers first is passed on. Only for what may be sent twice, once per
 * request, and paid for from the budget of retries (linkerd1.md Y7 is what users asked for; "The
 * Tail at Scale", Dean and Barroso 2013). Internal to proxy.
 */
#ifndef PROXY_HEDGE_H
#define PROXY_HEDGE_H

#include "proxy/exchange.h"

struct hedge;

/* When the attempt that begins now is to get company; 0 = never. */
uint64_t hedge_due_ns(const struct exchange *exchange);
/* The moment has come. Whether it is done depends on the request and the budget. */
void hedge_begin(struct exchange *exchange);
/* It is not needed any more; NULL is fine. */
void hedge_drop(struct hedge *hedge);
/* The first attempt is over, its dial empty: the hedge is the exchange's attempt from now on. */
void hedge_take_over(struct hedge *hedge, const struct dial_events *events);
/*
 * An answer of this status is not passed on while the other attempt is under way: of two equal
 * writes the later one may find the resource deleted or changed by the earlier (404, 412), though
 * the request has done what it should.
 */
bool hedge_awaits_other(const struct exchange *exchange, unsigned status);
/* An answer was passed on: how long one takes. */
void hedge_learn(const struct exchange *exchange);

void hedge_upstream_data(struct hedge *hedge, struct span bytes, struct block **block);
void hedge_upstream_ended(struct hedge *hedge);

#endif
