/* Answers of DNS byte by byte, names, and when a name is asked for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "dns/message.h"
#include "dns/pace.h"

#define HEAD(answers)    "\0\1\x81\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION         "\3web\2ex\0\0\1\0\1"
#define A_OF(owner, ttl) owner "\0\1\0\1\0\0\0" ttl "\0\4\12\0\0\1"

#define READ(bytes, answer)                                                                        \
	dns_answer_read(span_of(bytes, sizeof(bytes) - 1), "web.ex", DNS_A, answer)

static void a_pointer_stands_for_a_name(void **state)
{
	struct dns_answer answer;
	(void)state;
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\xc0\x0c", "\x1e"), &answer), 0);
	assert_int_equal(answer.address_count, 1);
	assert_int_equal(answer.ttl_s, 30);
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\3WEB\xc0\x10", "\x1e"), &answer), 0);
	assert_int_equal(answer.address_count, 1);
}

static void pointers_that_lead_round_or_on_are_bad(void **state)
{
	struct dns_answer answer;
	(void)state;
	/* to itself, which is byte 24; behind itself; behind the end */
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\xc0\x18", "\1"), &answer), -EBADMSG);
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\xc0\x1a", "\1"), &answer), -EBADMSG);
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\xff\xff", "\1"), &answer), -EBADMSG);
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\x80", "\1"), &answer), -EBADMSG);
}

static void every_cut_of_an_answer_is_bad(void **state)
{
	static const char whole[] = HEAD("\1") QUESTION A_OF("\xc0\x0c", "\x1e");
	struct dns_answer answer;
	(void)state;
	for (size_t size = 0; size < sizeof(whole) - 1; size++)
		assert_int_equal(dns_answer_read(span_of(whole, size), "web.ex", DNS_A, &answer),
				 -EBADMSG);
}

static void records_of_others_and_of_other_sizes_do_not_count(void **state)
{
	struct dns_answer answer;
	(void)state;
	assert_int_equal(READ(HEAD("\1") QUESTION A_OF("\3bad\xc0\x10", "\x1e"), &answer), 0);
	assert_int_equal(answer.address_count, 0);
	assert_int_equal(READ(HEAD("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\1\0\3\1\2\3", &answer),
			 -EBADMSG);
	/* class CHAOS */
	assert_int_equal(READ(HEAD("\1") QUESTION "\xc0\x0c\0\1\0\3\0\0\0\1\0\4\12\0\0\1", &answer),
			 0);
	assert_int_equal(answer.address_count, 0);
}

static void aliases_that_lead_round_are_bad(void **state)
{
	struct dns_answer answer;
	(void)state;
	assert_int_equal(READ(HEAD("\2") QUESTION "\xc0\x0c\0\5\0\1\0\0\0\1\0\4\1b\xc0\x10"
						  "\1b\xc0\x10\0\5\0\1\0\0\0\1\0\2\xc0\x0c",
			      &answer),
			 -EBADMSG);
}

static void names_that_can_be_asked_for(void **state)
{
	char name[300];
	(void)state;
	assert_true(dns_name_is_valid(span_text("web.example")));
	assert_true(dns_name_is_valid(span_text("_http._tcp.Web-1.example.")));
	assert_false(dns_name_is_valid(span_text("")));
	assert_false(dns_name_is_valid(span_text(".")));
	assert_false(dns_name_is_valid(span_text("a..b")));
	assert_false(dns_name_is_valid(span_text(".a")));
	assert_false(dns_name_is_valid(span_text("a b")));
	assert_false(dns_name_is_valid(span_text("a\\046b")));
	memset(name, 'a', sizeof(name));
	assert_true(dns_name_is_valid(span_of(name, 63)));
	assert_false(dns_name_is_valid(span_of(name, 64)));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	assert_true(dns_name_is_valid(span_of(name, 253)));
	assert_false(dns_name_is_valid(span_of(name, 254)));
}

/* ---- pace ---- */

#define S 1000000000ull

static void answers_hold_as_long_as_they_say_within_bounds(void **state)
{
	const struct dns_pace pace = {.least_ns = S, .most_ns = 300 * S};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t wait_ns = dns_pace_wait(&pace, DNS_FOUND, 30, 0, &rng);
		assert_in_range(wait_ns, 30 * S, 33 * S);
		assert_in_range(dns_pace_wait(&pace, DNS_FOUND, 0, 0, &rng), S, 11 * S / 10);
		assert_in_range(dns_pace_wait(&pace, DNS_FOUND, 0x7fffffff, 0, &rng), 300 * S,
				330 * S);
		assert_in_range(dns_pace_wait(&pace, DNS_ABSENT, UINT32_MAX, 0, &rng), 5 * S,
				55 * S / 10);
		assert_in_range(dns_pace_wait(&pace, DNS_ABSENT, 60, 0, &rng), 60 * S, 66 * S);
	}
}

static void a_refresh_counts_more_than_what_answers_say(void **state)
{
	const struct dns_pace pace = {.refresh_ns = 5 * S, .least_ns = S, .most_ns = 300 * S};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	assert_in_range(dns_pace_wait(&pace, DNS_FOUND, 3600, 0, &rng), 5 * S, 55 * S / 10);
	assert_in_range(dns_pace_wait(&pace, DNS_ABSENT, UINT32_MAX, 0, &rng), 5 * S, 55 * S / 10);
}

static void waits_after_failures_grow_to_a_limit(void **state)
{
	const struct dns_pace pace = {.least_ns = S, .most_ns = 300 * S};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 1000; i++) {
		assert_in_range(dns_pace_wait(&pace, DNS_UNKNOWN, 0, 1, &rng), S / 2, S);
		assert_in_range(dns_pace_wait(&pace, DNS_UNKNOWN, 0, 3, &rng), 2 * S, 4 * S);
		assert_in_range(dns_pace_wait(&pace, DNS_UNKNOWN, 0, 4000000000u, &rng), 15 * S,
				30 * S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pointer_stands_for_a_name),
		cmocka_unit_test(pointers_that_lead_round_or_on_are_bad),
		cmocka_unit_test(every_cut_of_an_answer_is_bad),
		cmocka_unit_test(records_of_others_and_of_other_sizes_do_not_count),
		cmocka_unit_test(aliases_that_lead_round_are_bad),
		cmocka_unit_test(names_that_can_be_asked_for),
		cmocka_unit_test(answers_hold_as_long_as_they_say_within_bounds),
		cmocka_unit_test(a_refresh_counts_more_than_what_answers_say),
		cmocka_unit_test(waits_after_failures_grow_to_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
