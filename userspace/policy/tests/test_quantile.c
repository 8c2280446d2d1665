/* The estimate against the quantile of what it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/resilience.h"
#include "policy/quantile.h"

#define NS_PER_MS 1000000ull

static double uniform(struct rng *rng)
{
	return ((double)(rng_next(rng) >> 11) + 0.5) * 0x1p-53;
}

/* Exponential with this mean: its quantile q is -mean x ln(1 - q). */
static uint64_t latency_ns(struct rng *rng, double mean_ns)
{
	return (uint64_t)(-mean_ns * log(uniform(rng)));
}

static void observe_many(struct quantile *quantile, struct rng *rng, uint32_t share_ppm,
			 double mean_ns, int count)
{
	for (int i = 0; i < count; i++)
		quantile_observe(quantile, share_ppm, latency_ns(rng, mean_ns));
}

/* Of the samples that follow, the share that lies below the estimate of the moment. */
static double share_below(struct quantile *quantile, struct rng *rng, uint32_t share_ppm)
{
	int below = 0;
	for (int i = 0; i < 20000; i++) {
		uint64_t sample_ns = latency_ns(rng, NS_PER_MS);
		below += sample_ns <= quantile_ns(quantile);
		quantile_observe(quantile, share_ppm, sample_ns);
	}
	return below / 20000.0;
}

static void the_share_lies_below(void **state)
{
	static const uint32_t shares[] = {500000, 900000, 950000, 990000};
	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		struct quantile quantile = {0};
		struct rng rng;
		rng_init(&rng, 7 + i);
		observe_many(&quantile, &rng, shares[i], NS_PER_MS, 2000);
		double share = share_below(&quantile, &rng, shares[i]);
		assert_true(fabs(share - (double)shares[i] / PPM) < 0.01);
	}
}

static void it_says_nothing_of_few(void **state)
{
	struct quantile quantile = {0};
	(void)state;
	for (int i = 0; i < QUANTILE_SAMPLES_LEAST; i++) {
		assert_int_equal(quantile_ns(&quantile), 0);
		quantile_observe(&quantile, 950000, NS_PER_MS);
	}
	assert_true(quantile_ns(&quantile) > 0);
}

static void it_follows_a_change(void **state)
{
	struct quantile quantile = {0};
	struct rng rng;
	(void)state;
	rng_init(&rng, 3);
	observe_many(&quantile, &rng, 950000, NS_PER_MS, 2000);
	double before_ns = (double)quantile_ns(&quantile);
	observe_many(&quantile, &rng, 950000, 10.0 * NS_PER_MS, 500);
	assert_true((double)quantile_ns(&quantile) > 6 * before_ns);
	observe_many(&quantile, &rng, 950000, NS_PER_MS, 2000);
	assert_true((double)quantile_ns(&quantile) < 1.6 * before_ns);
}

/* What was not waited for to its end. */
static void cut_samples_raise_it(void **state)
{
	struct quantile quantile = {0};
	(void)state;
	for (int i = 0; i < QUANTILE_SAMPLES_LEAST; i++)
		quantile_observe(&quantile, 950000, NS_PER_MS);
	uint64_t before_ns = quantile_ns(&quantile);
	quantile_observe_cut(&quantile, 950000, before_ns);
	assert_true(quantile_ns(&quantile) > before_ns);
	assert_true(quantile_ns(&quantile) < 2 * before_ns);
	struct quantile first = {0};
	quantile_observe_cut(&first, 950000, NS_PER_MS);
	assert_int_equal(first.estimate_ns, NS_PER_MS);
}

/* A service stands still: all that is under way is cut off together. */
static void a_thousand_at_once_do_not_run_away_with_it(void **state)
{
	struct quantile quantile = {0};
	(void)state;
	for (int i = 0; i < QUANTILE_SAMPLES_LEAST; i++)
		quantile_observe(&quantile, 950000, NS_PER_MS);
	uint64_t before_ns = quantile_ns(&quantile);
	for (int i = 0; i < 1000; i++)
		quantile_observe_cut(&quantile, 950000, before_ns);
	assert_true(quantile_ns(&quantile) > 19 * before_ns / 10);
	assert_true(quantile_ns(&quantile) < 22 * before_ns / 10);
}

/* Each sample above the estimate is cut off there, as when each is hedged. */
static void it_follows_cut_samples_too(void **state)
{
	struct quantile quantile = {0};
	struct rng rng;
	int below = 0;
	(void)state;
	rng_init(&rng, 11);
	observe_many(&quantile, &rng, 950000, NS_PER_MS / 10.0, 2000);
	for (int i = 0; i < 22000; i++) {
		uint64_t sample_ns = latency_ns(&rng, NS_PER_MS);
		uint64_t estimate_ns = quantile_ns(&quantile);
		below += i >= 2000 && sample_ns <= estimate_ns;
		if (sample_ns > estimate_ns)
			quantile_observe_cut(&quantile, 950000, estimate_ns);
		else
			quantile_observe(&quantile, 950000, sample_ns);
	}
	assert_true(fabs(below / 20000.0 - 0.95) < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_share_lies_below),
		cmocka_unit_test(it_says_nothing_of_few),
		cmocka_unit_test(it_follows_a_change),
		cmocka_unit_test(cut_samples_raise_it),
		cmocka_unit_test(a_thousand_at_once_do_not_run_away_with_it),
		cmocka_unit_test(it_follows_cut_samples_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
