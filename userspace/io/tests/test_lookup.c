/* Looking names up beside the real ring. Only what the C library knows without asking anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "io/lookup.h"

#define DEADLINE_S 20
#define TURN_NS    10000000ull
/* No label is longer than 63 bytes: refused without a question. */
#define BAD_LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid"

struct case_state {
	struct io_ring *ring;
	struct io_lookup lookup;
	unsigned told;
	const char *why;
	long live_before;
};

static void on_done(struct io_lookup *lookup, const char *why)
{
	struct case_state *at = container_of(lookup, struct case_state, lookup);
	assert_null(lookup->task);
	at->told++;
	at->why = why;
}

static void begin(struct case_state *at)
{
	const struct io_options options = {.entries = 8};
	*at = (struct case_state){.lookup.done = on_done, .live_before = mem_live()};
	assert_int_equal(io_ring_open(&options, &at->ring), 0);
}

/* Threads that were abandoned end by themselves. */
static void end(struct case_state *at)
{
	time_t limit = time(NULL) + DEADLINE_S;
	io_ring_close(at->ring);
	while (mem_live() != at->live_before && time(NULL) < limit)
		sched_yield();
	assert_int_equal(mem_live(), at->live_before);
}

static void wait_until_told(struct case_state *at)
{
	time_t limit = time(NULL) + DEADLINE_S;
	while (!at->told && time(NULL) < limit)
		io_turn(at->ring, TURN_NS);
	assert_int_equal(at->told, 1);
}

static void addresses_come_with_the_port(void **state)
{
	static const struct {
		const char *name, *address;
	} cases[] = {{"127.0.0.1", "127.0.0.1:443"}, {"::1", "[::1]:443"}};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct case_state at;
		struct weft_address wanted;
		assert_int_equal(address_parse(span_text(cases[i].address), &wanted), 0);
		begin(&at);
		assert_int_equal(io_lookup_start(at.ring, &at.lookup, cases[i].name, 443), 0);
		wait_until_told(&at);
		assert_null(at.why);
		assert_int_equal(at.lookup.count, 1);
		assert_true(address_equal(&at.lookup.addresses[0], &wanted));
		end(&at);
	}
}

static void a_name_that_is_none_comes_with_a_sentence(void **state)
{
	struct case_state at;
	(void)state;
	begin(&at);
	assert_int_equal(io_lookup_start(at.ring, &at.lookup, BAD_LABEL, 443), 0);
	wait_until_told(&at);
	assert_non_null(at.why);
	assert_int_equal(at.lookup.count, 0);
	end(&at);
}

/* Whatever the thread is doing at that moment. */
static void an_abandoned_look_up_tells_nothing(void **state)
{
	(void)state;
	for (unsigned yields = 0; yields < 200; yields++) {
		struct case_state at;
		begin(&at);
		assert_int_equal(io_lookup_start(at.ring, &at.lookup, "127.0.0.1", 443), 0);
		for (unsigned i = 0; i < yields; i++)
			sched_yield();
		if (io_lookup_abandon(&at.lookup))
			io_turn(at.ring, 0);
		else
			wait_until_told(&at);
		assert_null(at.lookup.task);
		end(&at);
	}
}

static void without_memory_nothing_begins(void **state)
{
	struct case_state at;
	(void)state;
	begin(&at);
	mem_fail_nth(1);
	assert_int_equal(io_lookup_start(at.ring, &at.lookup, "127.0.0.1", 443), -ENOMEM);
	mem_fail_nth(0);
	assert_true(io_lookup_abandon(&at.lookup));
	end(&at);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_with_the_port),
		cmocka_unit_test(a_name_that_is_none_comes_with_a_sentence),
		cmocka_unit_test(an_abandoned_look_up_tells_nothing),
		cmocka_unit_test(without_memory_nothing_begins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
