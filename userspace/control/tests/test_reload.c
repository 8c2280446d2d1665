/* The config file's way into the snapshot and into the kernel's map of destinations. */
#include "control/source.h"
#include "control/tests/stage.h"

#include <pthread.h>
#include <stdatomic.h>

#define WEB                                                                                        \
	"- {name: web, addresses: [10.96.0.1], ports: [80], endpoints: [{address: "                \
	"\"10.0.0.1:80\"}]}\n"

static const char one[] = "services:\n" WEB;
static const char two[] = "services:\n" WEB "- {name: api, addresses: [10.96.0.2], ports: [80]}\n";
static const char bad[] = "services:\n" WEB "worker: 3\n";

static void a_config_is_published_with_series_and_destinations(void **state)
{
	(void)state;
	stage_open("services:\n" WEB
		   "- {name: api, addresses: [10.96.0.2], ports: [81], protocol: http}\n");
	assert_int_equal(stage_generation(), 1);
	const struct snapshot *snapshot = snapshot_current(stage.slot);
	const struct service *web = snapshot_service_named(snapshot, span_text("web"));
	assert_int_equal(web->series, series_slot(&stage.series, span_text("web"), span_text("")));
	assert_int_equal(web->endpoints[0].series,
			 series_slot(&stage.series, span_text("web"), span_text("10.0.0.1:80")));
	assert_int_not_equal(web->series, SERIES_OVERFLOW);

	assert_int_equal(kernel_double_destination_count(), 2);
	const struct weft_destination *row = destination_of("10.96.0.1:80");
	assert_int_equal(row->service_id, web->id);
	assert_int_equal(row->flags, WEFT_DESTINATION_READY);
	assert_string_equal(row->name, "web");
	assert_int_equal(destination_of("10.96.0.2:81")->flags, WEFT_DESTINATION_HTTP);
	assert_true(snapshot->service_count == 2);
	stage_until(control_is_ready(stage.control));
}

static void a_first_config_that_is_bad_is_refused(void **state)
{
	struct text why = {0};
	char expected[256];
	(void)state;
	stage_write("weft.yaml", bad);
	assert_int_equal(stage_try_to_open(&why), -EINVAL);
	snprintf(expected, sizeof(expected), "%s:3: worker: unknown key; did you mean workers?\n",
		 stage.config);
	assert_string_equal(why.data, expected);
	assert_int_equal(kernel_double_destination_count(), 0);
	assert_null(snapshot_current(stage.slot));
	text_fini(&why);
}

static void a_change_of_the_file_is_taken(void **state)
{
	(void)state;
	stage_open(one);
	stage_write("weft.yaml", two); /* replaced by rename */
	stage_until(stage_generation() == 2);
	assert_int_equal(kernel_double_destination_count(), 2);
	stage_write_in_place("weft.yaml", one);
	stage_until(stage_generation() == 3);
	assert_int_equal(kernel_double_destination_count(), 1);
}

static void a_file_that_is_removed_and_written_anew_is_taken(void **state)
{
	(void)state;
	stage_open(one);
	stage_remove("weft.yaml");
	cJSON *json = NULL;
	for (uint64_t end_ns = stage_clock_ns() + DEADLINE_NS;;) {
		json = stage_config_json();
		if (cJSON_GetArraySize(cJSON_GetObjectItem(json, "errors")) == 1)
			break;
		cJSON_Delete(json);
		stage_turn(end_ns, "the missing file is an error");
	}
	assert_non_null(
		strstr(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "errors"), 0)->valuestring,
		       "weft.yaml: cannot be read: No such file or directory"));
	cJSON_Delete(json);
	assert_int_equal(stage_generation(), 1);
	stage_write_in_place("weft.yaml", two);
	stage_until(stage_generation() == 2);
}

/* As the kubelet does it: file -> ..data/file, ..data -> a folder by time. */
static void a_swap_of_a_link_on_the_way_is_taken(void **state)
{
	(void)state;
	stage_folder("..2026_1");
	stage_write("..2026_1/weft.yaml", one);
	stage_link("..2026_1", "..data");
	stage_link("..data/weft.yaml", "weft.yaml");
	struct text why = {0};
	assert_int_equal(stage_try_to_open(&why), 0);
	for (uint64_t generation = 2; generation < 6; generation++) {
		char folder[32];
		char file[64];
		snprintf(folder, sizeof(folder), "..2026_%u", (unsigned)generation);
		snprintf(file, sizeof(file), "%s/weft.yaml", folder);
		stage_folder(folder);
		stage_write(file, generation % 2 ? one : two);
		stage_link(folder, "..data");
		stage_until(stage_generation() == generation);
		assert_int_equal(snapshot_current(stage.slot)->service_count,
				 generation % 2 ? 1 : 2);
	}
}

static void a_link_to_another_folder_by_an_absolute_path_is_followed(void **state)
{
	char target[128];
	(void)state;
	stage_folder("elsewhere");
	stage_folder("elsewhere/deep");
	stage_write("elsewhere/deep/c.yaml", one);
	snprintf(target, sizeof(target), "%s/elsewhere/./deep/../deep//c.yaml", stage.folder);
	stage_link(target, "weft.yaml");
	struct text why = {0};
	assert_int_equal(stage_try_to_open(&why), 0);
	stage_write("elsewhere/deep/c.yaml", two);
	stage_until(stage_generation() == 2);
	/* a folder on the way is replaced */
	assert_int_equal(rename(stage_path("elsewhere/deep"), stage_path("elsewhere/old")), 0);
	stage_folder("other");
	stage_write("other/c.yaml", one);
	assert_int_equal(rename(stage_path("other"), stage_path("elsewhere/deep")), 0);
	stage_until(stage_generation() == 3);
	stage_write("elsewhere/deep/c.yaml", two);
	stage_until(stage_generation() == 4);
}

static void changes_that_come_together_are_one(void **state)
{
	(void)state;
	stage_open(one);
	io_turn(stage.ring, 0); /* the ring's time is that of its last turn */
	for (unsigned i = 0; i < 20; i++) {
		stage_write("weft.yaml", i % 2 ? one : two);
		control_reload(stage.control);
	}
	stage_write("weft.yaml", two);
	stage_until(stage_generation() == 2);
	stage_turn_for(200000000);
	assert_int_equal(stage_generation(), 2);
	assert_int_equal(snapshot_current(stage.slot)->service_count, 2);
}

static void other_files_of_the_folder_are_not_looked_at(void **state)
{
	(void)state;
	stage_open(one);
	stage_turn_for(100000000); /* the file's own events of before */
	uint64_t generation = stage_generation();
	stage_write("weft.yaml.bak", two);
	stage_write("other", two);
	stage_turn_for(200000000);
	assert_int_equal(stage_generation(), generation);
}

static void a_signal_reads_the_file_again(void **state)
{
	(void)state;
	stage_open(one);
	const struct service *before =
		snapshot_service_named(snapshot_current(stage.slot), span_text("web"));
	control_reload(stage.control);
	stage_until(stage_generation() == 2);
	assert_ptr_equal(snapshot_service_named(snapshot_current(stage.slot), span_text("web")),
			 before); /* shared */
}

static void a_bad_file_changes_nothing_and_says_why(void **state)
{
	(void)state;
	stage_open(one);
	const struct snapshot *before = snapshot_current(stage.slot);
	stage_write("weft.yaml", bad);
	control_reload(stage.control);
	stage_turn_for(150000000);
	assert_ptr_equal(snapshot_current(stage.slot), before);
	assert_int_equal(kernel_double_destination_count(), 1);

	cJSON *json = stage_config_json();
	cJSON *errors = cJSON_GetObjectItem(json, "errors");
	assert_int_equal(cJSON_GetArraySize(errors), 1);
	assert_non_null(strstr(cJSON_GetArrayItem(errors, 0)->valuestring,
			       "weft.yaml:3: worker: unknown key; did you mean workers?"));
	assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "failed_at")));
	assert_int_equal(cJSON_GetObjectItem(json, "generation")->valueint, 1);
	cJSON_Delete(json);

	stage_write("weft.yaml", two);
	stage_until(stage_generation() == 2);
	json = stage_config_json();
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "errors")), 0);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "failed_at")));
	cJSON_Delete(json);
}

/* A full disk leaves one, and so does an editor for a moment. */
static void a_file_that_is_empty_changes_nothing(void **state)
{
	(void)state;
	stage_open(one);
	stage_write_in_place("weft.yaml", "");
	stage_turn_for(150000000);
	assert_int_equal(stage_generation(), 1);
	assert_int_equal(kernel_double_destination_count(), 1);
	cJSON *json = stage_config_json();
	const cJSON *errors = cJSON_GetObjectItem(json, "errors");
	assert_non_null(strstr(cJSON_GetArrayItem(errors, 0)->valuestring, "weft.yaml: is empty"));
	cJSON_Delete(json);
	stage_write_in_place("weft.yaml", "{}");
	stage_until(stage_generation() == 2);
	assert_int_equal(kernel_double_destination_count(), 0);
}

static void the_config_is_shown_with_all_its_settings(void **state)
{
	(void)state;
	stage_open("timeouts: {connect: 250ms}\nhttp: {via: true}\nlimits: {window: 131072}\n");
	cJSON *json = stage_config_json();
	const cJSON *settings = cJSON_GetObjectItem(json, "settings");
	assert_string_equal(cJSON_GetObjectItem(json, "path")->valuestring, stage.config);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "watched")));
	assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "loaded_at")));
	const cJSON *timeouts = cJSON_GetObjectItem(settings, "timeouts");
	assert_string_equal(cJSON_GetObjectItem(timeouts, "connect")->valuestring, "250ms");
	assert_string_equal(cJSON_GetObjectItem(timeouts, "drain")->valuestring, "30s");
	assert_true(
		cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(settings, "http"), "via")));
	assert_string_equal(
		cJSON_GetObjectItem(cJSON_GetObjectItem(settings, "limits"), "window")->valuestring,
		"128KiB");
	assert_int_equal(cJSON_GetObjectItem(settings, "workers")->valueint, 0);
	cJSON_Delete(json);
}

/* ---- the kernel's map in step with the snapshot ---- */

struct onlooker {
	atomic_int step;
	const struct snapshot *first;
	bool gone_was_there;
	bool new_was_there;
	bool kept_was_there;
};

/* While this thread has not let the old snapshot go, control waits inside the publication: what is
 * gone must have left the map by then, what is new must not be in it. */
static void *look_on(void *argument)
{
	struct onlooker *onlooker = argument;
	snapshot_reader_register();
	onlooker->first = snapshot_current(stage.slot);
	atomic_store(&onlooker->step, 1);
	while (snapshot_current(stage.slot) == onlooker->first)
		sched_yield();
	onlooker->gone_was_there = destination_of("10.96.0.1:80") != NULL;
	onlooker->kept_was_there = destination_of("10.96.0.2:80") != NULL;
	onlooker->new_was_there = destination_of("10.96.0.3:80") != NULL;
	snapshot_reader_unregister();
	return NULL;
}

static void what_is_gone_leaves_the_map_first_and_what_is_new_enters_it_last(void **state)
{
	struct onlooker onlooker = {0};
	pthread_t thread;
	(void)state;
	stage_open(two);
	assert_int_equal(pthread_create(&thread, NULL, look_on, &onlooker), 0);
	while (atomic_load(&onlooker.step) == 0)
		sched_yield();
	stage_write("weft.yaml",
		    "services:\n"
		    "- {name: api, addresses: [10.96.0.2], ports: [80]}\n"
		    "- {name: new, addresses: [10.96.0.3], ports: [80]}\n");
	stage_until(stage_generation() == 2);
	pthread_join(thread, NULL);
	assert_false(onlooker.gone_was_there);
	assert_true(onlooker.kept_was_there);
	assert_false(onlooker.new_was_there);
	assert_non_null(destination_of("10.96.0.3:80"));
}

static void an_address_that_moves_is_never_out_of_the_map(void **state)
{
	(void)state;
	stage_open(one);
	uint32_t web = destination_of("10.96.0.1:80")->service_id;
	stage_write("weft.yaml", "services: [{name: api, addresses: [10.96.0.1], ports: [80]}]\n");
	stage_until(stage_generation() == 2);
	const struct weft_destination *row = destination_of("10.96.0.1:80");
	assert_string_equal(row->name, "api");
	assert_int_not_equal(row->service_id, web);
	assert_int_equal(row->flags, 0); /* no endpoint: connect() is refused */
}

static void endpoints_that_come_and_go_change_only_the_flag(void **state)
{
	(void)state;
	stage_open(one);
	uint32_t id = destination_of("10.96.0.1:80")->service_id;
	stage_write("weft.yaml",
		    "services: [{name: web, addresses: [10.96.0.1], ports: [80], "
		    "endpoints: [{address: \"10.0.0.1:80\", weight: 0}]}]\n");
	stage_until(stage_generation() == 2);
	assert_int_equal(destination_of("10.96.0.1:80")->flags, 0);
	assert_int_equal(destination_of("10.96.0.1:80")->service_id, id);
	stage_write("weft.yaml", one);
	stage_until(stage_generation() == 3);
	assert_int_equal(destination_of("10.96.0.1:80")->flags, WEFT_DESTINATION_READY);
}

static void rows_that_could_not_be_written_are_written_later(void **state)
{
	(void)state;
	stage_open(one);
	kernel_double_fail_put(-E2BIG);
	stage_write("weft.yaml", two);
	stage_until(stage_generation() == 2);
	assert_null(destination_of("10.96.0.2:80"));
	kernel_double_fail_put(0);
	stage_until(destination_of("10.96.0.2:80") != NULL);
}

static void names_of_a_weftd_before_keep_their_ids_and_the_rest_goes(void **state)
{
	static const struct weft_destination web = {.service_id = 77, .name = "web"};
	static const struct weft_destination old = {.service_id = 5, .name = "old"};
	struct weft_address address = address_of("10.96.0.1:80");
	(void)state;
	assert_int_equal(kernel_destination_put(stage.kernel, &address, &web), 0);
	address = address_of("10.96.0.1:8080");
	assert_int_equal(kernel_destination_put(stage.kernel, &address, &web), 0);
	address = address_of("10.96.9.9:80");
	assert_int_equal(kernel_destination_put(stage.kernel, &address, &old), 0);
	stage_open(two);
	assert_int_equal(kernel_double_destination_count(), 2);
	assert_int_equal(destination_of("10.96.0.1:80")->service_id, 77);
	assert_int_equal(destination_of("10.96.0.1:80")->flags, WEFT_DESTINATION_READY);
	assert_int_not_equal(destination_of("10.96.0.2:80")->service_id, 5);
	assert_null(destination_of("10.96.9.9:80"));
	stage_close();
	stage_open(two);
	assert_int_equal(destination_of("10.96.0.1:80")->service_id, 77);
}

static void what_main_published_is_replaced(void **state)
{
	struct text why = {0};
	struct snapshot *first;
	(void)state;
	stage_write("weft.yaml", one);
	assert_int_equal(config_read(stage.config, &why, &first), 0);
	snapshot_publish(stage.slot, first);
	stage_open(one);
	assert_int_equal(stage_generation(), 2);
	assert_int_not_equal(snapshot_current(stage.slot)->services[0]->series, SERIES_OVERFLOW);
}

static void any_allocation_may_fail_while_control_opens(void **state)
{
	struct text why = {0};
	int error = -ENOMEM;
	unsigned long n = 0;
	(void)state;
	stage_open("pods: [{name: a, netns: @/a}]\nservices:\n" WEB);
	stage_close();
	while (error) {
		mem_fail_nth(++n);
		error = stage_try_to_open(&why);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		text_clear(&why);
		if (n < 40 && error == 0) { /* what failed could be done without */
			stage_close();
			error = -ENOMEM;
		}
	}
	stage_until(control_is_ready(stage.control));
	text_fini(&why);
}

static void any_allocation_may_fail_while_it_reloads(void **state)
{
	(void)state;
	stage_open(one);
	for (unsigned long n = 1; n < 45; n++) {
		stage_write("weft.yaml", n % 2 ? two : one);
		mem_fail_nth(n);
		control_reload(stage.control);
		stage_turn_for(60000000);
		mem_fail_nth(0);
		assert_in_range(kernel_double_destination_count(), 1, 2);
		assert_int_equal(snapshot_current(stage.slot)->service_count,
				 kernel_double_destination_count());
	}
}

static void ask_once_more(struct source *source, const struct snapshot *snapshot)
{
	(void)source;
	if (snapshot->service_count == 2 && snapshot->generation == 3)
		control_sources_changed(stage.control);
}

static void a_source_may_ask_for_the_next_build_while_it_is_told_of_one(void **state)
{
	struct source source = {.built = ask_once_more};
	(void)state;
	stage_open(one);
	control_source_add(stage.control, &source);
	control_sources_changed(stage.control);
	stage_until(stage_generation() == 2);
	stage_write("weft.yaml", two);
	stage_until(stage_generation() == 4);
	control_source_remove(stage.control, &source);
}

static struct source churned;

static uint64_t builds_of_a_churn(uint64_t for_ns)
{
	uint64_t before = stage_generation();
	uint64_t end_ns = stage_clock_ns() + for_ns;
	while (stage_clock_ns() < end_ns) {
		control_sources_churn(stage.control);
		io_turn(stage.ring, TURN_NS);
	}
	return stage_generation() - before;
}

/* The ring's time is that of its last turn. */
static void is_built_within(void (*changed)(struct control *control), uint64_t ns)
{
	uint64_t before = stage_generation();
	io_turn(stage.ring, 0);
	uint64_t end_ns = stage_clock_ns() + ns;
	changed(stage.control);
	while (stage_generation() == before)
		stage_turn(end_ns, "built in time");
}

static void what_a_cluster_changes_is_built_at_once_and_ever_more_seldom(void **state)
{
	(void)state;
	stage_open(one);
	control_source_add(stage.control, &churned);
	stage_turn_for(500000000);
	is_built_within(control_sources_churn, 45000000); /* less than what coalesces others */
	assert_in_range(builds_of_a_churn(1000000000), 4, 12);
	stage_turn_for(500000000);
	is_built_within(control_sources_churn, 45000000);
	control_source_remove(stage.control, &churned);
}

static void what_does_harm_waits_for_no_rest(void **state)
{
	(void)state;
	stage_open(one);
	control_source_add(stage.control, &churned);
	for (unsigned i = 0; i < 3; i++) {
		(void)builds_of_a_churn(600000000);
		stage_until(stage_generation() > 1);
		uint64_t before = stage_generation();
		while (stage_generation() == before) { /* a rest of 200 ms has begun */
			control_sources_churn(stage.control);
			io_turn(stage.ring, TURN_NS);
		}
		is_built_within(control_sources_harm, 100000000);
	}
	control_source_remove(stage.control, &churned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(a_config_is_published_with_series_and_destinations),
		stage_test(a_first_config_that_is_bad_is_refused),
		stage_test(a_change_of_the_file_is_taken),
		stage_test(a_file_that_is_removed_and_written_anew_is_taken),
		stage_test(a_swap_of_a_link_on_the_way_is_taken),
		stage_test(a_link_to_another_folder_by_an_absolute_path_is_followed),
		stage_test(changes_that_come_together_are_one),
		stage_test(other_files_of_the_folder_are_not_looked_at),
		stage_test(a_signal_reads_the_file_again),
		stage_test(a_bad_file_changes_nothing_and_says_why),
		stage_test(a_file_that_is_empty_changes_nothing),
		stage_test(the_config_is_shown_with_all_its_settings),
		stage_test(what_is_gone_leaves_the_map_first_and_what_is_new_enters_it_last),
		stage_test(an_address_that_moves_is_never_out_of_the_map),
		stage_test(endpoints_that_come_and_go_change_only_the_flag),
		stage_test(rows_that_could_not_be_written_are_written_later),
		stage_test(names_of_a_weftd_before_keep_their_ids_and_the_rest_goes),
		stage_test(what_main_published_is_replaced),
		stage_test(a_source_may_ask_for_the_next_build_while_it_is_told_of_one),
		stage_test(what_a_cluster_changes_is_built_at_once_and_ever_more_seldom),
		stage_test(what_does_harm_waits_for_no_rest),
		stage_test(any_allocation_may_fail_while_control_opens),
		stage_test(any_allocation_may_fail_while_it_reloads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
