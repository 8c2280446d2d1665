#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/dtab.h"

/* Parses, prints, frees; "" for an empty dtab. */
static void check_prints(const char *text, const char *printed)
{
	struct dtab *dtab;
	struct name_error where;
	struct text out = {0};
	int error = dtab_parse(span_text(text), &dtab, &where);
	if (error)
		fail_msg("\"%s\": column %u: %s", text, where.column, where.why);
	dtab_print(dtab, &out);
	if (!span_is(text_span(&out), printed))
		fail_msg("\"%s\" prints as \"%.*s\"", text, SPAN_PRINT(text_span(&out)));
	text_fini(&out);
	dtab_free(dtab);
}

static void what_is_good_prints_in_one_way(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *printed;
	} cases[] = {
		{"", ""},
		{" \t\r\n\f\v# nothing\n", ""},
		{"# no end of line", ""},
		{"/=>!", "/ => !"},
		{"/ => !;", "/ => !"},
		{"  /=>!;/foo=>/bar ;  # end", "/ => !; /foo => /bar"},
		{"/svc => /#/io.l5d.k8s/default/http", "/svc => /#/io.l5d.k8s/default/http"},
		{"/a#b => /c#d # a comment; /x => /y\n;/e=>/f", "/a#b => /c#d; /e => /f"},
		{"/#=>/# ;/$ => $", "/# => /#; /$ => $"},
		{"/a => # why\n  /b # so\n  | # or\n /c", "/a => /b | /c"},
		{"/svc/*/x => /y", "/svc/*/x => /y"},
		{"/* => /", "/* => /"},
		{"/\\x2a => /y", "/\\x2a => /y"},
		{"/\\x66\\x6f\\x6F => /\\x00\\xff\\x20b", "/foo => /\\x00\\xff\\x20b"},
		{"/a => ~ | ! | $", "/a => ~ | ! | $"},
		{"/a=>/b|/c&/d|/e", "/a => /b | /c & /d | /e"},
		{"/a => 1 * /b & 2*/c & .5*/d & 3. * /e & 0.10 * /f",
		 "/a => /b & 2 * /c & 0.5 * /d & 3 * /e & 0.1 * /f"},
		{"/a => 0 * /b & 000 * /c & 00.25 * $", "/a => 0 * /b & 0 * /c & 0.25 * $"},
		{"/a => 7 * /b", "/a => /b"},
		{"/a => ((/b))", "/a => /b"},
		{"/a => (/b | /c) & /d", "/a => (/b | /c) & /d"},
		{"/a => 3 * (/b | /c) & (/d & 2 * /e)", "/a => 3 * (/b | /c) & (/d & 2 * /e)"},
		{"/a => (/b | /c) | /d", "/a => (/b | /c) | /d"},
		{"/a => (/b & /c) | /d", "/a => /b & /c | /d"},
		{"/a=>(((((((((((((((( /b ))))))))))))))))", "/a => /b"},
		{"/a => 123456789012345678901234 * /b & .0000000000000000000001 * /c",
		 "/a => 123456789012345685803008 * /b & 0.0000000000000000000001 * /c"},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		check_prints(cases[i].text, cases[i].printed);
		check_prints(cases[i].printed, cases[i].printed);
	}
}

static void what_is_bad_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t line;
		uint32_t column;
		const char *why;
		int error;
	} cases[] = {
		{"svc => /a", 1, 1, "expected a prefix, which begins with '/', found 's'", -EINVAL},
		{";", 1, 1, "expected a prefix, which begins with '/', found ';'", -EINVAL},
		{"/a => /b;;", 1, 10, "expected a prefix, which begins with '/', found ';'",
		 -EINVAL},
		{"/a", 1, 3, "expected '=>' after the prefix, found the end", -EINVAL},
		{"/svc = /a", 1, 7, "expected '>' after '=', found ' '", -EINVAL},
		{"/svc -> /a", 1, 6, "expected '=>' after the prefix, found '-'", -EINVAL},
		{"/svc =>", 1, 8, "expected a path, '(', '~', '!' or '$', found the end", -EINVAL},
		{"/svc => ", 1, 9, "expected a path, '(', '~', '!' or '$', found the end", -EINVAL},
		{"/svc/ => /a", 1, 6, "expected a path segment, found ' '", -EINVAL},
		{"/svc//x => /a", 1, 6, "expected a path segment, found '/'", -EINVAL},
		{"/svc => /a/", 1, 12, "expected a path segment, found the end", -EINVAL},
		{"/svc => /a/*", 1, 12, "expected a path segment, found '*'", -EINVAL},
		{"/svc => /*", 1, 10, "expected '|', '&' or ';', found '*'", -EINVAL},
		{"/s*c => /a", 1, 3, "expected '=>' after the prefix, found '*'", -EINVAL},
		{"/*c => /a", 1, 3, "expected '=>' after the prefix, found 'c'", -EINVAL},
		{"/svc => /a b", 1, 12, "expected '|', '&' or ';', found 'b'", -EINVAL},
		{"/svc => /a |", 1, 13, "expected a path, '(', '~', '!' or '$', found the end",
		 -EINVAL},
		{"/svc => /a & | /b", 1, 14, "expected a path, '(', '~', '!' or '$', found '|'",
		 -EINVAL},
		{"/svc => (/a", 1, 12, "expected '|', '&' or ')', found the end", -EINVAL},
		{"/svc => /a)", 1, 11, "expected '|', '&' or ';', found ')'", -EINVAL},
		{"/svc => ()", 1, 10, "expected a path, '(', '~', '!' or '$', found ')'", -EINVAL},
		{"/svc => . * /a", 1, 10, "expected a digit, found ' '", -EINVAL},
		{"/svc => 0.1.2 * /a", 1, 12, "expected '*' after the weight, found '.'", -EINVAL},
		{"/svc => 3 /a", 1, 11, "expected '*' after the weight, found '/'", -EINVAL},
		{"/svc => -1 * /a", 1, 9, "expected a path, '(', '~', '!' or '$', found '-'",
		 -EINVAL},
		{"/svc => 1e3 * /a", 1, 10, "expected '*' after the weight, found 'e'", -EINVAL},
		{"/svc => /\\?", 1, 11, "expected 'x' and two hex digits after '\\', found '?'",
		 -EINVAL},
		{"/svc => /\\x0g", 1, 13, "expected a hex digit, found 'g'", -EINVAL},
		{"/svc => /\\x0", 1, 13, "expected a hex digit, found the end", -EINVAL},
		{"/svc => /{}", 1, 10, "expected '|', '&' or ';', found '{'", -EINVAL},
		{"/svc => /a\n/b => /c", 2, 1, "expected '|', '&' or ';', found '/'", -EINVAL},
		{"/svc => /a;\n\n  /b =>\n  |", 4, 3,
		 "expected a path, '(', '~', '!' or '$', found '|'", -EINVAL},
		{"# \xc3\xa4\xc3\xb6\n/a => /\xc3\xa4", 2, 8,
		 "expected '|', '&' or ';', found the byte \\xc3", -EINVAL},
		{"/a => /b \x01", 1, 10, "expected '|', '&' or ';', found the byte \\x01", -EINVAL},
		{"/a => (((((((((((((((((/b)))))))))))))))))", 1, 23,
		 "parentheses more than 16 deep", -E2BIG},
		{"/a => 1234567890123456789012345 * /b", 1, 7, "a weight of more than 24 digits",
		 -E2BIG},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct dtab *dtab = NULL;
		struct name_error where;
		int error = dtab_parse(span_text(cases[i].text), &dtab, &where);
		if (error != cases[i].error || where.line != cases[i].line ||
		    where.column != cases[i].column || strcmp(where.why, cases[i].why) != 0)
			fail_msg("\"%s\": %d, line %u, column %u: %s", cases[i].text, error,
				 where.line, where.column, where.why);
		assert_null(dtab);
	}
	assert_int_equal(mem_live(), 0);
}

static void an_error_is_told_without_the_line_where_there_is_one(void **state)
{
	(void)state;
	struct name_error one = {.line = 1, .column = 7, .why = "so"};
	struct name_error two = {.line = 2, .column = 7, .why = "so"};
	struct text text = {0};
	name_error_print(&one, &text);
	text_add(&text, span_text(" "));
	name_error_print(&two, &text);
	assert_string_equal(text.data, "column 7: so line 2, column 7: so");
	text_fini(&text);
}

static void repeat(struct text *text, const char *what, size_t times)
{
	for (size_t i = 0; i < times; i++)
		text_add(text, span_text(what));
}

static void check_refused(struct text *text, const char *why)
{
	struct dtab *dtab = NULL;
	struct name_error where;
	assert_int_equal(dtab_parse(text_span(text), &dtab, &where), -E2BIG);
	assert_string_equal(where.why, why);
	assert_null(dtab);
	text_fini(text);
}

static void limits_are_named(void **state)
{
	(void)state;
	struct text text = {0};
	repeat(&text, " ", DTAB_BYTES_MAX + 1);
	check_refused(&text, "a dtab of 65537 bytes; at most 65536");
	repeat(&text, "/=>~;", DTAB_ENTRIES_MAX + 1);
	check_refused(&text, "more than 8192 entries");
	repeat(&text, "/a", NAME_PATH_BYTES_MAX / 2 + 1);
	check_refused(&text, "a path of more than 8192 bytes");
	repeat(&text, "/a", NAME_PATH_BYTES_MAX / 2);
	repeat(&text, " => ~", 1);
	struct dtab *dtab;
	struct name_error where;
	assert_int_equal(dtab_parse(text_span(&text), &dtab, &where), 0);
	dtab_free(dtab);
	text_fini(&text);
	repeat(&text, "/=>~;", DTAB_ENTRIES_MAX);
	assert_int_equal(dtab_parse(text_span(&text), &dtab, &where), 0);
	assert_int_equal(dtab->count, DTAB_ENTRIES_MAX);
	dtab_free(dtab);
	text_fini(&text);
}

static void entries_know_their_line(void **state)
{
	(void)state;
	static const char text[] = "/a => /b ; /c => /d;\n# x\n\n/e =>\n/f;/g=>/h";
	static const uint32_t lines[] = {1, 1, 4, 5};
	struct dtab *dtab;
	struct name_error where;
	assert_int_equal(dtab_parse(span_text(text), &dtab, &where), 0);
	assert_int_equal(dtab->count, array_count(lines));
	for (size_t i = 0; i < array_count(lines); i++)
		assert_int_equal(dtab->entries[i].line, lines[i]);
	dtab_free(dtab);
}

static void prefixes_match_whole_segments(void **state)
{
	(void)state;
	static const struct {
		const char *prefix;
		const char *path;
		bool matches;
	} cases[] = {
		{"/", "/", true},         {"/", "/a/b", true},        {"/a", "/a", true},
		{"/a", "/a/b", true},     {"/a", "/ab", false},       {"/a", "/", false},
		{"/a/b", "/a", false},    {"/*", "/a", true},         {"/*", "/", false},
		{"/a/*", "/a", false},    {"/a/*/c", "/a/x/c", true}, {"/a/*/c", "/a/x/d", false},
		{"/*/b", "/a/b/c", true}, {"/\\x2a", "/a", false},    {"/\\x2a", "/\\x2a", true},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct name_arena arena;
		struct text text = {0};
		struct dtab *dtab;
		struct name_error where;
		struct name_path path;
		name_arena_init(&arena, NULL, 0);
		text_printf(&text, "%s => ~", cases[i].prefix);
		assert_int_equal(dtab_parse(text_span(&text), &dtab, &where), 0);
		assert_int_equal(name_path_parse(span_text(cases[i].path), &arena, &path, &where),
				 0);
		if (dtab_entry_matches(&dtab->entries[0], path, dtab_first_hash(path)) !=
		    cases[i].matches)
			fail_msg("%s, %s", cases[i].prefix, cases[i].path);
		dtab_free(dtab);
		text_fini(&text);
		name_arena_fini(&arena);
	}
}

static void paths_are_joined_and_cut(void **state)
{
	(void)state;
	struct name_arena arena;
	struct name_error where;
	struct name_path a;
	struct name_path b;
	struct name_path joined;
	struct text text = {0};
	name_arena_init(&arena, NULL, 0);
	assert_int_equal(name_path_parse(span_text(" /a/b "), &arena, &a, &where), 0);
	assert_int_equal(name_path_parse(span_text("/c"), &arena, &b, &where), 0);
	assert_int_equal(name_path_join(a, b, &arena, &joined), 0);
	name_path_print(joined, &text);
	name_path_print(name_path_slice(joined, 1, 1), &text);
	name_path_print(name_path_drop(joined, 2), &text);
	name_path_print(name_path_drop(joined, 3), &text);
	name_path_print(name_path_drop(joined, 9), &text);
	assert_string_equal(text.data, "/a/b/c/b/c//");
	assert_int_equal(name_path_bytes(joined), 6);
	assert_int_equal(name_path_parse(span_text("/a b"), &arena, &a, &where), -EINVAL);
	assert_string_equal(where.why, "expected the end of the path, found 'b'");
	text_clear(&text);
	repeat(&text, "/abcdefg", NAME_PATH_BYTES_MAX / 8);
	assert_int_equal(name_path_parse(text_span(&text), &arena, &a, &where), 0);
	assert_int_equal(name_path_join(a, b, &arena, &joined), -E2BIG);
	text_fini(&text);
	name_arena_fini(&arena);
}

/* ---- random dtabs ---- */

static void random_tree(struct text *text, struct rng *rng, uint32_t depth)
{
	static const char *const simple[] = {"/a",          "/b/c", "/",           "~",
					     "!",           "$",    "/x#y",        "/\\x20",
					     "/\\xfe\\x2A", "/#/d", "( /a # c\n )"};
	uint32_t branches = 1 + rng_below(rng, 3);
	for (uint32_t i = 0; i < branches; i++) {
		bool is_union = rng_below(rng, 2);
		if (i)
			text_add(text, span_text(is_union ? "&" : " |\n "));
		if (rng_below(rng, 3) == 0)
			text_printf(text, "%u.%02u * ", rng_below(rng, 20), rng_below(rng, 100));
		if (depth && rng_below(rng, 3) == 0) {
			text_add(text, span_text("("));
			random_tree(text, rng, depth - 1);
			text_add(text, span_text(")"));
		} else {
			text_add(text, span_text(simple[rng_below(rng, array_count(simple))]));
		}
	}
}

static void what_is_printed_reads_as_the_same(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 7);
	for (int round = 0; round < 3000; round++) {
		struct text text = {0};
		struct text printed = {0};
		struct dtab *first;
		struct dtab *second;
		struct name_error where;
		uint32_t count = rng_below(&rng, 5);
		for (uint32_t i = 0; i < count; i++) {
			text_printf(&text, "%s/p%u%s => ", i ? ";" : "", i, i % 2 ? "/*" : "");
			random_tree(&text, &rng, 3);
		}
		if (dtab_parse(text_span(&text), &first, &where))
			fail_msg("%.*s: %s", SPAN_PRINT(text_span(&text)), where.why);
		dtab_print(first, &printed);
		if (dtab_parse(text_span(&printed), &second, &where))
			fail_msg("%.*s: %s", SPAN_PRINT(text_span(&printed)), where.why);
		assert_int_equal(first->count, count);
		assert_int_equal(second->count, count);
		for (uint32_t i = 0; i < count; i++) {
			assert_true(name_path_equal(first->entries[i].prefix,
						    second->entries[i].prefix));
			if (!name_tree_equal(first->entries[i].tree, second->entries[i].tree))
				fail_msg("%.*s", SPAN_PRINT(text_span(&printed)));
		}
		text_fini(&text);
		text_fini(&printed);
		dtab_free(first);
		dtab_free(second);
	}
	assert_int_equal(mem_live(), 0);
}

static void a_copy_borrows_nothing(void **state)
{
	(void)state;
	char bytes[] = "/ab/c & 2 * (/\\x20 | ~) & $";
	struct name_arena from;
	struct name_arena to;
	struct name_tree *tree;
	struct name_tree *copy;
	struct name_error where;
	struct text text = {0};
	name_arena_init(&from, NULL, 0);
	name_arena_init(&to, NULL, 0);
	assert_int_equal(name_tree_parse(span_of(bytes, sizeof(bytes) - 1), &from, &tree, &where),
			 0);
	assert_int_equal(name_tree_copy(tree, &to, &copy), 0);
	assert_true(name_tree_equal(tree, copy));
	memset(bytes, 'x', sizeof(bytes) - 1);
	name_arena_fini(&from);
	name_tree_print(copy, &text);
	assert_string_equal(text.data, "/ab/c & 2 * (/\\x20 | ~) & $");
	text_fini(&text);
	name_arena_fini(&to);
}

static void a_failed_allocation_fails_the_parse_and_loses_nothing(void **state)
{
	(void)state;
	struct text text = {0};
	for (int i = 0; i < 100; i++)
		text_printf(&text, "/svc/\\x20%d => (/a & 2 * /b) | $;", i);
	long live = mem_live();
	int error = -ENOMEM;
	unsigned long n = 0;
	while (error) {
		struct dtab *dtab = NULL;
		struct name_error where;
		mem_fail_nth(++n);
		error = dtab_parse(text_span(&text), &dtab, &where);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		if (error)
			assert_string_equal(where.why, "out of memory");
		dtab_free(dtab);
		assert_int_equal(mem_live(), live);
	}
	assert_true(n > 3);
	text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_good_prints_in_one_way),
		cmocka_unit_test(what_is_bad_is_refused_with_its_place),
		cmocka_unit_test(an_error_is_told_without_the_line_where_there_is_one),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(entries_know_their_line),
		cmocka_unit_test(prefixes_match_whole_segments),
		cmocka_unit_test(paths_are_joined_and_cut),
		cmocka_unit_test(what_is_printed_reads_as_the_same),
		cmocka_unit_test(a_copy_borrows_nothing),
		cmocka_unit_test(a_failed_allocation_fails_the_parse_and_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
