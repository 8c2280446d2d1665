#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "policy/tests/notation.h"

/* "route/rule" that takes the request, "-" for none. */
static void expect(const char *routes, const char *service, const char *line, const char *expected)
{
	struct notation notation;
	struct request request;
	struct route_choice choice = {0};
	char got[64] = "-";
	notation_init(&notation, routes);
	if (!notation.snapshot)
		fail_msg("%s: %s", routes, notation.fault);
	const struct service *of = snapshot_service_named(notation.snapshot, span_text(service));
	request_read(&request, span_text(line));
	int error = route_find(notation.snapshot->routes,
			       snapshot_route_scope(notation.snapshot, of->id), &request.head,
			       notation.matcher, &choice);
	if (!error)
		snprintf(got, sizeof(got), "%.*s/%u", SPAN_PRINT(choice.route->name),
			 choice.rule->number);
	if (strcmp(got, expected) != 0)
		fail_msg("%s\n%s\ntaken by %s, not by %s", routes, line, got, expected);
	notation_fini(&notation);
}

struct row {
	const char *routes;
	const char *request;
	const char *expected;
};

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(rows[i].routes, "web", rows[i].request, rows[i].expected);
}

static void the_most_specific_match_takes_the_request(void **state)
{
	static const struct row rows[] = {
		/* exact before all others */
		{"a; /match/exact\nb; =/match/exact", "GET h /match/exact", "b/0"},
		{"a; =/m; /m", "GET h /m", "a/0"},
		{"a; /m; =/m", "GET h /m", "a/1"},
		{"a; =/m\nb; ~/m", "GET h /m", "a/0"},
		{"a; ~/m\nb; =/m", "GET h /m", "b/0"},
		{"a; /m GET h:x=1 h:y=2 q:a=b\nb; =/m", "GET h /m?a=b h:x=1 h:y=2", "b/0"},
		/* a regular expression before prefixes, the longest first */
		{"a; /m/n\nb; ~/m.*", "GET h /m/n", "b/0"},
		{"a; ~/m.*\nb; ~/m/[a-z]+", "GET h /m/n", "b/0"},
		{"a; ~/m/[a-z]+\nb; ~/m.*", "GET h /m/1", "b/0"},
		/* the longest prefix */
		{"a; /m\nb; /m/n", "GET h /m/n/o", "b/0"},
		{"a; /m/n\nb; /m", "GET h /m/n/o", "a/0"},
		{"a; /m/n\nb; /m", "GET h /m/x", "b/0"},
		{"a; /\nb; /m", "GET h /m", "b/0"},
		{"a; /\nb; /m", "GET h /x", "a/0"},
		{"a; /long/prefix\nb; /long GET h:x=1", "GET h /long/prefix h:x=1", "a/0"},
		/* a method */
		{"a; /m\nb; /m GET", "GET h /m", "b/0"},
		{"a; /m\nb; /m GET", "POST h /m", "a/0"},
		{"a; /m h:x=1 h:y=2\nb; /m GET", "GET h /m h:x=1 h:y=2", "b/0"},
		{"a; GET, POST; PUT", "PUT h /", "a/1"},
		{"a; /m q:a=1\nb; /m GET", "GET h /m?a=1", "b/0"},
		/* most headers */
		{"a; /m h:x=1\nb; /m h:x=1 h:y=2", "GET h /m h:x=1 h:y=2", "b/0"},
		{"a; /m h:x=1\nb; /m h:x=1 h:y=2", "GET h /m h:x=1", "a/0"},
		{"a; /m q:a=1 q:b=2\nb; /m h:x=1", "GET h /m?a=1&b=2 h:x=1", "b/0"},
		{"a; GET h:x=1\nb; GET h:x=1 h:y=2", "GET h / h:x=1 h:y=2", "b/0"},
		/* most parameters */
		{"a; /m q:a=1\nb; /m q:a=1 q:b=2", "GET h /m?b=2&a=1", "b/0"},
		{"a; /m q:a=1\nb; /m q:a=1 q:b=2", "GET h /m?a=1", "a/0"},
		{"a; /m\nb; /m q:a=1", "GET h /m?a=1", "b/0"},
		/* older, then by name; those of the config first and as they stand */
		{"z age=5; /m\na age=7; /m", "GET h /m", "z/0"},
		{"a age=7; /m\nz age=5; /m", "GET h /m", "z/0"},
		{"b age=5; /m\na age=5; /m", "GET h /m", "a/0"},
		{"z; /m\na; /m", "GET h /m", "z/0"},
		{"a age=1; /m\nz; /m", "GET h /m", "z/0"},
		/* within a route, the first rule */
		{"a; /m; /m", "GET h /m", "a/0"},
		{"a; /x, /m h:x=1; /m h:y=1", "GET h /m h:x=1 h:y=1", "a/0"},
		{"a; /m h:y=1; /x, /m h:x=1", "GET h /m h:x=1 h:y=1", "a/0"},
		/* but a better match of a later rule or route goes first */
		{"a; /m; /m GET", "GET h /m", "a/1"},
		{"a; /; /m, /m/n GET", "POST h /m/n", "a/1"},
		/* the hostname goes before all that */
		{"a; =/m GET\nb host=h.com; /", "GET h.com /m", "b/0"},
		{"a host=*.com; =/m\nb host=h.com; /m", "GET h.com /m", "b/0"},
		{"a host=*.b.com; /m\nb host=*.com; =/m", "GET x.b.com /m", "a/0"},
		{"a host=*.com; =/m\nb host=*.b.com; /m", "GET x.b.com /m", "b/0"},
		{"a host=*.com; /m\nb; =/m", "GET x.com /m", "a/0"},
		{"a host=x.com host=*.com; /m\nb host=*.x.com; =/m", "GET x.com /m", "a/0"},
		/* and what the most specific hostname does not take, the next may */
		{"a host=h.com; /x\nb host=*.com; /m\nc; /", "GET h.com /m", "b/0"},
		{"a host=h.com; /x\nb host=*.com; /m\nc; /", "GET h.com /", "c/0"},
		{"a host=h.com; /m GET\nb; /m", "POST h.com /m", "b/0"},
		/* of which route the service is named makes no difference */
		{"a; /m/n\nb for=web; /m", "GET h /m/n", "a/0"},
		{"a; /m\nb for=web; /m/n", "GET h /m/n", "b/0"},
		{"a; /m\nb for=web; /m", "GET h /m", "a/0"},
		{"a for=web; /m\nb; /m", "GET h /m", "a/0"},
		{"a host=*.com; /m\nb for=web; =/m", "GET x.com /m", "a/0"},
	};
	(void)state;
	assert_true(array_count(rows) >= 40);
	expect_rows(rows, array_count(rows));
}

static void paths_match_whole_by_segments_or_by_expression(void **state)
{
	static const struct row rows[] = {
		{"a; =/abc", "GET h /abc", "a/0"},
		{"a; =/abc", "GET h /abc/", "-"},
		{"a; =/abc", "GET h /Abc", "-"},
		{"a; =/abc", "GET h /abcd", "-"},
		{"a; =/abc", "GET h /abc?x", "a/0"},
		{"a; =/", "GET h /", "a/0"},
		{"a; =/", "GET h /a", "-"},
		{"a; =/", "GET h http://h", "a/0"},
		{"a; /abc", "GET h /abc", "a/0"},
		{"a; /abc", "GET h /abc/", "a/0"},
		{"a; /abc", "GET h /abc/def", "a/0"},
		{"a; /abc", "GET h /abcd", "-"},
		{"a; /abc", "GET h /ab", "-"},
		{"a; /abc/", "GET h /abc", "a/0"},
		{"a; /abc/", "GET h /abc/x", "a/0"},
		{"a; /", "OPTIONS h *", "a/0"},
		{"a; /", "CONNECT h h:443", "a/0"},
		{"a; /x", "OPTIONS h *", "-"},
		{"a; =/abc", "GET h http://other/abc", "a/0"},
		/* however it is written, where a server may take it for the same */
		{"a; =/admin", "GET h //admin", "a/0"},
		{"a; =/admin", "GET h /x/../admin", "a/0"},
		{"a; =/admin", "GET h /%61dmin", "a/0"},
		{"a; /admin", "GET h /%2e/admin/x", "a/0"},
		{"a; /admin", "GET h /admin/../x", "-"},
		{"a; /a/b", "GET h /a%2Fb", "-"},
		{"a; =/a%2Fb", "GET h /a%2fb", "a/0"},
		/* expressions match the whole path */
		{"a; ~/v[0-9]+/.*", "GET h /v12/x", "a/0"},
		{"a; ~/v[0-9]+", "GET h /v12/x", "-"},
		{"a; ~v[0-9]+", "GET h /v12", "-"},
		{"a; ~/a|/b", "GET h /b", "a/0"},
		{"a; ~/a|/b", "GET h /bc", "-"},
	};
	(void)state;
	expect_rows(rows, array_count(rows));
}

static void hosts_match_without_port_and_case(void **state)
{
	static const struct row rows[] = {
		{"a host=h.com; /", "GET h.com /", "a/0"},
		{"a host=h.com; /", "GET H.Com /", "a/0"},
		{"a host=H.com; /", "GET h.com /", "a/0"},
		{"a host=h.com; /", "GET h.com:8080 /", "a/0"},
		{"a host=h.com; /", "GET h.com. /", "a/0"},
		{"a host=h.com; /", "GET x.h.com /", "-"},
		{"a host=h.com; /", "GET - /", "-"},
		{"a host=h.com; /", "GET other http://h.com/", "a/0"},
		{"a host=h.com; /", "GET h.com http://other/", "-"},
		{"a host=*.h.com; /", "GET x.h.com /", "a/0"},
		{"a host=*.h.com; /", "GET y.x.h.com:1 /", "a/0"},
		{"a host=*.h.com; /", "GET h.com /", "-"},
		{"a host=*.h.com; /", "GET .h.com /", "-"},
		{"a host=*.h.com; /", "GET xh.com /", "-"},
		{"a; /", "GET - /", "a/0"},
		{"a; /", "GET [::1]:80 /", "a/0"},
	};
	(void)state;
	expect_rows(rows, array_count(rows));
}

static void headers_and_parameters_match(void **state)
{
	static const struct row rows[] = {
		{"a; h:Version=two", "GET h / h:version=two", "a/0"},
		{"a; h:version=two", "GET h / h:version=Two", "-"},
		{"a; h:version=two", "GET h /", "-"},
		{"a; h:version=two h:VERSION=one", "GET h / h:version=two", "a/0"},
		{"a; h:x~[0-9]+", "GET h / h:x=12", "a/0"},
		{"a; h:x~[0-9]+", "GET h / h:x=12a", "-"},
		{"a; h:x=1,2", "GET h / h:x=1 h:x=2", "-"},
		{"a; h:x~1.*2", "GET h / h:x=1 h:y=0 h:x=2", "a/0"},
		{"a; h:x=1", "GET h / h:x=1 h:x=2", "-"},
		{"a; h:host=h", "GET h /", "a/0"},
		{"a; q:animal=whale", "GET h /?animal=whale", "a/0"},
		{"a; q:animal=whale", "GET h /?x&animal=whale&y", "a/0"},
		{"a; q:animal=whale", "GET h /?Animal=whale", "-"},
		{"a; q:animal=whale", "GET h /?animal=whales", "-"},
		{"a; q:animal=whale", "GET h /?animal=dog&animal=whale", "-"},
		{"a; q:animal=whale", "GET h /?%61nimal=%77hale", "a/0"},
		{"a; q:b~.*c", "GET h /?b=+%2B%20c", "a/0"},
		{"a; q:b~[a-z]*", "GET h /?b", "a/0"},
		{"a; q:b=", "GET h /?c", "-"},
		{"a; q:a=1 q:a=2", "GET h /?a=1", "a/0"},
		{"a; get", "GET h /", "-"},
		{"a; PURGE", "PURGE h /", "a/0"},
	};
	(void)state;
	expect_rows(rows, array_count(rows));
}

static void a_route_is_for_the_services_it_names(void **state)
{
	(void)state;
	expect("a for=web; /", "web", "GET h /", "a/0");
	expect("a for=web; /", "api", "GET h /", "-");
	expect("a for=web for=api; /", "api", "GET h /", "a/0");
	expect("a; /", "api", "GET h /", "a/0");
	expect("a for=nobody; /", "web", "GET h /", "-");
}

static void expect_fault(const char *routes, const char *fault)
{
	struct notation notation;
	long live = mem_live();
	notation_init(&notation, routes);
	assert_null(notation.snapshot);
	assert_string_equal(notation.fault, fault);
	notation_fini(&notation);
	assert_int_equal(mem_live(), live);
}

static void what_is_wrong_in_a_route_is_told(void **state)
{
	(void)state;
	expect_fault("a; ~/a(b",
		     "routes[].rules[].matches[].path.value: is no regular expression: "
		     "column 5: missing closing parenthesis");
	expect_fault("a; h:x~[",
		     "routes[].rules[].matches[].headers[]: is no regular expression: "
		     "column 2: missing terminating ] for character class");
	expect_fault("a; /a//b",
		     "routes[].rules[].matches[].path.value: \"/a//b\" is not in the "
		     "normal form in which paths are compared: /a/b");
	expect_fault("a; =x", "routes[].rules[].matches[].path.value: \"x\" does not begin with /");
	expect_fault("a; /x?y",
		     "routes[].rules[].matches[].path.value: \"/x?y\" has a blank, ? or #, "
		     "which no path has: /x?y");
	expect_fault("a; h:a:b=1",
		     "routes[].rules[].matches[].headers[]: \"a:b\" is no header's name");
	expect_fault("a host=*.*.com; /",
		     "routes[].hostnames[]: \"*.*.com\" is no host's name, "
		     "without port, or *. and one");
	expect_fault("a host=h:80; /",
		     "routes[].hostnames[]: \"h:80\" is no host's name, without "
		     "port, or *. and one");
	expect_fault("a; /\na; /", "routes[].name: \"a\" is the name of another route");
}

/* Catastrophic backtracking ends at the limit, and the request goes on to other rules. */
static void an_expression_that_costs_too_much_does_not_match(void **state)
{
	struct notation notation;
	struct request request;
	struct route_choice choice;
	(void)state;
	notation_init(&notation, "a; ~/(a+)+[bc]\nb; /");
	request_read(&request,
		     span_text("GET h /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_int_equal(
		route_find(notation.snapshot->routes, 0, &request.head, notation.matcher, &choice),
		0);
	assert_true(span_is(choice.route->name, "b"));
	assert_int_equal(route_matcher_limit_hits(notation.matcher), 1);
	notation_fini(&notation);
}

static bool note(void *owner, const struct route_choice *candidate, enum route_verdict verdict)
{
	char *text = owner;
	size_t size = strlen(text);
	snprintf(text + size, 400 - size, "%.*s/%u %s\n", SPAN_PRINT(candidate->route->name),
		 candidate->rule->number, route_verdict_name(verdict));
	return true;
}

static void an_explanation_tells_why_others_lost(void **state)
{
	struct notation notation;
	struct request request;
	char text[400] = "";
	(void)state;
	notation_init(&notation,
		      "a; /m; =/m POST; /n\nb host=h.com; /m h:x=1; /m/o\n"
		      "c host=x.com; /m\nd; /m GET q:a=b; /");
	request_read(&request, span_text("GET h.com /m"));
	assert_int_equal(route_explain(notation.snapshot->routes, 0, &request.head,
				       notation.matcher, note, text),
			 0);
	assert_string_equal(text,
			    "b/1 other path\nb/0 other header\na/1 other method\n"
			    "d/0 other query\na/0 wins\na/2 other path\n"
			    "d/1 holds, but ranks lower\nc/0 other host\n");
	notation_fini(&notation);
}

static void routes_are_shared_until_one_changes(void **state)
{
	struct notation first, second, third;
	(void)state;
	notation_init(&first, "a; /m > web*9 api");
	notation_init(&second, "");
	notation_route(&second, span_text("a; /m > web*9 api"));
	snapshot_free(second.snapshot);
	second.snapshot = NULL;
	assert_int_equal(notation_build(&second, first.snapshot), 0);
	assert_ptr_equal(second.snapshot->routes, first.snapshot->routes);
	notation_init(&third, "");
	notation_route(&third, span_text("a; /m > web*8 api"));
	snapshot_free(third.snapshot);
	third.snapshot = NULL;
	assert_int_equal(notation_build(&third, second.snapshot), 0);
	assert_ptr_not_equal(third.snapshot->routes, first.snapshot->routes);
	notation_fini(&first);
	assert_int_equal(second.snapshot->routes->route_count, 1);
	notation_fini(&second);
	notation_fini(&third);
}

/* A cluster's route that is wrong costs only itself. */
static void a_route_that_may_be_left_out_is(void **state)
{
	struct notation notation;
	(void)state;
	notation_init(&notation, "");
	snapshot_free(notation.snapshot);
	notation.snapshot = NULL;
	notation_route(&notation, span_text("good for=web; /a > web api"));
	notation_route(&notation, span_text("bad for=api age=3; /b; ~/c > web; /d//e"))
		->may_be_left_out = true;
	notation_route(&notation, span_text("last age=4 for=api; ~/f"))->may_be_left_out = true;
	assert_int_equal(notation_build(&notation, NULL), 0);
	const struct route_set *set = notation.snapshot->routes;
	assert_int_equal(set->route_count, 2);
	assert_true(span_is(set->routes[1].name, "last"));
	assert_int_equal(set->routes[1].number, 1);
	assert_int_equal(set->regex_count, 1);
	assert_int_equal(set->backend_count, 3);
	assert_int_equal(set->scope_count, 2);
	notation_fini(&notation);
}

static void any_allocation_may_fail(void **state)
{
	static const char routes[] =
		"a host=*.com for=web; ~/v[0-9] h:x~1.* q:a~b > web api*3\n"
		"b; /m\nc age=4; =/n GET";
	struct notation notation;
	struct request request;
	struct route_choice choice;
	(void)state;
	notation_init(&notation, routes);
	snapshot_free(notation.snapshot);
	route_matcher_free(notation.matcher);
	long live = mem_live();
	request_read(&request, span_text("GET a.com /.//v1?a=%62 h:x=1 h:x=2"));
	int error = -ENOMEM;
	for (unsigned long n = 1; error; n++) {
		notation.snapshot = NULL;
		mem_fail_nth(n);
		error = notation_build(&notation, NULL);
		notation.matcher = error ? NULL : route_matcher_new();
		if (!error && !notation.matcher)
			error = -ENOMEM;
		if (!error)
			error = route_find(notation.snapshot->routes, 1, &request.head,
					   notation.matcher, &choice);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		snapshot_free(notation.snapshot);
		route_matcher_free(notation.matcher);
		assert_int_equal(mem_live(), live);
	}
	notation.snapshot = NULL;
	notation.matcher = NULL;
	notation_fini(&notation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_specific_match_takes_the_request),
		cmocka_unit_test(paths_match_whole_by_segments_or_by_expression),
		cmocka_unit_test(hosts_match_without_port_and_case),
		cmocka_unit_test(headers_and_parameters_match),
		cmocka_unit_test(a_route_is_for_the_services_it_names),
		cmocka_unit_test(what_is_wrong_in_a_route_is_told),
		cmocka_unit_test(an_expression_that_costs_too_much_does_not_match),
		cmocka_unit_test(an_explanation_tells_why_others_lost),
		cmocka_unit_test(routes_are_shared_until_one_changes),
		cmocka_unit_test(a_route_that_may_be_left_out_is),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
