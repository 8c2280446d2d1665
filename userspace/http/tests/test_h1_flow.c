/* Stopping, going on, tunnels, the end of the connection, and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/tests/recorder.h"

#include "base/mem.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static const char pipeline[] = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" GET(
	"/2") "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
	      "chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\nT: 1\r\n\r\n" GET("/4");

static const char pipeline_log[] =
	"> POST /1 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n"
	"> GET /2 1.1 none keep\n  Host: a\n.\n"
	"> POST /3 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n| 3 xyz\n"
	"^ T: 1\n.\n> GET /4 1.1 none keep\n  Host: a\n.\n";

static void a_stop_at_complete_returns_the_bytes_of_one_message(void **state)
{
	struct recorder recorder;
	struct span rest = span_of(pipeline, sizeof(pipeline) - 1);
	static const size_t ends[] = {
		sizeof("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi") - 1,
		sizeof(GET("/2")) - 1,
		sizeof("POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		       "chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\nT: 1\r\n\r\n") -
			1,
		sizeof(GET("/4")) - 1,
	};
	(void)state;
	recorder_init(&recorder, true);
	recorder.stops_at_complete = true;
	for (size_t i = 0; i < array_count(ends); i++) {
		assert_int_equal(recorder_feed(&recorder, rest), ends[i]);
		assert_int_equal(recorder.completes, i + 1);
		assert_true(recorder.reader.is_stopped);
		assert_true(h1_is_idle(&recorder.reader));
		rest = span_of(rest.data + ends[i], rest.size - ends[i]);
		assert_int_equal(recorder_feed(&recorder, rest), 0);
		h1_go_on(&recorder.reader);
	}
	assert_int_equal(rest.size, 0);
	assert_string_equal(recorder_text(&recorder), pipeline_log);
	recorder_fini(&recorder);
}

/* With stops at every event: as many feeds as it takes, also empty ones. */
static void stops_at_every_event_lose_and_repeat_nothing(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < sizeof(pipeline); piece++) {
		struct recorder recorder;
		size_t used = 0;
		recorder_init(&recorder, true);
		recorder.stops_at_head = recorder.stops_at_body = true;
		recorder.stops_at_complete = true;
		while (recorder.completes < 4) {
			size_t left = sizeof(pipeline) - 1 - used;
			size_t size = left < piece ? left : piece;
			h1_go_on(&recorder.reader);
			used += recorder_feed(&recorder, span_of(pipeline + used, size));
			assert_int_equal(recorder.reader.error, H1_OK);
		}
		assert_int_equal(used, sizeof(pipeline) - 1);
		assert_string_equal(recorder_text(&recorder), pipeline_log);
		recorder_fini(&recorder);
	}
}

static void complete_after_a_stop_in_the_head_needs_no_byte(void **state)
{
	struct recorder recorder;
	(void)state;
	recorder_init(&recorder, true);
	recorder.stops_at_head = true;
	assert_int_equal(recorder_feed(&recorder, span_text(GET("/"))), strlen(GET("/")));
	assert_int_equal(recorder.completes, 0);
	assert_false(h1_is_idle(&recorder.reader));
	h1_go_on(&recorder.reader);
	assert_int_equal(recorder_feed(&recorder, span_of("", 0)), 0);
	assert_int_equal(recorder.completes, 1);
	assert_true(h1_is_idle(&recorder.reader));
	recorder_fini(&recorder);
}

struct tunnel {
	const char *name;
	const char *message;
	bool is_response;
	bool answers_connect;
};

static const struct tunnel tunnels[] = {
	{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
	{"101", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", true, false},
	{"200 to CONNECT", "HTTP/1.1 200 OK\r\n\r\n", true, true},
	{"200 to CONNECT with a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true,
	 true},
	{"204 to CONNECT", "HTTP/1.1 204 OK\r\n\r\n", true, true},
};

static void a_tunnel_begins_right_behind_its_head(void **state)
{
	static const char tunnelled[] = "GET / HTTP/1.1\r\n\r\n\x16\x03";
	(void)state;
	for (size_t i = 0; i < array_count(tunnels); i++) {
		struct text text = {0};
		size_t size = strlen(tunnels[i].message);
		text_add(&text, span_text(tunnels[i].message));
		text_add(&text, span_text(tunnelled));
		for (size_t piece = 1; piece <= text.size; piece++) {
			struct recorder recorder;
			recorder_init(&recorder, !tunnels[i].is_response);
			recorder.reader.answers_connect = tunnels[i].answers_connect;
			size_t used = recorder_feed_pieces(&recorder, text_span(&text), piece);
			if (used != size || !recorder.reader.is_stopped)
				fail_msg("%s: %zu used", tunnels[i].name, used);
			assert_int_equal(recorder.completes, 1);
			assert_int_equal(recorder.body_bytes, 0);
			assert_int_equal(recorder.reader.error, H1_OK);
			recorder_fini(&recorder);
		}
		text_fini(&text);
	}
}

static void after_a_refused_connect_the_reader_goes_on(void **state)
{
	static const char bytes[] = "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/");
	struct recorder recorder;
	(void)state;
	recorder_init(&recorder, true);
	size_t used = recorder_feed(&recorder, span_text(bytes));
	assert_true(recorder.reader.is_stopped);
	h1_go_on(&recorder.reader);
	used += recorder_feed(&recorder, span_text(bytes + used));
	assert_int_equal(used, sizeof(bytes) - 1);
	assert_int_equal(recorder.completes, 2);
	recorder_fini(&recorder);
}

static void what_an_answer_belongs_to_lasts_until_the_final_one(void **state)
{
	static const char informal[] = "HTTP/1.1 100 C\r\n\r\n";
	static const char final[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
	struct recorder recorder;
	(void)state;
	recorder_init(&recorder, false);
	recorder.reader.answers_head = true;
	assert_int_equal(recorder_feed(&recorder, span_text(informal)), sizeof(informal) - 1);
	assert_true(recorder.reader.answers_head);
	assert_int_equal(recorder_feed(&recorder, span_text(final)), sizeof(final) - 1);
	assert_false(recorder.reader.answers_head);
	assert_int_equal(recorder.completes, 2);
	recorder_fini(&recorder);
}

struct ending {
	const char *bytes;
	bool is_response;
	bool is_clean;
};

static const struct ending endings[] = {
	{"", false, true},
	{GET("/"), false, true},
	{GET("/") "\r\n", false, true},
	{GET("/") "\r", false, false},
	{"G", false, false},
	{"GET / HTTP/1.1\r\nHost: a\r\n", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n12", false, true},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA", false, false},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, true},
	{"HTTP/1.1 200 OK\r\n", true, false},
	{"HTTP/1.1 200 OK\r\n\r\n", true, true},
	{"HTTP/1.1 200 OK\r\n\r\nabc", true, true},
	{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", true, false},
	{"HTTP/1.1 100 C\r\n\r\n", true, true},
};

static void an_end_inside_a_message_is_bad_framing(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(endings); i++) {
		struct recorder recorder;
		struct span bytes = span_text(endings[i].bytes);
		recorder_init(&recorder, !endings[i].is_response);
		assert_int_equal(recorder_feed(&recorder, bytes), bytes.size);
		enum h1_error error = h1_end(&recorder.reader);
		if ((error == H1_OK) != endings[i].is_clean)
			fail_msg("%s: %d", endings[i].bytes, error);
		assert_true(error == H1_OK || error == H1_BAD_FRAMING);
		if (endings[i].is_clean)
			assert_int_equal(recorder.completes, recorder.heads);
		recorder_fini(&recorder);
	}
}

static void only_a_cut_off_head_holds_memory(void **state)
{
	struct recorder recorder;
	(void)state;
	recorder_init(&recorder, true);
	assert_int_equal(recorder_feed(&recorder, span_text(GET("/"))), strlen(GET("/")));
	assert_null(recorder.reader.scratch);
	long live = mem_live();
	assert_int_equal(recorder_feed(&recorder, span_text("GE")), 2);
	assert_non_null(recorder.reader.scratch);
	assert_true(mem_live() > live);
	h1_reader_fini(&recorder.reader);
	assert_int_equal(mem_live(), live);
	recorder_fini(&recorder);
}

static void ignore_head(struct h1_reader *reader, const struct http_head *head)
{
	(void)reader;
	(void)head;
}

static void ignore_body(struct h1_reader *reader, struct span bytes)
{
	(void)reader;
	(void)bytes;
}

static void ignore_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void ignore_complete(struct h1_reader *reader)
{
	(void)reader;
}

static const struct h1_events ignored = {ignore_head, ignore_body, ignore_trailers,
					 ignore_complete};

/* A message that needs every kind of allocation: in pieces, many fields, long, with trailers. */
static void add_heavy(struct text *text)
{
	text_add(text, span_text("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"));
	for (unsigned i = 0; i < 100; i++)
		text_printf(text, "Field-%u: 0123456789012345678901234567890123456789\r\n", i);
	text_add(text, span_text("\r\n2\r\nab\r\n0\r\n"));
	for (unsigned i = 0; i < 100; i++)
		text_printf(text, "Trailer-%u: 01234567890123456789\r\n", i);
	text_add(text, span_text("\r\n"));
}

static size_t feed_ignored(struct h1_reader *reader, struct span bytes, size_t piece)
{
	size_t used = 0;
	while (used < bytes.size && !reader->error) {
		size_t left = bytes.size - used;
		used += h1_feed(reader, span_of(bytes.data + used, left < piece ? left : piece));
	}
	return used;
}

static void any_failed_allocation_ends_the_session_and_leaks_nothing(void **state)
{
	static const size_t pieces[] = {1, 7, 500, 3000, 100000};
	struct text text = {0};
	(void)state;
	add_heavy(&text);
	long live = mem_live();
	for (size_t i = 0; i < array_count(pieces); i++) {
		unsigned failures = 0;
		for (unsigned long n = 1;; n++) {
			struct h1_reader reader;
			h1_reader_init(&reader, true, &ignored, &recorder_limits);
			mem_fail_nth(n);
			size_t used = feed_ignored(&reader, text_span(&text), pieces[i]);
			mem_fail_nth(0);
			h1_reader_fini(&reader);
			assert_int_equal(mem_live(), live);
			if (!reader.error) {
				assert_int_equal(used, text.size);
				break;
			}
			assert_int_equal(reader.error, H1_NO_MEMORY);
			assert_non_null(reader.error_text);
			failures++;
		}
		/* Fields beyond those on the stack, and the scratch when it comes in pieces. */
		assert_true(failures >= (pieces[i] < text.size ? 6 : 2));
	}
	text_fini(&text);
}

static void small_messages_in_one_feed_never_allocate(void **state)
{
	struct h1_reader reader;
	(void)state;
	h1_reader_init(&reader, true, &ignored, &recorder_limits);
	mem_fail_nth(1);
	assert_int_equal(h1_feed(&reader, span_of(pipeline, sizeof(pipeline) - 1)),
			 sizeof(pipeline) - 1);
	mem_fail_nth(0);
	assert_int_equal(reader.error, H1_OK);
	h1_reader_fini(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_at_complete_returns_the_bytes_of_one_message),
		cmocka_unit_test(stops_at_every_event_lose_and_repeat_nothing),
		cmocka_unit_test(complete_after_a_stop_in_the_head_needs_no_byte),
		cmocka_unit_test(a_tunnel_begins_right_behind_its_head),
		cmocka_unit_test(after_a_refused_connect_the_reader_goes_on),
		cmocka_unit_test(what_an_answer_belongs_to_lasts_until_the_final_one),
		cmocka_unit_test(an_end_inside_a_message_is_bad_framing),
		cmocka_unit_test(only_a_cut_off_head_holds_memory),
		cmocka_unit_test(any_failed_allocation_ends_the_session_and_leaks_nothing),
		cmocka_unit_test(small_messages_in_one_feed_never_allocate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
