#include "policy/concurrency.h"

#include <math.h>

#define WINDOW_NS   100000000ull
#define ANSWERS     10
#define LIMIT_LEAST 4
#define LIMIT_START 20
#define LIMIT_UNIT  256 /* parts of one, so that small steps count */
#define FORGETTING  1.001
#define TOLERANCE   1.5 /* latency over the least that is no queue yet */
#define SMOOTHING   0.2 /* of a new limit */

#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static bool add_one(_Atomic uint32_t *count, uint32_t most)
{
	uint32_t old = LOAD(*count);
	do {
		if (old >= most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(count, &old, old + 1, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

bool concurrency_enter(struct concurrency *concurrency, uint32_t cap)
{
	return add_one(&concurrency->active, cap ? cap : UINT32_MAX);
}

void concurrency_leave(struct concurrency *concurrency)
{
	atomic_fetch_sub_explicit(&concurrency->active, 1, memory_order_relaxed);
}

bool concurrency_queue(struct concurrency *concurrency, uint32_t most)
{
	return add_one(&concurrency->queued, most);
}

void concurrency_unqueue(struct concurrency *concurrency)
{
	atomic_fetch_sub_explicit(&concurrency->queued, 1, memory_order_relaxed);
}

uint32_t concurrency_queued(const struct concurrency *concurrency)
{
	return LOAD(concurrency->queued);
}

uint32_t concurrency_limit(const struct concurrency *concurrency, uint32_t cap)
{
	uint32_t limit = LOAD(concurrency->limit) / LIMIT_UNIT;
	if (limit == 0)
		limit = LIMIT_START;
	return cap == 0 || limit < cap ? limit : cap;
}

/* The mean latency of a window, and how many were under way at most in it. */
static void adapt(struct concurrency *concurrency, uint32_t cap, double mean_ns, uint32_t active)
{
	double limit = (double)LOAD(concurrency->limit) / LIMIT_UNIT;
	double least_ns = (double)LOAD(concurrency->least_ns) * FORGETTING;
	if (limit == 0)
		limit = concurrency_limit(concurrency, cap);
	if (least_ns == 0 || mean_ns < least_ns)
		least_ns = mean_ns;
	STORE(concurrency->least_ns, (uint64_t)least_ns);
	double gradient = TOLERANCE * least_ns / mean_ns;
	gradient = gradient > 1 ? 1 : gradient < 0.5 ? 0.5 : gradient;
	double next = limit * gradient + sqrt(limit);
	next = limit * (1 - SMOOTHING) + next * SMOOTHING;
	/* Who does not use its limit learns nothing of it. */
	if (next > limit && active * 2 < limit)
		next = limit;
	if (next < LIMIT_LEAST)
		next = LIMIT_LEAST;
	if (cap && next > cap)
		next = cap;
	STORE(concurrency->limit, (uint32_t)(next * LIMIT_UNIT));
}

void concurrency_answered(struct concurrency *concurrency, uint32_t cap, uint64_t latency_ns,
			  uint64_t now_ns)
{
	uint32_t active = LOAD(concurrency->active);
	uint32_t count = atomic_fetch_add_explicit(&concurrency->count, 1, memory_order_relaxed);
	uint64_t until_ns = LOAD(concurrency->until_ns);
	atomic_fetch_add_explicit(&concurrency->sum_ns, latency_ns, memory_order_relaxed);
	if (active > LOAD(concurrency->most_active))
		STORE(concurrency->most_active, active);
	if (now_ns < until_ns || count + 1 < ANSWERS)
		return;
	/* One worker ends the window. */
	if (!atomic_compare_exchange_strong_explicit(&concurrency->until_ns, &until_ns,
						     now_ns + WINDOW_NS, memory_order_relaxed,
						     memory_order_relaxed))
		return;
	uint64_t sum_ns = atomic_exchange_explicit(&concurrency->sum_ns, 0, memory_order_relaxed);
	count = atomic_exchange_explicit(&concurrency->count, 0, memory_order_relaxed);
	uint32_t most =
		atomic_exchange_explicit(&concurrency->most_active, 0, memory_order_relaxed);
	if (count && sum_ns)
		adapt(concurrency, cap, (double)sum_ns / count, most);
}
