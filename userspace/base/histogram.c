#include "base/histogram.h"

#include <assert.h>

static uint64_t total(const uint64_t *counts, size_t bucket_count)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < bucket_count; i++)
		sum += counts[i];
	return sum;
}

bool histogram_quantile(const uint64_t *bounds, const uint64_t *counts, size_t bucket_count,
			double quantile, uint64_t *ret_value)
{
	assert(quantile >= 0 && quantile <= 1);
	double rank = quantile * (double)total(counts, bucket_count);
	double below = 0;
	size_t bucket = bucket_count;
	for (size_t i = 0; i < bucket_count; i++) {
		if (counts[i] == 0)
			continue;
		if (bucket < bucket_count)
			below += (double)counts[bucket];
		bucket = i;
		if (below + (double)counts[i] >= rank)
			break;
	}
	if (bucket == bucket_count)
		return false;
	uint64_t from = bucket ? bounds[bucket - 1] : 0;
	*ret_value = from;
	if (bucket == bucket_count - 1)
		return true;
	double part = (rank - below) / (double)counts[bucket];
	if (part > 1) /* rounding, at the last value */
		part = 1;
	*ret_value += (uint64_t)(part * (double)(bounds[bucket] - from) + 0.5);
	return true;
}
