/* Published experiments, replayed with a virtual clock (linkerd1.md 1.14 and 1.15). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/breaker.h"
#include "policy/classify.h"
#include "policy/retry_budget.h"

#define MS       1000000ull
#define S        (1000 * MS)
#define START_NS (1000 * S)

static double random_share(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) / 9007199254740992.0;
}

/* ---- retries ---- */

struct retry_run {
	unsigned requests;
	unsigned succeeded;
	unsigned attempts;
};

/* `rps` read requests a second for `seconds`, after a first `settle` seconds that do not count. */
static struct retry_run run_retries(double failing, unsigned rps, unsigned settle, unsigned seconds)
{
	static const struct budget_rule rule = {
		.ttl_ns = 10 * S, .min_per_second = 10, .share_ppm = 200000};
	struct retry_budget budget = {0};
	struct retry_run run = {0};
	struct rng rng;
	rng_init(&rng, 11);
	for (unsigned i = 0; i < rps * (settle + seconds); i++) {
		uint64_t now_ns = START_NS + i * S / rps;
		struct attempt_end end = {.method = METHOD_READ};
		struct verdict verdict;
		unsigned attempts = 0;
		retry_budget_deposit(&budget, &rule, now_ns);
		do {
			attempts++;
			end.status = random_share(&rng) < failing ? 503 : 200;
			verdict = classify(CLASSIFIER_RETRYABLE_READ_5XX, &end);
		} while (verdict.is_retryable && attempts < 5 &&
			 retry_budget_withdraw(&budget, &rule, now_ns));
		if (i < rps * settle)
			continue;
		run.requests++;
		run.attempts += attempts;
		run.succeeded += !verdict.is_failure;
	}
	return run;
}

static void one_in_ten_fails(void **state)
{
	(void)state;
	struct retry_run run = run_retries(0.1, 100, 0, 100);
	print_message("10 %% failing: %.3f %% succeed, %.1f %% extra load\n",
		      100.0 * run.succeeded / run.requests,
		      100.0 * (run.attempts - run.requests) / run.requests);
	assert_true(run.succeeded >= 0.999 * run.requests);
	assert_true(run.attempts - run.requests <= 0.2 * run.requests + 10 * 100);
}

static void everything_fails(void **state)
{
	(void)state;
	struct retry_run run = run_retries(1.0, 100, 20, 100);
	double extra_rps = (run.attempts - run.requests) / 100.0;
	print_message("100 %% failing: %.1f extra requests/s at 100/s\n", extra_rps);
	assert_int_equal(run.succeeded, 0);
	assert_true(extra_rps <= 0.2 * 100 + 10 + 0.5);
	assert_true(extra_rps >= 0.9 * (0.2 * 100 + 10));
}

/* ---- breakers ---- */

#define REPLICAS 5
#define BAD      0 /* 60 % success, failures take 100 ms longer */
#define FLIGHT   4096

struct flight {
	uint64_t ends_ns;
	unsigned replica;
	bool failed;
};

struct farm {
	struct breaker breakers[REPLICAS];
	struct breaker_group group;
	unsigned active[REPLICAS];
	struct flight flights[FLIGHT];
	unsigned count;
	const struct breaker_rule *rule;
	struct rng rng;
};

static void land(struct farm *farm, uint64_t now_ns)
{
	for (unsigned i = 0; i < farm->count;) {
		struct flight *flight = &farm->flights[i];
		if (flight->ends_ns > now_ns) {
			i++;
			continue;
		}
		farm->active[flight->replica]--;
		breaker_tell(&farm->breakers[flight->replica], &farm->group, farm->rule, REPLICAS,
			     flight->failed ? BREAKER_FAILED : BREAKER_SUCCEEDED, flight->ends_ns,
			     &farm->rng);
		*flight = farm->flights[--farm->count];
	}
}

static unsigned draw(struct farm *farm)
{
	for (;;) {
		unsigned replica = rng_below(&farm->rng, REPLICAS);
		if (breaker_admits(&farm->breakers[replica]))
			return replica;
	}
}

/* Two choices on least requests, as the balancer does. */
static unsigned pick(struct farm *farm, uint64_t now_ns)
{
	if (breaker_group_is_due(&farm->group, now_ns)) {
		breaker_group_look(&farm->group);
		for (unsigned i = 0; i < REPLICAS; i++)
			breaker_wake(&farm->breakers[i], &farm->group, now_ns);
	}
	unsigned one = draw(farm);
	unsigned other = draw(farm);
	unsigned replica = farm->active[other] < farm->active[one] ? other : one;
	breaker_take_probe(&farm->breakers[replica], &farm->group, farm->rule, now_ns);
	return replica;
}

/* 100 requests a second for ten minutes; the share that succeeds. */
static double run_breaker(const struct breaker_rule *rule)
{
	struct farm *farm = calloc(1, sizeof(*farm));
	unsigned succeeded = 0;
	unsigned requests = 60000;
	assert_non_null(farm);
	farm->rule = rule;
	rng_init(&farm->rng, 5);
	for (unsigned i = 0; i < requests; i++) {
		uint64_t now_ns = START_NS + i * 10 * MS;
		land(farm, now_ns);
		unsigned replica = pick(farm, now_ns);
		bool failed = replica == BAD && random_share(&farm->rng) < 0.4;
		double latency_ns = -log(1 - random_share(&farm->rng)) * 20e6;
		assert_in_range(farm->count, 0, FLIGHT - 1);
		farm->flights[farm->count++] = (struct flight){
			.ends_ns = now_ns + (uint64_t)latency_ns + (failed ? 100 * MS : 0),
			.replica = replica,
			.failed = failed,
		};
		farm->active[replica]++;
		succeeded += !failed;
	}
	free(farm);
	return 100.0 * succeeded / requests;
}

static void the_three_policies(void **state)
{
	struct breaker_rule rule = {
		.kind = BREAKER_NONE,
		.failures = 5,
		.success_ppm = 900000,
		.requests = 20,
		.removed_most_ppm = PPM / 2,
		.backoff = {.kind = BACKOFF_CONSTANT, .least_ns = 10 * S, .most_ns = 10 * S},
	};
	(void)state;
	double none = run_breaker(&rule);
	rule.kind = BREAKER_CONSECUTIVE_FAILURES;
	double in_a_row = run_breaker(&rule);
	rule.kind = BREAKER_SUCCESS_RATE;
	double by_rate = run_breaker(&rule);
	print_message("success: none %.2f %%, five in a row %.2f %%, rate %.2f %%\n", none,
		      in_a_row, by_rate);
	assert_true(none > 93.5 && none < 96.5);
	assert_true(in_a_row > 96 && in_a_row < 98.5);
	assert_true(by_rate > 98.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_in_ten_fails),
		cmocka_unit_test(everything_fails),
		cmocka_unit_test(the_three_policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
