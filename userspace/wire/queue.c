#include "wire/queue.h"

#include <assert.h>

void wire_queue_link(struct wire_queue *queue, struct block *block)
{
	block->next = NULL;
	if (queue->last)
		queue->last->next = block;
	else
		queue->first = block;
	queue->last = block;
}

void wire_queue_join(struct wire_queue *queue, struct wire_queue *behind)
{
	if (!behind->first)
		return;
	if (queue->last)
		queue->last->next = behind->first;
	else
		queue->first = behind->first;
	queue->last = behind->last;
	*behind = (struct wire_queue){0};
}

struct block *wire_queue_take(struct wire_queue *queue)
{
	struct block *block = queue->first;
	queue->first = block->next;
	if (!queue->first)
		queue->last = NULL;
	block->next = NULL;
	return block;
}

void wire_queue_consume(struct wire_queue *queue, struct blocks *blocks, size_t size)
{
	/* Room that was asked for and not used leaves empty blocks. */
	while (size || (queue->first && block_span(queue->first).size == 0)) {
		struct block *first = queue->first;
		assert(first); /* no more is used than was queued */
		size_t in_first = block_span(first).size;
		size_t used = size < in_first ? size : in_first;
		first->begin += (uint32_t)used;
		size -= used;
		if (first->begin == first->end)
			blocks_give(blocks, wire_queue_take(queue));
	}
}

void wire_queue_drop(struct wire_queue *queue, struct blocks *blocks)
{
	while (queue->first)
		blocks_give(blocks, wire_queue_take(queue));
}
