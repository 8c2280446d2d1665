#include "policy/balance_hash.h"

#include "model/ring.h"
#include "policy/balance_ewma.h"
#include "policy/balance_client_ip.h"

#define STEPS_MOST 256

/* How many attempts it may have in flight at a time, one more included: 1.25 × its share. */
static uint64_t room(const struct balance_call *call, const struct endpoint *endpoint)
{
	const struct endpoint_set *set = call->set;
	const struct balance_tally *tally = &call->state->tallies[TIER_ALL];
	uint32_t ejected = call->ignores_ejection ? 0 : tally->ejected;
	double all = (double)tally->active + 1;
	if (ejected < set->count) /* those that are left share the whole */
		all = all * set->count / (set->count - ejected);
	double share = all * endpoint->weight / (double)set->weight_total;
	uint64_t whole = (uint64_t)(share * 5 / 4);
	return (double)whole < share * 5 / 4 ? whole + 1 : whole;
}

static bool has_room(const struct balance_call *call, const struct endpoint *endpoint)
{
	const struct endpoint_load *load = balances_load(call->balances, endpoint);
	return (load ? load->active : 0) < room(call, endpoint);
}

const struct endpoint *balance_hash(const struct balance_call *call)
{
	const struct service *service = call->service;
	if (!call->request->has_key)
		return balance_ewma(call);
	uint32_t position = ring_find(service, call->request->key);
	uint32_t before = UINT32_MAX;
	for (int i = 0; i < STEPS_MOST; i++, position++) {
		if (position == service->ring_count)
			position = 0;
		uint32_t index = ring_index(service, position);
		if (index == before)
			continue;
		before = index;
		const struct endpoint *endpoint = &service->endpoints[index];
		if (balance_status(call, endpoint) == STATUS_OPEN && has_room(call, endpoint))
			return endpoint;
	}
	return balance_ewma(call);
}
