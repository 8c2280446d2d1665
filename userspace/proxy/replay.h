/*
 * A request's bytes as they were sent, kept so that they can be sent again. Blocks of the worker's
 * pool, which count in limits.buffers. Internal to proxy.
 */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

#include "wire/wire.h"

struct replay {
	struct blocks *blocks;
	struct block *first;
	struct block *last;
	uint32_t bytes;
	uint32_t limit_bytes; /* 0 = nothing is kept */
	bool is_lost;         /* was too large, or memory was short: what is kept is not all */
	bool is_only;         /* nothing else has the bytes: the limit does not hold */
};

static inline void replay_init(struct replay *replay, struct blocks *blocks, uint32_t limit_bytes)
{
	*replay = (struct replay){.blocks = blocks, .limit_bytes = limit_bytes};
}
/* -ENOMEM only while is_only; otherwise it is lost then. */
int replay_add(struct replay *replay, struct span bytes) MUST_CHECK;
void replay_drop(struct replay *replay); /* nothing is kept from now on */
static inline bool replay_is_whole(const struct replay *replay)
{
	return replay->bytes > 0 && !replay->is_lost;
}
/* 0 or -ENOMEM. */
int replay_write(const struct replay *replay, struct wire *to) MUST_CHECK;

#endif
