/* Power of two choices on least requests (Mitzenmacher 2001; linkerd1.md L1). O(1). Pure. */
#ifndef POLICY_BALANCE_P2C_H
#define POLICY_BALANCE_P2C_H

#include "policy/balance_call.h"

const struct endpoint *balance_p2c(const struct balance_call *call, struct balance_window window);

#endif
