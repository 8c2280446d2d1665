/* Bytes that nobody parses: who speaks first, ends, resets, limits. */
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: any\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void server_first(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT); /* dialled at once */
	peer_sends(stage, server, "220 smtp ready\r\n");
	sees(stage, client, "220 smtp ready\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_SERVER_FIRST) == 1);
	peer_sends(stage, client, "GET is a word like any other now\r\n");
	sees(stage, server, "GET is a word like any other now\r\n");
	const struct weft_series *total = series_of(stage, "any", "");
	WANT(stage, total->tunnels_opened == 1 && total->requests == 0);
	WANT(stage, total->bytes_received == 16 && total->bytes_sent == 34);
	WANT(stage, series_of(stage, "any", ANY_ENDPOINT)->bytes_sent == 34);
}

static void client_first(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	peer_sends(stage, client, "*1\r\n$4\r\nPING\r\n");
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	sees(stage, server, "*1\r\n$4\r\nPING\r\n");
	peer_sends(stage, server, "+PONG\r\n");
	sees(stage, client, "+PONG\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_OPAQUE) == 1);
	WANT(stage, series_of(stage, "any", "")->tunnels_opened == 1);
}

static void declared_opaque(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, "whatever");
	sees(stage, client, "whatever");
	WANT(stage, series_of(stage, "raw", "")->requests == 0);
}

static void undecided_for_a_minute(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	stage_run(stage, 61 * NS_PER_S);
	WANT(stage, series_of(stage, "any", "")->tunnels_opened == 0);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, "any", "")->requests == 1);
	WANT(stage, dials_to(ANY_ENDPOINT) == 1);
	WANT(stage, stage->worker.counts->upstreams_idle == 1);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
}

static void one_letter_at_a_time(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "P");
	sees(stage, server, "");
	stage_run(stage, 10 * NS_PER_S);
	peer_sends(stage, client, "OS");
	sees(stage, server, "");
	peer_sends(stage, client, "T /p HTTP/1.1\r\nHost: any\r\nContent-Length: 2\r\n\r\nok");
	sees(stage, server, "POST /p HTTP/1.1\r\nHost: any\r\nContent-Length: 2\r\n\r\nok");
	WANT(stage, series_of(stage, "any", "")->requests_active == 1);
}

/* What was held back as perhaps HTTP goes to the tunnel, whoever decides. */
static void prefix_then_opaque(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "GE");
	sees(stage, server, "");
	peer_sends(stage, client, "ARS");
	sees(stage, server, "GEARS");
}

static void prefix_then_server(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "GE");
	peer_sends(stage, server, "hello");
	sees(stage, client, "hello");
	sees(stage, server, "GE");
}

static void prefix_then_fin(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	io_peer_send(client, span_text("GE"));
	io_peer_finish(client);
	sees(stage, server, "GE");
	WANT(stage, io_peer_saw_fin(server));
	peer_sends(stage, server, "got it");
	sees(stage, client, "got it");
}

static void closes_while_undecided(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_is_closed(client));
	peer_sends(stage, client, "still talking");
	sees(stage, server, "still talking");
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, !io_peer_saw_reset(client) && !io_peer_saw_reset(server));
}

static void resets_while_undecided(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	io_peer_reset(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
}

static void half_closed_by_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(client, span_text("question"));
	io_peer_finish(client);
	sees(stage, server, "question");
	WANT(stage, io_peer_saw_fin(server) && !io_peer_is_closed(server));
	stage_run(stage, 100 * NS_PER_S);
	io_peer_send(server, span_text("answer"));
	io_peer_finish(server);
	sees(stage, client, "answer");
	WANT(stage, io_peer_saw_fin(client));
	stage_run(stage, 2 * NS_PER_S);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, !io_peer_saw_reset(client) && !io_peer_saw_reset(server));
	WANT(stage, series_of(stage, "raw", "")->tunnels_closed == 1);
}

static void half_closed_by_server(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(server, span_text("all there is"));
	io_peer_finish(server);
	sees(stage, client, "all there is");
	WANT(stage, io_peer_saw_fin(client) && !io_peer_is_closed(client));
	io_peer_send(client, span_text("thanks"));
	io_peer_finish(client);
	sees(stage, server, "thanks");
	WANT(stage, io_peer_saw_fin(server));
	stage_run(stage, 2 * NS_PER_S);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, !io_peer_saw_reset(client) && !io_peer_saw_reset(server));
}

/* A slow reader gets what was sent before the FIN, and then the FIN. */
static void half_close_behind_a_queue(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_window(server, 3);
	io_peer_send(client, span_text("slowly read"));
	io_peer_finish(client);
	sees(stage, server, "slo");
	WANT(stage, !io_peer_saw_fin(server));
	io_peer_window(server, 100);
	sees(stage, server, "wly read");
	WANT(stage, io_peer_saw_fin(server));
}

static void reset_by_client(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(client, span_text("last words"));
	io_peer_reset(client);
	sees(stage, server, "last words");
	WANT(stage, io_peer_saw_reset(server) && !io_peer_saw_fin(server));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
	WANT(stage, stage->worker.counts->sessions == 0);
}

static void reset_by_server(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(server, span_text("last words"));
	io_peer_reset(server);
	sees(stage, client, "last words");
	WANT(stage, io_peer_saw_reset(client) && !io_peer_saw_fin(client));
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 1);
	WANT(stage, stage->worker.counts->sessions == 0);
}

/* RST after FIN of the other side: still a RST. */
static void reset_after_half_close(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(server));
	io_peer_reset(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, stage->worker.counts->sessions == 0);
}

/* Neither side reads, each with the other's bytes on the way, and both are gone. */
static void both_reset_behind_full_queues(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	char *bytes = calloc(1, 300000);
	assert_non_null(bytes);
	io_peer_window(client, 0);
	io_peer_window(server, 0);
	io_peer_send(client, span_of(bytes, 300000));
	io_peer_send(server, span_of(bytes, 300000));
	free(bytes);
	stage_settle(stage);
	WANT(stage, io_peer_unreceived(client) > 0 && io_peer_unreceived(server) > 0);
	io_peer_reset(client);
	io_peer_reset(server);
	stage_run(stage, NS_PER_S);
	WANT(stage, stage->worker.counts->sessions == 0);
	WANT(stage, stage->worker.counts->upstreams == 0);
}

static void limits_idle_tunnels(struct stage_draft *all)
{
	all->draft.settings.tunnel_idle_timeout_ns = 10 * NS_PER_S;
}

static void idle(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	for (int i = 0; i < 3; i++) {
		stage_run(stage, 9 * NS_PER_S);
		peer_sends(stage, i % 2 ? client : server, "tick");
		sees(stage, i % 2 ? server : client, "tick");
	}
	WANT(stage, !io_peer_saw_fin(client));
	stage_run(stage, 11 * NS_PER_S);
	WANT(stage, io_peer_saw_fin(client) || io_peer_saw_reset(client));
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, counted(stage, WEFT_PROXY_IDLE_TIMEOUT) == 1);
}

static void no_idle_limit(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	stage_run(stage, 100000 * NS_PER_S);
	peer_sends(stage, client, "good morning");
	sees(stage, server, "good morning");
}

static void refused(struct stage *stage)
{
	endpoint_answers(RAW_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	endpoint_answers(ANY_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *other = client_connect(stage, ANY);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client) && io_peer_saw_reset(other));
	WANT(stage, counted(stage, WEFT_PROXY_DIAL_FAILED) == 2);
	WANT(stage, series_of(stage, "raw", "")->connect_failures == 1);
}

static void stranger_refuses(struct stage *stage)
{
	endpoint_answers(STRANGER, IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, STRANGER);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, dials_to(STRANGER) == 1);
	WANT(stage, series_of(stage, STRANGER, "")->connect_failures == 1);
}

/* HTTP was detected before the dial failed: then there is somebody to tell. */
static void refused_after_http(struct stage *stage)
{
	endpoint_answers(ANY_ENDPOINT, IO_DOUBLE_REFUSES, 500 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, ANY);
	peer_sends(stage, client, GET);
	stage_run(stage, 600 * NS_PER_MS);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data, "HTTP/1.1 502", 12) == 0);
}

static void refused_within_the_head(struct stage *stage)
{
	endpoint_answers(ANY_ENDPOINT, IO_DOUBLE_REFUSES, 500 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, ANY);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	stage_run(stage, 600 * NS_PER_MS);
	endpoint_answers(ANY_ENDPOINT, IO_DOUBLE_ACCEPTS, 0);
	peer_sends(stage, client, "Host: any\r\n\r\n");
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* The connection dialled ahead is closed while the head arrives. */
static void closed_within_the_head(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	io_peer_finish(server);
	stage_settle(stage);
	peer_sends(stage, client, "Host: any\r\n\r\n");
	struct io_peer *next = reaches(stage, ANY_ENDPOINT);
	sees(stage, next, GET);
	peer_sends(stage, next, HELLO);
	sees(stage, client, HELLO);
}

static void speaks_within_the_head(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\n");
	peer_sends(stage, server, "I do not speak HTTP");
	WANT(stage, io_peer_is_closed(client) && io_peer_is_closed(server));
	sees(stage, client, "");
}

static void slow_dial(struct stage *stage)
{
	endpoint_answers(RAW_ENDPOINT, IO_DOUBLE_ACCEPTS, 700 * NS_PER_MS);
	struct io_peer *client = client_connect(stage, RAW);
	io_peer_send(client, span_text("patience"));
	io_peer_finish(client);
	stage_run(stage, 701 * NS_PER_MS);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	sees(stage, server, "patience");
	WANT(stage, io_peer_saw_fin(server));
}

/* There is no other endpoint for an original destination: the kernel's patience counts. */
static void slow_stranger(struct stage *stage)
{
	endpoint_answers(STRANGER, IO_DOUBLE_ACCEPTS, 20 * NS_PER_S);
	struct io_peer *client = client_connect(stage, STRANGER);
	stage_run(stage, 21 * NS_PER_S);
	struct io_peer *server = reaches(stage, STRANGER);
	peer_sends(stage, server, "late");
	sees(stage, client, "late");
}

static void empty_stock(struct stage *stage)
{
	kernel_double_dry(true);
	struct io_peer *client = client_connect(stage, RAW);
	peer_sends(stage, client, "waiting");
	kernel_double_dry(false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	sees(stage, server, "waiting");
}

static void client_leaves_early(struct stage *stage)
{
	endpoint_answers(RAW_ENDPOINT, IO_DOUBLE_IS_SILENT, 0);
	struct io_peer *client = client_connect(stage, RAW);
	io_peer_send(client, span_text("bytes"));
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, io_peer_is_closed(client));
	WANT(stage, stage->worker.counts->upstreams == 0);
}

/* ---- TLS and HTTP/2 pass ---- */

#define HELLO_MAX 2048

static size_t put(char *out, size_t at, const void *bytes, size_t size)
{
	memcpy(out + at, bytes, size);
	return at + size;
}

static size_t put_u16(char *out, size_t at, size_t number)
{
	char bytes[2] = {(char)(number >> 8), (char)number};
	return put(out, at, bytes, sizeof(bytes));
}

/* With an extension of `padding` bytes in front of the name, as large key shares stand there. */
static size_t client_hello(const char *name, size_t padding, char *out)
{
	static const char start[] = "\x16\x03\x01\x00\x00\x01\x00\x00\x00\x03\x03";
	static const char suites[] = "\x00\x00\x02\x13\x01\x01\x00";
	size_t length = strlen(name);
	size_t size = put(out, 0, start, sizeof(start) - 1);
	memset(out + size, 7, 32); /* random */
	size = put(out, size + 32, suites, sizeof(suites) - 1);
	size = put_u16(out, size, 4 + padding + 9 + length);
	size = put_u16(out, size, 21);
	size = put_u16(out, size, padding);
	memset(out + size, 0, padding);
	size = put_u16(out, size + padding, 0);
	size = put_u16(out, size, length + 5);
	size = put_u16(out, size, length + 3);
	out[size++] = 0;
	size = put_u16(out, size, length);
	size = put(out, size, name, length);
	(void)put_u16(out, 3, size - 5);
	(void)put_u16(out, 7, size - 9);
	return size;
}

/* The one session's; "" when there is none. */
static const char *recorded_name(struct stage *stage)
{
	if (list_is_empty(&stage->worker.sessions))
		return "";
	const struct session *session =
		list_entry(stage->worker.sessions.next, struct session, link);
	return session->server_name ? session->server_name : "";
}

static void tls(struct stage *stage)
{
	char hello[HELLO_MAX];
	size_t size = client_hello("db.example", 0, hello);
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	io_peer_send(client, span_of(hello, size));
	stage_settle(stage);
	struct span got = io_peer_received(server);
	WANT(stage, got.size == size && memcmp(got.data, hello, size) == 0);
	WANT(stage, counted(stage, WEFT_PROXY_TLS_PASSED) == 1);
	peer_sends(stage, server, "\x16\x03\x03server hello");
	sees(stage, client, "\x16\x03\x03server hello");
	WANT(stage, strcmp(recorded_name(stage), "db.example") == 0);
}

/* Post-quantum key shares make a hello of two segments; the first is not held back. */
static void tls_in_segments(struct stage *stage)
{
	static const size_t cuts[] = {3, 6, 1000, 1448, 1770};
	char hello[HELLO_MAX];
	size_t size = client_hello("db.example", 1700, hello);
	for (size_t i = 0; i < array_count(cuts); i++) {
		struct io_peer *client = client_connect(stage, ANY);
		struct io_peer *server = reaches(stage, ANY_ENDPOINT);
		io_peer_send(client, span_of(hello, cuts[i]));
		stage_settle(stage);
		bool is_known = cuts[i] > 5; /* before that it may be anything */
		WANT(stage, io_peer_received(server).size == (is_known ? cuts[i] : 0));
		WANT(stage, strcmp(recorded_name(stage), "") == 0);
		io_peer_send(client, span_of(hello + cuts[i], size - cuts[i]));
		stage_settle(stage);
		struct span got = io_peer_received(server);
		WANT(stage, got.size == size && memcmp(got.data, hello, size) == 0);
		WANT(stage, strcmp(recorded_name(stage), "db.example") == 0);
		io_peer_reset(client);
		stage_settle(stage);
		WANT(stage, list_is_empty(&stage->worker.sessions));
	}
}

static void http2(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x01\x02");
	sees(stage, server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x01\x02");
	WANT(stage, counted(stage, WEFT_PROXY_HTTP2_PASSED) == 1);
}

#define TEST(name, run)                                                                            \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play(run);                                                                         \
	}

TEST(a_server_may_speak_first, server_first)
TEST(a_client_may_speak_first, client_first)
TEST(a_declared_opaque_port_is_never_parsed, declared_opaque)
TEST(http_is_detected_after_a_minute_of_silence, undecided_for_a_minute)
TEST(http_is_detected_letter_by_letter, one_letter_at_a_time)
TEST(held_bytes_go_first_into_the_tunnel, prefix_then_opaque)
TEST(held_bytes_go_on_when_the_server_speaks, prefix_then_server)
TEST(held_bytes_go_on_when_the_client_ends, prefix_then_fin)
TEST(a_close_while_undecided_is_mirrored, closes_while_undecided)
TEST(a_reset_while_undecided_is_mirrored, resets_while_undecided)
TEST(a_client_may_half_close, half_closed_by_client)
TEST(a_server_may_half_close, half_closed_by_server)
TEST(a_half_close_waits_for_what_is_queued, half_close_behind_a_queue)
TEST(a_clients_reset_stays_a_reset, reset_by_client)
TEST(a_servers_reset_stays_a_reset, reset_by_server)
TEST(a_reset_after_a_half_close_stays_a_reset, reset_after_half_close)
TEST(both_ends_may_reset_behind_full_queues, both_reset_behind_full_queues)
TEST(a_tunnel_may_be_idle_for_ever, no_idle_limit)
TEST(a_refused_dial_is_a_reset, refused)
TEST(a_refusing_destination_outside_the_mesh_is_asked_once, stranger_refuses)
TEST(a_refused_dial_after_http_was_detected_is_502, refused_after_http)
TEST(a_refused_dial_within_the_head_is_dialled_anew, refused_within_the_head)
TEST(a_close_within_the_head_is_dialled_anew, closed_within_the_head)
TEST(a_server_that_speaks_within_the_head_ends_it, speaks_within_the_head)
TEST(bytes_and_fin_wait_for_a_slow_dial, slow_dial)
TEST(a_destination_outside_the_mesh_may_take_its_time, slow_stranger)
TEST(a_tunnel_waits_for_a_socket, empty_stock)
TEST(a_client_may_leave_before_the_dial_succeeds, client_leaves_early)
TEST(tls_passes_and_its_name_is_recorded, tls)
TEST(a_client_hello_of_two_segments_passes_at_once_and_its_name_is_recorded, tls_in_segments)
TEST(http2_passes, http2)

static struct draft_value port_80 = {.number = 80};

static void web_is_opaque(struct stage_draft *all)
{
	all->pod.opaque_ports = (struct draft_list){1, &port_80};
}

static void raw_is_http(struct stage_draft *all)
{
	all->pod.http_ports = (struct draft_list){1, &port_80};
}

/* The service "web" declares HTTP; this pod says that it speaks something else there. */
static void opaque_for_the_pod(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, client, "GET /x\r\n");
	sees(stage, server, "GET /x\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_OPAQUE) == 1);
}

static void http_for_the_pod(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	stage_settle(stage);
	WANT(stage, dials_to(RAW_ENDPOINT) == 0); /* not before there is a request */
	peer_sends(stage, client, "GET /x HTTP/1.1\r\nHost: raw\r\n\r\n");
	WANT(stage, series_of(stage, "raw", "")->requests_active == 1);
}

static void a_pod_may_call_a_port_opaque(void **state)
{
	(void)state;
	play_with(opaque_for_the_pod, web_is_opaque);
}

static void a_pod_may_call_a_port_http(void **state)
{
	(void)state;
	play_with(http_for_the_pod, raw_is_http);
}

static void an_idle_tunnel_ends_when_asked_for(void **state)
{
	(void)state;
	play_with(idle, limits_idle_tunnels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_may_speak_first),
		cmocka_unit_test(a_client_may_speak_first),
		cmocka_unit_test(a_declared_opaque_port_is_never_parsed),
		cmocka_unit_test(a_pod_may_call_a_port_opaque),
		cmocka_unit_test(a_pod_may_call_a_port_http),
		cmocka_unit_test(http_is_detected_after_a_minute_of_silence),
		cmocka_unit_test(http_is_detected_letter_by_letter),
		cmocka_unit_test(held_bytes_go_first_into_the_tunnel),
		cmocka_unit_test(held_bytes_go_on_when_the_server_speaks),
		cmocka_unit_test(held_bytes_go_on_when_the_client_ends),
		cmocka_unit_test(a_close_while_undecided_is_mirrored),
		cmocka_unit_test(a_reset_while_undecided_is_mirrored),
		cmocka_unit_test(a_client_may_half_close),
		cmocka_unit_test(a_server_may_half_close),
		cmocka_unit_test(a_half_close_waits_for_what_is_queued),
		cmocka_unit_test(a_clients_reset_stays_a_reset),
		cmocka_unit_test(a_servers_reset_stays_a_reset),
		cmocka_unit_test(a_reset_after_a_half_close_stays_a_reset),
		cmocka_unit_test(an_idle_tunnel_ends_when_asked_for),
		cmocka_unit_test(both_ends_may_reset_behind_full_queues),
		cmocka_unit_test(a_tunnel_may_be_idle_for_ever),
		cmocka_unit_test(a_refused_dial_is_a_reset),
		cmocka_unit_test(a_refusing_destination_outside_the_mesh_is_asked_once),
		cmocka_unit_test(a_refused_dial_after_http_was_detected_is_502),
		cmocka_unit_test(a_refused_dial_within_the_head_is_dialled_anew),
		cmocka_unit_test(a_close_within_the_head_is_dialled_anew),
		cmocka_unit_test(a_server_that_speaks_within_the_head_ends_it),
		cmocka_unit_test(bytes_and_fin_wait_for_a_slow_dial),
		cmocka_unit_test(a_destination_outside_the_mesh_may_take_its_time),
		cmocka_unit_test(a_tunnel_waits_for_a_socket),
		cmocka_unit_test(a_client_may_leave_before_the_dial_succeeds),
		cmocka_unit_test(tls_passes_and_its_name_is_recorded),
		cmocka_unit_test(
			a_client_hello_of_two_segments_passes_at_once_and_its_name_is_recorded),
		cmocka_unit_test(http2_passes),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
