/* Dials, attempts, pooled connections, and what is tried again. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define POST  "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody"

/* A whole answer of weft's own with this status and this reason in it. */
static void sees_own_answer(struct stage *stage, struct io_peer *client, const char *status,
			    const char *service, const char *why)
{
	stage_settle(stage);
	struct span got = io_peer_received(client);
	char *text = calloc(1, got.size + 1); /* what was received ends without a NUL */
	assert_non_null(text);
	if (got.size)
		memcpy(text, got.data, got.size);
	const char *body = strstr(text, "\r\n\r\n");
	bool is_right = body && strncmp(text, "HTTP/1.1 ", 9) == 0 &&
			strncmp(text + 9, status, strlen(status)) == 0 &&
			strstr(text, "\r\nl5d-err: ") && strstr(body, service) && strstr(body, why);
	if (!is_right && !stage->is_lenient)
		fail_msg("saw \"%s\", wanted a %s of %s: %s", text, status, service, why);
	free(text);
	io_peer_forget(client);
	WANT(stage, is_right);
}

static void an_exchange(struct stage *stage, struct io_peer *client, struct io_peer *server)
{
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static struct io_peer *first_exchange(struct stage *stage, struct io_peer *client)
{
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	return server;
}

static void refused_then_another(struct stage *stage)
{
	endpoint_answers("10.0.4.1:80", IO_DOUBLE_REFUSES, 0);
	endpoint_answers("10.0.4.2:80", IO_DOUBLE_REFUSES, 0);
	for (int i = 0; i < 4; i++) {
		struct io_peer *client = client_connect(stage, MANY);
		peer_sends(stage, client, POST);
		struct io_peer *server = server_reached(stage, "10.0.4.3:80");
		if (!server)
			server = reaches(stage, "10.0.4.4:80");
		sees(stage, server, POST);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
		stage_run(stage, 3 * NS_PER_S); /* the pool is empty for the next */
	}
	const struct weft_series *total = series_of(stage, "many", "");
	WANT(stage, total->responses[2] == 4 && total->responses[5] == 0);
	WANT(stage, total->connect_failures == dials_to("10.0.4.1:80") + dials_to("10.0.4.2:80"));
	WANT(stage, total->connect_failures > 0);
}

static void all_refused(struct stage *stage)
{
	for (int i = 3; i < 7; i++)
		endpoint_answers(stage_endpoints[i], IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	sees_own_answer(stage, client, "502 Bad Gateway", "many", "4 attempts");
	for (int i = 3; i < 7; i++)
		WANT(stage, dials_to(stage_endpoints[i]) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_DIAL_FAILED) == 1);
	WANT(stage, series_of(stage, "many", "")->proxy_errors == 1);
	WANT(stage, series_of(stage, "many", "")->connect_failures == 4);
	/* The connection is still good. */
	endpoint_answers("10.0.4.1:80", IO_DOUBLE_ACCEPTS, 0);
	endpoint_answers("10.0.4.2:80", IO_DOUBLE_ACCEPTS, 0);
	WANT(stage, !io_peer_saw_fin(client));
	peer_sends(stage, client, GET);
	struct io_peer *server = server_reached(stage, "10.0.4.1:80");
	if (!server)
		server = reaches(stage, "10.0.4.2:80");
	sees(stage, server, GET);
}

static void only_endpoint_refuses(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "HEAD /a HTTP/1.1\r\nHost: web\r\n\r\n");
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data, "HTTP/1.1 502", 12) == 0);
	WANT(stage, memcmp(got.data + got.size - 4, "\r\n\r\n", 4) == 0); /* no body for HEAD */
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void silent_then_another(struct stage *stage)
{
	for (int i = 3; i < 6; i++)
		endpoint_answers(stage_endpoints[i], IO_DOUBLE_IS_SILENT, 0);
	endpoint_answers("10.0.4.4:80", IO_DOUBLE_ACCEPTS, 0);
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = server_reached(stage, "10.0.4.4:80");
	for (int i = 0; i < 3 && !server; i++) {
		stage_run(stage, NS_PER_S - NS_PER_MS);
		WANT(stage, counted(stage, WEFT_PROXY_DIAL_TIMEOUT) == (uint64_t)i);
		stage_run(stage, NS_PER_MS);
		WANT(stage, counted(stage, WEFT_PROXY_DIAL_TIMEOUT) == (uint64_t)i + 1);
		server = server_reached(stage, "10.0.4.4:80");
	}
	if (server) {
		sees(stage, server, GET);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
	} else { /* three others came first */
		sees_own_answer(stage, client, "502", "many", "timed out");
	}
}

static void one_slow_endpoint(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_IS_SILENT, 0);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	stage_run(stage, 3 * NS_PER_S - NS_PER_MS);
	sees(stage, client, "");
	stage_run(stage, 2 * NS_PER_MS);
	sees_own_answer(stage, client, "502", "web", "timed out");
	WANT(stage, dials_to(WEB_ENDPOINT) == 3); /* a full backlog drops the first SYN */
}

static void slow_but_in_time(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_ACCEPTS, 900 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, POST);
	stage_run(stage, 901 * NS_PER_MS);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, POST);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void no_endpoint(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, NONE);
	peer_sends(stage, client, GET);
	sees_own_answer(stage, client, "503 Service Unavailable", "none", "no ready endpoint");
	WANT(stage, counted(stage, WEFT_PROXY_NO_ENDPOINT) == 1);
	peer_sends(stage, client, GET);
	sees_own_answer(stage, client, "503", "none", "no ready endpoint");
	peer_sends(stage, client, POST);
	sees_own_answer(stage, client, "503", "none", "no ready endpoint");
}

static void dead_in_the_pool(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	/* It dies at the moment that the next request is sent: */
	io_peer_send(client, span_text(GET));
	io_peer_reset(server);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, "web", "")->responses[2] == 2);
	WANT(stage, series_of(stage, "web", "")->retries <= 1);
}

/* The request was sent on a pooled connection, which is closed without an answer. */
static void get_is_tried_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	io_peer_finish(server);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
	WANT(stage, series_of(stage, "web", "")->retries == 1);
	io_peer_finish(next); /* once only */
	sees_own_answer(stage, client, "502", "web", "closed the connection");
	WANT(stage, dials_to(WEB_ENDPOINT) == 2);
}

/* What else idles in the pool may be as dead: the second try goes on a fresh connection. */
static void second_try_is_fresh(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *first = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, other, GET);
	struct io_peer *second = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, first, HELLO);
	peer_sends(stage, second, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, stage->worker.counts->upstreams_idle == 2);
	peer_sends(stage, client, GET);
	io_peer_finish(io_peer_received(first).size > sizeof(GET) ? first : second);
	struct io_peer *third = reaches(stage, WEB_ENDPOINT);
	sees(stage, third, GET);
	WANT(stage, dials_to(WEB_ENDPOINT) == 3);
	peer_sends(stage, third, HELLO);
	sees(stage, client, HELLO);
}

static void post_is_not_tried_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	peer_sends(stage, client, POST);
	sees(stage, server, POST);
	io_peer_finish(server);
	sees_own_answer(stage, client, "502", "web", "closed the connection");
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_CLOSED) == 1);
}

static void not_after_a_byte(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	io_peer_send(server, span_text("H"));
	io_peer_finish(server);
	sees_own_answer(stage, client, "502", "web", "closed");
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void post_takes_a_fresh_one(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	stage_run(stage, NS_PER_S - 50 * NS_PER_MS);
	peer_sends(stage, client, POST);
	sees(stage, server, POST);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	stage_run(stage, NS_PER_S + 50 * NS_PER_MS);
	peer_sends(stage, client, POST);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, POST);
	WANT(stage, dials_to(WEB_ENDPOINT) == 2);
}

static void get_takes_an_older_one(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	stage_run(stage, NS_PER_S + 500 * NS_PER_MS);
	an_exchange(stage, client, server);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void idle_is_closed(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	stage_run(stage, 2 * NS_PER_S - NS_PER_MS);
	WANT(stage, !io_peer_is_closed(server));
	stage_run(stage, 201 * NS_PER_MS); /* the next tick */
	WANT(stage, io_peer_is_closed(server) && !io_peer_saw_reset(server));
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
	WANT(stage, !io_peer_saw_fin(client)); /* the client stays */
}

static void shorter_by_keep_alive(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 0\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	stage_run(stage, 950 * NS_PER_MS);
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
	stage_run(stage, 200 * NS_PER_MS);
	WANT(stage, io_peer_is_closed(server));
}

static void bytes_while_idle(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	peer_sends(stage, server, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
	WANT(stage, io_peer_is_closed(server));
	sees(stage, client, "");
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
}

/* Response splitting: an answer with more behind it never reaches the next request. */
static void bytes_behind_the_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	sees(stage, client, HELLO);
	WANT(stage, io_peer_is_closed(server));
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

/* The pool belongs to the pod, not to the client. */
static void shared_by_clients(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	an_exchange(stage, other, server);
	io_peer_finish(client);
	stage_settle(stage);
	an_exchange(stage, other, server);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void zero_keep_alive(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
	peer_sends(stage, client, GET);
	sees(stage, reaches(stage, WEB_ENDPOINT), GET);
}

/* Dialled ahead, and closed when the request arrives, as by a server that has just given up. */
static void dialled_ahead_get(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	io_peer_finish(server);
	struct io_peer *next = reaches(stage, ANY_ENDPOINT);
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, "any", "")->retries == 1);
	WANT(stage, series_of(stage, "any", "")->responses[2] == 1);
}

static void dialled_ahead_post(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, POST);
	sees(stage, server, POST);
	io_peer_finish(server);
	sees_own_answer(stage, client, "502", "any", "closed the connection");
	WANT(stage, dials_to(ANY_ENDPOINT) == 1);
}

static void moves_the_endpoint(struct stage_draft *all)
{
	all->endpoints[0].address = address_of("10.0.1.2:80");
}

static void endpoint_goes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	endpoint_answers("10.0.1.2:80", IO_DOUBLE_ACCEPTS, 0);
	stage_publish_later(stage);
	stage_run(stage, 250 * NS_PER_MS);
	WANT(stage, io_peer_is_closed(server));
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, "10.0.1.2:80");
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void removes_the_service(struct stage_draft *all)
{
	all->services[0] = all->services[4];
	all->draft.services.count--;
}

static void service_goes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	first_exchange(stage, client);
	stage_publish_later(stage);
	stage_run(stage, 250 * NS_PER_MS);
	peer_sends(stage, client, GET);
	sees_own_answer(stage, client, "503", WEB, "no ready endpoint");
}

static void empty_stock(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	kernel_double_dry(true);
	peer_sends(stage, client, POST);
	stage_run(stage, 700 * NS_PER_MS);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	kernel_double_dry(false);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, POST);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void stock_stays_empty(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	kernel_double_dry(true);
	peer_sends(stage, client, GET);
	stage_run(stage, 1300 * NS_PER_MS);
	sees_own_answer(stage, client, "502", "web", "no endpoint could be reached");
	WANT(stage, counted(stage, WEFT_PROXY_NO_SOCKET) == 1);
	kernel_double_dry(false);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
}

/* The client gives up while its request waits for a socket, or for the connect. */
static void client_leaves_while_dialling(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	kernel_double_dry(true);
	peer_sends(stage, client, GET);
	io_peer_reset(client);
	stage_settle(stage);
	kernel_double_dry(false);
	stage_settle(stage);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, stage->worker.counts->upstreams == 0);
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_IS_SILENT, 0);
	client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, stage->worker.counts->upstreams == 0);
}

static void two_by_two(struct stage_draft *all)
{
	all->services[3].balancer = BALANCER_P2C;
}

/* Least request: nobody gets a second while another is idle … nearly always. */
static void spread(struct stage *stage)
{
	unsigned seen = 0;
	for (int i = 0; i < 12; i++)
		peer_sends(stage, client_connect(stage, MANY), GET);
	for (int i = 3; i < 7; i++) {
		size_t dials = dials_to(stage_endpoints[i]);
		WANT(stage, dials >= 1 && dials <= 6);
		seen += (unsigned)dials;
	}
	WANT(stage, seen == 12);
}

/* Who dials one endpoint of a service wants that one, though the service counts it. */
static void own_address(struct stage *stage)
{
	struct io_peer *client = client_dials_endpoint(stage, MANY, "10.0.4.3:80");
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, "10.0.4.3:80");
	for (int i = 0; i < 3; i++) {
		sees(stage, server, GET);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
		peer_sends(stage, client, GET);
	}
	WANT(stage, dials_to("10.0.4.3:80") == 1);
	WANT(stage, series_of(stage, "many", "")->requests == 3);
	WANT(stage, series_of(stage, "many", "10.0.4.3:80")->requests == 3);
}

static void own_address_refuses(struct stage *stage)
{
	endpoint_answers("10.0.4.3:80", IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_dials_endpoint(stage, MANY, "10.0.4.3:80");
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	for (int i = 3; i < 7; i++)
		WANT(stage, dials_to(stage_endpoints[i]) == (i == 5));
}

/* Also where the service declares HTTP: who knows what this one server speaks? */
static void own_address_speaks_first(struct stage *stage)
{
	struct io_peer *client = client_dials_endpoint(stage, MANY, "10.0.4.3:80");
	struct io_peer *server = reaches(stage, "10.0.4.3:80");
	peer_sends(stage, server, "220 ready\r\n");
	sees(stage, client, "220 ready\r\n");
}

#define TEST(name, run)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(run);                                                                         \
	}

TEST(a_refused_dial_is_tried_at_another_endpoint, refused_then_another)
TEST(when_all_refuse_it_is_502, all_refused)
TEST(a_dial_to_an_endpoints_own_address_goes_there_alone, own_address)
TEST(an_endpoint_dialled_by_its_address_that_refuses_is_a_reset, own_address_refuses)
TEST(an_endpoint_dialled_by_its_address_may_speak_first, own_address_speaks_first)
TEST(an_endpoint_that_refuses_is_not_asked_twice, only_endpoint_refuses)
TEST(a_dial_may_take_a_second, silent_then_another)
TEST(a_slow_endpoint_is_asked_three_times_when_it_is_the_only_one, one_slow_endpoint)
TEST(a_slow_connect_in_time_is_enough, slow_but_in_time)
TEST(a_service_without_endpoints_is_503, no_endpoint)
TEST(a_pooled_connection_that_died_is_replaced, dead_in_the_pool)
TEST(a_get_is_tried_again_once, get_is_tried_again)
TEST(the_second_try_is_on_a_fresh_connection, second_try_is_fresh)
TEST(a_post_is_not_tried_again, post_is_not_tried_again)
TEST(nothing_is_tried_again_after_a_byte_of_the_answer, not_after_a_byte)
TEST(a_post_takes_no_connection_idle_for_more_than_a_second, post_takes_a_fresh_one)
TEST(a_get_takes_one_that_is_older, get_takes_an_older_one)
TEST(a_pooled_connection_is_closed_after_two_seconds, idle_is_closed)
TEST(keep_alive_timeout_is_honoured, shorter_by_keep_alive)
TEST(a_get_on_a_connection_dialled_ahead_is_tried_again, dialled_ahead_get)
TEST(a_post_on_a_connection_dialled_ahead_is_not_tried_again, dialled_ahead_post)
TEST(a_keep_alive_timeout_of_zero_ends_the_connection, zero_keep_alive)
TEST(bytes_while_idle_close_the_connection, bytes_while_idle)
TEST(bytes_behind_an_answer_go_nowhere, bytes_behind_the_answer)
TEST(clients_share_the_pool, shared_by_clients)
TEST(an_empty_stock_makes_a_dial_wait, empty_stock)
TEST(a_stock_that_stays_empty_is_502, stock_stays_empty)
TEST(a_client_may_leave_while_its_upstream_is_dialled, client_leaves_while_dialling)

static void requests_spread_over_the_endpoints(void **state)
{
	(void)state;
	play_with(spread, two_by_two);
}

static void connections_to_an_endpoint_that_is_gone_are_closed(void **state)
{
	(void)state;
	play_all(&(struct play){.run = endpoint_goes, .later = moves_the_endpoint});
}

static void a_service_that_is_gone_is_503(void **state)
{
	(void)state;
	play_all(&(struct play){.run = service_goes, .later = removes_the_service});
}

/* The end of a pooled connection is heard between two pieces of one body. */
static void dies_within_the_body(struct stage *stage)
{
	static const char post[] =
		"POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 60\r\n\r\n"
		"123456789 123456789 123456789 123456789 123456789 123456789 ";
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = first_exchange(stage, client);
	io_peer_pieces(client, 40);
	io_peer_send(client, span_text(post));
	io_peer_reset(server);
	struct io_peer *next = server_reached(stage, WEB_ENDPOINT);
	if (next)
		sees(stage, next, post);
	else
		sees_own_answer(stage, client, "502", "web", "reset the connection");
}

static void a_body_is_whole_wherever_it_goes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 300; seed++) {
		struct stage stage;
		stage_open(&stage, NULL, NULL);
		io_double_seed(seed);
		act(&stage, dies_within_the_body);
		stage_close(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_dial_is_tried_at_another_endpoint),
		cmocka_unit_test(when_all_refuse_it_is_502),
		cmocka_unit_test(a_dial_to_an_endpoints_own_address_goes_there_alone),
		cmocka_unit_test(an_endpoint_dialled_by_its_address_that_refuses_is_a_reset),
		cmocka_unit_test(an_endpoint_dialled_by_its_address_may_speak_first),
		cmocka_unit_test(an_endpoint_that_refuses_is_not_asked_twice),
		cmocka_unit_test(a_dial_may_take_a_second),
		cmocka_unit_test(a_slow_endpoint_is_asked_three_times_when_it_is_the_only_one),
		cmocka_unit_test(a_slow_connect_in_time_is_enough),
		cmocka_unit_test(a_service_without_endpoints_is_503),
		cmocka_unit_test(a_pooled_connection_that_died_is_replaced),
		cmocka_unit_test(a_get_is_tried_again_once),
		cmocka_unit_test(the_second_try_is_on_a_fresh_connection),
		cmocka_unit_test(a_post_is_not_tried_again),
		cmocka_unit_test(nothing_is_tried_again_after_a_byte_of_the_answer),
		cmocka_unit_test(a_post_takes_no_connection_idle_for_more_than_a_second),
		cmocka_unit_test(a_get_takes_one_that_is_older),
		cmocka_unit_test(a_pooled_connection_is_closed_after_two_seconds),
		cmocka_unit_test(keep_alive_timeout_is_honoured),
		cmocka_unit_test(a_get_on_a_connection_dialled_ahead_is_tried_again),
		cmocka_unit_test(a_post_on_a_connection_dialled_ahead_is_not_tried_again),
		cmocka_unit_test(a_keep_alive_timeout_of_zero_ends_the_connection),
		cmocka_unit_test(bytes_while_idle_close_the_connection),
		cmocka_unit_test(bytes_behind_an_answer_go_nowhere),
		cmocka_unit_test(clients_share_the_pool),
		cmocka_unit_test(connections_to_an_endpoint_that_is_gone_are_closed),
		cmocka_unit_test(a_service_that_is_gone_is_503),
		cmocka_unit_test(an_empty_stock_makes_a_dial_wait),
		cmocka_unit_test(a_stock_that_stays_empty_is_502),
		cmocka_unit_test(a_client_may_leave_while_its_upstream_is_dialled),
		cmocka_unit_test(requests_spread_over_the_endpoints),
		cmocka_unit_test(a_body_is_whole_wherever_it_goes),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
