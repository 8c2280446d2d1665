#include "farm.h"

static void idle_endpoints_are_picked_alike(void **state)
{
	unsigned counts[10];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_P2C, 10, NULL);
	farm_pick_many(&farm, 100000, counts);
	for (int i = 0; i < 10; i++)
		assert_near(counts[i], 10000, 0.05);
	farm_fini(&farm);
}

/* With loads that follow the picks, endpoints serve in proportion to their weights. */
static void loads_follow_the_weights(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 10};
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_P2C, 4, weights);
	for (int i = 0; i < 16000; i++)
		farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
	for (uint32_t i = 0; i < 4; i++)
		assert_near(farm_active(&farm, i), 1000.0 * weights[i], 0.05);
	farm_fini(&farm);
}

/* linkerd1.md L1: two different ones are drawn. */
static void the_less_loaded_of_two_is_taken(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_P2C, 2, NULL);
	farm_load(&farm, 0, 5);
	farm_load(&farm, 1, 4);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(farm_index(&farm, farm_pick(&farm)), 1);
	farm_fini(&farm);
}

static void a_loaded_endpoint_is_avoided(void **state)
{
	static const uint32_t weights[] = {2, 1, 1, 4, 1};
	unsigned counts[10];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_P2C, 10, NULL);
	farm_load(&farm, 3, 100);
	farm_pick_many(&farm, 10000, counts);
	assert_int_equal(counts[3], 0);
	farm_fini(&farm);
	farm_init(&farm, BALANCER_P2C, 5, weights);
	farm_load(&farm, 3, 100);
	farm_pick_many(&farm, 10000, counts);
	assert_int_equal(counts[3], 0);
	farm_fini(&farm);
}

/* A busy endpoint's only rival in a draw must not be one that is left out. */
static void both_of_the_two_are_open(void **state)
{
	static const uint32_t weights[] = {2, 1, 1, 4, 1, 3, 2, 1, 1, 2};
	static const struct {
		uint32_t count, ejected;
		const uint32_t *weights;
	} cases[] = {{3, 1, NULL}, {10, 5, NULL}, {10, 3, NULL}, {3, 1, weights}, {10, 5, weights}};
	unsigned counts[10];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct farm farm;
		uint32_t busy = cases[i].ejected;
		farm_init(&farm, BALANCER_P2C, cases[i].count, cases[i].weights);
		for (uint32_t at = 0; at < cases[i].ejected; at++)
			farm_eject(&farm, at, true);
		farm_load(&farm, busy, 100);
		farm_pick_many(&farm, 10000, counts);
		assert_in_range(counts[busy], 0, 200);
		assert_int_equal(counts[0], 0);
		farm_fini(&farm);
	}
}

/* Mitzenmacher: the longest queue is nearly as short as the mean. */
static void queues_stay_level(void **state)
{
	struct farm farm;
	uint32_t most = 0;
	(void)state;
	farm_init(&farm, BALANCER_P2C, 1000, NULL);
	for (int i = 0; i < 10000; i++)
		farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
	for (uint32_t i = 0; i < 1000; i++)
		most = farm_active(&farm, i) > most ? farm_active(&farm, i) : most;
	assert_in_range(most, 10, 14);
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_endpoints_are_picked_alike),
		cmocka_unit_test(loads_follow_the_weights),
		cmocka_unit_test(the_less_loaded_of_two_is_taken),
		cmocka_unit_test(a_loaded_endpoint_is_avoided),
		cmocka_unit_test(both_of_the_two_are_open),
		cmocka_unit_test(queues_stay_level),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
