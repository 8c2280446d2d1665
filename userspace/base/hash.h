/* Intrusive hash table with chains. Owner: the struct that embeds it; one thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

/* Embedded in what the table holds. */
struct hash_item {
	struct hash_item *next;
	uint32_t hash;
};

struct hash {
	struct hash_item **slots; /* NULL while it is empty */
	uint32_t mask;
	uint32_t count;
};

#define hash_entry(item, type, member) container_of(item, type, member)

/* Optional; after it no hash_add fails. 0 or -ENOMEM. */
int hash_init(struct hash *table) MUST_CHECK;
/* Frees the slots, not the items. */
void hash_fini(struct hash *table);
/* 0 or -ENOMEM (only for the first item: later a table that cannot grow gets slower). */
int hash_add(struct hash *table, struct hash_item *item, uint32_t hash) MUST_CHECK;
void hash_remove(struct hash *table, struct hash_item *item);
/* The items with this hash, one after the other; NULL = no more. */
struct hash_item *hash_first(const struct hash *table, uint32_t hash);
struct hash_item *hash_next(const struct hash_item *item);
/* FNV-1a; `seed` chains several texts, 0 for the first. */
uint32_t hash_text(struct span text, uint32_t seed);

/* The body may remove and free `item`. */
#define hash_each(table, item)                                                                     \
	for (uint32_t item##_slot = 0; (table)->slots && item##_slot <= (table)->mask;             \
	     item##_slot++)                                                                        \
		for (struct hash_item *item = (table)->slots[item##_slot],                         \
				      *item##_after = item ? item->next : NULL;                    \
		     item; item = item##_after, item##_after = item ? item->next : NULL)

#endif
