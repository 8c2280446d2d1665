/* The ring between the helper thread and one worker. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/fd_ring.h"

#define CAPACITY 4

static void descriptors_come_out_in_the_order_they_went_in(void **state)
{
	struct fd_ring ring;
	int fds[CAPACITY];
	(void)state;
	fd_ring_init(&ring, fds, CAPACITY);
	for (int round = 0, next = 10, expected = 10; round < 50; round++) {
		while (fd_ring_add(&ring, next))
			next++;
		assert_int_equal(fd_ring_count(&ring), CAPACITY);
		for (int i = 0; i < CAPACITY - 1; i++)
			assert_int_equal(fd_ring_take(&ring), expected++);
	}
}

static void an_empty_ring_gives_nothing(void **state)
{
	struct fd_ring ring;
	int fds[CAPACITY];
	(void)state;
	fd_ring_init(&ring, fds, CAPACITY);
	assert_int_equal(fd_ring_take(&ring), -1);
	assert_true(fd_ring_add(&ring, 7));
	assert_int_equal(fd_ring_take(&ring), 7);
	assert_int_equal(fd_ring_take(&ring), -1);
}

static void a_full_ring_takes_no_more(void **state)
{
	struct fd_ring ring;
	int fds[1];
	(void)state;
	fd_ring_init(&ring, fds, 1);
	assert_true(fd_ring_add(&ring, 1));
	assert_false(fd_ring_add(&ring, 2));
	assert_int_equal(fd_ring_take(&ring), 1);
}

static void the_counters_may_wrap_around(void **state)
{
	struct fd_ring ring;
	int fds[CAPACITY];
	(void)state;
	fd_ring_init(&ring, fds, CAPACITY);
	atomic_store(&ring.added, UINT32_MAX - 1);
	atomic_store(&ring.taken, UINT32_MAX - 1);
	for (int i = 0; i < 10; i++) {
		assert_true(fd_ring_add(&ring, i));
		assert_int_equal(fd_ring_count(&ring), 1);
		assert_int_equal(fd_ring_take(&ring), i);
	}
}

#define PASSED_ALONG 20000

static void *produce(void *data)
{
	for (int i = 0; i < PASSED_ALONG;) {
		if (fd_ring_add(data, i))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

static void two_threads_lose_and_repeat_nothing(void **state)
{
	struct fd_ring ring;
	int fds[CAPACITY];
	pthread_t producer;
	(void)state;
	fd_ring_init(&ring, fds, CAPACITY);
	assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
	for (int expected = 0; expected < PASSED_ALONG;) {
		int fd = fd_ring_take(&ring);
		if (fd < 0) {
			sched_yield();
			continue;
		}
		assert_int_equal(fd, expected++);
	}
	pthread_join(producer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_come_out_in_the_order_they_went_in),
		cmocka_unit_test(an_empty_ring_gives_nothing),
		cmocka_unit_test(a_full_ring_takes_no_more),
		cmocka_unit_test(the_counters_may_wrap_around),
		cmocka_unit_test(two_threads_lose_and_repeat_nothing),
	};
	return cmocka_run_group_tests_name("fd ring", tests, NULL, NULL);
}
