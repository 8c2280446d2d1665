/* Power of two choices on least requests (Mitzenmacher 2001). Pure. */
#ifndef POLICY_BALANCE_P2C_H
#define POLICY_BALANCE_P2C_H

#include "policy/balance.h"

const struct endpoint *balance_p2c(const struct service *service, const struct balance_view *view,
				   struct rng *rng);

#endif
