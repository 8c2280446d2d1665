#include "policy/balance_client_ip.h"

#include "model/ring.h"
#include "policy/balance_key.h"

#define STEPS_MOST 1024 /* 16 tried ones, and what is ejected: at most half but for panic */

const struct endpoint *balance_client_ip(const struct balance_call *call)
{
	const struct service *service = call->service;
	uint32_t position = ring_find(service, balance_key_of_source(call->request->client_ip));
	uint32_t before = UINT32_MAX;
	for (int i = 0; i < STEPS_MOST; i++, position++) {
		if (position == service->ring_count)
			position = 0;
		uint32_t index = ring_index(service, position);
		if (index == before)
			continue;
		before = index;
		if (balance_status(call, &service->endpoints[index]) == STATUS_OPEN)
			return &service->endpoints[index];
	}
	return balance_scan(call, 0);
}
