/*
 * Which endpoint takes the next attempt? Pure: load and randomness are arguments. Owner: one
 * worker (each balances by its own view). One algorithm per file, balance_*.c.
 */
#ifndef POLICY_BALANCE_H
#define POLICY_BALANCE_H

#include "base/rng.h"
#include "model/snapshot.h"

/* What a worker knows of endpoints by id; grows with the ids of a snapshot. */
struct endpoint_load {
	uint32_t active; /* attempts in flight */
	bool is_ejected; /* its breaker leaves it out */
};

struct balance_view {
	const struct endpoint_load *loads; /* by endpoint id */
	uint32_t load_count;               /* ids at or past this have load 0 */
	const uint32_t *tried;             /* endpoint ids that this request tried already */
	uint32_t tried_count;
	bool ignores_ejected;  /* too many are left out: all are used */
	uint8_t client_ip[16]; /* as in struct weft_address */
};

/* A worker's memory of one service, by service id. */
struct balance_state {
	uint64_t turn; /* round robin: how many were picked */
};

/* Endpoint to dial, or NULL: no ready endpoint that was not tried. */
const struct endpoint *balance_pick(const struct service *service, struct balance_state *state,
				    const struct balance_view *view, struct rng *rng);

/* ---- for the algorithms ---- */

/* Ready, and not tried by this request. */
bool balance_may_take(const struct balance_view *view, const struct endpoint *endpoint);
/* Endpoint at this point of the weights laid end to end; point < service->weight_total. */
const struct endpoint *balance_by_weight(const struct service *service, uint64_t point);
/* First that may be taken, going round from index `start`; NULL = none. */
const struct endpoint *balance_first_from(const struct service *service,
					  const struct balance_view *view, uint32_t start);

#endif
