/* The page of connections: what it says of each, and a worker that does not answer. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static const struct span all_pods;

struct asked {
	unsigned answers;
	char *json; /* NULL: the answer was NULL */
};

static void on_answer(void *request, const char *json)
{
	struct asked *asked = request;
	asked->answers++;
	asked->json = json ? strdup(json) : NULL;
}

/* Asks from a ring of its own, as the control thread does. */
static void ask(struct stage *stage, struct asked *asked)
{
	struct io_options options = {.entries = 8};
	struct io_ring *control;
	*asked = (struct asked){0};
	assert_int_equal(io_ring_open(&options, &control), 0);
	workers_connections((struct workers *)(void *)stage, control, all_pods, on_answer, asked);
	assert_int_equal(asked->answers, 0);
	stage_settle(stage);
	io_double_settle(control);
	io_ring_close(control);
}

static bool says(const struct asked *asked, const char *text)
{
	return asked->json && strstr(asked->json, text);
}

#define MANY_CLIENTS 400 /* more than a turn shows */

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

/* A turn shows some; those that end meanwhile may be left out, nothing else is. */
static void many_connections_take_several_turns(void **state)
{
	struct stage stage;
	struct asked asked = {0};
	struct io_peer *clients[MANY_CLIENTS];
	struct io_options options = {.entries = 8};
	struct io_ring *control;
	(void)state;
	stage_open(&stage, NULL, NULL);
	for (unsigned i = 0; i < MANY_CLIENTS; i++)
		clients[i] = client_connect(&stage, WEB);
	stage_run(&stage, NS_PER_MS);
	assert_int_equal(io_ring_open(&options, &control), 0);
	workers_connections((struct workers *)(void *)&stage, control, all_pods, on_answer, &asked);
	io_turn(stage.worker.ring, 0);
	assert_false(list_is_empty(&stage.worker.places));
	for (unsigned i = 250; i < 300; i++)
		io_peer_reset(clients[i]);
	stage_settle(&stage);
	client_connect(&stage, WEB);
	assert_true(list_is_empty(&stage.worker.places));
	io_double_settle(control);
	io_ring_close(control);
	assert_int_equal(asked.answers, 1);
	assert_in_range(count_of(asked.json, "\"state\""), MANY_CLIENTS - 50, MANY_CLIENTS);
	assert_null(strstr(asked.json, ",,"));
	free(asked.json);
	stage_empty(&stage);
	stage_close(&stage);
}

static void each_connection_is_shown(void **state)
{
	struct stage stage;
	struct asked asked;
	(void)state;
	stage_open(&stage, NULL, NULL);
	ask(&stage, &asked);
	assert_string_equal(asked.json, "[]");
	free(asked.json);

	struct io_peer *client = client_connect(&stage, WEB);
	client_connect(&stage, ANY);
	client_connect(&stage, RAW);
	client_connect(&stage, STRANGER);
	ask(&stage, &asked);
	assert_true(says(&asked, "\"state\":\"waiting\",\"service\":\"web\""));
	assert_true(says(&asked, "\"state\":\"undecided\",\"service\":\"any\""));
	assert_true(says(&asked, "\"state\":\"tunnel\",\"service\":\"raw\""));
	assert_true(says(&asked, "\"state\":\"undecided\",\"service\":\"192.0.2.1:99\""));
	assert_true(says(&asked, "\"destination\":\"10.96.0.3:80\""));
	assert_true(says(&asked, "\"endpoint\":\"10.0.3.1:80\",\"endpoint_leg\":\"tcp\""));
	assert_true(says(&asked, "\"app_leg\":\"tcp\""));
	assert_true(says(&asked, "\"pod\":\"client\""));
	assert_true(says(&asked, "\"app\":\"10.0.0.9:30000\""));
	free(asked.json);

	peer_sends(&stage, client, GET);
	ask(&stage, &asked);
	assert_true(says(&asked, "\"state\":\"exchange\",\"service\":\"web\""));
	free(asked.json);
	peer_sends(&stage, server_reached(&stage, WEB_ENDPOINT), HELLO);
	ask(&stage, &asked);
	assert_true(says(&asked, "\"state\":\"http_idle\",\"service\":\"web\""));
	assert_true(says(&asked, "\"requests\":1"));
	assert_int_equal(asked.json[0], '[');
	assert_int_equal(asked.json[strlen(asked.json) - 1], ']');
	free(asked.json);
	stage_empty(&stage);
	stage_close(&stage);
}

static void asked_of(struct stage *stage, const char *pod, struct asked *asked)
{
	struct io_options options = {.entries = 8};
	struct io_ring *control;
	*asked = (struct asked){0};
	assert_int_equal(io_ring_open(&options, &control), 0);
	workers_connections((struct workers *)(void *)stage, control, span_text(pod), on_answer,
			    asked);
	stage_settle(stage);
	io_double_settle(control);
	io_ring_close(control);
}

static void they_may_be_those_of_one_pod(void **state)
{
	struct stage stage;
	struct asked asked;
	(void)state;
	stage_open(&stage, NULL, NULL);
	client_connect(&stage, WEB);
	asked_of(&stage, "nobody", &asked);
	assert_string_equal(asked.json, "[]");
	free(asked.json);
	asked_of(&stage, "client", &asked);
	assert_true(says(&asked, "\"service\":\"web\""));
	free(asked.json);
	stage_empty(&stage);
	stage_close(&stage);
}

static void mesh_on(struct stage_draft *all)
{
	all->draft.settings.shortcut = WEFT_SHORTCUT_ON;
}

static void expect_legs(struct stage *stage, const char *app_leg, const char *endpoint_leg)
{
	struct asked asked;
	char app[64];
	char endpoint[64];
	snprintf(app, sizeof(app), "\"app_leg\":\"%s\"", app_leg);
	snprintf(endpoint, sizeof(endpoint), "\"endpoint_leg\":\"%s\"", endpoint_leg);
	ask(stage, &asked);
	if (!says(&asked, app) || !says(&asked, endpoint))
		fail_msg("%s and %s: %s", app, endpoint, asked.json);
	free(asked.json);
}

/* Each leg for itself: "shortcut", why it is back on TCP, or "tcp" when it has none or no more. */
static void each_leg_says_what_became_of_it(void **state)
{
	struct stage stage;
	struct weft_flow flow = {.destination = address_of(RAW), .leg = 100, .leg_slot = 0};
	const struct weft_leg_end end = {.leg = 101, .slot = 1, .side = WEFT_LEG_DIALLER};
	(void)state;
	stage_open(&stage, mesh_on, NULL);
	*kernel_double_leg(0) = (struct weft_leg){.id = 100, .ends = 2};
	*kernel_double_leg(1) = (struct weft_leg){.id = 101, .ends = 2};
	kernel_double_leg_next(&end);
	flow.service_id = service_id_at(&stage, RAW);
	client_dials_as(&stage, &flow);
	stage_settle(&stage);
	expect_legs(&stage, "shortcut", "shortcut");
	kernel_double_leg(0)->demoted = WEFT_REASON_DEMOTED_WINDOW;
	expect_legs(&stage, "demoted_window", "shortcut");
	kernel_double_leg(1)->demoted = WEFT_REASON_DEMOTED_OPTION;
	expect_legs(&stage, "demoted_window", "demoted_option");
	kernel_double_leg(1)->id = 102; /* the slot is another connection's */
	expect_legs(&stage, "demoted_window", "tcp");
	kernel_double_leg(0)->id = 0;
	expect_legs(&stage, "tcp", "tcp");
	stage_empty(&stage);
	stage_close(&stage);
}

/* One second, then NULL; the late answer is thrown away. */
static void a_worker_that_does_not_answer_is_given_up(void **state)
{
	struct stage stage;
	struct io_options options = {.entries = 8};
	struct io_ring *control;
	struct asked asked = {0};
	(void)state;
	stage_open(&stage, NULL, NULL);
	assert_int_equal(io_ring_open(&options, &control), 0);
	workers_connections((struct workers *)(void *)&stage, control, all_pods, on_answer, &asked);
	io_double_run(control, NS_PER_S - NS_PER_MS);
	assert_int_equal(asked.answers, 0);
	io_double_run(control, 2 * NS_PER_MS);
	assert_int_equal(asked.answers, 1);
	assert_null(asked.json);
	stage_settle(&stage);
	io_double_settle(control);
	assert_int_equal(asked.answers, 1);
	io_ring_close(control);
	stage_close(&stage);
}

static void asking_survives_any_failing_allocation(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct stage stage;
		struct io_options options = {.entries = 8};
		struct io_ring *control;
		struct asked asked = {0};
		stage_open(&stage, NULL, NULL);
		client_connect(&stage, WEB);
		client_connect(&stage, RAW);
		assert_int_equal(io_ring_open(&options, &control), 0);
		mem_fail_nth(n);
		workers_connections((struct workers *)(void *)&stage, control, all_pods, on_answer,
				    &asked);
		stage_settle(&stage);
		io_double_settle(control);
		bool has_failed = nth_has_failed(n);
		assert_int_equal(asked.answers, 1);
		assert_true(has_failed || asked.json);
		free(asked.json);
		io_ring_close(control);
		stage_empty(&stage);
		stage_close(&stage);
		if (!has_failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_connection_is_shown),
		cmocka_unit_test(they_may_be_those_of_one_pod),
		cmocka_unit_test(each_leg_says_what_became_of_it),
		cmocka_unit_test(many_connections_take_several_turns),
		cmocka_unit_test(a_worker_that_does_not_answer_is_given_up),
		cmocka_unit_test(asking_survives_any_failing_allocation),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
