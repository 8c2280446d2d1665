/* Slow start and locality, which go with most balancers. */
#include "farm.h"

#define SECOND_NS 1000000000ull

static const enum balancer kinds[] = {BALANCER_EWMA, BALANCER_P2C, BALANCER_ROUND_ROBIN,
				      BALANCER_RANDOM, BALANCER_LEAST};

/* ---- slow start ---- */

/* Share of picks, each of which takes no time, of the last of ten endpoints, `seconds` after it
 * joined; relative to a full share. */
static double share_of_new(struct farm *farm, unsigned seconds)
{
	unsigned counts[10];
	farm->service.endpoints[9].ready_ns = 1000 * SECOND_NS;
	farm->request.now_ns = (1000 + seconds) * SECOND_NS;
	farm_pick_many(farm, 30000, counts);
	return counts[9] / ((30000.0 - counts[9]) / 9);
}

static void a_new_endpoint_warms_up_linearly(void **state)
{
	static const struct {
		unsigned seconds;
		double share;
	} points[] = {{0, 0.1}, {3, 0.1}, {15, 0.25}, {30, 0.5}, {45, 0.75}, {60, 1}, {600, 1}};
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		struct farm farm;
		farm_init(&farm, kinds[k], 10, NULL);
		farm.service.balancing.slow_start_ns = 60 * SECOND_NS;
		for (size_t i = 0; i < array_count(points); i++) {
			double share = share_of_new(&farm, points[i].seconds);
			if (share < points[i].share * 0.85 || share > points[i].share * 1.15)
				fail_msg("balancer %d after %u s: %.3f of a share, not %.2f",
					 kinds[k], points[i].seconds, share, points[i].share);
		}
		farm_fini(&farm);
	}
}

static void without_the_key_there_is_no_slow_start(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 10, NULL);
	assert_near(share_of_new(&farm, 0), 1, 0.1);
	farm_fini(&farm);
}

static void endpoints_that_are_all_new_share_the_traffic(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		unsigned counts[5];
		struct farm farm;
		farm_init(&farm, kinds[k], 5, NULL);
		farm.service.balancing.slow_start_ns = 60 * SECOND_NS;
		farm.request.now_ns = 100 * SECOND_NS;
		for (int i = 0; i < 5; i++)
			farm.service.endpoints[i].ready_ns = 99 * SECOND_NS;
		farm_pick_many(&farm, 10000, counts);
		for (int i = 0; i < 5; i++)
			assert_near(counts[i], 2000, 0.2);
		farm_fini(&farm);
	}
}

/* ---- locality ---- */

/* Two on this node, three in this zone, five elsewhere. */
static void open_near(struct farm *farm, enum balancer balancer)
{
	farm_init(farm, balancer, 10, NULL);
	farm->service.balancing.locality = LOCALITY_NEAR;
	for (int i = 0; i < 10; i++)
		farm->service.endpoints[i].tier = i < 2 ? TIER_NODE : i < 5 ? TIER_ZONE : TIER_FAR;
	farm_arrange(farm);
}

static unsigned sum(const unsigned *counts, int from, int to)
{
	unsigned all = 0;
	for (int i = from; i < to; i++)
		all += counts[i];
	return all;
}

static void near_ones_are_taken(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		unsigned counts[10];
		struct farm farm;
		open_near(&farm, kinds[k]);
		farm_pick_many(&farm, 1000, counts);
		assert_int_equal(sum(counts, 0, 2), 1000);
		assert_near(counts[0], 500, 0.15);
		farm_fini(&farm);
	}
}

/* As many are ejected, so much goes further: all is taken by 1/1.4 of a tier, less by fewer. */
static void what_ejected_ones_leave_spills_over(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		unsigned counts[10];
		struct farm farm;
		open_near(&farm, kinds[k]);
		farm_eject(&farm, 0, true);
		farm_pick_many(&farm, 10000, counts);
		assert_int_equal(counts[0], 0);
		assert_near(counts[1], 7000, 0.05);
		assert_near(sum(counts, 2, 5), 3000, 0.1);
		farm_eject(&farm, 1, true);
		farm_pick_many(&farm, 10000, counts);
		assert_int_equal(sum(counts, 2, 5), 10000);
		farm_fini(&farm);
	}
}

static void overloaded_ones_spill_over(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		struct farm farm;
		open_near(&farm, kinds[k]);
		farm.service.balancing.near_limit = 10;
		for (int i = 0; i < 60; i++)
			farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
		assert_int_equal(farm_active(&farm, 0) + farm_active(&farm, 1), 20);
		assert_int_equal(
			farm_active(&farm, 2) + farm_active(&farm, 3) + farm_active(&farm, 4), 30);
		for (int i = 0; i < 1000; i++) /* beyond everybody's limit: all share */
			farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
		assert_true(farm_active(&farm, 0) > 50);
		farm_fini(&farm);
	}
}

static void near_ones_that_were_tried_are_not_all(void **state)
{
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		uint32_t tried[] = {FARM_FIRST_ID, FARM_FIRST_ID + 1};
		struct farm farm;
		open_near(&farm, kinds[k]);
		farm.request.tried = tried;
		farm.request.tried_count = 2;
		for (int i = 0; i < 100; i++)
			assert_in_range(farm_index(&farm, farm_pick(&farm)), 2, 9);
		farm_fini(&farm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_endpoint_warms_up_linearly),
		cmocka_unit_test(without_the_key_there_is_no_slow_start),
		cmocka_unit_test(endpoints_that_are_all_new_share_the_traffic),
		cmocka_unit_test(near_ones_are_taken),
		cmocka_unit_test(what_ejected_ones_leave_spills_over),
		cmocka_unit_test(overloaded_ones_spill_over),
		cmocka_unit_test(near_ones_that_were_tried_are_not_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
