/*
 * Whose is a dial to an endpoint's own address? Several services may have it; one names, parses and
 * counts it: of those with the port, the ClusterIP one before the headless, then the oldest, then
 * the first by name. Owner: the control thread.
 */
#ifndef CONTROL_CLAIMS_H
#define CONTROL_CLAIMS_H

#include "base/address.h"
#include "base/hash.h"

/* Who claims; outlives its claims. */
struct claimant {
	const char *name;
	const char *namespace;
	uint64_t created_s;
	bool is_headless;
};

struct claim {
	struct hash_item item;
	struct weft_address address;
	const struct claimant *claimant;
};

struct claims {
	struct hash table; /* of struct claim by address */
};

void claims_fini(struct claims *claims);
/* 0 or -ENOMEM. `claim` stays where it is until it is removed. */
int claims_add(struct claims *claims, struct claim *claim) MUST_CHECK;
void claims_remove(struct claims *claims, struct claim *claim);
/* NULL = nobody claims it. */
const struct claimant *claims_winner(const struct claims *claims,
				     const struct weft_address *address);
/* Services of more than one namespace claim it. */
bool claims_are_contested(const struct claims *claims, const struct weft_address *address);

#endif
