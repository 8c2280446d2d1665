/* Requests that take routes: names, backends, filters, redirects, and what lasts over turns. */
#include "policy/tests/notation.h"
#include "script.h"

#define HELLO  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET(p) "GET " p " HTTP/1.1\r\nHost: web\r\n\r\n"

static struct notation routes;
static struct notation auto_routes;
static struct notation none;
/* What the rule adds, its timeout as the deadline of the next hop. */
#define TEAM_IN_5_S                                                                                \
	"X-Team: shop\r\nl5d-ctx-deadline: 1700001000000000000 1700001005000000000\r\n\r\n"

static struct route_field_draft team = {1, "X-Team", "shop"};
static struct route_field_draft seen = {1, "X-Seen", "weft"};
static struct route_mirror_draft copy = {.line = 1, .percent = 100, .service = "any"};
static struct draft_value debug = {.line = 1, .text = "X-Debug"};
static struct identifier_draft identifiers[] = {
	{.line = 1, .kind = IDENTIFY_HEADER},
	{.line = 1, .kind = IDENTIFY_PATH, .segments = 1, .consumes = true},
};

static struct route_rule_draft *rule_of(struct notation *notation, uint32_t route, uint32_t rule)
{
	struct route_draft *drafts = notation->draft.routes.items;
	return (struct route_rule_draft *)drafts[route].rules.items + rule;
}

static int make_routes(void **state)
{
	(void)state;
	notation_init(&routes, "");
	notation_route(&routes, span_text("shop for=web; h:x-canary=1 > any; =/old; /api > many; "
					  "/gone > nobody; /empty > none; /never > web*0; =/moved; "
					  "=/copy > web; / > web"));
	rule_of(&routes, 0, 1)->backends.count = 0;
	rule_of(&routes, 0, 1)->filters.redirect.scheme = "https";
	rule_of(&routes, 0, 6)->backends.count = 0;
	rule_of(&routes, 0, 6)->filters.redirect.hostname = "new.com";
	rule_of(&routes, 0, 6)->filters.redirect.status = 308;
	rule_of(&routes, 0, 7)->filters.mirrors = (struct draft_list){1, &copy};
	struct route_filters_draft *filters = &rule_of(&routes, 0, 2)->filters;
	filters->rewrite.path = (struct route_path_change_draft){ROUTE_PATH_REPLACE_PREFIX, "/v1"};
	filters->rewrite.hostname = "many.local";
	filters->request.set = (struct draft_list){1, &team};
	filters->request.remove = (struct draft_list){1, &debug};
	filters->response.add = (struct draft_list){1, &seen};
	rule_of(&routes, 0, 2)->request_ns = 5 * NS_PER_S;
	notation_route(&routes, span_text("some for=any; =/only > any"));
	notation_init(&auto_routes, "");
	notation_route(&auto_routes, span_text("up for=any; /web > web; / > any"));
	notation_init(&none, "");
	return 0;
}

static int free_routes(void **state)
{
	(void)state;
	notation_fini(&routes);
	notation_fini(&auto_routes);
	notation_fini(&none);
	return 0;
}

static void with_routes(struct stage_draft *all)
{
	all->draft.routes = routes.draft.routes;
}

static void with_auto_routes(struct stage_draft *all)
{
	all->draft.routes = auto_routes.draft.routes;
}

static void with_identifiers(struct stage_draft *all)
{
	all->draft.identifiers = (struct draft_list){array_count(identifiers), identifiers};
}

static void without_routes(struct stage_draft *all)
{
	(void)all;
}

static void own_answer(struct stage *stage, struct io_peer *client, const char *status)
{
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data + 9, status, 3) == 0);
	io_peer_forget(client);
}

/* One client connection, three services, each pooled for itself. */
static void by_header(struct stage *stage)
{
	static const char canary[] = "GET /a HTTP/1.1\r\nHost: web\r\nX-Canary: 1\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	struct io_peer *web = NULL;
	struct io_peer *any = NULL;
	for (int i = 0; i < 3; i++) {
		peer_sends(stage, client, GET("/a"));
		web = web ? web : reaches(stage, WEB_ENDPOINT);
		sees(stage, web, GET("/a"));
		WANT(stage, series_of(stage, "web", "")->requests_active == 1);
		peer_sends(stage, web, HELLO);
		sees(stage, client, HELLO);
		peer_sends(stage, client, canary);
		any = any ? any : reaches(stage, ANY_ENDPOINT);
		sees(stage, any, canary);
		WANT(stage, series_of(stage, "any", "")->requests_active == 1);
		peer_sends(stage, any, HELLO);
		sees(stage, client, HELLO);
	}
	WANT(stage, dials_to(WEB_ENDPOINT) == 1 && dials_to(ANY_ENDPOINT) == 1);
	WANT(stage, series_of(stage, "web", "")->requests == 3);
	WANT(stage, series_of(stage, "any", "")->requests == 3);
	WANT(stage, series_of(stage, "any", ANY_ENDPOINT)->responses[2] == 3);
	WANT(stage, stage->worker.counts->upstreams_idle == 2);
}

static struct io_peer *one_of_many(struct stage *stage)
{
	for (int i = 3; i < 7; i++) {
		struct io_peer *server = server_reached(stage, stage_endpoints[i]);
		if (server)
			return server;
	}
	WANT(stage, false);
	return NULL;
}

static void filtered(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /api/x?y HTTP/1.1\r\nHost: web\r\nX-Debug: 1\r\nx-team: none\r\n"
		   "Connection: x-team\r\nContent-Length: 2\r\n\r\n");
	struct io_peer *server = one_of_many(stage);
	sees(stage, server,
	     "POST /v1/x?y HTTP/1.1\r\nHost: many.local\r\nContent-Length: 2\r\n" TEAM_IN_5_S);
	WANT(stage, list_entry(stage->worker.sessions.next, struct session, link)
				    ->exchange->route.request_ns == 5 * NS_PER_S);
	peer_sends(stage, client, "ok");
	sees(stage, server, "ok");
	peer_sends(stage, server, "HTTP/1.1 100 Continue\r\n\r\n");
	sees(stage, client, "HTTP/1.1 100 Continue\r\n\r\n");
	peer_sends(stage, server, HELLO);
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: weft\r\n\r\nhello");
}

/* The answer is changed as it was to be when its request was sent. */
static void changed_meanwhile(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET("/api"));
	struct io_peer *server = one_of_many(stage);
	sees(stage, server, "GET /v1 HTTP/1.1\r\nHost: many.local\r\n" TEAM_IN_5_S);
	stage_publish_later(stage);
	peer_sends(stage, server, HELLO);
	sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: weft\r\n\r\nhello");
	peer_sends(stage, client, GET("/api"));
	sees(stage, reaches(stage, WEB_ENDPOINT), GET("/api"));
}

static void redirected(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	for (int i = 0; i < 2; i++) {
		peer_sends(stage, client, GET("/old"));
		sees(stage, client,
		     "HTTP/1.1 302 Found\r\nLocation: https://web/old\r\nContent-Length: "
		     "0\r\n\r\n");
	}
	peer_sends(stage, client, GET("/moved?x"));
	sees(stage, client,
	     "HTTP/1.1 308 Permanent Redirect\r\nLocation: http://new.com/moved?x\r\n"
	     "Content-Length: 0\r\n\r\n");
	WANT(stage, counted(stage, WEFT_PROXY_REDIRECTED) == 3);
	WANT(stage, series_of(stage, "web", "")->responses[3] == 3);
	WANT(stage, series_of(stage, "web", "")->proxy_errors == 0);
	peer_sends(stage, client, GET("/"));
	sees(stage, reaches(stage, WEB_ENDPOINT), GET("/"));
}

static void not_to_be_had(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET("/gone"));
	own_answer(stage, client, "500");
	peer_sends(stage, client, GET("/never"));
	own_answer(stage, client, "500");
	WANT(stage, counted(stage, WEFT_PROXY_NO_BACKEND) == 2);
	peer_sends(stage, client, GET("/empty"));
	own_answer(stage, client, "503");
	WANT(stage, counted(stage, WEFT_PROXY_NO_ENDPOINT) == 1);
	WANT(stage, series_of(stage, "none", "")->responses[5] == 1);
	peer_sends(stage, client, GET("/"));
	sees(stage, reaches(stage, WEB_ENDPOINT), GET("/"));
}

static void no_rule(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	reaches(stage, ANY_ENDPOINT); /* dialled ahead */
	peer_sends(stage, client, GET("/other"));
	own_answer(stage, client, "404");
	WANT(stage, counted(stage, WEFT_PROXY_NO_ROUTE) == 1);
	peer_sends(stage, client, GET("/only"));
	sees(stage, reaches(stage, ANY_ENDPOINT), GET("/only"));
}

/* What was dialled before the first byte is of no use to a route that leads elsewhere. */
static void dialled_ahead(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, GET("/web"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET("/web"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET("/x"));
	sees(stage, reaches(stage, ANY_ENDPOINT), GET("/x"));
	WANT(stage, dials_to(ANY_ENDPOINT) == 2);
}

static void dialled_ahead_and_used(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, GET("/x"));
	sees(stage, any, GET("/x"));
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, dials_to(ANY_ENDPOINT) == 1);
}

static void upgraded(struct stage *stage)
{
	static const char ask[] =
		"GET /ws HTTP/1.1\r\nHost: web\r\nX-Canary: 1\r\nUpgrade: x\r\n"
		"Connection: Upgrade\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, ask);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, ask);
	peer_sends(stage, any,
		   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
	sees(stage, client,
	     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
	peer_sends(stage, client, "ping");
	sees(stage, any, "ping");
	peer_sends(stage, any, "pong");
	sees(stage, client, "pong");
}

/* An answer that authenticates its connection pins one for each service. */
static void pinned(struct stage *stage)
{
	static const char plain[] = "GET /a HTTP/1.1\r\nHost: web\r\nAuthorization: NTLM x\r\n\r\n";
	static const char canary[] =
		"GET /a HTTP/1.1\r\nHost: web\r\nX-Canary: 1\r\n"
		"Authorization: NTLM x\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, plain);
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, plain);
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, plain);
	sees(stage, web, plain);
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, canary);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, canary);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, canary);
	sees(stage, any, canary);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
}

static const struct weft_series *rule_row(struct stage *stage, const char *rule)
{
	uint32_t slot = series_slot_route(&stage->series, span_text("shop"), span_text(rule));
	return series_row(&stage->series, 0, slot);
}

/* By rule, whichever service they went to. */
static void counted_by_rule(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET("/old"));
	WANT(stage, rule_row(stage, "1")->responses[3] == 1); /* redirected */
	stage_settle(stage);
	io_peer_forget(client);
	peer_sends(stage, client, GET("/gone"));
	WANT(stage, rule_row(stage, "3")->responses[5] == 1);
	WANT(stage, rule_row(stage, "3")->proxy_errors == 1);
	stage_settle(stage);
	io_peer_forget(client);
	peer_sends(stage, client, GET("/x"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET("/x"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	const struct weft_series *row = rule_row(stage, "8");
	WANT(stage, row->requests == 1 && row->responses[2] == 1 && row->retries == 0);
	uint64_t measured = 0;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		measured += row->latency_buckets[i];
	WANT(stage, measured == 1);
	WANT(stage, rule_row(stage, "0")->requests == 0);
}

static void mirrored(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /copy HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nab");
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, "cd");
	sees(stage, web, "POST /copy HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nabcd");
	sees(stage, any, "POST /copy HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nabcd");
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_MIRRORED) == 0);
	peer_sends(stage, any, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	sees(stage, client, "");
	WANT(stage, counted(stage, WEFT_PROXY_MIRRORED) == 1);
	WANT(stage, series_of(stage, "any", "")->requests == 0);
	WANT(stage, series_of(stage, "any", ANY_ENDPOINT)->requests == 0);
	WANT(stage, series_of(stage, "any", "")->mirrored == 1);
	WANT(stage, series_of(stage, "web", "")->requests == 1);
	WANT(stage, rule_row(stage, "7")->requests == 1); /* the copy is no second one */
	WANT(stage, stage->worker.counts->upstreams_idle == 2);
	peer_sends(stage, client, GET("/copy"));
	sees(stage, web, GET("/copy"));
	sees(stage, any, GET("/copy"));
}

/* It is waited for 15 s, and by nobody else. */
static void mirror_is_silent(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET("/copy"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET("/copy"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	stage_run(stage, 14 * NS_PER_S);
	WANT(stage, counted(stage, WEFT_PROXY_MIRROR_FAILED) == 0);
	stage_run(stage, 2 * NS_PER_S);
	WANT(stage, counted(stage, WEFT_PROXY_MIRROR_FAILED) == 1);
}

static void mirror_refuses(struct stage *stage)
{
	endpoint_answers(ANY_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET("/copy"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET("/copy"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_MIRROR_FAILED) == 1);
	WANT(stage, series_of(stage, "any", "")->mirrors_failed == 1);
	WANT(stage, series_of(stage, "any", "")->mirrored == 0);
}

/* A copy of half a request helps nobody. */
static void client_leaves_its_mirror(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client,
		   "POST /copy HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nab");
	reaches(stage, WEB_ENDPOINT);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, counted(stage, WEFT_PROXY_MIRROR_FAILED) == 1);
	WANT(stage, io_peer_saw_reset(any));
}

static void identified(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /web/a HTTP/1.1\r\nHost: web\r\nl5d-name: /any\r\n\r\n");
	sees(stage, reaches(stage, ANY_ENDPOINT),
	     "GET /web/a HTTP/1.1\r\nHost: web\r\nl5d-name: /any\r\n\r\n");
	struct io_peer *second = client_connect(stage, ANY);
	reaches(stage, ANY_ENDPOINT); /* dialled ahead */
	peer_sends(stage, second, GET("/web/a/?q"));
	sees(stage, reaches(stage, WEB_ENDPOINT), GET("/a/?q"));
	struct io_peer *third = client_connect(stage, WEB);
	peer_sends(stage, third, GET("/"));
	own_answer(stage, third, "400");
	peer_sends(stage, third, GET("/nobody"));
	own_answer(stage, third, "502");
	WANT(stage, counted(stage, WEFT_PROXY_UNIDENTIFIED) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_UNBOUND) == 1);
}

/* The app wants this endpoint: nothing else is asked. */
static void to_an_endpoint(struct stage *stage)
{
	struct io_peer *client = client_dials_endpoint(stage, WEB, WEB_ENDPOINT);
	stage_settle(stage);
	peer_sends(stage, client, GET("/old"));
	sees(stage, reaches(stage, WEB_ENDPOINT), GET("/old"));
}

#define TEST(name, run, configure, later)                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_all(&(struct play){run, configure, later});                                   \
	}

TEST(one_connection_goes_to_several_services, by_header, with_routes, NULL)
TEST(filters_change_request_and_answer, filtered, with_routes, NULL)
TEST(an_answer_keeps_the_filters_of_its_request, changed_meanwhile, with_routes, without_routes)
TEST(a_redirect_is_answered_by_weft, redirected, with_routes, NULL)
TEST(backends_that_are_not_there_have_their_statuses, not_to_be_had, with_routes, NULL)
TEST(a_service_with_routes_answers_404_where_none_fits, no_rule, with_routes, NULL)
TEST(what_was_dialled_ahead_is_left_when_it_leads_elsewhere, dialled_ahead, with_auto_routes, NULL)
TEST(what_was_dialled_ahead_is_used_when_it_leads_there, dialled_ahead_and_used, with_auto_routes,
     NULL)
TEST(an_upgrade_takes_routes_too, upgraded, with_routes, NULL)
TEST(each_service_has_its_pinned_connection, pinned, with_routes, NULL)
TEST(each_rule_has_counters, counted_by_rule, with_routes, NULL)
TEST(a_mirror_gets_a_copy_and_its_answer_is_dropped, mirrored, with_routes, NULL)
TEST(a_silent_mirror_is_left_after_a_while, mirror_is_silent, with_routes, NULL)
TEST(a_mirror_that_refuses_is_only_counted, mirror_refuses, with_routes, NULL)
TEST(a_client_that_leaves_ends_its_copy, client_leaves_its_mirror, with_routes, NULL)
TEST(identifiers_name_the_service, identified, with_identifiers, NULL)
TEST(a_dial_to_an_endpoint_takes_no_route, to_an_endpoint, with_routes, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_connection_goes_to_several_services),
		cmocka_unit_test(filters_change_request_and_answer),
		cmocka_unit_test(an_answer_keeps_the_filters_of_its_request),
		cmocka_unit_test(a_redirect_is_answered_by_weft),
		cmocka_unit_test(backends_that_are_not_there_have_their_statuses),
		cmocka_unit_test(a_service_with_routes_answers_404_where_none_fits),
		cmocka_unit_test(what_was_dialled_ahead_is_left_when_it_leads_elsewhere),
		cmocka_unit_test(what_was_dialled_ahead_is_used_when_it_leads_there),
		cmocka_unit_test(an_upgrade_takes_routes_too),
		cmocka_unit_test(each_service_has_its_pinned_connection),
		cmocka_unit_test(each_rule_has_counters),
		cmocka_unit_test(a_mirror_gets_a_copy_and_its_answer_is_dropped),
		cmocka_unit_test(a_silent_mirror_is_left_after_a_while),
		cmocka_unit_test(a_mirror_that_refuses_is_only_counted),
		cmocka_unit_test(a_client_that_leaves_ends_its_copy),
		cmocka_unit_test(identifiers_name_the_service),
		cmocka_unit_test(a_dial_to_an_endpoint_takes_no_route),
	};
	return cmocka_run_group_tests(tests, make_routes, free_routes);
}
