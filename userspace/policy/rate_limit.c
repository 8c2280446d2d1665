#include "policy/rate_limit.h"

#include "base/mem.h"

static uint32_t sets_for(uint32_t keys)
{
	return keys < RATE_LIMIT_WAYS ? 1 : keys / RATE_LIMIT_WAYS;
}

struct rate_limit *rate_limit_new(uint32_t keys, uint64_t seed, struct rate_limit *older)
{
	size_t count = (size_t)sets_for(keys) * RATE_LIMIT_WAYS;
	struct rate_limit *limit =
		mem_zalloc(sizeof(*limit) + count * sizeof(struct rate_limit_place));
	if (!limit)
		return NULL;
	limit->seed = seed;
	limit->older = older;
	limit->set_count = sets_for(keys);
	return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
	while (limit) {
		struct rate_limit *older = limit->older;
		mem_free(limit);
		limit = older;
	}
}

bool rate_limit_holds(const struct rate_limit *limit, uint32_t keys)
{
	return limit->set_count >= sets_for(keys);
}

/* FNV-1a, then a mixer, so that the low bits depend on all. */
uint64_t rate_limit_key(struct span text, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ seed;
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3ull;
	hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93ull;
	hash ^= hash >> 32;
	return hash ? hash : 1;
}

static uint64_t served_until_ns(const struct rate_limit_place *place)
{
	return atomic_load_explicit(&place->bucket.until_ns, memory_order_relaxed);
}

/* The key's place; a free one, or the one served longest ago, when it has none. */
static struct rate_limit_place *find(struct rate_limit *limit, uint64_t key, uint32_t keys)
{
	uint32_t sets = rate_limit_holds(limit, keys) ? sets_for(keys) : limit->set_count;
	struct rate_limit_place *set = &limit->places[(key % sets) * RATE_LIMIT_WAYS];
	struct rate_limit_place *oldest = &set[0];
	for (unsigned i = 0; i < RATE_LIMIT_WAYS; i++) {
		if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key)
			return &set[i];
		if (served_until_ns(&set[i]) < served_until_ns(oldest))
			oldest = &set[i];
	}
	atomic_store_explicit(&oldest->bucket.until_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&oldest->key, key, memory_order_relaxed);
	return oldest;
}

uint64_t rate_limit_take(struct rate_limit *limit, uint64_t key, uint32_t keys,
			 uint32_t rate_per_second, uint32_t burst, uint64_t now_ns)
{
	return token_bucket_take(&find(limit, key, keys)->bucket, rate_per_second, burst, now_ns);
}
