#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/route_path.h"

static void the_normal_form_is_what_a_server_may_take_a_path_for(void **state)
{
	static const struct {
		const char *path;
		const char *normal;
	} cases[] = {
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"//", "/"},
		{"//a", "/a"},
		{"/a//b", "/a/b"},
		{"/a///", "/a/"},
		{"/.", "/"},
		{"/..", "/"},
		{"/a/.", "/a/"},
		{"/a/./b", "/a/b"},
		{"/a/..", "/"},
		{"/a/../b", "/b"},
		{"/a/b/../../c", "/c"},
		{"/../../etc/passwd", "/etc/passwd"},
		{"/a/..b", "/a/..b"},
		{"/.a", "/.a"},
		{"/%61", "/a"},
		{"/%7euser", "/~user"},
		{"/%2e%2e/admin", "/admin"},
		{"/a/%2E%2e/b", "/b"},
		{"/a%2fb", "/a%2Fb"},
		{"/a%2Fb", "/a%2Fb"},
		{"/%25%32%35", "/%2525"},
		{"/%", "/%"},
		{"/%4", "/%4"},
		{"/%zz", "/%zz"},
		{"/%e4", "/%E4"},
		{"/A", "/A"},
		{"/%41", "/A"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		char memory[64];
		struct span path = span_text(cases[i].path);
		struct span normal = route_path_normalise(path, memory);
		if (!span_is(normal, cases[i].normal))
			fail_msg("%s: %.*s", cases[i].path, SPAN_PRINT(normal));
		if (route_path_is_normal(path))
			assert_true(span_equal(path, normal));
		char again[64];
		assert_true(span_equal(route_path_normalise(normal, again), normal));
	}
}

static void a_target_is_split_by_its_form(void **state)
{
	static const struct {
		const char *target, *authority, *path, *query;
	} cases[] = {
		{"/a?b=c?d", "", "/a", "b=c?d"},
		{"/a", "", "/a", ""},
		{"/?", "", "/", ""},
		{"http://h:80/a?b", "h:80", "/a", "b"},
		{"http://h", "h", "/", ""},
		{"http://h?q", "h", "/", "q"},
		{"HTTPS://h/x", "h", "/x", ""},
		{"*", "", "", ""},
		{"h:443", "", "", ""},
		{"/http://h", "", "/http://h", ""},
		{"", "", "", ""},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct route_target parts = route_target_split(span_text(cases[i].target));
		assert_true(span_is(parts.authority, cases[i].authority));
		assert_true(span_is(parts.path, cases[i].path));
		assert_true(span_is(parts.query, cases[i].query));
		assert_int_equal(parts.has_query, strchr(cases[i].target, '?') != NULL);
	}
}

static void a_host_stands_without_port_user_and_brackets(void **state)
{
	static const char *const cases[][2] = {
		{"a.com", "a.com"}, {"a.com:80", "a.com"}, {"a.com.", "a.com"}, {"[::1]:80", "::1"},
		{"[::1]", "::1"},   {"[::1", ""},          {"u:p@h:1", "h"},    {"", ""},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		assert_true(span_is(route_host_of(span_text(cases[i][0])), cases[i][1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_normal_form_is_what_a_server_may_take_a_path_for),
		cmocka_unit_test(a_target_is_split_by_its_form),
		cmocka_unit_test(a_host_stands_without_port_user_and_brackets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
