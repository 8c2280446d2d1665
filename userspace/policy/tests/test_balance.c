/* What both balancers promise. */
#include <time.h>

#include "farm.h"

static const enum balancer both[] = {BALANCER_P2C, BALANCER_ROUND_ROBIN};

static void no_endpoint_is_null(void **state)
{
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		farm_init(&farm, both[b], 0, NULL);
		assert_null(farm_pick(&farm));
		farm_fini(&farm);
	}
}

static void only_drained_endpoints_are_null(void **state)
{
	static const uint32_t weights[] = {0, 0, 0};
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		farm_init(&farm, both[b], 3, weights);
		assert_null(farm_pick(&farm));
		farm_fini(&farm);
	}
}

static void one_endpoint_is_always_picked(void **state)
{
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		farm_init(&farm, both[b], 1, NULL);
		farm.loads[10].active = 1000;
		for (int i = 0; i < 100; i++)
			assert_ptr_equal(farm_pick(&farm), &farm.service.endpoints[0]);
		farm_fini(&farm);
	}
}

static void a_drained_endpoint_is_never_picked(void **state)
{
	static const uint32_t weights[] = {0, 1, 0, 3, 0, 2, 0};
	(void)state;
	for (int b = 0; b < 2; b++) {
		unsigned counts[7];
		struct farm farm;
		farm_init(&farm, both[b], 7, weights);
		farm_pick_many(&farm, 6000, counts);
		for (int i = 0; i < 7; i++)
			assert_int_equal(counts[i] == 0, weights[i] == 0);
		assert_int_equal(counts[1] + counts[3] + counts[5], 6000);
		farm_fini(&farm);
	}
}

static void a_tried_endpoint_is_skipped_while_another_is_left(void **state)
{
	static const uint32_t weights[] = {1000, 1, 1, 0};
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		farm_init(&farm, both[b], 4, weights);
		for (int round = 0; round < 200; round++) {
			uint32_t tried[4];
			bool seen[4] = {false};
			farm.view.tried = tried;
			farm.view.tried_count = 0;
			for (int i = 0; i < 3; i++) {
				const struct endpoint *endpoint = farm_pick(&farm);
				assert_non_null(endpoint);
				long index = endpoint - farm.service.endpoints;
				assert_false(seen[index]);
				seen[index] = true;
				tried[farm.view.tried_count++] = endpoint->id;
			}
			assert_null(farm_pick(&farm));
		}
		farm_fini(&farm);
	}
}

static void a_tried_endpoint_of_two_leaves_the_other(void **state)
{
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		uint32_t tried = 10;
		farm_init(&farm, both[b], 2, NULL);
		farm.view.tried = &tried;
		farm.view.tried_count = 1;
		for (int i = 0; i < 100; i++)
			assert_int_equal(farm_pick(&farm)->id, 11);
		farm_fini(&farm);
	}
}

/* Ids past the table, when it could not grow, count as idle. */
static void a_short_table_of_loads_is_enough(void **state)
{
	unsigned counts[8];
	(void)state;
	for (int b = 0; b < 2; b++) {
		struct farm farm;
		farm_init(&farm, both[b], 8, NULL);
		farm.view.load_count = 12;
		farm_pick_many(&farm, 8000, counts);
		for (int i = 0; i < 8; i++)
			assert_near(counts[i], 1000, 0.2);
		farm.view.loads = NULL;
		farm.view.load_count = 0;
		assert_non_null(farm_pick(&farm));
		farm_fini(&farm);
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t cost_ns(enum balancer balancer, uint32_t count)
{
	struct farm farm;
	uint64_t least = UINT64_MAX;
	farm_init(&farm, balancer, count, NULL);
	for (int round = 0; round < 5; round++) {
		uint64_t before = cpu_ns();
		for (int i = 0; i < 20000; i++)
			assert_non_null(farm_pick(&farm));
		uint64_t cost = cpu_ns() - before;
		least = cost < least ? cost : least;
	}
	farm_fini(&farm);
	return least;
}

/* A search would cost a thousand times as much. */
static void ten_thousand_equal_endpoints_cost_what_ten_cost(void **state)
{
	(void)state;
	for (int b = 0; b < 2; b++)
		assert_true(cost_ns(both[b], 10000) < 20 * cost_ns(both[b], 10) + 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_endpoint_is_null),
		cmocka_unit_test(only_drained_endpoints_are_null),
		cmocka_unit_test(one_endpoint_is_always_picked),
		cmocka_unit_test(a_drained_endpoint_is_never_picked),
		cmocka_unit_test(a_tried_endpoint_is_skipped_while_another_is_left),
		cmocka_unit_test(a_tried_endpoint_of_two_leaves_the_other),
		cmocka_unit_test(a_short_table_of_loads_is_enough),
		cmocka_unit_test(ten_thousand_equal_endpoints_cost_what_ten_cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
