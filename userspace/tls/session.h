/*
 * One TLS connection over memory: records in, plain bytes out, and the other way round. No socket,
 * no clock but the one that certificates are checked against. Owner: one thread.
 *
 *   received records --tls_receive--> [session] --tls_read--> plain bytes
 *   plain bytes --tls_write--> [session] --tls_outgoing, tls_sent--> records to send
 *
 * The handshake is driven by tls_handshake; whatever a step has put into the outgoing records has
 * to be sent before the peer goes on.
 */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include "base/span.h"
#include "tls/context.h"

struct tls_session;

/* A client's. `server_name` is a DNS name (sent as SNI, RFC 6066 3) or an IP address; the server's
 * certificate must be for it (RFC 9525). 0 or -ENOMEM, -EINVAL (no such name). */
int tls_session_open(struct tls_context *context, const char *server_name,
		     struct tls_session **ret_session) MUST_CHECK;
void tls_session_close(struct tls_session *session); /* NULL is fine */

/* Takes all bytes. 0 or -ENOMEM. */
int tls_receive(struct tls_session *session, struct span records) MUST_CHECK;
/* 0 = done, -EAGAIN = the peer's bytes are missing, -EKEYREJECTED = its certificate is refused,
 * -EPROTO = anything else; tls_why says it in a sentence. */
int tls_handshake(struct tls_session *session) MUST_CHECK;
bool tls_is_ready(const struct tls_session *session); /* the handshake is done */
/* Plain bytes into `memory`: how many, 0 = the peer has ended its side (close_notify), -EAGAIN =
 * more records are needed, -EPROTO. */
int tls_read(struct tls_session *session, char *memory, size_t size) MUST_CHECK;
/* After the handshake; all of it goes into records, at most 2^30 bytes. 0, -ENOMEM or -EPROTO. */
int tls_write(struct tls_session *session, struct span bytes) MUST_CHECK;
/* Ends our side: a close_notify is among the outgoing records. Reading goes on. */
void tls_finish(struct tls_session *session);

/* Records that wait to be sent; valid until the next call. */
struct span tls_outgoing(const struct tls_session *session);
/* The first `size` bytes of them were taken. */
void tls_sent(struct tls_session *session, size_t size);

/* Why it failed; NULL = it did not. */
const char *tls_why(const struct tls_session *session);
/* "TLSv1.3" once it is ready. */
const char *tls_version(const struct tls_session *session);

#endif
