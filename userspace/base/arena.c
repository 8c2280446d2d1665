#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/mem.h"

#define CHUNK_BYTES (64u * 1024)

struct arena_chunk {
	struct arena_chunk *next;
	size_t capacity;
	alignas(max_align_t) char data[];
};

void *arena_take(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!arena->chunks || arena->chunks->capacity - arena->used < size) {
		size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		struct arena_chunk *chunk = mem_alloc(sizeof(*chunk) + capacity);
		if (!chunk)
			return NULL;
		chunk->next = arena->chunks;
		chunk->capacity = capacity;
		arena->chunks = chunk;
		arena->used = 0;
	}
	void *taken = arena->chunks->data + arena->used;
	arena->used += size;
	memset(taken, 0, size);
	return taken;
}

char *arena_text(struct arena *arena, struct span bytes)
{
	char *copy = arena_take(arena, bytes.size + 1);
	if (copy && bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;
		mem_free(arena->chunks);
		arena->chunks = next;
	}
	*arena = (struct arena){0};
}
