/* What a worker remembers: over snapshots, and not over the end of its endpoint. */
#include "base/mem.h"
#include "farm.h"

/* The service as the builder would make it when its endpoint at `index` left and another came that
 * got the same id. */
static void replace(struct farm *farm, uint32_t index)
{
	farm->service.endpoints[index].birth = ++farm->births;
	farm_arrange(farm);
}

static void a_load_survives_a_snapshot(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 3, NULL);
	farm_pick(&farm);
	struct balance_attempt attempt = farm_begin(&farm, 1);
	farm_load(&farm, 2, 2);
	farm.service.endpoints[0].weight = 7;
	farm_arrange(&farm);
	farm_pick(&farm);
	assert_int_equal(farm_active(&farm, 1), 1);
	farm.request.now_ns += 5000;
	farm_end(&farm, &attempt);
	assert_int_equal(farm_active(&farm, 1), 0);
	const struct endpoint_load *load =
		balances_load(&farm.balances, &farm.service.endpoints[1]);
	assert_true(load->cost_ns == 5000);
	assert_int_equal(farm.balances.states[1]->tallies[TIER_ALL].active, 2);
	farm_fini(&farm);
}

static void an_id_that_another_gets_begins_anew(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 3, NULL);
	struct balance_attempt old = farm_begin(&farm, 1);
	struct balance_attempt last = farm_begin(&farm, 1);
	farm_eject(&farm, 1, true);
	replace(&farm, 1);
	assert_int_equal(farm_active(&farm, 1), 0);
	assert_int_equal(balance_available(&farm.balances, &farm.service), 3);
	farm_end(&farm, &old); /* before the new one is known */
	struct balance_attempt new = farm_begin(&farm, 1);
	farm_end(&farm, &last);
	assert_int_equal(farm_active(&farm, 1), 1);
	assert_int_equal(farm.balances.states[1]->tallies[TIER_ALL].active, 1);
	farm_end(&farm, &new);
	farm_end(&farm, &new); /* a second end is none */
	assert_int_equal(balances_active(&farm.balances), 0);
	farm_fini(&farm);
}

static void an_attempt_ends_after_its_endpoint_left(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_LEAST, 4, NULL);
	farm_pick(&farm);
	struct balance_attempt attempt = farm_begin(&farm, 3);
	farm.service.endpoint_count = 3;
	farm_arrange(&farm);
	farm_pick(&farm);
	assert_int_equal(farm.balances.states[1]->tallies[TIER_ALL].active, 0);
	farm_end(&farm, &attempt);
	assert_int_equal(farm.balances.states[1]->tallies[TIER_ALL].active, 0);
	farm_fini(&farm);
}

/* The heap of the version before knows loads that were dropped with their page. */
static void attempts_end_before_the_first_pick_of_a_new_version(void **state)
{
	struct balance_attempt attempts[40];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_LEAST, 200, NULL);
	for (uint32_t i = 0; i < 40; i++)
		attempts[i] = farm_begin(&farm, farm_index(&farm, farm_pick(&farm)) % 40);
	farm.service.endpoint_count = 40;
	farm_arrange(&farm);
	for (uint32_t i = 0; i < 40; i++)
		farm_end(&farm, &attempts[i]);
	assert_int_equal(balances_active(&farm.balances), 0);
	assert_non_null(farm_pick(&farm));
	farm_fini(&farm);
}

static void an_attempt_may_begin_again(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 2, NULL);
	struct balance_attempt attempt = farm_begin(&farm, 0);
	farm_end(&farm, &attempt);
	balance_begin(&farm.balances, &attempt, farm.request.now_ns);
	assert_int_equal(farm_active(&farm, 0), 1);
	farm_end(&farm, &attempt);
	assert_int_equal(farm_active(&farm, 0), 0);
	farm_fini(&farm);
}

/* Pages of 64 ids and states go when nobody has the ids any more, and memory is made only for what
 * is used. */
static void what_is_gone_is_dropped(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 1000, NULL);
	long before = mem_live();
	struct balance_attempt attempt = farm_begin(&farm, 999);
	assert_int_equal(mem_live() - before, 2); /* a page and a state */
	farm.service.endpoint_count = 10;
	farm_arrange(&farm);
	assert_int_equal(mem_live() - before, 1);
	farm_end(&farm, &attempt);
	farm.snapshot.service_id_limit = 0;
	balances_sweep(&farm.balances, &farm.snapshot);
	assert_int_equal(mem_live() - before, 0);
	farm_fini(&farm);
}

static void a_service_that_another_gets_the_id_of_begins_anew(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_ROUND_ROBIN, 5, NULL);
	assert_int_equal(farm_index(&farm, farm_pick(&farm)), 0);
	assert_int_equal(farm_index(&farm, farm_pick(&farm)), 1);
	farm_arrange(&farm);
	assert_int_equal(farm_index(&farm, farm_pick(&farm)), 2);
	farm.service.birth = ++farm.births;
	farm_arrange(&farm);
	assert_int_equal(farm_index(&farm, farm_pick(&farm)), 0);
	farm_fini(&farm);
}

/* Random lives of endpoints, attempts and snapshots: the tallies are what can be counted. */
static void tallies_are_what_can_be_counted(void **state)
{
	static const enum balancer kinds[] = {BALANCER_EWMA, BALANCER_LEAST, BALANCER_APERTURE};
	(void)state;
	for (size_t k = 0; k < array_count(kinds); k++) {
		struct balance_attempt attempts[64] = {0};
		struct farm farm;
		farm_init(&farm, kinds[k], 200, NULL);
		farm.service.balancing.locality = LOCALITY_NEAR;
		for (int step = 0; step < 20000; step++) {
			uint32_t dice = rng_below(&farm.rng, 1000);
			uint32_t index = rng_below(&farm.rng, farm.service.endpoint_count);
			struct balance_attempt *attempt = &attempts[dice % 64];
			struct endpoint *endpoint = &farm.service.endpoints[index];
			farm.request.now_ns += 1000000;
			if (dice < 5) {
				endpoint->tier = (uint8_t)(TIER_NODE + dice % 3);
				replace(&farm, index);
			} else if (dice < 10) {
				farm.service.endpoint_count = 100 + dice * 10;
				farm_arrange(&farm);
			} else if (dice < 50) {
				farm_eject(&farm, index, dice % 2);
			} else if (attempt->is_open) {
				farm_end(&farm, attempt);
			} else {
				*attempt = farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
			}
			farm_pick(&farm);
			struct balance_tally sums[TIERS] = {0};
			for (uint32_t i = 0; i < farm.service.endpoint_count; i++) {
				const struct endpoint_load *load =
					balances_load(&farm.balances, &farm.service.endpoints[i]);
				if (!load)
					continue;
				sums[TIER_ALL].active += load->active;
				sums[TIER_ALL].ejected += load->is_ejected;
				sums[farm.service.endpoints[i].tier].active += load->active;
				sums[farm.service.endpoints[i].tier].ejected += load->is_ejected;
			}
			assert_memory_equal(sums, farm.balances.states[1]->tallies, sizeof(sums));
		}
		for (int i = 0; i < 64; i++)
			farm_end(&farm, &attempts[i]);
		assert_int_equal(balances_active(&farm.balances), 0);
		farm_fini(&farm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_survives_a_snapshot),
		cmocka_unit_test(an_id_that_another_gets_begins_anew),
		cmocka_unit_test(an_attempt_ends_after_its_endpoint_left),
		cmocka_unit_test(attempts_end_before_the_first_pick_of_a_new_version),
		cmocka_unit_test(an_attempt_may_begin_again),
		cmocka_unit_test(what_is_gone_is_dropped),
		cmocka_unit_test(a_service_that_another_gets_the_id_of_begins_anew),
		cmocka_unit_test(tallies_are_what_can_be_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
