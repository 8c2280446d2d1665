/* Limits: what is exactly as large passes, one more is refused at the very byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/tests/recorder.h"

/* `begin` + as many letters as are missing + " HTTP/1.1\r\n": a line of `size` bytes. */
static void add_line_of(struct text *text, const char *begin, size_t size)
{
	size_t before = text->size;
	text_add(text, span_text(begin));
	while (text->size - before < size - strlen(" HTTP/1.1\r\n"))
		text_add(text, span_text("x"));
	text_add(text, span_text(" HTTP/1.1\r\n"));
}

static void add_line(struct text *text, size_t size)
{
	add_line_of(text, "GET /", size);
}

/* A head of `size` bytes with a short line. */
static void add_head(struct text *text, size_t size)
{
	size_t before = text->size;
	text_add(text, span_text("GET / HTTP/1.1\r\nHost: a\r\nX: "));
	while (text->size - before < size - 4)
		text_add(text, span_text("y"));
	text_add(text, span_text("\r\n\r\n"));
}

/* Feeds whole and byte by byte: both must be refused with `error`, the latter after `at` bytes. */
static void refused_at(const struct h1_limits *limits, bool is_request, struct span bytes,
		       size_t at, enum h1_error error)
{
	struct recorder recorder;
	recorder_init_limits(&recorder, is_request, limits);
	assert_true(recorder_feed(&recorder, bytes) <= bytes.size);
	assert_int_equal(recorder.reader.error, error);
	recorder_fini(&recorder);

	size_t fed = 0;
	recorder_init_limits(&recorder, is_request, limits);
	while (fed < bytes.size && !recorder.reader.error)
		(void)!recorder_feed(&recorder, span_of(bytes.data + fed++, 1));
	assert_int_equal(recorder.reader.error, error);
	assert_int_equal(fed, at);
	assert_int_equal(recorder.reader.scratch == NULL, true);
	recorder_fini(&recorder);
}

static void passes(const struct h1_limits *limits, bool is_request, struct span bytes)
{
	for (size_t piece = 1; piece <= bytes.size; piece = piece * 3 + 1) {
		struct recorder recorder;
		recorder_init_limits(&recorder, is_request, limits);
		assert_int_equal(recorder_feed_pieces(&recorder, bytes, piece), bytes.size);
		assert_int_equal(recorder.reader.error, H1_OK);
		assert_int_equal(recorder.completes, 1);
		recorder_fini(&recorder);
	}
}

static void a_request_line_may_have_line_bytes_and_no_more(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 4096, .line_bytes = 100, .field_count = 8};
	struct text text = {0};
	(void)state;
	add_line(&text, 100);
	text_add(&text, span_text("Host: a\r\n\r\n"));
	passes(&limits, true, text_span(&text));
	text_clear(&text);
	add_line(&text, 101);
	text_add(&text, span_text("Host: a\r\n\r\n"));
	refused_at(&limits, true, text_span(&text), 100, H1_URI_TOO_LONG);
	text_fini(&text);
}

/* Those that llhttp does not take as they are, see h1_line.h. */
static void a_line_held_back_may_have_line_bytes_and_no_more(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 4096, .line_bytes = 700, .field_count = 8};
	static const char *const begins[] = {"GET /\xc3\xa4", "FOO /", "!"};
	(void)state;
	for (size_t i = 0; i < array_count(begins); i++) {
		struct text text = {0};
		bool is_good = strchr(begins[i], '/');
		add_line_of(&text, begins[i], 700);
		text_add(&text, span_text("Host: a\r\n\r\n"));
		if (is_good)
			passes(&limits, true, text_span(&text));
		else
			refused_at(&limits, true, text_span(&text), 700, H1_BAD_SYNTAX);
		text_clear(&text);
		add_line_of(&text, begins[i], 701);
		text_add(&text, span_text("Host: a\r\n\r\n"));
		refused_at(&limits, true, text_span(&text), 700, H1_URI_TOO_LONG);
		text_fini(&text);
	}
}

/* What is refused for good is refused at once, not when the line is whole. */
static void a_control_byte_in_a_line_held_back_is_refused_at_that_byte(void **state)
{
	(void)state;
	refused_at(&recorder_limits, true, span_text("FOO /abc\x01"), 9, H1_BAD_SYNTAX);
	refused_at(&recorder_limits, true, span_text("GET /\xc3\xa4\x7f"), 8, H1_BAD_SYNTAX);
	refused_at(&recorder_limits, true, span_text("\x16\x03\x01"), 1, H1_BAD_SYNTAX);
}

static void a_value_may_fill_the_whole_head(void **state)
{
	struct text text = {0};
	(void)state;
	add_head(&text, recorder_limits.head_bytes);
	passes(&recorder_limits, true, text_span(&text));
	text_fini(&text);
}

static void a_status_line_that_is_too_long_is_a_bad_response(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 4096, .line_bytes = 32, .field_count = 8};
	(void)state;
	passes(&limits, false, span_text("HTTP/1.1 204 0123456789012345\r\n\r\n"));
	passes(&limits, false, span_text("HTTP/1.1 204 01234567890123456\r\n\r\n"));
	refused_at(&limits, false, span_text("HTTP/1.1 204 012345678901234567\r\n\r\n"), 32,
		   H1_BAD_SYNTAX);
}

static void a_head_may_have_head_bytes_and_no_more(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 5000, .line_bytes = 100, .field_count = 8};
	struct text text = {0};
	(void)state;
	add_head(&text, 5000);
	passes(&limits, true, text_span(&text));
	text_clear(&text);
	add_head(&text, 5001);
	refused_at(&limits, true, text_span(&text), 5000, H1_HEAD_TOO_LARGE);
	text_fini(&text);
}

static void a_line_longer_than_the_head_may_be_is_a_large_head(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 64, .line_bytes = 1000, .field_count = 8};
	struct text text = {0};
	(void)state;
	add_line(&text, 200);
	refused_at(&limits, true, text_span(&text), 64, H1_HEAD_TOO_LARGE);
	text_fini(&text);
}

static void add_fields(struct text *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		text_printf(text, "F%zu: %zu\r\n", i, i);
}

/* 60 and 128 are more than a reader keeps on the stack. */
static void a_head_may_have_field_count_fields_and_no_more(void **state)
{
	static const uint32_t counts[] = {1, 2, 47, 48, 49, 60, 97, 128};
	(void)state;
	for (size_t i = 0; i < array_count(counts); i++) {
		const struct h1_limits limits = {
			.head_bytes = 65536, .line_bytes = 100, .field_count = counts[i]};
		struct text text = {0};
		text_add(&text, span_text("GET / HTTP/1.1\r\nHost: a\r\n"));
		add_fields(&text, counts[i] - 1);
		text_add(&text, span_text("\r\n"));
		passes(&limits, true, text_span(&text));

		text.size -= 2;
		size_t at = text.size + strlen("One-More:");
		text_add(&text, span_text("One-More: x\r\n\r\n"));
		refused_at(&limits, true, text_span(&text), at, H1_HEAD_TOO_LARGE);
		text_fini(&text);
	}
}

static void fields_of_a_large_head_all_arrive(void **state)
{
	struct text text = {0};
	struct text log = {0};
	(void)state;
	text_add(&text, span_text("GET / HTTP/1.1\r\nHost: a\r\n"));
	add_fields(&text, 127);
	text_add(&text, span_text("\r\n"));
	text_add(&log, span_text("> GET / 1.1 none keep\n  Host: a\n"));
	for (size_t i = 0; i < 127; i++)
		text_printf(&log, "  F%zu: %zu\n", i, i);
	text_add(&log, span_text(".\n"));
	for (size_t piece = 1; piece < 3000; piece += 61) {
		struct recorder recorder;
		recorder_init(&recorder, true);
		assert_int_equal(recorder_feed_pieces(&recorder, text_span(&text), piece),
				 text.size);
		assert_string_equal(recorder_text(&recorder), log.data);
		recorder_fini(&recorder);
	}
	text_fini(&text);
	text_fini(&log);
}

static const char chunked[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

static void trailers_obey_the_limits_of_a_head(void **state)
{
	static const struct h1_limits limits = {
		.head_bytes = 200, .line_bytes = 100, .field_count = 4};
	struct text text = {0};
	(void)state;
	text_add(&text, span_text(chunked));
	text_add(&text, span_text("0\r\n"));
	size_t begin = text.size;
	add_fields(&text, 4);
	text_add(&text, span_text("\r\n"));
	passes(&limits, true, text_span(&text));

	text.size -= 2;
	size_t at = text.size + strlen("More:");
	text_add(&text, span_text("More: x\r\n\r\n"));
	refused_at(&limits, true, text_span(&text), at, H1_HEAD_TOO_LARGE);

	text.size = begin;
	text_add(&text, span_text("A: "));
	while (text.size - begin < 300)
		text_add(&text, span_text("x"));
	refused_at(&limits, true, text_span(&text), begin + 200, H1_HEAD_TOO_LARGE);
	text_fini(&text);
}

static void incomplete_heads_count_in_the_limit_of_blocks(void **state)
{
	struct blocks blocks;
	struct h1_limits limits = {
		.head_bytes = 65536, .line_bytes = 16384, .field_count = 128, .blocks = &blocks};
	struct recorder first;
	struct recorder second;
	struct span half = span_text("GET / HTTP/1.1\r\nHost: a\r\nX: ");
	(void)state;
	blocks_init(&blocks, 4000);
	recorder_init_limits(&first, true, &limits);
	recorder_init_limits(&second, true, &limits);
	recorder_feed(&first, half);
	assert_int_equal(first.reader.error, H1_OK);
	assert_in_range(blocks.bytes_in_use, half.size, 4000);
	recorder_feed(&second, half);
	assert_int_equal(second.reader.error, H1_NO_MEMORY);
	for (unsigned i = 0; i < 100 && first.reader.error == H1_OK; i++)
		recorder_feed(&first, span_text("a value that makes the head grow and grow "));
	assert_int_equal(first.reader.error, H1_NO_MEMORY);
	assert_true(blocks.bytes_in_use <= 4000);
	recorder_fini(&first);
	recorder_fini(&second);
	assert_int_equal(blocks.bytes_in_use, 0);
	blocks_fini(&blocks);
}

static void extensions_may_fill_a_line_up_to_256_bytes(void **state)
{
	struct text text = {0};
	(void)state;
	text_add(&text, span_text(chunked));
	text_add(&text, span_text("1;"));
	size_t begin = text.size;
	/* With the semicolon. */
	while (text.size - begin < 255)
		text_add(&text, span_text("a"));
	text_add(&text, span_text("\r\nx\r\n0\r\n\r\n"));
	passes(&recorder_limits, true, text_span(&text));
	text.size = begin + 255;
	text_add(&text, span_text("a\r\nx\r\n0\r\n\r\n"));
	refused_at(&recorder_limits, true, text_span(&text), begin + 257, H1_BAD_FRAMING);
	text_fini(&text);
}

/* Chunks of `size` bytes, each with 200 bytes of extension; returns the error. */
static enum h1_error feed_extended(size_t size, unsigned count)
{
	struct recorder recorder;
	struct text chunk = {0};
	recorder_init(&recorder, true);
	assert_int_equal(recorder_feed(&recorder, span_text(chunked)), sizeof(chunked) - 1);
	text_printf(&chunk, "%zx;", size);
	for (size_t i = 0; i < 200; i++)
		text_add(&chunk, span_text("a"));
	text_add(&chunk, span_text("\r\n"));
	for (size_t i = 0; i < size; i++)
		text_add(&chunk, span_text("x"));
	text_add(&chunk, span_text("\r\n"));
	for (unsigned i = 0; i < count && !recorder.reader.error; i++)
		(void)!recorder_feed(&recorder, text_span(&chunk));
	enum h1_error error = recorder.reader.error;
	text_fini(&chunk);
	recorder_fini(&recorder);
	return error;
}

static void a_body_cannot_consist_of_extensions(void **state)
{
	(void)state;
	assert_int_equal(feed_extended(1, 50), H1_OK);
	assert_int_equal(feed_extended(1, 500), H1_BAD_FRAMING);
	assert_int_equal(feed_extended(200, 5000), H1_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_line_may_have_line_bytes_and_no_more),
		cmocka_unit_test(a_line_held_back_may_have_line_bytes_and_no_more),
		cmocka_unit_test(a_control_byte_in_a_line_held_back_is_refused_at_that_byte),
		cmocka_unit_test(a_value_may_fill_the_whole_head),
		cmocka_unit_test(a_status_line_that_is_too_long_is_a_bad_response),
		cmocka_unit_test(a_head_may_have_head_bytes_and_no_more),
		cmocka_unit_test(a_line_longer_than_the_head_may_be_is_a_large_head),
		cmocka_unit_test(a_head_may_have_field_count_fields_and_no_more),
		cmocka_unit_test(fields_of_a_large_head_all_arrive),
		cmocka_unit_test(trailers_obey_the_limits_of_a_head),
		cmocka_unit_test(incomplete_heads_count_in_the_limit_of_blocks),
		cmocka_unit_test(extensions_may_fill_a_line_up_to_256_bytes),
		cmocka_unit_test(a_body_cannot_consist_of_extensions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
