#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "base/text.h"
#include "policy/route_rewrite.h"
#include "policy/tests/notation.h"

static struct rewriter *rewriter;

static int make_rewriter(void **state)
{
	(void)state;
	rewriter = rewriter_new();
	return rewriter ? 0 : -1;
}

static int free_rewriter(void **state)
{
	(void)state;
	rewriter_free(rewriter);
	return 0;
}

static struct route_match prefix_match(const char *prefix)
{
	return (struct route_match){.path_type = ROUTE_PATH_PREFIX, .path = span_text(prefix)};
}

static void a_prefix_is_replaced_by_the_gateway_apis_table(void **state)
{
	static const struct {
		const char *target, *prefix, *value, *expected;
	} rows[] = {
		{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
		{"/foo", "/foo", "/xyz", "/xyz"},
		{"/foo/", "/foo", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "", "/bar"},
		{"/foo/", "/foo", "", "/"},
		{"/foo", "/foo", "", "/"},
		{"/foo/", "/foo", "/", "/"},
		{"/foo", "/foo", "/", "/"},
		{"/foo/bar?a=b?c", "/foo", "/x", "/x/bar?a=b?c"},
		{"/foo?", "/foo", "/x", "/x?"},
		{"/bar", "", "/x", "/x/bar"},
		{"/", "", "/x", "/x/"},
		{"//%66oo/./bar", "/foo", "/x", "/x/bar"},
		{"http://h:1/foo/bar", "/foo", "/x", "http://h:1/x/bar"},
		{"*", "", "/x", "*"},
		{"h:443", "", "/x", "h:443"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct route_match match = prefix_match(rows[i].prefix);
		struct route_filters filters = {
			.rewrite.path = {ROUTE_PATH_REPLACE_PREFIX, span_text(rows[i].value)}};
		struct rewrite_request how = {.match = &match, .rule = &filters};
		struct rewritten got;
		struct http_head head = {.is_request = true, .target = span_text(rows[i].target)};
		assert_int_equal(rewrite_request(rewriter, &how, &head, &got), 0);
		if (!span_is(got.head.target, rows[i].expected))
			fail_msg("%s: %.*s", rows[i].target, SPAN_PRINT(got.head.target));
	}
}

static void a_full_path_and_consumed_segments(void **state)
{
	static const struct {
		const char *target;
		const char *full;
		uint32_t consumed;
		const char *expected;
	} rows[] = {
		{"/a/b?c", "/x", 0, "/x?c"}, {"/", "/x", 0, "/x"},
		{"/a/b/c", NULL, 1, "/b/c"}, {"/a/b/c/?q", NULL, 2, "/c/?q"},
		{"/a", NULL, 1, "/"},        {"/a/", NULL, 1, "/"},
		{"/a?q", NULL, 1, "/?q"},    {"//a//b/", NULL, 1, "/b/"},
		{"/a/b", "/x", 1, "/x"},     {"http://h/a/b", NULL, 1, "http://h/b"},
		{"/a/b", NULL, 0, "/a/b"},   {"//a", NULL, 0, "//a"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct route_filters filters = {0};
		if (rows[i].full)
			filters.rewrite.path = (struct route_path_change){ROUTE_PATH_FULL,
									  span_text(rows[i].full)};
		struct rewrite_request how = {.rule = &filters, .consumed = rows[i].consumed};
		struct rewritten got;
		struct http_head head = {.is_request = true, .target = span_text(rows[i].target)};
		assert_int_equal(rewrite_request(rewriter, &how, &head, &got), 0);
		if (!span_is(got.head.target, rows[i].expected))
			fail_msg("%s: %.*s", rows[i].target, SPAN_PRINT(got.head.target));
	}
}

/* "name=value" of all fields, those put there after a "|". */
static void print_fields(const struct rewritten *got, struct text *text)
{
	text_clear(text);
	for (uint16_t i = 0; i < got->head.field_count; i++)
		text_printf(text, "%.*s=%.*s ", SPAN_PRINT(got->head.fields[i].name),
			    SPAN_PRINT(got->head.fields[i].value));
	text_add(text, span_text("|"));
	for (size_t i = 0; i < got->extra_count; i++)
		text_printf(text, " %.*s=%.*s", SPAN_PRINT(got->extra[i].name),
			    SPAN_PRINT(got->extra[i].value));
}

static const struct route_field set_x[] = {{{"x", 1}, {"new", 3}}};
static const struct route_field add_y[] = {{{"Y", 1}, {"more", 4}}};
static const struct route_field remove_z[] = {{{"z", 1}, {"", 0}}};
static const struct route_header_change change_xyz = {
	.set = {1, set_x}, .add = {1, add_y}, .remove = {1, remove_z}};
static const struct route_field set_y[] = {{{"y", 1}, {"own", 3}}};
static const struct route_header_change change_y = {.set = {1, set_y}};

static void headers_are_set_added_and_removed(void **state)
{
	static const struct {
		const char *request;
		bool has_backend;
		const char *expected;
	} rows[] = {
		{"GET h /", false, "Host=h | x=new Y=more"},
		{"GET h / h:X=old h:a=b h:x=older", false, "Host=h a=b | x=new Y=more"},
		{"GET h / h:y=old", false, "Host=h y=old | x=new Y=more"},
		{"GET h / h:Z=1 h:z=2 h:zz=3", false, "Host=h zz=3 | x=new Y=more"},
		{"GET h / h:y=old", true, "Host=h | x=new y=own"},
	};
	struct text text = {0};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct request request;
		struct rewritten got;
		struct route_filters rule = {.request = change_xyz, .response = change_xyz};
		struct route_filters backend = {.request = change_y, .response = change_y};
		struct rewrite_request how = {.rule = &rule};
		if (rows[i].has_backend)
			how.backend = &backend;
		request_read(&request, span_text(rows[i].request));
		assert_int_equal(rewrite_request(rewriter, &how, &request.head, &got), 0);
		print_fields(&got, &text);
		assert_string_equal(text.data, rows[i].expected);
		assert_int_equal(rewrite_answer(rewriter, &rule, how.backend, &request.head, &got),
				 0);
		print_fields(&got, &text);
		assert_string_equal(text.data, rows[i].expected);
	}
	text_fini(&text);
}

static void one_more_field_comes_with_an_answer(void **state)
{
	static const struct http_field cookie = {{"Set-Cookie", 10}, {"a=b", 3}};
	struct route_filters rule = {.response = change_xyz};
	struct request request;
	struct rewritten got;
	struct text text = {0};
	(void)state;
	request_read(&request, span_text("GET h /"));
	assert_int_equal(rewrite_answer(rewriter, &rule, NULL, &request.head, &got), 0);
	assert_int_equal(rewritten_add(rewriter, &got, cookie), 0);
	print_fields(&got, &text);
	assert_string_equal(text.data, "Host=h | x=new Y=more Set-Cookie=a=b");
	text_fini(&text);
}

static void fields_are_added_to_a_head_as_it_came(void **state)
{
	const struct http_field cookie = {span_text("Set-Cookie"), span_text("a=b")};
	const struct http_field verdict = {span_text("l5d-success-class"), span_text("1.0")};
	struct request request;
	struct text text = {0};
	(void)state;
	request_read(&request, span_text("GET h /"));
	struct rewritten got = {.head = request.head};
	assert_int_equal(rewritten_add(rewriter, &got, cookie), 0);
	assert_int_equal(rewritten_add(rewriter, &got, verdict), 0);
	print_fields(&got, &text);
	assert_string_equal(text.data, "Host=h | Set-Cookie=a=b l5d-success-class=1.0");
	text_fini(&text);
}

static void a_hostname_takes_hosts_place(void **state)
{
	static const char *const rows[][3] = {
		{"GET old:80 / h:a=b", "Host=new.com a=b |", "/"},
		{"GET - /", "| Host=new.com", "/"},
		{"GET old http://old:80/a?b", "Host=new.com |", "http://new.com/a?b"},
	};
	struct text text = {0};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct request request;
		struct rewritten got;
		struct route_filters rule = {.rewrite.hostname = span_text("new.com")};
		struct rewrite_request how = {.rule = &rule};
		request_read(&request, span_text(rows[i][0]));
		assert_int_equal(rewrite_request(rewriter, &how, &request.head, &got), 0);
		print_fields(&got, &text);
		assert_string_equal(text.data, rows[i][1]);
		assert_true(span_is(got.head.target, rows[i][2]));
	}
	text_fini(&text);
}

static void nothing_to_do_is_known(void **state)
{
	struct route_filters nothing = {0};
	struct route_filters redirects = {.redirect.is_set = true};
	struct route_filters answer = {.response = change_y};
	(void)state;
	assert_true(rewrite_request_keeps(&(struct rewrite_request){0}));
	assert_true(rewrite_request_keeps(
		&(struct rewrite_request){.rule = &nothing, .backend = &redirects}));
	assert_true(rewrite_request_keeps(&(struct rewrite_request){.rule = &answer}));
	assert_false(rewrite_request_keeps(&(struct rewrite_request){.consumed = 1}));
	assert_true(rewrite_answer_keeps(&nothing, NULL));
	assert_false(rewrite_answer_keeps(&nothing, &answer));
}

static void a_redirect_says_where_to_look(void **state)
{
	static const struct {
		struct route_redirect redirect;
		const char *request;
		uint16_t port;
		const char *location;
	} rows[] = {
		{{.hostname = {"new.com", 7}}, "GET old /a?b", 80, "http://new.com/a?b"},
		{{.hostname = {"new.com", 7}}, "GET old /a", 8080, "http://new.com:8080/a"},
		{{.scheme = {"https", 5}}, "GET old.com:8080 /a", 8080, "https://old.com/a"},
		{{.scheme = {"http", 4}}, "GET old.com /a", 8080, "http://old.com/a"},
		{{.scheme = {"https", 5}, .port = 443}, "GET o /", 80, "https://o/"},
		{{.scheme = {"https", 5}, .port = 8443}, "GET o /", 80, "https://o:8443/"},
		{{.port = 80}, "GET o:8080 /", 8080, "http://o/"},
		{{.port = 8081}, "GET o /", 80, "http://o:8081/"},
		{{.path = {ROUTE_PATH_FULL, {"/x", 2}}}, "GET o /a/b?c", 80, "http://o/x?c"},
		{{.path = {ROUTE_PATH_REPLACE_PREFIX, {"/x", 2}}},
		 "GET o /foo/b",
		 80,
		 "http://o/x/b"},
		{{.path = {ROUTE_PATH_REPLACE_PREFIX, {"", 0}}}, "GET o /foo", 80, "http://o/"},
		{{.port = 8081}, "GET [::1]:80 /", 80, "http://[::1]:8081/"},
		{{.port = 8081}, "GET x http://o:1/a", 80, "http://o:8081/a"},
		{{.port = 8081}, "OPTIONS o *", 80, "http://o:8081/"},
		{{.port = 8081}, "GET - //evil.com/a", 80, "/evil.com/a"},
	};
	struct route_match match = prefix_match("/foo");
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct request request;
		struct span location;
		request_read(&request, span_text(rows[i].request));
		assert_int_equal(rewrite_location(rewriter, &rows[i].redirect, &match,
						  &request.head, rows[i].port, &location),
				 0);
		if (!span_is(location, rows[i].location))
			fail_msg("%zu: %.*s", i, SPAN_PRINT(location));
	}
}

static void any_allocation_may_fail(void **state)
{
	struct request request;
	struct rewritten got;
	struct span location;
	struct route_match match = prefix_match("/foo");
	struct route_filters rule = {.request = change_xyz,
				     .rewrite = {{"new", 3}, {ROUTE_PATH_REPLACE_PREFIX, {"", 0}}}};
	struct route_redirect redirect = {.path = {ROUTE_PATH_FULL, {"/x", 2}}};
	struct rewrite_request how = {.match = &match, .rule = &rule};
	long live = mem_live();
	int error = -ENOMEM;
	(void)state;
	request_read(&request, span_text("GET h //foo/bar h:x=1"));
	for (unsigned long n = 1; error; n++) {
		mem_fail_nth(n);
		struct rewriter *own = rewriter_new();
		error = own ? rewrite_request(own, &how, &request.head, &got) : -ENOMEM;
		if (!error)
			error = rewrite_location(own, &redirect, &match, &request.head, 80,
						 &location);
		mem_fail_nth(0);
		assert_true(!error || error == -ENOMEM);
		if (own && error)
			assert_int_equal(rewrite_request(own, &how, &request.head, &got), 0);
		rewriter_free(own);
		assert_int_equal(mem_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_replaced_by_the_gateway_apis_table),
		cmocka_unit_test(a_full_path_and_consumed_segments),
		cmocka_unit_test(headers_are_set_added_and_removed),
		cmocka_unit_test(one_more_field_comes_with_an_answer),
		cmocka_unit_test(fields_are_added_to_a_head_as_it_came),
		cmocka_unit_test(a_hostname_takes_hosts_place),
		cmocka_unit_test(nothing_to_do_is_known),
		cmocka_unit_test(a_redirect_says_where_to_look),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, make_rewriter, free_rewriter);
}
