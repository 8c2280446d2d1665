#include "base/blocks.h"

#include <assert.h>

#include "base/mem.h"

#define KEEP_SMALL 64
#define KEEP_LARGE 8

_Static_assert(sizeof(struct block) == 32, "block sizes are meant to be powers of two in all");

void blocks_init(struct blocks *blocks, uint64_t limit_bytes)
{
	*blocks = (struct blocks){.limit_bytes = limit_bytes};
}

static void free_all(struct block *block)
{
	while (block) {
		struct block *next = block->next;
		mem_free(block);
		block = next;
	}
}

void blocks_fini(struct blocks *blocks)
{
	assert(blocks->in_use == 0);
	free_all(blocks->free_small);
	free_all(blocks->free_large);
	*blocks = (struct blocks){0};
}

static struct block *take(struct blocks *blocks, struct block **free_list, uint32_t *free_count,
			  uint32_t capacity)
{
	struct block *block = *free_list;
	if (blocks->bytes_in_use + capacity > blocks->limit_bytes)
		return NULL;
	if (block) {
		*free_list = block->next;
		(*free_count)--;
	} else {
		block = mem_alloc(sizeof(*block) + capacity);
		if (!block)
			return NULL;
		block->capacity = capacity;
	}
	block->next = NULL;
	block->begin = block->end = 0;
	blocks->in_use++;
	blocks->bytes_in_use += capacity;
	return block;
}

struct block *blocks_take_small(struct blocks *blocks)
{
	return take(blocks, &blocks->free_small, &blocks->free_small_count, BLOCK_SMALL_BYTES);
}

struct block *blocks_take_large(struct blocks *blocks)
{
	return take(blocks, &blocks->free_large, &blocks->free_large_count, BLOCK_LARGE_BYTES);
}

static void keep(struct block **free_list, uint32_t *free_count, uint32_t most, struct block *block)
{
	if (*free_count >= most) {
		mem_free(block);
		return;
	}
	block->next = *free_list;
	*free_list = block;
	(*free_count)++;
}

void blocks_give(struct blocks *blocks, struct block *block)
{
	if (!block)
		return;
	assert(blocks->in_use > 0);
	blocks->in_use--;
	blocks->bytes_in_use -= block->capacity;
	if (block->capacity == BLOCK_SMALL_BYTES)
		keep(&blocks->free_small, &blocks->free_small_count, KEEP_SMALL, block);
	else
		keep(&blocks->free_large, &blocks->free_large_count, KEEP_LARGE, block);
}

bool blocks_charge(struct blocks *blocks, size_t bytes)
{
	if (blocks->bytes_in_use + bytes > blocks->limit_bytes)
		return false;
	blocks->bytes_in_use += bytes;
	return true;
}

void blocks_discharge(struct blocks *blocks, size_t bytes)
{
	assert(blocks->bytes_in_use >= bytes);
	blocks->bytes_in_use -= bytes;
}
