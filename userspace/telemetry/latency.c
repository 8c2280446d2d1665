/* The latency histogram's arithmetic. */
#include "telemetry/series.h"

#include "base/histogram.h"

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

bool latency_quantile_us(const __u64 buckets[WEFT_LATENCY_BUCKETS], double quantile,
			 uint64_t *ret_us)
{
	_Static_assert(sizeof(__u64) == sizeof(uint64_t), "two names of one type");
	return histogram_quantile(bounds_us, (const uint64_t *)buckets, WEFT_LATENCY_BUCKETS,
				  quantile, ret_us);
}
