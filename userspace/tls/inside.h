/* What the files of this room share. */
#ifndef TLS_INSIDE_H
#define TLS_INSIDE_H

#include <openssl/ssl.h>

#include "base/mem.h"
#include "tls/context.h"

struct tls_context {
	SSL_CTX *ssl; /* counts its sessions */
};

#endif
