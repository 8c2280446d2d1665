/* What a Service and its EndpointSlices are to weft. */
#include "control/kube_service.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "control/annotations.h"
#include "control/tests/cluster.h"

#define MOST 8

/* One Service with one port and one slice; a test changes what it is about. */
static struct {
	struct kube_service_port port;
	struct kube_service service;
	struct kube_slice_port slice_port;
	struct kube_endpoint endpoints[MOST];
	struct kube_slice slice;
	const struct kube_slice *slices[2];
	uint32_t slice_count;
	struct kube_place place;
	char found[512];
} web;

static int set_up(void **state)
{
	(void)state;
	memset(&web, 0, sizeof(web));
	web.port = service_port("http", 80);
	web.service = service_of("web", &web.port, 1);
	web.slice_port = slice_port("http", 8080);
	web.slice = slice_of("web-1", "web", &web.slice_port, 1, web.endpoints, 0);
	web.slices[0] = &web.slice;
	web.slice_count = 1;
	web.place = (struct kube_place){.node = "n1", .zone = "z1"};
	return 0;
}

static struct kube_endpoint *add(const char *ip)
{
	struct kube_endpoint *endpoint = &web.endpoints[web.slice.endpoint_count++];
	*endpoint = endpoint_at(ip);
	return endpoint;
}

static void set_ready(struct kube_endpoint *endpoint, bool ready, bool serving, bool terminating)
{
	endpoint->is_ready = ready;
	endpoint->is_serving = serving;
	endpoint->is_terminating = terminating;
}

/* "10.0.0.1:8080 (10.0.0.2:8080)": those in brackets take no traffic. */
static const char *found(void)
{
	struct text text = {0};
	struct endpoint_draft *drafts;
	uint32_t count;
	assert_int_equal(kube_service_endpoints(&web.service, &web.port, web.slices,
						web.slice_count, &web.place, &drafts, &count),
			 0);
	for (uint32_t i = 0; i < count; i++) {
		char address[ADDRESS_TEXT_MAX];
		text_printf(&text, drafts[i].weight ? "%s%s" : "%s(%s)", i ? " " : "",
			    address_print(&drafts[i].address, address));
		assert_in_range(drafts[i].weight, 0, 1);
	}
	mem_free(drafts);
	snprintf(web.found, sizeof(web.found), "%.*s", SPAN_PRINT(text_span(&text)));
	text_fini(&text);
	return web.found;
}

/* ---- endpoints: which ---- */

static void ready_endpoints_take_traffic_and_others_are_known(void **state)
{
	(void)state;
	set_ready(add("10.0.0.2"), false, false, false);
	add("10.0.0.1");
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080)");
}

static void one_that_terminates_is_left_while_another_is_ready(void **state)
{
	(void)state;
	add("10.0.0.1");
	set_ready(add("10.0.0.2"), false, true, true);
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080)");
}

static void when_all_terminate_the_serving_ones_take_traffic(void **state)
{
	(void)state;
	set_ready(add("10.0.0.1"), false, true, true);
	set_ready(add("10.0.0.2"), false, false, true);
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080)");
}

static void one_that_serves_and_does_not_terminate_is_no_last_resort(void **state)
{
	(void)state;
	set_ready(add("10.0.0.1"), false, true, false);
	assert_string_equal(found(), "(10.0.0.1:8080)");
}

static void ready_although_terminating_is_ready(void **state)
{
	(void)state;
	web.service.publishes_not_ready = true; /* the API then says ready for all of them */
	set_ready(add("10.0.0.1"), true, false, true);
	assert_string_equal(found(), "10.0.0.1:8080");
}

static void an_address_in_two_slices_is_one_endpoint_and_the_readier_counts(void **state)
{
	struct kube_endpoint others[] = {endpoint_at("10.0.0.1"), endpoint_at("10.0.0.3")};
	struct kube_slice other = slice_of("web-2", "web", &web.slice_port, 1, others, 2);
	(void)state;
	set_ready(add("10.0.0.1"), false, false, false);
	add("10.0.0.2");
	web.slices[1] = &other;
	web.slice_count = 2;
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	web.slices[0] = &other;
	web.slices[1] = &web.slice;
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
}

static void a_dual_stack_services_pods_are_asked_in_its_first_family(void **state)
{
	struct weft_address ips[] = {ip_of("10.96.0.1"), ip_of("fd00:96::1")};
	struct weft_address v6_first[] = {ips[1], ips[0]};
	struct kube_endpoint others[] = {endpoint_at("fd00::1"), endpoint_at("fd00::2")};
	struct kube_slice other = slice_of("web-2", "web", &web.slice_port, 1, others, 2);
	(void)state;
	add("10.0.0.1");
	add("10.0.0.2");
	web.slices[1] = &other;
	web.slice_count = 2;
	LEND(web.service.cluster_ips, web.service.ip_count, ips);
	assert_string_equal(found(),
			    "10.0.0.1:8080 10.0.0.2:8080 ([fd00::1]:8080) "
			    "([fd00::2]:8080)");
	LEND(web.service.cluster_ips, web.service.ip_count, v6_first);
	assert_string_equal(found(),
			    "(10.0.0.1:8080) (10.0.0.2:8080) [fd00::1]:8080 "
			    "[fd00::2]:8080");
	web.slice.endpoint_count = 0; /* of the other family alone is better than none */
	LEND(web.service.cluster_ips, web.service.ip_count, ips);
	assert_string_equal(found(), "[fd00::1]:8080 [fd00::2]:8080");
}

static void addresses_that_no_pod_has_are_no_endpoints(void **state)
{
	static const char *const ips[] = {
		"127.0.0.1", "0.0.0.0",   "169.254.169.254", "224.0.0.1",
		"::1",       "::",        "fe80::1",         "ff02::1",
		"240.0.0.1", "127.1.2.3", "febf::1",         "255.255.255.255"};
	(void)state;
	for (size_t i = 0; i < array_count(ips); i++) {
		web.slice.endpoint_count = 0;
		add(ips[i]);
		add("10.0.0.1");
		if (strcmp(found(), "10.0.0.1:8080") != 0)
			fail_msg("%s", ips[i]);
	}
}

static void no_slice_is_no_endpoint(void **state)
{
	(void)state;
	web.slice_count = 0;
	assert_string_equal(found(), "");
}

/* ---- endpoints: near ---- */

static void hints_count_when_all_have_them(void **state)
{
	static const char *const z1[] = {"z1"};
	static const char *const z2[] = {"z2", "z1"};
	static const char *const z3[] = {"z3"};
	(void)state;
	LEND(add("10.0.0.1")->hint_zones, web.endpoints[0].hint_count, z1);
	LEND(add("10.0.0.2")->hint_zones, web.endpoints[1].hint_count, z2);
	LEND(add("10.0.0.3")->hint_zones, web.endpoints[2].hint_count, z3);
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 (10.0.0.3:8080)");
	web.place.zone = "z9"; /* none for us: all */
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	web.place.zone = "";
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	web.place.zone = "z1";
	web.endpoints[2].hint_count = 0; /* one without: hints are from before a change */
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
}

static void hints_of_endpoints_that_take_nothing_do_not_count(void **state)
{
	static const char *const z1[] = {"z1"};
	static const char *const z2[] = {"z2"};
	(void)state;
	LEND(add("10.0.0.1")->hint_zones, web.endpoints[0].hint_count, z1);
	LEND(add("10.0.0.2")->hint_zones, web.endpoints[1].hint_count, z2);
	set_ready(add("10.0.0.3"), false, false, false);
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080) (10.0.0.3:8080)");
}

static void prefer_close_stays_in_the_zone_while_it_has_any(void **state)
{
	(void)state;
	add("10.0.0.1")->zone = "z1";
	add("10.0.0.2")->zone = "z2";
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080");
	web.service.distribution = KUBE_SAME_ZONE;
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080)");
	web.endpoints[0].is_ready = false;
	assert_string_equal(found(), "(10.0.0.1:8080) 10.0.0.2:8080");
}

static void prefer_same_node_is_node_then_zone_then_anywhere(void **state)
{
	(void)state;
	web.service.distribution = KUBE_SAME_NODE;
	add("10.0.0.1")->zone = "z2";
	add("10.0.0.2")->zone = "z1";
	add("10.0.0.3")->node = "n1";
	web.endpoints[2].zone = "z1";
	assert_string_equal(found(), "(10.0.0.1:8080) (10.0.0.2:8080) 10.0.0.3:8080");
	web.endpoints[2].is_ready = false;
	assert_string_equal(found(), "(10.0.0.1:8080) 10.0.0.2:8080 (10.0.0.3:8080)");
	web.endpoints[1].is_ready = false;
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080) (10.0.0.3:8080)");
}

static void internal_traffic_policy_local_never_leaves_the_node(void **state)
{
	(void)state;
	web.service.internal_local = true;
	add("10.0.0.1")->node = "n1";
	add("10.0.0.2")->node = "n2";
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080)");
	web.endpoints[0].is_ready = false;
	assert_string_equal(found(), "(10.0.0.1:8080) (10.0.0.2:8080)");
}

/* ---- ports ---- */

static void named_and_numeric_target_ports_are_those_of_the_slice(void **state)
{
	struct kube_endpoint others[] = {endpoint_at("10.0.0.2")};
	struct kube_slice_port ports[] = {slice_port("metrics", 9100), slice_port("http", 8081)};
	struct kube_slice other = slice_of("web-2", "web", ports, 2, others, 1);
	(void)state;
	web.port.target_name = "app"; /* resolved by the API, to another number in each pod */
	add("10.0.0.1");
	web.slices[1] = &other;
	web.slice_count = 2;
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8081");
}

static void a_slice_without_the_port_has_no_endpoints_for_it(void **state)
{
	(void)state;
	add("10.0.0.1");
	web.slice_port.name = "metrics";
	assert_string_equal(found(), "");
	web.slice_port = slice_port("http", 0); /* no number: any port */
	assert_string_equal(found(), "");
	web.slice_port = slice_port("http", 8080);
	web.slice_port.protocol = KUBE_UDP;
	assert_string_equal(found(), "");
}

static void only_tcp_ports_are_meshed(void **state)
{
	struct kube_service_port port = service_port("dns", 53);
	(void)state;
	assert_true(kube_service_port_is_meshed(&port));
	port.protocol = KUBE_UDP;
	assert_false(kube_service_port_is_meshed(&port));
	port.protocol = KUBE_SCTP;
	assert_false(kube_service_port_is_meshed(&port));
	port = service_port("none", 0);
	assert_false(kube_service_port_is_meshed(&port));
}

static void both_families_are_endpoints(void **state)
{
	(void)state;
	add("10.0.0.1");
	add("fd00::1");
	assert_non_null(strstr(found(), "10.0.0.1:8080"));
	assert_non_null(strstr(found(), "[fd00::1]:8080"));
}

/* ---- services ---- */

static void the_api_server_and_external_names_are_never_meshed(void **state)
{
	(void)state;
	assert_true(kube_service_is_meshed(&web.service));
	web.service.object.namespace = "default";
	assert_true(kube_service_is_meshed(&web.service));
	web.service.object.name = "kubernetes";
	assert_false(kube_service_is_meshed(&web.service));
	web.service.object.namespace = "shop";
	assert_true(kube_service_is_meshed(&web.service));
	web.service.type = KUBE_EXTERNAL_NAME;
	assert_false(kube_service_is_meshed(&web.service));
	web.service.type = KUBE_LOAD_BALANCER;
	assert_true(kube_service_is_meshed(&web.service));
}

static void a_name_has_namespace_service_and_port(void **state)
{
	char name[WEFT_NAME_MAX];
	(void)state;
	kube_service_name(&web.service, &web.port, name);
	assert_string_equal(name, "/svc/shop/web/80");
}

static void the_longest_name_fits(void **state)
{
	static char label[64]; /* web outlives this function */
	char name[WEFT_NAME_MAX];
	(void)state;
	memset(label, 'a', 63);
	label[63] = '\0';
	web.service.object.namespace = web.service.object.name = label;
	web.port.number = 65535;
	kube_service_name(&web.service, &web.port, name);
	assert_string_equal(name + strlen(name) - 7, "a/65535");
}

static void session_affinity_balances_by_client(void **state)
{
	(void)state;
	assert_int_equal(kube_service_balancer(&web.service), BALANCER_P2C);
	web.service.affinity_s = 10800;
	assert_int_equal(kube_service_balancer(&web.service), BALANCER_CLIENT_IP);
}

static void headless_endpoints_are_balanced_only_when_asked(void **state)
{
	static struct kube_pair pair; /* web outlives this function */
	(void)state;
	pair = (struct kube_pair){ANNOTATION_HEADLESS, "balance"};
	web.service.is_headless = true;
	assert_false(kube_service_balances_endpoints(&web.service));
	web.service.object.annotations = &pair;
	web.service.object.annotation_count = 1;
	assert_true(kube_service_balances_endpoints(&web.service));
	pair.value = "direct";
	assert_false(kube_service_balances_endpoints(&web.service));
	pair.value = "balance";
	web.service.is_headless = false;
	assert_false(kube_service_balances_endpoints(&web.service));
}

/* ---- protocols ---- */

static void a_protocol_is_told_by_annotation_then_app_protocol_then_name(void **state)
{
	static const struct {
		const char *annotation, *app_protocol, *name;
		enum protocol protocol;
	} cases[] = {
		{NULL, "", "", PROTOCOL_AUTO},
		{NULL, "", "http", PROTOCOL_HTTP},
		{NULL, "", "http-web", PROTOCOL_HTTP},
		{NULL, "", "https", PROTOCOL_AUTO},
		{NULL, "", "httpd", PROTOCOL_AUTO},
		{NULL, "", "mysql", PROTOCOL_AUTO}, /* a name is only believed for http */
		{NULL, "http", "", PROTOCOL_HTTP},
		{NULL, "HTTP", "", PROTOCOL_HTTP},
		{NULL, "kubernetes.io/ws", "", PROTOCOL_HTTP},
		{NULL, "kubernetes.io/h2c", "http", PROTOCOL_AUTO},
		{NULL, "https", "http", PROTOCOL_AUTO},
		{NULL, "mysql", "http", PROTOCOL_OPAQUE},
		{NULL, "tcp", "", PROTOCOL_OPAQUE},
		{NULL, "example.com/own", "", PROTOCOL_AUTO},
		{"80=opaque", "http", "http", PROTOCOL_OPAQUE},
		{"80=auto", "mysql", "", PROTOCOL_AUTO},
		{"8080=opaque", "http", "", PROTOCOL_HTTP}, /* the Service's port counts */
		{"80=nonsense", "http", "", PROTOCOL_HTTP},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct kube_pair pair = {ANNOTATION_PROTOCOL, cases[i].annotation};
		web.service.object.annotations = &pair;
		web.service.object.annotation_count = cases[i].annotation ? 1 : 0;
		web.port.app_protocol = cases[i].app_protocol;
		web.port.name = cases[i].name;
		enum protocol protocol = kube_service_protocol(&web.service, &web.port);
		if (protocol != cases[i].protocol)
			fail_msg("case %zu: protocol %d", i, protocol);
	}
}

static void memory_may_be_short(void **state)
{
	struct endpoint_draft *drafts;
	uint32_t count;
	long live = mem_live();
	(void)state;
	add("10.0.0.1");
	for (unsigned n = 1; n <= 2; n++) {
		mem_fail_nth(n);
		assert_int_equal(kube_service_endpoints(&web.service, &web.port, web.slices, 1,
							&web.place, &drafts, &count),
				 -ENOMEM);
		assert_int_equal(mem_live(), live);
	}
	mem_fail_nth(0);
	assert_string_equal(found(), "10.0.0.1:8080");
}

/* ---- pods of this node that end ---- */

static void note(struct ended_pods *ended, const char *uid, bool was_deleting, bool is_deleting,
		 bool is_gone)
{
	struct kube_pod before = {.object = object_of(KUBE_PODS, "shop", uid)};
	before.object.uid = uid;
	before.object.is_deleting = was_deleting;
	struct kube_pod after = before;
	after.object.is_deleting = is_deleting;
	assert_true(ended_note(ended, &before.object, is_gone ? NULL : &after.object));
}

static void a_pod_that_ended_here_is_out_before_its_slice_says_so(void **state)
{
	static struct ended_pods ended;
	(void)state;
	ended = (struct ended_pods){0};
	web.place.ended = &ended;
	for (unsigned i = 0; i < 3; i++) {
		struct kube_endpoint *endpoint =
			add((const char *[]){"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i]);
		endpoint->pod_uid = (const char *[]){"a", "b", "c"}[i];
		endpoint->node = "n1";
	}
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	note(&ended, "a", false, false, true);
	note(&ended, "b", false, true, false);
	assert_string_equal(found(), "(10.0.0.1:8080) (10.0.0.2:8080) 10.0.0.3:8080");
	note(&ended, "c", false, true, false); /* of those that end all may still serve */
	assert_string_equal(found(), "(10.0.0.1:8080) 10.0.0.2:8080 10.0.0.3:8080");
	note(&ended, "c", true, true, true);
	assert_string_equal(found(), "(10.0.0.1:8080) 10.0.0.2:8080 (10.0.0.3:8080)");
	web.endpoints[0].node = "n2"; /* nothing is known of what is there */
	assert_string_equal(found(), "10.0.0.1:8080 (10.0.0.2:8080) (10.0.0.3:8080)");
}

static void a_service_of_what_is_not_ready_has_pods_until_they_are_gone(void **state)
{
	static struct ended_pods ended;
	(void)state;
	ended = (struct ended_pods){0};
	web.place.ended = &ended;
	web.service.publishes_not_ready = true;
	for (unsigned i = 0; i < 2; i++) {
		struct kube_endpoint *endpoint = add(i ? "10.0.0.2" : "10.0.0.1");
		endpoint->pod_uid = i ? "b" : "a";
		endpoint->node = "n1";
	}
	note(&ended, "a", false, true, false);
	assert_string_equal(found(), "10.0.0.1:8080 10.0.0.2:8080");
	note(&ended, "a", true, true, true);
	assert_string_equal(found(), "(10.0.0.1:8080) 10.0.0.2:8080");
}

static void only_the_last_that_ended_are_remembered(void **state)
{
	static struct ended_pods ended;
	char uid[ENDED_MOST + 1][8];
	struct kube_pod pod = {.object = object_of(KUBE_PODS, "shop", "x")};
	(void)state;
	ended = (struct ended_pods){0};
	for (unsigned i = 0; i <= ENDED_MOST; i++) {
		snprintf(uid[i], sizeof(uid[i]), "%u", i);
		note(&ended, uid[i], false, false, true);
	}
	assert_int_equal(ended_find(&ended, uid[0]), POD_STAYS);
	for (unsigned i = 1; i <= ENDED_MOST; i++)
		assert_int_equal(ended_find(&ended, uid[i]), POD_ENDED);
	assert_false(ended_note(&ended, &pod.object, &pod.object));
	assert_false(ended_note(&ended, NULL, &pod.object));
	pod.phase = KUBE_FAILED;
	assert_true(ended_note(&ended, NULL, &pod.object));
	assert_int_equal(ended_find(&ended, "uid"), POD_ENDED);
}

/* ---- what a change takes away ---- */

static void what_takes_an_endpoint_away_is_told(void **state)
{
	struct kube_endpoint after[MOST];
	struct kube_slice slice;
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add((const char *[]){"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i]);
	memcpy(after, web.endpoints, sizeof(after));
	slice = slice_of("web-1", "web", &web.slice_port, 1, after, 3);
	assert_false(kube_slice_takes_away(&web.slice, &slice));
	assert_true(kube_slice_takes_away(&web.slice, NULL));

	slice.endpoint_count = 2;
	assert_true(kube_slice_takes_away(&web.slice, &slice));
	assert_false(kube_slice_takes_away(&slice, &web.slice));
	slice.endpoint_count = 0;
	assert_true(kube_slice_takes_away(&web.slice, &slice));

	slice.endpoint_count = 3;
	after[0] = endpoint_at("10.0.0.4"); /* replaced */
	assert_true(kube_slice_takes_away(&web.slice, &slice));
	after[0] = web.endpoints[2]; /* in another order */
	after[2] = web.endpoints[0];
	assert_false(kube_slice_takes_away(&web.slice, &slice));
}

static void who_is_less_willing_is_taken_away(void **state)
{
	struct kube_endpoint after[1];
	struct kube_slice slice = slice_of("web-1", "web", &web.slice_port, 1, after, 1);
	struct kube_endpoint *endpoint = add("10.0.0.1");
	(void)state;
	after[0] = *endpoint;
	set_ready(&after[0], false, true, true); /* terminates, and still serves */
	assert_true(kube_slice_takes_away(&web.slice, &slice));
	assert_false(kube_slice_takes_away(&slice, &web.slice));
	set_ready(endpoint, false, false, false);
	assert_false(kube_slice_takes_away(&web.slice, &slice));
	slice.endpoint_count = 0; /* it took nothing before */
	assert_false(kube_slice_takes_away(&web.slice, &slice));
}

#define test(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(ready_endpoints_take_traffic_and_others_are_known),
		test(one_that_terminates_is_left_while_another_is_ready),
		test(when_all_terminate_the_serving_ones_take_traffic),
		test(one_that_serves_and_does_not_terminate_is_no_last_resort),
		test(ready_although_terminating_is_ready),
		test(an_address_in_two_slices_is_one_endpoint_and_the_readier_counts),
		test(a_dual_stack_services_pods_are_asked_in_its_first_family),
		test(addresses_that_no_pod_has_are_no_endpoints),
		test(no_slice_is_no_endpoint),
		test(hints_count_when_all_have_them),
		test(hints_of_endpoints_that_take_nothing_do_not_count),
		test(prefer_close_stays_in_the_zone_while_it_has_any),
		test(prefer_same_node_is_node_then_zone_then_anywhere),
		test(internal_traffic_policy_local_never_leaves_the_node),
		test(named_and_numeric_target_ports_are_those_of_the_slice),
		test(a_slice_without_the_port_has_no_endpoints_for_it),
		test(only_tcp_ports_are_meshed),
		test(both_families_are_endpoints),
		test(the_api_server_and_external_names_are_never_meshed),
		test(a_name_has_namespace_service_and_port),
		test(the_longest_name_fits),
		test(session_affinity_balances_by_client),
		test(headless_endpoints_are_balanced_only_when_asked),
		test(a_protocol_is_told_by_annotation_then_app_protocol_then_name),
		test(a_pod_that_ended_here_is_out_before_its_slice_says_so),
		test(a_service_of_what_is_not_ready_has_pods_until_they_are_gone),
		test(only_the_last_that_ended_are_remembered),
		test(what_takes_an_endpoint_away_is_told),
		test(who_is_less_willing_is_taken_away),
		test(memory_may_be_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
