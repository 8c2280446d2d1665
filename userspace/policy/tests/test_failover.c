/* Is a service up, for alternates? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/failover.h"

#define S 1000000000ull

static const struct failover_rule ten_seconds = {.threshold_ppm = 0, .back_ns = 10 * S};

static void a_service_without_an_endpoint_alive_is_never_good(void **state)
{
	(void)state;
	assert_false(failover_is_good(&ten_seconds, 0, 0));
	assert_false(failover_is_good(&ten_seconds, 0, 10));
	assert_true(failover_is_good(&ten_seconds, 1, 10000));
}

static void the_threshold_is_a_share_of_the_ready_ones(void **state)
{
	const struct failover_rule half = {.threshold_ppm = 500000};
	const struct failover_rule all = {.threshold_ppm = 1000000};
	(void)state;
	assert_true(failover_is_good(&half, 5, 10));
	assert_false(failover_is_good(&half, 4, 10));
	assert_true(failover_is_good(&all, 10, 10));
	assert_false(failover_is_good(&all, 9, 10));
	assert_true(failover_is_good(&all, 1u << 31, 1u << 31));
}

static void it_is_down_at_once_and_up_after_a_while_of_good(void **state)
{
	struct failover failover = {0};
	(void)state;
	assert_true(failover_see(&failover, &ten_seconds, true, 0));
	assert_false(failover_see(&failover, &ten_seconds, false, 1 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 2 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 12 * S - 1));
	assert_true(failover_see(&failover, &ten_seconds, true, 12 * S));
	assert_true(failover_see(&failover, &ten_seconds, true, 13 * S));
}

static void bad_in_between_begins_the_wait_anew(void **state)
{
	struct failover failover = {0};
	(void)state;
	assert_false(failover_see(&failover, &ten_seconds, false, 1 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 2 * S));
	assert_false(failover_see(&failover, &ten_seconds, false, 8 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 9 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 18 * S));
	assert_true(failover_see(&failover, &ten_seconds, true, 19 * S));
}

static void without_a_wait_it_follows_at_once(void **state)
{
	const struct failover_rule at_once = {0};
	struct failover failover = {0};
	(void)state;
	assert_false(failover_see(&failover, &at_once, false, 5));
	assert_true(failover_see(&failover, &at_once, true, 5));
}

static void another_service_with_the_id_begins_anew(void **state)
{
	struct failover failover = {0};
	(void)state;
	assert_false(failover_see(&failover, &ten_seconds, false, 1 * S));
	failover_reset(&failover);
	assert_true(failover_see(&failover, &ten_seconds, true, 1 * S));
}

/* Two workers are one view: the wait that one of them began ends for the other, too. */
static void a_worker_whose_clock_is_behind_waits_as_the_others(void **state)
{
	struct failover failover = {0};
	(void)state;
	assert_false(failover_see(&failover, &ten_seconds, false, 5 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 6 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 6 * S - 1));
	assert_true(failover_see(&failover, &ten_seconds, true, 16 * S));
}

static void looking_tells_nothing(void **state)
{
	struct failover failover = {0};
	(void)state;
	assert_true(failover_shows(&failover, &ten_seconds, true, 0));
	assert_false(failover_shows(&failover, &ten_seconds, false, 0));
	assert_true(failover_shows(&failover, &ten_seconds, true, 0));
	assert_false(failover_see(&failover, &ten_seconds, false, 1 * S));
	assert_false(failover_shows(&failover, &ten_seconds, true, 2 * S));
	assert_false(failover_see(&failover, &ten_seconds, true, 5 * S));
	assert_false(failover_shows(&failover, &ten_seconds, true, 14 * S));
	assert_true(failover_shows(&failover, &ten_seconds, true, 15 * S));
	assert_false(failover_shows(&failover, &ten_seconds, false, 15 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_without_an_endpoint_alive_is_never_good),
		cmocka_unit_test(the_threshold_is_a_share_of_the_ready_ones),
		cmocka_unit_test(it_is_down_at_once_and_up_after_a_while_of_good),
		cmocka_unit_test(bad_in_between_begins_the_wait_anew),
		cmocka_unit_test(without_a_wait_it_follows_at_once),
		cmocka_unit_test(another_service_with_the_id_begins_anew),
		cmocka_unit_test(a_worker_whose_clock_is_behind_waits_as_the_others),
		cmocka_unit_test(looking_tells_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
