#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/deadline.h"

#define MS   1000000ull
#define S    (1000 * MS)
#define WALL (1700000000ull * S)

static void values_are_two_numbers(void **state)
{
	static const char *const bad[] = {"",
					  "1",
					  "1 ",
					  " 1 2",
					  "1 2 ",
					  "1  2",
					  "1 2 3",
					  "-1 2",
					  "1 0x2",
					  "a b",
					  "1\t2",
					  "1 0",
					  "99999999999999999999 1",
					  "1 9223372036854775808"};
	struct deadline deadline;
	(void)state;
	assert_int_equal(deadline_parse(span_text("10 20"), &deadline), 0);
	assert_int_equal(deadline.stamp_ns, 10);
	assert_int_equal(deadline.at_ns, 20);
	for (size_t i = 0; i < array_count(bad); i++)
		assert_int_not_equal(deadline_parse(span_text(bad[i]), &deadline), 0);
}

static void grpc_timeouts(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1H", 3600 * S}, {"2M", 120 * S}, {"3S", 3 * S},          {"4m", 4 * MS},
		    {"5u", 5000},     {"6n", 6},       {"99999999n", 99999999}};
	static const char *const bad[] = {"", "5", "S", "5s", "-5S", "5 S", "123456789n"};
	uint64_t ns;
	(void)state;
	for (size_t i = 0; i < array_count(good); i++) {
		assert_int_equal(deadline_parse_grpc(span_text(good[i].text), &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < array_count(bad); i++)
		assert_int_not_equal(deadline_parse_grpc(span_text(bad[i]), &ns), 0);
}

static void all_fields_are_combined(void **state)
{
	const struct http_field fields[] = {
		{span_text("L5d-Ctx-Deadline"), span_text("5 1700000003000000000")},
		{span_text("Accept"), span_text("*/*")},
		{span_text("l5d-ctx-deadline"), span_text("7 1700000002000000000")},
		{span_text("l5d-ctx-deadline"), span_text("garbage")},
		{span_text("grpc-timeout"), span_text("1S")},
	};
	struct http_head head = {.fields = fields};
	(void)state;
	assert_int_equal(deadline_read(&head, WALL).at_ns, 0);
	head.field_count = 4;
	struct deadline deadline = deadline_read(&head, WALL);
	assert_int_equal(deadline.stamp_ns, 7);
	assert_int_equal(deadline.at_ns, WALL + 2 * S);
	head.field_count = 5;
	deadline = deadline_read(&head, WALL);
	assert_int_equal(deadline.stamp_ns, WALL);
	assert_int_equal(deadline.at_ns, WALL + S);
}

static void tightening_never_loosens(void **state)
{
	struct deadline deadline = {0};
	(void)state;
	deadline_tighten(&deadline, WALL, 0);
	assert_int_equal(deadline.at_ns, 0);
	deadline_tighten(&deadline, WALL, 2 * S);
	assert_int_equal(deadline.at_ns, WALL + 2 * S);
	deadline_tighten(&deadline, WALL + S, 5 * S);
	assert_int_equal(deadline.at_ns, WALL + 2 * S);
	assert_int_equal(deadline.stamp_ns, WALL + S);
	deadline_tighten(&deadline, WALL + S, 500 * MS);
	assert_int_equal(deadline.at_ns, WALL + 1500 * MS);
}

static void clocks_may_differ_by_a_tenth_of_a_second(void **state)
{
	struct deadline none = {0};
	struct deadline deadline = {WALL, WALL + S};
	(void)state;
	assert_false(deadline_has_passed(&none, WALL));
	assert_true(deadline_left_ns(&none, WALL) == UINT64_MAX);
	assert_false(deadline_has_passed(&deadline, WALL + S));
	assert_false(deadline_has_passed(&deadline, WALL + 1100 * MS - 1));
	assert_true(deadline_has_passed(&deadline, WALL + 1100 * MS));
	assert_int_equal(deadline_left_ns(&deadline, WALL), 1100 * MS);
	assert_int_equal(deadline_left_ns(&deadline, WALL + 5 * S), 0);
}

static void printing_round_trips(void **state)
{
	char text[DEADLINE_TEXT_MAX];
	struct deadline deadline = {WALL, INT64_MAX};
	struct deadline again;
	(void)state;
	assert_int_equal(deadline_parse(deadline_print(&deadline, text), &again), 0);
	assert_memory_equal(&again, &deadline, sizeof(again));
}

static void grpc_printing_is_exact_or_earlier(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} table[] = {{0, "0n"},
		     {99999999, "99999999n"},
		     {100000000, "100000u"},
		     {1500 * MS, "1500000u"},
		     {99999999999999ull, "99999999m"},
		     {100000000000000ull, "100000S"},
		     {UINT64_MAX, "5124095H"}};
	char text[GRPC_TIMEOUT_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < array_count(table); i++) {
		struct span printed = deadline_print_grpc(table[i].ns, text);
		uint64_t again;
		assert_int_equal(deadline_parse_grpc(printed, &again), 0);
		assert_true(again <= table[i].ns);
		assert_true(span_is(printed, table[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_two_numbers),
		cmocka_unit_test(grpc_timeouts),
		cmocka_unit_test(all_fields_are_combined),
		cmocka_unit_test(tightening_never_loosens),
		cmocka_unit_test(clocks_may_differ_by_a_tenth_of_a_second),
		cmocka_unit_test(printing_round_trips),
		cmocka_unit_test(grpc_printing_is_exact_or_earlier),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
