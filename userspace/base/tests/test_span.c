#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "base/span.h"

static void equal_compares_bytes_and_size(void **state)
{
	(void)state;
	assert_true(span_is(span_text("abc"), "abc"));
	assert_false(span_is(span_text("abc"), "abd"));
	assert_false(span_is(span_text("abc"), "ab"));
	assert_false(span_is(span_text("abc"), "ABC"));
	assert_true(span_equal(span_of(NULL, 0), span_text("")));
	assert_true(span_equal(span_of("a\0b", 3), span_of("a\0b", 3)));
	assert_false(span_equal(span_of("a\0b", 3), span_of("a\0c", 3)));
}

static void nocase_folds_ascii_letters_and_nothing_else(void **state)
{
	(void)state;
	assert_true(span_is_nocase(span_text("Content-LENGTH"), "content-length"));
	assert_false(span_is_nocase(span_text("content-length "), "content-length"));
	/* Neighbours of the letters: '@' and '`', '[' and '{'. */
	assert_false(span_is_nocase(span_text("@["), "`{"));
	assert_false(span_is_nocase(span_text("\xc4"), "\xe4"));
	assert_true(span_is_nocase(span_of(NULL, 0), ""));
}

static void starts_asks_for_the_whole_prefix(void **state)
{
	(void)state;
	assert_true(span_starts(span_text("abc"), span_text("ab")));
	assert_true(span_starts(span_text("abc"), span_text("abc")));
	assert_true(span_starts(span_text("abc"), span_text("")));
	assert_true(span_starts(span_of(NULL, 0), span_of(NULL, 0)));
	assert_false(span_starts(span_text("ab"), span_text("abc")));
	assert_false(span_starts(span_text("abc"), span_text("b")));
}

static void trim_takes_blanks_and_tabs_off_both_ends(void **state)
{
	(void)state;
	assert_true(span_is(span_trim(span_text(" \t a b\t ")), "a b"));
	assert_true(span_is(span_trim(span_text("a")), "a"));
	assert_int_equal(span_trim(span_text(" \t ")).size, 0);
	assert_int_equal(span_trim(span_of(NULL, 0)).size, 0);
	assert_true(span_is(span_trim(span_text("\r\na\n")), "\r\na\n"));
}

struct split {
	const char *text;
	const char *parts[5];
};

static void split_gives_every_part_also_the_empty_ones(void **state)
{
	static const struct split splits[] = {
		{"a,b", {"a", "b"}},
		{"a,,b", {"a", "", "b"}},
		{"a", {"a"}},
		{"", {""}},
		{",", {"", ""}},
		{"a,", {"a", ""}},
		{",a,b,", {"", "a", "b", ""}},
	};
	(void)state;
	for (size_t i = 0; i < array_count(splits); i++) {
		struct span rest = span_text(splits[i].text);
		struct span part;
		size_t count = 0;
		while (span_split(&rest, ',', &part)) {
			assert_non_null(splits[i].parts[count]);
			assert_true(span_is(part, splits[i].parts[count]));
			count++;
		}
		assert_null(splits[i].parts[count]);
		assert_null(rest.data);
		assert_false(span_split(&rest, ',', &part));
	}
}

static void numbers_are_decimal_digits_up_to_64_bits(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} numbers[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"0x1", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"\xb2", -EINVAL, 0},
	};
	(void)state;
	for (size_t i = 0; i < array_count(numbers); i++) {
		uint64_t value = 77;
		assert_int_equal(span_to_u64(span_text(numbers[i].text), &value), numbers[i].error);
		/* Nothing is written on failure. */
		assert_true(value == (numbers[i].error ? 77 : numbers[i].value));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_compares_bytes_and_size),
		cmocka_unit_test(nocase_folds_ascii_letters_and_nothing_else),
		cmocka_unit_test(starts_asks_for_the_whole_prefix),
		cmocka_unit_test(trim_takes_blanks_and_tabs_off_both_ends),
		cmocka_unit_test(split_gives_every_part_also_the_empty_ones),
		cmocka_unit_test(numbers_are_decimal_digits_up_to_64_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
