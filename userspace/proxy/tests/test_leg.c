/* The shortcut as a worker sees it: who may have it, who loses it, and ends that TCP did not tell.
 */
#include "script.h"

#include "proxy/leg.h"

#define GET     "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define UPGRADE "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define JOINED  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

/* Slots of the double's two legs, and which end of each is ours. */
enum { APP_LEG, ENDPOINT_LEG };

static struct weft_leg_end our_end(unsigned leg)
{
	return (struct weft_leg_end){.leg = 100 + leg,
				     .slot = leg,
				     .side = leg == APP_LEG ? WEFT_LEG_ACCEPTOR : WEFT_LEG_DIALLER};
}

static struct weft_leg *leg_new(unsigned leg)
{
	struct weft_leg *made = kernel_double_leg(leg);
	*made = (struct weft_leg){.id = our_end(leg).leg, .ends = 2};
	return made;
}

/* The end that is not ours was closed before it had read everything. */
static void cut(unsigned leg)
{
	kernel_double_leg(leg)->unread |= 1u << !our_end(leg).side;
}

/* Both sockets of it are closed. */
static void end_leg(unsigned leg)
{
	kernel_double_leg(leg)->id = 0;
}

static bool is_on_tcp(unsigned leg)
{
	return kernel_double_leg(leg)->wants_tcp;
}

/* An app's dial that has the shortcut; the connection to its endpoint gets it too, if it may. */
static struct io_peer *client_on_legs(struct stage *stage, const char *destination, bool is_http)
{
	struct weft_flow flow = {
		.destination = address_of(destination),
		.service_id = service_id_at(stage, destination),
		.flags = (uint16_t)(WEFT_DESTINATION_READY | (is_http ? WEFT_DESTINATION_HTTP : 0)),
		.leg = our_end(APP_LEG).leg,
		.leg_slot = our_end(APP_LEG).slot,
	};
	struct weft_leg_end end = our_end(ENDPOINT_LEG);
	leg_new(APP_LEG);
	leg_new(ENDPOINT_LEG);
	kernel_double_leg_next(&end);
	struct io_peer *client = client_dials_as(stage, &flow);
	stage_settle(stage);
	return client;
}

static void mesh_on(struct stage_draft *all)
{
	all->draft.settings.shortcut = WEFT_SHORTCUT_ON;
}

static void mesh_auto(struct stage_draft *all)
{
	all->draft.settings.shortcut = WEFT_SHORTCUT_AUTO;
}

/* ---- who may ---- */

#define MESH_WINDOW 111111u

static struct window_case {
	enum weft_shortcut pod, service, mesh;
	uint32_t service_window;
	const char *destination;
	uint32_t window;
} window_case;

static void configure_window(struct stage_draft *all)
{
	all->pod.shortcut = window_case.pod;
	all->draft.settings.shortcut = window_case.mesh;
	all->draft.settings.shortcut_window = MESH_WINDOW;
	for (unsigned i = 0; i < array_count(all->services); i++) {
		all->services[i].shortcut = window_case.service;
		all->services[i].shortcut_window = window_case.service_window;
	}
}

#define INHERIT WEFT_SHORTCUT_INHERIT
#define OFF     WEFT_SHORTCUT_OFF
#define AUTO    WEFT_SHORTCUT_AUTO
#define ON      WEFT_SHORTCUT_ON

static void the_window_is_the_services_then_the_meshs(void **state)
{
	static const struct window_case cases[] = {
		{INHERIT, INHERIT, OFF, 0, WEB, 0},
		{INHERIT, INHERIT, AUTO, 0, WEB, MESH_WINDOW},
		{INHERIT, INHERIT, AUTO, 0, ANY, 0},
		{INHERIT, INHERIT, ON, 0, RAW, MESH_WINDOW},
		{INHERIT, INHERIT, ON, 5000, RAW, 5000},
		{INHERIT, AUTO, OFF, 5000, WEB, 5000},
		{INHERIT, OFF, ON, 5000, WEB, 0},
		{OFF, ON, ON, 5000, WEB, 0},
		{ON, OFF, ON, 5000, WEB, 0},
		{ON, INHERIT, OFF, 0, ANY, MESH_WINDOW},
		{AUTO, ON, ON, 0, ANY, 0},
		{INHERIT, INHERIT, ON, 0, STRANGER, 0}, /* no service, no promise */
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct stage stage;
		window_case = cases[i];
		stage_open(&stage, configure_window, NULL);
		const struct worker_pod *pod =
			list_entry(stage.worker.pods.next, struct worker_pod, link);
		uint32_t service_id = service_id_at(&stage, cases[i].destination);
		bool is_auto = false;
		assert_int_equal(leg_window(&stage.worker, pod, service_id, &is_auto),
				 cases[i].window);
		assert_int_equal(
			is_auto,
			cases[i].window && window_case.pod != ON &&
				(window_case.pod == AUTO || window_case.service == AUTO ||
				 (window_case.service == INHERIT && window_case.mesh == AUTO)));
		stage_close(&stage);
	}
}

/* The kernel opens a leg for a dial of ours that is marked with a window. */
static void a_dial_is_marked_with_its_window(void **state)
{
	configuration *const modes[] = {NULL, mesh_on};
	(void)state;
	for (size_t i = 0; i < array_count(modes); i++) {
		struct stage stage;
		struct weft_socket mark;
		stage_open(&stage, modes[i], NULL);
		client_connect(&stage, RAW);
		const struct session *session =
			list_entry(stage.worker.sessions.next, struct session, link);
		int fd = session->tunnel->dial.upstream->wire.fd;
		assert_true(kernel_double_mark_of(fd, &mark));
		assert_int_equal(mark.role, WEFT_SOCKET_UPSTREAM);
		assert_int_equal(mark.service_id, service_id_at(&stage, RAW));
		assert_int_equal(mark.shortcut_window,
				 modes[i] ? stage.worker.snapshot->settings.shortcut_window : 0);
		stage_empty(&stage);
		stage_close(&stage);
	}
}

/* ---- the guard ---- */

static void ends_of_legs_are_guarded(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	WANT(stage, io_peer_would_see_reset(client));
	WANT(stage, io_peer_would_see_reset(server));
	io_peer_finish(client);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
	WANT(stage, io_peer_saw_fin(server) && !io_peer_saw_reset(server));
	/* what came while they were being closed is TCP's to refuse */
	WANT(stage, kernel_double_leg(APP_LEG)->wants_tcp == WEFT_REASON_DEMOTED_CLOSING);
	WANT(stage, kernel_double_leg(ENDPOINT_LEG)->wants_tcp == WEFT_REASON_DEMOTED_CLOSING);
}

/* TCP tells of them itself. */
static void others_are_not(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	WANT(stage, !io_peer_would_see_reset(client));
	WANT(stage, !io_peer_would_see_reset(server)); /* it may, and the kernel gave none */
}

/* ---- an end that read not everything: a FIN, and TCP would have sent a RST ---- */

static void a_cut_client_that_waits(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	cut(APP_LEG);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
}

static void a_cut_client_between_requests(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	cut(APP_LEG);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
}

/* One that half-closes waits for its answer; this one does not. */
static void a_cut_client_in_an_exchange(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	cut(APP_LEG);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client));
	WANT(stage, io_peer_is_closed(server));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
}

static void an_uncut_client_gets_its_answer(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	io_peer_finish(client);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, io_peer_saw_fin(client) && !io_peer_saw_reset(client));
}

/* What it sent comes first. */
static void a_cut_client_of_a_tunnel(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(client, span_text("last words"));
	cut(APP_LEG);
	io_peer_finish(client);
	sees(stage, server, "last words");
	WANT(stage, io_peer_saw_reset(server) && !io_peer_saw_fin(server));
	WANT(stage, io_peer_saw_reset(client));
}

static void an_uncut_client_of_a_tunnel(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(server) && !io_peer_saw_reset(server));
	peer_sends(stage, server, "answer");
	sees(stage, client, "answer");
}

/* A body until close would look complete. */
static void a_cut_server_in_an_exchange(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\n\r\nhalf a bo");
	sees_chunked(stage, client,
		     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf a bo");
	cut(ENDPOINT_LEG);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_received(client).size == 0); /* no last chunk */
	WANT(stage, io_peer_saw_fin(client) || io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 1);
}

static void an_uncut_server_in_an_exchange(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\n\r\na body");
	io_peer_finish(server);
	sees_chunked(stage, client,
		     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na body" END_OF_CHUNKS
		     "\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 0);
}

static void a_cut_server_of_a_tunnel(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_send(server, span_text("last words"));
	cut(ENDPOINT_LEG);
	io_peer_finish(server);
	sees(stage, client, "last words");
	WANT(stage, io_peer_saw_reset(client) && !io_peer_saw_fin(client));
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 1);
}

static void a_cut_server_that_idles(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	cut(ENDPOINT_LEG);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(server));
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
	peer_sends(stage, client, GET);
	sees(stage, reaches(stage, WEB_ENDPOINT), GET);
}

static void serve_on_a_spent_leg(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	kernel_double_leg(ENDPOINT_LEG)->demoted = WEFT_REASON_DEMOTED_WINDOW;
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* A new connection, by TCP from the start, is faster. */
static void a_spent_leg_of_auto(struct stage *stage)
{
	serve_on_a_spent_leg(stage);
	WANT(stage, stage->worker.counts->upstreams_idle == 0);
}

static void a_spent_leg_that_was_wanted(struct stage *stage)
{
	serve_on_a_spent_leg(stage);
	WANT(stage, stage->worker.counts->upstreams_idle == 1);
}

/* A RST whose error a send of ours took: nothing but its end is left of the leg. */
static void a_client_whose_leg_is_over(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	end_leg(APP_LEG);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(server) && !io_peer_saw_fin(server));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 1);
}

static void a_server_whose_leg_is_over(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	end_leg(ENDPOINT_LEG);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_reset(client) && !io_peer_saw_fin(client));
	WANT(stage, counted(stage, WEFT_PROXY_UPSTREAM_RESET) == 1);
}

/* Our own FIN and the peer's may have ended it before we hear of the peer's. */
static void a_client_whose_leg_ended_in_order(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, RAW, false);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	io_peer_finish(server);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(client));
	end_leg(APP_LEG);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, io_peer_saw_fin(server) && !io_peer_saw_reset(server));
	WANT(stage, !io_peer_saw_reset(client));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_RESET) == 0);
}

/* ---- back to TCP: whoever joins sockets may splice them ---- */

static void both_legs_leave_before_a_tunnel_of_101(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, UPGRADE);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	WANT(stage, !is_on_tcp(APP_LEG) && !is_on_tcp(ENDPOINT_LEG));
	peer_sends(stage, server, JOINED);
	WANT(stage, io_peer_received(client).size > 0);
	WANT(stage, is_on_tcp(APP_LEG) && is_on_tcp(ENDPOINT_LEG));
}

static void both_legs_leave_before_a_tunnel_of_connect(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	WANT(stage, !is_on_tcp(APP_LEG) && !is_on_tcp(ENDPOINT_LEG));
	peer_sends(stage, server, "HTTP/1.1 200 OK\r\n\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_CONNECTED) == 1);
	WANT(stage, is_on_tcp(APP_LEG) && is_on_tcp(ENDPOINT_LEG));
}

/* Also when the endpoint is reached later than the first bytes come. */
static void both_legs_leave_when_a_declared_port_speaks_something_else(struct stage *stage)
{
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_ACCEPTS, 5 * NS_PER_MS);
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, "*1\r\n$4\r\nPING\r\n");
	WANT(stage, is_on_tcp(APP_LEG));
	WANT(stage, !is_on_tcp(ENDPOINT_LEG)); /* not there yet */
	stage_run(stage, 10 * NS_PER_MS);
	sees(stage, reaches(stage, WEB_ENDPOINT), "*1\r\n$4\r\nPING\r\n");
	WANT(stage, is_on_tcp(ENDPOINT_LEG));
}

static void http_that_stays_http_keeps_its_legs(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, WEB, true);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, !is_on_tcp(APP_LEG) && !is_on_tcp(ENDPOINT_LEG));
}

/* Who says `on` of a port that nobody declared wants it for whatever is spoken there. */
static void a_tunnel_that_was_wanted_keeps_its_legs(struct stage *stage)
{
	struct io_peer *client = client_on_legs(stage, ANY, false);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "*1\r\n$4\r\nPING\r\n");
	sees(stage, server, "*1\r\n$4\r\nPING\r\n");
	peer_sends(stage, server, "+PONG\r\n");
	sees(stage, client, "+PONG\r\n");
	WANT(stage, !is_on_tcp(APP_LEG) && !is_on_tcp(ENDPOINT_LEG));
}

#define PLAYED(name, run, mode)                                                                    \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(run, mode);                                                              \
	}

PLAYED(the_guard_is_for_ends_of_legs, ends_of_legs_are_guarded, mesh_on)
PLAYED(without_a_leg_there_is_no_guard, others_are_not, mesh_on)
PLAYED(cut_while_it_waits, a_cut_client_that_waits, mesh_auto)
PLAYED(cut_between_requests, a_cut_client_between_requests, mesh_auto)
PLAYED(cut_in_an_exchange, a_cut_client_in_an_exchange, mesh_auto)
PLAYED(half_closed_in_an_exchange, an_uncut_client_gets_its_answer, mesh_auto)
PLAYED(cut_in_a_tunnel, a_cut_client_of_a_tunnel, mesh_on)
PLAYED(half_closed_in_a_tunnel, an_uncut_client_of_a_tunnel, mesh_on)
PLAYED(server_cut_in_an_exchange, a_cut_server_in_an_exchange, mesh_auto)
PLAYED(server_ends_in_an_exchange, an_uncut_server_in_an_exchange, mesh_auto)
PLAYED(server_cut_in_a_tunnel, a_cut_server_of_a_tunnel, mesh_on)
PLAYED(server_cut_in_the_pool, a_cut_server_that_idles, mesh_auto)
PLAYED(over_before_the_client_ended, a_client_whose_leg_is_over, mesh_on)
PLAYED(over_before_the_server_ended, a_server_whose_leg_is_over, mesh_on)
PLAYED(over_after_our_fin, a_client_whose_leg_ended_in_order, mesh_on)
PLAYED(tcp_before_101, both_legs_leave_before_a_tunnel_of_101, mesh_auto)
PLAYED(tcp_before_connect, both_legs_leave_before_a_tunnel_of_connect, mesh_auto)
PLAYED(tcp_when_it_is_not_http, both_legs_leave_when_a_declared_port_speaks_something_else,
       mesh_auto)
PLAYED(auto_keeps_no_spent_upstream, a_spent_leg_of_auto, mesh_auto)
PLAYED(on_keeps_spent_upstreams, a_spent_leg_that_was_wanted, mesh_on)
PLAYED(http_keeps_the_shortcut, http_that_stays_http_keeps_its_legs, mesh_auto)
PLAYED(on_keeps_the_shortcut, a_tunnel_that_was_wanted_keeps_its_legs, mesh_on)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_window_is_the_services_then_the_meshs),
		cmocka_unit_test(a_dial_is_marked_with_its_window),
		cmocka_unit_test(the_guard_is_for_ends_of_legs),
		cmocka_unit_test(without_a_leg_there_is_no_guard),
		cmocka_unit_test(cut_while_it_waits),
		cmocka_unit_test(cut_between_requests),
		cmocka_unit_test(cut_in_an_exchange),
		cmocka_unit_test(half_closed_in_an_exchange),
		cmocka_unit_test(cut_in_a_tunnel),
		cmocka_unit_test(half_closed_in_a_tunnel),
		cmocka_unit_test(server_cut_in_an_exchange),
		cmocka_unit_test(server_ends_in_an_exchange),
		cmocka_unit_test(server_cut_in_a_tunnel),
		cmocka_unit_test(server_cut_in_the_pool),
		cmocka_unit_test(over_before_the_client_ended),
		cmocka_unit_test(over_before_the_server_ended),
		cmocka_unit_test(over_after_our_fin),
		cmocka_unit_test(tcp_before_101),
		cmocka_unit_test(tcp_before_connect),
		cmocka_unit_test(tcp_when_it_is_not_http),
		cmocka_unit_test(auto_keeps_no_spent_upstream),
		cmocka_unit_test(on_keeps_spent_upstreams),
		cmocka_unit_test(http_keeps_the_shortcut),
		cmocka_unit_test(on_keeps_the_shortcut),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
