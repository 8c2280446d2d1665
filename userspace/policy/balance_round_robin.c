#include "policy/balance_round_robin.h"

/* A stride near total / golden ratio, coprime to it, spreads a heavy endpoint's turns out. */
static uint64_t stride(uint64_t total)
{
	uint64_t candidate = total * 618 / 1000;
	for (candidate = candidate ? candidate : 1; candidate < total; candidate++) {
		uint64_t a = total, b = candidate;
		while (b) {
			uint64_t rest = a % b;
			a = b;
			b = rest;
		}
		if (a == 1)
			return candidate;
	}
	return 1;
}

const struct endpoint *balance_round_robin(const struct service *service,
					   struct balance_state *state,
					   const struct balance_view *view)
{
	uint64_t total = service->weight_total;
	bool is_even = total == service->endpoint_count;
	uint64_t point =
		is_even ? state->turn % total : (state->turn % total) * stride(total) % total;
	state->turn++;
	const struct endpoint *endpoint = balance_by_weight(service, point);
	if (endpoint && balance_may_take(view, endpoint))
		return endpoint;
	uint32_t start = endpoint ? (uint32_t)(endpoint - service->endpoints) + 1 : 0;
	return balance_first_from(service, view, start);
}
