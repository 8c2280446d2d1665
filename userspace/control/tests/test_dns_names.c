/* Names that DNS knows, as services: from the dtab and from requests, as answers change and fail.
 */
#include "control/dns_names.h"
#include "control/state.h"
#include "dns/tests/server.h"
#include "model/snapshot.h"
#include "stage.h"

static struct server server;

static int set_up(void **state)
{
	server_open(&server);
	return stage_set_up(state);
}

static int tear_down(void **state)
{
	int error = stage_tear_down(state);
	server_close(&server);
	return error;
}

#define dns_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* As stage_until, with the server's turns. */
#define until(claim)                                                                               \
	for (uint64_t end_ns = stage_clock_ns() + DEADLINE_NS; !(claim); server_turn(&server))     \
	stage_turn(end_ns, #claim)

static void turn_for(uint64_t ns)
{
	for (uint64_t end_ns = stage_clock_ns() + ns; stage_clock_ns() < end_ns;) {
		io_turn(stage.ring, TURN_NS);
		server_turn(&server);
	}
}

/* The namers' keys but prefix and kind; `more` begins with a comma. */
static const char *config_of(const char *more, const char *rest)
{
	static char text[1024];
	snprintf(text, sizeof(text),
		 "namers:\n- {kind: dns, servers: [127.0.0.1], server_port: %u, refresh: 100ms, "
		 "ttl_min: 100ms, timeout: 100ms%s}\n%s",
		 server.port, more, rest);
	return text;
}

static const struct service *service_named(const char *name)
{
	return snapshot_service_named(snapshot_current(stage.slot), span_text(name));
}

static uint32_t endpoints_of(const char *name)
{
	const struct service *service = service_named(name);
	return service ? service->endpoint_count : UINT32_MAX;
}

static bool stands(const char *name, enum standing standing)
{
	const struct service *service = service_named(name);
	return service && service->standing == standing;
}

static void want(const char *name)
{
	control_name_wanted(stage.control, span_text(name));
}

static const struct dns_name *name_of(const char *name)
{
	return dns_name_find(&stage.control->dns, span_text(name));
}

/* ---- what is known ---- */

static void names_of_the_dtab_are_services_that_follow_dns(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(
		config_of("", "dtab: /svc/a => /#/dns/web.example/80/more | /svc/b ; /x => ~\n"));
	assert_null(service_named("#/dns/web.example/80")); /* pending */
	until(service_named("#/dns/web.example/80"));
	uint32_t id = service_named("#/dns/web.example/80")->id;
	uint32_t endpoint = service_named("#/dns/web.example/80")->endpoints[0].id;
	assert_string_equal(service_named("#/dns/web.example/80")->endpoints[0].text,
			    "10.0.0.1:80");
	server_add_host(&server, "web.example", "10.0.0.2");
	until(endpoints_of("#/dns/web.example/80") == 2);
	assert_int_equal(service_named("#/dns/web.example/80")->id, id);
	assert_int_equal(service_named("#/dns/web.example/80")->endpoints[0].id, endpoint);
	/* The same answer again builds nothing. */
	uint64_t generation = stage_generation();
	unsigned questions = server.questions;
	until(server.questions > questions + 2);
	assert_int_equal(stage_generation(), generation);
}

static void a_wanted_name_comes_and_others_do_not(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of(", prefix: a/b", ""));
	want("#/a/b/web.example/80");
	want("#/a/c/web.example/80");
	want("#/a/b/web.example");
	want("#/a/b/web.example/0");
	want("#/a/b/");
	until(service_named("#/a/b/web.example/80"));
	assert_int_equal(stage.control->dns.table.count, 1);
	want("#/a/b/web.example/80");
	turn_for(20000000);
	assert_int_equal(stage.control->dns.table.count, 1);
}

static void an_address_is_an_endpoint_without_a_question(void **state)
{
	(void)state;
	stage_open(config_of("", "dtab: /a => /#/dns/10.0.0.7/80\n"));
	until(endpoints_of("#/dns/10.0.0.7/80") == 1);
	assert_int_equal(server.questions, 0);
}

static void a_domain_is_appended_unless_a_dot_ends_the_name(void **state)
{
	(void)state;
	server_add_host(&server, "web.shop.example", "10.0.0.1");
	server_add_host(&server, "web", "10.0.0.2");
	stage_open(config_of(", domain: shop.example", ""));
	want("#/dns/web/80");
	want("#/dns/web./80");
	until(service_named("#/dns/web/80") && service_named("#/dns/web./80"));
	assert_string_equal(service_named("#/dns/web/80")->endpoints[0].text, "10.0.0.1:80");
	assert_string_equal(service_named("#/dns/web./80")->endpoints[0].text, "10.0.0.2:80");
}

static void srv_records_are_endpoints_with_weights(void **state)
{
	(void)state;
	server_add(&server, &(struct server_record){.owner = "_http._tcp.web",
						    .type = 33,
						    .ttl_s = 9,
						    .weight = 3,
						    .port = 8080,
						    .data = "a.example"});
	server_add_host(&server, "a.example", "10.0.0.1");
	char text[256];
	snprintf(text, sizeof(text),
		 "namers: [{kind: dns_srv, servers: [127.0.0.1], server_port: %u}]\n"
		 "dtab: /svc => /#/dns_srv/_http._tcp.web ;\n",
		 server.port);
	stage_open(text);
	until(endpoints_of("#/dns_srv/_http._tcp.web") == 1);
	assert_int_equal(service_named("#/dns_srv/_http._tcp.web")->endpoints[0].weight, 3);
}

/* ---- what is not ---- */

static void no_such_name_is_absent_until_there_is_one(void **state)
{
	(void)state;
	stage_open(config_of("", ""));
	want("#/dns/web.example/80");
	until(stands("#/dns/web.example/80", STANDING_ABSENT));
	server_add_host(&server, "web.example", "10.0.0.1");
	until(stands("#/dns/web.example/80", STANDING_PRESENT));
	server.record_count = 0;
	until(stands("#/dns/web.example/80", STANDING_ABSENT));
	want("#/dns/bad..name/80");
	until(stands("#/dns/bad..name/80", STANDING_ABSENT));
}

static void the_last_answer_serves_while_dns_fails(void **state)
{
	struct text page = {0};
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", "dtab: /a => /#/dns/web.example/80\n"));
	until(endpoints_of("#/dns/web.example/80") == 1);
	server.mood = SERVER_FAILS;
	until(name_of("#/dns/web.example/80")->failures >= 2);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 1);
	control_metrics(stage.control, &page);
	assert_non_null(
		strstr(page.data, "weft_dns_failures_total{name=\"#/dns/web.example/80\"}"));
	assert_null(strstr(page.data, "weft_dns_stale_seconds{namer=\"dns\"} 0.000"));
	assert_non_null(strstr(page.data, "weft_dns_names{namer=\"dns\",state=\"found\"} 1"));
	text_clear(&page);
	control_namers_json(stage.control, &page);
	assert_non_null(strstr(page.data, "\"state\":\"found\""));
	text_fini(&page);
	server.mood = SERVER_IS_SILENT;
	uint32_t failures = name_of("#/dns/web.example/80")->failures;
	until(name_of("#/dns/web.example/80")->failures > failures);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 1);
	server.mood = SERVER_ANSWERS;
	server.records[0].data = "10.0.0.2";
	until(strcmp(service_named("#/dns/web.example/80")->endpoints[0].text, "10.0.0.2:80") == 0);
	assert_int_equal(name_of("#/dns/web.example/80")->failures, 0);
}

static void what_dns_never_said_anything_of_has_no_endpoints(void **state)
{
	(void)state;
	server.mood = SERVER_FAILS;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", "dtab: /a => /#/dns/web.example/80\n"));
	until(endpoints_of("#/dns/web.example/80") == 0);
	assert_true(stands("#/dns/web.example/80", STANDING_PRESENT));
	server.mood = SERVER_ANSWERS;
	until(endpoints_of("#/dns/web.example/80") == 1);
}

static void a_partial_answer_counts_only_after_some(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	server_add_host(&server, "web.example", "fd00::1");
	stage_open(config_of(", family: both", "dtab: /a => /#/dns/web.example/80\n"));
	until(endpoints_of("#/dns/web.example/80") == 2);
	server.silent_type = "AAAA";
	until(name_of("#/dns/web.example/80")->failures == 1);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 2);
	until(endpoints_of("#/dns/web.example/80") == 1);
	assert_true(name_of("#/dns/web.example/80")->failed >= DNS_PARTIAL_MOST);
}

/* ---- bounds ---- */

static void beyond_the_limit_the_one_unused_for_longest_makes_room(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of(", names: 2", "dtab: /a => /#/dns/web.example/80\n"));
	want("#/dns/web.example/81");
	until(service_named("#/dns/web.example/81"));
	want("#/dns/web.example/82");
	until(stands("#/dns/web.example/82", STANDING_REFUSED));
	/* As if time had passed. */
	struct dns_names *names = &stage.control->dns;
	dns_name_forget(dns_name_find(names, span_text("#/dns/web.example/82")));
	dns_name_find(names, span_text("#/dns/web.example/80"))->used_ns -= 3 * DNS_USED_NS;
	dns_name_find(names, span_text("#/dns/web.example/81"))->used_ns -= 2 * DNS_USED_NS;
	want("#/dns/web.example/82");
	until(endpoints_of("#/dns/web.example/82") == 1);
	assert_null(service_named("#/dns/web.example/81"));
	assert_non_null(service_named("#/dns/web.example/80")); /* stands in the dtab */
}

static void refused_names_are_few(void **state)
{
	char name[64];
	(void)state;
	stage_open(config_of(", names: 1", "dtab: /a => /#/dns/10.0.0.1/80\n"));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "#/dns/web%d.example/80", i);
		want(name);
	}
	turn_for(100000000);
	assert_int_equal(stage.control->dns.table.count, 1 + DNS_REFUSED_MOST);
	assert_int_equal(server.questions, 0);
}

static void names_that_come_too_fast_are_dropped(void **state)
{
	char name[64];
	(void)state;
	server.mood = SERVER_IS_SILENT;
	stage_open(config_of(", names: 4096", ""));
	for (uint32_t i = 0; i < 2 * CONTROL_WANTED_MOST; i++) {
		snprintf(name, sizeof(name), "#/dns/web%u.example/80", i);
		want(name);
	}
	turn_for(20000000);
	assert_int_equal(stage.control->dns.table.count, CONTROL_WANTED_MOST);
	want("#/dns/web.example/80");
	until(name_of("#/dns/web.example/80"));
}

static void what_the_dtab_says_has_room_before_others_and_once_there_is_some(void **state)
{
	static const char two[] = "dtab: /a => /#/dns/web.example/80 | /#/dns/web.example/81\n";
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of(", names: 1", ""));
	want("#/dns/web.example/82");
	until(endpoints_of("#/dns/web.example/82") == 1);
	/* it was used just now, and goes all the same */
	uint64_t began_ns = stage_clock_ns();
	stage_write("weft.yaml", config_of(", names: 1", two));
	until(endpoints_of("#/dns/web.example/80") == 1 &&
	      stands("#/dns/web.example/81", STANDING_REFUSED));
	assert_true(stage_clock_ns() - began_ns < DNS_USED_NS / 2);
	assert_null(service_named("#/dns/web.example/82"));
	/* what the log advises */
	stage_write("weft.yaml", config_of(", names: 2", two));
	until(endpoints_of("#/dns/web.example/81") == 1);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 1);
}

static void what_is_not_used_is_forgotten(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", "dtab: /a => /#/dns/web.example/80\n"));
	want("#/dns/web.example/81");
	want("#/dns/web.example/82");
	until(service_named("#/dns/web.example/80") && service_named("#/dns/web.example/81") &&
	      service_named("#/dns/web.example/82"));
	for (const char *port = "012"; *port; port++) {
		char name[] = "#/dns/web.example/8x";
		name[sizeof(name) - 2] = *port;
		dns_name_find(&stage.control->dns, span_text(name))->used_ns -= 2 * DNS_IDLE_NS;
	}
	service_want(service_named("#/dns/web.example/82"));
	until(!service_named("#/dns/web.example/81"));
	assert_non_null(service_named("#/dns/web.example/80"));
	assert_non_null(service_named("#/dns/web.example/82"));
}

static void more_names_than_may_be_asked_for_at_once_wait_in_line(void **state)
{
	char name[64];
	(void)state;
	server.mood = SERVER_IS_SILENT;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", ""));
	for (int i = 0; i < 2 * DNS_LOOKUPS_MOST; i++) {
		snprintf(name, sizeof(name), "#/dns/web.example/%d", i + 1);
		want(name);
	}
	turn_for(20000000);
	struct dns_namer *namer =
		list_entry(stage.control->dns.namers.next, struct dns_namer, link);
	assert_int_equal(namer->under_way, DNS_LOOKUPS_MOST);
	server.mood = SERVER_ANSWERS;
	until(namer->counts[DNS_NAME_FOUND] == 2 * DNS_LOOKUPS_MOST);
}

/* Else there is no look-up any more one day. */
static void a_name_that_is_forgotten_leaves_its_look_up_to_another(void **state)
{
	(void)state;
	server.mood = SERVER_IS_SILENT;
	stage_open(config_of("", ""));
	struct dns_names *names = &stage.control->dns;
	struct dns_namer *namer = list_entry(names->namers.next, struct dns_namer, link);
	want("#/dns/web.example/80");
	until(namer->under_way == 1);
	dns_name_forget(dns_name_find(names, span_text("#/dns/web.example/80")));
	assert_int_equal(namer->under_way, 0);
	turn_for(300000000);
	assert_int_equal(namer->under_way, 0);
}

static void a_failed_allocation_costs_at_most_that_name(void **state)
{
	char name[64];
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", ""));
	for (unsigned long n = 1; n < 30; n++) {
		snprintf(name, sizeof(name), "#/dns/web.example/%lu", n);
		mem_fail_nth(n);
		want(name);
		turn_for(10000000);
		mem_fail_nth(0);
		want(name);
		until(endpoints_of(name) == 1);
	}
}

static void an_address_comes_later_where_memory_was_short(void **state)
{
	char name[64];
	(void)state;
	stage_open(config_of("", ""));
	for (unsigned long n = 1; n < 12; n++) {
		snprintf(name, sizeof(name), "#/dns/10.0.0.1/%lu", n);
		want(name);
		mem_fail_nth(n); /* of what it takes to make the name */
		turn_for(2000000);
		mem_fail_nth(0);
		if (!name_of(name))
			want(name);
		until(endpoints_of(name) == 1);
	}
}

/* ---- the config ---- */

static void a_change_of_the_namer_keeps_what_is_known(void **state)
{
	(void)state;
	server_add_host(&server, "web.example", "10.0.0.1");
	stage_open(config_of("", ""));
	want("#/dns/web.example/80");
	until(endpoints_of("#/dns/web.example/80") == 1);
	server.mood = SERVER_IS_SILENT;
	uint64_t generation = stage_generation();
	stage_write("weft.yaml", config_of(", names: 100", ""));
	until(stage_generation() > generation);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 1);
	/* a bad file changes nothing */
	stage_write("weft.yaml", config_of(", names: 50", "workers: x\n"));
	turn_for(200000000);
	assert_int_equal(endpoints_of("#/dns/web.example/80"), 1);
	stage_write("weft.yaml", "{}");
	until(!service_named("#/dns/web.example/80"));
	assert_int_equal(stage.control->dns.table.count, 0);
	until(list_is_empty(&stage.control->dns.leaving));
}

static void two_namers_of_one_prefix_and_bounds_that_cross_are_refused(void **state)
{
	struct text why = {0};
	(void)state;
	stage_write("weft.yaml", "namers: [{kind: dns}, {kind: dns_srv, prefix: dns}]\n");
	assert_int_equal(stage_try_to_open(&why), -EINVAL);
	assert_non_null(strstr(why.data, "another namer that asks DNS has this prefix"));
	text_clear(&why);
	stage_write("weft.yaml", "namers: [{kind: dns, ttl_min: 10m}]\n");
	assert_int_equal(stage_try_to_open(&why), -EINVAL);
	assert_non_null(strstr(why.data, "is longer than ttl_max"));
	text_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		dns_test(names_of_the_dtab_are_services_that_follow_dns),
		dns_test(a_wanted_name_comes_and_others_do_not),
		dns_test(an_address_is_an_endpoint_without_a_question),
		dns_test(a_domain_is_appended_unless_a_dot_ends_the_name),
		dns_test(srv_records_are_endpoints_with_weights),
		dns_test(no_such_name_is_absent_until_there_is_one),
		dns_test(the_last_answer_serves_while_dns_fails),
		dns_test(what_dns_never_said_anything_of_has_no_endpoints),
		dns_test(a_partial_answer_counts_only_after_some),
		dns_test(beyond_the_limit_the_one_unused_for_longest_makes_room),
		dns_test(refused_names_are_few),
		dns_test(names_that_come_too_fast_are_dropped),
		dns_test(what_the_dtab_says_has_room_before_others_and_once_there_is_some),
		dns_test(what_is_not_used_is_forgotten),
		dns_test(more_names_than_may_be_asked_for_at_once_wait_in_line),
		dns_test(a_name_that_is_forgotten_leaves_its_look_up_to_another),
		dns_test(a_failed_allocation_costs_at_most_that_name),
		dns_test(an_address_comes_later_where_memory_was_short),
		dns_test(a_change_of_the_namer_keeps_what_is_known),
		dns_test(two_namers_of_one_prefix_and_bounds_that_cross_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
