/* One pretended ring, for the double's own files: ring.c submits and dispatches, ready.c decides
 * what completes. */
#ifndef IO_DOUBLE_RING_H
#define IO_DOUBLE_RING_H

#include <stdatomic.h>

#include "io/double/world.h"

enum operation_kind {
	OPERATION_ACCEPT,
	OPERATION_CONNECT,
	OPERATION_WAIT, /* reads and polls: they only end by being cancelled */
	OPERATION_RECV_SHARED,
	OPERATION_RECV_LARGE,
	OPERATION_SEND,
};

/* Submitted, and its final completion has not been dispatched. */
struct operation {
	struct operation *next;
	struct io_op *op;
	enum operation_kind kind;
	int fd;
	bool is_cancelled;
	bool is_over;      /* its final completion waits to be dispatched */
	bool has_received; /* since it was looked at, see io/lost.h */
	/* connect */
	const struct sockaddr_storage *address;
	bool is_begun;
	uint64_t due_ns;
	/* send */
	struct iovec single;
	const struct msghdr *message; /* NULL: single */
	size_t total;
	size_t sent;
	uint64_t hash; /* of what is being sent */
};

struct completion {
	struct completion *next;
	struct operation *operation;
	int result;
	bool more;
	char *memory; /* small bytes lent */
	struct block *block;
};

struct io_ring {
	struct timers timers;
	uint64_t now_ns;
	uint64_t turns;
	uint64_t progress;
	void (*before_wait)(void *owner);
	void (*after_wait)(void *owner);
	void *hooks_owner;
	struct blocks *blocks;
	struct operation *operations; /* in the order of their submission */
	struct completion *ready;     /* oldest first */
	struct span lent_bytes;
	struct block *lent_block;
	_Atomic(struct io_mail *) mails; /* newest first */
};

/* Adds what the operation completes with by now; hold the world's lock. */
int ready_send_now(struct io_peer *peer, const void *memory, size_t size);
void ready_collect(struct io_ring *ring, struct operation *operation);
/* When something will complete by itself; UINT64_MAX = never. */
uint64_t ready_due_ns(const struct operation *operation);
uint64_t ready_hash(const struct operation *operation);

#endif
