#include "policy/balance_client_ip.h"

/* splitmix64's finaliser: every bit of the sum moves half of the result's. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
	return value ^ (value >> 31);
}

static uint64_t draw(const uint8_t client_ip[16], const struct weft_address *endpoint)
{
	uint64_t words[4];
	uint64_t sum = endpoint->port;
	memcpy(&words[0], client_ip, 16);
	memcpy(&words[2], endpoint->ip, 16);
	for (int i = 0; i < 4; i++)
		sum = mix(sum + words[i] + 0x9e3779b97f4a7c15ull);
	return sum;
}

const struct endpoint *balance_client_ip(const struct service *service,
					 const struct balance_view *view)
{
	const struct endpoint *best = NULL;
	uint64_t highest = 0;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		if (!balance_may_take(view, endpoint))
			continue;
		uint64_t drawn = draw(view->client_ip, &endpoint->address);
		if (best && drawn < highest)
			continue;
		best = endpoint;
		highest = drawn;
	}
	return best;
}
