/* The latency histogram's arithmetic. */
#include "telemetry/series.h"

#include <assert.h>

static const uint64_t bounds_us[] = WEFT_LATENCY_BOUNDS_US;

_Static_assert(array_count(bounds_us) == WEFT_LATENCY_BUCKETS - 1, "the last bucket is +Inf");

uint64_t latency_bound_us(unsigned bucket)
{
	return bucket < array_count(bounds_us) ? bounds_us[bucket] : UINT64_MAX;
}

/* Bounds are inclusive, as Prometheus' `le` is. */
unsigned latency_bucket(uint64_t microseconds)
{
	unsigned low = 0;
	unsigned high = array_count(bounds_us);
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (microseconds <= bounds_us[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t latency_count(const __u64 buckets[WEFT_LATENCY_BUCKETS])
{
	uint64_t count = 0;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		count += buckets[i];
	return count;
}

uint64_t latency_quantile_us(const __u64 buckets[WEFT_LATENCY_BUCKETS], double quantile)
{
	assert(quantile >= 0 && quantile <= 1);
	uint64_t count = latency_count(buckets);
	if (count == 0)
		return 0;
	double rank = quantile * (double)count;
	double below = 0;
	unsigned last = 0;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++) {
		double inside = (double)buckets[i];
		if (buckets[i] == 0)
			continue;
		last = i;
		if (below + inside < rank) {
			below += inside;
			continue;
		}
		break;
	}
	uint64_t from = last ? bounds_us[last - 1] : 0;
	if (last == WEFT_LATENCY_BUCKETS - 1)
		return from;
	double part = (rank - below) / (double)buckets[last];
	if (part > 1)
		part = 1;
	return from + (uint64_t)(part * (double)(bounds_us[last] - from) + 0.5);
}
