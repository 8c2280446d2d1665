#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int number;
	struct list link;
};

/* The items' numbers as digits of one number. */
static int digits(struct list *head)
{
	int sum = 0;
	list_each (head, link)
		sum = sum * 10 + list_entry(link, struct item, link)->number;
	return sum;
}

static void items_keep_the_order_in_which_they_were_added(void **state)
{
	struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
	struct list head;
	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_int_equal(digits(&head), 0);
	list_add_last(&head, &items[0].link);
	list_add_last(&head, &items[1].link);
	list_add_first(&head, &items[2].link);
	assert_false(list_is_empty(&head));
	assert_int_equal(digits(&head), 312);
}

static void a_removed_item_is_on_no_list(void **state)
{
	struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
	struct list head;
	(void)state;
	list_init(&head);
	for (size_t i = 0; i < 3; i++)
		list_add_last(&head, &items[i].link);
	assert_true(list_is_linked(&items[1].link));
	list_remove(&items[1].link);
	assert_false(list_is_linked(&items[1].link));
	assert_int_equal(digits(&head), 13);
	/* Removing it again harms nobody. */
	list_remove(&items[1].link);
	assert_int_equal(digits(&head), 13);
	list_add_last(&head, &items[1].link);
	assert_int_equal(digits(&head), 132);
}

static void the_body_of_a_loop_may_remove_its_item(void **state)
{
	struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
	struct list head;
	int seen = 0;
	(void)state;
	list_init(&head);
	for (size_t i = 0; i < 4; i++)
		list_add_last(&head, &items[i].link);
	list_each (&head, link) {
		seen++;
		if (list_entry(link, struct item, link)->number % 2)
			list_remove(link);
	}
	assert_int_equal(seen, 4);
	assert_int_equal(digits(&head), 24);
	list_each (&head, link)
		list_remove(link);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_keep_the_order_in_which_they_were_added),
		cmocka_unit_test(a_removed_item_is_on_no_list),
		cmocka_unit_test(the_body_of_a_loop_may_remove_its_item),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
