/* What the balancer is told of attempts, and what it is asked. */
#include "policy/balance_key.h"
#include "script.h"

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"

static const struct endpoint_load *load_of(struct stage *stage, const char *service, uint32_t at)
{
	const struct service *of =
		snapshot_service_named(snapshot_current(stage->slot), span_text(service));
	return balances_load(&stage->worker.balances, &of->endpoints[at]);
}

static unsigned active(struct stage *stage, const char *service)
{
	const struct endpoint_load *load = load_of(stage, service, 0);
	return load ? load->active : 0;
}

static double cost_ms(struct stage *stage, const char *service)
{
	const struct endpoint_load *load = load_of(stage, service, 0);
	return load ? load->cost_ns / 1e6 : 0;
}

/* From taking the endpoint to the answer's head (linkerd1.md L2), however long its body takes. */
static void takes_a_while(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 200 * NS_PER_MS);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
	WANT(stage, active(stage, "web") == 1);
	WANT(stage, cost_ms(stage, "web") >= 199 && cost_ms(stage, "web") < 220);
	stage_run(stage, 300 * NS_PER_MS);
	WANT(stage, active(stage, "web") == 1);
	peer_sends(stage, server, "lo");
	sees(stage, client, HELLO);
	WANT(stage, active(stage, "web") == 0);
	WANT(stage, cost_ms(stage, "web") >= 199 && cost_ms(stage, "web") < 220);
}

static void fails_at_once(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 200 * NS_PER_MS);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET);
	peer_sends(stage, server, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	sees(stage, client, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	WANT(stage, cost_ms(stage, "web") >= 199 && cost_ms(stage, "web") < 220);
}

static void refuses(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	stage_settle(stage);
	WANT(stage, cost_ms(stage, "web") == 1000);
}

static void cuts_its_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
	io_peer_reset(server);
	stage_settle(stage);
	WANT(stage, cost_ms(stage, "web") == 1000);
}

static void client_gives_up(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	reaches(stage, WEB_ENDPOINT);
	stage_run(stage, 3 * NS_PER_S);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, cost_ms(stage, "web") >= 2999 && cost_ms(stage, "web") < 3100);
}

/* Its length says nothing of the endpoint. */
static void a_long_tunnel(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	peer_sends(stage, client, "hello");
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	stage_run(stage, 60 * NS_PER_S);
	WANT(stage, active(stage, "raw") == 1);
	io_peer_finish(client);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, active(stage, "raw") == 0);
	WANT(stage, cost_ms(stage, "raw") < 100);
}

/* A client that is silent for long on a connection that was dialled ahead. */
static void a_late_request(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	stage_run(stage, 60 * NS_PER_S);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	stage_run(stage, 10 * NS_PER_MS);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, cost_ms(stage, "any") < 50);
}

static void moves_the_endpoint(struct stage_draft *all)
{
	all->endpoints[0].address.ip[15] = 2;
}

/* What is in flight at an endpoint that leaves finishes, and its connection goes to no pool. */
static void leaves_in_flight(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	stage_publish_later(stage);
	stage_run(stage, 500 * NS_PER_MS);
	WANT(stage, !io_peer_is_closed(server));
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
}

static void removes_the_service(struct stage_draft *all)
{
	all->services[0] = all->services[4];
	all->draft.services.count--;
}

static bool is_known(struct stage *stage, uint32_t service_id)
{
	return stage->worker.balances.states[service_id] != NULL;
}

static void its_service_goes(struct stage *stage)
{
	uint32_t id = service_id_at(stage, WEB);
	peer_sends(stage, client_connect(stage, WEB), GET);
	peer_sends(stage, reaches(stage, WEB_ENDPOINT), HELLO);
	WANT(stage, is_known(stage, id));
	stage_publish_later(stage);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, !is_known(stage, id));
}

/* ---- hash ---- */

#define KEYED "GET /a HTTP/1.1\r\nHost: web\r\nX-User: %s\r\n\r\n"

static void hash_of_user(struct stage_draft *all)
{
	all->services[3].balancer = BALANCER_HASH;
	all->services[3].balancing.hash_on = HASH_ON_HEADER;
	all->services[3].hash_name = "x-user";
}

static void hash_of_user_undeclared(struct stage_draft *all)
{
	hash_of_user(all);
	all->services[3].protocol = PROTOCOL_AUTO;
}

/* Whom the ring says. */
static const char *wanted(struct stage *stage, const char *user)
{
	const struct service *service =
		snapshot_service_named(snapshot_current(stage->slot), span_text("many"));
	struct rng rng;
	struct balances fresh = {0};
	struct balance_request request = {.has_key = true};
	struct http_field field = {span_text("x-user"), span_text(user)};
	struct http_head head = {.field_count = 1, .fields = &field};
	rng_init(&rng, 1);
	balances_adopt(&fresh, snapshot_current(stage->slot));
	balance_key(service, &head, request.client_ip, &request.key);
	const struct endpoint *endpoint = balance_pick(&fresh, service, &request, &rng);
	balances_fini(&fresh);
	return endpoint->text;
}

static void users_have_their_endpoint(struct stage *stage)
{
	static const char *const users[] = {"ann", "bob", "cleo", "dan",
					    "eve", "ann", "bob",  "eve"};
	for (size_t i = 0; i < array_count(users); i++) {
		char text[128], endpoint[ADDRESS_TEXT_MAX];
		snprintf(text, sizeof(text), KEYED, users[i]);
		snprintf(endpoint, sizeof(endpoint), "%s", wanted(stage, users[i]));
		struct io_peer *client = client_connect(stage, MANY);
		peer_sends(stage, client, text);
		struct io_peer *server = reaches(stage, endpoint);
		if (io_peer_received(server).size ==
		    0) /* dialled ahead, before the header was known */
			server = reaches(stage, endpoint);
		sees(stage, server, text);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
		io_peer_reset(client);
		stage_run(stage, 3 * NS_PER_S); /* the pool is empty for the next */
	}
}

/* ---- stickiness ---- */

static void with_cookie(struct stage_draft *all)
{
	all->services[3].sticky_cookie = "stick";
	all->draft.settings.sticky_secret = (char *)"s3cret";
}

/* The value of the Set-Cookie that the client has seen; false = none. */
static bool seen_cookie(struct io_peer *client, char value[17])
{
	static const char mark[] = "\r\nSet-Cookie: stick=";
	struct span got = io_peer_received(client);
	const char *found = got.size ? memmem(got.data, got.size, mark, strlen(mark)) : NULL;
	static const char rest[] = "; Path=/; HttpOnly\r\n";
	if (!found)
		return false;
	const char *text = found + strlen(mark);
	assert_true(got.data + got.size > text + 16 + strlen(rest));
	assert_memory_equal(text + 16, rest, strlen(rest));
	memcpy(value, text, 16);
	value[16] = 0;
	return true;
}

/* One request with this Cookie field; returns which of the four endpoints it reached. */
static int ask(struct stage *stage, const char *cookie, char value[17], bool *ret_sets)
{
	char text[160];
	snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: web\r\n%s%s\r\n", cookie,
		 *cookie ? "\r\n" : "");
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, text);
	int at = 3;
	struct io_peer *server = NULL;
	while (at < 7 && !(server = server_reached(stage, stage_endpoints[at])))
		at++;
	WANT(stage, server);
	peer_sends(stage, server, HELLO);
	stage_settle(stage);
	WANT(stage, io_peer_received(client).size > strlen(HELLO) - 1);
	*ret_sets = seen_cookie(client, value);
	io_peer_reset(client);
	stage_run(stage, 3 * NS_PER_S);
	return at;
}

static void clients_stick(struct stage *stage)
{
	char value[17], again[17], field[64];
	bool sets;
	for (int i = 0; i < 4; i++) {
		int first = ask(stage, "", value, &sets);
		WANT(stage, sets);
		snprintf(field, sizeof(field), "Cookie: a=b; stick=%s", value);
		for (int j = 0; j < 3; j++) {
			WANT(stage, ask(stage, field, again, &sets) == first);
			WANT(stage, !sets);
		}
	}
	ask(stage, "Cookie: stick=0123456789abcdef", again, &sets); /* one that is gone */
	WANT(stage, sets);
	ask(stage, "Cookie: stick=nonsense", again, &sets);
	WANT(stage, sets);
}

#define PLAY(name, scenario)                                                                       \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(scenario);                                                                    \
	}

PLAY(an_answers_time_counts_to_its_head, takes_a_while)
PLAY(a_fast_failure_is_no_fast_server, fails_at_once)
PLAY(a_refused_dial_costs_a_second, refuses)
PLAY(a_cut_answer_costs_a_second, cuts_its_answer)
PLAY(a_client_that_gives_up_shows_how_slow_it_was, client_gives_up)
PLAY(a_tunnel_is_not_slow_for_being_long, a_long_tunnel)
PLAY(a_silent_client_does_not_make_the_endpoint_slow, a_late_request)

static void an_endpoint_that_leaves_finishes_what_is_in_flight(void **state)
{
	(void)state;
	play_all(&(struct play){.run = leaves_in_flight, .later = moves_the_endpoint});
}

static void what_is_known_of_a_service_goes_with_it(void **state)
{
	(void)state;
	play_all(&(struct play){.run = its_service_goes, .later = removes_the_service});
}

static void what_a_header_hashes_to_gets_the_request(void **state)
{
	(void)state;
	struct stage stage;
	for (int i = 0; i < 2; i++) {
		stage_open(&stage, i ? hash_of_user_undeclared : hash_of_user, NULL);
		act(&stage, users_have_their_endpoint);
		stage_close(&stage);
	}
}

static void a_cookie_keeps_the_endpoint(void **state)
{
	(void)state;
	play_with(clients_stick, with_cookie);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answers_time_counts_to_its_head),
		cmocka_unit_test(a_fast_failure_is_no_fast_server),
		cmocka_unit_test(a_refused_dial_costs_a_second),
		cmocka_unit_test(a_cut_answer_costs_a_second),
		cmocka_unit_test(a_client_that_gives_up_shows_how_slow_it_was),
		cmocka_unit_test(a_tunnel_is_not_slow_for_being_long),
		cmocka_unit_test(a_silent_client_does_not_make_the_endpoint_slow),
		cmocka_unit_test(an_endpoint_that_leaves_finishes_what_is_in_flight),
		cmocka_unit_test(a_cookie_keeps_the_endpoint),
		cmocka_unit_test(what_is_known_of_a_service_goes_with_it),
		cmocka_unit_test(what_a_header_hashes_to_gets_the_request),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
