#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "policy/identify.h"
#include "policy/tests/notation.h"

static void build(struct notation *notation, const struct identifier_draft *drafts, uint32_t count)
{
	notation_init(notation, "");
	snapshot_free(notation->snapshot);
	notation->snapshot = NULL;
	notation->draft.identifiers.items = (void *)drafts;
	notation->draft.identifiers.count = count;
	if (notation_build(notation, NULL))
		fail_msg("%s", notation->fault);
}

struct row {
	const char *request;
	const char *name; /* NULL = not identified */
};

static void expect_name(const struct notation *notation, const char *line, const char *service,
			const char *name)
{
	struct request request;
	struct identified got;
	request_read(&request, span_text(line));
	int error = identify(notation->snapshot->routes, &request.head, span_text(service),
			     notation->matcher, &got);
	assert_int_equal(error, name ? 0 : -ENOENT);
	if (name && !span_is(identified_name(&got), name))
		fail_msg("%s: %.*s, not %s", line, SPAN_PRINT(identified_name(&got)), name);
}

static void expect_names(struct identifier_draft draft, const struct row *rows, size_t count)
{
	struct notation notation;
	draft.line = 1;
	build(&notation, &draft, 1);
	for (size_t i = 0; i < count; i++)
		expect_name(&notation, rows[i].request, "web", rows[i].name);
	notation_fini(&notation);
}

#define EXPECT(draft, ...)                                                                         \
	do {                                                                                       \
		static const struct row rows[] = {__VA_ARGS__};                                    \
		expect_names((struct identifier_draft)draft, rows, array_count(rows));             \
	} while (0)
#define DRAFT(...)                                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void a_header_token_is_one_segment(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER_TOKEN), {"GET web /x?y", "/svc/web"},
	       {"GET - /x", NULL}, {"GET Web.Example.COM /", "/svc/Web.Example.COM"},
	       {"GET web:8080 /", "/svc/web:8080"}, {"GET [::1]:80 /", "/svc/\\x5b::1\\x5d:80"},
	       {"GET a/b /", "/svc/a\\x2fb"}, {"GET web http://other/", "/svc/web"});
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER_TOKEN, .header = "X-To"),
	       {"GET h / h:x-to=web", "/svc/web"}, {"GET h / h:x-to=", NULL}, {"GET h /", NULL});
}

static void a_header_is_a_path(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER), {"GET h / h:l5d-name=/web", "/svc/web"},
	       {"GET h / h:L5D-Name=/a/b/c", "/svc/a/b/c"}, {"GET h / h:l5d-name=/a/", "/svc/a"},
	       {"GET h / h:l5d-name=/", "/svc"}, {"GET h / h:l5d-name=web", NULL},
	       {"GET h / h:l5d-name=", NULL}, {"GET h /", NULL}, {"GET h / h:l5d-name=/a//b", NULL},
	       {"GET h / h:l5d-name=/a\\x2fb", "/svc/a\\x2fb"}, {"GET h / h:l5d-name=/a\\x2", NULL},
	       {"GET h / h:l5d-name=/a;b", NULL});
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER, .header = "to"), {"GET h / h:to=/web", "/svc/web"},
	       {"GET h / h:l5d-name=/web", NULL});
}

static void a_headers_first_segments_are_taken(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER_PATH, .segments = 1),
	       {"POST h /pkg.Service/Method", "/svc/pkg.Service"},
	       {"POST h /pkg.Service", "/svc/pkg.Service"}, {"POST h /", NULL}, {"POST h *", NULL},
	       {"POST h //a/b", "/svc/a"});
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER_PATH, .segments = 2),
	       {"POST h /pkg.Service/Method?q", "/svc/pkg.Service/Method"},
	       {"POST h /pkg.Service", NULL});
	EXPECT(DRAFT(.kind = IDENTIFY_HEADER_PATH, .header = "to"),
	       {"GET h / h:to=/a/b/c", "/svc/a/b/c"}, {"GET h / h:to=/a?x=/b", "/svc/a"},
	       {"GET h /", NULL}, {"GET h / h:to=a", NULL});
}

static void method_and_host_are_segments(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_METHOD_AND_HOST), {"GET web /a/b", "/svc/1.1/GET/web"},
	       {"POST Web.COM:80 /", "/svc/1.1/POST/web.com:80"}, {"GET - /", NULL},
	       {"GET [FD00::1] /", "/svc/1.1/GET/\\x5bfd00::1\\x5d"},
	       {"GET a http://b/", "/svc/1.1/GET/b"});
	EXPECT(DRAFT(.kind = IDENTIFY_METHOD_AND_HOST, .has_uri = true),
	       {"GET web /", "/svc/1.1/GET/web"}, {"GET web /a/b?q=/c", "/svc/1.1/GET/web/a/b"},
	       {"GET web /a/b/", "/svc/1.1/GET/web/a/b"}, {"OPTIONS web *", "/svc/1.1/OPTIONS/web"},
	       {"GET web /%41/..//c", "/svc/1.1/GET/web/c"});
}

static void http_1_0_has_no_host(void **state)
{
	struct notation notation;
	struct request request;
	struct identified got;
	static const struct identifier_draft draft = {.line = 1, .kind = IDENTIFY_METHOD_AND_HOST};
	(void)state;
	build(&notation, &draft, 1);
	request_read(&request, span_text("GET web /"));
	request.head.minor_version = 0;
	assert_int_equal(identify(notation.snapshot->routes, &request.head, span_text(""),
				  notation.matcher, &got),
			 0);
	assert_true(span_is(identified_name(&got), "/svc/1.0/GET"));
	notation_fini(&notation);
}

static void the_uris_first_segments_are_taken(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_PATH), {"GET h /web", "/svc/web"},
	       {"GET h /web/", "/svc/web"}, {"GET h /web/a/b?c", "/svc/web"}, {"GET h /", NULL},
	       {"GET h *", NULL}, {"GET h http://x/web/a", "/svc/web"},
	       {"GET h /a%20b", "/svc/a%20b"}, {"GET h /x/../web", "/svc/web"},
	       {"GET h /Web", "/svc/Web"});
	EXPECT(DRAFT(.kind = IDENTIFY_PATH, .segments = 3), {"GET h /a/b/c/d", "/svc/a/b/c"},
	       {"GET h /a/b/c/", "/svc/a/b/c"}, {"GET h /a/b/", NULL}, {"GET h /a/b?c/d", NULL});
}

static void consumed_segments_are_told(void **state)
{
	struct notation notation;
	struct request request;
	struct identified got;
	static const struct identifier_draft draft = {
		.line = 1, .kind = IDENTIFY_PATH, .segments = 2, .consumes = true};
	(void)state;
	build(&notation, &draft, 1);
	request_read(&request, span_text("GET web /a/b/c"));
	assert_int_equal(identify(notation.snapshot->routes, &request.head, span_text(""),
				  notation.matcher, &got),
			 0);
	assert_int_equal(got.consumed, 2);
	notation_fini(&notation);
}

static void a_fixed_path_always_succeeds(void **state)
{
	(void)state;
	EXPECT(DRAFT(.kind = IDENTIFY_STATIC, .path = "/web/v1"), {"GET h /", "/svc/web/v1"},
	       {"OPTIONS - *", "/svc/web/v1"});
}

static void the_destination_is_the_default(void **state)
{
	struct notation notation;
	(void)state;
	build(&notation, NULL, 0);
	assert_null(notation.snapshot->routes);
	expect_name(&notation, "GET other /", "ns/web", "/svc/ns/web");
	expect_name(&notation, "GET other /", "", NULL);
	notation_fini(&notation);
}

static void path_header_query_and_method_make_one_name(void **state)
{
	struct notation notation;
	struct identifier_draft drafts[2] = {
		{.line = 1, .kind = IDENTIFY_MATCH, .path = "/canary"},
		{.line = 2, .kind = IDENTIFY_DESTINATION},
	};
	struct notation words = {0};
	(void)state;
	read_match(&words, span_text("/cart POST h:x-team~red|blue q:v=2"), &drafts[0].matches);
	read_match(&words, span_text("=/try"), &drafts[0].matches);
	build(&notation, drafts, 2);
	expect_name(&notation, "POST h /cart/1?v=2 h:x-team=red", "web", "/svc/canary");
	expect_name(&notation, "GET h /cart/1?v=2 h:x-team=red", "web", "/svc/web");
	expect_name(&notation, "POST h /carts?v=2 h:x-team=red", "web", "/svc/web");
	expect_name(&notation, "POST h /cart?v=2 h:x-team=green", "web", "/svc/web");
	expect_name(&notation, "POST h /cart?v=3 h:x-team=red", "web", "/svc/web");
	expect_name(&notation, "GET h /try", "web", "/svc/canary");
	expect_name(&notation, "GET h /", "", NULL);
	arena_fini(&words.arena);
	notation_fini(&notation);
}

static void the_first_that_succeeds_names_it(void **state)
{
	struct notation notation;
	static const struct identifier_draft drafts[] = {
		{.line = 1, .kind = IDENTIFY_HEADER},
		{.line = 2, .kind = IDENTIFY_PATH, .segments = 2},
		{.line = 3, .kind = IDENTIFY_HEADER_TOKEN},
	};
	(void)state;
	build(&notation, drafts, 3);
	expect_name(&notation, "GET h /a/b h:l5d-name=/x", "", "/svc/x");
	expect_name(&notation, "GET h /a/b h:l5d-name=x", "", "/svc/a/b");
	expect_name(&notation, "GET h /a", "", "/svc/h");
	expect_name(&notation, "GET - /a", "web", NULL);
	notation_fini(&notation);
}

static void a_name_that_is_too_long_is_none(void **state)
{
	struct notation notation;
	char line[2100] = "GET ";
	static const struct identifier_draft draft = {.line = 1, .kind = IDENTIFY_HEADER_TOKEN};
	(void)state;
	build(&notation, &draft, 1);
	memset(line + 4, 'a', IDENTIFY_NAME_MAX - 5);
	strncat(line, " /", 3);
	struct request request;
	struct identified got;
	request_read(&request, span_text(line));
	assert_int_equal(identify(notation.snapshot->routes, &request.head, span_text(""),
				  notation.matcher, &got),
			 0);
	assert_int_equal(got.size, IDENTIFY_NAME_MAX);
	memset(line + 4, 'a', IDENTIFY_NAME_MAX - 4);
	strncat(line, " /", 3);
	expect_name(&notation, line, "", NULL);
	notation_fini(&notation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_token_is_one_segment),
		cmocka_unit_test(a_header_is_a_path),
		cmocka_unit_test(a_headers_first_segments_are_taken),
		cmocka_unit_test(method_and_host_are_segments),
		cmocka_unit_test(http_1_0_has_no_host),
		cmocka_unit_test(the_uris_first_segments_are_taken),
		cmocka_unit_test(consumed_segments_are_told),
		cmocka_unit_test(a_fixed_path_always_succeeds),
		cmocka_unit_test(the_destination_is_the_default),
		cmocka_unit_test(path_header_query_and_method_make_one_name),
		cmocka_unit_test(the_first_that_succeeds_names_it),
		cmocka_unit_test(a_name_that_is_too_long_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
