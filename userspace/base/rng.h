/* xoshiro256** (Blackman, Vigna 2018). Owner: one thread. Not for secrets. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, bound); bound >= 1. */
uint32_t rng_below(struct rng *rng, uint32_t bound);

#endif
