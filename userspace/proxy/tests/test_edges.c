/* What each pod sent where, asked for as the control thread does. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define SORRY "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"

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

/* Lends until the next call. `nth` allocation fails, 0 = none. */
static const char *edges_asked(struct stage *stage, const char *pod, unsigned long nth)
{
	static struct asked asked;
	struct io_options options = {.entries = 8};
	struct io_ring *control;
	free(asked.json);
	asked = (struct asked){0};
	assert_int_equal(io_ring_open(&options, &control), 0);
	mem_fail_nth(nth);
	workers_edges((struct workers *)(void *)stage, control, span_text(pod), on_answer, &asked);
	stage_settle(stage);
	io_double_settle(control);
	io_ring_close(control);
	assert_int_equal(asked.answers, 1);
	return asked.json;
}

static const char *edges_of(struct stage *stage, const char *pod)
{
	return edges_asked(stage, pod, 0);
}

static bool says(struct stage *stage, const char *text)
{
	const char *json = edges_of(stage, "client");
	return json && strstr(json, text);
}

static void requests_are_counted_by_outcome(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	assert_string_equal(edges_of(&stage, ""), "[]");
	struct io_peer *client = client_connect(&stage, WEB);
	assert_true(says(&stage,
			 "[{\"source\":\"client\",\"destination\":\"web\",\"connections\":1,"
			 "\"connections_active\":1,\"connections_failed\":0,\"tunnels\":0,"
			 "\"requests\":0,\"requests_failed\":0,\"p50_us\":null,"
			 "\"p99_us\":null,\"sent_bytes\":0,\"received_bytes\":0}]"));
	peer_sends(&stage, client, GET);
	struct io_peer *server = server_reached(&stage, WEB_ENDPOINT);
	peer_sends(&stage, server, HELLO);
	assert_true(says(&stage, "\"requests\":1,\"requests_failed\":0,\"p50_us\":"));
	assert_false(says(&stage, "\"p50_us\":null"));
	peer_sends(&stage, client, GET);
	peer_sends(&stage, server, SORRY);
	assert_true(says(&stage, "\"requests\":2,\"requests_failed\":1,"));
	peer_sends(&stage, client, "bad\r\n\r\n"); /* refused with 400 */
	assert_true(says(&stage, "\"requests\":3,\"requests_failed\":1,"));
	stage_empty(&stage);
	assert_true(says(&stage, "\"connections\":1,\"connections_active\":0,"));
	stage_close(&stage);
}

static void a_tunnels_bytes_are_there_while_it_is_open_and_after(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	struct io_peer *client = client_connect(&stage, RAW);
	peer_sends(&stage, client, "12345");
	peer_sends(&stage, server_reached(&stage, RAW_ENDPOINT), "1234567");
	static const char open[] =
		"\"connections_active\":1,\"connections_failed\":0,\"tunnels\":1,";
	static const char bytes[] = "\"sent_bytes\":5,\"received_bytes\":7}";
	assert_true(says(&stage, open));
	assert_true(says(&stage, bytes));
	assert_true(says(&stage, bytes)); /* asking changes nothing */
	stage_empty(&stage);
	assert_true(says(&stage, "\"connections_active\":0,"));
	assert_true(says(&stage, bytes));
	stage_close(&stage);
}

static void connections_that_reach_nobody_are_failures(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	endpoint_answers(STRANGER, IO_DOUBLE_REFUSES, 0);
	client_connect(&stage, STRANGER);
	client_connect(&stage, STRANGER);
	assert_true(says(&stage,
			 "\"destination\":\"" STRANGER "\",\"connections\":2,"
			 "\"connections_active\":0,\"connections_failed\":2,\"tunnels\":0"));
	stage_close(&stage);
}

static void destinations_are_apart_and_in_order(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	client_connect(&stage, WEB);
	client_connect(&stage, RAW);
	client_connect(&stage, WEB);
	const char *json = edges_of(&stage, "");
	const char *raw = strstr(json, "\"raw\",\"connections\":1,");
	const char *web = strstr(json, "\"web\",\"connections\":2,");
	assert_true(raw && web && raw < web);
	assert_string_equal(edges_of(&stage, "nobody"), "[]");
	stage_empty(&stage);
	stage_close(&stage);
}

static void too_many_destinations_share_one_row(void **state)
{
	struct edges edges;
	(void)state;
	edges_init(&edges);
	for (unsigned i = 0; i < 2 * EDGES_MOST; i++) {
		char name[32];
		snprintf(name, sizeof(name), "192.0.2.1:%u", i);
		struct edge *edge = edge_take(&edges, name);
		assert_string_equal(edge->destination, i < EDGES_MOST ? name : EDGES_OVERFLOW);
		edge_give(edge, 1, 2);
	}
	assert_int_equal(edges.count, EDGES_MOST);
	assert_int_equal(edges.overflow.counts.connections, EDGES_MOST);
	assert_int_equal(edges.overflow.counts.received_bytes, 2 * EDGES_MOST);
	assert_string_equal(edge_take(&edges, "192.0.2.1:7")->destination, "192.0.2.1:7");
	edges_fini(&edges);
}

static void asking_survives_any_failing_allocation(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct stage stage;
		stage_open(&stage, NULL, NULL);
		client_connect(&stage, WEB);
		client_connect(&stage, RAW);
		const char *json = edges_asked(&stage, "", n);
		bool has_failed = nth_has_failed(n);
		assert_true(has_failed || (json && strstr(json, "\"raw\"")));
		stage_empty(&stage);
		stage_close(&stage);
		if (!has_failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted_by_outcome),
		cmocka_unit_test(a_tunnels_bytes_are_there_while_it_is_open_and_after),
		cmocka_unit_test(connections_that_reach_nobody_are_failures),
		cmocka_unit_test(destinations_are_apart_and_in_order),
		cmocka_unit_test(too_many_destinations_share_one_row),
		cmocka_unit_test(asking_survives_any_failing_allocation),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
