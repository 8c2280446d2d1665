/* The balancer's pick, with 10, 1,000 and 10,000 endpoints. */
#include <stdlib.h>

#include "micro.h"
#include "policy/balance.h"

struct farm {
	struct service service;
	struct endpoint_load *loads;
	struct balance_state state;
	struct balance_view view;
	struct rng rng;
};

static void *farm_open(const struct micro_case *of)
{
	struct farm *farm = micro_alloc(sizeof(*farm));
	struct service *service = &farm->service;
	service->id = 1;
	service->balancer = (enum balancer)of->variant;
	service->endpoint_count = service->ready_count = of->size;
	service->endpoints = micro_alloc(of->size * sizeof(struct endpoint));
	farm->loads = micro_alloc(of->size * sizeof(struct endpoint_load));
	service->has_equal_weights = true;
	for (uint32_t i = 0; i < of->size; i++) {
		service->endpoints[i].id = i;
		service->endpoints[i].weight = 1;
		service->weight_total++;
	}
	farm->view = (struct balance_view){.loads = farm->loads, .load_count = of->size};
	rng_init(&farm->rng, 42);
	return farm;
}

static void farm_run(void *state, uint32_t calls)
{
	struct farm *farm = state;
	for (uint32_t i = 0; i < calls; i++)
		micro_use(balance_pick(&farm->service, &farm->state, &farm->view, &farm->rng));
}

static void farm_close(void *state)
{
	struct farm *farm = state;
	free(farm->service.endpoints);
	free(farm->loads);
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
	FARMS("p2c", BALANCER_P2C),
	FARMS("round-robin", BALANCER_ROUND_ROBIN),
};

const struct micro_subject micro_balance = {"balance", cases, sizeof(cases) / sizeof(cases[0])};
