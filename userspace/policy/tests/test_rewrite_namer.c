#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "policy/rewrite_namer.h"
#include "policy/tests/naming.h"

static void names_are_rewritten_by_their_pattern(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		const char *name;
		const char *path; /* behind /#/r */
		const char *becomes;
	} cases[] = {
		{"/{port}/{ns}/{svc}", "/k8s/{ns}/{port}/{svc}", "/http/prod/web",
		 "/k8s/prod/http/web"},
		{"/{port}/{ns}/{svc}", "/k8s/{ns}/{port}/{svc}", "/http/web", "~"},
		{"/{svc}/api", "/srv/{svc}", "/web/api/v1/x", "/srv/web/v1/x"},
		{"/{svc}/api", "/srv/{svc}", "/web/app", "~"},
		{"/one/*/three", "/success", "/one/two/three", "/success"},
		{"/one/*/four", "/success", "/one/two/three", "~"},
		{"/{a}-{b}", "/{a}/{b}", "/a-b-c", "/a-b/c"},
		{"/{a}.{b}.svc", "/{b}/x-{a}", "/web.prod.svc", "/prod/x-web"},
		{"/{a}{b}", "/{a}/x{b}", "/abc", "/abc/x"},
		{"/{a}{b}", "/{a}/{b}", "/abc", "~"},
		{"/", "/x", "/a/b", "/x/a/b"},
		{"/{a}", "/", "/gone/b", "/b"},
		{"/{a}", "/{a}/{a}", "/b\\x20c", "/b\\x20c/b\\x20c"},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct rewrite_namer *rewrite;
		struct rewrite_namer_error where;
		struct text text = {0};
		if (rewrite_namer_parse(span_text(cases[i].pattern), span_text(cases[i].name),
					&rewrite, &where))
			fail_msg("%s, %s: %s", cases[i].pattern, cases[i].name, where.error.why);
		struct naming naming = {0};
		struct name_path path;
		struct name_error error;
		struct namer_answer answer;
		assert_int_equal(
			name_path_parse(span_text(cases[i].path), &naming.arena, &path, &error), 0);
		rewrite_namer_look_up(rewrite, path, &naming.arena, &answer);
		if (answer.verdict == NAMER_TREE) {
			struct name_path whole;
			assert_int_equal(name_path_join(answer.tree->path,
							name_path_drop(path, answer.consumed),
							&naming.arena, &whole),
					 0);
			name_path_print(whole, &text);
		} else {
			assert_int_equal(answer.verdict, NAMER_NEG);
			assert_non_null(answer.why);
			text_add(&text, span_text("~"));
		}
		if (strcmp(text.data, cases[i].becomes) != 0)
			fail_msg("%s, %s: %s becomes %s", cases[i].pattern, cases[i].name,
				 cases[i].path, text.data);
		text_fini(&text);
		naming_fini(&naming);
		rewrite_namer_free(rewrite);
	}
	assert_int_equal(mem_live(), 0);
}

static void a_bad_pattern_or_name_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		const char *name;
		bool is_in_name;
		uint32_t column;
		const char *why;
	} cases[] = {
		{"svc", "/x", false, 1, "expected a path, which begins with '/', found 's'"},
		{"/a/", "/x", false, 4, "expected a path segment, found the end"},
		{"/{a", "/x", false, 4,
		 "expected '}' after the name of the capture, found the end"},
		{"/{}", "/x", false, 3, "expected the name of a capture, found '}'"},
		{"/{a}/{a}", "/x", false, 7, "a second capture of that name"},
		{"/*x", "/x", false, 3, "expected '/' or the end, found 'x'"},
		{"/{a}", "/x/{b}", true, 5, "the pattern has no capture {b}"},
		{"/{a}", "/x/*", true, 4, "expected a path segment, found '*'"},
		{"/{a}", "x", true, 1, "expected a path, which begins with '/', found 'x'"},
		{"/{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}{m}{n}{o}{p}{q}", "/x", false, 51,
		 "more than 16 captures"},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct rewrite_namer *rewrite;
		struct rewrite_namer_error where;
		int error = rewrite_namer_parse(span_text(cases[i].pattern),
						span_text(cases[i].name), &rewrite, &where);
		if (!error || where.is_in_name != cases[i].is_in_name ||
		    where.error.column != cases[i].column ||
		    strcmp(where.error.why, cases[i].why) != 0)
			fail_msg("%s, %s: %d, column %u: %s", cases[i].pattern, cases[i].name,
				 error, where.error.column, where.error.why);
	}
	assert_int_equal(mem_live(), 0);
}

static void a_pattern_that_would_take_long_does_not_match(void **state)
{
	(void)state;
	struct rewrite_namer *rewrite;
	struct rewrite_namer_error where;
	struct text text = {0};
	struct namer_answer answer;
	struct name_arena arena;
	assert_int_equal(rewrite_namer_parse(span_text("/{a}x{b}x{c}x{d}x{e}x{f}x{g}x{h}y"),
					     span_text("/{a}"), &rewrite, &where),
			 0);
	for (int i = 0; i < 2000; i++)
		text_add(&text, span_text("x"));
	struct span segment = text_span(&text);
	name_arena_init(&arena, NULL, 0);
	rewrite_namer_look_up(rewrite, (struct name_path){&segment, 1}, &arena, &answer);
	assert_int_equal(answer.verdict, NAMER_NEG);
	name_arena_fini(&arena);
	text_fini(&text);
	rewrite_namer_free(rewrite);
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	int error = -ENOMEM;
	for (unsigned long n = 1; error; n++) {
		struct rewrite_namer *rewrite = NULL;
		struct rewrite_namer_error where;
		mem_fail_nth(n);
		error = rewrite_namer_parse(span_text("/{a}"), span_text("/{a}"), &rewrite, &where);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		rewrite_namer_free(rewrite);
		assert_int_equal(mem_live(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_rewritten_by_their_pattern),
		cmocka_unit_test(a_bad_pattern_or_name_is_refused_with_its_place),
		cmocka_unit_test(a_pattern_that_would_take_long_does_not_match),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
