/*
 * The addresses of a name, without blocking the ring: a short-lived thread asks getaddrinfo(3), so
 * /etc/hosts, search lists and the order of RFC 6724 count as for every other program. Owner: the
 * ring's thread. The double (io/double/) has the same header.
 */
#ifndef IO_LOOKUP_H
#define IO_LOOKUP_H

#include "io/ring.h"

#define IO_LOOKUP_MOST     16 /* addresses of one name; the rest is not looked at */
#define IO_LOOKUP_NAME_MAX 256

struct io_lookup_task;

struct io_lookup {
	/* `why` NULL: there is at least one address; else a sentence. Set once by the owner. */
	void (*done)(struct io_lookup *lookup, const char *why);
	struct weft_address addresses[IO_LOOKUP_MOST]; /* the best first */
	unsigned count;
	struct io_lookup_task *task; /* NULL = none is under way */
};

/* `done` comes once, in a later turn, after the time that the resolver takes: set a timer of your
 * own. None may be under way. 0 or -errno (-ENOMEM, -EAGAIN: no thread, -ENAMETOOLONG). */
int io_lookup_start(struct io_ring *ring, struct io_lookup *lookup, const char *name,
		    uint16_t port) MUST_CHECK;
/* True: it is forgotten, and `done` does not come. False: `done` is about to come; turn the ring.
 * The thread ends by itself. Needed before the ring is closed. */
bool io_lookup_abandon(struct io_lookup *lookup) MUST_CHECK;

#endif
