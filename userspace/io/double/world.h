/*
 * Descriptors and connections that the double pretends, for its own files. One world per process;
 * hold its lock while you use it.
 */
#ifndef IO_DOUBLE_WORLD_H
#define IO_DOUBLE_WORLD_H

#include "io/double.h"

#define WORLD_FIRST_FD (1 << 24) /* far above any real descriptor */

struct world_bytes {
	char *data;
	size_t size;
	size_t capacity;
};

struct io_peer {
	struct io_peer *next;         /* of all */
	struct io_peer *next_waiting; /* to be accepted, or to be asked for */
	struct weft_address address;  /* the peer's */
	struct weft_address source;
	struct world_bytes to_us;
	size_t received; /* of to_us */
	size_t piece_bytes;
	bool sent_fin;
	bool was_reset;    /* by the peer */
	int pending_error; /* told once, as sk_err is */
	struct world_bytes from_us;
	size_t read; /* of from_us */
	uint64_t window;
	int send_error;
	bool saw_fin;
	bool saw_reset;
	bool is_closed;
	bool passes_tcp;
	bool resets_when_closed; /* by io_reset_when_closed */
};

struct world_fd {
	int fd;
	bool is_open;
	bool is_listener;
	bool is_connected;
	unsigned operations;          /* in flight */
	struct weft_address source;   /* by io_bind_source */
	struct io_peer *peer;         /* NULL until it is connected */
	struct io_peer *waiting;      /* listener: to be accepted, oldest first */
	struct io_peer *last_waiting; /* listener */
};

struct world_address {
	struct world_address *next;
	struct weft_address address;
	enum io_double_answer answer;
	uint64_t delay_ns;
	size_t dials;
	struct io_peer *reached; /* not asked for yet, oldest first */
	struct io_peer *last_reached;
};

/* lookup.c */
void lookup_reset(void);

void world_lock(void);
void world_unlock(void);
/* Aborts for one that is not open; a real descriptor becomes a listener here. */
struct world_fd *world_fd(int fd);
bool world_is_pretended(int fd);
struct world_address *world_address(const struct weft_address *address);
struct io_peer *world_peer_new(const struct weft_address *address);
/* The connect of `fd` to `address` has succeeded. */
void world_connected(struct world_fd *fd, struct world_address *address);
/* A new descriptor for the oldest connection that waits at the listener; -EAGAIN = none. */
int world_accept(struct world_fd *listener);
void world_bytes_add(struct world_bytes *bytes, const void *data, size_t size);

/* Next number of the seeded order; 0 when there is no seed. */
uint64_t world_random(void);
/* True, and one fewer left, when receives shall find no buffer. */
bool world_lacks_buffers(void);
bool world_lacks_family(int family);

#endif
