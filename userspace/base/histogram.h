/* Quantiles of counts in buckets with upper bounds. Pure. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `counts` [bucket_count], not cumulative; `bounds` [bucket_count - 1], rising: the last bucket has
 * none. Quantile 0..1, linear inside a bucket; in the last bucket its lower bound. False: nothing
 * was counted.
 */
bool histogram_quantile(const uint64_t *bounds, const uint64_t *counts, size_t bucket_count,
			double quantile, uint64_t *ret_value);

#endif
