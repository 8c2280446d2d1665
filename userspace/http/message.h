/*
 * The one message form between HTTP versions: a parsed head whose spans point into memory of the
 * codec, valid only during the call that delivers it. No I/O, no clock.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

struct http_field {
	struct span name;
	struct span value; /* without surrounding blanks */
};

/* RFC 9112 6.3 */
enum http_framing {
	HTTP_NO_BODY,
	HTTP_LENGTH, /* body_length bytes follow */
	HTTP_CHUNKED,
	HTTP_UNTIL_CLOSE, /* responses only */
};

enum http_method {
	HTTP_METHOD_OTHER, /* any other token: nothing is known about it here */
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_CONNECT,
};

struct http_head {
	bool is_request;
	uint8_t minor_version; /* HTTP/1.x */
	uint8_t framing;       /* enum http_framing */
	uint8_t method;        /* enum http_method; requests */
	uint16_t status;       /* responses */
	uint16_t field_count;
	bool keep_alive;               /* what version and Connection say (RFC 9112 9.3) */
	bool has_upgrade;              /* Upgrade with Connection: upgrade, HTTP/1.1 */
	bool expects_continue;         /* Expect: 100-continue, HTTP/1.1 request */
	bool has_te_trailers;          /* TE lists trailers */
	bool binds_connection;         /* Negotiate or NTLM (RFC 4559 6); requests */
	bool has_body_field;           /* Content-Length or Transfer-Encoding is present */
	uint64_t body_length;          /* HTTP_LENGTH only */
	bool has_keep_alive_timeout;   /* Keep-Alive: timeout=N */
	uint32_t keep_alive_timeout_s; /* 0: not to be used again */
	struct span method_text;
	struct span target; /* request-target as written: origin, absolute, authority or "*" form */
	struct span host;   /* Host's value; size 0 = none */
	struct span reason; /* responses */
	const struct http_field *fields; /* in order, as received */
};

/* First field of that name or NULL. */
const struct http_field *http_find(const struct http_head *head, const char *name);
/* Bytes of a copy. */
size_t http_head_bytes(const struct http_head *head);
/* A copy with all that it points to, one piece of memory for mem_free; NULL = out of memory. */
struct http_head *http_head_copy(const struct http_head *head) MUST_CHECK;
/* RFC 9110 9.2.2: may be sent again without asking. */
bool http_is_idempotent(const struct http_head *head);
/* One element of a comma-separated list equals `token`, case-insensitive (RFC 9110 5.6.1). */
bool http_list_has(struct span list, const char *token);

#endif
