#include "stage.h"

#include <errno.h>

static void a_list_is_followed_by_a_watch(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	assert_int_equal(status_of(&stage).state, KUBE_WATCHING);
	assert_true(status_of(&stage).is_synced);
	streams(&stage, EVENT("ADDED", META("b", "u2", "8")));
	streams(&stage, EVENT("MODIFIED", META("a", "u1", "9")));
	assert_told(&stage, "+shop/b@8 ~shop/a@9 ");
	streams(&stage, EVENT("DELETED", META("a", "u1", "10")));
	assert_told(&stage, "-shop/a@9 ");
	assert_int_equal(status_of(&stage).objects, 1);
	assert_int_equal(status_of(&stage).changes, 3);
	assert_string_equal(status_of(&stage).version, "10");
	stage_close(&stage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_followed_by_a_watch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
