#include "farm.h"

static void each_has_its_turn(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_ROUND_ROBIN, 5, NULL);
	for (int i = 0; i < 50; i++)
		assert_int_equal(farm_pick(&farm)->id, FARM_FIRST_ID + i % 5);
	farm_fini(&farm);
}

static void a_round_is_as_long_as_the_weights(void **state)
{
	static const uint32_t weights[] = {5, 1, 0, 3, 1};
	unsigned counts[5];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_ROUND_ROBIN, 5, weights);
	for (int round = 0; round < 3; round++) {
		farm_pick_many(&farm, 10, counts);
		for (int i = 0; i < 5; i++)
			assert_int_equal(counts[i], weights[i]);
	}
	farm_fini(&farm);
}

static void a_round_is_exact_for_many_weights(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 60; seed++) {
		uint32_t weights[7];
		unsigned counts[7];
		struct farm farm;
		for (uint32_t i = 0; i < 7; i++)
			weights[i] = (seed * 7919 + i * i * 31 * seed) % 23;
		weights[seed % 7] += 1;
		farm_init(&farm, BALANCER_ROUND_ROBIN, 7, weights);
		farm_pick_many(&farm, (unsigned)farm.service.weight_total, counts);
		for (int i = 0; i < 7; i++)
			assert_int_equal(counts[i], weights[i]);
		farm_fini(&farm);
	}
}

/* Nobody gets all of a heavy endpoint's turns in a row. */
static void a_heavy_endpoint_is_spread_out(void **state)
{
	static const uint32_t weights[] = {10, 10};
	static const uint32_t uneven[] = {12, 8};
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct farm farm;
		int in_a_row = 0, most = 0;
		uint32_t last = 0;
		farm_init(&farm, BALANCER_ROUND_ROBIN, 2, k ? uneven : weights);
		for (int i = 0; i < 100; i++) {
			uint32_t id = farm_pick(&farm)->id;
			in_a_row = id == last ? in_a_row + 1 : 1;
			last = id;
			most = in_a_row > most ? in_a_row : most;
		}
		assert_in_range(most, 1, 3);
		farm_fini(&farm);
	}
}

static void load_does_not_matter(void **state)
{
	unsigned counts[3];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_ROUND_ROBIN, 3, NULL);
	farm_load(&farm, 0, 1000);
	farm_pick_many(&farm, 300, counts);
	for (int i = 0; i < 3; i++)
		assert_int_equal(counts[i], 100);
	farm_fini(&farm);
}

/* Great weights must not overflow on the way to a point. */
static void great_weights_are_shared_too(void **state)
{
	static const uint32_t weights[] = {4294967295u, 4294967295u, 1};
	unsigned counts[3];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_ROUND_ROBIN, 3, weights);
	farm_pick_many(&farm, 10000, counts);
	assert_near(counts[0], 5000, 0.05);
	assert_near(counts[1], 5000, 0.05);
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_turn),
		cmocka_unit_test(a_round_is_as_long_as_the_weights),
		cmocka_unit_test(a_round_is_exact_for_many_weights),
		cmocka_unit_test(a_heavy_endpoint_is_spread_out),
		cmocka_unit_test(load_does_not_matter),
		cmocka_unit_test(great_weights_are_shared_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
