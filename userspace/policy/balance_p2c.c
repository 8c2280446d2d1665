#include "policy/balance_p2c.h"

#define DRAWS 4 /* before a draw that may not be taken falls back to a search */

static uint32_t active(const struct balance_view *view, const struct endpoint *endpoint)
{
	return endpoint->id < view->load_count ? view->loads[endpoint->id].active : 0;
}

static const struct endpoint *draw(const struct service *service, const struct balance_view *view,
				   struct rng *rng)
{
	for (int i = 0; i < DRAWS; i++) {
		uint64_t point = rng_next(rng) % service->weight_total;
		const struct endpoint *endpoint = balance_by_weight(service, point);
		if (balance_may_take(view, endpoint))
			return endpoint;
	}
	return balance_first_from(service, view, rng_below(rng, service->endpoint_count));
}

const struct endpoint *balance_p2c(const struct service *service, const struct balance_view *view,
				   struct rng *rng)
{
	if (service->endpoint_count == 1)
		return balance_first_from(service, view, 0);
	const struct endpoint *one = draw(service, view, rng);
	const struct endpoint *other = draw(service, view, rng);
	if (!one || !other)
		return one;
	/* Load in proportion to weight, compared without a division. */
	uint64_t load_one = ((uint64_t)active(view, one) + 1) * other->weight;
	uint64_t load_other = ((uint64_t)active(view, other) + 1) * one->weight;
	return load_other < load_one ? other : one;
}
