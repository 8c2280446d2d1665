/*
 * A token bucket for each client or header value, in a table of bounded size. A bucket that is full
 * again is as good as none, so the place of whoever was served longest ago is taken for a new key:
 * least recently used, within a set of eight places. Only when all eight are in debt is one
 * forgotten, the least indebted, who then may have one burst more than it should.
 *
 * Shared by all workers without a lock. What races cost: two new keys that want one place at the
 * same moment may share it for one request.
 */
#ifndef POLICY_RATE_LIMIT_H
#define POLICY_RATE_LIMIT_H

#include <stdbool.h>

#include "base/span.h"
#include "policy/token_bucket.h"

#define RATE_LIMIT_WAYS 8

struct rate_limit_place {
	_Atomic uint64_t key; /* 0 = free */
	struct token_bucket bucket;
};

struct rate_limit {
	uint64_t seed;            /* for rate_limit_key */
	struct rate_limit *older; /* that this one came for: others may still be in it */
	uint32_t set_count;
	uint32_t pad;
	struct rate_limit_place places[]; /* set_count times RATE_LIMIT_WAYS */
};

/* For at most so many keys, rounded down to a multiple of RATE_LIMIT_WAYS but for one set; NULL:
 * out of memory. It owns `older`, which may be NULL. */
struct rate_limit *rate_limit_new(uint32_t keys, uint64_t seed, struct rate_limit *older);
void rate_limit_free(struct rate_limit *limit); /* with all that is older; NULL is fine */
/* There is room for so many keys. */
bool rate_limit_holds(const struct rate_limit *limit, uint32_t keys);
/* Of a client's name or a header's value; `seed` makes collisions hard to find. Never 0. */
uint64_t rate_limit_key(struct span text, uint64_t seed);
/* As token_bucket_take, for this key of at most so many. */
uint64_t rate_limit_take(struct rate_limit *limit, uint64_t key, uint32_t keys,
			 uint32_t rate_per_second, uint32_t burst, uint64_t now_ns);

#endif
