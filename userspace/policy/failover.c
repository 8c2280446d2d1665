#include "policy/failover.h"

#define MILLION  1000000ull
#define UP       0ull
#define NOT_GOOD UINT64_MAX

bool failover_is_good(const struct failover_rule *rule, uint32_t alive, uint32_t ready)
{
	return alive > 0 && alive * MILLION >= (uint64_t)ready * rule->threshold_ppm;
}

static uint64_t word_of(const struct failover *failover)
{
	return atomic_load_explicit(&failover->good_since_ns, memory_order_relaxed);
}

/* Another worker's moment may be a little later than ours. */
static bool is_back(uint64_t since_ns, const struct failover_rule *rule, uint64_t now_ns)
{
	return (now_ns > since_ns ? now_ns - since_ns : 0) >= rule->back_ns;
}

/* Not by plain stores: a worker that saw it not good meanwhile counts, as it saw it later. */
static void change(struct failover *failover, uint64_t from, uint64_t to)
{
	atomic_compare_exchange_strong_explicit(&failover->good_since_ns, &from, to,
						memory_order_relaxed, memory_order_relaxed);
}

bool failover_see(struct failover *failover, const struct failover_rule *rule, bool is_good,
		  uint64_t now_ns)
{
	uint64_t word = word_of(failover);
	if (!is_good) {
		if (word != NOT_GOOD)
			atomic_store_explicit(&failover->good_since_ns, NOT_GOOD,
					      memory_order_relaxed);
		return false;
	}
	if (word == UP)
		return true;
	uint64_t since_ns = word == NOT_GOOD ? now_ns + (now_ns == UP) : word;
	bool is_up = is_back(since_ns, rule, now_ns);
	if (is_up)
		change(failover, word, UP);
	else if (word == NOT_GOOD)
		change(failover, word, since_ns);
	return is_up;
}

bool failover_shows(const struct failover *failover, const struct failover_rule *rule, bool is_good,
		    uint64_t now_ns)
{
	uint64_t word = word_of(failover);
	if (!is_good || word == UP)
		return is_good;
	return is_back(word == NOT_GOOD ? now_ns : word, rule, now_ns);
}

void failover_reset(struct failover *failover)
{
	atomic_store_explicit(&failover->good_since_ns, UP, memory_order_relaxed);
}
