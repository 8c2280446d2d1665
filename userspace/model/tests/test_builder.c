#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/builder.h"
#include "model/keys.h"
#include "model/publish.h"

#define MOST 8

/* Room for one small draft. */
struct plan {
	struct draft draft;
	struct service_draft services[MOST];
	struct draft_value ips[MOST][MOST];
	struct draft_value ports[MOST][MOST];
	struct endpoint_draft endpoints[MOST][MOST];
	struct pod_draft pods[MOST];
	struct draft_value pod_ips[MOST][MOST];
	struct draft_value skip_ports[MOST][MOST];
	struct draft_value skip_cidrs[MOST][MOST];
	char faults[2048];
	char left_out[2048];
};

static struct plan plan;

static int fresh_plan(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	keys_set_defaults(NULL, &plan.draft);
	plan.draft.services.items = plan.services;
	plan.draft.pods.items = plan.pods;
	return 0;
}

static struct weft_address address_of(const char *text)
{
	struct weft_address address = {0};
	if (address_parse(span_text(text), &address))
		assert_int_equal(address_parse_ip(span_text(text), 0, &address), 0);
	return address;
}

static struct service_draft *plan_service(const char *name)
{
	uint32_t i = plan.draft.services.count++;
	plan.services[i] = (struct service_draft){.line = 10 * (i + 1), .name = name};
	plan.services[i].addresses.items = plan.ips[i];
	plan.services[i].ports.items = plan.ports[i];
	plan.services[i].endpoints.items = plan.endpoints[i];
	return &plan.services[i];
}

static void plan_ip(struct service_draft *service, const char *ip)
{
	struct draft_value *values = service->addresses.items;
	values[service->addresses.count++] =
		(struct draft_value){.line = service->line + 1, .address = address_of(ip)};
}

static void plan_port(struct service_draft *service, uint16_t port)
{
	struct draft_value *values = service->ports.items;
	values[service->ports.count++] =
		(struct draft_value){.line = service->line + 2, .number = port};
}

static struct endpoint_draft *plan_endpoint(struct service_draft *service, const char *address)
{
	struct endpoint_draft *endpoints = service->endpoints.items;
	struct endpoint_draft *endpoint = &endpoints[service->endpoints.count++];
	*endpoint = (struct endpoint_draft){
		.line = service->line + 3, .weight = 1, .address = address_of(address)};
	return endpoint;
}

static struct service_draft *plan_simple(const char *name, const char *ip, const char *endpoint)
{
	struct service_draft *service = plan_service(name);
	plan_ip(service, ip);
	plan_port(service, 80);
	if (endpoint)
		plan_endpoint(service, endpoint);
	return service;
}

static struct pod_draft *plan_pod(const char *name, const char *netns)
{
	uint32_t i = plan.draft.pods.count++;
	plan.pods[i] = (struct pod_draft){
		.line = 100 * (i + 1), .name = name, .netns_path = netns, .cgroup_path = ""};
	plan.pods[i].addresses.items = plan.pod_ips[i];
	plan.pods[i].skip_ports.items = plan.skip_ports[i];
	plan.pods[i].skip_cidrs.items = plan.skip_cidrs[i];
	return &plan.pods[i];
}

static void on_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	size_t size = strlen(plan.faults);
	(void)owner;
	snprintf(plan.faults + size, sizeof(plan.faults) - size, "%u %s: %s\n", line, key,
		 sentence);
}

static void on_left_out(void *owner, const char *service, const char *sentence)
{
	size_t size = strlen(plan.left_out);
	(void)owner;
	snprintf(plan.left_out + size, sizeof(plan.left_out) - size, "%s: %s\n", service, sentence);
}

static struct snapshot *build_with(struct build_options options, int expected)
{
	options.left_out = on_left_out;
	plan.left_out[0] = '\0';
	struct snapshot *snapshot = NULL;
	options.fault = on_fault;
	plan.faults[0] = '\0';
	assert_int_equal(snapshot_build(&plan.draft, &options, &snapshot), expected);
	return snapshot;
}

static struct snapshot *build(const struct snapshot *previous)
{
	return build_with((struct build_options){.previous = previous}, 0);
}

static const struct service *service_of(const struct snapshot *snapshot, const char *name)
{
	return snapshot_service_named(snapshot, span_text(name));
}

static void expect_faults(const char *faults)
{
	assert_null(build_with((struct build_options){0}, -EINVAL));
	assert_string_equal(plan.faults, faults);
}

/* ---- looking up ---- */

static void services_are_found_by_id_name_and_address(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.10", "10.0.0.2:8080");
	plan_ip(web, "fd00:96::10");
	plan_port(web, 443);
	plan_simple("api", "10.96.0.11", NULL);
	struct snapshot *snapshot = build(NULL);
	const struct service *found = service_of(snapshot, "web");
	static const char *const addresses[] = {"10.96.0.10:80", "10.96.0.10:443",
						"[fd00:96::10]:80", "[fd00:96::10]:443",
						"[::ffff:10.96.0.10]:80"};
	static const char *const others[] = {"10.96.0.10:81", "10.96.0.12:80", "[fd00::10]:80"};

	assert_non_null(found);
	assert_int_equal(found->address_count, 4);
	for (size_t i = 0; i < array_count(addresses); i++) {
		struct weft_address address = address_of(addresses[i]);
		assert_ptr_equal(snapshot_service_at(snapshot, &address), found);
	}
	for (size_t i = 0; i < array_count(others); i++) {
		struct weft_address address = address_of(others[i]);
		assert_null(snapshot_service_at(snapshot, &address));
	}
	assert_ptr_equal(snapshot_service(snapshot, found->id), found);
	assert_null(snapshot_service(snapshot, 0));
	assert_null(snapshot_service(snapshot, UINT32_MAX));
	assert_null(service_of(snapshot, "we"));
	assert_null(service_of(snapshot, "web2"));
	assert_string_equal(snapshot->services[0]->name, "api");
	assert_int_equal(snapshot->generation, 1);
	snapshot_free(snapshot);
}

static void a_thousand_services_are_each_found_at_their_address(void **state)
{
	static struct service_draft services[1000];
	static struct draft_value ips[1000];
	static struct draft_value port = {.number = 80};
	static char names[1000][16];
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 250, i % 250 + 1);
		snprintf(names[i], sizeof(names[i]), "s%u", i);
		ips[i].address = address_of(ip);
		services[i] = (struct service_draft){
			.name = names[i], .addresses = {1, &ips[i]}, .ports = {1, &port}};
	}
	plan.draft.services = (struct draft_list){1000, services};
	struct snapshot *snapshot = build(NULL);
	for (unsigned i = 0; i < 1000; i++) {
		struct weft_address address = ips[i].address;
		address.port = htons(80);
		const struct service *service = snapshot_service_at(snapshot, &address);
		assert_non_null(service);
		assert_string_equal(service->name, names[i]);
		assert_ptr_equal(service, service_of(snapshot, names[i]));
	}
	snapshot_free(snapshot);
}

static void ready_endpoints_are_counted_and_found_by_id(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.10", "10.0.0.2:8080");
	plan_endpoint(web, "10.0.0.3:8080")->weight = 4;
	plan_endpoint(web, "[fd00::3]:8080")->weight = 0;
	struct snapshot *snapshot = build(NULL);
	const struct service *service = service_of(snapshot, "web");
	assert_int_equal(service->endpoint_count, 3);
	assert_int_equal(service->ready_count, 2);
	assert_int_equal(service->weight_total, 5);
	for (uint32_t i = 0; i < 3; i++)
		assert_ptr_equal(service_endpoint(service, service->endpoints[i].id),
				 &service->endpoints[i]);
	assert_null(service_endpoint(service, ENDPOINT_ID_NONE));
	assert_string_equal(service->endpoints[2].text, "[fd00::3]:8080");
	snapshot_free(snapshot);
}

/* ---- sharing and ids ---- */

static void what_did_not_change_is_shared_and_the_rest_keeps_its_ids(void **state)
{
	(void)state;
	plan_simple("same", "10.96.0.1", "10.0.0.1:80");
	struct service_draft *grows = plan_simple("grows", "10.96.0.2", "10.0.0.2:80");
	plan_pod("still", "/run/netns/still");
	struct pod_draft *changes = plan_pod("changes", "/run/netns/changes");
	struct snapshot *first = build(NULL);
	uint32_t grows_id = service_of(first, "grows")->id;
	uint32_t endpoint_id = service_of(first, "grows")->endpoints[0].id;
	uint32_t pod_id = snapshot_pod_named(first, span_text("changes"))->id;

	plan_endpoint(grows, "10.0.0.3:80");
	changes->captures_all = true;
	struct snapshot *second = build(first);
	assert_ptr_equal(service_of(first, "same"), service_of(second, "same"));
	assert_int_equal(service_of(first, "same")->users, 2);
	assert_ptr_equal(snapshot_pod_named(first, span_text("still")),
			 snapshot_pod_named(second, span_text("still")));

	const struct service *grown = service_of(second, "grows");
	assert_ptr_not_equal(grown, service_of(first, "grows"));
	assert_int_equal(grown->id, grows_id);
	assert_int_equal(grown->endpoint_count, 2);
	assert_string_equal(service_endpoint(grown, endpoint_id)->text, "10.0.0.2:80");
	assert_int_equal(snapshot_pod_named(second, span_text("changes"))->id, pod_id);
	assert_true(snapshot_pod_named(second, span_text("changes"))->captures_all);
	assert_int_equal(second->generation, 2);

	snapshot_free(first);
	assert_int_equal(service_of(second, "same")->users, 1);
	assert_string_equal(service_of(second, "same")->endpoints[0].text, "10.0.0.1:80");
	snapshot_free(second);
}

static void the_order_of_a_list_is_no_change(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	plan_endpoint(web, "10.0.0.2:80");
	plan_ip(web, "10.96.0.2");
	struct snapshot *first = build(NULL);
	fresh_plan(NULL);
	web = plan_simple("web", "10.96.0.2", "10.0.0.2:80");
	plan_endpoint(web, "10.0.0.1:80");
	plan_ip(web, "10.96.0.1");
	struct snapshot *second = build(first);
	assert_ptr_equal(service_of(first, "web"), service_of(second, "web"));
	snapshot_free(first);
	snapshot_free(second);
}

static void each_change_of_a_service_makes_a_new_one(void **state)
{
	(void)state;
	for (unsigned change = 0; change < 8; change++) {
		fresh_plan(NULL);
		struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
		struct snapshot *first = build(NULL);
		struct endpoint_draft *endpoint = web->endpoints.items;
		if (change == 0)
			web->protocol = PROTOCOL_HTTP;
		else if (change == 1)
			web->balancer = BALANCER_ROUND_ROBIN;
		else if (change == 2)
			plan_port(web, 81);
		else if (change == 3)
			endpoint->weight = 2;
		else if (change == 4)
			endpoint->address = address_of("10.0.0.9:80");
		else if (change == 5)
			web->shortcut = WEFT_SHORTCUT_AUTO;
		else if (change == 6)
			web->shortcut_window = 65536;
		else
			web->endpoints.count = 0;
		struct snapshot *second = build(first);
		assert_ptr_not_equal(service_of(first, "web"), service_of(second, "web"));
		assert_int_equal(service_of(first, "web")->id, service_of(second, "web")->id);
		snapshot_free(first);
		snapshot_free(second);
	}
}

static void an_id_is_not_given_again_while_the_snapshot_before_uses_it(void **state)
{
	(void)state;
	plan_simple("old", "10.96.0.1", "10.0.0.1:80");
	plan_pod("old", "/a");
	struct snapshot *first = build(NULL);
	fresh_plan(NULL);
	plan_simple("new", "10.96.0.1", "10.0.0.1:80");
	plan_pod("new", "/a");
	struct snapshot *second = build(first);
	assert_int_not_equal(service_of(first, "old")->id, service_of(second, "new")->id);
	assert_int_not_equal(service_of(first, "old")->endpoints[0].id,
			     service_of(second, "new")->endpoints[0].id);
	assert_int_not_equal(first->pods[0]->id, second->pods[0]->id);
	snapshot_free(first);
	snapshot_free(second);
}

static void ids_come_back_late_and_stay_small(void **state)
{
	struct snapshot *last = NULL;
	uint32_t last_use[2048] = {0};
	(void)state;
	for (uint32_t generation = 1; generation <= 5000; generation++) {
		char name[16];
		fresh_plan(NULL);
		snprintf(name, sizeof(name), "s%u", generation);
		plan_simple(name, "10.96.0.1", "10.0.0.1:80");
		struct snapshot *next = build(last);
		uint32_t id = next->services[0]->id;
		assert_in_range(id, 1, 1023);
		assert_true(last_use[id] == 0 || generation - last_use[id] > 1000);
		last_use[id] = generation;
		assert_true(next->endpoint_id_limit <= 1024);
		snapshot_free(last);
		last = next;
	}
	snapshot_free(last);
}

static void names_keep_the_ids_of_the_process_before(void **state)
{
	static const struct known_id services[] = {{"api", 7}, {"gone", 1}, {"web", 900000}};
	static const struct known_id pods[] = {{"client", 3}};
	(void)state;
	plan_simple("web", "10.96.0.1", NULL);
	plan_simple("api", "10.96.0.2", NULL);
	plan_simple("new", "10.96.0.3", NULL);
	plan_pod("client", "/a");
	plan_pod("other", "/b");
	struct snapshot *snapshot = build_with((struct build_options){.known_services = services,
								      .known_service_count = 3,
								      .known_pods = pods,
								      .known_pod_count = 1},
					       0);
	assert_int_equal(service_of(snapshot, "web")->id, 900000);
	assert_int_equal(service_of(snapshot, "api")->id, 7);
	assert_int_equal(service_of(snapshot, "new")->id, 2); /* 1 belongs to one that just left */
	assert_int_equal(snapshot_pod_named(snapshot, span_text("client"))->id, 3);
	assert_int_not_equal(snapshot_pod_named(snapshot, span_text("other"))->id, 3);
	snapshot_free(snapshot);
}

static uint32_t claimed;

static uint32_t claim(void *owner, struct span service, struct span endpoint, bool must_claim)
{
	(void)owner;
	(void)service;
	(void)endpoint;
	return must_claim ? ++claimed : SERIES_UNCLAIMED;
}

static void series_are_claimed_once_and_only_by_a_good_snapshot(void **state)
{
	const struct build_options options = {.series = claim};
	(void)state;
	claimed = 0;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	plan_simple("api", "10.96.0.1", NULL);
	assert_null(build_with(options, -EINVAL));
	assert_int_equal(claimed, 0);

	plan.draft.services.count = 1;
	struct snapshot *first = build_with(options, 0);
	assert_int_equal(claimed, 2);
	uint32_t slot = service_of(first, "web")->series;
	uint32_t endpoint_slot = service_of(first, "web")->endpoints[0].series;
	plan_endpoint(web, "10.0.0.2:80");
	struct build_options again = options;
	again.previous = first;
	struct snapshot *second = build_with(again, 0);
	assert_int_equal(claimed, 3);
	assert_int_equal(service_of(second, "web")->series, slot);
	assert_int_equal(service_of(second, "web")->endpoints[0].series, endpoint_slot);
	assert_int_equal(service_of(second, "web")->endpoints[1].series, 3);
	snapshot_free(first);
	snapshot_free(second);
}

static void what_may_be_left_out_claims_no_series_and_keeps_what_a_worker_claimed(void **state)
{
	const struct build_options options = {.series = claim};
	(void)state;
	claimed = 0;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	web->may_be_left_out = true;
	struct snapshot *first = build_with(options, 0);
	assert_int_equal(claimed, 0);
	assert_int_equal(service_of(first, "web")->series, SERIES_UNCLAIMED);
	assert_int_equal(service_of(first, "web")->endpoints[0].series, SERIES_UNCLAIMED);
	series_keep(&service_of(first, "web")->series, 7);
	series_keep(&service_of(first, "web")->endpoints[0].series, 8);
	plan_endpoint(web, "10.0.0.2:80");
	struct build_options again = options;
	again.previous = first;
	struct snapshot *second = build_with(again, 0);
	assert_int_equal(service_of(second, "web")->series, 7);
	assert_int_equal(service_of(second, "web")->endpoints[0].series, 8);
	assert_int_equal(service_of(second, "web")->endpoints[1].series, SERIES_UNCLAIMED);
	web->may_be_left_out = false; /* it is the config's now */
	again.previous = second;
	struct snapshot *third = build_with(again, 0);
	assert_int_equal(claimed, 1);
	assert_int_equal(service_of(third, "web")->series, 7);
	assert_int_equal(service_of(third, "web")->endpoints[1].series, 1);
	snapshot_free(first);
	snapshot_free(second);
	snapshot_free(third);
}

/* ---- faults ---- */

static void two_services_cannot_have_one_address(void **state)
{
	(void)state;
	plan_simple("web", "10.96.0.1", NULL);
	plan_simple("api", "10.96.0.1", NULL);
	expect_faults(
		"20 services[].addresses: 10.96.0.1:80 of service \"api\" belongs to service "
		"\"web\" (line 10) already\n");
}

static void names_are_unique(void **state)
{
	(void)state;
	plan_simple("web", "10.96.0.1", NULL);
	plan_simple("web", "10.96.0.2", NULL);
	plan_pod("p", "/a");
	plan_pod("p", "/b");
	expect_faults(
		"20 services[].name: \"web\" stands in line 10 already; each may stand only once\n"
		"200 pods[].name: \"p\" stands in line 100 already; each may stand only once\n");
}

static void a_service_is_checked_as_a_whole(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	plan_ip(web, "10.96.0.1");
	plan_endpoint(web, "10.0.0.1:80");
	plan_simple("any", "0.0.0.0", "224.0.0.1:80");
	expect_faults(
		"10 services[]: service \"web\" has the address 10.96.0.1:80 twice\n"
		"10 services[].endpoints[].address: service \"web\" has the endpoint 10.0.0.1:80 "
		"twice\n"
		"21 services[].addresses[]: 0.0.0.0 is no address that can be dialled\n"
		"23 services[].endpoints[].address: 224.0.0.1 is a multicast address\n");
}

static void waits_have_a_longest_and_a_shortest(void **state)
{
	(void)state;
	struct resilience *rules = &plan_simple("web", "10.96.0.1", NULL)->resilience;
	rules->breaker.backoff = (struct backoff_rule){
		.kind = BACKOFF_EQUAL_JITTERED, .least_ns = 5000000, .most_ns = 4000000};
	rules->retry.backoff = (struct backoff_rule){.kind = BACKOFF_CONSTANT, .least_ns = 1};
	expect_faults(
		"10 services[].breaker.backoff_most: service \"web\": the longest wait, "
		"4 ms, is shorter than backoff_least, 5 ms\n");
}

/* A cluster's services come from many hands; a bad one must not hold up the others. */
static void one_that_may_be_left_out_gives_way(void **state)
{
	(void)state;
	plan_simple("late", "10.96.0.1", "10.0.0.1:80")->may_be_left_out = true;
	plan_simple("early", "10.96.0.1", "10.0.0.1:80");
	plan_simple("same", "10.96.0.3", NULL)->may_be_left_out = true;
	plan_simple("same", "10.96.0.4", NULL);
	plan_simple("bad", "224.0.0.1", NULL)->may_be_left_out = true;
	plan_simple("good", "10.96.0.5", NULL)->may_be_left_out = true;
	assert_null(build_with((struct build_options){0}, -EINVAL)); /* "early" must be right */
	struct service_draft first = plan.services[0];
	plan.services[0] = plan.services[1];
	plan.services[1] = first;
	struct snapshot *snapshot = build(NULL);
	assert_int_equal(snapshot->service_count, 3);
	assert_non_null(service_of(snapshot, "early"));
	assert_non_null(service_of(snapshot, "good"));
	struct weft_address address = address_of("10.96.0.4:80");
	assert_ptr_equal(snapshot_service_at(snapshot, &address), service_of(snapshot, "same"));
	assert_string_equal(plan.faults, "");
	assert_string_equal(plan.left_out,
			    "late: 10.96.0.1:80 of service \"late\" belongs to service "
			    "\"early\" (line 20) already\n"
			    "same: \"same\" is the name of a service of the config\n"
			    "bad: 224.0.0.1 is a multicast address\n");
	snapshot_free(snapshot);
}

static void what_is_the_same_is_not_looked_at_again(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	web->same_id = 5; /* and there is nothing before it */
	struct snapshot *first = build(NULL);
	assert_non_null(service_of(first, "web"));
	web->same_id = service_of(first, "web")->id;
	web->protocol = PROTOCOL_OPAQUE; /* a lie, to see that nobody looks */
	struct snapshot *second = build(first);
	assert_ptr_equal(service_of(second, "web"), service_of(first, "web"));
	web->same_id = 0;
	struct snapshot *third = build(second);
	assert_int_equal(service_of(third, "web")->protocol, PROTOCOL_OPAQUE);
	snapshot_free(third);
	snapshot_free(second);
	snapshot_free(first);
}

static void a_pod_is_in_exactly_one_place_and_alone_there(void **state)
{
	(void)state;
	plan_pod("none", "");
	plan_pod("both", "/a")->cgroup_path = "/b";
	plan_pod("one", "/c");
	plan_pod("two", "/c");
	expect_faults(
		"400 pods[].netns: \"/c\" stands in line 300 already; each may stand only once\n"
		"100 pods[]: pod \"none\" needs exactly one of netns and cgroup, and has none\n"
		"200 pods[]: pod \"both\" needs exactly one of netns and cgroup, and has both\n");
}

static void a_pod_has_one_address_per_family(void **state)
{
	(void)state;
	struct pod_draft *pod = plan_pod("p", "/a");
	static const char *const ips[] = {"10.0.0.1", "fd00::1", "10.0.0.2"};
	for (uint32_t i = 0; i < 3; i++)
		plan.pod_ips[0][i] = (struct draft_value){101 + i, .address = address_of(ips[i])};
	pod->addresses.count = 3;
	expect_faults("103 pods[].addresses[]: pod \"p\" has a second IPv4 address\n");
	pod->addresses.count = 2;
	struct snapshot *snapshot = build(NULL);
	struct weft_address v4 = address_of("10.0.0.1");
	struct weft_address v6 = address_of("fd00::1");
	assert_true(address_equal(&snapshot->pods[0]->local4, &v4));
	assert_true(address_equal(&snapshot->pods[0]->local6, &v6));
	snapshot_free(snapshot);
}

static void the_shortcut_is_kept_compared_and_looked_for(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	struct pod_draft *pod = plan_pod("p", "/a");
	web->shortcut = WEFT_SHORTCUT_AUTO;
	web->shortcut_window = 65536;
	pod->shortcut = WEFT_SHORTCUT_AUTO;
	plan.draft.settings.shortcut = WEFT_SHORTCUT_AUTO;
	struct snapshot *first = build(NULL);
	assert_false(first->has_shortcut_on);
	assert_int_equal(service_of(first, "web")->shortcut, WEFT_SHORTCUT_AUTO);
	assert_int_equal(service_of(first, "web")->shortcut_window, 65536);
	assert_int_equal(first->pods[0]->shortcut, WEFT_SHORTCUT_AUTO);

	plan.draft.settings.shortcut = WEFT_SHORTCUT_ON; /* the mesh's changes nobody else's */
	plan.draft.settings.shortcut_window = 4096;
	struct snapshot *second = build(first);
	assert_true(second->has_shortcut_on);
	assert_ptr_equal(service_of(second, "web"), service_of(first, "web"));
	assert_ptr_equal(second->pods[0], first->pods[0]);
	snapshot_free(first);

	plan.draft.settings.shortcut = WEFT_SHORTCUT_OFF;
	pod->shortcut = WEFT_SHORTCUT_ON;
	struct snapshot *third = build(second);
	assert_true(third->has_shortcut_on);
	assert_ptr_not_equal(third->pods[0], second->pods[0]);
	assert_int_equal(third->pods[0]->id, second->pods[0]->id);
	snapshot_free(second);

	pod->shortcut = WEFT_SHORTCUT_OFF;
	web->shortcut = WEFT_SHORTCUT_ON;
	struct snapshot *fourth = build(third);
	assert_true(fourth->has_shortcut_on);
	snapshot_free(third);
	web->shortcut = WEFT_SHORTCUT_OFF;
	struct snapshot *last = build(fourth);
	assert_false(last->has_shortcut_on);
	snapshot_free(fourth);
	snapshot_free(last);
}

static void a_pods_exclusions_are_compared_too(void **state)
{
	(void)state;
	struct pod_draft *pod = plan_pod("p", "/a");
	plan.skip_ports[0][0].number = 25;
	pod->skip_ports.count = 1;
	plan.skip_cidrs[0][0] =
		(struct draft_value){.address = address_of("192.0.2.0"), .prefix = 120};
	pod->skip_cidrs.count = 1;
	struct snapshot *first = build(NULL);
	struct snapshot *same = build(first);
	assert_ptr_equal(first->pods[0], same->pods[0]);
	plan.skip_cidrs[0][0].prefix = 121;
	struct snapshot *other = build(same);
	assert_ptr_not_equal(other->pods[0], same->pods[0]);
	assert_int_equal(other->pods[0]->skip_ports.items[0], 25);
	assert_int_equal(other->pods[0]->skip_cidrs[0].prefix, 121);
	snapshot_free(first);
	snapshot_free(same);
	snapshot_free(other);
}

static void settings_that_contradict_are_refused(void **state)
{
	(void)state;
	plan.draft.settings.head_limit_bytes = 1024;
	expect_faults(
		"0 limits.request_line_bytes: is larger than limits.header_bytes (1024), of "
		"which it is a part\n");
}

static void a_name_from_any_source_fits(void **state)
{
	static char longest[WEFT_NAME_MAX];
	static char longer[WEFT_NAME_MAX + 1];
	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(longer, 'x', sizeof(longer) - 1);
	plan_simple(longer, "10.96.0.1", NULL);
	plan_pod("", "/a");
	expect_faults(
		"10 services[].name: a name has 1 to 191 bytes, this one 192\n"
		"100 pods[].name: a name has 1 to 191 bytes, this one 0\n");
	plan.services[0].name = longest;
	plan.pods[0].name = longest;
	struct snapshot *snapshot = build(NULL);
	assert_string_equal(snapshot->services[0]->name, longest);
	snapshot_free(snapshot);
}

/* ---- memory ---- */

static void any_allocation_may_fail(void **state)
{
	(void)state;
	struct service_draft *web = plan_simple("web", "10.96.0.1", "10.0.0.1:80");
	struct pod_draft *pod = plan_pod("p", "/a");
	pod->skip_ports.count = 1;
	pod->skip_cidrs.count = 1;
	struct snapshot *first = build(NULL);
	plan_endpoint(web, "10.0.0.2:80");
	plan_simple("api", "10.96.0.2", NULL);
	long live = mem_live();
	int error = -ENOMEM;
	unsigned long n = 0;
	while (error) {
		struct build_options options = {.previous = first};
		struct snapshot *second = NULL;
		mem_fail_nth(++n);
		error = snapshot_build(&plan.draft, &options, &second);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		assert_int_equal(error == 0, second != NULL);
		snapshot_free(second);
		assert_int_equal(mem_live(), live);
	}
	assert_true(n > 15);
	snapshot_free(first);
}

static void a_kept_pod_outlives_its_snapshot(void **state)
{
	(void)state;
	plan_pod("p", "/run/netns/p");
	struct snapshot *snapshot = build(NULL);
	const struct pod *pod = pod_keep(snapshot->pods[0]);
	snapshot_free(snapshot);
	assert_string_equal(pod->netns_path, "/run/netns/p");
	pod_drop(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(services_are_found_by_id_name_and_address, fresh_plan),
		cmocka_unit_test_setup(a_thousand_services_are_each_found_at_their_address,
				       fresh_plan),
		cmocka_unit_test_setup(ready_endpoints_are_counted_and_found_by_id, fresh_plan),
		cmocka_unit_test_setup(what_did_not_change_is_shared_and_the_rest_keeps_its_ids,
				       fresh_plan),
		cmocka_unit_test_setup(the_order_of_a_list_is_no_change, fresh_plan),
		cmocka_unit_test_setup(each_change_of_a_service_makes_a_new_one, fresh_plan),
		cmocka_unit_test_setup(an_id_is_not_given_again_while_the_snapshot_before_uses_it,
				       fresh_plan),
		cmocka_unit_test_setup(ids_come_back_late_and_stay_small, fresh_plan),
		cmocka_unit_test_setup(names_keep_the_ids_of_the_process_before, fresh_plan),
		cmocka_unit_test_setup(series_are_claimed_once_and_only_by_a_good_snapshot,
				       fresh_plan),
		cmocka_unit_test_setup(
			what_may_be_left_out_claims_no_series_and_keeps_what_a_worker_claimed,
			fresh_plan),
		cmocka_unit_test_setup(two_services_cannot_have_one_address, fresh_plan),
		cmocka_unit_test_setup(names_are_unique, fresh_plan),
		cmocka_unit_test_setup(a_service_is_checked_as_a_whole, fresh_plan),
		cmocka_unit_test_setup(one_that_may_be_left_out_gives_way, fresh_plan),
		cmocka_unit_test_setup(what_is_the_same_is_not_looked_at_again, fresh_plan),
		cmocka_unit_test_setup(a_pod_is_in_exactly_one_place_and_alone_there, fresh_plan),
		cmocka_unit_test_setup(a_pod_has_one_address_per_family, fresh_plan),
		cmocka_unit_test_setup(the_shortcut_is_kept_compared_and_looked_for, fresh_plan),
		cmocka_unit_test_setup(a_pods_exclusions_are_compared_too, fresh_plan),
		cmocka_unit_test_setup(settings_that_contradict_are_refused, fresh_plan),
		cmocka_unit_test_setup(waits_have_a_longest_and_a_shortest, fresh_plan),
		cmocka_unit_test_setup(a_name_from_any_source_fits, fresh_plan),
		cmocka_unit_test_setup(any_allocation_may_fail, fresh_plan),
		cmocka_unit_test_setup(a_kept_pod_outlives_its_snapshot, fresh_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
