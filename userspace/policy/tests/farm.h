/* A service with endpoints of given weights, and a view of their loads. */
#ifndef POLICY_TESTS_FARM_H
#define POLICY_TESTS_FARM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/balance.h"

struct farm {
	struct service service;
	struct endpoint_load *loads;
	struct balance_state state;
	struct balance_view view;
	struct rng rng;
};

/* weights NULL: all 1. Ids do not begin at 0, as in a real snapshot. */
static inline void farm_init(struct farm *farm, enum balancer balancer, uint32_t count,
			     const uint32_t *weights)
{
	*farm = (struct farm){0};
	struct service *service = &farm->service;
	service->id = 1;
	service->balancer = balancer;
	service->endpoint_count = count;
	service->endpoints = calloc(count + 1, sizeof(struct endpoint));
	farm->loads = calloc(count + 10, sizeof(struct endpoint_load));
	assert_non_null(service->endpoints);
	assert_non_null(farm->loads);
	service->has_equal_weights = count > 0;
	for (uint32_t i = 0; i < count; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		endpoint->id = i + 10;
		endpoint->weight = weights ? weights[i] : 1;
		service->weight_total += endpoint->weight;
		service->ready_count += endpoint->weight > 0;
		if (endpoint->weight == 0 || endpoint->weight != service->endpoints[0].weight)
			service->has_equal_weights = false;
	}
	farm->view = (struct balance_view){.loads = farm->loads, .load_count = count + 10};
	rng_init(&farm->rng, 42);
}

static inline void farm_fini(struct farm *farm)
{
	free(farm->service.endpoints);
	free(farm->loads);
}

static inline const struct endpoint *farm_pick(struct farm *farm)
{
	return balance_pick(&farm->service, &farm->state, &farm->view, &farm->rng);
}

/* How often each is picked; picks that are NULL go unseen. */
static inline void farm_pick_many(struct farm *farm, unsigned times, unsigned *counts)
{
	memset(counts, 0, farm->service.endpoint_count * sizeof(*counts));
	for (unsigned i = 0; i < times; i++) {
		const struct endpoint *endpoint = farm_pick(farm);
		if (endpoint)
			counts[endpoint - farm->service.endpoints]++;
	}
}

static inline void assert_near(unsigned got, double wanted, double tolerance)
{
	if (got < wanted * (1 - tolerance) || got > wanted * (1 + tolerance))
		fail_msg("%u is not within %.0f %% of %.0f", got, tolerance * 100, wanted);
}

#endif
