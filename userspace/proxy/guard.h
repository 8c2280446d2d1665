/*
 * A service's failures and load as one worker meets them: tells the node's breakers how attempts
 * ended, takes endpoints out of the balancer as they say, asks the node's budget and limits.
 * Internal to proxy.
 */
#ifndef PROXY_GUARD_H
#define PROXY_GUARD_H

#include "policy/balances.h"
#include "proxy/node.h"

struct worker;

/* A worker's memory of one service, by service id. */
struct guard {
	struct node_service *shared; /* NULL = not looked up yet */
	struct queue *queue;         /* NULL = nobody has waited yet (queue.h) */
	uint32_t version;            /* of the service that it was looked up for */
	uint32_t epoch;              /* of the breakers' changes that the balancer knows */
};

/* Before a pick: the balancer knows which of its endpoints are left out. NULL: out of
 * memory, or the service has no id here; then nothing is limited. */
struct guard *guard_service(struct worker *worker, const struct service *service);
/* It was picked: maybe as a probe. */
void guard_picked(struct worker *worker, const struct service *service,
		  const struct endpoint *endpoint);
/* The endpoint is left out, or being probed. */
bool guard_is_out(const struct worker *worker, uint32_t endpoint_id);
/* How an attempt ended: for its breaker and, a success, for the requeues. Neither the service nor
 * the endpoint need be there any more. */
void guard_tell(struct worker *worker, const struct balance_attempt *attempt,
		enum breaker_outcome outcome);
/* One more endpoint may be dialled for what all those before have refused: it is paid for from a
 * budget of its own, of the service's budget rule, which successes fill (linkerd1.md Y4). */
bool guard_may_requeue(struct worker *worker, const struct service *service);
/* Makes guards[] long enough for this turn's snapshot. */
void guards_grow(struct worker *worker);

#endif
