/*
 * Where the API server is and how it is convinced: address, CA, token. Files are read again once a
 * minute, long before the kubelet lets a token end, and when the server refuses it. Owner: kube.
 */
#ifndef KUBE_SERVER_H
#define KUBE_SERVER_H

#include "base/text.h"
#include "kube/addresses.h"
#include "kube/kube.h"
#include "tls/context.h"

struct server {
	struct addresses addresses;
	bool is_tls;
	char host[IO_LOOKUP_NAME_MAX + 8]; /* of the Host field */
	char *name;                        /* in its certificate */
	char *token_file;                  /* NULL = no token */
	char *ca_file;                     /* NULL = no TLS */
	struct text token;
	struct text ca;
	struct tls_context *tls;
	uint64_t read_ns; /* when the files were read */
};

/* 0 or -errno with a sentence in `why`; server_close is due either way. */
int server_open(struct server *server, const struct kube_options *options, uint64_t now_ns,
		struct text *why) MUST_CHECK;
/* Reads the files again if that was a minute ago, or at once; what cannot be read stays. */
void server_refresh(struct server *server, uint64_t now_ns, bool at_once);
void server_close(struct server *server);

#endif
