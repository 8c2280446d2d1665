/* Endpoints that fail are left out, and come back. */
#include "rules.h"

static void half_out(struct stage_draft *all)
{
	rules_of(all, "many")->breaker.failures = 2;
}

static void three_out(struct stage_draft *all)
{
	half_out(all);
	rules_of(all, "many")->breaker.removed_most_ppm = PPM;
	all->services[3].balancing.panic_percent = 0;
	rules_of(all, "web")->breaker.failures = rules_of(all, "any")->breaker.failures = 2;
	rules_of(all, "web")->breaker.removed_most_ppm = PPM;
	rules_of(all, "any")->breaker.removed_most_ppm = PPM;
}

static void once(struct stage_draft *all)
{
	three_out(all);
	rules_of(all, "web")->retry.attempts_most = 1;
}

static void panicking(struct stage_draft *all)
{
	three_out(all);
	all->services[3].balancing.panic_percent = 60;
}

static void with_limit(struct stage_draft *all)
{
	three_out(all);
	rules_of(all, "web")->timeout.per_try_ns = 100 * NS_PER_MS;
}

/* One request; its replica answers 503 when its bit is set in `bad`. Returns the replica. */
static unsigned request(struct stage *stage, struct io_peer *client, unsigned bad)
{
	unsigned replica = REPLICAS;
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, &replica);
	sees(stage, server, GET);
	bool fails = bad & (1u << replica);
	/* closed, so that the next request is a new connection that can be told apart */
	io_peer_send(server, span_text(fails ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n"
					       "Connection: close\r\n\r\n"
					     : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
					       "Connection: close\r\n\r\n"));
	io_peer_finish(server);
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data + 9, fails ? "503" : "200", 3) == 0);
	io_peer_forget(client);
	return replica;
}

static unsigned requests_that_reach(struct stage *stage, struct io_peer *client, unsigned replica,
				    unsigned bad, unsigned count)
{
	unsigned reached = 0;
	for (unsigned i = 0; i < count; i++)
		reached += request(stage, client, bad) == replica;
	return reached;
}

static void it_is_left_out_and_probed(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	WANT(stage, requests_that_reach(stage, client, 1, 1u << 1, 8) == 2);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	WANT(stage, requests_that_reach(stage, client, 1, 1u << 1, 12) == 0);
	stage_run(stage, 5100 * NS_PER_MS);
	/* one probe, which fails: out for longer */
	WANT(stage, requests_that_reach(stage, client, 1, 1u << 1, 12) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_PROBED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REVIVED) == 0);
	stage_run(stage, 10100 * NS_PER_MS);
	/* one probe that succeeds: it is used again */
	WANT(stage, requests_that_reach(stage, client, 1, 0, 12) >= 3);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_PROBED) == 2);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REVIVED) == 1);
}

static void at_most_half_are_left_out(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	requests_that_reach(stage, client, 0, 0xf, 16);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 2);
}

/* With all of them out the balancer still sends (linkerd1.md L7). */
static void when_all_are_out_some_are_used(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	requests_that_reach(stage, client, 0, 0xf, 16);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 4);
	requests_that_reach(stage, client, 0, 0, 8); /* each is answered 200 */
}

static void few_left_is_a_panic(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	requests_that_reach(stage, client, 0, 1u << 0 | 1u << 1, 12);
	/* two of four are left, fewer than 60 % */
	WANT(stage, requests_that_reach(stage, client, 0, 0, 8) == 2);
}

static void refused_dials_count(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	endpoint_answers(replicas[2], IO_DOUBLE_REFUSES, 0);
	for (int i = 0; i < 12; i++)
		request(stage, client, 0);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	WANT(stage, dials_to(replicas[2]) == 2);
	endpoint_answers(replicas[2], IO_DOUBLE_ACCEPTS, 0);
	stage_run(stage, 5100 * NS_PER_MS);
	WANT(stage, requests_that_reach(stage, client, 2, 0, 12) >= 3);
}

static void cut_answers_count(struct stage *stage)
{
	for (int i = 0; i < 2; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, GET);
		struct io_peer *server = reaches(stage, WEB_ENDPOINT);
		peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
		io_peer_reset(server);
		stage_settle(stage);
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
}

/* It may stream for hours, to a client that leaves in the end. */
static void a_probe_waits_for_no_body(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	for (int i = 0; i < 2; i++) {
		peer_sends(stage, client, GET);
		struct io_peer *server = reaches(stage, WEB_ENDPOINT);
		peer_sends(stage, server,
			   "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		sees(stage, client, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	stage_run(stage, 5100 * NS_PER_MS);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REVIVED) == 1);
}

/* Says nothing of the endpoint, also when it was the probe. */
static void clients_that_leave_do_not_count(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	requests_that_reach(stage, client, 1, 1u << 1, 8);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	for (int i = 0; i < 12; i++) {
		struct io_peer *leaves = client_connect(stage, MANY);
		peer_sends(stage, leaves, GET);
		io_peer_reset(leaves);
		stage_settle(stage);
	}
	for (unsigned i = 0; i < REPLICAS; i++) {
		while (server_reached(stage, replicas[i]))
			;
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	stage_run(stage, 5100 * NS_PER_MS);
	for (int i = 0; i < 12; i++) {
		struct io_peer *leaves = client_connect(stage, MANY);
		peer_sends(stage, leaves, GET);
		io_peer_reset(leaves);
		stage_settle(stage);
	}
	for (unsigned i = 0; i < REPLICAS; i++) {
		while (server_reached(stage, replicas[i]))
			;
	}
	WANT(stage, requests_that_reach(stage, client, 1, 0, 12) >= 2);
}

/* Many servers give up when their client ends its side. */
static void clients_that_end_do_not_count(struct stage *stage)
{
	for (int i = 0; i < 4; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, GET);
		io_peer_finish(client);
		struct io_peer *server = reaches(stage, WEB_ENDPOINT);
		sees(stage, server, GET);
		WANT(stage, io_peer_saw_fin(server));
		if (i % 2) {
			io_peer_finish(server);
			WANT(stage, is_answered(stage, client, "502", ""));
		} else {
			peer_sends(stage, server, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
			sees(stage, client, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
		}
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
}

/* It is about the request. */
static void a_retryable_4xx_does_not_count(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = NULL;
	for (int i = 0; i < 3; i++) {
		peer_sends(stage, client, GET);
		server = server ? server : reaches(stage, WEB_ENDPOINT);
		sees(stage, server, GET);
		peer_sends(stage, server,
			   "HTTP/1.1 409 No\r\nl5d-retryable: true\r\nContent-Length: 0\r\n\r\n");
		sees(stage, client,
		     "HTTP/1.1 409 No\r\nl5d-retryable: true\r\nContent-Length: 0\r\n\r\n");
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
}

static void what_a_pod_may_not_do_does_not_count(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_HAS_NO_ROUTE, 0);
	for (int i = 0; i < 3; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, GET);
		WANT(stage, is_answered(stage, client, "502", "unreachable"));
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
}

#define POST_9 "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\n"

/* Of three requests with a body, `sends` of it, each takes too long. */
static void three_take_too_long(struct stage *stage, const char *sends)
{
	for (int i = 0; i < 3; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, POST_9);
		peer_sends(stage, client, sends);
		stage_run(stage, 110 * NS_PER_MS);
		WANT(stage, is_answered(stage, client, "504", "per-try"));
	}
}

static void slow_clients_do_not_count(struct stage *stage)
{
	three_take_too_long(stage, "slow");
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
	three_take_too_long(stage, "slow body");
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
}

/* The client has more to send, and it is the endpoint that does not take it. */
static void who_does_not_read_counts(struct stage *stage)
{
	for (int i = 0; i < 2; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, POST_9);
		io_peer_window(reaches(stage, WEB_ENDPOINT), 0);
		peer_sends(stage, client, "slow");
		stage_run(stage, 110 * NS_PER_MS);
		WANT(stage, is_answered(stage, client, "504", "per-try"));
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
}

/* It waits for a socket of this node's. */
static void what_was_not_dialled_does_not_count(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	kernel_double_dry(true);
	for (int i = 0; i < 3; i++) {
		peer_sends(stage, client, GET);
		stage_run(stage, 110 * NS_PER_MS);
		WANT(stage, is_answered(stage, client, "504", "per-try"));
	}
	kernel_double_dry(false);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 0);
}

/* The service "any" is dialled before its request is there. */
static void a_probe_may_be_dialled_ahead(struct stage *stage)
{
	for (int i = 0; i < 3; i++) {
		bool fails = i < 2;
		struct io_peer *client = client_connect(stage, ANY);
		struct io_peer *server = reaches(stage, ANY_ENDPOINT);
		peer_sends(stage, client, GET);
		sees(stage, server, GET);
		peer_sends(stage, server, fails ? UNAVAILABLE : HELLO);
		sees(stage, client, fails ? UNAVAILABLE : HELLO);
		io_peer_finish(client);
		io_peer_finish(server);
		stage_run(stage, i == 1 ? 5100 * NS_PER_MS : NS_PER_MS);
	}
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_PROBED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REVIVED) == 1);
}

/* A config that changes something else keeps what is known; a replica that is gone is forgotten. */
static void another_weight(struct stage_draft *all)
{
	half_out(all);
	all->endpoints[6].weight = 2;
}

static void a_new_config_keeps_it_out(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	requests_that_reach(stage, client, 1, 1u << 1, 8);
	stage_publish_later(stage);
	stage_settle(stage);
	WANT(stage, requests_that_reach(stage, client, 1, 1u << 1, 12) == 0);
}

#define TEST(name, configure, later)                                                               \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		play_in_order(name, configure, later);                                             \
	}

TEST(it_is_left_out_and_probed, half_out, NULL)
TEST(at_most_half_are_left_out, half_out, NULL)
TEST(when_all_are_out_some_are_used, three_out, NULL)
TEST(few_left_is_a_panic, panicking, NULL)
TEST(refused_dials_count, half_out, NULL)
TEST(cut_answers_count, three_out, NULL)
TEST(a_probe_waits_for_no_body, three_out, NULL)
TEST(clients_that_leave_do_not_count, half_out, NULL)
TEST(clients_that_end_do_not_count, three_out, NULL)
TEST(a_retryable_4xx_does_not_count, once, NULL)
TEST(what_a_pod_may_not_do_does_not_count, three_out, NULL)
TEST(slow_clients_do_not_count, with_limit, NULL)
TEST(who_does_not_read_counts, with_limit, NULL)
TEST(what_was_not_dialled_does_not_count, with_limit, NULL)
TEST(a_probe_may_be_dialled_ahead, three_out, NULL)
TEST(a_new_config_keeps_it_out, half_out, another_weight)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_left_out_and_probed),
		cmocka_unit_test(test_at_most_half_are_left_out),
		cmocka_unit_test(test_when_all_are_out_some_are_used),
		cmocka_unit_test(test_few_left_is_a_panic),
		cmocka_unit_test(test_refused_dials_count),
		cmocka_unit_test(test_cut_answers_count),
		cmocka_unit_test(test_a_probe_waits_for_no_body),
		cmocka_unit_test(test_clients_that_leave_do_not_count),
		cmocka_unit_test(test_clients_that_end_do_not_count),
		cmocka_unit_test(test_a_retryable_4xx_does_not_count),
		cmocka_unit_test(test_what_a_pod_may_not_do_does_not_count),
		cmocka_unit_test(test_slow_clients_do_not_count),
		cmocka_unit_test(test_who_does_not_read_counts),
		cmocka_unit_test(test_what_was_not_dialled_does_not_count),
		cmocka_unit_test(test_a_probe_may_be_dialled_ahead),
		cmocka_unit_test(test_a_new_config_keeps_it_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
