/*
 * Which endpoint takes the next attempt? Pure: loads, time and randomness are arguments. One
 * algorithm per file, balance_*.c. Every pick is O(1) or O(log n) in the service's endpoints; the
 * first pick after a change of the service is O(n) once.
 */
#ifndef POLICY_BALANCE_H
#define POLICY_BALANCE_H

#include "base/rng.h"
#include "policy/balances.h"

#define BALANCE_TRIED_MOST 16 /* of one request */

/* What the next attempt is for. */
struct balance_request {
	uint64_t now_ns;
	const uint32_t *tried; /* endpoint ids that this request tried already */
	uint32_t tried_count;  /* at most BALANCE_TRIED_MOST */
	bool has_key;
	uint64_t key; /* balancer `hash`: of what the service hashes; balance_key.h */
	bool has_token;
	uint64_t token;        /* of the endpoint that the client's cookie names: model/sticky.h */
	uint8_t client_ip[16]; /* as in struct weft_address */
};

/*
 * Endpoint to dial, or NULL: no ready endpoint that was not tried. One that is ejected is given
 * only if no other is found by a few draws, or too many are ejected (panic_percent).
 */
const struct endpoint *balance_pick(struct balances *balances, const struct service *service,
				    const struct balance_request *request, struct rng *rng);

#endif
