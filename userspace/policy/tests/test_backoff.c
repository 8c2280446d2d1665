#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/backoff.h"

#define S 1000000000ull

static void constant_is_constant(void **state)
{
	static const struct backoff_rule rule = {.kind = BACKOFF_CONSTANT, .least_ns = 7};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	for (uint32_t step = 0; step < 5; step++)
		assert_int_equal(backoff_next(&rule, step, 100, &rng), 7);
}

static void jittered_stays_below_three_times_the_one_before(void **state)
{
	static const struct backoff_rule rule = {
		.kind = BACKOFF_JITTERED, .least_ns = S, .most_ns = 30 * S};
	struct rng rng;
	uint64_t most_ns = 0;
	(void)state;
	rng_init(&rng, 2);
	for (int round = 0; round < 1000; round++) {
		uint64_t wait_ns = backoff_next(&rule, 0, 0, &rng);
		assert_int_equal(wait_ns, S);
		for (uint32_t step = 1; step < 20; step++) {
			uint64_t next_ns = backoff_next(&rule, step, wait_ns, &rng);
			assert_in_range(next_ns, S, 3 * wait_ns < 30 * S ? 3 * wait_ns : 30 * S);
			wait_ns = next_ns;
			most_ns = next_ns > most_ns ? next_ns : most_ns;
		}
	}
	assert_in_range(most_ns, 29 * S, 30 * S);
}

static void equal_jittered_doubles_and_ends_at_the_most(void **state)
{
	static const struct backoff_rule rule = {
		.kind = BACKOFF_EQUAL_JITTERED, .least_ns = 5 * S, .most_ns = 300 * S};
	struct rng rng;
	(void)state;
	rng_init(&rng, 3);
	for (int round = 0; round < 1000; round++) {
		assert_int_equal(backoff_next(&rule, 0, 0, &rng), 5 * S);
		for (uint32_t step = 1; step < 6; step++) {
			uint64_t half_ns = (5 * S) << (step - 1);
			assert_in_range(backoff_next(&rule, step, 0, &rng), half_ns,
					2 * half_ns - 1);
		}
		assert_in_range(backoff_next(&rule, 6, 0, &rng), 160 * S, 300 * S);
	}
	for (uint32_t step = 7; step < 200; step++)
		assert_int_equal(backoff_next(&rule, step, 0, &rng), 300 * S);
	assert_int_equal(backoff_next(&rule, UINT32_MAX, 0, &rng), 300 * S);
}

static void no_wait_is_no_wait(void **state)
{
	static const struct backoff_rule none = {.kind = BACKOFF_EQUAL_JITTERED};
	static const struct backoff_rule jittered = {.kind = BACKOFF_JITTERED};
	struct rng rng;
	(void)state;
	rng_init(&rng, 4);
	assert_int_equal(backoff_next(&none, 3, 0, &rng), 0);
	assert_int_equal(backoff_next(&jittered, 3, 0, &rng), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_is_constant),
		cmocka_unit_test(jittered_stays_below_three_times_the_one_before),
		cmocka_unit_test(equal_jittered_doubles_and_ends_at_the_most),
		cmocka_unit_test(no_wait_is_no_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
