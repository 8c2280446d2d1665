/* Memory that is freed all at once, such as what one config file became. One thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/attr.h"
#include "base/span.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	size_t used; /* of the newest chunk */
};

/* Zeroed, aligned for any type; NULL = out of memory. */
void *arena_take(struct arena *arena, size_t size) MUST_CHECK;
/* NUL-terminated copy; NULL = out of memory. */
char *arena_text(struct arena *arena, struct span bytes) MUST_CHECK;
void arena_fini(struct arena *arena);

#endif
