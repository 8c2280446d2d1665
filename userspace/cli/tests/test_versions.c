/* Which version each node runs: told, compared, shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/versions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct check_line judged(struct node_version *nodes, size_t count)
{
	const struct versions versions = {.nodes = nodes, .count = count};
	struct check_line line = {.result = CHECK_FAIL};
	versions_judge(&versions, &line);
	return line;
}

static void an_answer_is_a_version_or_says_why_not(void **state)
{
	static const struct {
		unsigned status;
		const char *body, *node, *version, *error;
	} cases[] = {
		{200, "{\"version\":\"0.1.0\",\"node\":\"n1\"}", "n1", "0.1.0", ""},
		{200, "{\"version\":\"0.1.0\"}", "", "0.1.0", ""},
		{404, "no such page\n", "", "", "too old to say"},
		{200, "<html>", "", "", "no answer of weftd's (status 200)"},
		{200, "{\"version\":7}", "", "", "no answer of weftd's (status 200)"},
		{502, "", "", "", "no answer of weftd's (status 502)"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct node_version node = {0};
		versions_read(&node, cases[i].status, span_text(cases[i].body));
		assert_string_equal(node.node, cases[i].node);
		assert_string_equal(node.version, cases[i].version);
		assert_string_equal(node.error, cases[i].error);
	}
}

static void one_version_everywhere_is_fine(void **state)
{
	struct node_version nodes[] = {{.node = "n1", .version = "0.1.0"},
				       {.node = "n2", .version = "0.1.0"}};
	(void)state;
	struct check_line line = judged(nodes, COUNT(nodes));
	assert_int_equal(line.result, CHECK_OK);
	assert_string_equal(line.found, "0.1.0 on all 2 nodes");
	assert_string_equal(line.advice, "");
}

static void who_differs_from_most_is_named(void **state)
{
	struct node_version nodes[] = {{.node = "n1", .version = "0.2.0"},
				       {.node = "n2", .version = "0.1.0"},
				       {.address = "10.0.0.3", .version = "0.3.0"},
				       {.node = "n4", .version = "0.1.0"}};
	(void)state;
	struct check_line line = judged(nodes, COUNT(nodes));
	assert_int_equal(line.result, CHECK_WARN);
	assert_string_equal(line.found, "0.1.0 on 2 of 4 nodes; n1 has 0.2.0, 10.0.0.3 has 0.3.0");
	assert_non_null(strstr(line.advice, "kubectl rollout status"));
}

static void who_does_not_answer_is_named(void **state)
{
	struct node_version nodes[] = {{.node = "n1", .version = "0.1.0"},
				       {.address = "10.0.0.3", .error = "Connection refused"}};
	(void)state;
	struct check_line line = judged(nodes, COUNT(nodes));
	assert_int_equal(line.result, CHECK_WARN);
	assert_string_equal(line.found, "0.1.0 on 1 of 2 nodes; 10.0.0.3: Connection refused");
	assert_non_null(strstr(line.advice, "kubectl get pods"));
	line = judged(&nodes[1], 1);
	assert_string_equal(line.found, "unknown on 0 of 1 nodes; 10.0.0.3: Connection refused");
}

static void every_node_is_shown(void **state)
{
	struct node_version nodes[] = {{.address = "10.0.0.2", .node = "n1", .version = "0.1.0"},
				       {.address = "10.0.0.3", .error = "Connection refused"}};
	const struct versions versions = {.nodes = nodes, .count = COUNT(nodes)};
	struct text text = {0};
	(void)state;
	versions_print(&versions, &text);
	assert_string_equal(text.data,
			    "\nNODE  ADDRESS   VERSION\n"
			    "n1    10.0.0.2  0.1.0\n"
			    "-     10.0.0.3  Connection refused\n");
	text_clear(&text);
	versions_json(&versions, &text);
	assert_string_equal(
		text.data,
		",\"nodes\":[{\"node\":\"n1\",\"address\":\"10.0.0.2\",\"version\":\"0.1.0\","
		"\"error\":\"\"},{\"node\":\"\",\"address\":\"10.0.0.3\",\"version\":\"\","
		"\"error\":\"Connection refused\"}]");
	text_fini(&text);
}

static void a_name_without_a_port_is_refused(void **state)
{
	struct versions versions;
	struct text why = {0};
	(void)state;
	assert_int_not_equal(versions_ask("weft", &versions, &why), 0);
	assert_string_equal(why.data, "weft is no NAME:PORT");
	versions_fini(&versions);
	text_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_a_version_or_says_why_not),
		cmocka_unit_test(one_version_everywhere_is_fine),
		cmocka_unit_test(who_differs_from_most_is_named),
		cmocka_unit_test(who_does_not_answer_is_named),
		cmocka_unit_test(every_node_is_shown),
		cmocka_unit_test(a_name_without_a_port_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
