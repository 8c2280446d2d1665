#include "base/hash.h"

#include <errno.h>

#include "base/mem.h"

#define SLOTS_LEAST 16u

void hash_fini(struct hash *table)
{
	mem_free(table->slots);
	*table = (struct hash){0};
}

static struct hash_item **slot_of(const struct hash *table, uint32_t hash)
{
	return &table->slots[hash & table->mask];
}

static void grow(struct hash *table)
{
	uint32_t count = table->slots ? 2 * (table->mask + 1) : SLOTS_LEAST;
	struct hash old = *table;
	struct hash_item **slots = mem_zalloc(count * sizeof(struct hash_item *));
	if (!slots)
		return;
	table->slots = slots;
	table->mask = count - 1;
	hash_each(&old, item)
	{
		struct hash_item **slot = slot_of(table, item->hash);
		item->next = *slot;
		*slot = item;
	}
	mem_free(old.slots);
}

int hash_init(struct hash *table)
{
	*table = (struct hash){0};
	grow(table);
	return table->slots ? 0 : -ENOMEM;
}

int hash_add(struct hash *table, struct hash_item *item, uint32_t hash)
{
	if (!table->slots || table->count > table->mask)
		grow(table);
	if (!table->slots)
		return -ENOMEM;
	struct hash_item **slot = slot_of(table, hash);
	item->hash = hash;
	item->next = *slot;
	*slot = item;
	table->count++;
	return 0;
}

void hash_remove(struct hash *table, struct hash_item *item)
{
	struct hash_item **link = slot_of(table, item->hash);
	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	table->count--;
}

static struct hash_item *with_hash(struct hash_item *item, uint32_t hash)
{
	while (item && item->hash != hash)
		item = item->next;
	return item;
}

struct hash_item *hash_first(const struct hash *table, uint32_t hash)
{
	return table->slots ? with_hash(*slot_of(table, hash), hash) : NULL;
}

struct hash_item *hash_next(const struct hash_item *item)
{
	return with_hash(item->next, item->hash);
}

uint32_t hash_text(struct span text, uint32_t seed)
{
	uint32_t hash = seed ? seed : 2166136261u;
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
	return (hash ^ 0xff) * 16777619u; /* "ab","c" is not "a","bc" */
}
