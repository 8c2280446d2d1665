#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static void what_is_allocated_is_counted_until_it_is_freed(void **state)
{
	(void)state;
	long live = mem_live();
	char *one = mem_alloc(10);
	char *two = mem_zalloc(10);
	char *three = mem_realloc(NULL, 10);
	assert_int_equal(mem_live(), live + 3);
	for (int i = 0; i < 10; i++)
		assert_int_equal(two[i], 0);
	three = mem_realloc(three, 100);
	assert_non_null(three);
	assert_int_equal(mem_live(), live + 3);
	mem_free(one);
	mem_free(two);
	mem_free(three);
	mem_free(NULL);
	assert_int_equal(mem_live(), live);
}

static void exactly_the_nth_allocation_fails(void **state)
{
	(void)state;
	long live = mem_live();
	mem_fail_nth(3);
	void *one = mem_alloc(1);
	void *two = mem_zalloc(1);
	void *three = mem_alloc(1);
	void *four = mem_alloc(1);
	assert_non_null(one);
	assert_non_null(two);
	assert_null(three);
	assert_non_null(four);
	assert_int_equal(mem_live(), live + 3);

	mem_fail_nth(1);
	assert_null(mem_realloc(one, 100));
	mem_fail_nth(1);
	assert_null(mem_text("a", 1));
	mem_free(one);
	mem_free(two);
	mem_free(four);
	assert_int_equal(mem_live(), live);
}

static void a_copied_text_ends_with_nul(void **state)
{
	(void)state;
	char *text = mem_text("abcdef", 3);
	assert_string_equal(text, "abc");
	mem_free(text);
	text = mem_text("", 0);
	assert_string_equal(text, "");
	mem_free(text);
	assert_null(mem_text("", SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_allocated_is_counted_until_it_is_freed),
		cmocka_unit_test(exactly_the_nth_allocation_fails),
		cmocka_unit_test(a_copied_text_ends_with_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
