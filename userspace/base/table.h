/* Intrusive hash table with chains. Owner: the struct that embeds it; one thread. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

/* Embedded in what the table holds. */
struct table_item {
	struct table_item *next;
	uint32_t hash;
};

struct table {
	struct table_item **slots; /* NULL while it is empty */
	uint32_t mask;
	uint32_t count;
};

#define table_entry(item, type, member) container_of(item, type, member)

/* Frees the slots, not the items. */
void table_fini(struct table *table);
/* 0 or -ENOMEM (only for the first item: later a table that cannot grow gets slower). */
int table_add(struct table *table, struct table_item *item, uint32_t hash) MUST_CHECK;
void table_remove(struct table *table, struct table_item *item);
/* The items with this hash, one after the other; NULL = no more. */
struct table_item *table_first(const struct table *table, uint32_t hash);
struct table_item *table_next(const struct table_item *item);
/* FNV-1a; `seed` chains several texts, 0 for the first. */
uint32_t table_hash(struct span text, uint32_t seed);

/* The body may remove and free `item`. */
#define table_each(table, item)                                                                    \
	for (uint32_t item##_slot = 0; (table)->slots && item##_slot <= (table)->mask;             \
	     item##_slot++)                                                                        \
		for (struct table_item *item = (table)->slots[item##_slot],                        \
				       *item##_after = item ? item->next : NULL;                   \
		     item; item = item##_after, item##_after = item ? item->next : NULL)

#endif
