#include "farm.h"

/* Against a search of all, with random attempts, ejections and changes. */
static void none_is_less_busy_than_the_one_picked(void **state)
{
	static const uint32_t alike[40] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					   1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	struct balance_attempt attempts[100] = {0};
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_LEAST, 40, alike);
	for (int step = 0; step < 20000; step++) {
		uint32_t dice = rng_below(&farm.rng, 1000);
		struct balance_attempt *attempt = &attempts[rng_below(&farm.rng, 100)];
		if (dice < 20)
			farm_eject(&farm, dice, step % 2);
		else if (dice < 25)
			farm_arrange(&farm);
		else if (attempt->is_open)
			farm_end(&farm, attempt);
		uint32_t index = farm_index(&farm, farm_pick(&farm));
		uint32_t least = UINT32_MAX;
		for (uint32_t i = 0; i < 40; i++) {
			const struct endpoint_load *load =
				balances_load(&farm.balances, &farm.service.endpoints[i]);
			if (!load->is_ejected && load->active < least)
				least = load->active;
		}
		assert_int_equal(farm_active(&farm, index), least);
		if (!attempt->is_open)
			*attempt = farm_begin(&farm, index);
	}
	farm_fini(&farm);
}

static void busy_ones_serve_in_proportion_to_their_weights(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 10};
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_LEAST, 4, weights);
	for (int i = 0; i < 16000; i++)
		farm_begin(&farm, farm_index(&farm, farm_pick(&farm)));
	for (uint32_t i = 0; i < 4; i++)
		assert_near(farm_active(&farm, i), 1000.0 * weights[i], 0.01);
	farm_fini(&farm);
}

/* Whoever was busy for long has no turns saved up. */
static void nobody_catches_up(void **state)
{
	unsigned counts[4];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_LEAST, 4, NULL);
	struct balance_attempt attempt = farm_begin(&farm, 0);
	farm_pick(&farm);
	farm_end(&farm, &attempt);
	attempt = farm_begin(&farm, 0);
	farm_pick_many(&farm, 3000, counts);
	assert_int_equal(counts[0], 0);
	farm_end(&farm, &attempt);
	farm_pick_many(&farm, 400, counts);
	assert_in_range(counts[0], 90, 110);
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_less_busy_than_the_one_picked),
		cmocka_unit_test(busy_ones_serve_in_proportion_to_their_weights),
		cmocka_unit_test(nobody_catches_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
