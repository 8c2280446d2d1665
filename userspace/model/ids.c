#include "model/ids.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define SPACE_LEAST 1024u

int ids_init(struct ids *ids, uint32_t first, uint32_t held, uint32_t held_limit, uint32_t more)
{
	uint64_t space = SPACE_LEAST;
	while (space < held_limit || space < (uint64_t)held + more + first || space < 4ull * more)
		space *= 2;
	assert(space <= UINT32_MAX / 2);
	*ids = (struct ids){.space = (uint32_t)space, .first = first, .next = first};
	ids->used = mem_zalloc(space / 8);
	return ids->used ? 0 : -ENOMEM;
}

int ids_copy(struct ids *ids, const struct ids *from, uint32_t held, uint32_t more)
{
	int error = ids_init(ids, from->first, held, from->space, more);
	if (error)
		return error;
	if (from->used)
		memcpy(ids->used, from->used, from->space / 8);
	ids->next = from->next;
	return 0;
}

void ids_fini(struct ids *ids)
{
	mem_free(ids->used);
	*ids = (struct ids){0};
}

bool ids_hold(struct ids *ids, uint32_t id)
{
	if (id < ids->first || id >= ids->space)
		return false;
	uint64_t bit = 1ull << (id % 64);
	if (ids->used[id / 64] & bit)
		return false;
	ids->used[id / 64] |= bit;
	return true;
}

void ids_release(struct ids *ids, uint32_t id)
{
	assert(id < ids->space);
	ids->used[id / 64] &= ~(1ull << (id % 64));
}

uint32_t ids_take(struct ids *ids)
{
	uint32_t id = ids->next;
	for (uint32_t tried = 0; tried <= ids->space; tried++, id++) {
		if (id < ids->first || id >= ids->space)
			id = ids->first;
		if (ids_hold(ids, id)) {
			ids->next = id + 1;
			return id;
		}
	}
	assert(!"the id space is larger than what is in use");
	return 0;
}
