#include "control/claims.h"

void claims_fini(struct claims *claims)
{
	hash_fini(&claims->table);
}

int claims_add(struct claims *claims, struct claim *claim)
{
	return hash_add(&claims->table, &claim->item, address_hash(&claim->address));
}

void claims_remove(struct claims *claims, struct claim *claim)
{
	hash_remove(&claims->table, &claim->item);
}

static bool is_before(const struct claimant *a, const struct claimant *b)
{
	if (a->is_headless != b->is_headless)
		return !a->is_headless;
	if (a->created_s != b->created_s)
		return a->created_s < b->created_s;
	return strcmp(a->name, b->name) < 0;
}

const struct claimant *claims_winner(const struct claims *claims,
				     const struct weft_address *address)
{
	const struct claimant *best = NULL;
	struct hash_item *item = hash_first(&claims->table, address_hash(address));
	for (; item; item = hash_next(item)) {
		const struct claim *claim = hash_entry(item, struct claim, item);
		if (address_equal(&claim->address, address) &&
		    (!best || is_before(claim->claimant, best)))
			best = claim->claimant;
	}
	return best;
}

bool claims_are_contested(const struct claims *claims, const struct weft_address *address)
{
	const char *namespace = NULL;
	struct hash_item *item = hash_first(&claims->table, address_hash(address));
	for (; item; item = hash_next(item)) {
		const struct claim *claim = hash_entry(item, struct claim, item);
		if (!address_equal(&claim->address, address))
			continue;
		if (namespace && strcmp(claim->claimant->namespace, namespace) != 0)
			return true;
		namespace = claim->claimant->namespace;
	}
	return false;
}
