/* Pods that are added at run time, and other sources beside the config. */
#include "control/source.h"
#include "control/tests/stage.h"

#define WEB     "- {name: web, addresses: [10.96.0.1], ports: [80]}\n"
#define NOTHING "pods: []\n"
#define CLIENT  "pods:\n- {name: client, netns: @/client}\n"

struct told {
	unsigned times;
	char error[256]; /* "" = capture is on */
};

static void on_told(void *owner, const char *error)
{
	struct told *told = owner;
	told->times++;
	snprintf(told->error, sizeof(told->error), "%s", error ? error : "");
}

/* -errno; the sentence is in `told`. */
static int add(const char *name, const char *place, struct told *told, struct guest **ret_guest)
{
	char spec[256];
	struct text why = {0};
	*told = (struct told){0};
	snprintf(spec, sizeof(spec), "{\"name\": \"%s\", \"cgroup\": \"%s\", \"capture\": \"all\"}",
		 name, stage_path(place));
	int error = control_pod_add(stage.control, span_text(spec), on_told, told, &why, ret_guest);
	snprintf(told->error, sizeof(told->error), "%s", why.data ? why.data : "");
	text_fini(&why);
	return error;
}

static int add_spec(const char *spec, struct text *why)
{
	struct told told;
	struct guest *guest;
	return control_pod_add(stage.control, span_text(spec), on_told, &told, why, &guest);
}

static void a_guest_is_captured_until_it_is_dropped(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_open(NOTHING);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	assert_int_equal(told.times, 0); /* from the ring only */
	stage_until(told.times == 1);
	assert_string_equal(told.error, "");
	assert_int_equal(stage_row("run").row.flags, WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL);
	assert_int_equal(stage_row("run").key.kind, WEFT_POD_BY_CGROUP);

	control_pod_drop(stage.control, guest);
	stage_until(!stage_has_row("run"));
	assert_int_equal(stage.removing, 1);
	assert_false(stage.capture_at_leave);
	assert_int_equal(stage.last_drain_ns, 30000000000ull); /* drained as any pod */
	assert_int_equal(told.times, 1);
}

static void guests_stay_when_the_config_is_read_again(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_write("client", "");
	stage_open(NOTHING);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	stage_write("weft.yaml", CLIENT);
	stage_until(stage_is_captured("client"));
	assert_true(stage_is_captured("run"));
	stage_write("weft.yaml", "worker: 3\n"); /* bad */
	control_reload(stage.control);
	stage_turn_for(100000000);
	assert_true(stage_is_captured("run"));
	assert_int_equal(stage.added, 2);
	assert_int_equal(stage.removing, 0);
	/* The last good config is what later builds begin with. */
	control_pod_drop(stage.control, guest);
	stage_until(!stage_has_row("run"));
	assert_true(stage_is_captured("client"));
}

static void guests_that_come_together_are_one_build(void **state)
{
	struct told told[3];
	struct guest *guests[3];
	(void)state;
	stage_write("a", "");
	stage_write("b", "");
	stage_write("c", "");
	stage_open(NOTHING);
	uint64_t before = stage_generation();
	assert_int_equal(add("a", "a", &told[0], &guests[0]), 0);
	assert_int_equal(add("b", "b", &told[1], &guests[1]), 0);
	assert_int_equal(add("c", "c", &told[2], &guests[2]), 0);
	stage_until(told[0].times && told[1].times && told[2].times);
	assert_int_equal(stage_generation(), before + 1);
	control_pod_drop(stage.control, guests[1]);
	stage_until(!stage_has_row("b"));
	assert_true(stage_is_captured("a"));
	assert_true(stage_is_captured("c"));
}

static void a_name_or_place_that_is_taken_is_refused(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("client", "");
	stage_write("box", "");
	stage_write("other", "");
	stage_open("pods:\n- {name: client, cgroup: @/client}\n");
	stage_until(stage_is_captured("client"));
	assert_int_equal(add("client", "box", &told, &guest), -EEXIST);
	assert_string_equal(told.error, "pod \"client\" exists already");
	assert_int_equal(add("run", "client", &told, &guest), -EEXIST);
	assert_non_null(strstr(told.error, "belongs to pod \"client\" already"));
	assert_int_equal(add("run", "box", &told, &guest), 0);
	assert_int_equal(add("run", "other", &told, &guest), -EEXIST);
	assert_int_equal(add("gone", "no-such-cgroup", &told, &guest), -ENOENT);
	assert_non_null(strstr(told.error, "no-such-cgroup: No such file or directory"));
}

static void a_wrong_pod_is_refused_with_a_line_for_each_fault(void **state)
{
	struct text why = {0};
	(void)state;
	stage_open(NOTHING);
	assert_int_equal(add_spec("{\"name\": \"x\", \"cgrup\": 1, \"capture\": \"most\"}", &why),
			 -EINVAL);
	assert_non_null(strstr(why.data, "pods[].cgrup: unknown key; did you mean cgroup?\n"));
	assert_non_null(strstr(why.data, "pods[].capture: "));
	text_clear(&why);
	assert_int_equal(add_spec("{\"cgroup\": \"/x\"}", &why), -EINVAL);
	assert_non_null(strstr(why.data, "pods[].name: is required and missing\n"));
	text_clear(&why);
	assert_int_equal(add_spec("{\"name\": \"x\"}", &why), -EINVAL);
	assert_non_null(strstr(why.data, "needs exactly one of netns and cgroup"));
	text_clear(&why);
	assert_int_equal(add_spec("[1]", &why), -EINVAL);
	assert_non_null(strstr(why.data, "a pod is a map of keys"));
	text_clear(&why);
	assert_int_equal(add_spec("{\"name\"", &why), -EINVAL);
	assert_int_equal(add_spec("", &why), -EINVAL);
	text_fini(&why);
	assert_int_equal(stage_generation(), 1);
}

static void a_config_that_takes_a_guests_name_is_refused(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_write("client", "");
	stage_open(NOTHING);
	assert_int_equal(add("client", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	uint64_t generation = stage_generation();
	stage_write("weft.yaml", CLIENT);
	const cJSON *errors = NULL;
	cJSON *json = NULL;
	for (uint64_t end_ns = stage_clock_ns() + DEADLINE_NS;;) {
		json = stage_config_json();
		errors = cJSON_GetObjectItem(json, "errors");
		if (cJSON_GetArraySize(errors) == 1)
			break;
		cJSON_Delete(json);
		stage_turn(end_ns, "the clash is an error");
	}
	assert_non_null(strstr(cJSON_GetArrayItem(errors, 0)->valuestring,
			       "weft.yaml:2: pods[].name: \"client\" is in use by one that was "
			       "added at run time"));
	cJSON_Delete(json);
	assert_int_equal(stage_generation(), generation);
}

static void one_that_cannot_be_enrolled_is_told_once(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_open(NOTHING);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_remove("box"); /* before the build */
	stage_until(told.times == 1);
	assert_non_null(strstr(told.error, "No such file or directory"));
	stage_write("box", "");
	stage_until(stage_is_captured("run")); /* tried again each second while it is held */
	assert_int_equal(told.times, 1);
	control_pod_drop(stage.control, guest);
	stage_until(!stage_has_row("run"));
}

static void one_that_is_replaced_within_one_build_is_told_too(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_open(NOTHING);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	control_pod_drop(stage.control, guest);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	assert_string_equal(told.error, "");
	assert_int_equal(stage.removing, 0);
}

static void draining_takes_guests_out_and_lets_none_in(void **state)
{
	struct told told;
	struct guest *guest;
	(void)state;
	stage_write("box", "");
	stage_write("other", "");
	stage_open(NOTHING);
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	control_drain(stage.control, DRAIN_FOR_GOOD, on_drained, NULL);
	stage_until(stage.drained == 1);
	assert_false(stage_has_row("run"));
	struct told late;
	struct guest *none;
	assert_int_equal(add("late", "other", &late, &none), -ESHUTDOWN);
	control_pod_drop(stage.control, guest);
}

/* ---- sources in general ---- */

static struct draft_value one_ip(const char *text)
{
	return (struct draft_value){.address = address_of(text)};
}

static void a_source_brings_services_and_pods(void **state)
{
	struct draft_value ip = one_ip("10.96.0.2:0");
	struct draft_value port = {.number = 81};
	struct endpoint_draft endpoint = {.weight = 1, .address = address_of("10.0.0.2:81")};
	struct service_draft service = {
		.name = "api",
		.addresses = {1, &ip},
		.ports = {1, &port},
		.endpoints = {1, &endpoint},
	};
	struct pod_draft pod = {.name = "shop", .cgroup_path = ""};
	struct source source = {.services = {1, &service}, .pods = {1, &pod}};
	(void)state;
	stage_write("shop", "");
	pod.netns_path = stage_path("shop");
	stage_open("services:\n" WEB);
	control_source_add(stage.control, &source);
	control_sources_changed(stage.control);
	stage_until(stage_is_captured("shop"));
	assert_non_null(destination_of("10.96.0.1:80"));
	assert_int_equal(destination_of("10.96.0.2:81")->flags, WEFT_DESTINATION_READY);

	/* One that clashes with the config changes nothing and is logged. */
	uint64_t generation = stage_generation();
	ip = one_ip("10.96.0.1:0");
	port.number = 80;
	control_sources_changed(stage.control);
	stage_turn_for(100000000);
	assert_int_equal(stage_generation(), generation);
	assert_non_null(destination_of("10.96.0.2:81"));

	control_source_remove(stage.control, &source);
	stage_until(!stage_has_row("shop"));
	assert_null(destination_of("10.96.0.2:81"));
	assert_non_null(destination_of("10.96.0.1:80"));
}

/* Its namespace's user may write any address into an EndpointSlice. */
static void a_service_that_names_anothers_address_as_its_endpoint_takes_no_dial_to_it(void **state)
{
	struct draft_value port = {.number = 1};
	struct endpoint_draft endpoints[] = {
		{.weight = 1, .is_destination = true, .address = address_of("10.96.0.1:80")},
		{.weight = 1, .is_destination = true, .address = address_of("10.0.0.9:80")},
	};
	struct service_draft thief = {
		.name = "zz-thief",
		.balances_endpoints = true,
		.may_be_left_out = true,
		.ports = {1, &port},
		.endpoints = {array_count(endpoints), endpoints},
	};
	struct source source = {.services = {1, &thief}};
	(void)state;
	stage_open("services:\n" WEB);
	control_source_add(stage.control, &source);
	control_sources_changed(stage.control);
	stage_until(stage_generation() == 2);
	assert_string_equal(destination_of("10.0.0.9:80")->name, "zz-thief");
	assert_string_equal(destination_of("10.96.0.1:80")->name, "web");
	control_source_remove(stage.control, &source);
	stage_until(stage_generation() == 3);
	assert_string_equal(destination_of("10.96.0.1:80")->name, "web");
	assert_null(destination_of("10.0.0.9:80"));
}

static void what_may_be_left_out_gives_way(void **state)
{
	struct draft_value ips[] = {one_ip("10.96.0.1:0"), one_ip("10.96.0.2:0")};
	struct draft_value port = {.number = 80};
	struct service_draft services[] = {
		{.name = "clash", .addresses = {1, &ips[0]}, .ports = {1, &port}},
		{.name = "api", .addresses = {1, &ips[1]}, .ports = {1, &port}},
	};
	struct pod_draft pods[] = {
		{.name = "client", .netns_path = "/x", .cgroup_path = ""},
		{.name = "same-place", .cgroup_path = ""},
		{.name = "same-guest", .netns_path = ""},
		{.name = "shop", .cgroup_path = ""},
		{.name = "nowhere", .netns_path = "", .cgroup_path = ""},
	};
	struct source source = {.services = {array_count(services), services},
				.pods = {array_count(pods), pods}};
	struct told told;
	struct guest *guest;
	(void)state;
	for (unsigned i = 0; i < array_count(services); i++)
		services[i].may_be_left_out = true;
	for (unsigned i = 0; i < array_count(pods); i++)
		pods[i].may_be_left_out = true;
	stage_write("client", "");
	stage_write("shop", "");
	stage_write("box", "");
	stage_open("services:\n" WEB CLIENT);
	pods[1].netns_path = strdup(stage_path("client"));
	pods[2].cgroup_path = strdup(stage_path("box"));
	pods[3].netns_path = strdup(stage_path("shop"));
	assert_int_equal(add("run", "box", &told, &guest), 0);
	stage_until(told.times == 1);
	control_source_add(stage.control, &source);
	control_sources_changed(stage.control);
	stage_until(stage_is_captured("shop"));
	assert_true(stage_is_captured("client"));
	assert_true(stage_is_captured("run"));
	const struct snapshot *snapshot = snapshot_current(stage.slot);
	assert_int_equal(snapshot->pod_count, 3);
	assert_int_equal(snapshot->service_count, 2);
	assert_non_null(snapshot_service_named(snapshot, span_text("api")));

	/* The config's clash is gone: what was left out is taken in. */
	stage_write("weft.yaml", NOTHING);
	stage_until(stage_has_row("same-place"));
	assert_non_null(snapshot_service_named(snapshot_current(stage.slot), span_text("clash")));
	free((char *)pods[1].netns_path);
	free((char *)pods[2].cgroup_path);
	free((char *)pods[3].netns_path);
}

static void any_allocation_may_fail_while_guests_come_and_go(void **state)
{
	(void)state;
	stage_write("box", "");
	stage_open(NOTHING);
	for (unsigned long n = 1; n < 40; n++) {
		struct told told;
		struct guest *guest;
		mem_fail_nth(n);
		int error = add("run", "box", &told, &guest);
		if (!error) {
			stage_turn_for(60000000);
			control_pod_drop(stage.control, guest);
		} else {
			assert_int_equal(error, -ENOMEM);
		}
		mem_fail_nth(0);
		stage_until(!stage_has_row("run") && control_is_ready(stage.control));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(a_guest_is_captured_until_it_is_dropped),
		stage_test(guests_stay_when_the_config_is_read_again),
		stage_test(guests_that_come_together_are_one_build),
		stage_test(a_name_or_place_that_is_taken_is_refused),
		stage_test(a_wrong_pod_is_refused_with_a_line_for_each_fault),
		stage_test(a_config_that_takes_a_guests_name_is_refused),
		stage_test(one_that_cannot_be_enrolled_is_told_once),
		stage_test(one_that_is_replaced_within_one_build_is_told_too),
		stage_test(draining_takes_guests_out_and_lets_none_in),
		stage_test(a_source_brings_services_and_pods),
		stage_test(
			a_service_that_names_anothers_address_as_its_endpoint_takes_no_dial_to_it),
		stage_test(what_may_be_left_out_gives_way),
		stage_test(any_allocation_may_fail_while_guests_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
