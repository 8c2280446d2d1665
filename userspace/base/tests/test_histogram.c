#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/histogram.h"

#define BUCKETS 6

static const uint64_t bounds[BUCKETS - 1] = {50, 100, 1000, 5000, 10000};

struct quantile_case {
	const char *name;
	uint64_t counts[BUCKETS];
	double quantile;
	uint64_t expected;
};

static void quantiles_are_linear_inside_a_bucket(void **state)
{
	(void)state;
	static const struct quantile_case cases[] = {
		{"first bucket, middle", {100}, 0.5, 25},
		{"first bucket, all", {100}, 1.0, 50},
		{"one value", {0, 0, 1}, 0.99, 991},
		{"lowest of a later bucket", {0, 0, 1}, 0.0, 100},
		{"half in each of two", {0, 50, 50}, 0.5, 100},
		{"three quarters", {0, 50, 50}, 0.75, 550},
		{"gap between", {99, 0, 0, 0, 1}, 0.99, 50},
		{"past the gap", {98, 0, 0, 0, 2}, 0.99, 7500},
		{"unbounded bucket gives its lower bound", {0, 0, 0, 0, 0, 3}, 0.5, 10000},
		{"tail in the unbounded bucket", {99, 0, 0, 0, 0, 1}, 0.999, 10000},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		uint64_t value = 0;
		assert_true(histogram_quantile(bounds, cases[i].counts, BUCKETS, cases[i].quantile,
					       &value));
		if (value != cases[i].expected)
			fail_msg("%s: %lu instead of %lu", cases[i].name, value, cases[i].expected);
	}
}

static void of_nothing_there_is_no_quantile(void **state)
{
	static const uint64_t none[BUCKETS];
	uint64_t value = 7;
	(void)state;
	assert_false(histogram_quantile(bounds, none, BUCKETS, 0.5, &value));
	assert_int_equal(value, 7);
}

static void quantiles_never_fall_with_rank(void **state)
{
	static const uint64_t counts[BUCKETS] = {3, 0, 12, 7, 0, 9};
	uint64_t before = 0;
	(void)state;
	for (unsigned i = 0; i <= 1000; i++) {
		uint64_t value = 0;
		assert_true(histogram_quantile(bounds, counts, BUCKETS, i / 1000.0, &value));
		assert_true(value >= before);
		before = value;
	}
	assert_int_equal(before, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_linear_inside_a_bucket),
		cmocka_unit_test(of_nothing_there_is_no_quantile),
		cmocka_unit_test(quantiles_never_fall_with_rank),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
