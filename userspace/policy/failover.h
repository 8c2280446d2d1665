/*
 * Is a service up, as far as alternates of a name are concerned (A | B: is A up)? Down when too few
 * of its ready endpoints are alive, up again when that is over for a while, so that traffic does
 * not go to and fro. Pure; time in nanoseconds of a clock that does not go back. Unlike linkerd1.md
 * D7 this is asked for every request.
 *
 * One per service and node: all workers ask and tell the same one, without a lock, so that an
 * alternate is taken by all of them or by none. All zero is new and up.
 */
#ifndef POLICY_FAILOVER_H
#define POLICY_FAILOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct failover_rule {
	uint32_t threshold_ppm; /* of the ready endpoints; 0 = one is enough */
	uint64_t back_ns;       /* good for so long before it is up again */
};

struct failover {
	/* 0 = up; while it is down since when it is good again, UINT64_MAX = it is not */
	_Atomic uint64_t good_since_ns;
};

/* Are so many alive enough? Never without any. */
bool failover_is_good(const struct failover_rule *rule, uint32_t alive, uint32_t ready);
/* What is seen now; true: up. */
bool failover_see(struct failover *failover, const struct failover_rule *rule, bool is_good,
		  uint64_t now_ns);
/* What failover_see would say, without telling it. */
bool failover_shows(const struct failover *failover, const struct failover_rule *rule, bool is_good,
		    uint64_t now_ns);
/* Another service has it now. */
void failover_reset(struct failover *failover);

#endif
