/* The balancer's pick (and whole attempts), with 10, 1,000 and 10,000 endpoints. */
#include <stdlib.h>

#include "micro.h"
#include "model/endpoint_set.h"
#include "policy/balance.h"

struct farm {
	struct service service;
	struct service *by_id[2];
	struct snapshot snapshot;
	struct balances balances;
	struct rng rng;
	bool is_whole; /* a whole attempt, not only the pick */
};

#define IN_FLIGHT 8 /* of other requests, to compare loads */

static struct balance_request request_of(struct farm *farm)
{
	struct balance_request request = {.now_ns = 1000000000, .has_key = true};
	request.key = rng_next(&farm->rng);
	memcpy(request.client_ip, &request.key, sizeof(request.key));
	return request;
}

static const struct endpoint *pick(struct farm *farm)
{
	struct balance_request request = request_of(farm);
	return balance_pick(&farm->balances, &farm->service, &request, &farm->rng);
}

static void attempt(struct farm *farm, bool ends)
{
	struct balance_attempt place;
	balance_place(&farm->balances, &farm->service, pick(farm), &place);
	balance_begin(&farm->balances, &place, 1000000000);
	if (ends)
		balance_end(&farm->balances, &place, 1005000000, BALANCE_ANSWERED);
}

/* variant: the balancer, and beyond it the flags below. */
#define WEIGHTS 0x100 /* unequal ones */
#define WHOLE   0x200 /* pick, begin and end */

static void *farm_open(const struct micro_case *of)
{
	struct farm *farm = micro_alloc(sizeof(*farm));
	struct service *service = &farm->service;
	service->id = service->birth = service->version = 1;
	service->balancer = (enum balancer)(of->variant & 0xff);
	service->balancing.panic_percent = 50;
	service->endpoint_count = of->size;
	service->endpoints = micro_alloc(of->size * sizeof(struct endpoint));
	for (uint32_t i = 0; i < of->size; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		*endpoint = (struct endpoint){.id = i, .birth = i + 2, .tier = TIER_FAR};
		endpoint->weight = of->variant & WEIGHTS ? 1 + i % 7 : 1;
		endpoint->address.port = (uint16_t)i;
	}
	farm->by_id[1] = service;
	farm->snapshot.service_by_id = farm->by_id;
	farm->snapshot.service_id_limit = 2;
	farm->snapshot.endpoint_id_limit = of->size;
	farm->is_whole = of->variant & WHOLE;
	rng_init(&farm->rng, 42);
	if (endpoint_sets_fill(service))
		exit(1);
	balances_adopt(&farm->balances, &farm->snapshot);
	for (uint32_t i = 0; i < of->size; i++) /* all are known */
		attempt(farm, true);
	for (uint32_t i = 0; i < IN_FLIGHT; i++)
		attempt(farm, false);
	return farm;
}

static void farm_run(void *state, uint32_t calls)
{
	struct farm *farm = state;
	for (uint32_t i = 0; i < calls; i++) {
		if (farm->is_whole)
			attempt(farm, true);
		else
			micro_use(pick(farm));
	}
}

static void farm_close(void *state)
{
	struct farm *farm = state;
	balances_fini(&farm->balances);
	endpoint_sets_fini(&farm->service);
	free(farm->service.endpoints);
	free(farm);
}

#define FARM(label, kind, count)                                                                   \
	{                                                                                          \
		.name = label, .size = (count), .variant = (kind), .open = farm_open,              \
		.run = farm_run, .close = farm_close                                               \
	}
#define FARMS(label, kind)                                                                         \
	FARM("balance-" label "-10", kind, 10), FARM("balance-" label "-1000", kind, 1000),        \
		FARM("balance-" label "-10000", kind, 10000)

static const struct micro_case cases[] = {
	FARMS("ewma", BALANCER_EWMA),
	FARMS("p2c", BALANCER_P2C),
	FARMS("aperture", BALANCER_APERTURE),
	FARMS("round-robin", BALANCER_ROUND_ROBIN),
	FARMS("random", BALANCER_RANDOM),
	FARMS("least", BALANCER_LEAST),
	FARMS("hash", BALANCER_HASH),
	FARMS("client-ip", BALANCER_CLIENT_IP),
	FARMS("ewma-weights", BALANCER_EWMA | WEIGHTS),
	FARMS("round-robin-weights", BALANCER_ROUND_ROBIN | WEIGHTS),
	FARMS("random-weights", BALANCER_RANDOM | WEIGHTS),
	FARMS("ewma-attempt", BALANCER_EWMA | WHOLE),
	FARMS("least-attempt", BALANCER_LEAST | WHOLE),
};

const struct micro_subject micro_balance = {"balance", cases, sizeof(cases) / sizeof(cases[0])};
