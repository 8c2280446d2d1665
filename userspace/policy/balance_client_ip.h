/*
 * The same endpoint for the same client, for as long as it is ready and not ejected, on all nodes
 * and workers: the ring of balance_hash, without a bound of the load (sessionAffinity of
 * Kubernetes is strict). O(log n). Pure.
 */
#ifndef POLICY_BALANCE_CLIENT_IP_H
#define POLICY_BALANCE_CLIENT_IP_H

#include "policy/balance_call.h"

const struct endpoint *balance_client_ip(const struct balance_call *call);

#endif
