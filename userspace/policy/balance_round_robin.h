/* Each endpoint in turn, as often as its weight says (linkerd1.md L5). O(1), with unequal weights
 * O(log n). Pure. */
#ifndef POLICY_BALANCE_ROUND_ROBIN_H
#define POLICY_BALANCE_ROUND_ROBIN_H

#include "policy/balance_call.h"

const struct endpoint *balance_round_robin(const struct balance_call *call);

#endif
