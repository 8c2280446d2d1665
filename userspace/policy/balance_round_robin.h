/* Each endpoint in turn, as often as its weight says. Pure. */
#ifndef POLICY_BALANCE_ROUND_ROBIN_H
#define POLICY_BALANCE_ROUND_ROBIN_H

#include "policy/balance.h"

const struct endpoint *balance_round_robin(const struct service *service,
					   struct balance_state *state,
					   const struct balance_view *view);

#endif
