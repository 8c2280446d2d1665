/* Requests and answers as they should be. */
#include "script.h"

#define GET      "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define POST_ONE "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 11\r\n\r\n"

static void get(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	WANT(stage, series_of(stage, "web", "")->requests_active == 1);
	WANT(stage, balances_active(&stage->worker.balances) >= 1);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	const struct weft_series *total = series_of(stage, "web", "");
	const struct weft_series *endpoint = series_of(stage, "web", WEB_ENDPOINT);
	WANT(stage, total->requests == 1 && total->responses[2] == 1);
	WANT(stage, endpoint->requests == 1 && endpoint->responses[2] == 1);
	WANT(stage, total->bytes_sent == sizeof(GET) - 1);
	WANT(stage, total->bytes_received == sizeof(HELLO) - 1);
	WANT(stage, total->requests_active == 0 && endpoint->requests_active == 0);
	WANT(stage, stage->worker.counts->upstreams_idle == 1);
}

static void keep_alive(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	for (int i = 0; i < 3; i++) {
		sees(stage, server, GET);
		peer_sends(stage, server, HELLO);
		sees(stage, client, HELLO);
		peer_sends(stage, client, GET);
	}
	sees(stage, server, GET);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void post_in_pieces(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, POST_ONE);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, POST_ONE);
	peer_sends(stage, client, "hello");
	sees(stage, server, "hello");
	peer_sends(stage, client, " ");
	sees(stage, server, " ");
	peer_sends(stage, client, "world");
	sees(stage, server, "world");
	peer_sends(stage, server, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	sees(stage, client, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
}

static void chunked_both_ways(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n"
		   "Trailer: Sum\r\n\r\n5\r\nhello\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, client, "6;x=y\r\n world\r\n0\r\nSum: 7\r\n\r\n");
	sees_chunked(stage, server,
		     "POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n"
		     "Trailer: Sum\r\n\r\nhello world" END_OF_CHUNKS "Sum: 7\r\n\r\n");
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "3\r\none\r\n");
	peer_sends(stage, server, "4\r\n two\r\n0\r\nCount: 2\r\n\r\n");
	sees_chunked(stage, client,
		     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "one two" END_OF_CHUNKS "Count: 2\r\n\r\n");
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
}

static void pipelined(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "GET /1 HTTP/1.1\r\nHost: web\r\n\r\n"
		   "POST /2 HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\ntwo"
		   "GET /3 HTTP/1.1\r\nHost: web\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "GET /1 HTTP/1.1\r\nHost: web\r\n\r\n");
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	sees(stage, server, "POST /2 HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\ntwo");
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
	sees(stage, server, "GET /3 HTTP/1.1\r\nHost: web\r\n\r\n");
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void pipelined_and_half_closed(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_send(client, span_text(GET GET));
	io_peer_finish(client);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, !io_peer_saw_fin(client));
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, io_peer_saw_fin(client));
}

static void expect_continue(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\n"
		   "Content-Length: 4\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server,
	     "POST /p HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\n"
	     "Content-Length: 4\r\n\r\n");
	peer_sends(stage, server, "HTTP/1.1 100 Continue\r\n\r\n");
	sees(stage, client, "HTTP/1.1 100 Continue\r\n\r\n");
	peer_sends(stage, client, "body");
	sees(stage, server, "body");
	peer_sends(stage, server, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n");
	sees(stage, client, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n");
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, "web", "")->requests == 1);
}

/* 417 without reading the body: the client may send it nevertheless or close. */
static void expectation_failed(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\n"
		   "Content-Length: 4\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server,
		   "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n"
		   "Connection: close\r\n\r\n");
	io_peer_finish(server);
	sees(stage, client,
	     "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	WANT(stage, io_peer_saw_fin(client));
}

/* An answer that comes while the request goes on; both come through whole. */
static void early_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, POST_ONE "hello");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, POST_ONE "hello");
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, " world");
	sees(stage, server, " world");
	peer_sends(stage, client, GET);
	struct io_peer *next =
		reaches(stage, WEB_ENDPOINT); /* nobody waited for the rest to be sent */
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void head_and_empty_answers(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "HEAD /a HTTP/1.1\r\nHost: web\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "HEAD /a HTTP/1.1\r\nHost: web\r\n\r\n");
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, "HTTP/1.1 204 No Content\r\n\r\n");
	sees(stage, client, "HTTP/1.1 204 No Content\r\n\r\n");
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n");
	sees(stage, client, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n");
	peer_sends(stage, client, "HEAD /a HTTP/1.1\r\nHost: web\r\n\r\n");
	sees(stage, server, "HEAD /a HTTP/1.1\r\nHost: web\r\n\r\n");
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void old_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /a HTTP/1.0\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "GET /a HTTP/1.0\r\nConnection: close\r\n\r\n");
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "5\r\nhello\r\n0\r\n\r\n");
	sees(stage, client, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello");
	WANT(stage, io_peer_saw_fin(client));
}

static void old_client_that_stays(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	for (int i = 0; i < 2; i++) {
		peer_sends(stage, client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		if (i == 0)
			continue;
	}
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	peer_sends(stage, server,
		   "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
	sees(stage, client,
	     "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
	sees(stage, server, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
}

/* A body until close from an HTTP/1.0 server becomes chunks for an HTTP/1.1 client. */
static void old_server(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello ");
	io_peer_send(server, span_text("world"));
	io_peer_finish(server);
	sees_chunked(stage, client,
		     "HTTP/1.1 200 OK\r\nServer: old\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "hello world" END_OF_CHUNKS "\r\n");
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
}

static void connection_close(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "GET /a HTTP/1.1\r\nHost: web\r\nConnection: close, X\r\n"
		   "X: hop\r\nKeep-Alive: 5\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client,
	     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
	WANT(stage, io_peer_saw_fin(client));
	WANT(stage, stage->worker.counts->upstreams_idle == 1);
}

static void server_closes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server,
		   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
	io_peer_finish(server);
	sees(stage, client, HELLO);
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
	peer_sends(stage, client, GET);
	struct io_peer *next = reaches(stage, WEB_ENDPOINT);
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void upgrade(struct stage *stage)
{
	static const char request[] =
		"GET /ws HTTP/1.1\r\nHost: web\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, request);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, request);
	peer_sends(stage, client, "eager");
	sees(stage, server, "");
	peer_sends(stage, server,
		   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		   "Connection: Upgrade\r\n\r\nfirst");
	sees(stage, client,
	     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	     "Connection: Upgrade\r\n\r\nfirst");
	sees(stage, server, "eager");
	peer_sends(stage, client, "\x81\x05hello");
	sees(stage, server, "\x81\x05hello");
	peer_sends(stage, server, "\x81\x02ok");
	sees(stage, client, "\x81\x02ok");
	WANT(stage, counted(stage, WEFT_PROXY_UPGRADED) == 1);
	WANT(stage, series_of(stage, "web", "")->tunnels_opened == 1);
	WANT(stage, series_of(stage, "web", "")->responses[1] == 1);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(server));
	peer_sends(stage, server, "bye");
	sees(stage, client, "bye");
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client));
}

static void upgrade_refused(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "GET /ws HTTP/1.1\r\nHost: web\r\nUpgrade: websocket\r\n"
		   "Connection: Upgrade\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, client, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	io_peer_forget(server);
	peer_sends(stage, server, "");
	/* The next request is parsed only now, and finds the pool's connection. */
	sees(stage, server, "");
	WANT(stage, series_of(stage, "web", "")->tunnels_opened == 0);
}

static void connect_method(struct stage *stage)
{
	static const char request[] = "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_send(client, span_text(request));
	peer_sends(stage, client, "early");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, request);
	peer_sends(stage, server, "HTTP/1.1 200 Connection established\r\n\r\n");
	sees(stage, client, "HTTP/1.1 200 Connection established\r\n\r\n");
	sees(stage, server, "early");
	peer_sends(stage, server, "bytes");
	sees(stage, client, "bytes");
	WANT(stage, counted(stage, WEFT_PROXY_CONNECTED) == 1);
}

static void absolute_form(struct stage *stage)
{
	static const char request[] = "GET http://elsewhere/a HTTP/1.1\r\nHost: elsewhere\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, request);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, request);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void adds_via(struct stage_draft *all)
{
	all->draft.settings.via = true;
}

static void via(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "GET /a HTTP/1.1\r\nHost: web\r\nVia: 1.1 weft\r\n\r\n");
	peer_sends(stage, server, HELLO);
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 weft\r\n\r\nhello");
}

static void not_http(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	peer_sends(stage, client, "BREW /pot HTCPCP/1.0\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, "BREW /pot HTCPCP/1.0\r\n\r\n");
	peer_sends(stage, server, "418\n");
	sees(stage, client, "418\n");
	WANT(stage, counted(stage, WEFT_PROXY_NOT_HTTP) == 1);
}

static void status_without_class(struct stage *stage)
{
	static const char answer[] = "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, answer);
	sees(stage, client, answer);
	WANT(stage, series_of(stage, "web", "")->responses[5] == 1);
	WANT(stage, series_of(stage, "web", "")->responses[0] == 0);
}

static void empty_line_first(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "\r");
	peer_sends(stage, client, "\n" GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_NOT_HTTP) == 0);
}

static void to_original_destination(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, STRANGER);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, STRANGER);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, STRANGER, "")->requests == 1);
	const struct weft_address source = address_of("10.0.0.9:0");
	assert_memory_equal(io_peer_source(server)->ip, source.ip, sizeof(source.ip));
}

/* NTLM authenticates the connection: no other client may get it. */
static void pinned(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *other = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server,
		   "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
		   "Content-Length: 0\r\n\r\n");
	sees(stage, client,
	     "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
	     "Content-Length: 0\r\n\r\n");
	peer_sends(stage, other, GET);
	struct io_peer *second = reaches(stage, WEB_ENDPOINT);
	sees(stage, second, GET);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_is_closed(server));
}

#define TEST(name, run)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(run);                                                                         \
	}

TEST(a_get_is_answered_and_counted, get)
TEST(a_connection_is_kept_on_both_sides, keep_alive)
TEST(a_body_goes_on_as_it_comes, post_in_pieces)
TEST(chunks_and_trailers_pass_both_ways, chunked_both_ways)
TEST(pipelined_requests_are_answered_in_order, pipelined)
TEST(a_client_that_half_closed_gets_all_its_answers, pipelined_and_half_closed)
TEST(interim_answers_pass, expect_continue)
TEST(a_final_answer_instead_of_100_ends_the_exchange, expectation_failed)
TEST(an_early_answer_leaves_the_request_whole, early_answer)
TEST(answers_without_a_body_end_with_their_head, head_and_empty_answers)
TEST(an_old_client_gets_its_body_until_close, old_client)
TEST(an_old_client_may_stay, old_client_that_stays)
TEST(a_body_until_close_becomes_chunks, old_server)
TEST(hop_by_hop_fields_stay_behind, connection_close)
TEST(an_upstream_that_closes_is_not_kept, server_closes)
TEST(an_upgrade_becomes_a_tunnel, upgrade)
TEST(a_refused_upgrade_is_an_ordinary_answer, upgrade_refused)
TEST(connect_becomes_a_tunnel, connect_method)
TEST(absolute_form_goes_to_the_service_that_was_dialled, absolute_form)
TEST(bytes_that_are_not_http_become_a_tunnel, not_http)
TEST(a_status_of_no_class_counts_as_5xx, status_without_class)
TEST(an_empty_line_before_the_first_request_is_skipped, empty_line_first)
TEST(a_destination_outside_the_mesh_is_dialled_as_it_was, to_original_destination)
TEST(ntlm_keeps_its_connection_to_itself, pinned)

static void via_is_added_when_asked_for(void **state)
{
	(void)state;
	play_with(via, adds_via);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_get_is_answered_and_counted),
		cmocka_unit_test(a_connection_is_kept_on_both_sides),
		cmocka_unit_test(a_body_goes_on_as_it_comes),
		cmocka_unit_test(chunks_and_trailers_pass_both_ways),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_client_that_half_closed_gets_all_its_answers),
		cmocka_unit_test(interim_answers_pass),
		cmocka_unit_test(a_final_answer_instead_of_100_ends_the_exchange),
		cmocka_unit_test(an_early_answer_leaves_the_request_whole),
		cmocka_unit_test(answers_without_a_body_end_with_their_head),
		cmocka_unit_test(an_old_client_gets_its_body_until_close),
		cmocka_unit_test(an_old_client_may_stay),
		cmocka_unit_test(a_body_until_close_becomes_chunks),
		cmocka_unit_test(hop_by_hop_fields_stay_behind),
		cmocka_unit_test(an_upstream_that_closes_is_not_kept),
		cmocka_unit_test(an_upgrade_becomes_a_tunnel),
		cmocka_unit_test(a_refused_upgrade_is_an_ordinary_answer),
		cmocka_unit_test(connect_becomes_a_tunnel),
		cmocka_unit_test(absolute_form_goes_to_the_service_that_was_dialled),
		cmocka_unit_test(bytes_that_are_not_http_become_a_tunnel),
		cmocka_unit_test(a_status_of_no_class_counts_as_5xx),
		cmocka_unit_test(an_empty_line_before_the_first_request_is_skipped),
		cmocka_unit_test(a_destination_outside_the_mesh_is_dialled_as_it_was),
		cmocka_unit_test(ntlm_keeps_its_connection_to_itself),
		cmocka_unit_test(via_is_added_when_asked_for),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
