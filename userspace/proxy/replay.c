#include "proxy/replay.h"

#include <errno.h>

void replay_drop(struct replay *replay)
{
	while (replay->first) {
		struct block *next = replay->first->next;
		blocks_give(replay->blocks, replay->first);
		replay->first = next;
	}
	replay->last = NULL;
	replay->bytes = 0;
	replay->is_lost = true;
}

static bool make_room(struct replay *replay, size_t bytes)
{
	bool is_small = !replay->first && bytes <= BLOCK_SMALL_BYTES;
	struct block *block =
		is_small ? blocks_take_small(replay->blocks) : blocks_take_large(replay->blocks);
	if (!block)
		return false;
	block->next = NULL;
	if (replay->last)
		replay->last->next = block;
	else
		replay->first = block;
	replay->last = block;
	return true;
}

static int append(struct replay *replay, struct span bytes)
{
	while (bytes.size) {
		if ((!replay->last || block_room(replay->last) == 0) &&
		    !make_room(replay, bytes.size))
			return -ENOMEM;
		struct block *block = replay->last;
		size_t part = block_room(block) < bytes.size ? block_room(block) : bytes.size;
		memcpy(block->data + block->end, bytes.data, part);
		block->end += (uint32_t)part;
		replay->bytes += (uint32_t)part;
		bytes = span_of(bytes.data + part, bytes.size - part);
	}
	return 0;
}

int replay_add(struct replay *replay, struct span bytes)
{
	if (replay->is_lost || (replay->limit_bytes == 0 && !replay->is_only))
		return 0;
	bool fits = replay->is_only || (replay->bytes + bytes.size <= replay->limit_bytes &&
					!blocks_are_short(replay->blocks));
	int error = fits ? append(replay, bytes) : -EFBIG;
	if (error)
		replay_drop(replay);
	return error && replay->is_only ? -ENOMEM : 0;
}

int replay_write(const struct replay *replay, struct wire *to)
{
	int error = 0;
	for (const struct block *block = replay->first; block && !error; block = block->next)
		error = wire_write(to, block_span(block));
	return error;
}
