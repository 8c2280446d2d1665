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

static void a_quantile_lies_in_the_bucket_of_what_was_measured(void **state)
{
	__u64 buckets[WEFT_LATENCY_BUCKETS] = {0};
	uint64_t us;
	(void)state;
	assert_false(latency_quantile_us(buckets, 0.5, &us));
	buckets[latency_bucket(900)] = 4;
	assert_true(latency_quantile_us(buckets, 0.5, &us));
	assert_int_equal(us, 875);
	buckets[latency_bucket(UINT64_MAX)] = 1;
	assert_true(latency_quantile_us(buckets, 1, &us));
	assert_int_equal(us, 30000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_belongs_to_its_bucket),
		cmocka_unit_test(every_value_lies_between_its_buckets_bounds),
		cmocka_unit_test(a_quantile_lies_in_the_bucket_of_what_was_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
