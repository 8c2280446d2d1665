#include "policy/balance_aperture.h"

#include <math.h>

#include "policy/balance_p2c.h"

const struct endpoint *balance_aperture(const struct balance_call *call)
{
	struct balance_state *state = call->state;
	uint32_t count = call->set->count;
	if (state->aperture.size == 0) {
		state->aperture.size = 1;
		state->aperture.offset = (uint32_t)rng_next(call->rng);
		state->aperture.stamp_ns = call->request->now_ns;
	}
	if (state->aperture.size > count)
		state->aperture.size = count;
	struct balance_window window = {
		.first = (uint32_t)((uint64_t)state->aperture.offset * count >> 32),
		.size = state->aperture.size,
	};
	return balance_p2c(call, window);
}

void balance_aperture_moved(struct balance_state *state, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > state->aperture.stamp_ns ? now_ns - state->aperture.stamp_ns : 0;
	double weight = exp(-(double)age_ns / APERTURE_WINDOW_NS);
	if (state->aperture.size == 0)
		return;
	state->aperture.load =
		state->aperture.load * weight + state->tallies[TIER_ALL].active * (1 - weight);
	state->aperture.stamp_ns = now_ns;
	double each = state->aperture.load / state->aperture.size;
	if (each >= APERTURE_HIGH)
		state->aperture.size++; /* a pick keeps it within the endpoints */
	else if (each <= APERTURE_LOW && state->aperture.size > 1)
		state->aperture.size--;
}
