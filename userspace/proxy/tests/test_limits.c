/* Deadlines, timeouts, caps, rates, and faults on purpose. */
#include <inttypes.h>

#include "rules.h"

static void tried_for_100ms(struct stage_draft *all)
{
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
	rules_of(all, "many")->timeout.per_try_ns = 100 * NS_PER_MS;
	rules_of(all, "web")->timeout.per_try_ns = 100 * NS_PER_MS;
}

static void for_300ms(struct stage_draft *all)
{
	tried_for_100ms(all);
	rules_of(all, "many")->timeout.total_ns = 250 * NS_PER_MS;
	rules_of(all, "web")->timeout.per_try_ns = 0;
	rules_of(all, "web")->timeout.total_ns = 300 * NS_PER_MS;
}

static void as_linkerd(struct stage_draft *all)
{
	for_300ms(all);
	all->draft.settings.compatibility = COMPATIBILITY_LINKERD;
}

static void breaking(struct stage_draft *all)
{
	tried_for_100ms(all);
	rules_of(all, "web")->breaker.failures = 1;
	rules_of(all, "web")->breaker.removed_most_ppm = PPM;
}

static void one_at_a_time(struct stage_draft *all)
{
	rules_of(all, "web")->limit.concurrency = 1;
}

static void two_a_second(struct stage_draft *all)
{
	rules_of(all, "web")->limit.rate_per_second = 2;
	rules_of(all, "many")->limit.client_rate_per_second = 1;
}

static void by_key(struct stage_draft *all)
{
	rules_of(all, "web")->limit.rate_per_second = 1;
	rules_of(all, "web")->limit.rate_by = RATE_BY_HEADER;
	all->services[0].rate_header = "x-key";
	rules_of(all, "many")->limit.rate_per_second = 1;
	rules_of(all, "many")->limit.rate_by = RATE_BY_CLIENT;
}

static void adaptive(struct stage_draft *all)
{
	rules_of(all, "web")->limit.adapts = 1;
}

static void delayed(struct stage_draft *all)
{
	rules_of(all, "web")->fault.delay_ns = 50 * NS_PER_MS;
	rules_of(all, "web")->fault.delay_ppm = PPM;
	rules_of(all, "web")->retry.attempts_most = 1; /* nothing else keeps the request */
	rules_of(all, "any")->fault = rules_of(all, "web")->fault;
}

static void aborted(struct stage_draft *all)
{
	rules_of(all, "web")->fault.abort_status = 418;
	rules_of(all, "web")->fault.abort_ppm = PPM;
}

static void by_header(struct stage_draft *all)
{
	rules_of(all, "web")->fault.by_header = 1;
}

static uint64_t wall_ns(const struct stage *stage)
{
	return io_wall_ns(stage->worker.ring);
}

/* ---- timeouts ---- */

static void a_silent_replica_is_left_for_another(struct stage *stage)
{
	unsigned first, second;
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *silent = reaches_any(stage, &first);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, io_peer_saw_reset(silent));
	struct io_peer *server = reaches_any(stage, &second);
	WANT(stage, first != second);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_TIMEOUT) == 1);
	WANT(stage, series_of(stage, "many", replicas[first])->responses[0] == 1);
}

static void a_silent_server_is_504(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *silent = reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "per-try timeout"));
	WANT(stage, io_peer_saw_reset(silent));
	WANT(stage, counted(stage, WEFT_PROXY_ATTEMPT_TIMEOUT) == 1);
	/* the client's connection goes on */
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches(stage, WEB_ENDPOINT), HELLO);
	sees(stage, client, HELLO);
}

static void a_body_may_take_longer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	stage_run(stage, 500 * NS_PER_MS);
	peer_sends(stage, server, "llo");
	sees(stage, client, HELLO);
}

/* Three attempts would fit by their own limits, two and a half do by the total. */
static void the_total_ends_all_attempts(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	for (int i = 0; i < 3; i++) {
		reaches_any(stage, NULL);
		stage_run(stage, (i == 2 ? 60 : 100) * NS_PER_MS);
	}
	WANT(stage, is_answered(stage, client, "504", "before the request's deadline"));
	WANT(stage, counted(stage, WEFT_PROXY_DEADLINE_EXCEEDED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_TIMEOUT) == 2);
}

static void linkerd_says_503(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 310 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "503", "deadline"));
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches(stage, WEB_ENDPOINT), HELLO);
	sees(stage, client,
	     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nl5d-success-class: 1.0\r\n\r\nhello");
}

/* A server that is silent failed; one that waits for a slow client did not. */
static void a_slow_client_is_not_the_servers_fault(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nh");
	reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "per-try"));
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
	client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "per-try"));
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
}

/* ---- deadlines ---- */

static void sends_with_deadline(struct stage *stage, struct io_peer *client, uint64_t at_ns,
				const char *more)
{
	char text[256];
	snprintf(text, sizeof(text),
		 "GET /a HTTP/1.1\r\nHost: web\r\nl5d-ctx-deadline: 5 %" PRIu64 "\r\n%s\r\n", at_ns,
		 more);
	peer_sends(stage, client, text);
}

static void an_expired_request_is_not_sent(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	sends_with_deadline(stage, client, wall_ns(stage) - 101 * NS_PER_MS, "");
	WANT(stage, is_answered(stage, client, "504", "it was not sent"));
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	WANT(stage, counted(stage, WEFT_PROXY_DEADLINE_PASSED) == 1);
	/* a difference of the clocks */
	sends_with_deadline(stage, client, wall_ns(stage) - 50 * NS_PER_MS, "");
	peer_sends(stage, reaches(stage, WEB_ENDPOINT), HELLO);
	sees(stage, client, HELLO);
}

static void a_deadline_is_forwarded_and_kept(struct stage *stage)
{
	char wanted[256];
	uint64_t at_ns = wall_ns(stage) + 200 * NS_PER_MS;
	struct io_peer *client = client_connect(stage, WEB);
	sends_with_deadline(stage, client, at_ns, "Accept: a\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	snprintf(wanted, sizeof(wanted),
		 "GET /a HTTP/1.1\r\nHost: web\r\nAccept: a\r\nl5d-ctx-deadline: 5 %" PRIu64
		 "\r\n\r\n",
		 at_ns);
	sees(stage, server, wanted);
	stage_run(stage, 290 * NS_PER_MS);
	sees(stage, client, "");
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "deadline"));
	WANT(stage, io_peer_saw_reset(server));
}

/* The service's own limit is tighter than the caller's. */
static void a_deadline_is_tightened(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	sends_with_deadline(stage, client, wall_ns(stage) + 9 * NS_PER_S, "grpc-timeout: 8S\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	struct span got = io_peer_received(server);
	const char *field = memmem(got.data, got.size, "l5d-ctx-deadline: ", 18);
	WANT(stage, field != NULL);
	char *end;
	uint64_t stamp_ns = strtoull(field + 18, &end, 10);
	uint64_t at_ns = strtoull(end, NULL, 10);
	WANT(stage, at_ns - stamp_ns == 300 * NS_PER_MS);
	WANT(stage, memmem(got.data, got.size, "grpc-timeout: 300000u\r\n", 23) ||
			    memmem(got.data, got.size, "grpc-timeout: 29", 16));
	stage_run(stage, 310 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "deadline"));
}

/* ---- load ---- */

static void the_cap_answers_503(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, other, GET);
	WANT(stage, is_answered(stage, other, "503",
				"l5d-retryable: true\r\nfinagle-http-nack: true\r\n"
				"Retry-After: 0\r\n"));
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, other, GET);
	sees(stage, server, GET GET);
	peer_sends(stage, server, HELLO);
	sees(stage, other, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
}

/* The client's first bytes were waited for with a connection at hand, which is for nobody now. */
static void a_refused_request_leaves_no_connection(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\nHost: any\r\nl5d-ctx-deadline: 1 2\r\n\r\n");
	WANT(stage, is_answered(stage, client, "504", "deadline"));
	WANT(stage, io_peer_saw_reset(server) || io_peer_saw_fin(server));
	peer_sends(stage, client, GET);
	server = reaches(stage, ANY_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void the_rate_answers_429(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	for (int i = 0; i < 2; i++) {
		peer_sends(stage, client, GET);
		peer_sends(stage, i ? stage->peers[1] : reaches(stage, WEB_ENDPOINT), HELLO);
		sees(stage, client, HELLO);
	}
	peer_sends(stage, client, GET);
	WANT(stage, is_answered(stage, client, "429", "Retry-After: 1\r\n"));
	stage_run(stage, 500 * NS_PER_MS);
	peer_sends(stage, client, GET);
	peer_sends(stage, stage->peers[1], HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_RATE_LIMIT) == 1);
}

static void a_pod_has_a_rate_of_its_own(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET);
	WANT(stage, is_answered(stage, client, "429", "Retry-After: 1\r\n"));
}

#define KEYED(key) "GET /a HTTP/1.1\r\nHost: web\r\nX-Key: " key "\r\n\r\n"

static void each_value_has_a_rate(struct stage *stage)
{
	static const char *const requests[] = {KEYED("a"), KEYED("b"), GET};
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = NULL;
	for (unsigned i = 0; i < array_count(requests); i++) {
		peer_sends(stage, client, requests[i]);
		server = server ? server : reaches(stage, WEB_ENDPOINT);
		sees(stage, server, requests[i]);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
	}
	for (unsigned i = 0; i < array_count(requests); i++) {
		peer_sends(stage, client, requests[i]);
		WANT(stage, is_answered(stage, client, "429", "Retry-After: 1\r\n"));
	}
	WANT(stage, counted(stage, WEFT_PROXY_RATE_LIMIT) == 3);
}

/* ---- a limit that adapts ---- */

#define CROWD 20

struct crowd {
	struct stage stage;
	struct io_peer *clients[CROWD];
	struct io_peer *servers[2 * CROWD];
	unsigned server_count;
};

static void answer_all(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->server_count; i++) {
		if (io_peer_received(crowd->servers[i]).size == 0)
			continue;
		io_peer_forget(crowd->servers[i]);
		io_peer_send(crowd->servers[i], span_text(HELLO));
	}
	stage_settle(&crowd->stage);
}

/* All ask at once, again and again, and are answered so much later. How many requests of the last
 * round were refused. */
static unsigned refused_at_last(struct crowd *crowd, unsigned rounds, uint64_t latency_ns)
{
	struct stage *stage = &crowd->stage;
	unsigned refused = 0;
	while (rounds--) {
		struct io_peer *server;
		for (unsigned i = 0; i < CROWD; i++)
			io_peer_send(crowd->clients[i], span_text(GET));
		stage_settle(stage);
		while ((server = server_reached(stage, WEB_ENDPOINT)) != NULL)
			crowd->servers[crowd->server_count++] = server;
		refused = 0;
		for (unsigned i = 0; i < CROWD; i++)
			refused += is_answered(stage, crowd->clients[i], "503",
					       "finagle-http-nack: true");
		stage_run(stage, latency_ns);
		answer_all(crowd);
		for (unsigned i = 0; i < CROWD; i++)
			io_peer_forget(crowd->clients[i]);
	}
	return refused;
}

/* Slower than it was: fewer are let through, until it is fast again. Played once, as it is long. */
static void the_limit_follows_the_latency(void **state)
{
	struct crowd crowd = {0};
	(void)state;
	stage_open(&crowd.stage, adaptive, NULL);
	for (unsigned i = 0; i < CROWD; i++)
		crowd.clients[i] = client_connect(&crowd.stage, WEB);
	assert_int_equal(refused_at_last(&crowd, 50, 10 * NS_PER_MS), 0);
	assert_in_range(refused_at_last(&crowd, 100, 40 * NS_PER_MS), 12, 16); /* 4 at least */
	assert_int_not_equal(counted(&crowd.stage, WEFT_PROXY_CONCURRENCY_LIMIT), 0);
	assert_int_equal(refused_at_last(&crowd, 500, 10 * NS_PER_MS), 0);
	stage_empty(&crowd.stage);
	stage_close(&crowd.stage);
}

/* ---- faults ---- */

#define POST "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 11\r\n\r\nhello world"

static void a_request_is_delayed(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, POST);
	stage_run(stage, 45 * NS_PER_MS);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	stage_run(stage, 10 * NS_PER_MS);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, POST);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_FAULT_DELAYED) == 1);
	const struct weft_series *row = series_of(stage, "web", "");
	WANT(stage, row->requests == 1 && row->responses[2] == 1 && row->faults_delayed == 1);
	WANT(stage, row->latency_us_sum < 50000); /* the delay is not the server's */
}

/* What was dialled ahead does not wait for it. */
static void what_was_dialled_ahead_is_let_go(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *ahead = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, GET);
	stage_run(stage, 10 * NS_PER_MS);
	WANT(stage, io_peer_is_closed(ahead));
	stage_run(stage, 45 * NS_PER_MS);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void a_client_leaves_during_the_delay(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	io_peer_reset(client);
	stage_run(stage, 100 * NS_PER_MS);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	WANT(stage, series_of(stage, "web", "")->latency_us_sum == 0);
}

static void a_request_is_answered_on_purpose(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	WANT(stage, is_answered(stage, client, "418", "on+purpose"));
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	WANT(stage, counted(stage, WEFT_PROXY_FAULT_ABORTED) == 1);
	const struct weft_series *row = series_of(stage, "web", "");
	WANT(stage, row->faults_aborted == 1 && row->requests_active == 0);
	WANT(stage, row->requests == 0 && row->responses[4] == 0 && row->proxy_errors == 0);
}

static void a_header_asks_for_a_fault(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "GET /a HTTP/1.1\r\nHost: web\r\nweft-fault: delay=20ms, abort=500\r\n\r\n");
	sees(stage, client, "");
	stage_run(stage, 30 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "500", "on+purpose"));
}

#define TEST(name, configure)                                                                      \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(name, configure);                                                        \
	}

TEST(a_silent_replica_is_left_for_another, tried_for_100ms)
TEST(a_silent_server_is_504, tried_for_100ms)
TEST(a_body_may_take_longer, for_300ms)
TEST(the_total_ends_all_attempts, for_300ms)
TEST(linkerd_says_503, as_linkerd)
TEST(a_slow_client_is_not_the_servers_fault, breaking)
TEST(an_expired_request_is_not_sent, NULL)
TEST(a_deadline_is_forwarded_and_kept, NULL)
TEST(a_deadline_is_tightened, for_300ms)
TEST(the_cap_answers_503, one_at_a_time)
TEST(a_refused_request_leaves_no_connection, NULL)
TEST(the_rate_answers_429, two_a_second)
TEST(a_pod_has_a_rate_of_its_own, two_a_second)
TEST(each_value_has_a_rate, by_key)
static void test_rate_by_client(void **state)
{
	(void)state;
	play_with(a_pod_has_a_rate_of_its_own, by_key);
}

TEST(a_request_is_delayed, delayed)
TEST(what_was_dialled_ahead_is_let_go, delayed)
TEST(a_client_leaves_during_the_delay, delayed)
TEST(a_request_is_answered_on_purpose, aborted)
TEST(a_header_asks_for_a_fault, by_header)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_silent_replica_is_left_for_another),
		cmocka_unit_test(test_a_silent_server_is_504),
		cmocka_unit_test(test_a_body_may_take_longer),
		cmocka_unit_test(test_the_total_ends_all_attempts),
		cmocka_unit_test(test_linkerd_says_503),
		cmocka_unit_test(test_a_slow_client_is_not_the_servers_fault),
		cmocka_unit_test(test_an_expired_request_is_not_sent),
		cmocka_unit_test(test_a_deadline_is_forwarded_and_kept),
		cmocka_unit_test(test_a_deadline_is_tightened),
		cmocka_unit_test(test_the_cap_answers_503),
		cmocka_unit_test(test_a_refused_request_leaves_no_connection),
		cmocka_unit_test(test_the_rate_answers_429),
		cmocka_unit_test(test_a_pod_has_a_rate_of_its_own),
		cmocka_unit_test(test_each_value_has_a_rate),
		cmocka_unit_test(test_rate_by_client),
		cmocka_unit_test(the_limit_follows_the_latency),
		cmocka_unit_test(test_a_request_is_delayed),
		cmocka_unit_test(test_what_was_dialled_ahead_is_let_go),
		cmocka_unit_test(test_a_client_leaves_during_the_delay),
		cmocka_unit_test(test_a_request_is_answered_on_purpose),
		cmocka_unit_test(test_a_header_asks_for_a_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
