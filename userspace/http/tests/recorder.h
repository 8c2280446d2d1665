/*
 * A reader whose events become a text, so that a table says what is expected and two ways of
 * feeding the same bytes can be compared:
 *   > GET /path 1.1 none keep       a request's head: method, target, version, framing, claims
 *   < 200 OK 1.1 length=5 keep      a response's
 *     Host: a                       each field
 *   | 5 hello                       the body, all of its pieces joined
 *   ^ name: value                   trailers
 *   .                               complete
 * Used by the unit tests and by the fuzz targets.
 */
#ifndef HTTP_TESTS_RECORDER_H
#define HTTP_TESTS_RECORDER_H

#include <stdlib.h>

#include "base/text.h"
#include "http/h1.h"

struct recorder {
	struct h1_reader reader;
	struct text log;
	struct text body; /* of the current message, not yet in the log */
	unsigned heads;
	unsigned completes;
	uint64_t body_bytes; /* of all messages */
	bool stops_at_head;
	bool stops_at_body;
	bool stops_at_complete;
	struct span fed; /* bytes of the running feed: body spans must lie in here */
	bool has_foreign_body;
};

static const struct h1_limits recorder_limits = {
	.head_bytes = 65536,
	.line_bytes = 16384,
	.field_count = 128,
};

static inline void recorder_flush_body(struct recorder *recorder)
{
	if (recorder->body.size == 0)
		return;
	text_printf(&recorder->log, "| %zu ", recorder->body.size);
	text_add(&recorder->log, text_span(&recorder->body));
	text_add(&recorder->log, span_text("\n"));
	text_clear(&recorder->body);
}

static inline void recorder_fields(struct text *log, const char *prefix,
				   const struct http_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		text_add(log, span_text(prefix));
		text_add(log, fields[i].name);
		text_add(log, span_text(": "));
		text_add(log, fields[i].value);
		text_add(log, span_text("\n"));
	}
}

static inline void recorder_claims(struct text *log, const struct http_head *head)
{
	static const char *const framings[] = {"none", "length", "chunked", "close"};
	text_printf(log, " 1.%u %s", head->minor_version, framings[head->framing]);
	if (head->framing == HTTP_LENGTH)
		text_printf(log, "=%llu", (unsigned long long)head->body_length);
	if (head->keep_alive)
		text_printf(log, " keep");
	if (head->has_upgrade)
		text_printf(log, " upgrade");
	if (head->expects_continue)
		text_printf(log, " continue");
	if (head->has_te_trailers)
		text_printf(log, " te");
	if (head->has_keep_alive_timeout)
		text_printf(log, " timeout=%u", head->keep_alive_timeout_s);
	text_printf(log, "\n");
}

static inline void recorder_head(struct h1_reader *reader, const struct http_head *head)
{
	struct recorder *recorder = container_of(reader, struct recorder, reader);
	struct text *log = &recorder->log;
	recorder->heads++;
	recorder_flush_body(recorder);
	if (head->is_request) {
		text_add(log, span_text("> "));
		text_add(log, head->method_text);
		text_add(log, span_text(" "));
		text_add(log, head->target);
	} else {
		text_printf(log, "< %u ", head->status);
		text_add(log, head->reason);
	}
	recorder_claims(log, head);
	recorder_fields(log, "  ", head->fields, head->field_count);
	if (recorder->stops_at_head)
		h1_stop(reader);
}

static inline void recorder_body(struct h1_reader *reader, struct span bytes)
{
	struct recorder *recorder = container_of(reader, struct recorder, reader);
	struct span fed = recorder->fed;
	if (bytes.size == 0 || bytes.data < fed.data ||
	    bytes.data + bytes.size > fed.data + fed.size)
		recorder->has_foreign_body = true;
	recorder->body_bytes += bytes.size;
	text_add(&recorder->body, bytes);
	if (recorder->stops_at_body)
		h1_stop(reader);
}

static inline void recorder_trailers(struct h1_reader *reader, const struct http_field *fields,
				     size_t count)
{
	struct recorder *recorder = container_of(reader, struct recorder, reader);
	recorder_flush_body(recorder);
	recorder_fields(&recorder->log, "^ ", fields, count);
}

static inline void recorder_complete(struct h1_reader *reader)
{
	struct recorder *recorder = container_of(reader, struct recorder, reader);
	recorder->completes++;
	recorder_flush_body(recorder);
	text_add(&recorder->log, span_text(".\n"));
	if (recorder->stops_at_complete)
		h1_stop(reader);
}

static const struct h1_events recorder_events = {
	.head = recorder_head,
	.body = recorder_body,
	.trailers = recorder_trailers,
	.complete = recorder_complete,
};

static inline void recorder_init_limits(struct recorder *recorder, bool is_request,
					const struct h1_limits *limits)
{
	*recorder = (struct recorder){0};
	h1_reader_init(&recorder->reader, is_request, &recorder_events, limits);
}

static inline void recorder_init(struct recorder *recorder, bool is_request)
{
	recorder_init_limits(recorder, is_request, &recorder_limits);
}

static inline void recorder_fini(struct recorder *recorder)
{
	h1_reader_fini(&recorder->reader);
	text_fini(&recorder->log);
	text_fini(&recorder->body);
}

/*
 * Feeds one piece from memory of exactly its size that is gone afterwards, so that a look beyond
 * it or a span kept too long is an error under ASan.
 */
static inline size_t recorder_feed(struct recorder *recorder, struct span bytes)
{
	char *copy = malloc(bytes.size ? bytes.size : 1);
	if (!copy)
		abort();
	if (bytes.size)
		memcpy(copy, bytes.data, bytes.size);
	recorder->fed = span_of(copy, bytes.size);
	size_t used = h1_feed(&recorder->reader, recorder->fed);
	free(copy);
	return used;
}

/* Feeds all in pieces of at most `piece` bytes until the reader takes no more; returns bytes used.
 */
static inline size_t recorder_feed_pieces(struct recorder *recorder, struct span bytes,
					  size_t piece)
{
	size_t used = 0;
	while (used < bytes.size) {
		size_t size = bytes.size - used < piece ? bytes.size - used : piece;
		size_t taken = recorder_feed(recorder, span_of(bytes.data + used, size));
		used += taken;
		if (taken < size)
			break;
	}
	return used;
}

/* The log so far, as a C string. */
static inline const char *recorder_text(struct recorder *recorder)
{
	recorder_flush_body(recorder);
	return recorder->log.data ? recorder->log.data : "";
}

#endif
