#include "policy/backoff.h"

static uint64_t random_below(struct rng *rng, uint64_t bound)
{
	return bound ? rng_next(rng) % bound : 0;
}

static uint64_t jittered(const struct backoff_rule *rule, uint64_t previous_ns, struct rng *rng)
{
	uint64_t most_ns = previous_ns < rule->most_ns / 3 ? 3 * previous_ns : rule->most_ns;
	if (most_ns <= rule->least_ns)
		return rule->least_ns;
	return rule->least_ns + random_below(rng, most_ns - rule->least_ns + 1);
}

static uint64_t equal_jittered(const struct backoff_rule *rule, uint32_t step, struct rng *rng)
{
	uint32_t doublings = step - 1;
	if (doublings >= 63 || rule->least_ns >= rule->most_ns >> doublings)
		return rule->most_ns;
	uint64_t half_ns = rule->least_ns << doublings;
	uint64_t wait_ns = half_ns + random_below(rng, half_ns);
	return wait_ns < rule->most_ns ? wait_ns : rule->most_ns;
}

uint64_t backoff_next(const struct backoff_rule *rule, uint32_t step, uint64_t previous_ns,
		      struct rng *rng)
{
	if (step == 0 || rule->kind == BACKOFF_CONSTANT)
		return rule->least_ns;
	return rule->kind == BACKOFF_JITTERED ? jittered(rule, previous_ns, rng)
					      : equal_jittered(rule, step, rng);
}
