/* What all balancers promise. */
#include <time.h>

#include "base/mem.h"
#include "farm.h"

static const enum balancer all[] = {
	BALANCER_EWMA,   BALANCER_P2C,   BALANCER_APERTURE, BALANCER_ROUND_ROBIN,
	BALANCER_RANDOM, BALANCER_LEAST, BALANCER_HASH,     BALANCER_CLIENT_IP,
};
#define ALL array_count(all)

static void no_endpoint_is_null(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		farm_init(&farm, all[b], 0, NULL);
		assert_null(farm_pick(&farm));
		farm_fini(&farm);
	}
}

static void only_drained_endpoints_are_null(void **state)
{
	static const uint32_t weights[] = {0, 0, 0};
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		farm_init(&farm, all[b], 3, weights);
		assert_null(farm_pick(&farm));
		farm_fini(&farm);
	}
}

static void one_endpoint_is_always_picked(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		farm_init(&farm, all[b], 1, NULL);
		farm_load(&farm, 0, 1000);
		for (int i = 0; i < 100; i++)
			assert_ptr_equal(farm_pick(&farm), &farm.service.endpoints[0]);
		farm_fini(&farm);
	}
}

/* An aperture and a client's address show others only by and by. */
static void a_drained_endpoint_is_never_picked(void **state)
{
	static const uint32_t weights[] = {0, 1, 0, 3, 0, 2, 0};
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		unsigned counts[7];
		struct farm farm;
		farm_init(&farm, all[b], 7, weights);
		farm_pick_many(&farm, 6000, counts);
		for (int i = 0; i < 7; i++)
			assert_true(weights[i] ? all[b] == BALANCER_APERTURE || counts[i] > 0
					       : counts[i] == 0);
		assert_int_equal(counts[1] + counts[3] + counts[5], 6000);
		farm_fini(&farm);
	}
}

static void a_tried_endpoint_is_skipped_while_another_is_left(void **state)
{
	static const uint32_t weights[] = {1000, 1, 1, 0};
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		farm_init(&farm, all[b], 4, weights);
		for (int round = 0; round < 200; round++) {
			uint32_t tried[4];
			bool seen[4] = {false};
			farm.request.tried = tried;
			farm.request.tried_count = 0;
			for (int i = 0; i < 3; i++) {
				uint32_t index = farm_index(&farm, farm_pick(&farm));
				assert_false(seen[index]);
				seen[index] = true;
				tried[farm.request.tried_count++] = index + FARM_FIRST_ID;
			}
			assert_null(farm_pick(&farm));
		}
		farm_fini(&farm);
	}
}

static void sixteen_tried_ones_of_many_are_skipped(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		uint32_t tried[BALANCE_TRIED_MOST];
		farm_init(&farm, all[b], 17, NULL);
		for (uint32_t i = 0; i < BALANCE_TRIED_MOST; i++)
			tried[i] = FARM_FIRST_ID + i;
		farm.request.tried = tried;
		farm.request.tried_count = BALANCE_TRIED_MOST;
		for (int i = 0; i < 100; i++)
			assert_int_equal(farm_index(&farm, farm_pick(&farm)), 16);
		farm_fini(&farm);
	}
}

static void an_ejected_endpoint_is_not_picked(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		unsigned counts[8];
		struct farm farm;
		farm_init(&farm, all[b], 8, NULL);
		farm_eject(&farm, 2, true);
		farm_eject(&farm, 5, true);
		farm_eject(&farm, 5, true);
		assert_int_equal(balance_available(&farm.balances, &farm.service), 6);
		farm_pick_many(&farm, 4000, counts);
		assert_int_equal(counts[2], 0);
		assert_int_equal(counts[5], 0);
		farm_eject(&farm, 2, false);
		farm_eject(&farm, 5, false);
		assert_int_equal(balance_available(&farm.balances, &farm.service), 8);
		farm_pick_many(&farm, 4000, counts);
		assert_true(all[b] == BALANCER_APERTURE || counts[2] > 0);
		farm_fini(&farm);
	}
}

/* linkerd1.md L7: better an ejected one than none. */
static void an_ejected_endpoint_is_better_than_none(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		struct farm farm;
		uint32_t tried[] = {FARM_FIRST_ID, FARM_FIRST_ID + 1};
		farm_init(&farm, all[b], 3, NULL);
		farm_eject(&farm, 2, true);
		farm.request.tried = tried;
		farm.request.tried_count = 2;
		assert_int_equal(farm_index(&farm, farm_pick(&farm)), 2);
		farm_fini(&farm);
	}
}

static void ejection_is_ignored_in_panic(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		unsigned counts[10];
		struct farm farm;
		farm_init(&farm, all[b], 10, NULL);
		for (uint32_t i = 0; i < 5; i++)
			farm_eject(&farm, i, true);
		farm_pick_many(&farm, 2000, counts);
		for (int i = 0; i < 5; i++)
			assert_int_equal(counts[i], 0); /* a half is not less than 50 % */
		farm_eject(&farm, 5, true);
		farm_pick_many(&farm, 2000, counts);
		unsigned ejected = 0;
		for (int i = 0; i < 6; i++)
			ejected += counts[i];
		if (all[b] != BALANCER_APERTURE)
			assert_near(ejected, 1200, 0.35);
		farm_fini(&farm);
	}
}

/* As random draws can: three standard deviations are 150 of 10,000; turns are exact. */
static void weights_are_kept_while_all_are_alike(void **state)
{
	static const enum balancer weighted[] = {BALANCER_EWMA, BALANCER_P2C, BALANCER_ROUND_ROBIN,
						 BALANCER_RANDOM, BALANCER_LEAST};
	static const uint32_t weights[] = {1, 2, 3, 4, 10};
	(void)state;
	for (size_t b = 0; b < array_count(weighted); b++) {
		unsigned counts[5];
		struct farm farm;
		farm_init(&farm, weighted[b], 5, weights);
		farm_pick_many(&farm, 10000, counts);
		for (int i = 0; i < 5; i++) {
			double wanted = 500.0 * weights[i];
			if (counts[i] < wanted - 100 || counts[i] > wanted + 100)
				fail_msg(
					"balancer %d: endpoint %d was picked %u times, not %g ± "
					"100",
					weighted[b], i, counts[i], wanted);
		}
		farm_fini(&farm);
	}
}

/* The n-th allocation fails: a pick is a draw then, and nothing is lost. */
static void a_pick_needs_no_memory(void **state)
{
	static const uint32_t weights[] = {3, 1, 1, 1};
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		for (unsigned long n = 1; n < 6; n++) {
			struct farm farm;
			farm_init(&farm, all[b], 4, weights);
			mem_fail_nth(n);
			for (int i = 0; i < 10; i++) {
				uint32_t index = farm_index(&farm, farm_pick(&farm));
				struct balance_attempt attempt = farm_begin(&farm, index);
				farm_end(&farm, &attempt);
			}
			mem_fail_nth(0);
			assert_int_equal(balances_active(&farm.balances), 0);
			farm_fini(&farm);
		}
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t cost_ns(enum balancer balancer, uint32_t count, bool has_weights)
{
	static uint32_t weights[10000];
	struct farm farm;
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < count; i++)
		weights[i] = has_weights ? 1 + i % 7 : 1;
	farm_init(&farm, balancer, count, weights);
	assert_non_null(farm_pick(&farm));
	for (int round = 0; round < 5; round++) {
		uint64_t before = cpu_ns();
		for (int i = 0; i < 5000; i++) {
			struct balance_attempt attempt =
				farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
			farm_end(&farm, &attempt);
		}
		uint64_t cost = cpu_ns() - before;
		least = cost < least ? cost : least;
	}
	farm_fini(&farm);
	return least;
}

/* A search would cost a thousand times as much. */
static void ten_thousand_endpoints_cost_what_ten_cost(void **state)
{
	(void)state;
	for (size_t b = 0; b < ALL; b++) {
		for (int weights = 0; weights < 2; weights++) {
			uint64_t few = cost_ns(all[b], 10, weights);
			uint64_t many = cost_ns(all[b], 10000, weights);
			if (many >= 20 * few + 1000000)
				fail_msg("balancer %d: %llu ns for 10 endpoints, %llu for 10,000",
					 all[b], (unsigned long long)few / 5000,
					 (unsigned long long)many / 5000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_endpoint_is_null),
		cmocka_unit_test(only_drained_endpoints_are_null),
		cmocka_unit_test(one_endpoint_is_always_picked),
		cmocka_unit_test(a_drained_endpoint_is_never_picked),
		cmocka_unit_test(a_tried_endpoint_is_skipped_while_another_is_left),
		cmocka_unit_test(sixteen_tried_ones_of_many_are_skipped),
		cmocka_unit_test(an_ejected_endpoint_is_not_picked),
		cmocka_unit_test(an_ejected_endpoint_is_better_than_none),
		cmocka_unit_test(ejection_is_ignored_in_panic),
		cmocka_unit_test(weights_are_kept_while_all_are_alike),
		cmocka_unit_test(a_pick_needs_no_memory),
		cmocka_unit_test(ten_thousand_endpoints_cost_what_ten_cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
