/*
 * What hashes alike goes to one endpoint, for as long as that has room: consistent hashing with
 * bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016). No endpoint gets more than 1.25 times its
 * share of the attempts in flight of this worker, rounded up; what does not fit jumps to another
 * point of the ring, the same for the same key (Chen, Coleman, Shrivastava 2021: a walk to the
 * next would fill the neighbours). A fifth of the endpoints or more have room, so five jumps are
 * enough at the mean, each O(log n), and JUMPS nearly always. Pure.
 */
#ifndef POLICY_BALANCE_HASH_H
#define POLICY_BALANCE_HASH_H

#include "policy/balance_call.h"

/* By the request's key; one without goes where ewma sends it. */
const struct endpoint *balance_hash(const struct balance_call *call);
/* The first open one (with room) of the key's points; NULL = none was found. */
const struct endpoint *balance_ring(const struct balance_call *call, uint64_t key, bool is_bounded);

#endif
