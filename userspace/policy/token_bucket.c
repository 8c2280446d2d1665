#include "policy/token_bucket.h"

#define NS_PER_S 1000000000ull

uint64_t token_bucket_take(struct token_bucket *bucket, uint32_t rate_per_second, uint32_t burst,
			   uint64_t now_ns)
{
	uint64_t each_ns = NS_PER_S / rate_per_second;
	uint64_t ahead_ns = each_ns * ((burst ? burst : rate_per_second) - 1);
	uint64_t old = atomic_load_explicit(&bucket->until_ns, memory_order_relaxed);
	uint64_t from_ns;
	do {
		from_ns = old > now_ns ? old : now_ns;
		if (from_ns - now_ns > ahead_ns)
			return from_ns - now_ns - ahead_ns;
	} while (!atomic_compare_exchange_weak_explicit(&bucket->until_ns, &old, from_ns + each_ns,
							memory_order_relaxed,
							memory_order_relaxed));
	return 0;
}
