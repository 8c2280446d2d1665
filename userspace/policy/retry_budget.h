/*
 * How many retries a service may have: a token bucket that forgets (linkerd1.md Y2). Each original
 * request deposits 1000 tokens, each retry withdraws W = floor(1000 / share). Deposits and
 * withdrawals are forgotten after the ttl, in ten slices; a reserve of min_per_second x ttl x W is
 * always there. Share 0: no deposits and W = 1; with min_per_second 0 too there is no retry.
 *
 * Pure; time in nanoseconds of any clock that does not go back. One per service and node, shared by
 * all workers without a lock: a slice is one word, so that no deposit and no withdrawal is lost.
 * What races cost: workers that ask at the same moment may each see the last token and each take
 * it, so at most one retry more than allowed for each further worker; it is paid back, as the
 * balance is negative then. All zero is a new budget.
 */
#ifndef POLICY_RETRY_BUDGET_H
#define POLICY_RETRY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>

#include "model/resilience.h"

#define RETRY_BUDGET_SLICES 10

struct retry_budget {
	_Atomic uint64_t slices[RETRY_BUDGET_SLICES]; /* 24 bits of its number, 40 of its sum */
};

/* An original request was made. */
void retry_budget_deposit(struct retry_budget *budget, const struct budget_rule *rule,
			  uint64_t now_ns);
/* May there be a retry? True: it is paid for. */
bool retry_budget_withdraw(struct retry_budget *budget, const struct budget_rule *rule,
			   uint64_t now_ns);
/* Retries that would be allowed at this moment: tokens / W, rounded down; may be negative. */
int64_t retry_budget_balance(const struct retry_budget *budget, const struct budget_rule *rule,
			     uint64_t now_ns);

#endif
