/*
 * One socket as a byte stream, whoever encrypts. Embedded in its owner (a session, an upstream, an
 * admin connection); owner and thread: one worker.
 *
 * Reading: after wire_read_start, bytes come by `data` until wire_pause; a paused wire delivers
 * nothing, and what the kernel already handed over is kept. Small traffic is received into buffers
 * shared by all wires, so an idle wire holds no memory; bulk traffic is pulled into 64 KiB blocks
 * one at a time, so that backpressure is the absence of a read.
 *
 * Writing: wire_write takes a copy, wire_write_block takes the block itself. At most one send is in
 * flight. All writes of one turn leave together.
 *
 * Ending: wire_close (FIN after what is queued), wire_abort (RST, drops what is queued) or the
 * peer; `closed` is called exactly once after any of the three and the last completion, from the
 * loop and never from inside a call of the owner; only then may the owner be freed.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/address.h"
#include "base/blocks.h"
#include "base/list.h"
#include "io/ring.h"
#include "tls/session.h"
#include "wire/queue.h"

struct wire;
struct wire_tls;

struct wire_events {
	/*
	 * The owner takes all bytes before it returns. If `*block` is not NULL, the bytes are the
	 * block's and the owner may keep it by setting *block to NULL (then gives it back itself).
	 */
	void (*data)(struct wire *wire, struct span bytes, struct block **block);
	void (*eof)(struct wire *wire);               /* the peer sends nothing more */
	void (*drained)(struct wire *wire);           /* all that was queued is sent, or lost */
	void (*connected)(struct wire *wire);         /* wire_dial succeeded, and the handshake */
	void (*failed)(struct wire *wire, int error); /* -errno; reads and writes are over */
	/* Of a guarded wire: its socket is looked at for unread bytes, and closed; nothing more may
	 * get past TCP. */
	void (*closing)(struct wire *wire);
	void (*closed)(struct wire *wire);
};

/* A worker's shared parts of all its wires. */
struct wire_loop {
	struct io_ring *ring;
	struct blocks *blocks;
	struct list dirty; /* wires with something left to do at the end of this turn */
};

enum wire_state { WIRE_NEW, WIRE_DIALLING, WIRE_OPEN, WIRE_FAILED, WIRE_CLOSED };
enum wire_ending { WIRE_STAYS, WIRE_CLOSES, WIRE_LINGERS, WIRE_RESETS_LATER, WIRE_RESETS };

struct wire {
	struct wire_loop *loop;
	const struct wire_events *events;
	struct list dirty;
	struct io_op recv_op;
	struct io_op send_op;       /* also the connect */
	struct timer timer;         /* end of lingering */
	struct timer send_timer;    /* until the next try by hand; after a failure: see fail() */
	struct wire_queue out;      /* written by the owner */
	struct wire_queue kept;     /* received while paused */
	struct wire_gather *gather; /* iovecs of a send in flight */
	struct wire_tls *tls;       /* NULL = plain bytes */
	uint32_t out_bytes;
	uint32_t flight_bytes; /* of what is sent: they belong to the kernel */
	int fd;                /* -1 when none */
	int error;             /* -errno that ended it, 0 = none */
	uint8_t state;         /* enum wire_state */
	uint8_t ending;        /* enum wire_ending */
	uint8_t send_tries;    /* in a row that found no room */
	bool sends_by_hand : 1;
	bool is_reading : 1; /* the owner wants bytes */
	bool is_bulk : 1;    /* receives by large blocks */
	bool recv_cancelled : 1;
	bool read_over : 1; /* FIN or error seen */
	bool eof_told : 1;
	bool failure_told : 1;
	bool wants_fin : 1;
	bool fin_sent : 1;
	bool tells_drained : 1; /* bytes were queued since the last `drained` */
	bool is_greeting : 1;   /* connected, and the TLS handshake is not done */
	bool is_guarded : 1;    /* wire_guard */
	bool lost_writes : 1;   /* after a failure: the queue is not all that was written */
	bool fails_fast : 1; /* set by the owner: a failure is told at once, unread bytes are lost;
				otherwise after every received byte was delivered */
	uint64_t bytes_received;
	uint64_t bytes_sent;
};

void wire_loop_init(struct wire_loop *loop, struct io_ring *ring, struct blocks *blocks);
/* At the end of each turn (io_set_hooks): sends, deliveries of kept bytes, ends. */
void wire_loop_flush(struct wire_loop *loop);

/* Cannot fail; no descriptor yet. */
void wire_init(struct wire *wire, struct wire_loop *loop, const struct wire_events *events);
/*
 * Before wire_dial: what the wire carries is encrypted by the session, which it takes in any
 * case. The owner reads and writes plain bytes, and hears of two more errors: -EPROTO, and
 * -EKEYREJECTED for a certificate that is refused. Bytes may be written before the handshake is
 * done; a handshake that fails is a dial that failed. A peer that leaves without TLS's own goodbye
 * (close_notify) is -ECONNRESET, because something may be missing. 0 or -ENOMEM.
 */
int wire_encrypt(struct wire *wire, struct tls_session *session) MUST_CHECK;
/* After -EPROTO and -EKEYREJECTED: a sentence, until `closed`. Else NULL. */
const char *wire_tls_why(const struct wire *wire);
/* Takes a connected socket. */
void wire_adopt(struct wire *wire, int fd);
/* Takes an unconnected socket and connects it: `connected` or `failed` follows. `address` must
 * stay valid until then. */
void wire_dial(struct wire *wire, int fd, const struct sockaddr_storage *address, socklen_t size);

/* For a socket that holds bytes which TCP does not know of: whenever it is closed with some of them
 * unread, also by the death of this process, its peer gets a RST as from TCP. */
void wire_guard(struct wire *wire);

void wire_read_start(struct wire *wire); /* also after wire_pause */
void wire_pause(struct wire *wire);
/* From inside `data`: the rest that the owner does not want yet. Pauses; comes again after
 * wire_read_start. 0 or -ENOMEM. */
int wire_keep(struct wire *wire, struct span rest) MUST_CHECK;
/* Bytes that were received and not yet delivered. */
static inline bool wire_has_kept(const struct wire *wire)
{
	return wire->kept.first != NULL;
}

/* 0 or -ENOMEM (nothing was queued). Ignored with 0 after failure or close: `failed` tells. */
int wire_write(struct wire *wire, struct span bytes) MUST_CHECK;
/* Takes the block with its bytes. */
void wire_write_block(struct wire *wire, struct block *block);
/* Room for `size` bytes (at most BLOCK_LARGE_BYTES) at the end of the queue, to be filled at once
 * and committed with the number used; NULL = -ENOMEM. Only while the wire is dialling or open. */
char *wire_write_room(struct wire *wire, size_t size) MUST_CHECK;
void wire_write_commit(struct wire *wire, size_t used);
static inline size_t wire_queued(const struct wire *wire)
{
	return wire->out_bytes;
}
/* Moves what is queued, and was never sent, from a wire that failed to another. Only while all that
 * was written is in the queue. */
void wire_move_queue(struct wire *from, struct wire *to);
static inline bool wire_is_open(const struct wire *wire)
{
	return wire->state == WIRE_OPEN && !wire->is_greeting;
}

/* FIN after what is queued; reading goes on (half-close). */
void wire_finish(struct wire *wire);
/* Sends what is queued, FIN, then discards input until the peer's FIN or a second has passed, so
 * that the last bytes are not lost to a RST (RFC 9112 9.6). */
void wire_close_lingering(struct wire *wire);
/* Sends what is queued, then closes. */
void wire_close(struct wire *wire);
/* RST now; queued bytes are dropped. */
void wire_abort(struct wire *wire);
/* RST after what is queued was handed to TCP, or after a second. */
void wire_abort_after_queue(struct wire *wire);

#endif
