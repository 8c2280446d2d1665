/* Power of two choices on the peak EWMA of round trips (linkerd1.md L2). O(1). Pure. */
#ifndef POLICY_BALANCE_EWMA_H
#define POLICY_BALANCE_EWMA_H

#include "policy/balance_call.h"

#define EWMA_DECAY_NS 10e9                        /* τ */
#define EWMA_PENALTY  ((double)(INT64_MAX >> 16)) /* of an unknown one that was asked already */
#define EWMA_CONNECT_NS                                                                            \
	10e6                /* least cost of a tunnel: which SYN was faster is no reason to pile   \
			       them up at one endpoint; how many are open decides */
#define EWMA_FAILURE_NS 1e9 /* least cost of a failed attempt: failing fast is not being fast */

const struct endpoint *balance_ewma(const struct balance_call *call);

/* A round trip that took so long ended now: a peak counts at once, what is less by and by. */
void balance_ewma_observe(struct endpoint_load *load, double rtt_ns, uint64_t now_ns);
/* An attempt ended. Beyond L2, which knows answers only: what failed costs at least as before and
 * EWMA_FAILURE_NS; one that was left counts only as a peak. */
void balance_ewma_ended(struct endpoint_load *load, uint64_t rtt_ns, uint64_t now_ns,
			enum balance_outcome outcome);
/* cost × (pending + 1); decays the cost of an idle one. */
double balance_ewma_load(struct endpoint_load *load, double pending, uint64_t now_ns);

#endif
