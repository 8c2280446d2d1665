/* A service with endpoints of given weights, what a worker knows of it, and a virtual clock. */
#ifndef POLICY_TESTS_FARM_H
#define POLICY_TESTS_FARM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/endpoint_set.h"
#include "policy/balance.h"

#define FARM_FIRST_ID 10 /* ids do not begin at 0, as in a real snapshot */

struct farm {
	struct service service;
	struct snapshot snapshot; /* as much of one as balances_adopt looks at */
	struct service *by_id[2];
	struct balances balances;
	struct balance_request request;
	struct rng rng;
	uint32_t births;
	bool keeps_key; /* else every pick is of another client */
};

/* After a change of the service's endpoints or settings: as the builder does. */
static inline void farm_arrange(struct farm *farm)
{
	struct service *service = &farm->service;
	endpoint_sets_fini(service);
	service->version = ++farm->births;
	service->weight_total = service->ready_count = 0;
	ids_fini(&farm->snapshot.endpoint_ids);
	assert_int_equal(ids_init(&farm->snapshot.endpoint_ids, FARM_FIRST_ID, 0, 0, 65536), 0);
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		service->weight_total += service->endpoints[i].weight;
		service->ready_count += service->endpoints[i].weight > 0;
		ids_hold(&farm->snapshot.endpoint_ids, service->endpoints[i].id);
	}
	assert_int_equal(endpoint_sets_fill(service), 0);
	farm->by_id[1] = service;
	farm->snapshot.service_by_id = farm->by_id;
	farm->snapshot.service_id_limit = 2;
	farm->snapshot.endpoint_id_limit = 65536;
	balances_adopt(&farm->balances, &farm->snapshot);
	balances_sweep(&farm->balances, &farm->snapshot);
}

static inline void farm_init(struct farm *farm, enum balancer balancer, uint32_t count,
			     const uint32_t *weights)
{
	*farm = (struct farm){.births = 1};
	struct service *service = &farm->service;
	service->id = service->birth = 1;
	service->balancer = balancer;
	service->balancing.panic_percent = 50;
	service->endpoint_count = count;
	service->endpoints = calloc(count + 1, sizeof(struct endpoint));
	assert_non_null(service->endpoints);
	for (uint32_t i = 0; i < count; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		endpoint->id = i + FARM_FIRST_ID;
		endpoint->birth = ++farm->births;
		endpoint->weight = weights ? weights[i] : 1;
		endpoint->tier = TIER_FAR;
		endpoint->address.port = (uint16_t)(i + 1);
		endpoint->address.ip[15] = (uint8_t)i;
		endpoint->address.ip[14] = (uint8_t)(i >> 8);
	}
	rng_init(&farm->rng, 42);
	farm->request.now_ns = 1000000000;
	farm_arrange(farm);
}

static inline void farm_fini(struct farm *farm)
{
	balances_fini(&farm->balances);
	endpoint_sets_fini(&farm->service);
	ids_fini(&farm->snapshot.endpoint_ids);
	free(farm->service.endpoints);
}

static inline const struct endpoint *farm_pick(struct farm *farm)
{
	if (!farm->keeps_key) {
		farm->request.has_key = true;
		farm->request.key = rng_next(&farm->rng);
		memcpy(farm->request.client_ip, &farm->request.key, sizeof(uint64_t));
	}
	return balance_pick(&farm->balances, &farm->service, &farm->request, &farm->rng);
}

static inline uint32_t farm_index(const struct farm *farm, const struct endpoint *endpoint)
{
	assert_non_null(endpoint);
	return (uint32_t)(endpoint - farm->service.endpoints);
}

/* An attempt at this endpoint that has begun. */
static inline struct balance_attempt farm_begin(struct farm *farm, uint32_t index)
{
	struct balance_attempt attempt;
	balance_place(&farm->balances, &farm->service, &farm->service.endpoints[index], &attempt);
	balance_begin(&farm->balances, &attempt, farm->request.now_ns);
	return attempt;
}

static inline void farm_end(struct farm *farm, struct balance_attempt *attempt)
{
	balance_end(&farm->balances, attempt, farm->request.now_ns, BALANCE_ANSWERED);
}

/* So many attempts in flight that never end. */
static inline void farm_load(struct farm *farm, uint32_t index, unsigned active)
{
	while (active-- > 0)
		farm_begin(farm, index);
}

static inline unsigned farm_active(const struct farm *farm, uint32_t index)
{
	const struct endpoint_load *load =
		balances_load(&farm->balances, &farm->service.endpoints[index]);
	return load ? load->active : 0;
}

static inline void farm_eject(struct farm *farm, uint32_t index, bool is_ejected)
{
	assert_true(balance_eject(&farm->balances, &farm->service, &farm->service.endpoints[index],
				  is_ejected));
}

/* How often each is picked while none is busy; picks that are NULL go unseen. */
static inline void farm_pick_many(struct farm *farm, unsigned times, unsigned *counts)
{
	memset(counts, 0, farm->service.endpoint_count * sizeof(*counts));
	for (unsigned i = 0; i < times; i++) {
		const struct endpoint *endpoint = farm_pick(farm);
		if (endpoint)
			counts[farm_index(farm, endpoint)]++;
	}
}

static inline void assert_near(double got, double wanted, double tolerance)
{
	if (got < wanted * (1 - tolerance) || got > wanted * (1 + tolerance))
		fail_msg("%g is not within %.1f %% of %g", got, tolerance * 100, wanted);
}

#endif
