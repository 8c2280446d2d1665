/* Blocks in a row, of a wire that counts their bytes. Owner: the wire; one thread. */
#ifndef WIRE_QUEUE_H
#define WIRE_QUEUE_H

#include "base/blocks.h"

struct wire_queue {
	struct block *first;
	struct block *last;
};

/* At the end. */
void wire_queue_link(struct wire_queue *queue, struct block *block);
/* Everything of `behind` goes to the end of `queue`. */
void wire_queue_join(struct wire_queue *queue, struct wire_queue *behind);
/* The first block, which must be there. */
struct block *wire_queue_take(struct wire_queue *queue);
/* Uses so many bytes up, which are there, from the front; gives blocks back that are empty. */
void wire_queue_consume(struct wire_queue *queue, struct blocks *blocks, size_t size);
void wire_queue_drop(struct wire_queue *queue, struct blocks *blocks);

#endif
