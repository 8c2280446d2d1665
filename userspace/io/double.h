/*
 * Controls of the io room's double (userspace/io/double/): ring.h with a virtual clock, pretended
 * descriptors and scripted peers, for other rooms' tests. Time passes only when nothing else is
 * due, and then up to the next timer.
 *
 * It is strict: an operation that is submitted twice, a descriptor that is closed twice or with an
 * operation in flight, bytes sent after FIN, and memory that changes while it is being sent end the
 * test. Lent buffers are overwritten and freed when `done` returns.
 */
#ifndef IO_DOUBLE_H
#define IO_DOUBLE_H

#include "base/address.h"
#include "io/ring.h"

struct io_peer; /* the other end of a pretended connection; lives until io_double_reset */

/* Forgets every descriptor, address and peer. All rings are closed. */
void io_double_reset(void);
/* Pretended descriptors that are open: 0 at the end when nothing leaked. */
size_t io_double_open_count(void);
/*
 * 0 (as after a reset): completions come in the order of their operations. Otherwise in an order
 * that the seed gives, cancelled operations may still succeed, and multishots end early.
 */
void io_double_seed(uint64_t seed);
/* The next `count` accepts that find a connection end with -EMFILE. */
void io_double_no_descriptors(unsigned count);
/* The next `count` receives that find bytes end with -ENOBUFS. */
void io_double_no_buffers(unsigned count);
/* Sockets of that address family cannot be made (-EAFNOSUPPORT). AF_UNSPEC: all can. */
void io_double_no_family(int family);

/* ---- time ---- */

/* The wall clock is this ahead of the virtual one. */
#define IO_DOUBLE_WALL_NS 1700000000000000000ull
/* Turns until nothing more happens without time passing. */
void io_double_settle(struct io_ring *ring);
/* Turns until `ns` have passed, and settles. */
void io_double_run(struct io_ring *ring, uint64_t ns);

/* ---- descriptors and addresses ---- */

int io_double_listener(void);
int io_double_socket(void); /* not connected */
/* A connected descriptor and its other end. */
struct io_peer *io_double_pair(int *ret_fd);
/* A connection that the listener's accept delivers; also for a real listening descriptor. */
struct io_peer *io_double_arrives(int listener, const struct weft_address *from);

enum io_double_answer {
	IO_DOUBLE_REFUSES,
	IO_DOUBLE_ACCEPTS,
	IO_DOUBLE_IS_SILENT,
	IO_DOUBLE_HAS_NO_ROUTE, /* ENETUNREACH */
};
/* How connects to the address end, and after what time. Unknown addresses refuse at once. */
void io_double_address(const struct weft_address *address, enum io_double_answer answer,
		       uint64_t delay_ns);
/* The oldest connection to the address that was not asked for yet; NULL = none. */
struct io_peer *io_double_reached(const struct weft_address *address);
/* Connects begun to the address so far. */
size_t io_double_dials(const struct weft_address *address);

/* What a name leads to (io/lookup.h), ports not counted; 0 = nothing. The answer takes that long,
 * UINT64_MAX = for ever. Unknown names are not found at once. */
void io_double_name(const char *name, const struct weft_address *addresses, unsigned count,
		    uint64_t delay_ns);
/* Look-ups of a name that was given, so far. */
size_t io_double_lookups(const char *name);

/* ---- what a peer does ---- */

void io_peer_send(struct io_peer *peer, struct span bytes);
void io_peer_finish(struct io_peer *peer); /* FIN after them */
void io_peer_reset(struct io_peer *peer);  /* RST; what it sent before can still be received */
/* At most so many of its bytes come in one receive; 0 = as many as fit. */
void io_peer_pieces(struct io_peer *peer, size_t most);
/* Unread bytes that it accepts before sends stay in flight (default: no limit). */
void io_peer_window(struct io_peer *peer, uint64_t bytes);
/* Marks bytes as read: the window opens by as many. */
void io_peer_read(struct io_peer *peer, size_t bytes);
/* Its bytes come past TCP: those that are unread at a close alone are no reason for a RST. */
void io_peer_passes_tcp(struct io_peer *peer);
/* Sends on this connection fail from now on. */
void io_peer_fail_sends(struct io_peer *peer, int error);

/* ---- what a peer saw ---- */

struct span io_peer_received(const struct io_peer *peer); /* all bytes since the beginning */
/* Drops them from what io_peer_received gives; they count as read. */
void io_peer_forget(struct io_peer *peer);
bool io_peer_saw_fin(const struct io_peer *peer);
bool io_peer_saw_reset(const struct io_peer *peer);
/* Whether it would see one if this process died now. */
bool io_peer_would_see_reset(const struct io_peer *peer);
bool io_peer_is_closed(const struct io_peer *peer); /* the descriptor was closed */
/* Bytes that it sent and nobody has received yet. */
size_t io_peer_unreceived(const struct io_peer *peer);
/* The source address that io_bind_source gave; all zero = none. */
const struct weft_address *io_peer_source(const struct io_peer *peer);

#endif
