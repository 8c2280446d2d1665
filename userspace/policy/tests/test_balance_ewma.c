#include <math.h>

#include "farm.h"
#include "policy/balance_ewma.h"

#define SECOND_NS 1000000000ull
#define MS_NS     1000000ull

/* linkerd1.md L2, word for word. */
static void a_peak_counts_at_once_and_less_by_and_by(void **state)
{
	struct endpoint_load load = {0};
	(void)state;
	balance_ewma_observe(&load, 5e6, SECOND_NS);
	assert_true(load.cost_ns == 5e6);
	balance_ewma_observe(&load, 80e6, 2 * SECOND_NS);
	assert_true(load.cost_ns == 80e6);
	balance_ewma_observe(&load, 10e6, 12 * SECOND_NS);
	double weight = exp(-1); /* 10 s of 10 s */
	assert_near(load.cost_ns, 80e6 * weight + 10e6 * (1 - weight), 1e-9);
}

static void reading_decays_the_cost(void **state)
{
	struct endpoint_load load = {0};
	(void)state;
	balance_ewma_observe(&load, 100e6, SECOND_NS);
	assert_near(balance_ewma_load(&load, 0, 6 * SECOND_NS), 100e6 * exp(-0.5), 1e-9);
	assert_near(balance_ewma_load(&load, 3, 11 * SECOND_NS), 4 * 100e6 * exp(-1), 1e-9);
}

static void an_unknown_one_that_was_asked_is_penalized(void **state)
{
	struct endpoint_load load = {0};
	(void)state;
	assert_true(balance_ewma_load(&load, 0, SECOND_NS) == 0);
	assert_true(balance_ewma_load(&load, 2, SECOND_NS) == 140737488355327.0 + 2);
}

/* Failing fast is not being fast. */
static void a_failed_attempt_costs_a_second(void **state)
{
	struct endpoint_load load = {.cost_ns = 2e6, .stamp_ns = SECOND_NS};
	(void)state;
	balance_ewma_ended(&load, 100, SECOND_NS, BALANCE_FAILED);
	assert_true(load.cost_ns == 1e9);
	balance_ewma_ended(&load, 3 * SECOND_NS, SECOND_NS, BALANCE_FAILED);
	assert_true(load.cost_ns == 3e9);
	balance_ewma_ended(&load, 100, 9 * SECOND_NS, BALANCE_FAILED);
	assert_true(load.cost_ns == 3e9);
}

static void one_that_was_left_counts_only_as_a_peak(void **state)
{
	struct endpoint_load load = {.cost_ns = 2e6, .stamp_ns = SECOND_NS};
	(void)state;
	balance_ewma_ended(&load, MS_NS, 9 * SECOND_NS, BALANCE_LEFT);
	assert_true(load.cost_ns == 2e6);
	balance_ewma_ended(&load, 3 * MS_NS, 9 * SECOND_NS, BALANCE_LEFT);
	assert_true(load.cost_ns == 3e6);
	balance_ewma_ended(&load, SECOND_NS, 9 * SECOND_NS, BALANCE_UNTIMED);
	assert_true(load.cost_ns == 3e6);
}

/* Connects of 0.1 to 2 ms, tunnels that stay: their number decides. */
static void tunnels_are_spread_by_their_number(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 5, NULL);
	for (int i = 0; i < 1000; i++) {
		uint32_t index = farm_index(&farm, farm_pick(&farm));
		struct balance_attempt attempt = farm_begin(&farm, index);
		farm.request.now_ns += 100000 + index * 475000;
		balance_connected(&farm.balances, &attempt, farm.request.now_ns);
		farm.request.now_ns += 100 * MS_NS;
	}
	for (uint32_t i = 0; i < 5; i++)
		assert_near(farm_active(&farm, i), 200, 0.1);
	farm_fini(&farm);
}

/* ---- the experiment of linkerd1.md 1.13 ---- */

#define BACKENDS  11
#define IN_FLIGHT 4096
#define SLOW_FROM 15000 /* ms */
#define SLOW_TO   45000
#define LAST      60000
#define SLOW_MS   2000

struct experiment {
	struct farm farm;
	struct {
		struct balance_attempt attempt;
		uint64_t ends_ms;
	} flights[IN_FLIGHT];
	unsigned count, within, all;
};

static void finish(struct experiment *lab, uint64_t now_ms)
{
	for (unsigned i = 0; i < lab->count;) {
		if (lab->flights[i].ends_ms > now_ms) {
			i++;
			continue;
		}
		farm_end(&lab->farm, &lab->flights[i].attempt);
		lab->flights[i] = lab->flights[--lab->count];
	}
}

/* 5 to 15 ms, but one of them takes 2 s for half of the minute. */
static uint64_t latency_ms(struct experiment *lab, uint32_t index, uint64_t now_ms)
{
	bool is_slow = index == 4 && now_ms >= SLOW_FROM && now_ms < SLOW_TO;
	return is_slow ? SLOW_MS : 5 + rng_below(&lab->farm.rng, 11);
}

/* Share of 60,000 requests, 1000 a second, that are answered within a second. */
static double share_within_a_second(enum balancer balancer, const uint32_t *weights)
{
	struct experiment *lab = calloc(1, sizeof(*lab));
	assert_non_null(lab);
	farm_init(&lab->farm, balancer, BACKENDS, weights);
	for (uint64_t now_ms = 0; now_ms < LAST; now_ms++) {
		lab->farm.request.now_ns = SECOND_NS + now_ms * MS_NS;
		finish(lab, now_ms);
		uint32_t index = farm_index(&lab->farm, farm_pick(&lab->farm));
		uint64_t latency = latency_ms(lab, index, now_ms);
		assert_in_range(lab->count, 0, IN_FLIGHT - 1);
		lab->flights[lab->count].attempt = farm_begin(&lab->farm, index);
		lab->flights[lab->count++].ends_ms = now_ms + latency;
		lab->within += latency <= 1000;
		lab->all++;
	}
	finish(lab, UINT64_MAX);
	assert_int_equal(balances_active(&lab->farm.balances), 0);
	double share = (double)lab->within / lab->all;
	farm_fini(&lab->farm);
	free(lab);
	return share;
}

static void a_slow_backend_gets_next_to_nothing(void **state)
{
	static const uint32_t weights[BACKENDS] = {1, 2, 1, 2, 3, 1, 2, 1, 2, 1, 1};
	(void)state;
	double ewma = share_within_a_second(BALANCER_EWMA, NULL);
	double weighted = share_within_a_second(BALANCER_EWMA, weights);
	double least = share_within_a_second(BALANCER_P2C, NULL);
	double turns = share_within_a_second(BALANCER_ROUND_ROBIN, NULL);
	print_message(
		"within 1 s: ewma %.3f %%, with weights %.3f %%, p2c %.3f %%, "
		"round robin %.3f %%\n",
		100 * ewma, 100 * weighted, 100 * least, 100 * turns);
	assert_true(ewma >= 0.999);
	assert_true(weighted >= 0.998);
	assert_true(least >= 0.99);
	assert_near(turns, 0.955, 0.002);
}

/* Equal speeds that jitter must not shift what the weights say. */
static void weights_are_kept_under_jitter(void **state)
{
	static const uint32_t weights[] = {1, 1, 2, 6};
	struct farm farm;
	unsigned counts[4] = {0};
	(void)state;
	farm_init(&farm, BALANCER_EWMA, 4, weights);
	for (int i = 0; i < 10000; i++) {
		uint32_t index = farm_index(&farm, farm_pick(&farm));
		struct balance_attempt attempt = farm_begin(&farm, index);
		counts[index]++;
		farm.request.now_ns += 5 * MS_NS + rng_below(&farm.rng, 10 * MS_NS);
		farm_end(&farm, &attempt);
	}
	for (int i = 0; i < 4; i++) {
		if (counts[i] + 300 < 1000 * weights[i] || counts[i] > 1000 * weights[i] + 300)
			fail_msg("endpoint %d: %u of 10,000, its weight says %u", i, counts[i],
				 1000 * weights[i]);
	}
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peak_counts_at_once_and_less_by_and_by),
		cmocka_unit_test(reading_decays_the_cost),
		cmocka_unit_test(an_unknown_one_that_was_asked_is_penalized),
		cmocka_unit_test(a_failed_attempt_costs_a_second),
		cmocka_unit_test(one_that_was_left_counts_only_as_a_peak),
		cmocka_unit_test(tunnels_are_spread_by_their_number),
		cmocka_unit_test(a_slow_backend_gets_next_to_nothing),
		cmocka_unit_test(weights_are_kept_under_jitter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
