/*
 * A worker's pool of byte blocks in two sizes. Idle connections hold none. Owner: one thread.
 * A freed block is kept for reuse up to a bound, then given back to the allocator.
 */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

#define BLOCK_SMALL_BYTES (4096 - 32)
#define BLOCK_LARGE_BYTES (65536 - 32)

struct block {
	struct block *next;
	uint32_t capacity; /* bytes of data[] */
	uint32_t begin;    /* first byte not yet used */
	uint32_t end;      /* past the last byte written */
	uint32_t pad[3];
	char data[];
};

struct blocks {
	struct block *free_small;
	struct block *free_large;
	uint32_t free_small_count;
	uint32_t free_large_count;
	uint64_t in_use;       /* blocks lent */
	uint64_t bytes_in_use; /* of them, and what was charged */
	uint64_t limit_bytes;
};

void blocks_init(struct blocks *blocks, uint64_t limit_bytes);
void blocks_fini(struct blocks *blocks); /* every block must be back */
/* An empty block; NULL past the limit or out of memory. */
struct block *blocks_take_small(struct blocks *blocks) MUST_CHECK;
struct block *blocks_take_large(struct blocks *blocks) MUST_CHECK;
void blocks_give(struct blocks *blocks, struct block *block); /* NULL is fine */

/* Memory that lies elsewhere and counts in the limit all the same. False past it. */
bool blocks_charge(struct blocks *blocks, size_t bytes) MUST_CHECK;
void blocks_discharge(struct blocks *blocks, size_t bytes);

/* More than half is lent: what may be done without (copies, requests that wait) must not take the
 * room of bytes that are on their way. */
static inline bool blocks_are_short(const struct blocks *blocks)
{
	return blocks->bytes_in_use > blocks->limit_bytes / 2;
}

static inline struct span block_span(const struct block *block)
{
	return span_of(block->data + block->begin, block->end - block->begin);
}

static inline size_t block_room(const struct block *block)
{
	return block->capacity - block->end;
}

#endif
