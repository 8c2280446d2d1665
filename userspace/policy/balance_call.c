#include "policy/balance_call.h"

#define SCAN_MOST    64u
#define WARM_DRAWS   8
#define WARMTH_LEAST 0.1

_Static_assert(SCAN_MOST > BALANCE_TRIED_MOST, "a scan sees one that was not tried");

static bool was_tried(const struct balance_request *request, const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < request->tried_count; i++) {
		if (request->tried[i] == endpoint->id)
			return true;
	}
	return false;
}

enum balance_status balance_status(const struct balance_call *call, const struct endpoint *endpoint)
{
	if (was_tried(call->request, endpoint))
		return STATUS_TRIED;
	if (call->ignores_ejection || !call->state || !call->state->tallies[TIER_ALL].ejected)
		return STATUS_OPEN;
	const struct endpoint_load *load = balances_load(call->balances, endpoint);
	return load && load->is_ejected ? STATUS_EJECTED : STATUS_OPEN;
}

double balance_warmth(const struct balance_call *call, const struct endpoint *endpoint)
{
	uint64_t whole_ns = call->service->balancing.slow_start_ns;
	uint64_t now_ns = call->request->now_ns;
	if (!whole_ns || !endpoint->ready_ns || now_ns >= endpoint->ready_ns + whole_ns)
		return 1;
	uint64_t age_ns = now_ns > endpoint->ready_ns ? now_ns - endpoint->ready_ns : 0;
	double warmth = (double)age_ns / (double)whole_ns;
	return warmth > WARMTH_LEAST ? warmth : WARMTH_LEAST;
}

double balance_fraction(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

bool balance_takes_turn(const struct balance_call *call, const struct endpoint *endpoint)
{
	double warmth = balance_warmth(call, endpoint);
	return warmth >= 1 || balance_fraction(call->rng) < warmth;
}

double balance_pending(const struct balance_call *call, const struct endpoint *endpoint)
{
	const struct endpoint_set *set = call->set;
	const struct endpoint_load *load = balances_load(call->balances, endpoint);
	if (!load || !load->active)
		return 0;
	double pending = load->active / balance_warmth(call, endpoint);
	if (!set->has_equal_weights)
		pending = pending * (double)set->weight_total /
			  ((double)endpoint->weight * set->count);
	/* In whole attempts: one in flight at a heavy endpoint is as good as none. */
	return (double)(uint64_t)pending;
}

struct balance_window balance_all(const struct balance_call *call)
{
	return (struct balance_window){0, call->set->count};
}

/* Of the weights laid end to end, those of the window are one piece or two. */
static uint32_t draw_by_weight(const struct balance_call *call, struct balance_window window)
{
	const struct endpoint_set *set = call->set;
	uint32_t end = window.first + window.size;
	uint32_t wrapped = end > set->count ? end - set->count : 0;
	uint64_t begin = window.first ? set->sums[window.first - 1] : 0;
	uint64_t piece = set->sums[end - wrapped - 1] - begin;
	uint64_t point = rng_next(call->rng) % (piece + (wrapped ? set->sums[wrapped - 1] : 0));
	return endpoint_set_at(set, point < piece ? begin + point : point - piece);
}

static uint32_t draw(const struct balance_call *call, struct balance_window window)
{
	if (!call->set->has_equal_weights)
		return draw_by_weight(call, window);
	uint32_t position = window.first + rng_below(call->rng, window.size);
	return position < call->set->count ? position : position - call->set->count;
}

uint32_t balance_draw(const struct balance_call *call, struct balance_window window)
{
	uint32_t position = draw(call, window);
	if (!call->service->balancing.slow_start_ns)
		return position;
	for (int i = 0; i < WARM_DRAWS; i++) {
		if (balance_takes_turn(call, balance_at(call, position)))
			break;
		position = draw(call, window);
	}
	return position;
}

const struct endpoint *balance_scan(const struct balance_call *call, uint32_t first)
{
	const struct endpoint *ejected = NULL;
	uint32_t count = call->set->count;
	for (uint32_t i = 0; i < count && i < SCAN_MOST; i++) {
		const struct endpoint *endpoint = balance_at(call, (first + i) % count);
		enum balance_status status = balance_status(call, endpoint);
		if (status == STATUS_OPEN)
			return endpoint;
		if (status == STATUS_EJECTED && !ejected)
			ejected = endpoint;
	}
	return ejected;
}
