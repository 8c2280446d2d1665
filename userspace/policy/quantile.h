/*
 * A quantile of a stream of durations, kept as one number: each sample above it raises it by a
 * share of a small step, each other one lowers it by the rest, so that it rests where the shares
 * balance (stochastic approximation, Robbins and Monro 1951, in steps of a ratio). It follows a
 * change: ten times slower within some 50 samples, ten times faster within some 1,000 at 95 %.
 *
 * Pure. Shared by threads without a lock: of two samples at the same moment one may be lost. All
 * zero is new.
 */
#ifndef POLICY_QUANTILE_H
#define POLICY_QUANTILE_H

#include <stdatomic.h>
#include <stdint.h>

#define QUANTILE_SAMPLES_LEAST 32 /* before it says anything */

struct quantile {
	_Atomic uint64_t estimate_ns;
	_Atomic uint32_t samples; /* at most QUANTILE_SAMPLES_LEAST */
};

/* `share_ppm` of the samples are to lie below it. */
void quantile_observe(struct quantile *quantile, uint32_t share_ppm, uint64_t sample_ns);
/*
 * One that was above the estimate when it was cut off after `least_ns`. Raises it to about twice
 * that at most: many that are cut off at the same moment, as in a stall, say no more than one.
 */
void quantile_observe_cut(struct quantile *quantile, uint32_t share_ppm, uint64_t least_ns);
/* 0: not known yet. */
uint64_t quantile_ns(const struct quantile *quantile);

#endif
