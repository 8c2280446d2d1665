#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "wire/encrypt.h"

#define HAND_OVER_BYTES 8192 /* blocks with less are copied */
#define GATHER_MAX      16
#define LINGER_NS       1000000000ull  /* for the peer's FIN, after ours */
#define LAST_SEND_NS    30000000000ull /* for a peer that does not read what is still queued */
/* Between tries to send to a peer that has sent FIN and does not read. */
#define SEND_TRY_LEAST_NS 1000000ull
#define SEND_TRY_MOST_NS  50000000ull
/* A large receive that brings less than this is no bulk traffic any more. */
#define BULK_LEAST_BYTES 4096

struct wire_gather {
	struct msghdr message;
	struct iovec parts[GATHER_MAX];
};

static void on_recv(struct io_op *op, int result, bool more);
static void on_sent(struct io_op *op, int result, bool more);
static void on_linger_end(struct timer *timer);
static void on_send_timer(struct timer *timer);

void wire_loop_init(struct wire_loop *loop, struct io_ring *ring, struct blocks *blocks)
{
	loop->ring = ring;
	loop->blocks = blocks;
	list_init(&loop->dirty);
}

void wire_init(struct wire *wire, struct wire_loop *loop, const struct wire_events *events)
{
	*wire = (struct wire){.loop = loop, .events = events, .fd = -1, .state = WIRE_NEW};
	list_init(&wire->dirty);
	timer_init(&wire->timer, on_linger_end);
	timer_init(&wire->send_timer, on_send_timer);
	wire->recv_op.done = on_recv;
	wire->send_op.done = on_sent;
}

void wire_mark_dirty(struct wire *wire)
{
	if (!list_is_linked(&wire->dirty))
		list_add_last(&wire->loop->dirty, &wire->dirty);
}

void wire_adopt(struct wire *wire, int fd)
{
	assert(wire->state == WIRE_NEW && !wire->tls);
	wire->fd = fd;
	wire->state = WIRE_OPEN;
}

void wire_dial(struct wire *wire, int fd, const struct sockaddr_storage *address, socklen_t size)
{
	assert(wire->state == WIRE_NEW);
	wire->fd = fd;
	wire->state = WIRE_DIALLING;
	io_connect(wire->loop->ring, &wire->send_op, fd, address, size);
}

void wire_guard(struct wire *wire)
{
	wire->is_guarded = true;
	io_reset_when_closed(wire->loop->ring, wire->fd, true);
}

/* ---- queues of blocks ---- */

/* What the next send takes from. */
static struct wire_queue *sending(struct wire *wire)
{
	return wire->tls ? &wire->tls->records : &wire->out;
}

static uint32_t *sending_bytes(struct wire *wire)
{
	return wire->tls ? &wire->tls->record_bytes : &wire->out_bytes;
}

static bool has_unsent(struct wire *wire)
{
	return wire->out_bytes || *sending_bytes(wire);
}

static void out_drop_unsent(struct wire *wire)
{
	if (wire->send_op.in_flight)
		return; /* the kernel owns them until on_sent */
	wire->lost_writes |= has_unsent(wire);
	wire_queue_drop(&wire->out, wire->loop->blocks);
	wire_queue_drop(sending(wire), wire->loop->blocks);
	wire->out_bytes = *sending_bytes(wire) = 0;
}

static bool is_ending(const struct wire *wire)
{
	return wire->ending != WIRE_STAYS;
}

/* ---- writing ---- */

static bool takes_writes(const struct wire *wire)
{
	return wire->state <= WIRE_OPEN && !wire->wants_fin && wire->ending == WIRE_STAYS &&
	       !wire->error;
}

static void wrote(struct wire *wire, size_t size)
{
	wire->out_bytes += (uint32_t)size;
	wire->tells_drained = true;
	wire_mark_dirty(wire);
}

char *wire_write_room(struct wire *wire, size_t size)
{
	assert(size <= BLOCK_LARGE_BYTES);
	struct block *last = wire->out.last;
	if (last && block_room(last) >= size)
		return last->data + last->end;
	struct block *block = size <= BLOCK_SMALL_BYTES ? blocks_take_small(wire->loop->blocks)
							: blocks_take_large(wire->loop->blocks);
	if (!block)
		return NULL;
	wire_queue_link(&wire->out, block);
	return block->data;
}

void wire_write_commit(struct wire *wire, size_t used)
{
	wire->out.last->end += (uint32_t)used;
	wrote(wire, used);
}

int wire_write(struct wire *wire, struct span bytes)
{
	if (!takes_writes(wire)) {
		wire->lost_writes |= bytes.size > 0;
		return 0;
	}
	struct block *last = wire->out.last;
	size_t in_last = last ? block_room(last) : 0;
	if (in_last > bytes.size)
		in_last = bytes.size;
	size_t beyond = bytes.size - in_last;
	struct wire_queue added = {0};
	for (size_t taken = 0; taken < beyond;) {
		size_t left = beyond - taken;
		struct block *block = left <= BLOCK_SMALL_BYTES
					      ? blocks_take_small(wire->loop->blocks)
					      : blocks_take_large(wire->loop->blocks);
		if (!block) {
			wire_queue_drop(&added, wire->loop->blocks);
			return -ENOMEM;
		}
		size_t size = left < block->capacity ? left : block->capacity;
		memcpy(block->data, bytes.data + in_last + taken, size);
		block->end = (uint32_t)size;
		wire_queue_link(&added, block);
		taken += size;
	}
	if (in_last) {
		memcpy(last->data + last->end, bytes.data, in_last);
		last->end += (uint32_t)in_last;
	}
	wire_queue_join(&wire->out, &added);
	if (bytes.size)
		wrote(wire, bytes.size);
	return 0;
}

void wire_write_block(struct wire *wire, struct block *block)
{
	size_t size = block_span(block).size;
	if (!takes_writes(wire) || size == 0) {
		wire->lost_writes |= size > 0;
		blocks_give(wire->loop->blocks, block);
		return;
	}
	/* A large block with few bytes would hold much memory for a queue that counts bytes. */
	if (size < HAND_OVER_BYTES && wire_write(wire, block_span(block)) == 0) {
		blocks_give(wire->loop->blocks, block);
		return;
	}
	wire_queue_link(&wire->out, block);
	wrote(wire, size);
}

void wire_move_queue(struct wire *from, struct wire *to)
{
	assert((from->tls || from->flight_bytes == 0) && !from->lost_writes && !to->out.first);
	uint32_t bytes = from->out_bytes;
	from->out_bytes = 0;
	wire_queue_join(&to->out, &from->out);
	if (bytes)
		wrote(to, bytes);
}

static void send_some(struct wire *wire)
{
	struct io_ring *ring = wire->loop->ring;
	struct wire_queue *queue = sending(wire);
	wire_queue_consume(queue, wire->loop->blocks, 0);
	struct block *first = queue->first;
	if (!first)
		return;
	if (first->next && !wire->gather)
		wire->gather = mem_alloc(sizeof(*wire->gather));
	if (!first->next || !wire->gather) {
		struct span bytes = block_span(first);
		wire->flight_bytes = (uint32_t)bytes.size;
		io_send(ring, &wire->send_op, wire->fd, bytes.data, bytes.size);
		return;
	}
	unsigned count = 0;
	size_t total = 0;
	for (struct block *b = first; b && count < GATHER_MAX; b = b->next) {
		struct span bytes = block_span(b);
		wire->gather->parts[count++] = (struct iovec){(void *)bytes.data, bytes.size};
		total += bytes.size;
	}
	wire->gather->message = (struct msghdr){
		.msg_iov = wire->gather->parts,
		.msg_iovlen = count,
	};
	wire->flight_bytes = (uint32_t)total;
	io_sendmsg(ring, &wire->send_op, wire->fd, &wire->gather->message);
}

static void consume_sent(struct wire *wire, size_t sent)
{
	*sending_bytes(wire) -= (uint32_t)sent;
	wire_queue_consume(sending(wire), wire->loop->blocks, sent);
	if (!wire->tls)
		wire->bytes_sent += sent;
}

/* ---- ends ---- */

/* A failure may follow an EOF: the peer reset what we sent it after its FIN. */
static void tell_over(struct wire *wire)
{
	if (wire->error && !wire->failure_told) {
		wire->failure_told = true;
		wire->events->failed(wire, wire->error);
	} else if (!wire->error && !wire->eof_told) {
		wire->eof_told = true;
		wire->events->eof(wire);
	}
}

/* The queue stays: nothing of it was sent, another endpoint may take it. */
void wire_dial_failed(struct wire *wire, int error)
{
	wire->error = error;
	wire->is_greeting = false;
	wire->state = WIRE_FAILED;
	wire->read_over = true;
	wire->failure_told = true;
	wire->events->failed(wire, error);
}

/*
 * The owner is told when it has read the rest; one that does not want to read for so long is told
 * then, so that it does not go on for ever with a peer that is gone.
 */
void wire_fail(struct wire *wire, int error)
{
	struct io_ring *ring = wire->loop->ring;
	if (wire->is_greeting && !is_ending(wire)) {
		wire_dial_failed(wire, error);
		return;
	}
	if (!wire->error)
		wire->error = error;
	if (timer_set(io_timers(ring), &wire->send_timer, io_now_ns(ring) + LAST_SEND_NS))
		wire->fails_fast = true;
	out_drop_unsent(wire);
	wire_mark_dirty(wire);
}

static void on_connected(struct wire *wire, int result)
{
	if (wire->ending != WIRE_STAYS)
		return;
	if (result < 0) {
		wire_dial_failed(wire, result);
		return;
	}
	wire->state = WIRE_OPEN;
	if (wire->tls)
		wire_tls_greet(wire);
	else
		wire->events->connected(wire);
}

static void on_sent(struct io_op *op, int result, bool more)
{
	struct wire *wire = container_of(op, struct wire, send_op);
	(void)more;
	wire_mark_dirty(wire);
	if (wire->state == WIRE_DIALLING) {
		on_connected(wire, result);
		return;
	}
	uint32_t flight = wire->flight_bytes;
	wire->flight_bytes = 0;
	if (wire->state == WIRE_FAILED)
		return; /* of a handshake */
	if (result == -EAGAIN || (result >= 0 && (uint32_t)result < flight))
		wire->sends_by_hand = true;
	if (result >= 0)
		consume_sent(wire, (size_t)result);
	else if (result == -EAGAIN)
		return;
	else if (result != -ECANCELED || wire->ending == WIRE_STAYS)
		wire_fail(wire, result);
	if (wire->error || wire->ending == WIRE_RESETS)
		out_drop_unsent(wire);
}

/* ---- reading ---- */

static int keep_bytes(struct wire *wire, struct span bytes)
{
	while (bytes.size) {
		struct block *last = wire->kept.last;
		if (!last || block_room(last) == 0) {
			last = blocks_take_small(wire->loop->blocks);
			if (!last)
				return -ENOMEM;
			wire_queue_link(&wire->kept, last);
		}
		size_t size = block_room(last) < bytes.size ? block_room(last) : bytes.size;
		memcpy(last->data + last->end, bytes.data, size);
		last->end += (uint32_t)size;
		bytes = span_of(bytes.data + size, bytes.size - size);
	}
	return 0;
}

/* In front of whatever is kept already. */
int wire_keep(struct wire *wire, struct span rest)
{
	struct wire_queue behind = wire->kept;
	wire->is_reading = false;
	wire->kept = (struct wire_queue){0};
	int error = keep_bytes(wire, rest);
	wire_queue_join(&wire->kept, &behind);
	return error;
}

/* Plain bytes for the owner; a block may be kept. */
void wire_deliver(struct wire *wire, struct span bytes, struct block **block)
{
	if (wire->is_reading && !wire->kept.first) {
		wire->events->data(wire, bytes, block);
		return;
	}
	if (*block) {
		wire_queue_link(&wire->kept, *block);
		*block = NULL;
	} else if (keep_bytes(wire, bytes)) {
		wire_fail(wire, -ENOMEM);
		wire->read_over = true;
	}
	if (wire->recv_op.in_flight && !wire->recv_cancelled) {
		wire->recv_cancelled = true;
		io_cancel(wire->loop->ring, &wire->recv_op);
	}
}

static void received(struct wire *wire, struct span bytes)
{
	bool discards = is_ending(wire) || wire->state != WIRE_OPEN; /* lingering */
	bool is_plain = !wire->tls;
	if (is_plain)
		wire->bytes_received += bytes.size;
	/* After read_over: earlier bytes found no memory, nothing may come after the gap. */
	if (discards || wire->read_over)
		return;
	if (is_plain)
		wire_deliver(wire, bytes, io_lent_block(wire->loop->ring));
	else
		wire_tls_received(wire, bytes);
}

static void on_recv_end(struct wire *wire, int result)
{
	if (result == 0) {
		if (wire->tls && !wire->read_over && !is_ending(wire))
			wire_fail(wire, -ECONNRESET); /* without close_notify */
		wire->read_over = true;
	} else if (result < 0 && result != -ENOBUFS && result != -ECANCELED) {
		wire->read_over = true;
		if (wire->is_greeting)
			wire_fail(wire, result);
		if (!wire->error)
			wire->error = result;
	}
	if (result == -ENOBUFS)
		wire->is_bulk = false;
}

static void on_recv(struct io_op *op, int result, bool more)
{
	struct wire *wire = container_of(op, struct wire, recv_op);
	wire_mark_dirty(wire);
	if (!more)
		wire->recv_cancelled = false;
	if (result > 0) {
		bool was_large = op->is_large;
		received(wire, io_lent_bytes(wire->loop->ring));
		/* A buffer that came full means bulk: pull large ones, one at a time. */
		if (was_large)
			wire->is_bulk = result >= BULK_LEAST_BYTES;
		else if (result == IO_SHARED_BYTES)
			wire->is_bulk = true;
		if (more && wire->is_bulk && !wire->recv_cancelled) {
			wire->recv_cancelled = true;
			io_cancel(wire->loop->ring, op);
		}
	} else if (!more) {
		on_recv_end(wire, result);
	}
}

void wire_read_start(struct wire *wire)
{
	wire->is_reading = true;
	wire_mark_dirty(wire);
}

void wire_pause(struct wire *wire)
{
	wire->is_reading = false;
}

static bool failed_fast(const struct wire *wire)
{
	return wire->fails_fast && wire->error;
}

static void deliver_kept(struct wire *wire)
{
	while (wire->kept.first && wire->is_reading && !is_ending(wire) && !failed_fast(wire)) {
		struct block *block = wire_queue_take(&wire->kept);
		struct block *lent = block->capacity == BLOCK_LARGE_BYTES ? block : NULL;
		struct block *small = lent ? NULL : block;
		wire->events->data(wire, block_span(block), &lent);
		blocks_give(wire->loop->blocks, lent);
		blocks_give(wire->loop->blocks, small);
	}
}

static void arm_recv(struct wire *wire)
{
	if (wire->recv_op.in_flight || wire->read_over || wire->state != WIRE_OPEN)
		return;
	bool discards = wire->ending == WIRE_LINGERS && wire->fin_sent;
	bool wants = !is_ending(wire) && (wire->is_reading || wire->is_greeting);
	if (!discards && (!wants || wire->kept.first))
		return;
	if (wire->is_bulk)
		io_recv_large(wire->loop->ring, &wire->recv_op, wire->fd);
	else
		io_recv_shared(wire->loop->ring, &wire->recv_op, wire->fd);
}

/* ---- ending ---- */

void wire_finish(struct wire *wire)
{
	wire->wants_fin = true;
	wire_mark_dirty(wire);
}

static void end(struct wire *wire, enum wire_ending ending)
{
	if (wire->ending < ending)
		wire->ending = (uint8_t)ending;
	wire->is_reading = false;
	wire_mark_dirty(wire);
}

static void limit_ending(struct wire *wire, uint64_t limit_ns)
{
	uint64_t now_ns = io_now_ns(wire->loop->ring);
	if (timer_set(io_timers(wire->loop->ring), &wire->timer, now_ns + limit_ns))
		wire_abort(wire);
}

void wire_close(struct wire *wire)
{
	end(wire, WIRE_CLOSES);
	if (wire->tls || has_unsent(wire))
		limit_ending(wire, LAST_SEND_NS);
}

void wire_close_lingering(struct wire *wire)
{
	end(wire, WIRE_LINGERS);
	if (wire->tls || has_unsent(wire))
		limit_ending(wire, LAST_SEND_NS);
}

void wire_abort(struct wire *wire)
{
	end(wire, WIRE_RESETS);
	if (wire->send_op.in_flight)
		io_cancel(wire->loop->ring, &wire->send_op);
	else
		out_drop_unsent(wire);
}

void wire_abort_after_queue(struct wire *wire)
{
	end(wire, WIRE_RESETS_LATER);
	if (has_unsent(wire))
		limit_ending(wire, LINGER_NS);
}

static void on_linger_end(struct timer *timer)
{
	struct wire *wire = container_of(timer, struct wire, timer);
	if (wire->ending == WIRE_LINGERS && wire->fin_sent)
		wire->read_over = true;
	else
		wire_abort(wire);
	wire_mark_dirty(wire);
}

static void close_now(struct wire *wire)
{
	struct io_ring *ring = wire->loop->ring;
	bool resets = wire->ending >= WIRE_RESETS_LATER;
	if (wire->is_guarded && !resets) {
		wire->events->closing(wire);
		if (!io_has_unread(ring, wire->fd))
			io_reset_when_closed(ring, wire->fd, false);
	}
	timer_clear(io_timers(ring), &wire->timer);
	timer_clear(io_timers(ring), &wire->send_timer);
	wire_queue_drop(&wire->out, wire->loop->blocks);
	wire_queue_drop(&wire->kept, wire->loop->blocks);
	mem_free(wire->gather);
	wire->gather = NULL;
	wire->out_bytes = 0;
	wire_tls_end(wire);
	if (wire->fd >= 0 && resets)
		io_close_reset(ring, wire->fd);
	else if (wire->fd >= 0)
		io_close(ring, wire->fd);
	wire->fd = -1;
	wire->state = WIRE_CLOSED;
	if (list_is_linked(&wire->dirty))
		list_remove(&wire->dirty);
	wire->events->closed(wire);
}

/* True when the wire is closed and, by its owner, perhaps freed. */
static bool settle_ending(struct wire *wire)
{
	bool has_queue = wire_is_open(wire) && has_unsent(wire) && !wire->error;
	if (has_queue && wire->ending < WIRE_RESETS)
		return false;
	if (wire->send_op.in_flight) {
		if (wire->state == WIRE_DIALLING)
			io_cancel(wire->loop->ring, &wire->send_op);
		return false;
	}
	if (wire->ending == WIRE_LINGERS && !wire->error && wire->state == WIRE_OPEN) {
		if (!wire->fin_sent) {
			wire->fin_sent = true;
			io_shutdown_send(wire->loop->ring, wire->fd);
			limit_ending(wire, LINGER_NS);
		}
		if (!wire->read_over) {
			arm_recv(wire);
			return false;
		}
	}
	if (wire->recv_op.in_flight) {
		if (!wire->recv_cancelled) {
			wire->recv_cancelled = true;
			io_cancel(wire->loop->ring, &wire->recv_op);
		}
		return false;
	}
	close_now(wire);
	return true;
}

static void on_send_timer(struct timer *timer)
{
	struct wire *wire = container_of(timer, struct wire, send_timer);
	wire->fails_fast |= wire->error != 0;
	wire_mark_dirty(wire);
}

static void try_later(struct wire *wire)
{
	struct io_ring *ring = wire->loop->ring;
	uint64_t wait_ns = SEND_TRY_LEAST_NS << wire->send_tries;
	if (wait_ns >= SEND_TRY_MOST_NS)
		wait_ns = SEND_TRY_MOST_NS;
	else
		wire->send_tries++;
	if (timer_set(io_timers(ring), &wire->send_timer, io_now_ns(ring) + wait_ns))
		wire_fail(wire, -ENOMEM);
}

/*
 * A send to a peer that has sent FIN does not wait for room in the kernel (see io_sendmsg), so it
 * is tried by hand, again after a while. Rare: a peer that half-closes and reads slowly.
 */
static void send_by_hand(struct wire *wire)
{
	if (timer_is_set(&wire->send_timer))
		return;
	struct wire_queue *queue = sending(wire);
	wire_queue_consume(queue, wire->loop->blocks, 0);
	while (*sending_bytes(wire)) {
		struct span bytes = block_span(queue->first);
		int sent = io_send_now(wire->loop->ring, wire->fd, bytes.data, bytes.size);
		if (sent == -EAGAIN) {
			try_later(wire);
			return;
		}
		if (sent < 0) {
			wire_fail(wire, sent);
			return;
		}
		wire->send_tries = 0;
		consume_sent(wire, (size_t)sent);
	}
	wire->sends_by_hand = false;
}

/* Also after a failure: who waits for room may go on, and hears of the failure. */
static void tell_drained(struct wire *wire)
{
	if (!wire->tells_drained)
		return;
	wire->tells_drained = false;
	mem_free(wire->gather);
	wire->gather = NULL;
	if (!is_ending(wire) && !wire->failure_told)
		wire->events->drained(wire);
}

static void settle_sending(struct wire *wire)
{
	if (wire->state != WIRE_OPEN || wire->send_op.in_flight)
		return;
	if (wire->tls)
		wire_tls_seal(wire);
	bool has_some = *sending_bytes(wire) && !wire->error;
	if (has_some && wire->sends_by_hand)
		send_by_hand(wire);
	else if (has_some)
		send_some(wire);
	if (wire->is_greeting || (has_unsent(wire) && !wire->error))
		return;
	if (wire->wants_fin && !wire->fin_sent && !wire->error) {
		wire->fin_sent = true;
		io_shutdown_send(wire->loop->ring, wire->fd);
	}
	tell_drained(wire);
}

static void settle_reading(struct wire *wire)
{
	deliver_kept(wire);
	if (is_ending(wire))
		return;
	bool all_delivered = !wire->kept.first && wire->is_reading && wire->read_over;
	bool failed_later = wire->eof_told && wire->error;
	if (all_delivered || failed_fast(wire) || failed_later)
		tell_over(wire);
	arm_recv(wire);
}

static void settle(struct wire *wire)
{
	if (wire->state == WIRE_CLOSED)
		return;
	/* Whoever hears of the end first may take back what is queued. */
	bool has_end = wire->read_over || failed_fast(wire);
	if (wire->state == WIRE_OPEN && has_end && !is_ending(wire))
		settle_reading(wire);
	if (wire->state == WIRE_OPEN)
		settle_sending(wire);
	if (wire->state == WIRE_OPEN && !is_ending(wire))
		settle_reading(wire);
	if (is_ending(wire))
		settle_ending(wire);
}

void wire_loop_flush(struct wire_loop *loop)
{
	while (!list_is_empty(&loop->dirty)) {
		struct wire *wire = list_entry(loop->dirty.next, struct wire, dirty);
		list_remove(&wire->dirty);
		settle(wire);
	}
}
