#include "wire/encrypt.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"

/* Records that wait to be sent before more is encrypted. */
#define RECORDS_MOST (128u << 10)
/* From so many received bytes on a large block is worth it. */
#define LARGE_BYTES 4096

int wire_encrypt(struct wire *wire, struct tls_session *session)
{
	assert(wire->state == WIRE_NEW && !wire->tls);
	wire->tls = mem_zalloc(sizeof(*wire->tls));
	if (!wire->tls) {
		tls_session_close(session);
		return -ENOMEM;
	}
	wire->tls->session = session;
	return 0;
}

const char *wire_tls_why(const struct wire *wire)
{
	return wire->tls ? tls_why(wire->tls->session) : NULL;
}

void wire_tls_end(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	if (!tls)
		return;
	wire_queue_drop(&tls->records, wire->loop->blocks);
	tls_session_close(tls->session);
	mem_free(tls);
	wire->tls = NULL;
}

/* ---- records to send ---- */

/* The session's records move to blocks, which do not change while they are sent. */
static int take_records(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	struct span waiting;
	while ((waiting = tls_outgoing(tls->session)).size) {
		struct block *last = tls->records.last;
		if (!last || block_room(last) == 0) {
			last = waiting.size > BLOCK_SMALL_BYTES
				       ? blocks_take_large(wire->loop->blocks)
				       : blocks_take_small(wire->loop->blocks);
			if (!last)
				return -ENOMEM;
			wire_queue_link(&tls->records, last);
		}
		size_t size = block_room(last) < waiting.size ? block_room(last) : waiting.size;
		memcpy(last->data + last->end, waiting.data, size);
		last->end += (uint32_t)size;
		tls->record_bytes += (uint32_t)size;
		tls_sent(tls->session, size);
	}
	return 0;
}

static int seal_some(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	int error = take_records(wire);
	wire_queue_consume(&wire->out, wire->loop->blocks, 0);
	while (!error && wire->out_bytes && tls->record_bytes < RECORDS_MOST) {
		struct span bytes = block_span(wire->out.first);
		error = tls_write(tls->session, bytes);
		if (!error)
			error = take_records(wire);
		if (error)
			return error;
		wire->bytes_sent += bytes.size;
		wire->out_bytes -= (uint32_t)bytes.size;
		wire_queue_consume(&wire->out, wire->loop->blocks, bytes.size);
	}
	bool ends = wire->wants_fin || wire->ending == WIRE_CLOSES || wire->ending == WIRE_LINGERS;
	if (error || wire->out_bytes || !ends || tls->is_finished)
		return error;
	tls->is_finished = true;
	tls_finish(tls->session);
	return take_records(wire);
}

void wire_tls_seal(struct wire *wire)
{
	int error = wire->error ? 0 : wire->is_greeting ? take_records(wire) : seal_some(wire);
	if (error)
		wire_fail(wire, error);
}

/* ---- the handshake ---- */

static void step(struct wire *wire)
{
	int error = tls_handshake(wire->tls->session);
	wire_mark_dirty(wire);
	if (error == -EAGAIN)
		return;
	if (error) {
		wire_dial_failed(wire, error);
	} else {
		wire->is_greeting = false;
		wire->events->connected(wire);
	}
}

void wire_tls_greet(struct wire *wire)
{
	wire->is_greeting = true;
	step(wire);
}

/* ---- received records ---- */

static struct block *take_block(struct wire *wire, size_t size)
{
	return size < LARGE_BYTES ? blocks_take_small(wire->loop->blocks)
				  : blocks_take_large(wire->loop->blocks);
}

/* A block of plain bytes, as full as there are. What the last tls_read said: above 0, there may be
 * more. */
static int read_some(struct wire *wire, size_t expected)
{
	struct block *block = take_block(wire, expected);
	struct block *none = NULL;
	int size = 1;
	if (!block)
		return -ENOMEM;
	while (size > 0 && block_room(block)) {
		size = tls_read(wire->tls->session, block->data + block->end, block_room(block));
		block->end += size > 0 ? (uint32_t)size : 0;
	}
	struct span bytes = block_span(block);
	wire->bytes_received += bytes.size;
	if (bytes.size)
		wire_deliver(wire, bytes, bytes.size >= LARGE_BYTES ? &block : &none);
	blocks_give(wire->loop->blocks, block);
	return size;
}

static void read_all(struct wire *wire, size_t expected)
{
	int size;
	do
		size = read_some(wire, expected);
	while (size > 0 && wire->ending == WIRE_STAYS && !wire->read_over);
	if (size > 0 || size == -EAGAIN)
		return;
	wire->read_over = true;
	if (size < 0)
		wire_fail(wire, size);
}

void wire_tls_received(struct wire *wire, struct span records)
{
	int error = tls_receive(wire->tls->session, records);
	if (!error && wire->is_greeting)
		step(wire);
	bool is_over = wire->state != WIRE_OPEN || wire->ending != WIRE_STAYS;
	if (error && !is_over) {
		wire->read_over = true;
		wire_fail(wire, error);
	} else if (!error && !is_over && !wire->is_greeting) {
		read_all(wire, records.size);
	}
	/* Reading may have caused records: an alert, an answer to a new key. */
	wire_mark_dirty(wire);
}
