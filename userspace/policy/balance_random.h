/* A draw by weight, whatever the load is. O(1), with unequal weights O(log n). Pure. */
#ifndef POLICY_BALANCE_RANDOM_H
#define POLICY_BALANCE_RANDOM_H

#include "policy/balance_call.h"

const struct endpoint *balance_random(const struct balance_call *call);

#endif
