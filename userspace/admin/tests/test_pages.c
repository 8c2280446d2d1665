#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "admin/json.h"
#include "admin/pages.h"
#include "base/mem.h"

#define WORKERS 2u

static struct weft_series rows[WORKERS * WEFT_SERIES_MAX];
static struct weft_series_label labels[WEFT_SERIES_MAX];
static struct weft_proxy_counts proxy[WEFT_WORKERS_MAX];
static struct series_store store;
static struct baseline baseline;
static uint64_t heartbeats[WORKERS];
static struct text page;
static bool ready;

static bool is_ready(void *owner, struct text *why)
{
	(void)owner;
	if (!ready)
		text_printf(why, "it is only a test");
	return ready;
}

static void kernel_metrics(void *owner, struct text *text)
{
	(void)owner;
	text_add(text, span_text("weft_capture_decisions_total 1\n"));
}

/* The second endpoint of web is left out. */
static bool breaker_of(void *owner, const struct service *service, const struct endpoint *endpoint,
		       struct breaker_view *ret_view)
{
	(void)owner;
	(void)service;
	*ret_view = (struct breaker_view){.state = BREAKER_ALIVE};
	if (endpoint->id == 2)
		*ret_view = (struct breaker_view){
			.state = BREAKER_DEAD,
			.until_ns = 14200000000,
			.failures = 5,
			.failed_probes = 1,
		};
	return true;
}

static bool service_is_up(void *owner, const struct snapshot *of, const struct service *service,
			  uint64_t now_ns)
{
	(void)owner;
	(void)of;
	(void)now_ns;
	return service->endpoint_count > 0;
}

static struct admin_sources sources = {
	.breaker = breaker_of,
	.service_is_up = service_is_up,
	.series = &store,
	.heartbeats = heartbeats,
	.workers = WORKERS,
	.started_ns = 1000000000,
	.is_ready = is_ready,
	.kernel_metrics = kernel_metrics,
};

/* Two services, as a snapshot holds them; look-ups by name need no more than this. */
static struct endpoint web_endpoints[2] = {{.id = 1, .weight = 1, .text = "10.0.0.1:8080"},
					   {.id = 2, .weight = 3, .text = "10.0.0.2:8080"}};
static struct weft_address web_addresses[2];
static struct service web = {
	.id = 1,
	.name = "web",
	.protocol = PROTOCOL_HTTP,
	.balancer = BALANCER_ROUND_ROBIN,
	.shortcut = WEFT_SHORTCUT_AUTO,
	.shortcut_window = 65536,
	.address_count = 2,
	.addresses = web_addresses,
	.endpoint_count = 2,
	.ready_count = 2,
	.endpoints = web_endpoints,
	.resilience.breaker.kind = BREAKER_CONSECUTIVE_FAILURES,
};
static struct service empty = {.id = 2, .name = "zero"};
static struct service *services[] = {&web, &empty};
static struct snapshot snapshot = {.service_count = 2, .services = services};

static struct page_view view = {
	.sources = &sources,
	.snapshot = &snapshot,
	.baseline = &baseline,
	.now_ns = 11000000000,
};

static uint32_t slot_of(const char *service, const char *endpoint)
{
	return series_slot(&store, span_text(service), span_text(endpoint));
}

static int fresh(void **state)
{
	(void)state;
	memset(rows, 0, sizeof(rows));
	memset(labels, 0, sizeof(labels));
	memset(proxy, 0, sizeof(proxy));
	series_store_init(&store, rows, labels, proxy, WORKERS);
	baseline = (struct baseline){0};
	web.series = slot_of("web", "");
	empty.series = slot_of("zero", "");
	for (unsigned i = 0; i < array_count(web_endpoints); i++)
		web_endpoints[i].series = slot_of("web", web_endpoints[i].text);
	assert_int_equal(address_parse(span_text("10.96.0.10:80"), &web_addresses[0]), 0);
	assert_int_equal(address_parse(span_text("[fd00:96::10]:80"), &web_addresses[1]), 0);
	page = (struct text){0};
	return 0;
}

static int drop(void **state)
{
	(void)state;
	text_fini(&page);
	baseline_fini(&baseline);
	return 0;
}

static cJSON *parsed(void)
{
	assert_false(page.failed);
	cJSON *json = cJSON_Parse(page.data);
	if (!json)
		fail_msg("no JSON: %s", page.data);
	return json;
}

static const cJSON *item(const cJSON *object, const char *key)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
	if (!found)
		fail_msg("no %s in %s", key, page.data);
	return found;
}

static double number(const cJSON *object, const char *key)
{
	assert_true(cJSON_IsNumber(item(object, key)));
	return item(object, key)->valuedouble;
}

static const cJSON *named(const cJSON *list, const char *key, const char *value)
{
	const cJSON *each;
	cJSON_ArrayForEach(each, list)
	{
		if (!strcmp(item(each, key)->valuestring, value))
			return each;
	}
	return NULL;
}

/* ---- stat ---- */

static void stat_shows_services_that_never_had_traffic_in_their_place(void **state)
{
	static struct service idle[] = {
		{.name = "a", .series = SERIES_UNCLAIMED},
		{.name = "whale", .series = SERIES_UNCLAIMED},
		{.name = "zulu", .series = SERIES_UNCLAIMED},
	};
	struct service *all[] = {&idle[0], &web, &idle[1], &empty, &idle[2]};
	struct snapshot more = {.service_count = array_count(all), .services = all};
	struct page_view of_more = view;
	(void)state;
	of_more.snapshot = &more;
	series_row(&store, 0, slot_of("gone", ""))->requests = 1;
	series_row(&store, 0, slot_of("zz", ""))->requests = 1;
	page_stat(&of_more, &page);
	cJSON *json = parsed();
	const char *const wanted[] = {"a", "gone", "web", "whale", "zero", "zulu", "zz"};
	const cJSON *list = item(json, "services");
	assert_int_equal(cJSON_GetArraySize(list), array_count(wanted));
	for (unsigned i = 0; i < array_count(wanted); i++)
		assert_string_equal(item(cJSON_GetArrayItem(list, (int)i), "name")->valuestring,
				    wanted[i]);
	assert_int_equal(number(named(list, "name", "whale"), "requests"), 0);
	cJSON_Delete(json);

	text_fini(&page);
	page_services(&of_more, &page);
	json = parsed();
	list = item(json, "services");
	assert_int_equal(number(named(list, "name", "zulu"), "requests"), 0);
	cJSON_Delete(json);
}

static void stat_counts_per_service_and_endpoint(void **state)
{
	(void)state;
	struct weft_series *row = series_row(&store, 1, web.series);
	row->requests = 10;
	row->responses[2] = 7;
	row->responses[4] = 1;
	row->responses[5] = 1;
	row->responses[0] = 1;
	row->latency_buckets[latency_bucket(900)] = 9;
	row->bytes_sent = 1ull << 40;
	row->requests_active = 2;
	series_row(&store, 0, web_endpoints[1].series)->requests = 4;
	page_stat(&view, &page);
	cJSON *json = parsed();
	assert_true(number(json, "window_seconds") == 10);
	assert_int_equal(cJSON_GetArraySize(item(json, "latency_bounds_us")),
			 WEFT_LATENCY_BUCKETS - 1);
	const cJSON *service = named(item(json, "services"), "name", "web");
	assert_true(number(service, "requests") == 10);
	assert_true(number(service, "success_rate") == 0.8);
	assert_true(number(item(service, "responses"), "none") == 1);
	assert_true(number(service, "p50_us") == 875);
	assert_true(number(service, "sent_bytes") == 1099511627776.0);
	assert_true(number(service, "requests_active") == 2);
	assert_int_equal(cJSON_GetArraySize(item(service, "latency_buckets")),
			 WEFT_LATENCY_BUCKETS);
	const cJSON *endpoint = named(item(service, "endpoints"), "address", "10.0.0.2:8080");
	assert_true(number(endpoint, "requests") == 4);
	assert_true(cJSON_IsNull(item(endpoint, "success_rate")));
	assert_true(cJSON_IsNull(item(endpoint, "p99_us")));
	cJSON_Delete(json);
}

static void stat_leaves_out_what_an_earlier_weftd_counted(void **state)
{
	(void)state;
	struct weft_series *row = series_row(&store, 0, web.series);
	row->requests = 100;
	row->responses[2] = 100;
	slot_of("gone", "");
	series_row(&store, 0, slot_of("gone", ""))->requests = 5;
	assert_int_equal(baseline_init(&baseline, &store), 0);
	row->requests += 3;
	row->responses[2] += 3;
	row->requests_active = 1;
	page_stat(&view, &page);
	cJSON *json = parsed();
	const cJSON *list = item(json, "services");
	const cJSON *service = named(list, "name", "web");
	assert_true(number(service, "requests") == 3);
	assert_true(number(service, "requests_active") == 1);
	assert_null(named(list, "name", "gone"));
	assert_null(named(list, "name", "overflow"));
	assert_non_null(named(list, "name", "zero")); /* configured, though idle */
	cJSON_Delete(json);
}

static void stat_shows_destinations_that_are_no_service(void **state)
{
	(void)state;
	series_row(&store, 0, slot_of("127.0.0.1:8000", ""))->tunnels_opened = 2;
	series_row(&store, 0, slot_of("only\"endpoint", "1.2.3.4:5"))->retries = 1;
	page_stat(&view, &page);
	cJSON *json = parsed();
	const cJSON *list = item(json, "services");
	assert_true(number(named(list, "name", "127.0.0.1:8000"), "tunnels_opened") == 2);
	const cJSON *odd = named(list, "name", "only\"endpoint");
	assert_true(number(odd, "retries") == 0);
	assert_int_equal(cJSON_GetArraySize(item(odd, "endpoints")), 1);
	cJSON_Delete(json);
}

static void pages_work_before_the_first_config(void **state)
{
	(void)state;
	struct page_view early = view;
	early.snapshot = NULL;
	page_services(&early, &page);
	cJSON *json = parsed();
	assert_int_equal(cJSON_GetArraySize(item(json, "services")), 0);
	cJSON_Delete(json);
	text_clear(&page);
	page_routes(&early, &page);
	json = parsed();
	assert_int_equal(cJSON_GetArraySize(item(json, "routes")), 0);
	cJSON_Delete(json);
	text_clear(&page);
	page_stat(&early, &page);
	cJSON_Delete(parsed());
}

static void a_page_without_memory_fails_as_a_whole(void **state)
{
	(void)state;
	for (unsigned long nth = 1; nth <= 3; nth++) {
		mem_fail_nth(nth);
		page_stat(&view, &page);
		mem_fail_nth(0);
		assert_true(page.failed);
		text_fini(&page);
	}
}

/* ---- services and routes ---- */

static void services_show_config_and_counters(void **state)
{
	(void)state;
	series_row(&store, 0, web_endpoints[0].series)->connect_failures = 6;
	page_services(&view, &page);
	cJSON *json = parsed();
	const cJSON *service = named(item(json, "services"), "name", "web");
	assert_true(number(service, "id") == 1);
	assert_string_equal(item(service, "protocol")->valuestring, "http");
	assert_string_equal(item(service, "balancer")->valuestring, "round_robin");
	assert_string_equal(item(service, "shortcut")->valuestring, "auto");
	assert_int_equal(item(service, "shortcut_window_bytes")->valueint, 65536);
	assert_string_equal(cJSON_GetArrayItem(item(service, "addresses"), 1)->valuestring,
			    "[fd00:96::10]:80");
	const cJSON *endpoints = item(service, "endpoints");
	assert_true(number(named(endpoints, "address", "10.0.0.1:8080"), "connect_failures") == 6);
	assert_true(number(named(endpoints, "address", "10.0.0.2:8080"), "weight") == 3);
	cJSON_Delete(json);
}

static void services_show_who_is_left_out_and_why(void **state)
{
	(void)state;
	series_tell_cost(series_row(&store, 1, web_endpoints[0].series), 2500000, view.now_ns);
	series_row(&store, 0, web_endpoints[0].series)->requests_active = 3;
	page_services(&view, &page);
	cJSON *json = parsed();
	const cJSON *service = named(item(json, "services"), "name", "web");
	assert_true(number(service, "ejected_endpoints") == 1);
	assert_true(cJSON_IsTrue(item(service, "up")));
	const cJSON *good = named(item(service, "endpoints"), "address", "10.0.0.1:8080");
	assert_string_equal(item(good, "state")->valuestring, "closed");
	assert_true(number(good, "requests_active") == 3);
	assert_true(number(good, "latency_estimate_us") == 2500);
	const cJSON *bad = named(item(service, "endpoints"), "address", "10.0.0.2:8080");
	assert_string_equal(item(bad, "state")->valuestring, "open");
	assert_string_equal(item(bad, "why")->valuestring, "5 failures in a row");
	assert_true(number(bad, "failures_in_a_row") == 5);
	assert_true(number(bad, "failed_probes") == 1);
	assert_true(number(bad, "probe_in_seconds") == 3.2);
	assert_true(cJSON_IsNull(item(bad, "latency_estimate_us")));
	const cJSON *none = named(item(json, "services"), "name", "zero");
	assert_true(cJSON_IsFalse(item(none, "up")));
	cJSON_Delete(json);

	sources.breaker = NULL; /* nothing is known yet: no request has gone there */
	text_clear(&page);
	page_services(&view, &page);
	sources.breaker = breaker_of;
	json = parsed();
	service = named(item(json, "services"), "name", "web");
	bad = named(item(service, "endpoints"), "address", "10.0.0.2:8080");
	assert_string_equal(item(bad, "state")->valuestring, "closed");
	assert_null(cJSON_GetObjectItem(bad, "why"));
	cJSON_Delete(json);
}

/* Two rules, one with a name; the second had traffic. */
static void routes_show_their_rules(void **state)
{
	static struct route_rule rules[2] = {{.series = SERIES_UNCLAIMED},
					     {.number = 1, .series = SERIES_UNCLAIMED}};
	static const uint32_t scopes[] = {1};
	struct span names[] = {span_text("web")};
	struct route route = {.name = span_text("shop"),
			      .service_count = 1,
			      .scopes = scopes,
			      .rule_count = 2,
			      .rules = rules};
	struct route_set set = {.route_count = 1, .routes = &route, .scopes = names};
	struct snapshot with_routes = snapshot;
	struct page_view of_routes = view;
	(void)state;
	with_routes.routes = &set;
	of_routes.snapshot = &with_routes;
	rules[1].name = span_text("canary");
	rules[1].series = series_slot_route(&store, route.name, rules[1].name);
	struct weft_series *row = series_row(&store, 1, rules[1].series);
	row->requests = 4;
	row->responses[2] = 3;
	row->responses[5] = 1;
	row->retries = 2;
	row->latency_buckets[latency_bucket(900)] = 4;
	page_routes(&of_routes, &page);
	cJSON *json = parsed();
	const cJSON *list = item(json, "rules");
	assert_int_equal(cJSON_GetArraySize(list), 2);
	assert_true(number(named(list, "rule", "0"), "requests") == 0);
	const cJSON *canary = named(list, "rule", "canary");
	assert_string_equal(item(canary, "name")->valuestring, "shop");
	assert_string_equal(cJSON_GetArrayItem(item(canary, "services"), 0)->valuestring, "web");
	assert_true(number(canary, "requests") == 4);
	assert_true(number(canary, "success_rate") == 0.75);
	assert_true(number(canary, "retries") == 2);
	assert_true(number(canary, "p50_us") == 875);
	cJSON_Delete(json);

	text_clear(&page);
	page_stat(&of_routes, &page);
	json = parsed();
	assert_null(named(item(json, "services"), "name", "shop")); /* it is no service */
	cJSON_Delete(json);
}

static void metrics_count_who_is_left_out(void **state)
{
	(void)state;
	empty.series = SERIES_UNCLAIMED; /* this node never used it */
	page_metrics(&view, &page);
	assert_non_null(strstr(page.data, "\nweft_endpoints_ejected{service=\"web\"} 1\n"));
	assert_null(strstr(page.data, "weft_endpoints_ejected{service=\"zero\"}"));
}

static void routes_lead_from_addresses_to_endpoints(void **state)
{
	(void)state;
	page_routes(&view, &page);
	cJSON *json = parsed();
	const cJSON *list = item(json, "routes");
	assert_int_equal(cJSON_GetArraySize(list), 2);
	const cJSON *route = named(list, "address", "10.96.0.10:80");
	assert_string_equal(item(route, "service")->valuestring, "web");
	assert_int_equal(cJSON_GetArraySize(item(route, "endpoints")), 2);
	cJSON_Delete(json);
}

/* ---- live, ready, metrics ---- */

static void live_names_the_silent_worker(void **state)
{
	(void)state;
	heartbeats[0] = view.now_ns - 1;
	heartbeats[1] = view.now_ns - WEFT_HEARTBEAT_STALE_NS + 1;
	assert_int_equal(page_live(&view, &page), 200);
	assert_string_equal(page.data, "ok\n");
	text_clear(&page);
	heartbeats[1] = view.now_ns - 3200000000;
	assert_int_equal(page_live(&view, &page), 503);
	assert_string_equal(page.data, "worker 1 is silent for 3.2 s\n");
	text_clear(&page);
	heartbeats[0] = 0;
	heartbeats[1] = view.now_ns + 5; /* beaten after the turn began */
	assert_int_equal(page_live(&view, &page), 503);
	assert_string_equal(page.data, "worker 0 has not begun\n");
}

static void ready_asks_its_source(void **state)
{
	(void)state;
	ready = false;
	assert_int_equal(page_ready(&view, &page), 503);
	assert_string_equal(page.data, "not ready: it is only a test\n");
	ready = true;
	assert_int_equal(page_ready(&view, &page), 200);
}

static void metrics_hold_all_three_parts(void **state)
{
	(void)state;
	page_metrics(&view, &page);
	assert_non_null(strstr(page.data, "\nweft_requests_total{service=\"web\"} 0\n"));
	assert_non_null(strstr(page.data, "\nweft_worker_sessions{worker=\"1\"} 0\n"));
	assert_non_null(strstr(page.data, "\nweft_capture_decisions_total 1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PAGE_TEST(test) cmocka_unit_test_setup_teardown(test, fresh, drop)
		PAGE_TEST(stat_shows_services_that_never_had_traffic_in_their_place),
		PAGE_TEST(stat_counts_per_service_and_endpoint),
		PAGE_TEST(stat_leaves_out_what_an_earlier_weftd_counted),
		PAGE_TEST(stat_shows_destinations_that_are_no_service),
		PAGE_TEST(pages_work_before_the_first_config),
		PAGE_TEST(a_page_without_memory_fails_as_a_whole),
		PAGE_TEST(services_show_config_and_counters),
		PAGE_TEST(services_show_who_is_left_out_and_why),
		PAGE_TEST(routes_show_their_rules),
		PAGE_TEST(metrics_count_who_is_left_out),
		PAGE_TEST(routes_lead_from_addresses_to_endpoints),
		PAGE_TEST(live_names_the_silent_worker),
		PAGE_TEST(ready_asks_its_source),
		PAGE_TEST(metrics_hold_all_three_parts),
#undef PAGE_TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
