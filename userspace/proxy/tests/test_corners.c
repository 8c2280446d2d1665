/* Corners: attempts that change the endpoint, books that must balance, settings that change. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define POST  "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void an_exchange(struct stage *stage, struct io_peer *client, struct io_peer *server)
{
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static bool has_answered(struct stage *stage, struct io_peer *client, const char *status)
{
	stage_settle(stage);
	struct span got = io_peer_received(client);
	return got.size > 12 && memcmp(got.data + 9, status, 3) == 0;
}

/* As it is, without other orders of completions and without want of memory. */
static void play_once(scenario *run, configuration *configure)
{
	struct stage stage;
	stage_open(&stage, configure, NULL);
	act(&stage, run);
	stage_close(&stage);
}

/* ---- tunnels whose first attempt fails ---- */

static void many_is_opaque(struct stage_draft *all)
{
	all->services[3].protocol = PROTOCOL_OPAQUE;
}

static void fin_before_the_second_attempt(struct stage *stage)
{
	endpoint_answers("10.0.4.1:80", IO_DOUBLE_REFUSES, 10 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, "bytes");
	io_peer_finish(client);
	stage_run(stage, 20 * NS_PER_MS);
	struct io_peer *server = reaches(stage, "10.0.4.2:80");
	sees(stage, server, "bytes");
	WANT(stage, io_peer_saw_fin(server));
	const struct weft_series *first = series_of(stage, "many", "10.0.4.1:80");
	const struct weft_series *second = series_of(stage, "many", "10.0.4.2:80");
	WANT(stage, first->tunnels_opened == 0 && first->bytes_sent == 0);
	WANT(stage, first->connect_failures == 1);
	WANT(stage, second->tunnels_opened == 1 && second->bytes_sent == 5);
	WANT(stage, series_of(stage, "many", "")->bytes_sent == 5);
}

static void many_begins_with_ipv6(struct stage_draft *all)
{
	all->endpoints[3].address = address_of("[2001:db8::1]:80");
}

static void only_ipv6(struct stage_draft *all)
{
	all->endpoints[0].address = address_of("[2001:db8::1]:80");
}

static void other_family(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, POST);
	stage_run(stage, NS_PER_MS);
	sees(stage, reaches(stage, "10.0.4.2:80"), POST);
	WANT(stage, counted(stage, WEFT_PROXY_NO_SOCKET) == 0);
}

static void no_other_family(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	stage_run(stage, NS_PER_MS);
	struct span got = io_peer_received(client);
	WANT(stage, has_answered(stage, client, "502"));
	WANT(stage, memmem(got.data, got.size, "Address family not supported", 28));
}

/* In a pod without IPv6. */
static void an_endpoint_of_a_family_that_the_pod_lacks_fails_at_once(void **state)
{
	(void)state;
	stage_has_no_ipv6 = true;
	play_all(&(struct play){other_family, many_begins_with_ipv6, NULL});
	play_all(&(struct play){no_other_family, only_ipv6, NULL});
	stage_has_no_ipv6 = false;
}

/* ---- a pool between two services ---- */

static void none_shares_an_endpoint(struct stage_draft *all)
{
	all->services[4].endpoints = (struct draft_list){1, &all->endpoints[0]};
}

/* stage_assert_idle looks at the books of both. */
static void two_services_one_endpoint(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, NONE);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	an_exchange(stage, other, server);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
	WANT(stage, series_of(stage, "none", "")->responses[2] == 1);
}

static struct io_peer *client_from(struct stage *stage, const char *source)
{
	struct weft_address app = address_of(source);
	struct weft_flow flow = {.destination = address_of(WEB), .pod_id = 1, .app = app};
	flow.service_id = snapshot_service_at(snapshot_current(stage->slot), &flow.destination)->id;
	kernel_double_flow_next(&flow);
	struct io_peer *client =
		stage_peer(stage, io_double_arrives(stage->listeners.fd4[0][0], &app));
	stage_settle(stage);
	return client;
}

/* An app that bound its socket to one address never speaks from another one. */
static void each_source_has_its_own(struct stage *stage)
{
	struct io_peer *one = client_from(stage, "10.0.0.8:4000");
	peer_sends(stage, one, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	struct io_peer *other = client_from(stage, "10.0.0.7:4000");
	peer_sends(stage, other, GET);
	struct io_peer *second = reaches(stage, WEB_ENDPOINT);
	sees(stage, second, GET);
	WANT(stage, io_peer_source(second)->ip[15] == 7);
	peer_sends(stage, second, HELLO);
	an_exchange(stage, client_from(stage, "10.0.0.8:4001"), server);
}

/* ---- requests that may be sent elsewhere ---- */

static struct io_peer *pooled(struct stage *stage, struct io_peer *client)
{
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	return server;
}

static void interim_then_end(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = pooled(stage, client);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	sees(stage, client, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	io_peer_finish(server);
	WANT(stage, has_answered(stage, client, "502"));
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

/* The upstream's FIN and the next request come in one turn, in either order. */
static void fin_meets_post(struct stage *stage, bool fin_first)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = pooled(stage, client);
	if (fin_first)
		io_peer_finish(server);
	io_peer_send(client, span_text(POST));
	if (!fin_first)
		io_peer_finish(server);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "");
	sees(stage, next, POST);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void fin_then_post(struct stage *stage)
{
	fin_meets_post(stage, true);
}

static void post_then_fin(struct stage *stage)
{
	fin_meets_post(stage, false);
}

static void an_unsent_post_takes_another_connection(void **state)
{
	(void)state;
	play_once(fin_then_post, NULL);
	play_once(post_then_fin, NULL);
}

/* Bytes that no request has asked for come in the turn in which the next one is queued. */
static void stray_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = pooled(stage, client);
	io_peer_send(client, span_text(POST));
	io_peer_send(server, span_text("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "");
	sees(stage, next, POST);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void a_stray_answer_meets_no_request(void **state)
{
	(void)state;
	play_once(stray_answer, NULL);
}

/* The server authenticates the connection by the request alone (RFC 4559 6). */
static void negotiate_without_being_asked(struct stage *stage)
{
	static const char with_token[] =
		"GET /a HTTP/1.1\r\nHost: web\r\nAuthorization: Negotiate YII=\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, WEB);
	peer_sends(stage, client, with_token);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, with_token);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, other, GET);
	struct io_peer *second = reaches(stage, WEB_ENDPOINT);
	sees(stage, second, GET);
	peer_sends(stage, second, HELLO);
	sees(stage, other, HELLO);
	an_exchange(stage, client, server);
}

/* ---- load ---- */

static void many_by_load(struct stage_draft *all)
{
	all->services[3].balancer = BALANCER_P2C;
}

/* Who does not even accept connections must not look idle. */
static void silent_one_is_not_idle(struct stage *stage)
{
	endpoint_answers("10.0.4.1:80", IO_DOUBLE_IS_SILENT, 0);
	for (int i = 0; i < 60; i++)
		peer_sends(stage, client_connect(stage, MANY), GET);
	WANT(stage, dials_to("10.0.4.1:80") <= 18);
}

static void an_endpoint_that_does_not_accept_draws_no_load(void **state)
{
	(void)state;
	play_once(silent_one_is_not_idle, many_by_load);
}

/* ---- clients ---- */

/* A client that pipelines to a service without endpoints and does not read. */
static void refused_pipeline(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, NONE);
	io_peer_window(client, 100);
	for (int i = 0; i < 3000; i++)
		io_peer_send(client, span_text(GET));
	stage_settle(stage);
	WANT(stage, stage->worker.blocks.bytes_in_use < 200000);
	WANT(stage, io_peer_unreceived(client) > 0);
	io_peer_window(client, UINT64_MAX);
	stage_settle(stage);
	WANT(stage, series_of(stage, "none", "")->responses[5] == 3000);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client));
}

static void refusals_are_not_queued_for_ever(void **state)
{
	(void)state;
	play_once(refused_pipeline, NULL);
}

/* Without "Connection: keep-alive" HTTP/1.0 waits for the end (RFC 9112 9.3). */
static void own_answer_to_1_0(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, NONE);
	peer_sends(stage, client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	WANT(stage, has_answered(stage, client, "503"));
	struct span got = io_peer_received(client);
	WANT(stage,
	     io_peer_saw_fin(client) || memmem(got.data, got.size, "Connection: keep-alive", 22));
}

/* The upload filled the window, then left; its client leaves too while it waits. */
static void leaves_after_an_upload(struct stage *stage)
{
	static char body[65536];
	struct io_peer *client = client_connect(stage, WEB);
	memset(body, 'b', sizeof(body));
	peer_sends(stage, client, "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 65536\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_window(server, 1000);
	io_peer_send(client, span_of(body, sizeof(body)));
	stage_settle(stage);
	io_peer_window(server, UINT64_MAX);
	stage_settle(stage);
	WANT(stage, io_peer_received(server).size > sizeof(body));
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(server));
}

static void cut_while_draining(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	sees(stage, reaches(stage, WEB_ENDPOINT), GET);
	worker_pod_drain(&stage->worker, 1, NS_PER_S);
	stage_run(stage, 2 * NS_PER_S);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_DRAINED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_CLOSED) == 0);
}

/* ---- time limits ---- */

static void short_idle(struct stage_draft *all)
{
	all->draft.settings.client_idle_timeout_ns = NS_PER_S;
}

static void head_after_a_pause(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	pooled(stage, client);
	stage_run(stage, 900 * NS_PER_MS);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	stage_run(stage, 5 * NS_PER_S);
	sees(stage, client, "");
	peer_sends(stage, client, "Host: web\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void short_head_long_idle(struct stage_draft *all)
{
	all->draft.settings.header_timeout_ns = 2 * NS_PER_S;
	all->draft.settings.client_idle_timeout_ns = 60 * NS_PER_S;
}

static void slow_second_head(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	pooled(stage, client);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	stage_run(stage, 2 * NS_PER_S + NS_PER_MS);
	WANT(stage, has_answered(stage, client, "408"));
	WANT(stage, counted(stage, WEFT_PROXY_HEADER_TIMEOUT) == 1);
}

static void slow_first_word(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GE");
	stage_run(stage, 2 * NS_PER_S + NS_PER_MS);
	WANT(stage, has_answered(stage, client, "408"));
	WANT(stage, counted(stage, WEFT_PROXY_HEADER_TIMEOUT) == 1);
}

static void idle_tunnels_end(struct stage_draft *all)
{
	all->draft.settings.tunnel_idle_timeout_ns = 5 * NS_PER_S;
}

static void idle_tunnels_stay(struct stage_draft *all)
{
	all->draft.settings.tunnel_idle_timeout_ns = 0;
}

static void limit_goes_away(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	peer_sends(stage, client, "a");
	stage_publish_later(stage);
	stage_run(stage, 11 * NS_PER_S);
	WANT(stage, !io_peer_saw_fin(client) && !io_peer_is_closed(server));
	WANT(stage, counted(stage, WEFT_PROXY_IDLE_TIMEOUT) == 0);
}

static void limit_comes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	reaches(stage, RAW_ENDPOINT);
	peer_sends(stage, client, "a");
	stage_run(stage, 11 * NS_PER_S);
	stage_publish_later(stage);
	stage_run(stage, 6 * NS_PER_S);
	WANT(stage, io_peer_saw_fin(client));
	WANT(stage, counted(stage, WEFT_PROXY_IDLE_TIMEOUT) == 1);
}

#define TEST(name, run, configure, later)                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_all(&(struct play){run, configure, later});                                   \
	}

TEST(bytes_and_fin_go_to_the_second_endpoint, fin_before_the_second_attempt, many_is_opaque, NULL)
TEST(the_books_of_two_services_with_one_endpoint_balance, two_services_one_endpoint,
     none_shares_an_endpoint, NULL)
TEST(pooled_connections_keep_their_source, each_source_has_its_own, NULL, NULL)
TEST(nothing_is_tried_again_after_an_interim_answer, interim_then_end, NULL, NULL)
TEST(a_request_with_negotiate_keeps_its_connection, negotiate_without_being_asked, NULL, NULL)
TEST(http_1_0_sees_where_an_own_answer_ends, own_answer_to_1_0, NULL, NULL)
TEST(a_client_that_leaves_after_an_upload_is_noticed, leaves_after_an_upload, NULL, NULL)
TEST(an_exchange_that_drain_cuts_is_not_blamed_on_the_client, cut_while_draining, NULL, NULL)
TEST(a_head_has_its_own_time_limit, head_after_a_pause, short_idle, NULL)
TEST(the_second_head_is_limited_too, slow_second_head, short_head_long_idle, NULL)
TEST(the_first_word_is_limited_too, slow_first_word, short_head_long_idle, NULL)
TEST(a_limit_of_tunnels_may_be_lifted, limit_goes_away, idle_tunnels_end, idle_tunnels_stay)
TEST(a_limit_of_tunnels_may_be_set, limit_comes, idle_tunnels_stay, idle_tunnels_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_fin_go_to_the_second_endpoint),
		cmocka_unit_test(an_endpoint_of_a_family_that_the_pod_lacks_fails_at_once),
		cmocka_unit_test(the_books_of_two_services_with_one_endpoint_balance),
		cmocka_unit_test(pooled_connections_keep_their_source),
		cmocka_unit_test(nothing_is_tried_again_after_an_interim_answer),
		cmocka_unit_test(an_unsent_post_takes_another_connection),
		cmocka_unit_test(a_stray_answer_meets_no_request),
		cmocka_unit_test(a_request_with_negotiate_keeps_its_connection),
		cmocka_unit_test(an_endpoint_that_does_not_accept_draws_no_load),
		cmocka_unit_test(refusals_are_not_queued_for_ever),
		cmocka_unit_test(http_1_0_sees_where_an_own_answer_ends),
		cmocka_unit_test(a_client_that_leaves_after_an_upload_is_noticed),
		cmocka_unit_test(an_exchange_that_drain_cuts_is_not_blamed_on_the_client),
		cmocka_unit_test(a_head_has_its_own_time_limit),
		cmocka_unit_test(the_second_head_is_limited_too),
		cmocka_unit_test(the_first_word_is_limited_too),
		cmocka_unit_test(a_limit_of_tunnels_may_be_lifted),
		cmocka_unit_test(a_limit_of_tunnels_may_be_set),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
