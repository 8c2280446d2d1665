#include "http/h1_chunk.h"
#include "http/h1_head.h"
#include "http/h1_section.h"

/* What the next byte is part of. */
enum phase {
	PHASE_START,    /* a message; before a request one empty line may stand (RFC 9112 2.2) */
	PHASE_EMPTY_LF, /* of that empty line */
	PHASE_NOW,      /* a message, without another empty line */
	PHASE_HEAD,
	PHASE_LENGTH,
	PHASE_UNTIL_CLOSE,
	PHASE_CHUNK_LINE,
	PHASE_CHUNK_BYTES,
	PHASE_CHUNK_CR,
	PHASE_CHUNK_LF,
	PHASE_TRAILER_START, /* after the last chunk's size line */
	PHASE_TRAILERS_LF,   /* no trailers: the closing CR was taken */
	PHASE_TRAILERS,
	PHASE_COMPLETE, /* needs no further byte */
};

static void refuse(struct h1_reader *reader, const struct h1_fault *fault)
{
	h1_refuse(reader, fault->error, fault->text);
}

void h1_reader_init(struct h1_reader *reader, bool is_request, const struct h1_events *events,
		    const struct h1_limits *limits)
{
	*reader = (struct h1_reader){.events = events, .limits = limits, .is_request = is_request};
	h1_section_init(reader);
}

void h1_reader_fini(struct h1_reader *reader)
{
	h1_section_fini(reader);
}

/* ---- heads and trailers ---- */

static void phase_after_head(struct h1_reader *reader, const struct http_head *head)
{
	reader->body_left = head->body_length;
	reader->extension_debt = 0;
	switch (head->framing) {
	case HTTP_LENGTH:
		reader->phase = head->body_length ? PHASE_LENGTH : PHASE_COMPLETE;
		break;
	case HTTP_CHUNKED:
		reader->phase = PHASE_CHUNK_LINE;
		h1_chunk_begin(reader);
		break;
	case HTTP_UNTIL_CLOSE:
		reader->phase = PHASE_UNTIL_CLOSE;
		reader->until_close = true;
		break;
	default:
		reader->phase = PHASE_COMPLETE;
		break;
	}
}

static void head_done(struct h1_reader *reader, struct span bytes, struct http_field *fields,
		      size_t count)
{
	struct http_head head;
	const struct h1_fault *fault = h1_head_read(reader, bytes, fields, count, &head);
	if (fault) {
		refuse(reader, fault);
		return;
	}
	/* Two readings of one head are the stuff of smuggling, so both must agree. */
	if (head.framing == HTTP_CHUNKED && !(reader->parser.flags & F_CHUNKED)) {
		h1_refuse(reader, H1_BAD_FRAMING, "Transfer-Encoding is not clear");
		return;
	}
	reader->head_done = true;
	phase_after_head(reader, &head);
	reader->events->head(reader, &head);
}

static void trailers_done(struct h1_reader *reader, struct span bytes, struct http_field *fields,
			  size_t count)
{
	const struct h1_fault *fault = h1_trailers_read(bytes, fields, count);
	if (fault) {
		refuse(reader, fault);
		return;
	}
	reader->phase = PHASE_COMPLETE;
	reader->events->trailers(reader, fields, count);
}

/* ---- the other phases; each returns how many bytes it used ---- */

static size_t start_read(struct h1_reader *reader, struct span bytes)
{
	char first = bytes.data[0];
	if (reader->phase == PHASE_START && reader->is_request && first == '\r') {
		reader->phase = PHASE_EMPTY_LF;
		reader->in_message = true;
		return 1;
	}
	/* llhttp would skip any number of line ends. */
	if (first == '\r' || first == '\n') {
		h1_refuse(reader, H1_BAD_SYNTAX, "empty line before the first line");
		return 0;
	}
	reader->phase = PHASE_HEAD;
	reader->in_message = true;
	return h1_section_read(reader, bytes, head_done);
}

static size_t empty_line_end(struct h1_reader *reader, struct span bytes)
{
	if (bytes.data[0] != '\n') {
		h1_refuse(reader, H1_BAD_SYNTAX, "CR without LF");
		return 0;
	}
	reader->phase = PHASE_NOW;
	reader->in_message = false;
	return 1;
}

static size_t sized_read(struct h1_reader *reader, struct span bytes)
{
	size_t size = bytes.size < reader->body_left ? bytes.size : (size_t)reader->body_left;
	reader->body_left -= size;
	if (reader->body_left == 0)
		reader->phase = reader->phase == PHASE_LENGTH ? PHASE_COMPLETE : PHASE_CHUNK_CR;
	reader->events->body(reader, span_of(bytes.data, size));
	return size;
}

static size_t until_close_read(struct h1_reader *reader, struct span bytes)
{
	reader->events->body(reader, bytes);
	return bytes.size;
}

static size_t chunk_line_read(struct h1_reader *reader, struct span bytes)
{
	bool is_done = false;
	size_t used = 0;
	while (used < bytes.size && !is_done) {
		const struct h1_fault *fault = h1_chunk_take(reader, bytes.data[used], &is_done);
		if (fault) {
			refuse(reader, fault);
			return used;
		}
		used++;
	}
	if (is_done)
		reader->phase = reader->body_left ? PHASE_CHUNK_BYTES : PHASE_TRAILER_START;
	return used;
}

static size_t chunk_end_read(struct h1_reader *reader, struct span bytes)
{
	bool at_cr = reader->phase == PHASE_CHUNK_CR;
	if (bytes.data[0] != (at_cr ? '\r' : '\n')) {
		h1_refuse(reader, H1_BAD_FRAMING, "chunk does not end with CR LF");
		return 0;
	}
	reader->phase = at_cr ? PHASE_CHUNK_LF : PHASE_CHUNK_LINE;
	if (!at_cr)
		h1_chunk_begin(reader);
	return 1;
}

static size_t trailer_start_read(struct h1_reader *reader, struct span bytes)
{
	/* Nearly always there are none, and llhttp need not be asked. */
	if (bytes.data[0] == '\r') {
		reader->phase = PHASE_TRAILERS_LF;
		return 1;
	}
	reader->phase = PHASE_TRAILERS;
	return h1_section_read(reader, bytes, trailers_done);
}

static size_t no_trailers_end(struct h1_reader *reader, struct span bytes)
{
	if (bytes.data[0] != '\n') {
		h1_refuse(reader, H1_BAD_FRAMING, "last chunk does not end with CR LF");
		return 0;
	}
	reader->phase = PHASE_COMPLETE;
	return 1;
}

static bool begins_tunnel(const struct h1_reader *reader)
{
	if (reader->is_request)
		return reader->parser.method == HTTP_CONNECT;
	unsigned status = reader->parser.status_code;
	return status == 101 || (reader->answers_connect && status >= 200 && status < 300);
}

static size_t complete(struct h1_reader *reader)
{
	if (begins_tunnel(reader))
		reader->is_stopped = true;
	if (!reader->is_request && reader->parser.status_code >= 200)
		reader->answers_head = reader->answers_connect = false;
	reader->phase = PHASE_START;
	reader->in_message = false;
	reader->head_done = false;
	reader->until_close = false;
	reader->events->complete(reader);
	return 0;
}

static size_t step(struct h1_reader *reader, struct span bytes)
{
	switch (reader->phase) {
	case PHASE_START:
	case PHASE_NOW:
		return start_read(reader, bytes);
	case PHASE_EMPTY_LF:
		return empty_line_end(reader, bytes);
	case PHASE_HEAD:
		return h1_section_read(reader, bytes, head_done);
	case PHASE_TRAILERS:
		return h1_section_read(reader, bytes, trailers_done);
	case PHASE_LENGTH:
	case PHASE_CHUNK_BYTES:
		return sized_read(reader, bytes);
	case PHASE_UNTIL_CLOSE:
		return until_close_read(reader, bytes);
	case PHASE_CHUNK_LINE:
		return chunk_line_read(reader, bytes);
	case PHASE_CHUNK_CR:
	case PHASE_CHUNK_LF:
		return chunk_end_read(reader, bytes);
	case PHASE_TRAILER_START:
		return trailer_start_read(reader, bytes);
	case PHASE_TRAILERS_LF:
		return no_trailers_end(reader, bytes);
	default:
		return complete(reader);
	}
}

size_t h1_feed(struct h1_reader *reader, struct span bytes)
{
	size_t used = 0;
	while (!reader->error && !reader->is_stopped &&
	       (used < bytes.size || reader->phase == PHASE_COMPLETE))
		used += step(reader, span_of(bytes.data + used, bytes.size - used));
	return used;
}

void h1_stop(struct h1_reader *reader)
{
	reader->is_stopped = true;
}

void h1_go_on(struct h1_reader *reader)
{
	reader->is_stopped = false;
}

enum h1_error h1_end(struct h1_reader *reader)
{
	if (reader->error)
		return reader->error;
	if (reader->phase == PHASE_UNTIL_CLOSE || reader->phase == PHASE_COMPLETE)
		complete(reader);
	else if (reader->in_message)
		h1_refuse(reader, H1_BAD_FRAMING, "connection ended inside a message");
	return reader->error;
}
