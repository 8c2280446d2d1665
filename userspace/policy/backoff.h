/*
 * How long to wait before the next try. Pure. Three rules:
 *   constant         least_ns, always
 *   jittered         decorrelated (linkerd1.md Y3): the first is least_ns, the next is random from
 *                    least_ns to min(most_ns, 3 x the one before)
 *   equal jittered   (linkerd1.md 1.14): the first is least_ns; the k-th after it is half certain
 *                    and half random, from least_ns x 2^(k-1) to twice that; most_ns from then on
 *                    when it would be more
 */
#ifndef POLICY_BACKOFF_H
#define POLICY_BACKOFF_H

#include "base/rng.h"
#include "model/resilience.h"

/* `step`: waits before this one, 0 for the first; `previous_ns`: the last of them. */
uint64_t backoff_next(const struct backoff_rule *rule, uint32_t step, uint64_t previous_ns,
		      struct rng *rng);

#endif
