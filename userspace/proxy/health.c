#include "proxy/health.h"

bool health_breaker(struct node *node, const struct service *service,
		    const struct endpoint *endpoint, struct breaker_view *ret_view)
{
	const struct breaker_rule *rule = &service->resilience.breaker;
	const struct node_endpoint *entry =
		node && rule->kind != BREAKER_NONE ? node_endpoint_at(node, endpoint->id) : NULL;
	if (!entry || atomic_load_explicit(&entry->owner, memory_order_acquire) != endpoint->birth)
		return false;
	*ret_view = breaker_look(&entry->breaker, rule);
	return true;
}

/* From the breakers themselves: the group's own count is as of its last look. */
static uint32_t count_alive(struct node *node, const struct service *service)
{
	uint32_t alive = 0;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		struct breaker_view view;
		bool is_out = health_breaker(node, service, endpoint, &view) &&
			      view.state != BREAKER_ALIVE;
		alive += endpoint->weight > 0 && !is_out;
	}
	return alive;
}

bool health_is_up(struct node *node, const struct snapshot *snapshot, const struct service *service,
		  uint64_t now_ns)
{
	const struct settings *settings = &snapshot->settings;
	const struct failover_rule rule = {settings->failover_ppm, settings->failover_back_ns};
	const struct node_service *entry = node ? node_service_known(node, service) : NULL;
	bool is_good = failover_is_good(&rule, count_alive(node, service), service->ready_count);
	return entry ? failover_shows(&entry->failover, &rule, is_good, now_ns) : is_good;
}
