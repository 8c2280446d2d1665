#include "io/lost.h"

#include <poll.h>

static void look_now(struct lost *lost, struct io_ring *ring)
{
	struct pollfd fds[LOST_MAX];
	for (unsigned i = 0; i < lost->count; i++)
		fds[i] = (struct pollfd){.fd = lost->suspects[i]->fd, .events = POLLRDHUP};
	int ended = poll(fds, lost->count, 0);
	for (unsigned i = 0; i < lost->count; i++) {
		lost->suspects[i]->is_suspect = false;
		if (ended > 0 && fds[i].revents)
			io_cancel(ring, lost->suspects[i]);
	}
	lost->count = 0;
}

void lost_suspect(struct lost *lost, struct io_ring *ring, struct io_op *op)
{
	if (op->is_suspect)
		return;
	if (lost->count == LOST_MAX)
		look_now(lost, ring);
	if (lost->count == 0)
		lost->look_at_ns = io_now_ns(ring) + LOST_AFTER_NS;
	op->is_suspect = true;
	lost->suspects[lost->count++] = op;
}

void lost_forget(struct lost *lost, struct io_op *op)
{
	if (!op->is_suspect)
		return;
	op->is_suspect = false;
	for (unsigned i = 0; i < lost->count; i++) {
		if (lost->suspects[i] == op)
			lost->suspects[i] = lost->suspects[--lost->count];
	}
}

void lost_look(struct lost *lost, struct io_ring *ring)
{
	if (lost->count && io_now_ns(ring) >= lost->look_at_ns)
		look_now(lost, ring);
}
