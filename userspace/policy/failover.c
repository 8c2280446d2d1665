#include "policy/failover.h"

#define MILLION 1000000ull

bool failover_is_good(const struct failover_rule *rule, uint32_t alive, uint32_t ready)
{
	return alive > 0 && alive * MILLION >= (uint64_t)ready * rule->threshold_ppm;
}

bool failover_see(struct failover *failover, const struct failover_rule *rule, uint32_t birth,
		  bool is_good, uint64_t now_ns)
{
	if (failover->birth != birth)
		*failover = (struct failover){.birth = birth};
	if (!is_good) {
		failover->is_down = true;
		failover->good_since_ns = UINT64_MAX;
		return false;
	}
	if (!failover->is_down)
		return true;
	if (failover->good_since_ns == UINT64_MAX)
		failover->good_since_ns = now_ns;
	failover->is_down = now_ns - failover->good_since_ns < rule->back_ns;
	return !failover->is_down;
}
