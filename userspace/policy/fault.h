/*
 * Faults on purpose: which request is delayed, which gets an answer that no server gave. By the
 * service's rule, and where the rule permits it by the request's own header, which goes before:
 *   weft-fault: delay=250ms, abort=503
 * Pure; randomness is an argument.
 */
#ifndef POLICY_FAULT_H
#define POLICY_FAULT_H

#include "base/rng.h"
#include "http/message.h"
#include "model/resilience.h"

#define FAULT_HEADER   "weft-fault"
#define FAULT_DELAY_NS 60000000000ull /* most that a header may ask for */

struct fault {
	uint64_t delay_ns; /* 0 = none */
	uint16_t status;   /* 0 = none: the request goes on, after the delay */
};

struct fault fault_pick(const struct fault_rule *rule, const struct http_head *request,
			struct rng *rng);
/* A header's value. -EINVAL: malformed, to be ignored. */
int fault_parse(struct span value, struct fault *ret_fault) MUST_CHECK;

#endif
