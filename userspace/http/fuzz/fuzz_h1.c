/*
 * Input: byte 0 says what is read (bits below), byte 1 seeds the cuts, the rest is the stream.
 * However it is cut and wherever the reader is stopped, the events must be the same; a head that
 * gets out must stand in the input as the grammar wants it, and what the writer makes of it must
 * be taken again.
 */
#include "base/fuzz/target.h"

#include <assert.h>
#include <stdio.h>

#include "http/tests/recorder.h"

enum kind {
	KIND_RESPONSE = 1,
	KIND_ANSWERS_HEAD = 2,
	KIND_ANSWERS_CONNECT = 4,
	KIND_SMALL_LIMITS = 8,
	KIND_ENDS = 16,
};

static const struct h1_limits small_limits = {
	.head_bytes = 200,
	.line_bytes = 60,
	.field_count = 5,
};

struct result {
	struct recorder recorder;
	size_t used;
};

/* ---- the grammar, once more and as plainly as can be ---- */

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value_char(char c)
{
	return c == '\t' || c == ' ' || (unsigned char)c >= 0x80 || (c > 0x20 && c < 0x7f);
}

static const char *expect_text(const char *at, const char *text)
{
	assert(memcmp(at, text, strlen(text)) == 0);
	return at + strlen(text);
}

static const char *expect_span(const char *at, struct span span)
{
	assert(span.size == 0 || at == span.data);
	return at + span.size;
}

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t') /* not strspn: no NUL ends a head */
		at++;
	return at;
}

static bool is_method(struct span method, const char *name, size_t number)
{
	/* Case counts (RFC 9110 9.1), and what differs in case only is a trap for these two. */
	if (number == HTTP_METHOD_HEAD || number == HTTP_METHOD_CONNECT)
		assert(span_is(method, name) || !span_is_nocase(method, name));
	return span_is(method, name);
}

/* RFC 9110 9.1, RFC 9112 3.2 */
static void target_check(const struct http_head *head)
{
	struct span method = head->method_text;
	struct span target = head->target;
	static const char *const names[] = {NULL,     "GET",     "HEAD",  "POST",   "PUT",
					    "DELETE", "OPTIONS", "TRACE", "CONNECT"};
	assert(method.size > 0 && target.size > 0);
	for (size_t i = 0; i < method.size; i++)
		assert(is_name_char(method.data[i]));
	for (size_t i = 1; i < array_count(names); i++)
		assert(is_method(method, names[i], i) == (head->method == i));
	for (size_t i = 0; i < target.size; i++)
		assert(is_value_char(target.data[i]) && target.data[i] != ' ' &&
		       target.data[i] != '\t' && target.data[i] != '#');
	if (head->method == HTTP_METHOD_CONNECT)
		assert(target.data[0] != '/' && memchr(target.data, ':', target.size));
	else
		assert(target.data[0] == '/' || memmem(target.data, target.size, "://", 3) ||
		       (span_is(target, "*") && head->method == HTTP_METHOD_OPTIONS));
}

static void head_check(const struct http_head *head)
{
	char version[16];
	const char *at;
	snprintf(version, sizeof(version), "HTTP/1.%u", head->minor_version);
	if (head->is_request) {
		at = expect_text(expect_span(head->method_text.data, head->method_text), " ");
		at = expect_text(expect_span(at, head->target), " ");
		at = expect_text(expect_text(at, version), "\r\n");
		target_check(head);
	} else {
		at = expect_text(head->reason.data + head->reason.size, "\r\n");
	}
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		assert(field->name.size > 0);
		at = expect_text(expect_span(at, field->name), ":");
		at = expect_span(skip_blanks(at), field->value);
		at = expect_text(skip_blanks(at), "\r\n");
		for (size_t k = 0; k < field->name.size; k++)
			assert(is_name_char(field->name.data[k]));
		for (size_t k = 0; k < field->value.size; k++)
			assert(is_value_char(field->value.data[k]));
		assert(span_equal(span_trim(field->value), field->value));
	}
	expect_text(at, "\r\n");
}

static unsigned field_number(const struct http_head *head, const char *name)
{
	unsigned number = 0;
	for (size_t i = 0; i < head->field_count; i++)
		number += span_is_nocase(head->fields[i].name, name);
	return number;
}

/* RFC 9112 3.2, 6.1, 6.3 */
static void framing_check(const struct http_head *head)
{
	unsigned lengths = field_number(head, "content-length");
	unsigned codings = field_number(head, "transfer-encoding");
	assert(lengths + codings <= 1);
	assert(!codings || head->minor_version == 1);
	assert(!codings || span_is_nocase(http_find(head, "transfer-encoding")->value, "chunked"));
	assert(head->has_body_field == (lengths + codings > 0));
	assert(head->framing != HTTP_CHUNKED || codings);
	assert(head->framing != HTTP_LENGTH || lengths);
	if (head->is_request) {
		unsigned hosts = field_number(head, "host");
		assert(hosts == 1 || (hosts == 0 && head->minor_version == 0));
		assert(head->framing != HTTP_UNTIL_CLOSE);
	}
}

/* ---- what is written is taken again ---- */

struct written {
	struct h1_reader reader;
	struct h1_rewrite rewrite;
	const struct http_head *original;
	char *bytes;
	size_t size;
};

static void written_head(struct h1_reader *reader, const struct http_head *head)
{
	struct written *written = container_of(reader, struct written, reader);
	const struct http_head *original = written->original;
	char *again = malloc(h1_head_bytes(head, &written->rewrite));
	assert(again);
	assert(span_equal(head->method_text, original->method_text));
	assert(span_equal(head->target, original->target));
	assert(span_equal(head->reason, original->reason));
	assert(head->status == original->status);
	assert(head->framing == original->framing);
	assert(head->body_length == original->body_length);
	assert(span_equal(head->host, original->host));
	assert(h1_write_head(head, &written->rewrite, again) == written->size);
	assert(memcmp(again, written->bytes, written->size) == 0);
	free(again);
	written->original = NULL;
	h1_stop(reader);
}

static const struct h1_events written_events = {written_head, recorder_body, recorder_trailers,
						recorder_complete};

static void round_trip_check(const struct h1_reader *reader, const struct http_head *head)
{
	struct written written = {
		.original = head,
		.rewrite =
			{
				.framing = head->framing,
				.minor_version = head->minor_version,
				.keep_alive = head->keep_alive,
				.keeps_upgrade = head->has_upgrade,
				.is_head_answer = reader->answers_head,
			},
	};
	size_t room = h1_head_bytes(head, &written.rewrite);
	written.bytes = malloc(room);
	assert(written.bytes);
	written.size = h1_write_head(head, &written.rewrite, written.bytes);
	assert(written.size <= room);
	h1_reader_init(&written.reader, head->is_request, &written_events, &recorder_limits);
	written.reader.answers_head = reader->answers_head;
	written.reader.answers_connect = reader->answers_connect;
	/* A head that just fitted may be longer now. */
	if (written.size <= recorder_limits.head_bytes &&
	    head->method_text.size + head->target.size + 11 <= recorder_limits.line_bytes) {
		assert(h1_feed(&written.reader, span_of(written.bytes, written.size)) ==
		       written.size);
		assert(!written.original);
	}
	h1_reader_fini(&written.reader);
	free(written.bytes);
}

static void checked_head(struct h1_reader *reader, const struct http_head *head)
{
	head_check(head);
	framing_check(head);
	round_trip_check(reader, head);
	recorder_head(reader, head);
}

static const struct h1_events checked_events = {checked_head, recorder_body, recorder_trailers,
						recorder_complete};

/* ---- the same stream in several ways ---- */

static void result_init(struct result *result, uint8_t kind)
{
	*result = (struct result){0};
	h1_reader_init(&result->recorder.reader, !(kind & KIND_RESPONSE), &recorder_events,
		       kind & KIND_SMALL_LIMITS ? &small_limits : &recorder_limits);
	result->recorder.reader.answers_head = kind & KIND_ANSWERS_HEAD;
	result->recorder.reader.answers_connect = kind & KIND_ANSWERS_CONNECT;
}

static void result_end(struct result *result, uint8_t kind)
{
	assert(!result->recorder.has_foreign_body);
	if (kind & KIND_ENDS)
		(void)!h1_end(&result->recorder.reader);
	recorder_flush_body(&result->recorder);
	assert(!result->recorder.log.failed);
}

static void result_equal(struct result *result, const struct result *wanted)
{
	assert(result->recorder.reader.error == wanted->recorder.reader.error);
	assert(result->recorder.reader.in_message == wanted->recorder.reader.in_message);
	assert(result->used == wanted->used || wanted->recorder.reader.error);
	assert(span_equal(text_span(&result->recorder.log), text_span(&wanted->recorder.log)));
	recorder_fini(&result->recorder);
}

static bool is_same_far(const struct result *result, const struct result *wanted)
{
	return result->used == wanted->used && result->recorder.heads == wanted->recorder.heads &&
	       result->recorder.completes == wanted->recorder.completes;
}

/* Pieces of 1 to 64 bytes, of one byte with seed 0; with stops at every event if wanted. */
static void cut_check(uint8_t kind, uint8_t seed, struct span bytes, bool stops,
		      const struct result *wanted)
{
	struct result result;
	uint32_t random = seed;
	unsigned idle = 0;
	result_init(&result, kind);
	result.recorder.stops_at_head = result.recorder.stops_at_body = stops;
	result.recorder.stops_at_complete = stops;
	/* An empty feed may still give `complete`, so one is tried where nothing was used. */
	while (!result.recorder.reader.error && idle < 2) {
		random = random * 1664525 + 1013904223;
		size_t size = seed ? 1 + (random >> 26) : 1;
		size_t left = bytes.size - result.used;
		size_t used = recorder_feed(&result.recorder, span_of(bytes.data + result.used,
								      left < size ? left : size));
		result.used += used;
		idle = used ? 0 : idle + 1;
		/* A tunnel stops for good, and only where the whole stream stopped too. */
		if (stops && (wanted->recorder.reader.error || !is_same_far(&result, wanted)))
			h1_go_on(&result.recorder.reader);
	}
	result_end(&result, kind);
	result_equal(&result, wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole;
	if (size < 2)
		return 0;
	struct span bytes = span_of((const char *)data + 2, size - 2);
	result_init(&whole, data[0]);
	whole.recorder.reader.events = &checked_events;
	whole.used = recorder_feed(&whole.recorder, bytes);
	assert(whole.used <= bytes.size);
	assert(whole.used == bytes.size || whole.recorder.reader.error ||
	       whole.recorder.reader.is_stopped);
	result_end(&whole, data[0]);

	cut_check(data[0], data[1], bytes, false, &whole);
	cut_check(data[0], data[1], bytes, true, &whole);
	if (size < 2048)
		cut_check(data[0], 0, bytes, false, &whole);
	recorder_fini(&whole.recorder);
	return 0;
}
