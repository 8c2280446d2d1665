/*
 * Receives whose end the kernel may have lost. When bytes and a RST (on some kernels also a FIN)
 * arrive before a multishot receive gets to run, it takes the bytes and never learns of the end: no
 * further wake-up comes (seen on 6.18; liburing issue 1549). So receives that brought bytes are
 * looked at once, a little later, all with one poll(2), and those that have ended are cancelled:
 * their owner arms them again and is told. Owner: the ring.
 */
#ifndef IO_LOST_H
#define IO_LOST_H

#include "io/ring.h"

#define LOST_MAX      256          /* then they are looked at without waiting */
#define LOST_AFTER_NS 200000000ull /* how late an end may be noticed */

struct lost {
	struct io_op *suspects[LOST_MAX];
	unsigned count;
	uint64_t look_at_ns; /* while there are some */
};

/* It brought bytes and goes on. */
void lost_suspect(struct lost *lost, struct io_ring *ring, struct io_op *op);
/* Its final completion has come. */
void lost_forget(struct lost *lost, struct io_op *op);
/* Cancels what has ended, if it is time. */
void lost_look(struct lost *lost, struct io_ring *ring);

#endif
