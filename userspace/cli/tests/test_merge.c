#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <cjson/cJSON.h>

#include "cli/json_view.h"
#include "cli/merge.h"

static const struct merge_places places = {
	.cgroup = "/cg/weft-run-7",
	.pin_dir = "/bpf/weft-run-7",
	.socket = "/run/weft-run-7/weftd.sock",
	.cgroup_root = "/cg",
};

static const char *const own_services =
	"admin: {address: \"\", socket: \"/run/weft-run-7/weftd.sock\"}\n"
	"bpf: {pin_dir: \"/bpf/weft-run-7\", cgroup_root: \"/cg\"}\n"
	"pods: [{name: run, cgroup: \"/cg/weft-run-7\", capture: services}]\n";
static const char *const own_settings = "log: {level: warn}\ntimeouts: {drain: 2s}\n";

struct merged {
	struct text config;
	struct text why;
	struct merge_notes notes;
	int error;
};

static struct merged merge(const char *user)
{
	struct merged merged = {0};
	merged.error =
		merge_user(span_text(user), &places, &merged.config, &merged.notes, &merged.why);
	return merged;
}

static void merged_fini(struct merged *merged)
{
	text_fini(&merged->config);
	text_fini(&merged->why);
}

static void without_a_file_everything_is_captured(void **state)
{
	(void)state;
	struct text config = {0};
	merge_default(&places, &config);
	assert_non_null(strstr(config.data, "cgroup: \"/cg/weft-run-7\", capture: all}]\n"));
	assert_non_null(strstr(config.data, "address: \"\""));
	text_fini(&config);
}

struct yaml_case {
	const char *name;
	const char *user;
	const char *kept; /* what must come before weft's own lines */
};

static void pods_bpf_and_admin_are_replaced_and_lines_keep_their_numbers(void **state)
{
	(void)state;
	static const struct yaml_case cases[] = {
		{"services only", "services:\n  - name: web\n", "services:\n  - name: web\n"},
		{"no newline at the end", "services: []", "services: []\n"},
		{"pods in the middle",
		 "workers: 1\npods:\n  - name: a\n    netns: /x\n\n# next\nservices: []\n",
		 "workers: 1\n\n\n\n\n\nservices: []\n"},
		{"list at the margin", "pods:\n- name: a\n  netns: /x\nservices:\n- name: web\n",
		 "\n\n\nservices:\n- name: web\n"},
		{"flow over several lines", "admin: {\n  address: \"\"\n}\nworkers: 2\n",
		 "\n\n\nworkers: 2\n"},
		{"quoted keys", "\"bpf\": {pin_dir: /x}\n'workers': 3\n", "\n'workers': 3\n"},
		{"document markers", "---\nadmin: {address: \"\"}\n---x: 1\n", "---\n\n---x: 1\n"},
		{"end of the document", "services: []\n...\n", "services: []\n\n"},
		{"only a comment", "# nothing\n", "# nothing\n"},
		{"empty", "", ""},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct merged merged = merge(cases[i].user);
		struct text expected = {0};
		text_printf(&expected, "%s%s%s", cases[i].kept, own_settings, own_services);
		if (merged.error || strcmp(merged.config.data, expected.data))
			fail_msg("%s: %d\n%s", cases[i].name, merged.error,
				 merged.config.data ? merged.config.data : "");
		text_fini(&expected);
		merged_fini(&merged);
	}
}

static void a_users_log_and_timeouts_stay(void **state)
{
	(void)state;
	struct merged merged = merge("log: {level: debug}\ntimeouts: {drain: 9s}\npods: []\n");
	assert_int_equal(merged.error, 0);
	assert_null(strstr(merged.config.data, "level: warn"));
	assert_null(strstr(merged.config.data, "drain: 2s"));
	assert_true(merged.notes.had_pods);
	merged_fini(&merged);
}

static void a_file_whose_keys_cannot_be_told_apart_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"workers 1\n", "? pods\n: []\n", "\"pods: 1\n",
					    "*alias : 1\n"};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct merged merged = merge(cases[i]);
		assert_int_equal(merged.error, -EINVAL);
		assert_non_null(strstr(merged.why.data, "line 1"));
		merged_fini(&merged);
	}
}

static void a_json_file_is_merged_as_json(void **state)
{
	(void)state;
	struct merged merged =
		merge(" {\"workers\":2,\"pods\":[{\"name\":\"a\"}],"
		      "\"services\":[{\"name\":\"web\"}],\"log\":{\"level\":\"info\"}}");
	assert_int_equal(merged.error, 0);
	assert_true(merged.notes.had_pods);
	cJSON *json = cJSON_Parse(merged.config.data);
	assert_non_null(json);
	const cJSON *pods = view_item(json, "pods");
	assert_int_equal(cJSON_GetArraySize(pods), 1);
	assert_string_equal(view_text(pods->child, "name"), "run");
	assert_string_equal(view_text(pods->child, "cgroup"), "/cg/weft-run-7");
	assert_string_equal(view_text(pods->child, "capture"), "services");
	assert_string_equal(view_text(view_item(json, "bpf"), "pin_dir"), "/bpf/weft-run-7");
	assert_string_equal(view_text(view_item(json, "admin"), "address"), "");
	assert_string_equal(view_text(view_item(json, "log"), "level"), "info");
	assert_string_equal(view_text(view_item(json, "services")->child, "name"), "web");
	assert_int_equal(view_number(json, "workers"), 2);
	cJSON_Delete(json);
	merged_fini(&merged);
}

static void broken_json_is_refused(void **state)
{
	(void)state;
	struct merged merged = merge("{\"workers\":");
	assert_int_equal(merged.error, -EINVAL);
	merged_fini(&merged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_everything_is_captured),
		cmocka_unit_test(pods_bpf_and_admin_are_replaced_and_lines_keep_their_numbers),
		cmocka_unit_test(a_users_log_and_timeouts_stay),
		cmocka_unit_test(a_file_whose_keys_cannot_be_told_apart_is_refused),
		cmocka_unit_test(a_json_file_is_merged_as_json),
		cmocka_unit_test(broken_json_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
