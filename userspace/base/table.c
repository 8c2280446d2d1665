#include "base/table.h"

#include <errno.h>

#include "base/mem.h"

#define SLOTS_LEAST 16u

void table_fini(struct table *table)
{
	mem_free(table->slots);
	*table = (struct table){0};
}

static struct table_item **slot_of(const struct table *table, uint32_t hash)
{
	return &table->slots[hash & table->mask];
}

static void grow(struct table *table)
{
	uint32_t count = table->slots ? 2 * (table->mask + 1) : SLOTS_LEAST;
	struct table old = *table;
	struct table_item **slots = mem_zalloc(count * sizeof(struct table_item *));
	if (!slots)
		return;
	table->slots = slots;
	table->mask = count - 1;
	table_each(&old, item)
	{
		struct table_item **slot = slot_of(table, item->hash);
		item->next = *slot;
		*slot = item;
	}
	mem_free(old.slots);
}

int table_add(struct table *table, struct table_item *item, uint32_t hash)
{
	if (!table->slots || table->count > table->mask)
		grow(table);
	if (!table->slots)
		return -ENOMEM;
	struct table_item **slot = slot_of(table, hash);
	item->hash = hash;
	item->next = *slot;
	*slot = item;
	table->count++;
	return 0;
}

void table_remove(struct table *table, struct table_item *item)
{
	struct table_item **link = slot_of(table, item->hash);
	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	table->count--;
}

static struct table_item *with_hash(struct table_item *item, uint32_t hash)
{
	while (item && item->hash != hash)
		item = item->next;
	return item;
}

struct table_item *table_first(const struct table *table, uint32_t hash)
{
	return table->slots ? with_hash(*slot_of(table, hash), hash) : NULL;
}

struct table_item *table_next(const struct table_item *item)
{
	return with_hash(item->next, item->hash);
}

uint32_t table_hash(struct span text, uint32_t seed)
{
	uint32_t hash = seed ? seed : 2166136261u;
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
	return (hash ^ 0xff) * 16777619u; /* "ab","c" is not "a","bc" */
}
