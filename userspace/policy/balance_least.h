/*
 * The least busy of all endpoints, per weight (linkerd1.md L4): a heap for each worker and service.
 * Of equally busy ones each has its turn as often as its weight says (deadlines as in weighted fair
 * queueing, Demers, Keshav and Shenker 1989), with some chance in it, so that workers do not fall
 * in step. A pick and a change of load are O(log n); the heap is built anew, in O(n), by the first
 * pick after a change of the service. Internal to policy.
 */
#ifndef POLICY_BALANCE_LEAST_H
#define POLICY_BALANCE_LEAST_H

#include "policy/balance_call.h"

const struct endpoint *balance_least(const struct balance_call *call);
/* The load of one that is in the heap has changed. */
void balance_least_moved(const struct balances *balances, struct balance_state *state,
			 const struct endpoint_load *load);

#endif
