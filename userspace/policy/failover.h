/*
 * Is a service up, as far as alternates of a name are concerned (A | B: is A up)? Down when too few
 * of its ready endpoints are alive, up again when that is over for a while, so that traffic does
 * not go to and fro. Pure; time in nanoseconds of a clock that does not go back. Unlike linkerd1.md
 * D7 this is asked for every request.
 */
#ifndef POLICY_FAILOVER_H
#define POLICY_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

struct failover_rule {
	uint32_t threshold_ppm; /* of the ready endpoints; 0 = one is enough */
	uint64_t back_ns;       /* good for so long before it is up again */
};

/* A worker's memory of one service; all zero is new and up. */
struct failover {
	uint32_t birth; /* of the service; another one begins anew */
	bool is_down;
	uint64_t good_since_ns; /* while it is down; UINT64_MAX = it is not good */
};

/* Are so many alive enough? Never without any. */
bool failover_is_good(const struct failover_rule *rule, uint32_t alive, uint32_t ready);
/* What is seen now; true: up. */
bool failover_see(struct failover *failover, const struct failover_rule *rule, uint32_t birth,
		  bool is_good, uint64_t now_ns);

#endif
