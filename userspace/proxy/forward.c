#include "proxy/forward.h"

#include <errno.h>

#include "base/mem.h"

#define VIA_PSEUDONYM "weft"

struct span forward_via(const struct settings *settings)
{
	return settings->via ? span_text(VIA_PSEUDONYM) : span_of("", 0);
}

static int large_head(struct wire *to, const struct http_head *head,
		      const struct h1_rewrite *rewrite, size_t most)
{
	char *memory = mem_alloc(most);
	if (!memory)
		return -ENOMEM;
	int error = wire_write(to, span_of(memory, h1_write_head(head, rewrite, memory)));
	mem_free(memory);
	return error;
}

int forward_head(struct wire *to, const struct http_head *head, const struct h1_rewrite *rewrite,
		 struct span *ret_written)
{
	struct span written = {0};
	size_t most = h1_head_bytes(head, rewrite);
	if (most > BLOCK_LARGE_BYTES) {
		int error = large_head(to, head, rewrite, most);
		if (error)
			return error;
	} else {
		char *memory = wire_write_room(to, most);
		if (!memory)
			return -ENOMEM;
		written = span_of(memory, h1_write_head(head, rewrite, memory));
		wire_write_commit(to, written.size);
	}
	if (ret_written)
		*ret_written = written;
	return 0;
}

/* A head that waits for its connection. */
int forward_head_later(struct replay *copy, const struct http_head *head,
		       const struct h1_rewrite *rewrite)
{
	char *memory = mem_alloc(h1_head_bytes(head, rewrite));
	if (!memory)
		return -ENOMEM;
	int error = replay_add(copy, span_of(memory, h1_write_head(head, rewrite, memory)));
	mem_free(memory);
	return error;
}

static int put(const struct forward *forward, struct wire *to, struct span bytes)
{
	int error = to ? wire_write(to, bytes) : 0;
	if (!error && forward->copy)
		error = replay_add(forward->copy, bytes);
	return error;
}

/* The block itself goes on when the rest of it is body: no copy of bulk. */
static bool hand_over(const struct forward_lent *lent, struct wire *to, struct span bytes)
{
	if (!lent || !lent->block || !*lent->block || bytes.data + bytes.size != lent->end)
		return false;
	struct block *block = *lent->block;
	*lent->block = NULL;
	block->begin = (uint32_t)(bytes.data - block->data);
	block->end = block->begin + (uint32_t)bytes.size;
	wire_write_block(to, block);
	return true;
}

int forward_body(const struct forward *forward, struct wire *to, struct span bytes,
		 const struct forward_lent *lent)
{
	char head[H1_CHUNK_HEAD_MAX];
	bool is_chunked = forward->framing == HTTP_CHUNKED;
	int error = 0;
	if (is_chunked)
		error = put(forward, to, span_of(head, h1_write_chunk_head(bytes.size, head)));
	if (!error && !hand_over(lent, to, bytes))
		error = put(forward, to, bytes);
	if (!error && is_chunked)
		error = put(forward, to, span_text("\r\n"));
	return error;
}

int forward_trailers(struct forward *forward, struct wire *to, const struct http_field *fields,
		     size_t count)
{
	if (forward->framing != HTTP_CHUNKED)
		return 0;
	forward->has_ended = true;
	size_t size = h1_write_last_chunk(fields, count, NULL);
	char *memory = mem_alloc(size);
	if (!memory)
		return -ENOMEM;
	h1_write_last_chunk(fields, count, memory);
	int error = put(forward, to, span_of(memory, size));
	mem_free(memory);
	return error;
}

int forward_end(const struct forward *forward, struct wire *to)
{
	if (forward->framing != HTTP_CHUNKED || forward->has_ended)
		return 0;
	return put(forward, to, span_text("0\r\n\r\n"));
}
