#include "policy/balance_random.h"

#define EFFORTS 5

const struct endpoint *balance_random(const struct balance_call *call)
{
	for (int i = 0; i < EFFORTS; i++) {
		const struct endpoint *endpoint =
			balance_at(call, balance_draw(call, balance_all(call)));
		if (balance_status(call, endpoint) == STATUS_OPEN)
			return endpoint;
	}
	return balance_scan(call, rng_below(call->rng, call->set->count));
}
