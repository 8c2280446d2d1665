#include "model/ring.h"

#include <errno.h>

#include "base/mem.h"
#include "base/mix.h"
#include "model/endpoint_set.h"

#define DIGIT_BITS 8
#define DIGITS     (1 << DIGIT_BITS)

static uint64_t seed_of(const struct weft_address *address)
{
	return mix_bytes(span_of((const char *)address->ip, sizeof(address->ip)), address->port);
}

/* In proportion to its weight, at least one. */
static uint32_t points_of(const struct endpoint_set *set, const struct endpoint *endpoint)
{
	uint64_t points = RING_SIZE / set->count;
	if (points > RING_POINTS_MOST)
		points = RING_POINTS_MOST;
	if (points < RING_POINTS_LEAST)
		points = RING_POINTS_LEAST;
	points = points * endpoint->weight * set->count / set->weight_total;
	return points ? (uint32_t)points : 1;
}

/* By the high half, least digit first: stable, O(n). */
static void sort(uint64_t *words, uint64_t *spare, uint32_t count)
{
	for (int shift = 32; shift < 64; shift += DIGIT_BITS) {
		uint32_t starts[DIGITS + 1] = {0};
		for (uint32_t i = 0; i < count; i++)
			starts[(words[i] >> shift) % DIGITS + 1]++;
		for (int digit = 0; digit < DIGITS; digit++)
			starts[digit + 1] += starts[digit];
		for (uint32_t i = 0; i < count; i++)
			spare[starts[(words[i] >> shift) % DIGITS]++] = words[i];
		uint64_t *swap = words;
		words = spare;
		spare = swap;
	}
}

int ring_fill(struct service *service)
{
	const struct endpoint_set *set = &service->sets[TIER_ALL];
	uint32_t count = 0;
	for (uint32_t i = 0; i < set->count; i++)
		count += points_of(set, endpoint_set_item(service, set, i));
	if (count == 0)
		return 0;
	service->ring = mem_alloc(count * sizeof(*service->ring));
	uint64_t *spare = mem_alloc(count * sizeof(*spare));
	if (!service->ring || !spare) {
		mem_free(spare);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t index = endpoint_set_index(set, i);
		const struct endpoint *endpoint = &service->endpoints[index];
		uint64_t seed = seed_of(&endpoint->address);
		for (uint32_t j = points_of(set, endpoint); j > 0; j--)
			service->ring[service->ring_count++] =
				(mix(seed + j) & ~0xffffffffull) | index;
	}
	sort(service->ring, spare, count); /* an even number of passes ends where it began */
	mem_free(spare);
	return 0;
}

uint32_t ring_find(const struct service *service, uint64_t hash)
{
	uint64_t wanted = hash & ~0xffffffffull;
	uint32_t low = 0;
	uint32_t high = service->ring_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (service->ring[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < service->ring_count ? low : 0;
}
