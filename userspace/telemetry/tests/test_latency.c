#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "telemetry/series.h"

static void a_bound_belongs_to_its_bucket(void **state)
{
	(void)state;
	static const struct {
		uint64_t us;
		unsigned bucket;
	} cases[] = {{0, 0},
		     {1, 0},
		     {50, 0},
		     {51, 1},
		     {100, 1},
		     {101, 2},
		     {1000, 6},
		     {1001, 7},
		     {30000000, WEFT_LATENCY_BUCKETS - 2},
		     {30000001, WEFT_LATENCY_BUCKETS - 1},
		     {UINT64_MAX, WEFT_LATENCY_BUCKETS - 1}};
	for (size_t i = 0; i < array_count(cases); i++)
		assert_int_equal(latency_bucket(cases[i].us), cases[i].bucket);
}

static void every_value_lies_between_its_buckets_bounds(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < 40000000; us = us + us / 7 + 1) {
		unsigned bucket = latency_bucket(us);
		assert_true(us <= latency_bound_us(bucket));
		assert_true(bucket == 0 || us > latency_bound_us(bucket - 1));
	}
	assert_true(latency_bound_us(WEFT_LATENCY_BUCKETS - 1) == UINT64_MAX);
}

struct quantile_case {
	const char *name;
	struct {
		unsigned bucket;
		uint64_t count;
	} filled[3];
	double quantile;
	uint64_t expected_us;
};

static void quantiles_are_linear_inside_a_bucket(void **state)
{
	(void)state;
	static const struct quantile_case cases[] = {
		{"nothing measured", {{0}}, 0.5, 0},
		{"first bucket, middle", {{0, 100}}, 0.5, 25},
		{"first bucket, all", {{0, 100}}, 1.0, 50},
		{"one value", {{6, 1}}, 0.99, 998},
		{"lowest of a later bucket", {{6, 1}}, 0.0, 750},
		{"half in each of two", {{1, 50}, {2, 50}}, 0.5, 100},
		{"three quarters", {{1, 50}, {2, 50}}, 0.75, 150},
		{"gap between", {{0, 99}, {12, 1}}, 0.99, 50},
		{"past the gap", {{0, 98}, {12, 2}}, 0.99, 8750},
		{"unbounded bucket gives its lower bound",
		 {{WEFT_LATENCY_BUCKETS - 1, 3}},
		 0.5,
		 30000000},
		{"tail in the unbounded bucket",
		 {{0, 99}, {WEFT_LATENCY_BUCKETS - 1, 1}},
		 0.999,
		 30000000},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		__u64 buckets[WEFT_LATENCY_BUCKETS] = {0};
		for (size_t j = 0; j < array_count(cases[i].filled); j++)
			buckets[cases[i].filled[j].bucket] += cases[i].filled[j].count;
		uint64_t us = latency_quantile_us(buckets, cases[i].quantile);
		if (us != cases[i].expected_us)
			fail_msg("%s: %lu us instead of %lu", cases[i].name, us,
				 cases[i].expected_us);
	}
}

static void quantiles_never_fall_with_rank(void **state)
{
	(void)state;
	__u64 buckets[WEFT_LATENCY_BUCKETS];
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		buckets[i] = (i * 7919u) % 13;
	uint64_t before = 0;
	for (unsigned i = 0; i <= 1000; i++) {
		uint64_t us = latency_quantile_us(buckets, i / 1000.0);
		assert_true(us >= before);
		before = us;
	}
	assert_int_equal(before, 30000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_belongs_to_its_bucket),
		cmocka_unit_test(every_value_lies_between_its_buckets_bounds),
		cmocka_unit_test(quantiles_are_linear_inside_a_bucket),
		cmocka_unit_test(quantiles_never_fall_with_rank),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
