#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "cni/conflist.h"

#define OURS "{\"type\":\"weft-cni\",\"socket\":\"/s\"}"

static void assert_inserted(const char *config, const char *expected)
{
	struct text text = {0};
	assert_int_equal(conflist_insert(span_text(config), span_text(OURS), &text), 0);
	assert_string_equal(text.data, expected);
	text_fini(&text);
}

static void assert_removed(const char *config, const char *expected)
{
	struct text text = {0};
	assert_int_equal(conflist_remove(span_text(config), &text), 0);
	assert_string_equal(text.data, expected);
	text_fini(&text);
}

static const char *const lists[] = {
	"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"bridge\"}]}",
	"{\n  \"plugins\" : [ {\"type\":\"a\"} ,\n {\"type\":\"b\", \"x\": [1.50, \"\\u0041\"]}\n  "
	"],"
	"\n  \"name\": \"n\", \"cniVersion\": \"0.3.1\", \"later\": {\"y\": null}\n}\n",
};

static void it_comes_last_and_everything_else_keeps_its_bytes(void **state)
{
	(void)state;
	assert_inserted(lists[0],
			"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":"
			"\"bridge\"},\n    " OURS "]}");
	assert_inserted(lists[1],
			"{\n  \"plugins\" : [ {\"type\":\"a\"} ,\n {\"type\":\"b\", "
			"\"x\": [1.50, \"\\u0041\"]},\n    " OURS
			"\n  ],\n  \"name\": \"n\", \"cniVersion\": \"0.3.1\", "
			"\"later\": {\"y\": null}\n}\n");
}

static void in_and_out_again_leaves_the_text_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(lists); i++) {
		struct text text = {0};
		assert_int_equal(conflist_insert(span_text(lists[i]), span_text(OURS), &text), 0);
		assert_true(conflist_has_ours(text_span(&text)));
		assert_removed(text.data, lists[i]);
		text_fini(&text);
	}
}

static void twice_is_once(void **state)
{
	struct text once = {0};
	(void)state;
	assert_int_equal(conflist_insert(span_text(lists[1]), span_text(OURS), &once), 0);
	assert_inserted(once.data, once.data);
	text_fini(&once);
}

static void another_of_our_type_is_replaced(void **state)
{
	(void)state;
	assert_inserted(
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}, "
		"{\"type\":\"weft-cni\",\"old\":1},{\"type\":\"b\"}]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},"
		"{\"type\":\"b\"},\n    " OURS "]}");
}

static void it_is_taken_out_wherever_it_stands(void **state)
{
	(void)state;
	assert_removed("{\"plugins\":[ " OURS " , {\"type\":\"a\"},{\"type\":\"b\"} ]}",
		       "{\"plugins\":[ {\"type\":\"a\"},{\"type\":\"b\"} ]}");
	assert_removed("{\"plugins\":[{\"type\":\"a\"},\n" OURS ",\n" OURS ",{\"type\":\"b\"}]}",
		       "{\"plugins\":[{\"type\":\"a\"},{\"type\":\"b\"}]}");
	assert_removed("{\"plugins\":[{\"type\":\"a\"}]}", "{\"plugins\":[{\"type\":\"a\"}]}");
}

static void a_single_configuration_becomes_a_list(void **state)
{
	(void)state;
	assert_inserted(
		"{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"bridge\",\"x\":1}",
		"{\n  \"cniVersion\": \"0.4.0\",\n  \"name\": \"n\",\n  \"plugins\": [\n    "
		"{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"bridge\",\"x\":1},\n"
		"    " OURS "\n  ]\n}\n");
}

static void what_no_runtime_would_use_is_refused(void **state)
{
	static const struct {
		const char *config;
		int error;
	} cases[] = {
		{"", -EINVAL},
		{"[]", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\"}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":[]}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":{}}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":[" OURS "]}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"type\":\"a\"}", -EINVAL},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"weft-cni\"}", -EINVAL},
		{"{\"cniVersion\":\"0.2.0\",\"plugins\":[{\"type\":\"a\"}]}", -ENOTSUP},
		{"{\"plugins\":[{\"type\":\"a\"}]}", -ENOTSUP},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct text text = {0};
		assert_int_equal(
			conflist_insert(span_text(cases[i].config), span_text(OURS), &text),
			cases[i].error);
		assert_null(text.data);
	}
}

static void a_list_is_never_left_empty(void **state)
{
	struct text text = {0};
	(void)state;
	assert_int_equal(conflist_remove(span_text("{\"plugins\":[" OURS "]}"), &text), -EINVAL);
	assert_int_equal(conflist_remove(span_text("{\"type\":\"weft-cni\"}"), &text), -EINVAL);
	assert_null(text.data);
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 10; n++) {
		struct text text = {0};
		long live = mem_live();
		mem_fail_nth(n);
		int error = conflist_insert(span_text(lists[1]), span_text(OURS), &text);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		text_fini(&text);
		assert_int_equal(mem_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_last_and_everything_else_keeps_its_bytes),
		cmocka_unit_test(in_and_out_again_leaves_the_text_as_it_was),
		cmocka_unit_test(twice_is_once),
		cmocka_unit_test(another_of_our_type_is_replaced),
		cmocka_unit_test(it_is_taken_out_wherever_it_stands),
		cmocka_unit_test(a_single_configuration_becomes_a_list),
		cmocka_unit_test(what_no_runtime_would_use_is_refused),
		cmocka_unit_test(a_list_is_never_left_empty),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
