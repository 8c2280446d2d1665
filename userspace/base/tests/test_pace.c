#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/pace.h"

#define MS    1000000ull
#define LEAST (10 * MS)
#define MOST  (200 * MS)

static uint64_t rest_ms(struct pace *pace, uint64_t now_ns)
{
	return (pace_rest(pace, now_ns, LEAST, MOST) - now_ns) / MS;
}

static void what_goes_on_is_done_ever_more_seldom(void **state)
{
	static const uint64_t rests[] = {10, 20, 40, 80, 160, 200, 200, 200};
	struct pace pace = {0};
	uint64_t now_ns = 5 * MS;
	(void)state;
	for (unsigned i = 0; i < array_count(rests); i++) {
		assert_int_equal(rest_ms(&pace, now_ns), rests[i]);
		now_ns = pace.until_ns + 3 * MS;
	}
}

static void after_quiet_it_is_done_at_once_again(void **state)
{
	struct pace pace = {0};
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		(void)pace_rest(&pace, pace.until_ns, LEAST, MOST);
	assert_int_equal(rest_ms(&pace, pace.until_ns + MOST / 2), 200);
	assert_int_equal(rest_ms(&pace, pace.until_ns + MOST / 2 + 1), 10);
	assert_int_equal(rest_ms(&pace, pace.until_ns), 20);
}

/* Somebody else's work, before the rest is over, counts too. */
static void work_within_a_rest_makes_the_next_longer(void **state)
{
	struct pace pace = {0};
	(void)state;
	assert_int_equal(rest_ms(&pace, 100 * MS), 10);
	assert_int_equal(rest_ms(&pace, 101 * MS), 20);
	assert_int_equal(rest_ms(&pace, 102 * MS), 40);
}

/* What a hundred changes a second cost, and what one of them waits. */
static void a_hundred_a_second_become_five(void **state)
{
	struct pace pace = {0};
	unsigned works = 0;
	(void)state;
	for (uint64_t now_ns = 1000 * MS; now_ns < 11000 * MS; now_ns += 10 * MS) {
		if (now_ns < pace.until_ns)
			continue;
		(void)pace_rest(&pace, now_ns, LEAST, MOST);
		works++;
	}
	assert_in_range(works, 50, 56);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_on_is_done_ever_more_seldom),
		cmocka_unit_test(after_quiet_it_is_done_at_once_again),
		cmocka_unit_test(work_within_a_rest_makes_the_next_longer),
		cmocka_unit_test(a_hundred_a_second_become_five),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
