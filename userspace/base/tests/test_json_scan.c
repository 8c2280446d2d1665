#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/json_scan.h"

/* Whether `text` is one whole value when it comes in two pieces, cut at `cut`. */
static bool is_json_cut(const char *text, size_t cut)
{
	struct json_scan scan;
	size_t size = strlen(text);
	struct span pieces[] = {span_of(text, cut), span_of(text + cut, size - cut),
				span_of("\n", 1)};
	json_scan_init(&scan, JSON_DEPTH_MAX);
	for (size_t i = 0; i < array_count(pieces); i++) {
		enum json_event event;
		while ((event = json_scan_next(&scan, &pieces[i])) != JSON_MORE) {
			if (event == JSON_BAD)
				return false;
		}
		assert_int_equal(pieces[i].size, 0);
	}
	return json_scan_is_over(&scan);
}

static bool is_json(const char *text)
{
	bool whole = is_json_cut(text, 0);
	for (size_t cut = 1; cut <= strlen(text); cut++)
		assert_int_equal(is_json_cut(text, cut), whole);
	return whole;
}

static void values_are_known(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" [ ] ",
		"null",
		"true",
		"false",
		"0",
		"-0",
		"12",
		"-1.5e+10",
		"0.5E-3",
		"1e5",
		"\"\"",
		"\"a\\\"b\\\\\\u00e9\\n\"",
		"\"caf\303\251 \377\"",
		"{\"a\":1}",
		"{\"a\" : {\"b\":[1,2,{\"c\":null}]} , \"d\":\"e\"}",
		"[[],{},\"\",0,[[[]]]]",
		"{\"a\":1,\"a\":2}",
	};
	(void)state;
	for (size_t i = 0; i < array_count(good); i++) {
		if (!is_json(good[i]))
			fail_msg("refused: %s", good[i]);
	}
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"}",
		"]",
		"[1,]",
		"{\"a\":1,}",
		"{\"a\"}",
		"{\"a\":}",
		"{a:1}",
		"{1:2}",
		"[1 2]",
		"[,1]",
		"{,}",
		"nul",
		"nulll",
		"True",
		"+1",
		"01",
		"-",
		"1.",
		".5",
		"1e",
		"1e+",
		"0x1",
		"\"a",
		"\"\\x\"",
		"\"\\u12g4\"",
		"\"a\nb\"",
		"'a'",
		"[}",
		"{]",
		"{} {}",
		"1 2",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"[1}",
		"NaN",
		"--1",
		"1-",
		"{\"a\":1]",
		"[\"\\",
		"\"\\\"",
		"//",
		"\xef\xbb\xbf{}",
	};
	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		if (is_json(bad[i]))
			fail_msg("taken: %s", bad[i]);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	static const char *const texts[] = {"\0{}", "{\0}", "[\"\0\"]", "[\"\\\0\"]"};
	static const size_t sizes[] = {3, 3, 5, 6};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct json_scan scan;
		struct span bytes = span_of(texts[i], sizes[i]);
		enum json_event event;
		json_scan_init(&scan, 0);
		while ((event = json_scan_next(&scan, &bytes)) != JSON_MORE && event != JSON_BAD)
			continue;
		assert_int_equal(event, JSON_BAD);
	}
}

static void nesting_has_a_limit(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	(void)state;
	for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		assert_int_equal(is_json(text), depth == JSON_DEPTH_MAX);
	}
}

/* Objects and arrays are kept apart at every depth. */
static void deep_brackets_have_to_match(void **state)
{
	(void)state;
	assert_true(is_json("[{\"a\":[{\"b\":[[{}]]}]}]"));
	assert_false(is_json("[{\"a\":[{\"b\":[[{]]}]}]}]"));
	assert_false(is_json("[{\"a\":[{\"b\":[[}]]}]}]"));
	assert_false(is_json("[{\"a\":[{\"b\":[[]}}]}]"));
}

static void events_come_down_to_the_told_depth(void **state)
{
	static const char text[] = " {\"a\":[1,{\"x\":2}] ,\"b\":true} ";
	static const char *const wanted[] = {"BE", "BkKBEkKBEE", "BkKBBEBEEkKBEE"};
	(void)state;
	for (unsigned depth = 0; depth < array_count(wanted); depth++) {
		struct json_scan scan;
		struct span bytes = span_text(text);
		char told[32] = "";
		enum json_event event;
		json_scan_init(&scan, depth);
		for (size_t i = 0; (event = json_scan_next(&scan, &bytes)) != JSON_MORE; i++)
			told[i] = "?kKBE!"[event];
		assert_string_equal(told, wanted[depth]);
	}
}

struct look_up {
	const char *object;
	const char *key;
	const char *value; /* NULL: not found */
};

static void a_member_is_found_by_its_name(void **state)
{
	static const struct look_up cases[] = {
		{"{\"a\":1,\"b\":{\"a\":2}}", "a", "1"},
		{"{\"a\":1,\"b\":{\"a\":2}}", "b", "{\"a\":2}"},
		{" { \"a\" : [ 1 , 2 ] , \"b\" : -3.5 } ", "a", "[ 1 , 2 ]"},
		{" { \"a\" : [ 1 , 2 ] , \"b\" : -3.5 } ", "b", "-3.5"},
		{"{\"a\":\"x\\\"y\"}", "a", "\"x\\\"y\""},
		{"{\"a\":1,\"a\":2}", "a", "2"},
		{"{\"b\":{\"a\":1}}", "a", NULL},
		{"{\"b\":\"a\"}", "a", NULL},
		{"{}", "a", NULL},
		{"{\"\":null}", "", "null"},
		{"{\"ab\":1}", "a", NULL},
		{"{\"\\u0061\":1}", "a", NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct span value;
		int error = json_member(span_text(cases[i].object), cases[i].key, &value);
		assert_int_equal(error, cases[i].value ? 0 : -ENOENT);
		if (cases[i].value && !span_is(value, cases[i].value))
			fail_msg("case %zu: %.*s", i, SPAN_PRINT(value));
	}
}

static void an_element_is_found_by_its_index(void **state)
{
	struct span array = span_text("[ {\"a\":[7]} , \"b\",3 ]");
	struct span value;
	(void)state;
	assert_int_equal(json_element(array, 0, &value), 0);
	assert_true(span_is(value, "{\"a\":[7]}"));
	assert_int_equal(json_element(array, 1, &value), 0);
	assert_true(span_is(value, "\"b\""));
	assert_int_equal(json_element(array, 2, &value), 0);
	assert_true(span_is(value, "3"));
	assert_int_equal(json_element(array, 3, &value), -ENOENT);
	assert_int_equal(json_element(span_text("[]"), 0, &value), -ENOENT);
}

static void a_look_up_refuses_what_is_not_whole(void **state)
{
	static const char *const bad[] = {
		"",           "[1]",   "{\"a\":1", "{\"a\":1}}", "{\"a\":1} x",
		"{\"a\":1,}", "\"a\"", "null",     "{a:1}",      "{\"a\":}",
	};
	struct span value;
	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		if (json_member(span_text(bad[i]), "a", &value) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(json_element(span_text("{\"a\":1}"), 0, &value), -EINVAL);
	assert_int_equal(json_element(span_text("[1,2"), 0, &value), -EINVAL);
}

static void only_a_string_without_escapes_is_plain(void **state)
{
	struct span text;
	(void)state;
	assert_true(json_plain_string(span_text("\"10.0.0.1/24\""), &text));
	assert_true(span_is(text, "10.0.0.1/24"));
	assert_true(json_plain_string(span_text("\"\""), &text));
	assert_int_equal(text.size, 0);
	assert_false(json_plain_string(span_text("\"a\\n\""), &text));
	assert_false(json_plain_string(span_text("12"), &text));
	assert_false(json_plain_string(span_text("\""), &text));
	assert_false(json_plain_string(span_text(""), &text));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_known),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(deep_brackets_have_to_match),
		cmocka_unit_test(events_come_down_to_the_told_depth),
		cmocka_unit_test(a_member_is_found_by_its_name),
		cmocka_unit_test(an_element_is_found_by_its_index),
		cmocka_unit_test(a_look_up_refuses_what_is_not_whole),
		cmocka_unit_test(only_a_string_without_escapes_is_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
