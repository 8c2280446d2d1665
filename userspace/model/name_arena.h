/*
 * Memory that is taken in pieces and given back as a whole: what one parse or one evaluation of a
 * name makes. Owner: whoever declared it; one thread at a time.
 */
#ifndef MODEL_NAME_ARENA_H
#define MODEL_NAME_ARENA_H

#include <stddef.h>

#include "base/attr.h"

struct name_chunk;

struct name_arena {
	struct name_chunk *chunks; /* newest first */
	char *at;                  /* next free byte */
	size_t left;               /* bytes free from there on */
};

/* `buffer` (aligned for any type, may be NULL) is used first and stays the caller's. */
void name_arena_init(struct name_arena *arena, void *buffer, size_t size);
/* Aligned for any type; NULL when memory is short. */
void *name_arena_take(struct name_arena *arena, size_t size) MUST_CHECK;
/* So that what is taken next needs no further allocation. 0 or -ENOMEM. */
int name_arena_reserve(struct name_arena *arena, size_t size) MUST_CHECK;
void name_arena_fini(struct name_arena *arena);

#endif
