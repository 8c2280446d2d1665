#include "policy/balance_round_robin.h"

#define TURNS 8 /* that may be let pass */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* Near total / golden ratio and coprime to it: visits every point of the weights once in a round,
 * and spreads a heavy endpoint's turns out. */
static uint64_t stride(uint64_t total)
{
	uint64_t candidate = (uint64_t)((double)total * 0.618);
	for (candidate = candidate ? candidate : 1; candidate < total; candidate++) {
		if (common_divisor(total, candidate) == 1)
			return candidate;
	}
	return 1;
}

/* Equal weights count as 1 each, in the order of ids. */
static uint32_t next_position(const struct balance_call *call)
{
	const struct endpoint_set *set = call->set;
	uint64_t total = set->has_equal_weights ? set->count : set->weight_total;
	uint64_t *point = &call->state->turns[call->tier].point;
	uint64_t *step = &call->state->turns[call->tier].stride;
	if (*step == 0 || call->state->turns[call->tier].total != total) {
		*step = set->has_equal_weights ? 1 : stride(total);
		call->state->turns[call->tier].total = total;
		*point %= total;
	}
	uint64_t at = *point;
	*point = at + *step < total ? at + *step : at + *step - total;
	return set->has_equal_weights ? (uint32_t)at : endpoint_set_at(set, at);
}

const struct endpoint *balance_round_robin(const struct balance_call *call)
{
	uint32_t position = 0;
	for (int i = 0; i < TURNS; i++) {
		position = next_position(call);
		const struct endpoint *endpoint = balance_at(call, position);
		if (balance_status(call, endpoint) == STATUS_OPEN &&
		    balance_takes_turn(call, endpoint))
			return endpoint;
	}
	return balance_scan(call, position);
}
