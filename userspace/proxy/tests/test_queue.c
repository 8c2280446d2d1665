/* Caps of a service and of its endpoints, and who waits where they are reached. */
#include "rules.h"

#define OF(path) "GET " path " HTTP/1.1\r\nHost: web\r\n\r\n"
#define POST     "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 11\r\n\r\n"
#define NACK     "l5d-retryable: true\r\nfinagle-http-nack: true\r\nRetry-After: 0\r\n"

static void two_wait(struct stage_draft *all)
{
	rules_of(all, "web")->limit.concurrency = 1;
	rules_of(all, "web")->limit.queue = 2;
	rules_of(all, "web")->limit.queue_wait_ns = 100 * NS_PER_MS;
}

static void one_waits(struct stage_draft *all)
{
	two_wait(all);
	rules_of(all, "web")->limit.queue = 1;
}

static void one_waits_and_is_delayed(struct stage_draft *all)
{
	one_waits(all);
	rules_of(all, "web")->fault.by_header = 1;
}

static void one_each(struct stage_draft *all)
{
	rules_of(all, "many")->limit.endpoint_concurrency = 1;
}

static void one_each_and_a_queue(struct stage_draft *all)
{
	one_each(all);
	rules_of(all, "many")->limit.queue = 2;
	rules_of(all, "many")->limit.queue_wait_ns = 100 * NS_PER_MS;
}

static void one_each_and_retries(struct stage_draft *all)
{
	one_each_and_a_queue(all);
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
}

static bool is_refused(struct stage *stage, struct io_peer *client)
{
	return is_answered(stage, client, "503", NACK);
}

/* ---- of the service ---- */

static void in_order(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	struct io_peer *fourth = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	peer_sends(stage, third, OF("/3"));
	peer_sends(stage, fourth, OF("/4"));
	WANT(stage, is_refused(stage, fourth));
	sees(stage, server, "");
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	sees(stage, server, OF("/2"));
	/* who comes now is behind the third */
	peer_sends(stage, first, OF("/1"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, third, HELLO);
	sees(stage, server, OF("/1"));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_QUEUED) == 3);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void too_long(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	stage_run(stage, 90 * NS_PER_MS);
	sees(stage, second, "");
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_refused(stage, second));
	WANT(stage, counted(stage, WEFT_PROXY_QUEUE_TIMEOUT) == 1);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	/* its connection goes on */
	peer_sends(stage, second, OF("/3"));
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

static void leaves(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	stage_settle(stage);
	io_peer_reset(second);
	stage_settle(stage);
	peer_sends(stage, third, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, third, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 0);
}

static void with_a_body(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, POST "hello ");
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	peer_sends(stage, second, "world");
	/* a POST takes no connection that has been idle for long; this one was not */
	sees(stage, server, POST "hello world");
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

static void until_a_deadline(struct stage *stage)
{
	char text[160];
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	reaches(stage, WEB_ENDPOINT);
	uint64_t now_ns = io_wall_ns(stage->worker.ring);
	snprintf(text, sizeof(text),
		 "GET /2 HTTP/1.1\r\nHost: web\r\nl5d-ctx-deadline: 5 %llu\r\n\r\n",
		 (unsigned long long)(now_ns - 50 * NS_PER_MS));
	peer_sends(stage, second, text);
	stage_run(stage, 60 * NS_PER_MS);
	WANT(stage, is_answered(stage, second, "504", "deadline"));
}

/* The fault's delay begins when it has its place. */
static void delayed_then(struct stage *stage)
{
	static const char late[] = "GET /2 HTTP/1.1\r\nHost: web\r\nweft-fault: delay=20ms\r\n\r\n";
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, late);
	stage_run(stage, 30 * NS_PER_MS);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	stage_run(stage, 15 * NS_PER_MS);
	sees(stage, server, "");
	stage_run(stage, 10 * NS_PER_MS);
	sees(stage, server, late);
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

/* ---- of the endpoints ---- */

static void fill(struct stage *stage, struct io_peer *clients[REPLICAS],
		 struct io_peer *servers[REPLICAS])
{
	for (unsigned i = 0; i < REPLICAS; i++) {
		clients[i] = client_connect(stage, MANY);
		peer_sends(stage, clients[i], GET);
		servers[i] = reaches_any(stage, NULL);
		sees(stage, servers[i], GET);
	}
	for (unsigned i = 0; i < REPLICAS; i++)
		WANT(stage, dials_to(replicas[i]) == 1);
}

static void the_one_with_room(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	fill(stage, clients, servers);
	peer_sends(stage, fifth, GET);
	WANT(stage, is_refused(stage, fifth));
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
	for (unsigned i = 0; i < 3; i++) { /* whichever is free, it is found */
		unsigned free = (2 * i + 1) % REPLICAS;
		peer_sends(stage, servers[free], HELLO);
		sees(stage, clients[free], HELLO);
		peer_sends(stage, fifth, GET);
		sees(stage, servers[free], GET);
		peer_sends(stage, servers[free], HELLO);
		sees(stage, fifth, HELLO);
		peer_sends(stage, clients[free], GET);
		sees(stage, servers[free], GET);
	}
}

static void waits_for_room(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	struct io_peer *sixth = client_connect(stage, MANY);
	struct io_peer *seventh = client_connect(stage, MANY);
	fill(stage, clients, servers);
	peer_sends(stage, fifth, OF("/5"));
	peer_sends(stage, sixth, OF("/6"));
	peer_sends(stage, seventh, OF("/7"));
	WANT(stage, is_refused(stage, seventh));
	stage_run(stage, 50 * NS_PER_MS);
	peer_sends(stage, servers[2], HELLO);
	sees(stage, clients[2], HELLO);
	stage_run(stage, 2 * NS_PER_MS);
	sees(stage, servers[2], OF("/5"));
	peer_sends(stage, servers[1], HELLO);
	sees(stage, clients[1], HELLO);
	stage_run(stage, 2 * NS_PER_MS);
	sees(stage, servers[1], OF("/6"));
	peer_sends(stage, servers[1], HELLO);
	sees(stage, sixth, HELLO);
	/* one more waits in vain */
	peer_sends(stage, sixth, OF("/6"));
	sees(stage, servers[1], OF("/6"));
	peer_sends(stage, clients[1], GET);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, is_refused(stage, clients[1]));
	WANT(stage, counted(stage, WEFT_PROXY_QUEUE_TIMEOUT) == 1);
}

/* A second try that finds all others full asks the same one again. */
static void a_retry_takes_its_own_place(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	fill(stage, clients, servers);
	peer_sends(stage, servers[0], UNAVAILABLE);
	stage_run(stage, 2 * NS_PER_MS);
	struct io_peer *again = NULL;
	for (unsigned i = 0; i < REPLICAS && !again; i++)
		again = server_reached(stage, replicas[i]);
	again = again ? again : servers[0];
	WANT(stage, io_peer_received(again).size > 0);
	sees(stage, again, GET);
	peer_sends(stage, again, HELLO);
	sees(stage, clients[0], HELLO);
}

#define TEST(name, run, configure)                                                                 \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(run, configure);                                                         \
	}

TEST(requests_wait_in_order_and_no_more_than_may, in_order, two_wait)
TEST(who_waits_too_long_is_refused, too_long, one_waits)
TEST(a_client_that_leaves_leaves_the_queue, leaves, one_waits)
TEST(a_body_is_kept_while_it_waits, with_a_body, one_waits)
TEST(a_deadline_ends_the_wait, until_a_deadline, one_waits)
TEST(a_delay_on_purpose_comes_after_the_wait, delayed_then, one_waits_and_is_delayed)
TEST(an_endpoint_at_its_cap_is_not_picked, the_one_with_room, one_each)
TEST(requests_wait_for_an_endpoint, waits_for_room, one_each_and_a_queue)
TEST(a_second_try_counts_once, a_retry_takes_its_own_place, one_each_and_retries)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_in_order_and_no_more_than_may),
		cmocka_unit_test(who_waits_too_long_is_refused),
		cmocka_unit_test(a_client_that_leaves_leaves_the_queue),
		cmocka_unit_test(a_body_is_kept_while_it_waits),
		cmocka_unit_test(a_deadline_ends_the_wait),
		cmocka_unit_test(a_delay_on_purpose_comes_after_the_wait),
		cmocka_unit_test(an_endpoint_at_its_cap_is_not_picked),
		cmocka_unit_test(requests_wait_for_an_endpoint),
		cmocka_unit_test(a_second_try_counts_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
