/*
 * HTTP/1.x, reading: bytes in, events out (RFC 9112), llhttp in strict mode plus what it lets pass.
 * Owner: one connection's reader; no I/O, no clock. Memory is held only while a head is incomplete.
 *
 * Order of events for each message: head, body*, trailers?, complete. After a 101, a CONNECT
 * request, or a 2xx to one, or when the owner calls h1_stop, h1_feed returns early; the rest is a
 * tunnel's. After a request with Upgrade the owner itself stops until the answer is there.
 * 1xx answers are messages of their own; answers_head and answers_connect last to the final one.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include <llhttp.h>

#include "base/attr.h"
#include "base/blocks.h"
#include "http/message.h"

struct h1_limits {
	uint32_t head_bytes;   /* whole head, default 65536: 431 */
	uint32_t line_bytes;   /* request line, default 16384: 414 (status line: bad response) */
	uint32_t field_count;  /* default 128: 431 */
	struct blocks *blocks; /* whose limit incomplete heads count in; NULL = nobody's */
};

enum h1_error {
	H1_OK,
	H1_BAD_SYNTAX,     /* 400 */
	H1_BAD_FRAMING,    /* 400: Content-Length, Transfer-Encoding, Host, chunks */
	H1_URI_TOO_LONG,   /* 414 */
	H1_HEAD_TOO_LARGE, /* 431 */
	H1_NO_MEMORY,      /* 500, ends the session */
};

struct h1_reader;

struct h1_events {
	void (*head)(struct h1_reader *reader, const struct http_head *head);
	/* Decoded body bytes, inside the span that was fed. */
	void (*body)(struct h1_reader *reader, struct span bytes);
	/* Trailer fields after the last chunk, only if there are any. */
	void (*trailers)(struct h1_reader *reader, const struct http_field *fields, size_t count);
	void (*complete)(struct h1_reader *reader);
};

struct h1_reader {
	llhttp_t parser;
	const struct h1_events *events; /* set once by the owner */
	const struct h1_limits *limits;
	struct h1_scratch *scratch; /* fields being read and the incomplete head; NULL when idle */
	const char *error_text;     /* for a person: which rule was broken */
	uint64_t body_left;
	uint8_t error; /* enum h1_error */
	bool is_request;
	bool answers_head;    /* next response answers a HEAD request: no body */
	bool answers_connect; /* next response answers CONNECT: 2xx starts a tunnel */
	bool in_message;      /* between a message's first byte and its end */
	bool head_done;       /* of the current message */
	bool is_stopped;      /* by h1_stop, or a tunnel has begun */
	bool until_close;     /* the body ends with the connection */
	/* private */
	uint8_t phase;           /* what the next byte is part of */
	uint8_t chunk_step;      /* where in a chunk's size line */
	uint16_t chunk_count;    /* digits, then extension bytes, of that line */
	uint16_t extension_debt; /* extension bytes not outweighed by body bytes */
};
_Static_assert(sizeof(struct h1_reader) <= 160, "idle connections hold one each");

void h1_reader_init(struct h1_reader *reader, bool is_request, const struct h1_events *events,
		    const struct h1_limits *limits);
void h1_reader_fini(struct h1_reader *reader);

/*
 * Parses bytes; calls events. Returns how many were used: all, or fewer after h1_stop, after a
 * tunnel has begun, or on an error (reader->error says which; nothing of a bad head or of a bad
 * chunk was delivered). A complete message does not stop the reader by itself: with pipelining the
 * owner calls h1_stop in `complete` and h1_go_on later.
 */
size_t h1_feed(struct h1_reader *reader, struct span bytes) MUST_CHECK;
/* From inside an event: h1_feed returns after it. h1_reader_fini never from inside one. */
void h1_stop(struct h1_reader *reader);
/* Then feed again, an empty span too: `complete` may be due without another byte. */
void h1_go_on(struct h1_reader *reader);
/*
 * The peer sends nothing more. H1_OK when that ends a message cleanly (or between messages; a
 * body until close gets its `complete`), H1_BAD_FRAMING when it cut one short.
 */
enum h1_error h1_end(struct h1_reader *reader) MUST_CHECK;
/* True between messages: nothing of the next one has been seen. */
static inline bool h1_is_idle(const struct h1_reader *reader)
{
	return !reader->in_message;
}

/* ---- writing ---- */

/* How a forwarded head differs from the received one. */
struct h1_rewrite {
	uint8_t framing;       /* enum http_framing of the message as it will be sent */
	uint8_t minor_version; /* of the start line */
	bool keep_alive; /* Connection: close is added when false; for 1.0 keep-alive when true */
	bool keeps_upgrade;  /* Upgrade and Connection: upgrade go through */
	bool is_head_answer; /* response to HEAD: Content-Length / Transfer-Encoding pass as they
				are */
	struct span via;     /* pseudonym of a Via field to append; size 0 = none */
	const struct http_field *extra; /* fields to add */
	size_t extra_count;
};

/* Most bytes that h1_write_head may need for this head. */
size_t h1_head_bytes(const struct http_head *head, const struct h1_rewrite *rewrite);
/*
 * Writes start line and fields without hop-by-hop ones (RFC 9110 7.6.1: Connection and what it
 * lists, Keep-Alive, Proxy-Connection, TE but for "trailers", Transfer-Encoding, Upgrade), framing
 * as given. Content-Length is normalised to one field. Returns the bytes used (<= h1_head_bytes).
 */
size_t h1_write_head(const struct http_head *head, const struct h1_rewrite *rewrite, char *memory);

#define H1_CHUNK_HEAD_MAX 20
/* "<hex>\r\n"; returns its size. The chunk's bytes and "\r\n" follow. */
size_t h1_write_chunk_head(size_t size, char memory[H1_CHUNK_HEAD_MAX]);
/* "0\r\n" + trailers + "\r\n"; hop-by-hop, framing and routing fields are left out (RFC 9110
 * 6.5.1). With memory NULL only the size. */
size_t h1_write_last_chunk(const struct http_field *trailers, size_t count, char *memory);

#endif
