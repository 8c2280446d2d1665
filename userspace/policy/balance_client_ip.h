/* The same endpoint for the same client for as long as it is ready. Internal to policy. */
#ifndef POLICY_BALANCE_CLIENT_IP_H
#define POLICY_BALANCE_CLIENT_IP_H

#include "policy/balance.h"

/*
 * Highest random weight (Thaler and Ravishankar 1998): each endpoint draws by a hash of the
 * client's address and its own, so that all nodes and workers agree without a memory, and an
 * endpoint that leaves moves only its own clients. Weights count only as 0 or not.
 */
const struct endpoint *balance_client_ip(const struct service *service,
					 const struct balance_view *view);

#endif
