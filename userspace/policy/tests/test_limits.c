/* token_bucket, rate_limit, concurrency */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/mem.h"
#include "policy/concurrency.h"
#include "policy/rate_limit.h"

#define MS       1000000ull
#define S        (1000 * MS)
#define START_NS (1000 * S)

static unsigned take_all(struct token_bucket *bucket, uint32_t rate, uint32_t burst,
			 uint64_t now_ns)
{
	unsigned count = 0;
	while (count < 10000 && token_bucket_take(bucket, rate, burst, now_ns) == 0)
		count++;
	return count;
}

static void a_bucket_has_its_burst_and_then_its_rate(void **state)
{
	struct token_bucket bucket = {0};
	unsigned admitted = 0;
	(void)state;
	assert_int_equal(take_all(&bucket, 10, 5, START_NS), 5);
	assert_int_equal(token_bucket_take(&bucket, 10, 5, START_NS), 100 * MS);
	assert_int_equal(take_all(&bucket, 10, 5, START_NS + 100 * MS), 1);
	for (uint64_t ms = 200; ms < 10200; ms++)
		admitted += token_bucket_take(&bucket, 10, 5, START_NS + ms * MS) == 0;
	assert_int_equal(admitted, 100);
	/* it holds no more than the burst, however long it waits */
	assert_int_equal(take_all(&bucket, 10, 5, START_NS + 1000 * S), 5);
}

static void a_burst_of_none_is_a_second(void **state)
{
	struct token_bucket bucket = {0};
	(void)state;
	assert_int_equal(take_all(&bucket, 3, 0, START_NS), 3);
}

static void keys_have_buckets_of_their_own(void **state)
{
	struct rate_limit *limit = rate_limit_new(1024, 7, NULL);
	uint64_t one = rate_limit_key(span_text("one"), 7);
	uint64_t other = rate_limit_key(span_text("other"), 7);
	(void)state;
	assert_non_null(limit);
	assert_true(one != other);
	assert_true(one != rate_limit_key(span_text("one"), 8));
	for (int i = 0; i < 3; i++)
		assert_int_equal(rate_limit_take(limit, one, 1024, 1, 3, START_NS), 0);
	assert_int_not_equal(rate_limit_take(limit, one, 1024, 1, 3, START_NS), 0);
	assert_int_equal(rate_limit_take(limit, other, 1024, 1, 3, START_NS), 0);
	rate_limit_free(limit);
}

/* A flood of new keys takes the places of those that owe least: a key that is at its limit stays
 * limited while others in its set are not. */
static void many_keys_do_not_free_a_busy_one(void **state)
{
	struct rate_limit *limit = rate_limit_new(1024, 7, NULL);
	uint64_t busy = rate_limit_key(span_text("busy"), 7);
	unsigned admitted = 0;
	(void)state;
	assert_non_null(limit);
	for (int second = 0; second < 100; second++) {
		uint64_t now_ns = START_NS + (uint64_t)second * S;
		for (int i = 0; i < 100; i++)
			admitted += rate_limit_take(limit, busy, 1024, 1, 10, now_ns) == 0;
		for (int i = 0; i < 5000; i++) {
			char name[32];
			int size = snprintf(name, sizeof(name), "%d-%d", second, i);
			rate_limit_take(limit, rate_limit_key(span_of(name, (size_t)size), 7), 1024,
					1, 10, now_ns);
		}
	}
	assert_in_range(admitted, 100, 10 + 99);
	rate_limit_free(limit);
}

static uint64_t take_numbered(struct rate_limit *limit, uint32_t keys, int number)
{
	char name[32];
	int size = snprintf(name, sizeof(name), "key-%d", number);
	return rate_limit_take(limit, rate_limit_key(span_of(name, (size_t)size), limit->seed),
			       keys, 1, 1, START_NS + (uint64_t)number);
}

/* How many of a hundred that came once are still known. */
static unsigned known(struct rate_limit *limit, uint32_t keys, int first)
{
	unsigned count = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(take_numbered(limit, keys, first + i), 0);
	for (int i = 99; i >= 0; i--)
		count += take_numbered(limit, keys, first + i) != 0;
	return count;
}

static void no_more_keys_are_known_than_asked_for(void **state)
{
	struct rate_limit *small = rate_limit_new(8, 7, NULL);
	(void)state;
	assert_non_null(small);
	assert_int_equal(known(small, 8, 0), 8);
	assert_false(rate_limit_holds(small, 16));
	assert_int_equal(known(small, 1000, 100), 8); /* no more than there is room for */
	struct rate_limit *large = rate_limit_new(8000, 7, small);
	assert_non_null(large);
	assert_true(rate_limit_holds(large, 8000) && rate_limit_holds(large, 8));
	assert_int_equal(known(large, 8, 200), 8);
	assert_in_range(known(large, 8000, 300), 99, 100);
	rate_limit_free(large); /* and the small one */
	mem_fail_nth(1);
	assert_null(rate_limit_new(8, 7, NULL));
}

/* ---- concurrency ---- */

static void the_cap_holds(void **state)
{
	struct concurrency concurrency = {0};
	(void)state;
	assert_true(concurrency_enter(&concurrency, 2));
	assert_true(concurrency_enter(&concurrency, 2));
	assert_false(concurrency_enter(&concurrency, 2));
	concurrency_leave(&concurrency);
	assert_true(concurrency_enter(&concurrency, 2));
	assert_true(concurrency_enter(&concurrency, 0)); /* no cap */
}

static void the_queue_is_bounded(void **state)
{
	struct concurrency concurrency = {0};
	(void)state;
	assert_false(concurrency_queue(&concurrency, 0));
	assert_true(concurrency_queue(&concurrency, 2));
	assert_true(concurrency_queue(&concurrency, 2));
	assert_false(concurrency_queue(&concurrency, 2));
	assert_int_equal(concurrency_queued(&concurrency), 2);
	concurrency_unqueue(&concurrency);
	assert_true(concurrency_queue(&concurrency, 2));
}

/* A server that does 10 at once in 10 ms each, and queues the rest; clients fill the limit. */
static uint32_t settled_limit(uint32_t cap, unsigned servers)
{
	struct concurrency concurrency = {0};
	uint64_t now_ns = START_NS;
	while (now_ns < START_NS + 20 * S) {
		uint32_t limit = concurrency_limit(&concurrency, cap);
		while (concurrency_enter(&concurrency, limit))
			;
		uint32_t active = concurrency.active;
		uint64_t latency_ns = 10 * MS;
		if (active > servers)
			latency_ns = latency_ns * active / servers;
		now_ns += latency_ns / active;
		concurrency_answered(&concurrency, cap, latency_ns, now_ns);
		concurrency_leave(&concurrency);
	}
	return concurrency_limit(&concurrency, cap);
}

static void the_limit_follows_the_latency(void **state)
{
	(void)state;
	uint32_t small = settled_limit(1000, 10);
	uint32_t large = settled_limit(1000, 100);
	assert_in_range(small, 10, 60);
	assert_in_range(large, 100, 250);
}

/* The same service, twice as slow from one moment on: its limit comes back. */
static void a_slower_service_is_learnt(void **state)
{
	struct concurrency concurrency = {0};
	uint64_t now_ns = START_NS;
	(void)state;
	for (int i = 0; i < 60000; i++) {
		uint64_t latency_ns = i < 10000 ? 10 * MS : 20 * MS;
		while (concurrency_enter(&concurrency, concurrency_limit(&concurrency, 50)))
			;
		now_ns += latency_ns / 10;
		concurrency_answered(&concurrency, 50, latency_ns, now_ns);
		concurrency_leave(&concurrency);
	}
	assert_int_equal(concurrency_limit(&concurrency, 50), 50);
}

static void without_a_queue_the_limit_does_not_fall(void **state)
{
	(void)state;
	assert_int_equal(settled_limit(50, 1000), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_has_its_burst_and_then_its_rate),
		cmocka_unit_test(a_burst_of_none_is_a_second),
		cmocka_unit_test(keys_have_buckets_of_their_own),
		cmocka_unit_test(many_keys_do_not_free_a_busy_one),
		cmocka_unit_test(no_more_keys_are_known_than_asked_for),
		cmocka_unit_test(the_cap_holds),
		cmocka_unit_test(the_queue_is_bounded),
		cmocka_unit_test(the_limit_follows_the_latency),
		cmocka_unit_test(a_slower_service_is_learnt),
		cmocka_unit_test(without_a_queue_the_limit_does_not_fall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
