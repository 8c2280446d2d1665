#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/fault.h"

#define MS 1000000ull

static void faults_come_as_often_as_asked(void **state)
{
	static const struct fault_rule rule = {
		.delay_ns = 5, .delay_ppm = 250000, .abort_ppm = 10000, .abort_status = 503};
	struct http_head head = {0};
	struct rng rng;
	unsigned delays = 0;
	unsigned aborts = 0;
	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 100000; i++) {
		struct fault fault = fault_pick(&rule, &head, &rng);
		delays += fault.delay_ns == 5;
		aborts += fault.status == 503;
	}
	assert_in_range(delays, 24500, 25500);
	assert_in_range(aborts, 900, 1100);
}

static void all_and_nothing(void **state)
{
	static const struct fault_rule nothing = {.delay_ns = 5, .abort_status = 503};
	static const struct fault_rule all = {
		.delay_ns = 5, .delay_ppm = PPM, .abort_ppm = PPM, .abort_status = 500};
	struct http_head head = {0};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 1000; i++) {
		struct fault fault = fault_pick(&nothing, &head, &rng);
		assert_true(fault.delay_ns == 0 && fault.status == 0);
		fault = fault_pick(&all, &head, &rng);
		assert_true(fault.delay_ns == 5 && fault.status == 500);
	}
}

static void a_header_asks_only_where_it_may(void **state)
{
	const struct http_field fields[] = {
		{span_text("Weft-Fault"), span_text("delay=250ms, abort=418")}};
	const struct http_head head = {.fields = fields, .field_count = 1};
	struct fault_rule rule = {0};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	struct fault fault = fault_pick(&rule, &head, &rng);
	assert_true(fault.delay_ns == 0 && fault.status == 0);
	rule.by_header = 1;
	fault = fault_pick(&rule, &head, &rng);
	assert_true(fault.delay_ns == 250 * MS && fault.status == 418);
}

static void values_are_checked(void **state)
{
	static const char *const bad[] = {
		"",          "delay",     "delay=",       "delay=5",   "delay=ms",
		"delay=-1s", "delay=61s", "abort=99",     "abort=600", "abort=1000",
		"abort=x",   "delay=1s,", "delay=1s,stop"};
	struct fault fault;
	(void)state;
	assert_int_equal(fault_parse(span_text("delay=60s"), &fault), 0);
	assert_int_equal(fault.delay_ns, 60000 * MS);
	assert_int_equal(fault_parse(span_text(" abort=200 "), &fault), 0);
	assert_int_equal(fault.status, 200);
	for (size_t i = 0; i < array_count(bad); i++)
		assert_int_not_equal(fault_parse(span_text(bad[i]), &fault), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_come_as_often_as_asked),
		cmocka_unit_test(all_and_nothing),
		cmocka_unit_test(a_header_asks_only_where_it_may),
		cmocka_unit_test(values_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
