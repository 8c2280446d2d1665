#include "farm.h"

#define SECOND_NS 1000000000ull
#define MOST      1024

/* `flights` attempts in flight at all times, each of 100 ms, for so many seconds: how many
 * endpoints are in the window, and how many get work in the last 5 s. */
static uint32_t run(struct farm *farm, uint32_t flights, unsigned seconds, uint32_t *ret_used)
{
	struct balance_attempt attempts[MOST] = {0};
	bool seen[MOST] = {false};
	uint64_t step_ns = SECOND_NS / 10 / flights;
	uint64_t end_ns = farm->request.now_ns + seconds * SECOND_NS;
	for (uint32_t i = 0; farm->request.now_ns < end_ns; i = (i + 1) % flights) {
		uint32_t index;
		farm_end(farm, &attempts[i]);
		index = farm_index(farm, farm_pick(farm));
		attempts[i] = farm_begin(farm, index);
		farm->request.now_ns += step_ns;
		if (farm->request.now_ns + 5 * SECOND_NS > end_ns)
			seen[index] = true;
	}
	for (uint32_t i = 0; i < flights; i++)
		farm_end(farm, &attempts[i]);
	*ret_used = 0;
	for (int i = 0; i < MOST; i++)
		*ret_used += seen[i];
	return farm->balances.states[1]->aperture.size;
}

/* Between low load 0.5 and high load 2 per endpoint. */
static void it_is_as_wide_as_the_load_needs(void **state)
{
	uint32_t used;
	(void)state;
	for (uint32_t flights = 4; flights <= 256; flights *= 4) {
		struct farm farm;
		farm_init(&farm, BALANCER_APERTURE, 1000, NULL);
		uint32_t size = run(&farm, flights, 60, &used);
		assert_in_range(size, flights / 2 - 1, 2 * flights);
		assert_in_range(used, size - size / 8 - 1, size + 2);
		farm_fini(&farm);
	}
}

static void it_narrows_when_the_load_is_gone(void **state)
{
	uint32_t used;
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_APERTURE, 1000, NULL);
	assert_in_range(run(&farm, 200, 60, &used), 99, 400);
	assert_in_range(run(&farm, 2, 60, &used), 1, 4);
	farm_fini(&farm);
}

static void it_is_never_wider_than_the_endpoints(void **state)
{
	uint32_t used;
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_APERTURE, 3, NULL);
	run(&farm, 200, 60, &used);
	assert_int_equal(used, 3);
	farm.service.endpoint_count = 2;
	farm_arrange(&farm);
	run(&farm, 200, 60, &used);
	assert_int_equal(used, 2);
	farm_fini(&farm);
}

/* Each worker begins elsewhere, so that all endpoints get work. */
static void windows_are_spread(void **state)
{
	unsigned counts[10] = {0};
	(void)state;
	for (int worker = 0; worker < 1000; worker++) {
		struct farm farm;
		farm_init(&farm, BALANCER_APERTURE, 10, NULL);
		rng_init(&farm.rng, (uint64_t)worker);
		counts[farm_index(&farm, farm_pick(&farm))]++;
		farm_fini(&farm);
	}
	for (int i = 0; i < 10; i++)
		assert_near(counts[i], 100, 0.4);
}

static void weights_are_kept_in_a_window_round_the_end(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 4};
	unsigned counts[4];
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_APERTURE, 4, weights);
	farm_pick(&farm);
	farm.balances.states[1]->aperture.size = 3;
	farm.balances.states[1]->aperture.offset = 3u << 30;
	farm_pick_many(&farm, 10000, counts);
	assert_near(counts[3], 10000 * 4 / 7.0, 0.04);
	assert_near(counts[0], 10000 * 1 / 7.0, 0.08);
	assert_near(counts[1], 10000 * 2 / 7.0, 0.06);
	assert_int_equal(counts[2], 0);
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_as_wide_as_the_load_needs),
		cmocka_unit_test(it_narrows_when_the_load_is_gone),
		cmocka_unit_test(it_is_never_wider_than_the_endpoints),
		cmocka_unit_test(windows_are_spread),
		cmocka_unit_test(weights_are_kept_in_a_window_round_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
