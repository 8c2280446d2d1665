/*
 * A token bucket for each client or header value, in a table of fixed size. A bucket that is full
 * again is as good as none, so the place of whoever was served longest ago is taken for a new key:
 * least recently used, within a set of eight places. Only when all eight are in debt is one
 * forgotten, the least indebted, who then may have one burst more than it should.
 *
 * Pure; shared by all workers without a lock. What races cost: two new keys that want one place at
 * the same moment may share it for one request. All zero is empty.
 */
#ifndef POLICY_RATE_LIMIT_H
#define POLICY_RATE_LIMIT_H

#include "base/span.h"
#include "policy/token_bucket.h"

#define RATE_LIMIT_SETS 128
#define RATE_LIMIT_WAYS 8 /* 1024 keys */

struct rate_limit_place {
	_Atomic uint64_t key; /* 0 = free */
	struct token_bucket bucket;
};

struct rate_limit {
	uint64_t seed; /* for rate_limit_key; the maker's */
	struct rate_limit_place places[RATE_LIMIT_SETS][RATE_LIMIT_WAYS];
};

/* Of a client's name or a header's value; `seed` makes collisions hard to find. Never 0. */
uint64_t rate_limit_key(struct span text, uint64_t seed);
/* As token_bucket_take, for this key. */
uint64_t rate_limit_take(struct rate_limit *limit, uint64_t key, uint32_t rate_per_second,
			 uint32_t burst, uint64_t now_ns);

#endif
