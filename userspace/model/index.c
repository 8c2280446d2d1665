#include "model/index.h"

#include <assert.h>

#include "base/mem.h"

struct index_entry {
	struct weft_address address;
	struct service *service; /* NULL = free */
};

struct snapshot_index {
	uint32_t mask;
	uint32_t count;
	struct index_entry entries[];
};

struct snapshot_index *index_new(uint32_t most)
{
	size_t capacity = 8;
	while (capacity < (size_t)most * 2)
		capacity *= 2;
	struct snapshot_index *index =
		mem_zalloc(sizeof(*index) + capacity * sizeof(struct index_entry));
	if (index)
		index->mask = (uint32_t)(capacity - 1);
	return index;
}

void index_free(struct snapshot_index *index)
{
	mem_free(index);
}

/* Where the address is, or the free entry where it would be. */
static uint32_t place_of(const struct snapshot_index *index, const struct weft_address *address)
{
	uint32_t place = address_hash(address) & index->mask;
	while (index->entries[place].service &&
	       !address_equal(&index->entries[place].address, address))
		place = (place + 1) & index->mask;
	return place;
}

struct service *index_claim(struct snapshot_index *index, const struct weft_address *address,
			    struct service *service)
{
	struct index_entry *entry = &index->entries[place_of(index, address)];
	if (entry->service)
		return entry->service;
	assert(index->count <= index->mask / 2);
	index->count++;
	entry->address = *address;
	entry->service = service;
	return NULL;
}

const struct service *index_find(const struct snapshot_index *index,
				 const struct weft_address *address)
{
	return index->entries[place_of(index, address)].service;
}
