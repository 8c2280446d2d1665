#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/hash.h"

struct number {
	struct hash_item item;
	uint32_t value;
};

static struct number *find(const struct hash *table, uint32_t hash, uint32_t value)
{
	for (struct hash_item *i = hash_first(table, hash); i; i = hash_next(i)) {
		struct number *number = hash_entry(i, struct number, item);
		if (number->value == value)
			return number;
	}
	return NULL;
}

static void what_was_added_is_found_until_it_is_removed(void **state)
{
	static struct number numbers[1000];
	struct hash table = {0};
	(void)state;
	assert_null(find(&table, 1, 1));
	for (uint32_t i = 0; i < 1000; i++) {
		numbers[i].value = i;
		assert_int_equal(hash_add(&table, &numbers[i].item, i / 2), 0); /* two per hash */
	}
	assert_int_equal(table.count, 1000);
	for (uint32_t i = 0; i < 1000; i += 3)
		hash_remove(&table, &numbers[i].item);
	for (uint32_t i = 0; i < 1000; i++)
		assert_ptr_equal(find(&table, i / 2, i), i % 3 ? &numbers[i] : NULL);
	uint32_t seen = 0;
	hash_each(&table, item)
	{
		seen++;
		hash_remove(&table, item);
	}
	assert_int_equal(seen, 666);
	assert_int_equal(table.count, 0);
	hash_fini(&table);
}

static void a_table_that_cannot_grow_still_takes_items(void **state)
{
	static struct number numbers[100];
	struct hash table = {0};
	(void)state;
	mem_fail_nth(1);
	assert_int_not_equal(hash_add(&table, &numbers[0].item, 7), 0);
	for (uint32_t i = 0; i < 100; i++) {
		mem_fail_nth(i > 0 ? 1 : 0);
		numbers[i].value = i;
		assert_int_equal(hash_add(&table, &numbers[i].item, i), 0);
	}
	mem_fail_nth(0);
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(find(&table, i, i), &numbers[i]);
	hash_fini(&table);
}

static void a_table_made_before_takes_items_without_memory(void **state)
{
	struct number number = {.value = 1};
	struct hash table;
	(void)state;
	mem_fail_nth(1);
	assert_int_not_equal(hash_init(&table), 0);
	assert_int_equal(hash_init(&table), 0);
	mem_fail_nth(1);
	assert_int_equal(hash_add(&table, &number.item, 9), 0);
	mem_fail_nth(0);
	assert_ptr_equal(find(&table, 9, 1), &number);
	hash_fini(&table);
}

static void texts_hash_by_their_parts(void **state)
{
	(void)state;
	uint32_t ab_c = hash_text(span_text("c"), hash_text(span_text("ab"), 0));
	uint32_t a_bc = hash_text(span_text("bc"), hash_text(span_text("a"), 0));
	assert_int_not_equal(ab_c, a_bc);
	assert_int_equal(hash_text(span_text("x"), 0), hash_text(span_text("x"), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_is_found_until_it_is_removed),
		cmocka_unit_test(a_table_that_cannot_grow_still_takes_items),
		cmocka_unit_test(a_table_made_before_takes_items_without_memory),
		cmocka_unit_test(texts_hash_by_their_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
