#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/message.h"

static void find_gives_the_first_field_of_that_name_in_any_case(void **state)
{
	static const struct http_field fields[] = {
		{{"Host", 4}, {"a", 1}},
		{{"accept", 6}, {"b", 1}},
		{{"Accept", 6}, {"c", 1}},
	};
	const struct http_head head = {.fields = fields, .field_count = array_count(fields)};
	(void)state;
	assert_ptr_equal(http_find(&head, "ACCEPT"), &fields[1]);
	assert_ptr_equal(http_find(&head, "host"), &fields[0]);
	assert_null(http_find(&head, "hos"));
	assert_null(http_find(&head, "hosts"));
}

static void only_methods_that_can_be_repeated_are_idempotent(void **state)
{
	static const struct {
		enum http_method method;
		const char *text;
		bool is_idempotent;
	} methods[] = {
		{HTTP_METHOD_GET, "GET", true},         {HTTP_METHOD_HEAD, "HEAD", true},
		{HTTP_METHOD_PUT, "PUT", true},         {HTTP_METHOD_DELETE, "DELETE", true},
		{HTTP_METHOD_OPTIONS, "OPTIONS", true}, {HTTP_METHOD_TRACE, "TRACE", true},
		{HTTP_METHOD_POST, "POST", false},      {HTTP_METHOD_CONNECT, "CONNECT", false},
		{HTTP_METHOD_OTHER, "PATCH", false},    {HTTP_METHOD_OTHER, "PROPFIND", true},
		{HTTP_METHOD_OTHER, "MOVE", false},     {HTTP_METHOD_OTHER, "propfind", false},
		{HTTP_METHOD_OTHER, "get", false},      {HTTP_METHOD_OTHER, "X-ANY", false},
	};
	(void)state;
	for (size_t i = 0; i < array_count(methods); i++) {
		const struct http_head head = {
			.is_request = true,
			.method = (uint8_t)methods[i].method,
			.method_text = span_text(methods[i].text),
		};
		if (http_is_idempotent(&head) != methods[i].is_idempotent)
			fail_msg("%s", methods[i].text);
	}
}

static void a_list_has_its_elements_whole_and_in_any_case(void **state)
{
	(void)state;
	assert_true(http_list_has(span_text("close"), "close"));
	assert_true(http_list_has(span_text("a, \tCLOSE\t,b"), "close"));
	assert_true(http_list_has(span_text(",,close,"), "close"));
	assert_false(http_list_has(span_text("closed, not-close, clo se"), "close"));
	assert_false(http_list_has(span_text(""), "close"));
	assert_false(http_list_has(span_of(NULL, 0), "close"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(find_gives_the_first_field_of_that_name_in_any_case),
		cmocka_unit_test(only_methods_that_can_be_repeated_are_idempotent),
		cmocka_unit_test(a_list_has_its_elements_whole_and_in_any_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
