/* What protocol do a connection's first bytes speak? Pure: bytes in, answer out. */
#ifndef HTTP_SNIFF_H
#define HTTP_SNIFF_H

#include "base/span.h"

enum sniff {
	SNIFF_MORE,   /* a prefix of more than one answer */
	SNIFF_HTTP1,  /* a registered method and a blank (RFC 9110 16.1, IANA), then a target */
	SNIFF_HTTP2,  /* the client preface (RFC 9113 3.4) */
	SNIFF_TLS,    /* a handshake record with a ClientHello (RFC 8446 5.1) */
	SNIFF_OPAQUE, /* none of these */
};

/* Client's first bytes; decides on at most 24 of them. */
enum sniff sniff_client(struct span bytes);

#endif
