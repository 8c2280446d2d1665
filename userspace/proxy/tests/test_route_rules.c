/* A route rule's own timeouts and retries, which go before its service's. */
#include "policy/tests/notation.h"
#include "rules.h"

#define OF(method, path) method " " path " HTTP/1.1\r\nHost: web\r\n\r\n"
#define TEAPOT           "HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n"

static struct notation routes;
static struct draft_value codes[] = {{.line = 1, .number = 418}};

static struct route_rule_draft *rule(uint32_t index)
{
	struct route_draft *drafts = routes.draft.routes.items;
	return (struct route_rule_draft *)drafts[0].rules.items + index;
}

enum { WHOLE, TRY, CODES, ONCE, PAUSE, PLAIN };

static int make_routes(void **state)
{
	(void)state;
	notation_init(&routes, "");
	notation_route(&routes, span_text("r for=web; /whole > many; /try > many; /codes > many; "
					  "/once > many; /pause > many; / > many"));
	rule(WHOLE)->request_ns = 250 * NS_PER_MS;
	rule(TRY)->backend_ns = 100 * NS_PER_MS;
	rule(TRY)->attempts = 3; /* two beside the first */
	rule(CODES)->retry_codes = (struct draft_list){1, codes};
	rule(ONCE)->attempts = 1; /* none beside the first */
	rule(PAUSE)->retry_codes = (struct draft_list){1, codes};
	rule(PAUSE)->backoff_ns = 50 * NS_PER_MS;
	return 0;
}

static int free_routes(void **state)
{
	(void)state;
	notation_fini(&routes);
	return 0;
}

static void as_service_says(struct stage_draft *all)
{
	all->draft.routes = routes.draft.routes;
}

static void reads(struct stage_draft *all)
{
	as_service_says(all);
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
	rules_of(all, "many")->timeout.per_try_ns = 400 * NS_PER_MS;
	rules_of(all, "many")->timeout.total_ns = 900 * NS_PER_MS;
}

static void hedged(struct stage_draft *all)
{
	as_service_says(all);
	rules_of(all, "many")->hedge.after_ns = 50 * NS_PER_MS;
}

static void no_retries(struct stage_draft *all)
{
	as_service_says(all);
	rules_of(all, "many")->retry.attempts_most = 1;
}

static void the_whole(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/whole"));
	reaches_any(stage, NULL);
	stage_run(stage, 240 * NS_PER_MS);
	sees(stage, client, "");
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "deadline"));
	WANT(stage, counted(stage, WEFT_PROXY_DEADLINE_EXCEEDED) == 1);
}

/* Three tries, none of which the service would have allowed. */
static void one_try(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/try"));
	for (int i = 0; i < 3; i++) {
		reaches_any(stage, NULL);
		sees(stage, client, "");
		stage_run(stage, 101 * NS_PER_MS);
	}
	WANT(stage, is_answered(stage, client, "504", "per-try"));
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_TIMEOUT) == 2);
	uint32_t slot = series_slot_route(&stage->series, span_text("r"), span_text("1"));
	const struct weft_series *row = series_row(&stage->series, 0, slot);
	WANT(stage, row->requests == 1 && row->responses[5] == 1 && row->retries == 2);
}

static void the_services_own(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/plain"));
	reaches_any(stage, NULL);
	stage_run(stage, 390 * NS_PER_MS);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_TIMEOUT) == 0);
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_TIMEOUT) == 1);
}

/* Its codes stand for the classifier's, whatever the method. */
static void by_codes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("POST", "/codes"));
	peer_sends(stage, reaches_any(stage, NULL), TEAPOT);
	struct io_peer *other = reaches_any(stage, NULL);
	sees(stage, other, OF("POST", "/codes"));
	peer_sends(stage, other, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_ANSWER) == 1);
	/* a read that got no answer */
	peer_sends(stage, client, OF("GET", "/codes"));
	io_peer_reset(reaches_any(stage, NULL));
	other = reaches_any(stage, NULL);
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_UNANSWERED) == 1);
}

static void only_once(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/once"));
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
}

static void after_a_pause(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/pause"));
	peer_sends(stage, reaches_any(stage, NULL), TEAPOT);
	stage_run(stage, 45 * NS_PER_MS);
	reaches_none(stage);
	stage_run(stage, 10 * NS_PER_MS);
	peer_sends(stage, reaches_any(stage, NULL), HELLO);
	sees(stage, client, HELLO);
}

/* What is to be tried again has been already, when a second attempt is under way. */
static void beside_a_hedge(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, OF("GET", "/pause"));
	struct io_peer *first = reaches_any(stage, NULL);
	stage_run(stage, 55 * NS_PER_MS);
	struct io_peer *second = reaches_any(stage, NULL);
	peer_sends(stage, first, TEAPOT);
	sees(stage, client, "");
	peer_sends(stage, second, "HTTP/1.1 200 OK\r\n");
	stage_run(stage, 60 * NS_PER_MS);
	reaches_none(stage);
	peer_sends(stage, second, "Content-Length: 5\r\n\r\nhello");
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_ANSWER) == 0);
}

#define TEST(name, run, configure)                                                                 \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(run, configure);                                                         \
	}

TEST(a_rules_limit_of_the_whole_is_tighter, the_whole, reads)
TEST(a_rules_limit_of_one_try_and_its_attempts, one_try, no_retries)
TEST(a_rule_that_says_nothing_leaves_the_services, the_services_own, reads)
TEST(a_rules_codes_are_tried_again, by_codes, as_service_says)
TEST(a_rule_without_retries, only_once, reads)
TEST(a_rules_pause_between_tries, after_a_pause, as_service_says)

/* Once: with completions shuffled time goes otherwise. */
static void a_rules_codes_leave_it_to_the_second_attempt(void **state)
{
	struct play play = {.run = beside_a_hedge, .configure = hedged};
	struct stage stage;
	(void)state;
	stage_open(&stage, hedged, NULL);
	act(&stage, beside_a_hedge);
	stage_close(&stage);
	play_short_of_memory(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rules_limit_of_the_whole_is_tighter),
		cmocka_unit_test(a_rules_limit_of_one_try_and_its_attempts),
		cmocka_unit_test(a_rule_that_says_nothing_leaves_the_services),
		cmocka_unit_test(a_rules_codes_are_tried_again),
		cmocka_unit_test(a_rule_without_retries),
		cmocka_unit_test(a_rules_pause_between_tries),
		cmocka_unit_test(a_rules_codes_leave_it_to_the_second_attempt),
	};
	return cmocka_run_group_tests(tests, make_routes, free_routes);
}
