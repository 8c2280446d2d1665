/*
 * Whom a side of TLS trusts and, later, who it is: shared by its sessions, which hold on to it.
 * Immutable; a new CA is a new context. Any thread.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "base/text.h"

struct tls_context;

/* A client that accepts servers with a certificate of these CAs (PEM, one or many). TLS 1.2 and
 * 1.3. 0, -EINVAL (no certificate in it, with a sentence in `why`) or -ENOMEM. */
int tls_context_open(struct span ca_pem, struct text *why,
		     struct tls_context **ret_context) MUST_CHECK;
void tls_context_close(struct tls_context *context); /* NULL is fine */

#endif
