/* Bad requests, bad answers, answers cut short. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* An answer of weft's own with this status; the rest of it may be anything. */
static bool is_refused(struct stage *stage, struct io_peer *client, const char *status)
{
	struct span got = io_peer_received(client);
	bool is_right = got.size > 12 && memcmp(got.data, "HTTP/1.1 ", 9) == 0 &&
			memcmp(got.data + 9, status, 3) == 0 &&
			memmem(got.data, got.size, "\r\nl5d-err: ", 11) &&
			memmem(got.data, got.size, "\r\nConnection: close\r\n", 21);
	if (!is_right && !stage->is_lenient)
		fail_msg("saw \"%.*s\", wanted a %s", SPAN_PRINT(got), status);
	return is_right;
}

/* ---- requests: not one byte of a bad head reaches an upstream ---- */

static const char *bad_head;
static const char *bad_status;

static void bad_request(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, bad_head);
	WANT(stage, is_refused(stage, client, bad_status));
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	WANT(stage, series_of(stage, "web", "")->responses[4] == 1);
	WANT(stage, series_of(stage, "web", "")->proxy_errors == 1);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, stage->worker.counts->sessions == 0);
}

static void a_bad_head_reaches_no_upstream(void **state)
{
	static const char *const heads[] = {
		"GET /a HTTP/1.1\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"GET /a HTTP/1.1\nHost: a\n\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"PUT / HTTP/1.1\r\nHost: "
		"a\r\nContent-Length:3\r\nTransfer-Encoding:chunked\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"GET /a HTTP/2.5\r\nHost: a\r\n\r\n",
		"\r\n\r\n" GET,
		"\n" GET,
		"\r\r\n" GET,
	};
	(void)state;
	bad_status = "400";
	for (unsigned i = 0; i < array_count(heads); i++) {
		bad_head = heads[i];
		play(bad_request);
	}
}

static char *long_head(const char *start, size_t size, const char *end)
{
	char *head = malloc(size + 200);
	assert_non_null(head);
	memcpy(head, start, strlen(start));
	memset(head + strlen(start), 'x', size);
	memcpy(head + strlen(start) + size, end, strlen(end) + 1);
	return head;
}

static void small_limits(struct stage_draft *all)
{
	all->draft.settings.line_limit_bytes = 1024;
	all->draft.settings.head_limit_bytes = 4096;
}

static void a_line_that_is_too_long_is_414(void **state)
{
	(void)state;
	char *head = long_head("GET /", 1100, " HTTP/1.1\r\nHost: web\r\n\r\n");
	bad_head = head;
	bad_status = "414";
	play_with(bad_request, small_limits);
	free(head);
}

static void a_head_that_is_too_large_is_431(void **state)
{
	(void)state;
	char *head = long_head("GET / HTTP/1.1\r\nHost: web\r\nX: ", 5000, "\r\n\r\n");
	bad_head = head;
	bad_status = "431";
	play_with(bad_request, small_limits);
	free(head);
}

/* The request before it is answered first. */
static void bad_second_request(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET "GET /b HTTP/1.1\r\nHost : x\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > sizeof(HELLO) && memcmp(got.data, HELLO, sizeof(HELLO) - 1) == 0 &&
			    memcmp(got.data + sizeof(HELLO) - 1, "HTTP/1.1 400", 12) == 0);
	sees(stage, server, "");
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

/* ---- bodies: nothing from the bad chunk on ---- */

static const char *bad_chunk;

static void bad_body(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "5\r\nhello\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, client, bad_chunk);
	sees_chunked(stage, server,
		     "POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\nhello");
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, is_refused(stage, client, "400"));
	WANT(stage, io_peer_saw_fin(client));
}

static void nothing_of_a_bad_chunk_goes_on(void **state)
{
	static const char *const chunks[] = {
		"x\r\nab\r\n",
		"-1\r\nab\r\n",
		"2\nab\r\n",
		"2\r\nabc\r\n0\r\n\r\n",
		"0x2\r\nab\r\n",
		"fffffffffffffffff\r\nab\r\n",
		"0\r\nContent-Length: 5\r\n\r\n",
	};
	(void)state;
	for (unsigned i = 0; i < array_count(chunks); i++) {
		bad_chunk = chunks[i];
		if (i == 3) /* the two bytes themselves were good */
			continue;
		play(bad_body);
	}
}

static void body_cut_short(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_send(client,
		     span_text("POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\nhalf"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\nhalf");
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, is_refused(stage, client, "400"));
}

/* The answer has begun: the client must see it cut, not a second answer. */
static void bad_body_after_the_answer_began(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
	peer_sends(stage, client, "zz\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, io_peer_is_closed(client));
}

static void head_takes_too_long(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	stage_run(stage, 100 * NS_PER_S); /* silence is no crime */
	peer_sends(stage, client, "GET /a HT");
	stage_run(stage, 59 * NS_PER_S);
	peer_sends(stage, client, "TP/1.1\r\n");
	sees(stage, client, "");
	stage_run(stage, NS_PER_S + NS_PER_MS);
	WANT(stage, is_refused(stage, client, "408"));
	WANT(stage, counted(stage, WEFT_PROXY_HEADER_TIMEOUT) == 1);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
}

static void idle_limit(struct stage_draft *all)
{
	all->draft.settings.client_idle_timeout_ns = 5 * NS_PER_S;
}

static void idle_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	stage_run(stage, 20 * NS_PER_S); /* waiting for an answer is not idle */
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	stage_run(stage, 5 * NS_PER_S - NS_PER_MS);
	WANT(stage, !io_peer_saw_fin(client));
	stage_run(stage, 2 * NS_PER_MS);
	WANT(stage, io_peer_saw_fin(client));
	sees(stage, client, "");
}

/* ---- answers ---- */

static const char *bad_answer;

static void bad_response(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, bad_answer);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data, "HTTP/1.1 502", 12) == 0);
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, counted(stage, WEFT_PROXY_BAD_RESPONSE) == 1);
	WANT(stage, series_of(stage, "web", "")->responses[5] == 1);
	/* The client is none the worse for it. */
	io_peer_forget(client);
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void a_bad_answer_is_502(void **state)
{
	static const char *const answers[] = {
		"SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	};
	(void)state;
	for (unsigned i = 0; i < array_count(answers); i++) {
		bad_answer = answers[i];
		play(bad_response);
	}
}

static void closed_without_an_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	io_peer_finish(server);
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data, "HTTP/1.1 502", 12) == 0);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1); /* it was no pooled connection */
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_CLOSED) == 1);
}

static void reset_without_an_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_reset(server);
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data, "HTTP/1.1 502", 12) == 0);
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 1);
}

/* Cut: the client sees FIN or RST before the length, or before the last chunk. */
static void short_by_length(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_send(server, span_text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
	io_peer_finish(server);
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
	WANT(stage, io_peer_saw_fin(client) || io_peer_saw_reset(client));
	WANT(stage, series_of(stage, "web", "")->responses[0] == 1);
}

static void short_by_chunks(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_send(
		server,
		span_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"));
	io_peer_finish(server);
	sees_chunked(stage, client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf");
	WANT(stage, io_peer_saw_fin(client) || io_peer_saw_reset(client));
}

/* A body that only a FIN would end must not end with one when it was reset. */
static void short_by_reset_until_close(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /a HTTP/1.0\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_send(server, span_text("HTTP/1.0 200 OK\r\n\r\nhalf"));
	io_peer_reset(server);
	sees(stage, client, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhalf");
	WANT(stage, io_peer_saw_reset(client) && !io_peer_saw_fin(client));
}

/* Chunks that were cut must not look whole to a client that reads until close. */
static void short_chunks_to_an_old_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /a HTTP/1.0\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_send(
		server,
		span_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"));
	io_peer_finish(server);
	sees(stage, client, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhalf");
	WANT(stage, io_peer_saw_reset(client) && !io_peer_saw_fin(client));
}

static void bad_chunk_in_the_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(
		stage, server,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\nzz\r\nbad\r\n");
	sees_chunked(stage, client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ngood");
	WANT(stage, io_peer_saw_fin(client) || io_peer_saw_reset(client));
	WANT(stage, io_peer_is_closed(server));
}

/* ---- clients that leave ---- */

static void client_resets(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
	WANT(stage, series_of(stage, "web", "")->responses[0] == 1);
	WANT(stage, stage->worker.counts->sessions == 0);
}

static void client_resets_in_the_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin");
	io_peer_reset(client);
	stage_settle(stage);
	peer_sends(stage, server, "more");
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, stage->worker.counts->upstreams == 0);
}

static void half_closed_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_send(client, span_text(GET));
	io_peer_finish(client);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	stage_run(stage, 3 * NS_PER_S);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
	WANT(stage, stage->worker.counts->sessions == 0);
}

static void silent_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_is_closed(client) && !io_peer_saw_reset(client));
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
}

static void reset_before_accept(struct stage *stage)
{
	static const char *const destinations[] = {WEB, ANY, RAW, STRANGER};
	for (unsigned i = 0; i < array_count(destinations); i++) {
		struct io_peer *client = client_dials(stage, destinations[i]);
		io_peer_reset(client);
		stage_settle(stage);
		WANT(stage, kernel_double_flow_count() == 0);
		WANT(stage, stage->worker.counts->sessions == 0);
		WANT(stage, stage->worker.counts->upstreams == 0);
	}
}

static void partial_head_then_fin(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_send(client, span_text("GET /a HTTP/1.1\r\nHo"));
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_is_closed(client));
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	WANT(stage, stage->worker.counts->sessions == 0);
}

/* ---- limits ---- */

static void no_flow(struct stage *stage)
{
	struct weft_address app = address_of("10.0.0.9:1");
	struct io_peer *client = io_double_arrives(stage->listeners.fd4[0][0], &app);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_NO_FLOW) == 1);
}

static void two_sessions(struct stage_draft *all)
{
	all->draft.settings.session_limit = 2;
}

static void too_many_sessions(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	WANT(stage, io_peer_saw_reset(third));
	WANT(stage, !io_peer_is_closed(first) && !io_peer_is_closed(second));
	WANT(stage, counted(stage, WEFT_PROXY_SESSION_LIMIT) == 1);
	io_peer_finish(first);
	stage_settle(stage);
	WANT(stage, !io_peer_is_closed(client_connect(stage, WEB)));
}

#define TEST(name, run)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(run);                                                                         \
	}

TEST(a_bad_second_request_waits_for_the_first, bad_second_request)
TEST(a_body_cut_short_is_400, body_cut_short)
TEST(a_bad_body_after_the_answer_began_cuts_it, bad_body_after_the_answer_began)
TEST(a_head_must_arrive_in_a_minute, head_takes_too_long)
TEST(an_upstream_that_closes_without_an_answer_is_502, closed_without_an_answer)
TEST(an_upstream_that_resets_without_an_answer_is_502, reset_without_an_answer)
TEST(a_short_length_is_noticed, short_by_length)
TEST(missing_chunks_are_noticed, short_by_chunks)
TEST(a_reset_until_close_stays_a_reset, short_by_reset_until_close)
TEST(missing_chunks_are_a_reset_for_old_clients, short_chunks_to_an_old_client)
TEST(a_bad_chunk_cuts_the_answer, bad_chunk_in_the_answer)
TEST(a_client_that_resets_cuts_its_upstream, client_resets)
TEST(a_client_may_reset_in_the_middle_of_its_answer, client_resets_in_the_answer)
TEST(a_half_closed_client_gets_its_answer, half_closed_client)
TEST(a_client_may_leave_without_a_word, silent_client)
TEST(a_client_may_reset_before_it_is_accepted, reset_before_accept)
TEST(a_client_may_leave_in_its_head, partial_head_then_fin)

static void an_idle_client_is_closed_when_asked_for(void **state)
{
	(void)state;
	play_with(idle_client, idle_limit);
}

static void a_connection_without_a_flow_is_reset(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	act(&stage, no_flow);
	stage_close(&stage);
}

static void more_sessions_than_allowed_are_reset(void **state)
{
	(void)state;
	play_with(too_many_sessions, two_sessions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_head_reaches_no_upstream),
		cmocka_unit_test(a_line_that_is_too_long_is_414),
		cmocka_unit_test(a_head_that_is_too_large_is_431),
		cmocka_unit_test(a_bad_second_request_waits_for_the_first),
		cmocka_unit_test(nothing_of_a_bad_chunk_goes_on),
		cmocka_unit_test(a_body_cut_short_is_400),
		cmocka_unit_test(a_bad_body_after_the_answer_began_cuts_it),
		cmocka_unit_test(a_head_must_arrive_in_a_minute),
		cmocka_unit_test(an_idle_client_is_closed_when_asked_for),
		cmocka_unit_test(a_bad_answer_is_502),
		cmocka_unit_test(an_upstream_that_closes_without_an_answer_is_502),
		cmocka_unit_test(an_upstream_that_resets_without_an_answer_is_502),
		cmocka_unit_test(a_short_length_is_noticed),
		cmocka_unit_test(missing_chunks_are_noticed),
		cmocka_unit_test(a_reset_until_close_stays_a_reset),
		cmocka_unit_test(missing_chunks_are_a_reset_for_old_clients),
		cmocka_unit_test(a_bad_chunk_cuts_the_answer),
		cmocka_unit_test(a_client_that_resets_cuts_its_upstream),
		cmocka_unit_test(a_client_may_reset_in_the_middle_of_its_answer),
		cmocka_unit_test(a_half_closed_client_gets_its_answer),
		cmocka_unit_test(a_client_may_leave_without_a_word),
		cmocka_unit_test(a_client_may_reset_before_it_is_accepted),
		cmocka_unit_test(a_client_may_leave_in_its_head),
		cmocka_unit_test(a_connection_without_a_flow_is_reset),
		cmocka_unit_test(more_sessions_than_allowed_are_reset),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
