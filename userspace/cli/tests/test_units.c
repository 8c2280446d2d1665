#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "cli/table.h"
#include "cli/units.h"

static void bytes_have_a_fitting_unit(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"},
		     {1023, "1023 B"},
		     {1024, "1.0 KiB"},
		     {1536, "1.5 KiB"},
		     {1048525, "1.0 MiB"},
		     {3565158, "3.4 MiB"},
		     {1ull << 40, "1.0 TiB"},
		     {UINT64_MAX, "16384.0 PiB"}};
	for (size_t i = 0; i < array_count(cases); i++) {
		char text[UNIT_TEXT_MAX];
		assert_string_equal(unit_bytes(cases[i].bytes, text), cases[i].text);
	}
}

static void times_have_a_fitting_unit(void **state)
{
	(void)state;
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {{0, "0 us"},          {999, "999 us"},   {1000, "1.0 ms"},    {1249, "1.2 ms"},
		     {999949, "999.9 ms"}, {999950, "1.0 s"}, {30000000, "30.0 s"}};
	for (size_t i = 0; i < array_count(cases); i++) {
		char text[UNIT_TEXT_MAX];
		assert_string_equal(unit_time(cases[i].us, text), cases[i].text);
	}
}

static void a_share_below_all_is_never_shown_as_all(void **state)
{
	(void)state;
	char text[UNIT_TEXT_MAX];
	assert_string_equal(unit_share(1, text), "100.0 %");
	assert_string_equal(unit_share(0.99999, text), "99.9 %");
	assert_string_equal(unit_share(0.5, text), "50.0 %");
	assert_string_equal(unit_share(0, text), "0.0 %");
}

static void small_rates_have_two_digits(void **state)
{
	(void)state;
	char text[UNIT_TEXT_MAX];
	assert_string_equal(unit_rate(0.424, text), "0.42");
	assert_string_equal(unit_rate(1234.56, text), "1234.6");
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	(void)state;
	static const char *const headings[] = {"NAME", "N", "WHAT"};
	struct table table;
	struct text text = {0};
	table_init(&table, 3, headings, 1u << 1);
	static const char *const cells[] = {"a", "1000", "x", "longer", "7", ""};
	for (size_t i = 0; i < array_count(cells); i++)
		table_add(&table, cells[i]);
	table_print(&table, &text);
	assert_string_equal(text.data,
			    "NAME       N  WHAT\n"
			    "a       1000  x\n"
			    "longer     7  -\n");
	table_fini(&table);
	text_fini(&text);
}

static void a_character_of_many_bytes_is_one_column(void **state)
{
	(void)state;
	static const char *const headings[] = {"NAME", "N"};
	struct table table;
	struct text text = {0};
	table_init(&table, 2, headings, 0);
	table_add(&table, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!");
	table_add(&table, "1");
	table_print(&table, &text);
	assert_string_equal(text.data, "NAME   N\n\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!  1\n");
	table_fini(&table);
	text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_a_fitting_unit),
		cmocka_unit_test(times_have_a_fitting_unit),
		cmocka_unit_test(a_share_below_all_is_never_shown_as_all),
		cmocka_unit_test(small_rates_have_two_digits),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(a_character_of_many_bytes_is_one_column),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
