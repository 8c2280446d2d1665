#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/route.h"

static struct admin_verdict route(enum http_method method, const char *target, bool may_change)
{
	struct http_head head = {
		.is_request = true, .method = (uint8_t)method, .target = span_text(target)};
	return admin_route(&head, may_change);
}

static void every_path_has_its_page(void **state)
{
	(void)state;
	static const struct {
		const char *target;
		enum admin_page page;
	} cases[] = {{"/metrics", PAGE_METRICS},
		     {"/metrics?name=x", PAGE_METRICS},
		     {"/live", PAGE_LIVE},
		     {"/ready", PAGE_READY},
		     {"/stat.json", PAGE_STAT},
		     {"/services.json", PAGE_SERVICES},
		     {"/routes.json", PAGE_ROUTES},
		     {"/pods.json", PAGE_PODS},
		     {"/connections.json", PAGE_CONNECTIONS},
		     {"/edges.json", PAGE_EDGES},
		     {"/config.json", PAGE_CONFIG},
		     {"/", PAGE_INDEX},
		     {"http://node:9990/metrics", PAGE_METRICS},
		     {"http://node:9990/metrics?a=/b", PAGE_METRICS},
		     {"http://node:9990", PAGE_INDEX}};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct admin_verdict verdict = route(HTTP_METHOD_GET, cases[i].target, false);
		assert_int_equal(verdict.page, cases[i].page);
		assert_int_equal(verdict.status, 200);
		assert_int_equal(route(HTTP_METHOD_HEAD, cases[i].target, false).page,
				 cases[i].page);
	}
}

static void unknown_paths_are_404(void **state)
{
	(void)state;
	static const char *const targets[] = {"/metrics/", "/Metrics",       "metrics",  "*", "",
					      "//metrics", "/a://b/metrics", "http:///x"};
	for (size_t i = 0; i < array_count(targets); i++)
		assert_int_equal(route(HTTP_METHOD_GET, targets[i], true).status, 404);
}

static void reading_paths_take_only_get_and_head(void **state)
{
	(void)state;
	static const enum http_method methods[] = {HTTP_METHOD_POST, HTTP_METHOD_PUT,
						   HTTP_METHOD_DELETE, HTTP_METHOD_OPTIONS,
						   HTTP_METHOD_OTHER};
	for (size_t i = 0; i < array_count(methods); i++) {
		struct admin_verdict verdict = route(methods[i], "/metrics", true);
		assert_int_equal(verdict.page, PAGE_NONE);
		assert_int_equal(verdict.status, 405);
		assert_string_equal(verdict.allow, "GET, HEAD");
	}
}

static void what_changes_something_needs_the_unix_socket_and_post(void **state)
{
	(void)state;
	assert_int_equal(route(HTTP_METHOD_POST, "/drain", false).status, 403);
	assert_int_equal(route(HTTP_METHOD_GET, "/drain", false).status, 403);
	struct admin_verdict verdict = route(HTTP_METHOD_GET, "/drain", true);
	assert_int_equal(verdict.status, 405);
	assert_string_equal(verdict.allow, "POST");
	assert_int_equal(route(HTTP_METHOD_POST, "/drain", true).page, PAGE_DRAIN);
	assert_int_equal(route(HTTP_METHOD_POST, "/pods", false).status, 403);
	assert_int_equal(route(HTTP_METHOD_GET, "/pods", true).status, 405);
	assert_int_equal(route(HTTP_METHOD_POST, "/pods", true).page, PAGE_POD_ADD);
}

static void edges_and_connections_may_be_those_of_one_pod(void **state)
{
	(void)state;
	static const struct {
		const char *target;
		const char *pod;
	} cases[] = {{"/edges.json", ""},
		     {"/edges.json?", ""},
		     {"/edges.json?pod", ""},
		     {"/edges.json?pod=", ""},
		     {"/edges.json?pod=run-7", "run-7"},
		     {"/connections.json", ""},
		     {"/connections.json?pod=run-7", "run-7"},
		     {"/edges.json?a=b&pod=shop/web&c=d", "shop/web"},
		     {"/edges.json?xpod=a&pods=b", ""},
		     {"http://node/edges.json?pod=x", "x"}};
	for (size_t i = 0; i < array_count(cases); i++)
		assert_string_equal(route(HTTP_METHOD_GET, cases[i].target, false).pod,
				    cases[i].pod);
}

static void the_list_names_every_path(void **state)
{
	(void)state;
	struct text text = {0};
	admin_paths(&text);
	assert_non_null(strstr(text.data, "/metrics "));
	assert_non_null(strstr(text.data, "/drain "));
	text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_path_has_its_page),
		cmocka_unit_test(unknown_paths_are_404),
		cmocka_unit_test(reading_paths_take_only_get_and_head),
		cmocka_unit_test(what_changes_something_needs_the_unix_socket_and_post),
		cmocka_unit_test(edges_and_connections_may_be_those_of_one_pod),
		cmocka_unit_test(the_list_names_every_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
