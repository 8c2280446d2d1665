#include "policy/balance.h"

#include "policy/balance_client_ip.h"
#include "policy/balance_p2c.h"
#include "policy/balance_round_robin.h"

bool balance_may_take(const struct balance_view *view, const struct endpoint *endpoint)
{
	if (endpoint->weight == 0)
		return false;
	if (!view->ignores_ejected && endpoint->id < view->load_count &&
	    view->loads[endpoint->id].is_ejected)
		return false;
	for (uint32_t i = 0; i < view->tried_count; i++) {
		if (view->tried[i] == endpoint->id)
			return false;
	}
	return true;
}

const struct endpoint *balance_by_weight(const struct service *service, uint64_t point)
{
	if (service->has_equal_weights)
		return &service->endpoints[point / service->endpoints[0].weight];
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		if (point < endpoint->weight)
			return endpoint;
		point -= endpoint->weight;
	}
	return NULL;
}

const struct endpoint *balance_first_from(const struct service *service,
					  const struct balance_view *view, uint32_t start)
{
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint =
			&service->endpoints[(start + i) % service->endpoint_count];
		if (balance_may_take(view, endpoint))
			return endpoint;
	}
	return NULL;
}

const struct endpoint *balance_pick(const struct service *service, struct balance_state *state,
				    const struct balance_view *view, struct rng *rng)
{
	if (service->ready_count == 0)
		return NULL;
	switch (service->balancer) {
	case BALANCER_ROUND_ROBIN:
		return balance_round_robin(service, state, view);
	case BALANCER_CLIENT_IP:
		return balance_client_ip(service, view);
	case BALANCER_P2C:
		return balance_p2c(service, view, rng);
	}
	return NULL;
}
