/* What completes now: the pretended kernel's side of each operation. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "io/double/ring.h"

#define BURST 4 /* receives of one multishot in one turn */

static struct completion *add(struct io_ring *ring, struct operation *operation, int result,
			      bool more)
{
	struct completion *completion = calloc(1, sizeof(*completion));
	struct completion **end = &ring->ready;
	if (!completion)
		abort();
	*completion = (struct completion){.operation = operation, .result = result, .more = more};
	while (*end)
		end = &(*end)->next;
	*end = completion;
	operation->is_over = !more;
	return completion;
}

/* A cancel request came; sometimes the result is there first. */
static bool cancel_wins(const struct operation *operation)
{
	return operation->is_cancelled && world_random() % 2 == 0;
}

static void collect_accept(struct io_ring *ring, struct operation *operation)
{
	struct world_fd *listener = world_fd(operation->fd);
	while (!cancel_wins(operation)) {
		int fd = world_accept(listener);
		if (fd == -EAGAIN)
			break;
		add(ring, operation, fd, fd >= 0);
		if (fd < 0)
			return;
	}
	if (operation->is_cancelled)
		add(ring, operation, -ECANCELED, false);
}

static void collect_connect(struct io_ring *ring, struct operation *operation)
{
	struct weft_address address;
	bool is_known =
		address_from_sockaddr((const struct sockaddr *)operation->address, &address);
	assert(is_known);
	struct world_address *to = world_address(&address);
	if (!operation->is_begun) {
		operation->is_begun = true;
		operation->due_ns = to->answer == IO_DOUBLE_IS_SILENT ? UINT64_MAX
								      : ring->now_ns + to->delay_ns;
		to->dials++;
	}
	if (cancel_wins(operation) ||
	    (operation->is_cancelled && operation->due_ns > ring->now_ns)) {
		add(ring, operation, -ECANCELED, false);
	} else if (operation->due_ns <= ring->now_ns) {
		int error = to->answer == IO_DOUBLE_HAS_NO_ROUTE ? -ENETUNREACH : -ECONNREFUSED;
		bool is_accepted = to->answer == IO_DOUBLE_ACCEPTS;
		if (is_accepted)
			world_connected(world_fd(operation->fd), to);
		add(ring, operation, is_accepted ? 0 : error, false);
	}
}

/* How a receive ends that finds no bytes; 1 = not yet. */
static int end_of_stream(struct io_peer *peer)
{
	int error = peer->pending_error;
	peer->pending_error = 0;
	if (error)
		return error;
	return peer->was_reset || peer->sent_fin ? 0 : 1;
}

static size_t bytes_now(const struct io_peer *peer, size_t most)
{
	size_t size = peer->to_us.size - peer->received;
	if (peer->piece_bytes && size > peer->piece_bytes)
		size = peer->piece_bytes;
	return size < most ? size : most;
}

static void collect_small(struct io_ring *ring, struct operation *operation, struct io_peer *peer,
			  size_t size)
{
	if (world_lacks_buffers()) {
		add(ring, operation, -ENOBUFS, false);
		return;
	}
	bool ends_early = world_random() % 8 == 1;
	struct completion *completion = add(ring, operation, (int)size, !ends_early);
	completion->memory = malloc(size); /* exactly: a read past the end is noticed */
	if (!completion->memory)
		abort();
	memcpy(completion->memory, peer->to_us.data + peer->received, size);
	peer->received += size;
	operation->has_received = true;
}

/* The ring looks whether the kernel has lost the end of a receive that brought bytes (io/lost.h),
 * and may find one that is about to be told. */
static bool is_looked_at(struct operation *operation)
{
	bool is_unlucky = operation->has_received && world_random() % 4 == 1;
	if (is_unlucky)
		operation->has_received = false;
	return is_unlucky;
}

static void collect_shared(struct io_ring *ring, struct operation *operation)
{
	struct io_peer *peer = world_fd(operation->fd)->peer;
	for (int i = 0; i < BURST && !operation->is_over && !cancel_wins(operation); i++) {
		size_t size = bytes_now(peer, IO_SHARED_BYTES);
		int end = size ? 1 : end_of_stream(peer);
		if (size)
			collect_small(ring, operation, peer, size);
		else if (end <= 0)
			add(ring, operation, end, false);
		else
			break;
	}
	if ((operation->is_cancelled || is_looked_at(operation)) && !operation->is_over)
		add(ring, operation, -ECANCELED, false);
}

static void collect_large(struct io_ring *ring, struct operation *operation)
{
	struct io_peer *peer = world_fd(operation->fd)->peer;
	size_t size = bytes_now(peer, BLOCK_LARGE_BYTES);
	bool is_cancelled = cancel_wins(operation);
	if (size && !is_cancelled) {
		struct block *block =
			world_lacks_buffers() ? NULL : blocks_take_large(ring->blocks);
		int result = block ? (int)size : -ENOBUFS;
		add(ring, operation, result, false)->block = block;
		if (!block)
			return;
		memcpy(block->data, peer->to_us.data + peer->received, size);
		block->end = (uint32_t)size;
		peer->received += size;
		return;
	}
	int end = is_cancelled ? 1 : end_of_stream(peer);
	if (end <= 0)
		add(ring, operation, end, false);
	else if (operation->is_cancelled)
		add(ring, operation, -ECANCELED, false);
}

/* ---- sends ---- */

static size_t part_count(const struct operation *operation)
{
	return operation->message ? operation->message->msg_iovlen : 1;
}

static const struct iovec *part_at(const struct operation *operation, size_t index)
{
	return operation->message ? &operation->message->msg_iov[index] : &operation->single;
}

/* FNV-1a over all bytes of the send. */
uint64_t ready_hash(const struct operation *operation)
{
	uint64_t hash = 14695981039346656037ull;
	for (size_t i = 0; i < part_count(operation); i++) {
		const struct iovec *part = part_at(operation, i);
		for (size_t j = 0; j < part->iov_len; j++)
			hash = (hash ^ ((const unsigned char *)part->iov_base)[j]) *
			       1099511628211ull;
	}
	return hash;
}

/* The next `size` bytes of the send arrive at the peer. */
static void pass(struct operation *operation, struct io_peer *peer, size_t size)
{
	size_t skip = operation->sent;
	operation->sent += size;
	for (size_t i = 0; i < part_count(operation) && size; i++) {
		const struct iovec *part = part_at(operation, i);
		if (skip >= part->iov_len) {
			skip -= part->iov_len;
			continue;
		}
		size_t take = part->iov_len - skip < size ? part->iov_len - skip : size;
		world_bytes_add(&peer->from_us, (const char *)part->iov_base + skip, take);
		size -= take;
		skip = 0;
	}
}

static int send_error(struct io_peer *peer)
{
	int error = peer->pending_error;
	peer->pending_error = 0;
	if (!error && peer->was_reset)
		error = -EPIPE;
	return error ? error : peer->send_error;
}

static size_t room_of(const struct io_peer *peer)
{
	uint64_t unread = peer->from_us.size - peer->read;
	uint64_t room = peer->window > unread ? peer->window - unread : 0;
	return room < SIZE_MAX ? (size_t)room : SIZE_MAX;
}

int ready_send_now(struct io_peer *peer, const void *memory, size_t size)
{
	int error = send_error(peer);
	if (error)
		return error;
	size_t taken = size < room_of(peer) ? size : room_of(peer);
	world_bytes_add(&peer->from_us, memory, taken);
	return taken ? (int)taken : -EAGAIN;
}

static void collect_send(struct io_ring *ring, struct operation *operation)
{
	struct io_peer *peer = world_fd(operation->fd)->peer;
	assert(operation->hash == ready_hash(operation)); /* else: changed while in flight */
	int error = send_error(peer);
	if (!error && !cancel_wins(operation)) {
		size_t left = operation->total - operation->sent;
		pass(operation, peer, left < room_of(peer) ? left : room_of(peer));
	}
	if (!error && operation->is_cancelled)
		error = -ECANCELED;
	if (!error && peer->sent_fin && operation->sent < operation->total)
		error = -EAGAIN; /* as the kernel does: its poll for writing is ready at once */
	if (operation->sent == operation->total)
		add(ring, operation, (int)operation->total, false);
	else if (error) /* MSG_WAITALL: what went before the error is the result */
		add(ring, operation, operation->sent ? (int)operation->sent : error, false);
}

void ready_collect(struct io_ring *ring, struct operation *operation)
{
	if (operation->is_over)
		return;
	switch (operation->kind) {
	case OPERATION_ACCEPT:
		collect_accept(ring, operation);
		return;
	case OPERATION_CONNECT:
		collect_connect(ring, operation);
		return;
	case OPERATION_RECV_SHARED:
		collect_shared(ring, operation);
		return;
	case OPERATION_RECV_LARGE:
		collect_large(ring, operation);
		return;
	case OPERATION_SEND:
		collect_send(ring, operation);
		return;
	case OPERATION_WAIT:
		if (operation->is_cancelled)
			add(ring, operation, -ECANCELED, false);
		return;
	}
}

uint64_t ready_due_ns(const struct operation *operation)
{
	bool is_dial = operation->kind == OPERATION_CONNECT && operation->is_begun;
	return is_dial && !operation->is_over ? operation->due_ns : UINT64_MAX;
}
