/*
 * The encrypted side of a wire, between wire.c and its session. Plain bytes that the owner writes
 * stay in wire->out until they become records; only records are sent.
 */
#ifndef WIRE_ENCRYPT_H
#define WIRE_ENCRYPT_H

#include "wire/wire.h"

struct wire_tls {
	struct tls_session *session;
	struct wire_queue records; /* to send; wire->flight_bytes of them belong to the kernel */
	uint32_t record_bytes;
	bool is_finished; /* close_notify is among the records, or will never be */
};

/* The socket is connected: the handshake begins. */
void wire_tls_greet(struct wire *wire);
/* Received records. */
void wire_tls_received(struct wire *wire, struct span records);
/* What may be sent becomes records: some of what is queued, and the goodbye behind the last. */
void wire_tls_seal(struct wire *wire);
/* The wire is closed. */
void wire_tls_end(struct wire *wire);

/* wire.c's, for here */
void wire_mark_dirty(struct wire *wire);
void wire_fail(struct wire *wire, int error);
void wire_dial_failed(struct wire *wire, int error);
void wire_deliver(struct wire *wire, struct span bytes, struct block **block);

#endif
