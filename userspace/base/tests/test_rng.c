#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"

static void the_same_seed_gives_the_same_numbers(void **state)
{
	struct rng one;
	struct rng two;
	struct rng other;
	unsigned same = 0;
	(void)state;
	rng_init(&one, 42);
	rng_init(&two, 42);
	rng_init(&other, 43);
	for (int i = 0; i < 1000; i++) {
		uint64_t number = rng_next(&one);
		assert_true(number == rng_next(&two));
		same += number == rng_next(&other);
	}
	assert_int_equal(same, 0);
}

/* The reference implementation's first numbers for the state 1, 2, 3, 4. */
static void it_is_xoshiro256_starstar(void **state)
{
	struct rng rng = {{1, 2, 3, 4}};
	(void)state;
	assert_true(rng_next(&rng) == 11520);
	assert_true(rng_next(&rng) == 0);
	assert_true(rng_next(&rng) == 1509978240);
	assert_true(rng_next(&rng) == 1215971899390074240);
}

/* 12,000 draws of 12: each about 1,000 times; six standard deviations are 182. */
static void numbers_below_a_bound_are_spread_evenly(void **state)
{
	unsigned counts[12] = {0};
	struct rng rng;
	(void)state;
	rng_init(&rng, 7);
	for (unsigned i = 0; i < 12000; i++) {
		uint32_t number = rng_below(&rng, 12);
		assert_true(number < 12);
		counts[number]++;
	}
	for (size_t i = 0; i < array_count(counts); i++)
		assert_in_range(counts[i], 1000 - 182, 1000 + 182);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(rng_below(&rng, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_numbers),
		cmocka_unit_test(it_is_xoshiro256_starstar),
		cmocka_unit_test(numbers_below_a_bound_are_spread_evenly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
