#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"

static void a_text_grows_and_stays_terminated(void **state)
{
	struct text text = {0};
	(void)state;
	assert_int_equal(text_span(&text).size, 0);
	assert_non_null(text_span(&text).data);
	for (int i = 0; i < 1000; i++)
		text_printf(&text, "%d,", i % 10);
	assert_int_equal(text.size, 2000);
	assert_int_equal(strlen(text.data), 2000);
	assert_memory_equal(text.data + 1990, "5,6,7,8,9,", 10);
	text_add(&text, span_of("a\0b", 3));
	assert_int_equal(text.size, 2003);
	assert_memory_equal(text.data + 2000, "a\0b", 4);
	assert_false(text.failed);
	text_fini(&text);
	assert_int_equal(mem_live(), 0);
}

static void clear_keeps_the_memory(void **state)
{
	struct text text = {0};
	(void)state;
	text_add(&text, span_text("abc"));
	const char *data = text.data;
	text_clear(&text);
	assert_int_equal(text.size, 0);
	assert_string_equal(text.data, "");
	text_add(&text, span_text("d"));
	assert_ptr_equal(text.data, data);
	assert_string_equal(text.data, "d");
	text_fini(&text);
}

static void after_a_failed_allocation_appends_do_nothing(void **state)
{
	struct text text = {0};
	char large[1000];
	(void)state;
	memset(large, 'x', sizeof(large));
	text_add(&text, span_text("abc"));
	mem_fail_nth(1);
	text_add(&text, span_of(large, sizeof(large)));
	assert_true(text.failed);
	assert_string_equal(text.data, "abc");
	text_add(&text, span_text("d"));
	text_printf(&text, "%d", 1);
	assert_string_equal(text.data, "abc");
	/* From the beginning all is well again. */
	text_clear(&text);
	text_add(&text, span_text("d"));
	assert_false(text.failed);
	assert_string_equal(text.data, "d");
	text_fini(&text);
}

static void json_strings_are_escaped_and_always_utf_8(void **state)
{
	static const struct {
		struct span bytes;
		const char *json;
	} strings[] = {
		{{"", 0}, "\"\""},
		{{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
		{{"\n\t\r\x01\x1f", 5}, "\"\\n\\t\\u000d\\u0001\\u001f\""},
		{{"a\0b", 3}, "\"a\\u0000b\""},
		{{"\x7f", 1}, "\"\x7f\""},
		{{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9},
		 "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{{"\xff", 1}, "\"\xef\xbf\xbd\""},
		{{"\xc3", 1}, "\"\xef\xbf\xbd\""},                 /* cut */
		{{"\xc0\xaf", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* overlong */
		{{"\xe0\x80\xaf", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
		{{"\xf4\x90\x80\x80", 4},
		 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* above U+10FFFF */
		{{"\xe2\x82x", 3}, "\"\xef\xbf\xbd\xef\xbf\xbdx\""},
	};
	(void)state;
	for (size_t i = 0; i < array_count(strings); i++) {
		struct text text = {0};
		text_json_string(&text, strings[i].bytes);
		assert_string_equal(text.data, strings[i].json);
		text_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_grows_and_stays_terminated),
		cmocka_unit_test(clear_keeps_the_memory),
		cmocka_unit_test(after_a_failed_allocation_appends_do_nothing),
		cmocka_unit_test(json_strings_are_escaped_and_always_utf_8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
