#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/branch.h"
#include "policy/tests/naming.h"

#define DRAWS 10000

/* Leaves are /a, /b, …: those in the context's text are ready. */
static bool is_ready(const void *context, const struct name_tree *leaf)
{
	return strchr(context, leaf->path.segments[0].data[0]) != NULL;
}

/* How often each of a to d (or ~ ! $, or none: -) was picked of DRAWS. */
static void count_picks(const char *text, const char *ready, uint32_t counts[128])
{
	struct name_arena arena;
	struct name_tree *tree;
	struct name_error where;
	struct branch_view view = {is_ready, ready};
	struct rng rng;
	rng_init(&rng, 3);
	memset(counts, 0, sizeof(*counts) * 128);
	name_arena_init(&arena, NULL, 0);
	assert_int_equal(name_tree_parse(span_text(text), &arena, &tree, &where), 0);
	for (uint32_t i = 0; i < DRAWS; i++) {
		const struct name_tree *picked = branch_pick(tree, ready ? &view : NULL, &rng);
		char sign = '-';
		if (picked)
			sign = picked->kind == NAME_LEAF    ? picked->path.segments[0].data[0]
			       : picked->kind == NAME_FAIL  ? '!'
			       : picked->kind == NAME_EMPTY ? '$'
							    : '~';
		counts[(unsigned char)sign]++;
	}
	name_arena_fini(&arena);
}

static void weights_are_kept_within_one_percent(void **state)
{
	(void)state;
	static const struct {
		const char *tree;
		const char *ready; /* NULL: all */
		double shares[4];  /* of a, b, c, d */
	} cases[] = {
		{"/a & 9 * /b", NULL, {.1, .9}},
		{"/a & 9 * /b", "a", {1}},
		{"1 * /a & 1 * /b & 2 * /c", NULL, {.25, .25, .5}},
		{"1 * /a & 1 * /b & 2 * /c", "ac", {1 / 3., 0, 2 / 3.}},
		{"0 * /a & .5 * /b", NULL, {0, 1}},
		{"3 * (/a & 2 * /b) & 1 * (/c | /d)", NULL, {.25, .5, .25}},
		{"3 * (/a & 2 * /b) & 1 * (/c | /d)", "bd", {0, .75, 0, .25}},
		{"3 * (/a & 2 * /b) & 1 * (/c | /d)", "cd", {0, 0, 1}},
		{"/a | /b", "ab", {1}},
		{"/a | /b", "b", {0, 1}},
		{"/a | /b", "", {1}},
		{"/a & /b | /c", "c", {0, 0, 1}},
		{"/a & 3 * /b | /c", "", {.25, .75}},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		uint32_t counts[128];
		count_picks(cases[i].tree, cases[i].ready, counts);
		for (int k = 0; k < 4; k++) {
			double share = counts['a' + k] / (double)DRAWS;
			if (share < cases[i].shares[k] - .01 || share > cases[i].shares[k] + .01)
				fail_msg("%s, ready %s: %c has %.3f", cases[i].tree,
					 cases[i].ready ? cases[i].ready : "all", 'a' + k, share);
		}
	}
}

static void what_ends_the_alternates_is_not_passed(void **state)
{
	(void)state;
	uint32_t counts[128];
	count_picks("/a | !", "", counts);
	assert_int_equal(counts['!'], DRAWS);
	count_picks("/a | $", "", counts);
	assert_int_equal(counts['$'], DRAWS);
	count_picks("/a | ! | /b", "b", counts);
	assert_int_equal(counts['!'], DRAWS);
	count_picks("/a | !", "a", counts);
	assert_int_equal(counts['a'], DRAWS);
	count_picks("~", "", counts);
	assert_int_equal(counts['~'], DRAWS);
	count_picks("0 * /a & 0 * /b", NULL, counts);
	assert_int_equal(counts['-'], DRAWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_kept_within_one_percent),
		cmocka_unit_test(what_ends_the_alternates_is_not_passed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
