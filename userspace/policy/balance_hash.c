#include "policy/balance_hash.h"

#include "base/mix.h"
#include "model/ring.h"
#include "policy/balance_ewma.h"

#define JUMPS 64

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

const struct endpoint *balance_ring(const struct balance_call *call, uint64_t key, bool is_bounded)
{
	const struct service *service = call->service;
	for (uint64_t i = 0; i < JUMPS; i++) {
		uint32_t position = ring_find(service, i ? mix(key + i) : key);
		const struct endpoint *endpoint =
			&service->endpoints[ring_index(service, position)];
		if (balance_status(call, endpoint) == STATUS_OPEN &&
		    (!is_bounded || has_room(call, endpoint)))
			return endpoint;
	}
	return NULL;
}

/* One key that wants more than all of its points have room for. */
static const struct endpoint *draw_with_room(const struct balance_call *call)
{
	for (int i = 0; i < JUMPS; i++) {
		const struct endpoint *endpoint =
			balance_at(call, balance_draw(call, balance_all(call)));
		if (balance_status(call, endpoint) == STATUS_OPEN && has_room(call, endpoint))
			return endpoint;
	}
	return balance_ewma(call);
}

const struct endpoint *balance_hash(const struct balance_call *call)
{
	if (!call->request->has_key)
		return balance_ewma(call);
	const struct endpoint *endpoint = balance_ring(call, call->request->key, true);
	return endpoint ? endpoint : draw_with_room(call);
}
