/*
 * The server name of a ClientHello (RFC 8446 4.1.2, RFC 6066 3) that may come in any pieces, also
 * over several records: fed with the connection's bytes as they pass, it keeps no more than this
 * struct and holds nothing up. Pure.
 */
#ifndef HTTP_SERVER_NAME_H
#define HTTP_SERVER_NAME_H

#include "base/span.h"

#define SERVER_NAME_MAX_BYTES 255

enum server_name_state {
	SERVER_NAME_MORE, /* feed it the bytes that follow */
	SERVER_NAME_FOUND,
	SERVER_NAME_ABSENT, /* no name, no ClientHello, or a malformed one */
};

struct server_name {
	uint32_t at;      /* bytes of the handshake message that were taken */
	uint32_t ends[4]; /* where the open vectors end, outermost first */
	uint32_t number;  /* being read, big-endian */
	uint32_t skip;    /* bytes to pass over before the next number */
	uint16_t extension_type;
	uint16_t record_left; /* bytes of the record's content still to come */
	uint8_t header_size;  /* of the record's header, while that is read */
	uint8_t header[5];
	uint8_t depth; /* of `ends` */
	uint8_t step;
	uint8_t number_size; /* bytes of `number` so far */
	uint8_t name_type;
	uint8_t name_size;
	uint8_t name_used;
	char name[SERVER_NAME_MAX_BYTES];
};

void server_name_init(struct server_name *search);
/* After another answer than SERVER_NAME_MORE it takes nothing more and repeats that answer. */
enum server_name_state server_name_feed(struct server_name *search, struct span bytes);
/* Once found: letters, digits, '-', '.' and '_', at least one. */
struct span server_name_found(const struct server_name *search);

#endif
