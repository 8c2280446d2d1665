/*
 * What all workers of a node count together: of each service its retry budget, its limits, whether
 * it is up and how many endpoints are left out; of each endpoint its breaker. Any thread, without a
 * lock: tables by id grow by pieces that never move. Internal to proxy, but made with the workers.
 *
 * An id belongs to somebody else after its owner is gone; who looks a service up says whose it is,
 * and finds it new when that has changed.
 */
#ifndef PROXY_NODE_H
#define PROXY_NODE_H

#include "model/snapshot.h"
#include "policy/breaker.h"
#include "policy/concurrency.h"
#include "policy/failover.h"
#include "policy/quantile.h"
#include "policy/rate_limit.h"
#include "policy/retry_budget.h"

struct node;

struct node_service {
	_Atomic uint32_t owner; /* its birth; 0 = nobody yet */
	struct breaker_group breakers;
	struct retry_budget budget;
	struct retry_budget requeues; /* of what was never sent (linkerd1.md Y4) */
	struct quantile latency;      /* of answers: when to hedge */
	struct concurrency concurrency;
	_Atomic uint32_t heir; /* 1 + the worker whose turn it is (queue.c); 0 = anybody's */
	struct token_bucket rate;
	struct failover failover;             /* is it up, for the choice among alternates? */
	_Atomic(struct rate_limit *) clients; /* NULL until the first is limited */
	_Atomic(struct rate_limit *) values;  /* by limits.rate_by: likewise */
};

struct node_endpoint {
	_Atomic uint32_t owner; /* its birth */
	struct breaker breaker;
	struct concurrency seats; /* attempts of requests, where it has a cap */
};

struct node *node_new(void);       /* NULL: out of memory */
void node_free(struct node *node); /* after the workers; NULL is fine */
/* NULL: out of memory. Valid until node_free. */
struct node_service *node_service(struct node *node, const struct service *service);
struct node_endpoint *node_endpoint(struct node *node, const struct endpoint *endpoint);
/* As looked up before for this very service; NULL = never was. */
const struct node_service *node_service_known(struct node *node, const struct service *service);
/* As looked up before; NULL = never was. */
struct node_endpoint *node_endpoint_at(struct node *node, uint32_t endpoint_id);
/* `clients` or `values` of a service, made for so many of them if need be; NULL: out of memory. */
struct rate_limit *node_rates(_Atomic(struct rate_limit *) *place, uint32_t keys,
			      struct rng *rng) MUST_CHECK;

#endif
