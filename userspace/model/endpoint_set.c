#include "model/endpoint_set.h"

#include <errno.h>

#include "base/mem.h"
#include "model/ring.h"

static bool belongs(const struct endpoint *endpoint, enum endpoint_tier tier)
{
	return endpoint->weight > 0 && (tier == TIER_ALL || endpoint->tier == tier);
}

static int fill_items(const struct service *service, enum endpoint_tier tier,
		      struct endpoint_set *set)
{
	set->items = mem_alloc(set->count * sizeof(*set->items));
	if (!set->items)
		return -ENOMEM;
	uint32_t count = 0;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		if (belongs(&service->endpoints[i], tier))
			set->items[count++] = i;
	}
	return 0;
}

static int fill_sums(const struct service *service, struct endpoint_set *set)
{
	uint64_t sum = 0;
	set->sums = mem_alloc(set->count * sizeof(*set->sums));
	if (!set->sums)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->count; i++) {
		sum += endpoint_set_item(service, set, i)->weight;
		set->sums[i] = sum;
	}
	return 0;
}

static int fill(const struct service *service, enum endpoint_tier tier, struct endpoint_set *set)
{
	uint32_t first = 0;
	set->has_equal_weights = true;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		if (!belongs(endpoint, tier))
			continue;
		first = set->count++ ? first : endpoint->weight;
		set->weight_total += endpoint->weight;
		set->has_equal_weights &= endpoint->weight == first;
	}
	int error = 0;
	if (set->count && set->count < service->endpoint_count)
		error = fill_items(service, tier, set);
	if (!error && !set->has_equal_weights)
		error = fill_sums(service, set);
	return error;
}

static bool needs_ring(const struct service *service)
{
	return service->balancer == BALANCER_HASH || service->balancer == BALANCER_CLIENT_IP;
}

int endpoint_sets_fill(struct service *service)
{
	int last = service->balancing.locality == LOCALITY_NEAR ? TIER_FAR : TIER_ALL;
	int error = 0;
	for (int tier = TIER_ALL; !error && tier <= last; tier++)
		error = fill(service, (enum endpoint_tier)tier, &service->sets[tier]);
	if (!error && needs_ring(service))
		error = ring_fill(service);
	return error;
}

void endpoint_sets_fini(struct service *service)
{
	for (int tier = 0; tier < TIERS; tier++) {
		mem_free(service->sets[tier].items);
		mem_free(service->sets[tier].sums);
		service->sets[tier] = (struct endpoint_set){0};
	}
	mem_free(service->ring);
	service->ring = NULL;
	service->ring_count = 0;
}

uint32_t endpoint_set_at(const struct endpoint_set *set, uint64_t point)
{
	if (!set->sums)
		return (uint32_t)(point / (set->weight_total / set->count));
	uint32_t low = 0;
	uint32_t high = set->count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (point < set->sums[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
