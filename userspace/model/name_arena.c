#include "model/name_arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>

#include "base/mem.h"

#define CHUNK_BYTES_MIN 1024
#define CHUNK_BYTES_MAX 65536 /* chunks double up to this; a larger piece gets its own */
#define ALIGNMENT       alignof(max_align_t)

struct name_chunk {
	struct name_chunk *next;
	size_t size;
	alignas(max_align_t) char data[];
};

void name_arena_init(struct name_arena *arena, void *buffer, size_t size)
{
	*arena = (struct name_arena){.at = buffer, .left = buffer ? size : 0};
}

int name_arena_reserve(struct name_arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return -ENOMEM;
	if (arena->left >= size)
		return 0;
	size_t wanted = arena->chunks ? arena->chunks->size * 2 : CHUNK_BYTES_MIN;
	if (wanted > CHUNK_BYTES_MAX)
		wanted = CHUNK_BYTES_MAX;
	if (wanted < size)
		wanted = size;
	struct name_chunk *chunk = mem_alloc(sizeof(*chunk) + wanted);
	if (!chunk)
		return -ENOMEM;
	chunk->next = arena->chunks;
	chunk->size = wanted;
	arena->chunks = chunk;
	arena->at = chunk->data;
	arena->left = wanted;
	return 0;
}

void *name_arena_take(struct name_arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (name_arena_reserve(arena, size))
		return NULL;
	void *taken = arena->at;
	arena->at += size;
	arena->left -= size;
	return taken;
}

void name_arena_fini(struct name_arena *arena)
{
	while (arena->chunks) {
		struct name_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		mem_free(chunk);
	}
	*arena = (struct name_arena){0};
}
