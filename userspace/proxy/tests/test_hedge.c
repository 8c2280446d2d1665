/* A second attempt beside a first one that takes long. */
#include "rules.h"

#define PUT_HI  "PUT /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi"
#define POST_HI "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi"

static void after_50ms(struct stage_draft *all)
{
	rules_of(all, "many")->hedge.after_ns = 50 * NS_PER_MS;
	rules_of(all, "web")->hedge.after_ns = 50 * NS_PER_MS;
}

static void with_classifier(struct stage_draft *all)
{
	after_50ms(all);
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
}

static void with_breaker(struct stage_draft *all)
{
	after_50ms(all);
	rules_of(all, "many")->breaker.failures = 1;
}

static void with_limits(struct stage_draft *all)
{
	after_50ms(all);
	rules_of(all, "many")->timeout.per_try_ns = 100 * NS_PER_MS;
}

static void without_budget(struct stage_draft *all)
{
	after_50ms(all);
	rules_of(all, "many")->retry.budget.min_per_second = 0;
	rules_of(all, "many")->retry.budget.share_ppm = 0;
}

static void without_retries(struct stage_draft *all)
{
	after_50ms(all);
	rules_of(all, "many")->retry.attempts_most = 1;
	rules_of(all, "many")->retry.budget.min_per_second = 0;
}

static void after_most(struct stage_draft *all)
{
	rules_of(all, "many")->hedge.share_ppm = 900000;
}

static void after_most_and_20ms(struct stage_draft *all)
{
	after_most(all);
	rules_of(all, "many")->hedge.after_ns = 20 * NS_PER_MS;
}

static void with_cookie(struct stage_draft *all)
{
	after_50ms(all);
	all->services[3].sticky_cookie = "stick";
	all->draft.settings.sticky_secret = (char *)"s3cret";
}

static void nobody_is_left(struct stage_draft *all)
{
	after_50ms(all);
	all->services[3].endpoints.count = 0;
}

/* Sends `request`, to which a replica is silent for 60 ms; another one has got it too, then. */
struct pair {
	struct io_peer *client, *first, *second;
	unsigned first_at, second_at;
};

static struct pair hedged(struct stage *stage, const char *request)
{
	struct pair pair = {.client = client_connect(stage, MANY)};
	peer_sends(stage, pair.client, request);
	pair.first = reaches_any(stage, &pair.first_at);
	sees(stage, pair.first, request);
	stage_run(stage, 60 * NS_PER_MS);
	pair.second = reaches_any(stage, &pair.second_at);
	WANT(stage, pair.first_at != pair.second_at);
	sees(stage, pair.second, request);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 1);
	return pair;
}

static void the_second_answers_first(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, io_peer_saw_reset(pair.first));
	WANT(stage, counted(stage, WEFT_PROXY_HEDGE_WON) == 1);
	const struct weft_series *total = series_of(stage, "many", "");
	const struct weft_series *first = series_of(stage, "many", replicas[pair.first_at]);
	const struct weft_series *second = series_of(stage, "many", replicas[pair.second_at]);
	WANT(stage, total->requests == 1 && total->responses[2] == 1);
	WANT(stage, first->requests == 1 && first->responses[0] == 1);
	WANT(stage, second->requests == 1 && second->responses[2] == 1);
	WANT(stage, first->requests_active == 0 && second->requests_active == 0);
	WANT(stage, second->bytes_sent == strlen(GET) && second->bytes_received == strlen(HELLO));
	/* the winner's connection is used again */
	WANT(stage, stage->worker.counts->upstreams_idle == 1);
}

static void the_first_answers_first(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, io_peer_saw_reset(pair.second));
	WANT(stage, counted(stage, WEFT_PROXY_HEDGE_WON) == 0);
	const struct weft_series *second = series_of(stage, "many", replicas[pair.second_at]);
	WANT(stage, second->requests == 1 && second->responses[0] == 1);
	WANT(stage, second->requests_active == 0 && second->bytes_sent == strlen(GET));
	WANT(stage, series_of(stage, "many", "")->requests == 1);
}

static void a_body_is_sent_twice(struct stage *stage)
{
	struct pair pair = hedged(stage, PUT_HI);
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
}

#define CHANGED "HTTP/1.1 412 No\r\nContent-Length: 0\r\n\r\n"

/* Of a write that was done already, by the other attempt. */
static void a_write_refused_awaits_the_other(struct stage *stage)
{
	struct pair pair = hedged(stage, PUT_HI);
	peer_sends(stage, pair.second, CHANGED);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, series_of(stage, "many", replicas[pair.second_at])->responses[4] == 1);
}

static void a_write_refused_first_awaits_the_second(struct stage *stage)
{
	struct pair pair = hedged(stage, PUT_HI);
	peer_sends(stage, pair.first, CHANGED);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
}

static void a_write_refused_twice_is_refused(struct stage *stage)
{
	struct pair pair = hedged(stage, PUT_HI);
	peer_sends(stage, pair.first, CHANGED);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.second, CHANGED);
	sees(stage, pair.client, CHANGED);
}

static void a_read_refused_is_refused(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, CHANGED);
	sees(stage, pair.client, CHANGED);
}

static void a_fast_answer_has_no_company(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	stage_run(stage, 40 * NS_PER_MS);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	stage_run(stage, 60 * NS_PER_MS); /* a body may take longer */
	reaches_none(stage);
	peer_sends(stage, server, "llo");
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 0);
}

static void nobody_else_is_asked(struct stage *stage, const char *service, const char *request)
{
	struct io_peer *client = client_connect(stage, service);
	peer_sends(stage, client, request);
	struct io_peer *server =
		strcmp(service, WEB) == 0 ? reaches(stage, WEB_ENDPOINT) : reaches_any(stage, NULL);
	stage_run(stage, 60 * NS_PER_MS);
	reaches_none(stage);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 0);
}

static void a_post_is_not_sent_twice(struct stage *stage)
{
	nobody_else_is_asked(stage, MANY, POST_HI);
}

static void one_endpoint_is_not_asked_twice(struct stage *stage)
{
	nobody_else_is_asked(stage, WEB, GET);
}

static void a_client_that_has_ended_has_no_company(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	io_peer_finish(client);
	stage_run(stage, 60 * NS_PER_MS);
	reaches_none(stage);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* The client was told something already. */
static void who_has_begun_to_answer_has_no_company(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, "HTTP/1.1 103 Early Hints\r\n\r\n");
	sees(stage, client, "HTTP/1.1 103 Early Hints\r\n\r\n");
	stage_run(stage, 60 * NS_PER_MS);
	reaches_none(stage);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* Its session is known to one endpoint. */
static void who_sticks_has_no_company(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	char request[128];
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL),
		   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	stage_settle(stage);
	struct span got = io_peer_received(client);
	const char *cookie = memmem(got.data, got.size, "stick=", 6);
	WANT(stage, cookie);
	snprintf(request, sizeof(request), "GET /a HTTP/1.1\r\nHost: web\r\nCookie: %.22s\r\n\r\n",
		 cookie);
	nobody_else_is_asked(stage, MANY, request);
}

static void it_is_paid_for(struct stage *stage)
{
	nobody_else_is_asked(stage, MANY, GET);
	WANT(stage, counted(stage, WEFT_PROXY_RETRY_BUDGET_EXHAUSTED) == 1);
}

/* Requests fill the budget though none of them may be tried again. */
static void requests_pay_for_it(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	for (int i = 0; i < 5; i++) {
		peer_sends(stage, client, GET);
		peer_sends(stage, reaches_any(stage, NULL),
			   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	}
	hedged(stage, GET);
}

static void the_first_is_reset(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	io_peer_reset(pair.first);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, series_of(stage, "many", "")->requests == 1);
}

/* One from the pool, which was dead before; a fresh one leads nowhere any more. */
static void the_first_was_dead_and_none_is_left(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	struct io_peer *pooled[REPLICAS];
	for (unsigned i = 0; i < REPLICAS; i++) { /* in turn */
		peer_sends(stage, client, GET);
		pooled[i] = reaches_any(stage, NULL);
		peer_sends(stage, pooled[i], HELLO);
		sees(stage, client, HELLO);
		sees(stage, pooled[i], GET);
	}
	peer_sends(stage, client, GET);
	stage_run(stage, 60 * NS_PER_MS);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 1);
	stage_publish_later(stage);
	stage_settle(stage);
	sees(stage, pooled[0], GET);
	io_peer_reset(pooled[0]);
	sees(stage, client, "");
	for (unsigned i = 1; i < REPLICAS; i++) {
		if (io_peer_received(pooled[i]).size == 0)
			continue;
		sees(stage, pooled[i], GET);
		peer_sends(stage, pooled[i], HELLO);
	}
	sees(stage, client, HELLO);
}

/* By the default classifier, which tries nothing again. */
static void the_first_fails(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.first, UNAVAILABLE);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, series_of(stage, "many", replicas[pair.first_at])->responses[5] == 1);
}

static void the_second_fails(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, UNAVAILABLE);
	sees(stage, pair.client, "");
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGE_WON) == 0);
	WANT(stage, series_of(stage, "many", replicas[pair.second_at])->requests == 1);
}

static void the_second_is_reset(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	io_peer_reset(pair.second);
	stage_run(stage, 60 * NS_PER_MS);
	/* it is no fast server */
	WANT(stage, series_of(stage, "many", replicas[pair.second_at])->cost_ns >= NS_PER_S);
	reaches_none(stage); /* once per request */
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
}

static void the_seconds_failure_counts(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, UNAVAILABLE);
	sees(stage, pair.client, "");
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
}

static void the_seconds_end_counts(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	io_peer_finish(pair.second);
	sees(stage, pair.client, "");
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	peer_sends(stage, pair.first, HELLO);
	sees(stage, pair.client, HELLO);
}

/* Whoever loses has not failed. */
static void losing_does_not_count(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
}

/* Once per request: the second try has no company. */
static void a_second_try_has_no_company(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	io_peer_reset(pair.second);
	peer_sends(stage, pair.first, UNAVAILABLE);
	struct io_peer *third = reaches_any(stage, NULL);
	stage_run(stage, 60 * NS_PER_MS);
	reaches_none(stage);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 1);
	peer_sends(stage, third, HELLO);
	sees(stage, pair.client, HELLO);
}

/* When both have failed it is tried again as any other. */
static void both_fail(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.first, UNAVAILABLE);
	io_peer_reset(pair.second);
	struct io_peer *third = reaches_any(stage, NULL);
	sees(stage, third, GET);
	peer_sends(stage, third, HELLO);
	sees(stage, pair.client, HELLO);
}

static void nobody_else_is_there(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *first = reaches_any(stage, NULL);
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_REFUSES, 0);
	stage_run(stage, 60 * NS_PER_MS);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 1);
	peer_sends(stage, first, HELLO);
	sees(stage, client, HELLO);
}

/* The first is not even connected. */
static void connecting_counts_as_waiting(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_IS_SILENT, 0);
	peer_sends(stage, client, GET);
	stage_run(stage, 10 * NS_PER_MS);
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_ACCEPTS, 0);
	stage_run(stage, 50 * NS_PER_MS);
	struct io_peer *second = reaches_any(stage, NULL);
	sees(stage, second, GET);
	peer_sends(stage, second, HELLO);
	sees(stage, client, HELLO);
}

/* The first fails before the second is connected. */
static void the_second_connects_late(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *first = reaches_any(stage, NULL);
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_ACCEPTS, 50 * NS_PER_MS);
	stage_run(stage, 60 * NS_PER_MS);
	io_peer_reset(first);
	stage_settle(stage);
	reaches_none(stage);
	stage_run(stage, 50 * NS_PER_MS);
	struct io_peer *second = reaches_any(stage, NULL);
	sees(stage, second, GET);
	peer_sends(stage, second, HELLO);
	sees(stage, client, HELLO);
}

static void the_client_leaves(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	io_peer_reset(pair.client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(pair.first) && io_peer_saw_reset(pair.second));
}

/* The per-try limit is each attempt's own. */
static void the_first_takes_too_long(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	stage_run(stage, 50 * NS_PER_MS);
	WANT(stage, io_peer_saw_reset(pair.first) && !io_peer_saw_reset(pair.second));
	stage_run(stage, 30 * NS_PER_MS);
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
}

static void both_take_too_long(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	stage_run(stage, 100 * NS_PER_MS);
	WANT(stage, io_peer_saw_reset(pair.first) && io_peer_saw_reset(pair.second));
	WANT(stage, is_answered(stage, pair.client, "504", "per-try"));
}

static void interim_answers_are_passed_on(struct stage *stage)
{
	struct pair pair = hedged(stage, GET);
	peer_sends(stage, pair.second, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	sees(stage, pair.client, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	peer_sends(stage, pair.second, HELLO);
	sees(stage, pair.client, HELLO);
}

/* 9 of 10 answers come within some 2 ms, so after about that. */
static void answered_in(struct stage *stage, struct io_peer *client, uint64_t after_ns)
{
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	stage_run(stage, after_ns);
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void learn(struct stage *stage, struct io_peer *client)
{
	for (int i = 0; i < QUANTILE_SAMPLES_LEAST; i++)
		answered_in(stage, client, 2 * NS_PER_MS);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 0);
}

static void most_answers_come_sooner(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	learn(stage, client);
	peer_sends(stage, client, GET);
	struct io_peer *first = reaches_any(stage, NULL);
	stage_run(stage, 10 * NS_PER_MS);
	sees(stage, reaches_any(stage, NULL), GET);
	peer_sends(stage, first, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_HEDGED) == 1);
}

/* That came fast. */
static void failures_teach_nothing(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	for (int i = 0; i < 2 * QUANTILE_SAMPLES_LEAST; i++) {
		peer_sends(stage, client, GET);
		peer_sends(stage, reaches_any(stage, NULL),
			   "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		sees(stage, client, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
	}
	nobody_else_is_asked(stage, MANY, GET);
}

static void never_before_the_delay(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	learn(stage, client);
	peer_sends(stage, client, GET);
	struct io_peer *first = reaches_any(stage, NULL);
	stage_run(stage, 15 * NS_PER_MS);
	reaches_none(stage);
	stage_run(stage, 10 * NS_PER_MS);
	sees(stage, reaches_any(stage, NULL), GET);
	peer_sends(stage, first, HELLO);
	sees(stage, client, HELLO);
}

#define TEST_LATER(name, configure, later)                                                         \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		play_in_order(name, configure, later);                                             \
	}
#define TEST(name, configure) TEST_LATER(name, configure, NULL)

TEST(the_second_answers_first, after_50ms)
TEST(the_first_answers_first, after_50ms)
TEST(a_body_is_sent_twice, after_50ms)
TEST(a_write_refused_awaits_the_other, after_50ms)
TEST(a_write_refused_first_awaits_the_second, after_50ms)
TEST(a_write_refused_twice_is_refused, after_50ms)
TEST(a_read_refused_is_refused, after_50ms)
TEST(a_fast_answer_has_no_company, after_50ms)
TEST(a_post_is_not_sent_twice, after_50ms)
TEST(one_endpoint_is_not_asked_twice, after_50ms)
TEST(a_client_that_has_ended_has_no_company, after_50ms)
TEST(who_has_begun_to_answer_has_no_company, after_50ms)
TEST(who_sticks_has_no_company, with_cookie)
TEST(it_is_paid_for, without_budget)
TEST(requests_pay_for_it, without_retries)
TEST(the_first_is_reset, after_50ms)
TEST_LATER(the_first_was_dead_and_none_is_left, after_50ms, nobody_is_left)
TEST(the_first_fails, after_50ms)
TEST(the_second_fails, after_50ms)
TEST(the_second_is_reset, after_50ms)
TEST(the_seconds_failure_counts, with_breaker)
TEST(the_seconds_end_counts, with_breaker)
TEST(losing_does_not_count, with_breaker)
TEST(a_second_try_has_no_company, with_classifier)
TEST(both_fail, with_classifier)
TEST(nobody_else_is_there, after_50ms)
TEST(connecting_counts_as_waiting, after_50ms)
TEST(the_second_connects_late, after_50ms)
TEST(the_client_leaves, after_50ms)
TEST(the_first_takes_too_long, with_limits)
TEST(both_take_too_long, with_limits)
TEST(interim_answers_are_passed_on, after_50ms)
TEST(most_answers_come_sooner, after_most)
TEST(failures_teach_nothing, after_most)
TEST(never_before_the_delay, after_most_and_20ms)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_second_answers_first),
		cmocka_unit_test(test_the_first_answers_first),
		cmocka_unit_test(test_a_body_is_sent_twice),
		cmocka_unit_test(test_a_write_refused_awaits_the_other),
		cmocka_unit_test(test_a_write_refused_first_awaits_the_second),
		cmocka_unit_test(test_a_write_refused_twice_is_refused),
		cmocka_unit_test(test_a_read_refused_is_refused),
		cmocka_unit_test(test_a_fast_answer_has_no_company),
		cmocka_unit_test(test_a_post_is_not_sent_twice),
		cmocka_unit_test(test_one_endpoint_is_not_asked_twice),
		cmocka_unit_test(test_a_client_that_has_ended_has_no_company),
		cmocka_unit_test(test_who_has_begun_to_answer_has_no_company),
		cmocka_unit_test(test_who_sticks_has_no_company),
		cmocka_unit_test(test_it_is_paid_for),
		cmocka_unit_test(test_requests_pay_for_it),
		cmocka_unit_test(test_the_first_is_reset),
		cmocka_unit_test(test_the_first_was_dead_and_none_is_left),
		cmocka_unit_test(test_the_first_fails),
		cmocka_unit_test(test_the_second_fails),
		cmocka_unit_test(test_the_second_is_reset),
		cmocka_unit_test(test_the_seconds_failure_counts),
		cmocka_unit_test(test_the_seconds_end_counts),
		cmocka_unit_test(test_losing_does_not_count),
		cmocka_unit_test(test_a_second_try_has_no_company),
		cmocka_unit_test(test_both_fail),
		cmocka_unit_test(test_nobody_else_is_there),
		cmocka_unit_test(test_connecting_counts_as_waiting),
		cmocka_unit_test(test_the_second_connects_late),
		cmocka_unit_test(test_the_client_leaves),
		cmocka_unit_test(test_the_first_takes_too_long),
		cmocka_unit_test(test_both_take_too_long),
		cmocka_unit_test(test_interim_answers_are_passed_on),
		cmocka_unit_test(test_most_answers_come_sooner),
		cmocka_unit_test(test_failures_teach_nothing),
		cmocka_unit_test(test_never_before_the_delay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
