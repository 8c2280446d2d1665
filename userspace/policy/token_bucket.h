/*
 * A rate and a burst, as one word: the time at which everything admitted so far would have been
 * served at the rate (generic cell rate algorithm, ITU-T I.371; the same verdicts as a token bucket
 * that fills continuously). Pure. Shared by all workers without a lock, exact under races: the word
 * changes by compare-and-swap. Zero is a full bucket.
 */
#ifndef POLICY_TOKEN_BUCKET_H
#define POLICY_TOKEN_BUCKET_H

#include <stdatomic.h>
#include <stdint.h>

struct token_bucket {
	_Atomic uint64_t until_ns; /* served until then, at the rate */
};

/* One request: 0 = admitted, else nanoseconds until one would be. rate_per_second >= 1; burst 0 = a
 * second's worth. */
uint64_t token_bucket_take(struct token_bucket *bucket, uint32_t rate_per_second, uint32_t burst,
			   uint64_t now_ns);

#endif
