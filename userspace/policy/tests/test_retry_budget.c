#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "policy/retry_budget.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
#define START_NS  (1000 * NS_PER_S)

static const struct budget_rule usual = {
	.ttl_ns = 10 * NS_PER_S, .min_per_second = 10, .share_ppm = 200000};
static const struct budget_rule no_reserve = {
	.ttl_ns = 10 * NS_PER_S, .min_per_second = 0, .share_ppm = 200000};

static unsigned withdraw_all(struct retry_budget *budget, const struct budget_rule *rule,
			     uint64_t now_ns)
{
	unsigned count = 0;
	while (count < 100000 && retry_budget_withdraw(budget, rule, now_ns))
		count++;
	return count;
}

static void the_reserve_is_there_from_the_start(void **state)
{
	struct retry_budget budget = {0};
	(void)state;
	assert_int_equal(retry_budget_balance(&budget, &usual, START_NS), 100);
	assert_int_equal(withdraw_all(&budget, &usual, START_NS), 100);
	assert_int_equal(retry_budget_balance(&budget, &usual, START_NS), 0);
}

static void five_requests_pay_for_one_retry(void **state)
{
	struct retry_budget budget = {0};
	(void)state;
	for (int i = 0; i < 4; i++)
		retry_budget_deposit(&budget, &no_reserve, START_NS);
	assert_false(retry_budget_withdraw(&budget, &no_reserve, START_NS));
	retry_budget_deposit(&budget, &no_reserve, START_NS);
	assert_true(retry_budget_withdraw(&budget, &no_reserve, START_NS));
	assert_false(retry_budget_withdraw(&budget, &no_reserve, START_NS));
}

static void deposits_are_forgotten_after_the_ttl(void **state)
{
	struct retry_budget budget = {0};
	(void)state;
	for (int i = 0; i < 50; i++)
		retry_budget_deposit(&budget, &no_reserve, START_NS);
	assert_int_equal(retry_budget_balance(&budget, &no_reserve, START_NS + 9 * NS_PER_S), 10);
	assert_int_equal(retry_budget_balance(&budget, &no_reserve, START_NS + 10 * NS_PER_S), 0);
	/* a slot that is used again does not have what was in it */
	retry_budget_deposit(&budget, &no_reserve, START_NS + 10 * NS_PER_S);
	assert_false(retry_budget_withdraw(&budget, &no_reserve, START_NS + 10 * NS_PER_S));
}

/* A withdrawal is a negative amount of its slice, and is forgotten too. */
static void withdrawals_heal_after_the_ttl(void **state)
{
	struct retry_budget budget = {0};
	(void)state;
	assert_int_equal(withdraw_all(&budget, &usual, START_NS), 100);
	assert_int_equal(withdraw_all(&budget, &usual, START_NS + 9 * NS_PER_S), 0);
	assert_int_equal(withdraw_all(&budget, &usual, START_NS + 10 * NS_PER_S), 100);
}

/* Deposits older than the withdrawal that they paid for leave a debt. */
static void the_balance_may_be_negative(void **state)
{
	struct retry_budget budget = {0};
	(void)state;
	for (int i = 0; i < 10; i++)
		retry_budget_deposit(&budget, &no_reserve, START_NS);
	assert_int_equal(withdraw_all(&budget, &no_reserve, START_NS + 5 * NS_PER_S), 2);
	assert_int_equal(retry_budget_balance(&budget, &no_reserve, START_NS + 12 * NS_PER_S), -2);
}

static void the_price_is_rounded_down(void **state)
{
	/* 1000 / 0.3 = 3333: after 10 requests three retries, and one token is left over */
	static const struct budget_rule rule = {.ttl_ns = 10 * NS_PER_S, .share_ppm = 300000};
	struct retry_budget budget = {0};
	(void)state;
	for (int i = 0; i < 10; i++)
		retry_budget_deposit(&budget, &rule, START_NS);
	assert_int_equal(withdraw_all(&budget, &rule, START_NS), 3);
}

static void more_than_one_retry_per_request(void **state)
{
	/* percentCanRetry 1000: W = 1 */
	static const struct budget_rule rule = {.ttl_ns = NS_PER_S, .share_ppm = 1000 * PPM};
	struct retry_budget budget = {0};
	(void)state;
	retry_budget_deposit(&budget, &rule, START_NS);
	assert_int_equal(withdraw_all(&budget, &rule, START_NS), 1000);
}

static void share_zero_leaves_the_reserve(void **state)
{
	static const struct budget_rule rule = {.ttl_ns = 10 * NS_PER_S, .min_per_second = 2};
	struct retry_budget budget = {0};
	(void)state;
	for (int i = 0; i < 1000; i++)
		retry_budget_deposit(&budget, &rule, START_NS);
	assert_int_equal(withdraw_all(&budget, &rule, START_NS), 20);
}

static void nothing_is_no_retry(void **state)
{
	static const struct budget_rule rule = {.ttl_ns = 10 * NS_PER_S};
	struct retry_budget budget = {0};
	(void)state;
	retry_budget_deposit(&budget, &rule, START_NS);
	assert_int_equal(withdraw_all(&budget, &rule, START_NS), 0);
	assert_int_equal(retry_budget_balance(&budget, &rule, START_NS), 0);
}

static void budgets_are_independent(void **state)
{
	struct retry_budget one = {0};
	struct retry_budget other = {0};
	(void)state;
	assert_int_equal(withdraw_all(&one, &usual, START_NS), 100);
	assert_int_equal(withdraw_all(&other, &usual, START_NS), 100);
}

/* ---- many workers ---- */

#define THREADS  4
#define DEPOSITS 20000

static struct retry_budget shared;
static unsigned taken[THREADS];

static void *deposit_and_withdraw(void *argument)
{
	unsigned *count = argument;
	for (int i = 0; i < DEPOSITS; i++) {
		retry_budget_deposit(&shared, &no_reserve, START_NS);
		*count += retry_budget_withdraw(&shared, &no_reserve, START_NS);
	}
	return NULL;
}

static void no_deposit_is_lost_between_workers(void **state)
{
	pthread_t threads[THREADS];
	unsigned sum = 0;
	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, deposit_and_withdraw, &taken[i]),
				 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += taken[i];
	}
	sum += withdraw_all(&shared, &no_reserve, START_NS);
	/* at most one too many for each further worker */
	assert_in_range(sum, THREADS * DEPOSITS / 5, THREADS * DEPOSITS / 5 + THREADS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reserve_is_there_from_the_start),
		cmocka_unit_test(five_requests_pay_for_one_retry),
		cmocka_unit_test(deposits_are_forgotten_after_the_ttl),
		cmocka_unit_test(withdrawals_heal_after_the_ttl),
		cmocka_unit_test(the_balance_may_be_negative),
		cmocka_unit_test(the_price_is_rounded_down),
		cmocka_unit_test(more_than_one_retry_per_request),
		cmocka_unit_test(share_zero_leaves_the_reserve),
		cmocka_unit_test(nothing_is_no_retry),
		cmocka_unit_test(budgets_are_independent),
		cmocka_unit_test(no_deposit_is_lost_between_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
