#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "policy/breaker.h"

#define S        1000000000ull
#define START_NS (1000 * S)

static const struct breaker_rule in_a_row = {
	.kind = BREAKER_CONSECUTIVE_FAILURES,
	.failures = 5,
	.removed_most_ppm = PPM,
	.backoff = {.kind = BACKOFF_EQUAL_JITTERED, .least_ns = 5 * S, .most_ns = 300 * S},
};

struct one {
	struct breaker breaker;
	struct breaker_group group;
	const struct breaker_rule *rule;
	struct rng rng;
	uint64_t now_ns;
};

static void one_init(struct one *one, const struct breaker_rule *rule)
{
	*one = (struct one){.rule = rule, .now_ns = START_NS};
	rng_init(&one->rng, 1);
}

static enum breaker_change tell(struct one *one, enum breaker_outcome outcome)
{
	return breaker_tell(&one->breaker, &one->group, one->rule, 10, outcome, one->now_ns,
			    &one->rng);
}

/* Failures until it is removed, at most `most`. */
static unsigned failures_until_removed(struct one *one, unsigned most)
{
	for (unsigned i = 1; i <= most; i++) {
		if (tell(one, BREAKER_FAILED) == BREAKER_REMOVED)
			return i;
	}
	return 0;
}

static bool wake(struct one *one)
{
	return breaker_wake(&one->breaker, &one->group, one->now_ns);
}

static bool probe(struct one *one)
{
	return breaker_take_probe(&one->breaker, &one->group, one->rule, one->now_ns);
}

static void five_in_a_row_trip(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	for (int i = 0; i < 4; i++)
		assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_SAME);
	assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_SAME);
	assert_true(breaker_admits(&one.breaker));
	assert_int_equal(failures_until_removed(&one, 10), 5);
	assert_false(breaker_admits(&one.breaker));
	assert_int_equal(one.group.removed, 1);
	assert_int_equal(one.group.epoch, 1);
}

static void what_is_not_counted_breaks_no_row(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	for (int i = 0; i < 4; i++)
		tell(&one, BREAKER_FAILED);
	assert_int_equal(tell(&one, BREAKER_NOT_COUNTED), BREAKER_SAME);
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_REMOVED);
}

static void a_probe_that_succeeds_revives(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	failures_until_removed(&one, 5);
	one.now_ns += 5 * S - 1;
	assert_false(breaker_group_is_due(&one.group, one.now_ns));
	assert_false(wake(&one));
	one.now_ns += 1;
	assert_true(breaker_group_is_due(&one.group, one.now_ns));
	breaker_group_look(&one.group);
	assert_true(wake(&one));
	breaker_group_looked(&one.group, 1);
	assert_false(breaker_group_is_due(&one.group, one.now_ns));
	assert_true(breaker_admits(&one.breaker));
	assert_true(probe(&one));
	assert_false(probe(&one)); /* one request, not two */
	assert_false(breaker_admits(&one.breaker));
	assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_REVIVED);
	assert_true(breaker_admits(&one.breaker));
	assert_int_equal(one.group.removed, 0);
	/* the row begins anew */
	assert_int_equal(failures_until_removed(&one, 10), 5);
	/* and so does the backoff */
	one.now_ns += 5 * S;
	assert_true(wake(&one));
}

static void a_probe_that_fails_waits_longer(void **state)
{
	struct one one;
	uint64_t most_ns[] = {10 * S, 20 * S, 40 * S, 80 * S, 160 * S, 300 * S, 300 * S};
	(void)state;
	one_init(&one, &in_a_row);
	failures_until_removed(&one, 5);
	one.now_ns += 5 * S;
	for (size_t i = 0; i < array_count(most_ns); i++) {
		assert_true(wake(&one));
		assert_true(probe(&one));
		assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_PROBE_AGAIN);
		assert_int_equal(one.group.removed, 1);
		one.now_ns += most_ns[i] / 2 - 1;
		assert_false(wake(&one));
		one.now_ns += most_ns[i] / 2 + 2 * 1000000; /* it counts in milliseconds */
	}
	assert_true(wake(&one));
	assert_true(probe(&one));
	assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_REVIVED);
}

static void a_probe_that_says_nothing_opens_again(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	failures_until_removed(&one, 5);
	one.now_ns += 5 * S;
	assert_true(wake(&one));
	assert_true(probe(&one));
	assert_int_equal(tell(&one, BREAKER_NOT_COUNTED), BREAKER_SAME);
	assert_int_equal(breaker_state(&one.breaker), BREAKER_PROBE_OPEN);
	assert_true(probe(&one));
	/* nobody ever tells */
	one.now_ns += 300 * S + 1000000;
	assert_true(breaker_group_is_due(&one.group, one.now_ns));
	assert_true(wake(&one));
	assert_true(probe(&one));
}

static void people_see_why_and_until_when(void **state)
{
	struct one one;
	char why[BREAKER_WHY_MAX];
	(void)state;
	one_init(&one, &in_a_row);
	tell(&one, BREAKER_FAILED);
	struct breaker_view view = breaker_look(&one.breaker, one.rule);
	assert_string_equal(breaker_state_name(view.state), "closed");
	assert_string_equal(breaker_why(&view, one.rule, why), "1 failure in a row");
	assert_int_equal(failures_until_removed(&one, 10), 4);
	view = breaker_look(&one.breaker, one.rule);
	assert_string_equal(breaker_state_name(view.state), "open");
	assert_string_equal(breaker_why(&view, one.rule, why), "5 failures in a row");
	assert_int_equal(view.until_ns, START_NS + 5 * S);
	assert_int_equal(view.failed_probes, 0);
	one.now_ns = view.until_ns;
	assert_true(wake(&one) && probe(&one));
	view = breaker_look(&one.breaker, one.rule);
	assert_string_equal(breaker_state_name(view.state), "probing");
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_PROBE_AGAIN);
	assert_int_equal(breaker_look(&one.breaker, one.rule).failed_probes, 1);
}

static void people_see_the_success_rate(void **state)
{
	static const struct breaker_rule by_rate = {
		.kind = BREAKER_SUCCESS_RATE, .success_ppm = 1, .requests = 1000};
	struct one one;
	char why[BREAKER_WHY_MAX];
	(void)state;
	one_init(&one, &by_rate);
	struct breaker_view view = breaker_look(&one.breaker, one.rule);
	assert_string_equal(breaker_why(&view, one.rule, why), "");
	tell(&one, BREAKER_FAILED);
	view = breaker_look(&one.breaker, one.rule);
	assert_string_equal(breaker_why(&view, one.rule, why), "success 0.0 %");
}

static void late_answers_do_not_revive_the_dead(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	failures_until_removed(&one, 5);
	assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_SAME);
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_SAME);
	assert_int_equal(breaker_state(&one.breaker), BREAKER_DEAD);
	one.now_ns += 5 * S;
	assert_true(wake(&one));
}

/* ---- success rate ---- */

static const struct breaker_rule by_rate = {
	.kind = BREAKER_SUCCESS_RATE,
	.success_ppm = 900000,
	.requests = 20,
	.removed_most_ppm = PPM,
	.backoff = {.kind = BACKOFF_CONSTANT, .least_ns = 10 * S, .most_ns = 10 * S},
};

static void the_rate_needs_enough_requests(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_rate);
	assert_int_equal(failures_until_removed(&one, 100), 20);
}

/* w = exp(-1/20): from 1.0 the third failure in a row makes 0.861, the second 0.905. */
static void the_average_is_exponential(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_rate);
	for (int i = 0; i < 100; i++)
		assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_SAME);
	assert_int_equal(failures_until_removed(&one, 100), 3);
	/* a revival forgets */
	one.now_ns += 10 * S;
	assert_true(wake(&one));
	assert_true(probe(&one));
	assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_REVIVED);
	assert_int_equal(failures_until_removed(&one, 100), 20);
}

static void only_a_failure_trips(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_rate);
	for (int i = 0; i < 15; i++)
		tell(&one, BREAKER_FAILED);
	for (int i = 0; i < 15; i++)
		assert_int_equal(tell(&one, BREAKER_SUCCEEDED), BREAKER_SAME);
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_REMOVED);
}

static const struct breaker_rule by_window = {
	.kind = BREAKER_SUCCESS_RATE_WINDOWED,
	.success_ppm = 800000,
	.window_ns = 30 * S,
	.removed_most_ppm = PPM,
	.backoff = {.kind = BACKOFF_CONSTANT, .least_ns = 10 * S, .most_ns = 10 * S},
};

static void the_window_must_have_passed(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_window);
	for (int second = 0; second < 30; second++) {
		assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_SAME);
		one.now_ns += S;
	}
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_REMOVED);
}

static void few_requests_in_the_window_say_nothing(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_window);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_SAME);
		one.now_ns += 10 * S; /* three in 30 s */
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_SAME);
	assert_int_equal(tell(&one, BREAKER_FAILED), BREAKER_REMOVED);
}

static void old_failures_fade_with_time(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &by_window);
	for (int i = 0; i < 10; i++)
		tell(&one, BREAKER_FAILED);
	one.now_ns += 120 * S; /* e^-4: 2 % of them is left */
	for (int i = 0; i < 10; i++)
		tell(&one, BREAKER_SUCCEEDED);
	one.now_ns += S;
	assert_int_equal(failures_until_removed(&one, 3), 0);
}

/* ---- the group ---- */

static void at_most_half_are_left_out(void **state)
{
	struct breaker_rule rule = in_a_row;
	struct breaker breakers[5] = {0};
	struct breaker_group group = {0};
	struct rng rng;
	unsigned removed = 0;
	(void)state;
	rng_init(&rng, 1);
	rule.removed_most_ppm = PPM / 2;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5; i++)
			removed += breaker_tell(&breakers[i], &group, &rule, 5, BREAKER_FAILED,
						START_NS, &rng) == BREAKER_REMOVED;
	}
	assert_int_equal(removed, 2);
	assert_int_equal(group.removed, 2);
}

static void an_only_endpoint_is_never_left_out(void **state)
{
	struct breaker_rule rule = in_a_row;
	struct breaker breaker = {0};
	struct breaker_group group = {0};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	rule.removed_most_ppm = PPM / 2;
	for (int i = 0; i < 100; i++)
		assert_int_equal(
			breaker_tell(&breaker, &group, &rule, 1, BREAKER_FAILED, START_NS, &rng),
			BREAKER_SAME);
	assert_true(breaker_admits(&breaker));
}

static void none_never_trips(void **state)
{
	static const struct breaker_rule none = {.kind = BREAKER_NONE, .removed_most_ppm = PPM};
	struct one one;
	(void)state;
	one_init(&one, &none);
	assert_int_equal(failures_until_removed(&one, 1000), 0);
}

static void a_new_endpoint_begins_alive(void **state)
{
	struct one one;
	(void)state;
	one_init(&one, &in_a_row);
	failures_until_removed(&one, 5);
	breaker_reset(&one.breaker);
	assert_true(breaker_admits(&one.breaker));
	assert_int_equal(failures_until_removed(&one, 10), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_in_a_row_trip),
		cmocka_unit_test(what_is_not_counted_breaks_no_row),
		cmocka_unit_test(a_probe_that_succeeds_revives),
		cmocka_unit_test(a_probe_that_fails_waits_longer),
		cmocka_unit_test(a_probe_that_says_nothing_opens_again),
		cmocka_unit_test(people_see_why_and_until_when),
		cmocka_unit_test(people_see_the_success_rate),
		cmocka_unit_test(late_answers_do_not_revive_the_dead),
		cmocka_unit_test(the_rate_needs_enough_requests),
		cmocka_unit_test(the_average_is_exponential),
		cmocka_unit_test(only_a_failure_trips),
		cmocka_unit_test(the_window_must_have_passed),
		cmocka_unit_test(few_requests_in_the_window_say_nothing),
		cmocka_unit_test(old_failures_fade_with_time),
		cmocka_unit_test(at_most_half_are_left_out),
		cmocka_unit_test(an_only_endpoint_is_never_left_out),
		cmocka_unit_test(none_never_trips),
		cmocka_unit_test(a_new_endpoint_begins_alive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
