/* Metric slots of services and endpoints that are gone: kept while anything may count there. */
#include "policy/tests/notation.h"
#include "script.h"

#define GET   "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void sweep(struct stage *stage)
{
	workers_sweep_series((struct workers *)(void *)stage);
}

static uint32_t slot_of(struct stage *stage, const char *service, const char *endpoint)
{
	return series_slot(&stage->series, span_text(service), span_text(endpoint));
}

static bool is_given_back(const struct stage *stage, uint32_t slot)
{
	const struct weft_series_label *label = &stage->series.labels[slot];
	return label->state == WEFT_SERIES_VACANT && !label->service[0] &&
	       series_row(&stage->series, 0, slot)->requests == 0;
}

static void moves_the_endpoint(struct stage_draft *all)
{
	all->endpoints[0].address = address_of("10.0.1.2:80");
}

static void answered_late(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	uint32_t slot = slot_of(stage, "web", WEB_ENDPOINT);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	stage_publish_later(stage);
	sweep(stage);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_row(&stage->series, 0, slot)->requests == 1);
	WANT(stage, !strcmp(stage->series.labels[slot].endpoint, WEB_ENDPOINT));
	stage_run(stage, 250 * NS_PER_MS); /* its idle connection is closed */
	sweep(stage);
	WANT(stage, is_given_back(stage, slot));
	WANT(stage, series_of(stage, "web", "")->requests == 1);
}

static void removes_the_service(struct stage_draft *all)
{
	all->services[2] = all->services[4];
	all->draft.services.count--;
}

static void tunnel_goes_on(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, RAW);
	uint32_t slot = slot_of(stage, "raw", "");
	peer_sends(stage, client, "ping");
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	stage_publish_later(stage);
	sweep(stage);
	peer_sends(stage, server, "pong");
	WANT(stage, series_row(&stage->series, 0, slot)->bytes_received == 4);
	WANT(stage, !strcmp(stage->series.labels[slot].service, "raw"));
	io_peer_finish(client);
	io_peer_finish(server);
	stage_run(stage, 2 * NS_PER_S);
	sweep(stage);
	WANT(stage, is_given_back(stage, slot));
}

static void stranger_leaves(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, STRANGER);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, STRANGER);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	io_peer_finish(client);
	stage_run(stage, 3 * NS_PER_S);
	sweep(stage);
	WANT(stage, series_of(stage, STRANGER, "")->requests == 1);
}

static void are_a_clusters(struct stage_draft *all)
{
	for (uint32_t i = 0; i < all->draft.services.count; i++)
		all->services[i].may_be_left_out = true;
}

static void one_request(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	io_peer_finish(client);
	stage_run(stage, 3 * NS_PER_S);
}

static bool is_known(struct stage *stage, const char *service, const char *endpoint)
{
	uint32_t slot;
	return series_find(&stage->series, span_text(service), span_text(endpoint), &slot);
}

static void used_first(struct stage *stage)
{
	WANT(stage, stage->series.claimed == 1); /* overflow */
	one_request(stage);
	WANT(stage, stage->series.claimed == 3);
	WANT(stage, is_known(stage, "web", "") && is_known(stage, "web", WEB_ENDPOINT));
	sweep(stage); /* nothing is under way, but the service is there */
	WANT(stage, series_of(stage, "web", "")->requests == 1);
	WANT(stage, series_of(stage, "web", WEB_ENDPOINT)->requests == 1);
}

static void finds_room_again(struct stage *stage)
{
	char name[32];
	for (unsigned i = 0; stage->series.claimed < WEFT_SERIES_MAX; i++) {
		snprintf(name, sizeof(name), "gone-%u", i);
		slot_of(stage, name, "");
	}
	one_request(stage);
	WANT(stage, !is_known(stage, "web", ""));
	WANT(stage, series_row(&stage->series, 0, SERIES_OVERFLOW)->requests > 0);
	sweep(stage); /* those that are gone are given back */
	one_request(stage);
	WANT(stage, series_of(stage, "web", "")->requests == 1);
	WANT(stage, series_of(stage, "web", WEB_ENDPOINT)->requests == 1);
}

static struct notation routes;

static void has_a_route(struct stage_draft *all)
{
	all->draft.routes = routes.draft.routes;
}

static void has_a_route_and_a_cluster(struct stage_draft *all)
{
	are_a_clusters(all);
	has_a_route(all);
}

static void has_none(struct stage_draft *all)
{
	(void)all;
}

static void rule_leaves(struct stage *stage)
{
	uint32_t slot;
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	WANT(stage, series_find_route(&stage->series, span_text("shop"), span_text("0"), &slot));
	sweep(stage); /* the route is there */
	WANT(stage, !is_given_back(stage, slot));
	stage_publish_later(stage);
	sweep(stage); /* its request is under way */
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_row(&stage->series, 0, slot)->requests == 1);
	WANT(stage, !strcmp(stage->series.labels[slot].service, "shop"));
	sweep(stage);
	WANT(stage, is_given_back(stage, slot));
}

static void a_rule_that_left_keeps_its_slot_until_its_last_answer(void **state)
{
	(void)state;
	notation_init(&routes, "");
	notation_route(&routes, span_text("shop for=web; / > web"));
	play_all(&(struct play){.run = rule_leaves, .configure = has_a_route, .later = has_none});
	notation_fini(&routes);
}

static void rule_finds_room_again(struct stage *stage)
{
	char name[32];
	uint32_t slot;
	for (unsigned i = 0; stage->series.claimed < WEFT_SERIES_MAX; i++) {
		snprintf(name, sizeof(name), "gone-%u", i);
		slot_of(stage, name, "");
	}
	one_request(stage);
	WANT(stage, !series_find_route(&stage->series, span_text("shop"), span_text("0"), &slot));
	sweep(stage);
	one_request(stage);
	sweep(stage); /* nothing is under way, but the route is there */
	WANT(stage, series_find_route(&stage->series, span_text("shop"), span_text("0"), &slot));
	WANT(stage, series_row(&stage->series, 0, slot)->requests == 1);
}

static void a_rule_that_found_the_table_full_asks_again(void **state)
{
	(void)state;
	notation_init(&routes, "");
	notation_route(&routes, span_text("shop for=web; / > web"));
	play_all(&(struct play){.run = rule_finds_room_again,
				.configure = has_a_route_and_a_cluster});
	notation_fini(&routes);
}

static void an_endpoint_that_left_keeps_its_slot_until_its_last_answer(void **state)
{
	(void)state;
	play_all(&(struct play){.run = answered_late, .later = moves_the_endpoint});
}

static void a_service_that_left_keeps_its_slot_until_its_last_tunnel_ends(void **state)
{
	(void)state;
	play_all(&(struct play){.run = tunnel_goes_on, .later = removes_the_service});
}

static void what_is_no_service_is_remembered_after_its_connections(void **state)
{
	(void)state;
	play(stranger_leaves);
}

static void a_clusters_service_has_a_slot_from_its_first_use_on(void **state)
{
	(void)state;
	play_all(&(struct play){.run = used_first, .configure = are_a_clusters});
}

static void what_found_the_table_full_asks_again(void **state)
{
	(void)state;
	play_all(&(struct play){.run = finds_room_again, .configure = are_a_clusters});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_that_left_keeps_its_slot_until_its_last_answer),
		cmocka_unit_test(a_rule_that_left_keeps_its_slot_until_its_last_answer),
		cmocka_unit_test(a_rule_that_found_the_table_full_asks_again),
		cmocka_unit_test(a_service_that_left_keeps_its_slot_until_its_last_tunnel_ends),
		cmocka_unit_test(what_is_no_service_is_remembered_after_its_connections),
		cmocka_unit_test(a_clusters_service_has_a_slot_from_its_first_use_on),
		cmocka_unit_test(what_found_the_table_full_asks_again),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
