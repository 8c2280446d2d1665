/*
 * One io_uring and the turn of its owner's loop: submit, wait, dispatch completions, run due
 * timers. Owner: exactly one thread (SINGLE_ISSUER), but for io_post, which any thread may call.
 *
 * Memory named in an operation belongs to the kernel until the operation's final completion: an
 * io_op is embedded in its owner, which may be freed only when `in_flight` is false. io_cancel is
 * a request; exactly one final completion still comes.
 *
 * A double with scripted peers and a virtual clock (io/double/) has the same header.
 */
#ifndef IO_RING_H
#define IO_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/blocks.h"
#include "base/span.h"
#include "base/timers.h"

struct io_ring;
struct io_op;

/* `result`: bytes, a descriptor, or -errno. `more`: further completions follow (multishot). */
typedef void io_done(struct io_op *op, int result, bool more);

struct io_op {
	io_done *done; /* set once by the owner */
	bool in_flight;
	/* the ring's own: */
	bool is_large;   /* receives into a large block */
	bool is_suspect; /* may have ended unnoticed, see lost.h */
	int fd;          /* of a multishot receive */
};

/* A message to another thread's loop; owned by the receiver from io_post until `run` is called. */
struct io_mail {
	struct io_mail *next;
	void (*run)(struct io_mail *mail);
};

struct io_options {
	unsigned entries;      /* submission queue, a power of two */
	unsigned shared_count; /* small receive buffers that the ring lends, a power of two */
	unsigned large_count;  /* 64 KiB blocks that the ring lends, a power of two; 0 = none */
	struct blocks *blocks; /* where the large ones come from; NULL with large_count 0 */
};

#define IO_SHARED_BYTES 4096 /* of one small receive buffer */

/* -ENOMEM, -ENOSYS (no io_uring), -EPERM (io_uring is switched off), -EINVAL (kernel too old). */
int io_ring_open(const struct io_options *options, struct io_ring **ret_ring) MUST_CHECK;
void io_ring_close(struct io_ring *ring); /* NULL is fine */

/* One turn; waits at most until the next timer or `wait_ns` (UINT64_MAX = no limit). */
void io_turn(struct io_ring *ring, uint64_t wait_ns);
/* CLOCK_MONOTONIC as read at the start of this turn's dispatch, nanoseconds. */
uint64_t io_now_ns(const struct io_ring *ring);
/* CLOCK_REALTIME now, nanoseconds since 1970: for deadlines that other machines set. */
uint64_t io_wall_ns(const struct io_ring *ring);
struct timers *io_timers(struct io_ring *ring);
/* Nanoseconds that the loop spent not waiting, and turns, since it was opened. */
uint64_t io_busy_ns(const struct io_ring *ring);
uint64_t io_turns(const struct io_ring *ring);
/* `before_wait` flushes what the owner gathered in the turn; `after_wait` runs before the first
 * completion is dispatched. Either may be NULL. */
void io_set_hooks(struct io_ring *ring, void (*before_wait)(void *owner),
		  void (*after_wait)(void *owner), void *owner);

/* Multishot; each completion's result is a new connection. Non-blocking, close-on-exec. */
void io_accept(struct io_ring *ring, struct io_op *op, int fd);
/* `address` must stay valid until the completion. */
void io_connect(struct io_ring *ring, struct io_op *op, int fd,
		const struct sockaddr_storage *address, socklen_t size);
/* One read(2) into memory of the caller, for descriptors that are no sockets (eventfd, inotify). */
void io_read(struct io_ring *ring, struct io_op *op, int fd, void *memory, size_t size);
/*
 * Multishot receive into small buffers that the ring lends: inside `done`, io_lent_bytes gives the
 * bytes; they go back to the kernel when `done` returns. Ends (more = false) with 0, -errno,
 * -ENOBUFS (all buffers in use: arm again) or -ECANCELED (also unasked, see lost.h: arm again).
 */
void io_recv_shared(struct io_ring *ring, struct io_op *op, int fd);
/* One receive into a 64 KiB block that is chosen when bytes are there, so that a connection that
 * waits holds no memory. Inside `done`, *io_lent_block may be taken by setting it to NULL. */
void io_recv_large(struct io_ring *ring, struct io_op *op, int fd);
struct span io_lent_bytes(const struct io_ring *ring);
struct block **io_lent_block(struct io_ring *ring);
/* All or an error: the kernel goes on after short sends (MSG_WAITALL). No SIGPIPE. */
void io_send(struct io_ring *ring, struct io_op *op, int fd, const void *memory, size_t size);
/*
 * But for a peer that has sent FIN: poll for writing is "ready" at once then even if there is no
 * room (EPOLLRDHUP is always asked for), and the kernel gives up with a short result or -EAGAIN.
 */
void io_sendmsg(struct io_ring *ring, struct io_op *op, int fd, const struct msghdr *message);
/* Multishot poll(2) with these events; result = events. */
void io_poll(struct io_ring *ring, struct io_op *op, int fd, unsigned events);
/* Asks that `op` ends soon: its final completion says -ECANCELED or how it ended before that. */
void io_cancel(struct io_ring *ring, struct io_op *op);

/* Immediate system calls, here so that the double sees them too. */
/* What there is room for at once: bytes, or -errno (-EAGAIN: none). */
int io_send_now(struct io_ring *ring, int fd, const void *memory, size_t size) MUST_CHECK;
/*
 * An unconnected TCP socket that sends at once (TCP_NODELAY). A peer that does not answer the
 * kernel for `silence_s` seconds ends its connection with -ETIMEDOUT (keepalive; RFC 1122 4.2.3.6).
 * Descriptor or -errno.
 */
int io_socket(struct io_ring *ring, int family, unsigned silence_s) MUST_CHECK;
/* Source address of an unconnected socket; the port is chosen by its connect. 0 or -errno. */
int io_bind_source(struct io_ring *ring, int fd, const struct weft_address *address) MUST_CHECK;
void io_shutdown_send(struct io_ring *ring, int fd); /* FIN after what was sent */
void io_close(struct io_ring *ring, int fd);
void io_close_reset(struct io_ring *ring, int fd); /* RST instead of FIN */
/* RST at a later io_close or when the process dies, or FIN again. */
void io_reset_when_closed(struct io_ring *ring, int fd, bool resets);
bool io_has_unread(struct io_ring *ring, int fd);

/* Any thread: `mail->run` is called in the ring's thread in its next turn. */
void io_post(struct io_ring *ring, struct io_mail *mail);

#endif
