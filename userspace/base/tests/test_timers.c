#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/timers.h"

struct alarm {
	struct timer timer;
	struct timers *timers;
	uint64_t again_ns;   /* set anew in fire, 0 = not */
	struct alarm *other; /* cleared in fire */
	unsigned fired;
};

static uint64_t last_fired_ns;

static void alarm_fire(struct timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);
	assert_false(timer_is_set(timer));
	assert_true(timer->deadline_ns >= last_fired_ns);
	last_fired_ns = timer->deadline_ns;
	alarm->fired++;
	if (alarm->again_ns)
		assert_int_equal(timer_set(alarm->timers, timer, alarm->again_ns), 0);
	if (alarm->other)
		timer_clear(alarm->timers, &alarm->other->timer);
}

static void alarms_init(struct alarm *alarms, size_t count, struct timers *timers)
{
	timers_init(timers);
	last_fired_ns = 0;
	for (size_t i = 0; i < count; i++) {
		alarms[i] = (struct alarm){.timers = timers};
		timer_init(&alarms[i].timer, alarm_fire);
	}
}

static void a_timer_fires_once_at_its_deadline(void **state)
{
	struct timers timers;
	struct alarm alarm;
	(void)state;
	alarms_init(&alarm, 1, &timers);
	assert_true(timers_next_ns(&timers) == UINT64_MAX);
	assert_int_equal(timer_set(&timers, &alarm.timer, 100), 0);
	assert_true(timer_is_set(&alarm.timer));
	assert_int_equal(timers_next_ns(&timers), 100);
	assert_int_equal(timers_run(&timers, 99), 0);
	assert_int_equal(timers_run(&timers, 100), 1);
	assert_int_equal(timers_run(&timers, 1000), 0);
	assert_int_equal(alarm.fired, 1);
	timers_fini(&timers);
	assert_int_equal(mem_live(), 0);
}

static void a_cleared_timer_does_not_fire(void **state)
{
	struct timers timers;
	struct alarm alarms[3];
	(void)state;
	alarms_init(alarms, 3, &timers);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(timer_set(&timers, &alarms[i].timer, 10 + i), 0);
	timer_clear(&timers, &alarms[0].timer);
	timer_clear(&timers, &alarms[0].timer);
	timer_clear(&timers, &alarms[2].timer);
	assert_int_equal(timers_run(&timers, 100), 1);
	assert_int_equal(alarms[1].fired, 1);
	timers_fini(&timers);
}

static void a_timer_can_be_moved_both_ways(void **state)
{
	struct timers timers;
	struct alarm alarms[2];
	(void)state;
	alarms_init(alarms, 2, &timers);
	assert_int_equal(timer_set(&timers, &alarms[0].timer, 50), 0);
	assert_int_equal(timer_set(&timers, &alarms[1].timer, 60), 0);
	assert_int_equal(timer_set(&timers, &alarms[0].timer, 70), 0);
	assert_int_equal(timers_next_ns(&timers), 60);
	assert_int_equal(timer_set(&timers, &alarms[0].timer, 40), 0);
	assert_int_equal(timers_next_ns(&timers), 40);
	assert_int_equal(timers_run(&timers, 45), 1);
	assert_int_equal(alarms[0].fired, 1);
	timers_fini(&timers);
}

static void a_callback_may_set_and_clear_timers(void **state)
{
	struct timers timers;
	struct alarm alarms[3];
	(void)state;
	alarms_init(alarms, 3, &timers);
	alarms[0].again_ns = 30;
	alarms[1].other = &alarms[2];
	assert_int_equal(timer_set(&timers, &alarms[0].timer, 10), 0);
	assert_int_equal(timer_set(&timers, &alarms[1].timer, 20), 0);
	assert_int_equal(timer_set(&timers, &alarms[2].timer, 20), 0);
	assert_int_equal(timers_run(&timers, 10), 1);
	assert_int_equal(timers_next_ns(&timers), 20);
	unsigned fired = timers_run(&timers, 25);
	/* Which of two equal deadlines comes first is open; the other is cleared or has fired. */
	assert_int_equal(fired, 1 + alarms[2].fired);
	assert_int_equal(alarms[1].fired, 1);
	alarms[0].again_ns = 0;
	assert_int_equal(timers_run(&timers, 30), 1);
	assert_int_equal(alarms[0].fired, 2);
	timers_fini(&timers);
}

static void a_timer_fires_once_in_a_run_even_if_it_is_set_to_the_past(void **state)
{
	struct timers timers;
	struct alarm alarms[2];
	(void)state;
	alarms_init(alarms, 2, &timers);
	alarms[0].again_ns = 10;
	assert_int_equal(timer_set(&timers, &alarms[0].timer, 10), 0);
	assert_int_equal(timer_set(&timers, &alarms[1].timer, 20), 0);
	for (unsigned run = 1; run <= 3; run++) {
		timers_run(&timers, 100 + run);
		assert_int_equal(alarms[0].fired, run);
		assert_true(timer_is_set(&alarms[0].timer));
	}
	assert_int_equal(alarms[1].fired, 1);
	timers_fini(&timers);
}

/* The heap against a plain table, over random sets, moves, clears and turns. */
static void many_timers_fire_in_order_and_none_is_lost(void **state)
{
	enum { COUNT = 300, TURNS = 3000 };
	static struct alarm alarms[COUNT];
	static uint64_t deadlines[COUNT];
	struct timers timers;
	struct rng rng;
	uint64_t now_ns = 0;
	(void)state;
	rng_init(&rng, 1);
	alarms_init(alarms, COUNT, &timers);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		uint32_t i = rng_below(&rng, COUNT);
		if (rng_below(&rng, 4) == 0) {
			timer_clear(&timers, &alarms[i].timer);
			deadlines[i] = 0;
		} else {
			deadlines[i] = now_ns + 1 + rng_below(&rng, 1000);
			assert_int_equal(timer_set(&timers, &alarms[i].timer, deadlines[i]), 0);
		}
		now_ns += rng_below(&rng, 5);
		unsigned due = 0;
		for (size_t k = 0; k < COUNT; k++) {
			if (deadlines[k] && deadlines[k] <= now_ns) {
				deadlines[k] = 0;
				due++;
			}
		}
		last_fired_ns = 0;
		assert_int_equal(timers_run(&timers, now_ns), due);
		for (size_t k = 0; k < COUNT; k++)
			assert_int_equal(timer_is_set(&alarms[k].timer), deadlines[k] != 0);
	}
	timers_fini(&timers);
}

static void only_setting_a_new_timer_can_fail(void **state)
{
	struct timers timers;
	struct alarm alarm;
	(void)state;
	alarms_init(&alarm, 1, &timers);
	mem_fail_nth(1);
	assert_int_equal(timer_set(&timers, &alarm.timer, 5), -ENOMEM);
	assert_false(timer_is_set(&alarm.timer));
	assert_int_equal(timer_set(&timers, &alarm.timer, 5), 0);
	mem_fail_nth(1);
	assert_int_equal(timer_set(&timers, &alarm.timer, 6), 0);
	mem_fail_nth(0);
	timers_fini(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_fires_once_at_its_deadline),
		cmocka_unit_test(a_cleared_timer_does_not_fire),
		cmocka_unit_test(a_timer_can_be_moved_both_ways),
		cmocka_unit_test(a_callback_may_set_and_clear_timers),
		cmocka_unit_test(a_timer_fires_once_in_a_run_even_if_it_is_set_to_the_past),
		cmocka_unit_test(many_timers_fire_in_order_and_none_is_lost),
		cmocka_unit_test(only_setting_a_new_timer_can_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
