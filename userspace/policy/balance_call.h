/* What balance.c offers to the algorithms, for the time of one pick. Internal to policy. */
#ifndef POLICY_BALANCE_CALL_H
#define POLICY_BALANCE_CALL_H

#include "model/endpoint_set.h"
#include "policy/balance.h"

struct balance_call {
	struct balances *balances;
	const struct service *service;
	const struct endpoint_set *set; /* to choose from; never empty */
	uint32_t tier;                  /* that it is of */
	struct balance_state *state;    /* NULL = out of memory */
	const struct balance_request *request;
	struct rng *rng;
	bool ignores_ejection;
};

/* Positions in a row, round the end of the set. */
struct balance_window {
	uint32_t first;
	uint32_t size; /* 1 to the set's count */
};

/* Less is better. */
enum balance_status { STATUS_OPEN, STATUS_EJECTED, STATUS_TRIED };

enum balance_status balance_status(const struct balance_call *call,
				   const struct endpoint *endpoint);
/* True: whatever is drawn, its status is STATUS_OPEN. */
static inline bool balance_is_all_open(const struct balance_call *call)
{
	return !call->request->tried_count &&
	       (call->ignores_ejection || !call->state || !call->state->tallies[TIER_ALL].ejected);
}
/* Slow start: 0.1 to 1, its share of its weight. */
double balance_warmth(const struct balance_call *call, const struct endpoint *endpoint);
/* False: a warming endpoint lets this turn pass, as often as its share says. */
bool balance_takes_turn(const struct balance_call *call, const struct endpoint *endpoint);
/* Attempts in flight, in proportion: one of half the mean weight counts twice. */
double balance_pending(const struct balance_call *call, const struct endpoint *endpoint);
/* Uniform in [0, 1). */
double balance_fraction(struct rng *rng);

/* A position, drawn by weight (times warmth). O(1) with equal weights, else O(log n). */
uint32_t balance_draw(const struct balance_call *call, struct balance_window window);
struct balance_window balance_all(const struct balance_call *call);
/* When draws found none: the first open one of the next SCAN_MOST from `first` on, else the first
 * ejected one, NULL = all were tried. O(SCAN_MOST), more than a request can have tried. */
const struct endpoint *balance_scan(const struct balance_call *call, uint32_t first);

static inline const struct endpoint *balance_at(const struct balance_call *call, uint32_t position)
{
	return endpoint_set_item(call->service, call->set, position);
}

#endif
