/*
 * What hashes alike goes to one endpoint, for as long as that has room: consistent hashing with
 * bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016). No endpoint gets more than HASH_BOUND times
 * its share of the attempts in flight of this worker, rounded up; what does not fit goes on along
 * the ring. A walk takes 1/(bound − 1)² points at the mean, and STEPS_MOST at most: O(log n) with
 * the search. Pure.
 */
#ifndef POLICY_BALANCE_HASH_H
#define POLICY_BALANCE_HASH_H

#include "policy/balance_call.h"

const struct endpoint *balance_hash(const struct balance_call *call);

#endif
