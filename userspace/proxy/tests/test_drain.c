/* How a pod leaves a worker: what is idle ends, what is busy finishes, the rest is cut. */
#include "script.h"

#define GET    "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GOODBY "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

#define LIMIT_NS (10 * NS_PER_S)
#define GRACE_NS (300 * NS_PER_MS) /* for dials that passed the hook just before */

static void idle_is_closed(struct stage *stage)
{
	struct io_peer *silent = client_connect(stage, WEB);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
	WANT(stage, io_peer_is_closed(server));
	io_peer_finish(client);
	WANT(stage, !io_peer_saw_fin(silent)); /* it may be about to send its first request */
	stage_run(stage, NS_PER_S + 250 * NS_PER_MS);
	WANT(stage, io_peer_saw_fin(silent) && !io_peer_saw_reset(silent));
	io_peer_finish(silent);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
	WANT(stage, io_double_open_count() == 0);
	WANT(stage, counted(stage, WEFT_PROXY_DRAINED) == 2);
}

static void new_one_is_served(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, NS_PER_S / 2);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, client, GOODBY);
	io_peer_finish(client);
	stage_run(stage, NS_PER_S + 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
}

static void active_finishes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, 5 * NS_PER_S);
	WANT(stage, stage->pods_left == 0);
	peer_sends(stage, server, HELLO);
	sees(stage, client, GOODBY);
	WANT(stage, io_peer_saw_fin(client));
	WANT(stage, io_peer_is_closed(server)); /* not into the pool */
	io_peer_finish(client);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
}

/* The head of the answer promised to go on; what was pipelined behind it is not answered. */
static void body_under_way(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_settle(stage);
	peer_sends(stage, server, "llo");
	sees(stage, client, HELLO);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
}

static void head_under_way(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_settle(stage);
	WANT(stage, !io_peer_saw_fin(client));
	peer_sends(stage, client, "Host: web\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, GOODBY);
	WANT(stage, io_peer_saw_fin(client));
}

static void tunnel_is_cut(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, LIMIT_NS);
	peer_sends(stage, client, "still here");
	sees(stage, server, "still here");
	stage_run(stage, GRACE_NS + 250 * NS_PER_MS);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, stage->pods_left == 1);
	WANT(stage, counted(stage, WEFT_PROXY_DRAINED) == 1);
}

static void tunnel_ends_in_time(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, NS_PER_S);
	io_peer_send(client, span_text("bye"));
	io_peer_finish(client);
	io_peer_finish(server);
	sees(stage, server, "bye");
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, !io_peer_saw_reset(client) && !io_peer_saw_reset(server));
	WANT(stage, stage->pods_left == 1);
}

static void late_dial(struct stage *stage)
{
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, 200 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	stage_run(stage, NS_PER_S);
	peer_sends(stage, server, HELLO);
	sees(stage, client, GOODBY);
	io_peer_finish(client);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
}

static void waits_for_a_socket(struct stage *stage)
{
	kernel_double_dry(true);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	stage_run(stage, 500 * NS_PER_MS);
	kernel_double_dry(false);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, GOODBY);
	io_peer_finish(client);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
}

static void empty_pod(struct stage *stage)
{
	worker_pod_drain(&stage->worker, 1, LIMIT_NS);
	WANT(stage, stage->pods_left == 0);
	stage_run(stage, GRACE_NS - NS_PER_MS);
	WANT(stage, stage->pods_left == 0); /* accepts what is under way */
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, stage->pods_left == 1);
	stage_run(stage, 20 * NS_PER_S);
	WANT(stage, stage->pods_left == 1);
}

/* A pod that this worker never had is told as left at once: somebody counts the answers. */
static void unknown_pod(struct stage *stage)
{
	worker_pod_drain(&stage->worker, 77, LIMIT_NS);
	WANT(stage, stage->pods_left == 1);
	stage->pods_left = 0;
}

#define TEST(name, run)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(run);                                                                         \
	}

TEST(what_is_idle_is_closed_at_once, idle_is_closed)
TEST(a_new_connection_gets_its_first_request_answered, new_one_is_served)
TEST(an_exchange_finishes_with_connection_close, active_finishes)
TEST(an_answer_under_way_is_finished, body_under_way)
TEST(a_head_under_way_is_still_answered, head_under_way)
TEST(a_tunnel_is_cut_at_the_limit, tunnel_is_cut)
TEST(a_tunnel_may_end_before_the_limit, tunnel_ends_in_time)
TEST(a_dial_that_was_under_way_is_served, late_dial)
TEST(a_dial_that_waits_for_a_socket_is_served, waits_for_a_socket)

static void an_empty_pod_leaves_after_the_grace(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	act(&stage, empty_pod);
	stage_close(&stage);
}

static void a_pod_without_memory_keeps_no_listener(void **state)
{
	struct stage stage;
	struct stock_place place = {.netns_path = "/run/netns/other"};
	struct stock_listeners listeners;
	struct stock_pod *other;
	struct text why = {0};
	(void)state;
	stage_open(&stage, NULL, NULL);
	size_t open_before = io_double_open_count();
	assert_int_equal(stock_pod_open(stage.stock, 2, &place, &why, &other, &listeners), 0);
	assert_int_equal(io_double_open_count(), open_before + 2 * WEFT_LANES);
	mem_fail_nth(1);
	stage_order_pod(&stage, 2, other, &listeners);
	mem_fail_nth(0);
	stage_settle(&stage);
	assert_int_equal(stage.pods_not_served, 1);
	assert_int_equal(stage.pods_served, 1);
	assert_int_equal(counted(&stage, WEFT_PROXY_OUT_OF_MEMORY), 1);
	assert_int_equal(io_double_open_count(), open_before);
	worker_pod_drain(&stage.worker, 2, LIMIT_NS);
	assert_int_equal(stage.pods_left, 1); /* as one that it never had */
	stage.pods_left = 0;
	stock_pod_close(stage.stock, other);
	stage_close(&stage);
}

static void an_unknown_pod_has_left(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	act(&stage, unknown_pod);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_idle_is_closed_at_once),
		cmocka_unit_test(a_new_connection_gets_its_first_request_answered),
		cmocka_unit_test(an_exchange_finishes_with_connection_close),
		cmocka_unit_test(an_answer_under_way_is_finished),
		cmocka_unit_test(a_head_under_way_is_still_answered),
		cmocka_unit_test(a_tunnel_is_cut_at_the_limit),
		cmocka_unit_test(a_tunnel_may_end_before_the_limit),
		cmocka_unit_test(a_dial_that_was_under_way_is_served),
		cmocka_unit_test(a_dial_that_waits_for_a_socket_is_served),
		cmocka_unit_test(an_empty_pod_leaves_after_the_grace),
		cmocka_unit_test(an_unknown_pod_has_left),
		cmocka_unit_test(a_pod_without_memory_keeps_no_listener),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
