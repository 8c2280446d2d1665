/*
 * When a name is looked up again. Pure: randomness is an argument. RFC 1035 3.2.1, RFC 2308 5.
 */
#ifndef DNS_PACE_H
#define DNS_PACE_H

#include "base/rng.h"
#include "dns/lookup.h"

#define DNS_NEGATIVE_NS 5000000000ull  /* where no SOA says for how long a name is absent */
#define DNS_RETRY_NS    30000000000ull /* the longest wait after a failure */

struct dns_pace {
	uint64_t refresh_ns; /* always so long; 0 = as long as answers hold */
	uint64_t least_ns;   /* answers that hold for less, also for 0 */
	uint64_t most_ns;    /* answers that hold for more */
};

/* Nanoseconds from an answer, or `failures` (>= 1) in a row, until the next look-up: up to a tenth
 * more than said, so that names of one answer are not asked for at once for ever; after failures
 * from least_ns on, doubled for each, half of it drawn. */
uint64_t dns_pace_wait(const struct dns_pace *pace, enum dns_finding finding, uint32_t ttl_s,
		       uint32_t failures, struct rng *rng);

#endif
