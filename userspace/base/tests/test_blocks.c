#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/blocks.h"
#include "base/mem.h"

static void a_taken_block_is_empty_and_as_large_as_its_kind(void **state)
{
	struct blocks blocks;
	(void)state;
	blocks_init(&blocks, 1 << 20);
	struct block *small = blocks_take_small(&blocks);
	struct block *large = blocks_take_large(&blocks);
	assert_int_equal(block_room(small), BLOCK_SMALL_BYTES);
	assert_int_equal(block_room(large), BLOCK_LARGE_BYTES);
	assert_int_equal(block_span(small).size, 0);
	assert_int_equal(blocks.in_use, 2);
	assert_int_equal(blocks.bytes_in_use, BLOCK_SMALL_BYTES + BLOCK_LARGE_BYTES);
	memcpy(small->data, "abc", 3);
	small->end = 3;
	small->begin = 1;
	assert_true(span_is(block_span(small), "bc"));
	assert_int_equal(block_room(small), BLOCK_SMALL_BYTES - 3);
	blocks_give(&blocks, small);
	blocks_give(&blocks, large);
	blocks_give(&blocks, NULL);
	assert_int_equal(blocks.bytes_in_use, 0);
	blocks_fini(&blocks);
	assert_int_equal(mem_live(), 0);
}

static void a_given_block_is_lent_again_as_new(void **state)
{
	struct blocks blocks;
	(void)state;
	blocks_init(&blocks, 1 << 20);
	struct block *block = blocks_take_small(&blocks);
	block->begin = 5;
	block->end = 9;
	blocks_give(&blocks, block);
	struct block *large = blocks_take_large(&blocks);
	assert_ptr_not_equal(large, block);
	struct block *again = blocks_take_small(&blocks);
	assert_ptr_equal(again, block);
	assert_int_equal(block_span(again).size, 0);
	assert_int_equal(block_room(again), BLOCK_SMALL_BYTES);
	assert_null(again->next);
	blocks_give(&blocks, again);
	blocks_give(&blocks, large);
	blocks_fini(&blocks);
	assert_int_equal(mem_live(), 0);
}

static void the_limit_counts_lent_bytes(void **state)
{
	struct blocks blocks;
	(void)state;
	blocks_init(&blocks, 2 * BLOCK_SMALL_BYTES);
	struct block *one = blocks_take_small(&blocks);
	struct block *two = blocks_take_small(&blocks);
	assert_non_null(one);
	assert_non_null(two);
	assert_null(blocks_take_small(&blocks));
	assert_null(blocks_take_large(&blocks));
	blocks_give(&blocks, one);
	assert_null(blocks_take_large(&blocks));
	one = blocks_take_small(&blocks);
	assert_non_null(one);
	blocks_give(&blocks, one);
	blocks_give(&blocks, two);
	blocks_fini(&blocks);
}

/* After a burst most of it goes back to the allocator. */
static void only_a_bounded_number_is_kept(void **state)
{
	enum { COUNT = 500 };
	static struct block *taken[COUNT];
	struct blocks blocks;
	(void)state;
	blocks_init(&blocks, 1 << 30);
	for (size_t i = 0; i < COUNT; i++)
		taken[i] = i % 2 ? blocks_take_small(&blocks) : blocks_take_large(&blocks);
	assert_int_equal(mem_live(), COUNT);
	for (size_t i = 0; i < COUNT; i++)
		blocks_give(&blocks, taken[i]);
	assert_true(mem_live() < COUNT / 4);
	assert_int_equal(mem_live(), blocks.free_small_count + blocks.free_large_count);
	blocks_fini(&blocks);
	assert_int_equal(mem_live(), 0);
}

static void a_failed_allocation_lends_nothing(void **state)
{
	struct blocks blocks;
	(void)state;
	blocks_init(&blocks, 1 << 20);
	mem_fail_nth(1);
	assert_null(blocks_take_small(&blocks));
	assert_int_equal(blocks.in_use, 0);
	assert_int_equal(blocks.bytes_in_use, 0);
	struct block *block = blocks_take_small(&blocks);
	assert_non_null(block);
	blocks_give(&blocks, block);
	blocks_fini(&blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taken_block_is_empty_and_as_large_as_its_kind),
		cmocka_unit_test(a_given_block_is_lent_again_as_new),
		cmocka_unit_test(the_limit_counts_lent_bytes),
		cmocka_unit_test(only_a_bounded_number_is_kept),
		cmocka_unit_test(a_failed_allocation_lends_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
