#include "policy/balance.h"

#include "model/sticky.h"
#include "policy/balance_aperture.h"
#include "policy/balance_client_ip.h"
#include "policy/balance_ewma.h"
#include "policy/balance_hash.h"
#include "policy/balance_least.h"
#include "policy/balance_p2c.h"
#include "policy/balance_random.h"
#include "policy/balance_round_robin.h"

/* Of near endpoints, so many may be ejected (as 1 - 1/1.4) before farther ones get a share. */
#define SPARE 1.4

static const struct endpoint *pick(const struct balance_call *call)
{
	if (!call->state)
		return balance_random(call);
	switch (call->service->balancer) {
	case BALANCER_EWMA:
		return balance_ewma(call);
	case BALANCER_P2C:
		return balance_p2c(call, balance_all(call));
	case BALANCER_APERTURE:
		return balance_aperture(call);
	case BALANCER_ROUND_ROBIN:
		return balance_round_robin(call);
	case BALANCER_RANDOM:
		return balance_random(call);
	case BALANCER_LEAST:
		return balance_least(call);
	case BALANCER_HASH:
		return balance_hash(call);
	case BALANCER_CLIENT_IP:
		return balance_client_ip(call);
	}
	return NULL;
}

/* ---- locality ---- */

/* What part of the traffic that comes to this tier it takes, 0 to 1 or more. */
static double share_of_tier(const struct balance_call *call, uint32_t tier)
{
	const struct balance_tally *tally = &call->state->tallies[tier];
	uint32_t count = call->service->sets[tier].count;
	uint32_t open = call->ignores_ejection ? count : count - tally->ejected;
	uint64_t limit = call->service->balancing.near_limit;
	if (limit && tally->active >= limit * open)
		return 0;
	return SPARE * open / count;
}

/* The nearest endpoints that have room; all, when none have. */
static uint32_t choose_tier(const struct balance_call *call)
{
	const struct service *service = call->service;
	bool has_place =
		service->balancer == BALANCER_HASH || service->balancer == BALANCER_CLIENT_IP;
	if (service->balancing.locality == LOCALITY_ANY || has_place || !call->state)
		return TIER_ALL;
	for (uint32_t tier = TIER_NODE; tier < TIERS; tier++) {
		if (service->sets[tier].count == 0)
			continue;
		double share = share_of_tier(call, tier);
		if (share >= 1 || (share > 0 && balance_fraction(call->rng) < share))
			return tier;
	}
	return TIER_ALL;
}

static const struct endpoint *pick_of_tier(struct balance_call *call, uint32_t tier)
{
	call->tier = tier;
	call->set = &call->service->sets[tier];
	return pick(call);
}

/* ---- ejection ---- */

static bool is_panic(const struct balance_call *call)
{
	uint64_t ready = call->service->sets[TIER_ALL].count;
	uint64_t ejected = call->state ? call->state->tallies[TIER_ALL].ejected : 0;
	return ejected && (ready - ejected) * 100 < ready * call->service->balancing.panic_percent;
}

/* The endpoint that the client's cookie names, if it may take a request. */
static const struct endpoint *sticky_pick(const struct balance_call *call)
{
	if (!call->request->has_token)
		return NULL;
	const struct endpoint *endpoint = sticky_find(call->service, call->request->token);
	bool is_fine =
		endpoint && endpoint->weight > 0 && balance_status(call, endpoint) == STATUS_OPEN;
	return is_fine ? endpoint : NULL;
}

const struct endpoint *balance_pick(struct balances *balances, const struct service *service,
				    const struct balance_request *request, struct rng *rng)
{
	if (service->sets[TIER_ALL].count == 0)
		return NULL;
	struct balance_call call = {
		.balances = balances,
		.service = service,
		.state = balances_state(balances, service),
		.request = request,
		.rng = rng,
	};
	call.ignores_ejection = is_panic(&call);
	const struct endpoint *kept = sticky_pick(&call);
	if (kept)
		return kept;
	uint32_t tier = choose_tier(&call);
	const struct endpoint *endpoint = pick_of_tier(&call, tier);
	bool is_last_resort = !endpoint || balance_status(&call, endpoint) != STATUS_OPEN;
	/* All near ones were tried, or are ejected. */
	if (tier != TIER_ALL && is_last_resort)
		endpoint = pick_of_tier(&call, TIER_ALL);
	return endpoint;
}
