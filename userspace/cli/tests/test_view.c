#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/view.h"

static void names_tell_their_namespace(void **state)
{
	static const struct {
		const char *name, *namespace;
		bool is_in;
	} cases[] = {
		{"/svc/shop/web/80", "shop", true},
		{"/svc/shop/web/80", "sho", false},
		{"/svc/shop/web/80", "web", false},
		{"shop/web-1", "shop", true},
		{"shop", "shop", false},
		{"10.0.0.1:80", "shop", false},
		{"/svc/shop/web/80", NULL, true},
		{"", "shop", false},
		{"/svc/shopping/a/80", "shop", false},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		assert_int_equal(view_is_in(cases[i].name, cases[i].namespace), cases[i].is_in);
}

static void kept(const char *text, const char *namespace, const char *expected)
{
	cJSON *json = cJSON_Parse(text);
	assert_non_null(json);
	view_keep(json, namespace);
	char *printed = cJSON_PrintUnformatted(json);
	assert_string_equal(printed, expected);
	cJSON_free(printed);
	cJSON_Delete(json);
}

static void lists_keep_what_is_in_the_namespace(void **state)
{
	(void)state;
	kept("{\"a\":1,\"services\":[{\"name\":\"/svc/a/x/1\"},{\"name\":\"/svc/b/x/1\"},{}]}", "b",
	     "{\"a\":1,\"services\":[{\"name\":\"/svc/b/x/1\"}]}");
	kept("[{\"source\":\"a/p\",\"destination\":\"/svc/b/x/1\"},{\"source\":\"c/p\"}]", "b",
	     "[{\"source\":\"a/p\",\"destination\":\"/svc/b/x/1\"}]");
	kept("{\"connections\":[{\"pod\":\"a/p\",\"service\":\"10.0.0.1:1\"},{\"pod\":\"c/p\"}]}",
	     "a", "{\"connections\":[{\"pod\":\"a/p\",\"service\":\"10.0.0.1:1\"}]}");
	kept("{\"pods\":[{\"name\":\"a/p\"}]}", NULL, "{\"pods\":[{\"name\":\"a/p\"}]}");
	kept("{\"pods\":[{\"name\":\"a/p\"}]}", "b", "{\"pods\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_tell_their_namespace),
		cmocka_unit_test(lists_keep_what_is_in_the_namespace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
