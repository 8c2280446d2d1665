/* A watch that rests after what it told. */
#include "stage.h"

/* As stage_synced, with a rest after what a watch told. */
static void stage_that_rests(struct stage *stage)
{
	stage_open_ring(stage);
	struct kube_options options = stage_options(stage);
	options.rest_ns = 40 * NS_PER_MS;
	stage_open(stage, &options);
	asked(stage, "GET /api/v1/services?limit=500 ");
	lists(stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
	asked(stage, "GET /api/v1/services?watch=1&");
	stream_begins(stage);
}

/* ms until what was said is told. */
static unsigned says_and_waits(struct stage *stage, const char *event)
{
	unsigned ms = 0;
	size_t told = strlen(stage->log);
	streams(stage, event);
	for (; strlen(stage->log) == told && ms < 1000; ms++)
		stage_run(stage, 1);
	return ms;
}

static void changes_that_follow_a_change_are_read_together(void **state)
{
	struct stage stage;
	(void)state;
	stage_that_rests(&stage);
	assert_told(&stage, "+shop/a@5 =services ");
	streams(&stage, EVENT("ADDED", META("b", "u2", "8")));
	assert_told(&stage, "+shop/b@8 ");
	stage_run(&stage, 6); /* a rest of 10 ms has begun */
	streams(&stage, EVENT("ADDED", META("c", "u3", "9")));
	stage_run(&stage, 1);
	streams(&stage, EVENT("ADDED", META("d", "u4", "10")));
	assert_told(&stage, "");
	stage_run(&stage, 12);
	assert_told(&stage, "+shop/c@9 +shop/d@10 ");
	stage_run(&stage, 1000);
	streams(&stage, EVENT("ADDED", META("e", "u5", "11")));
	assert_told(&stage, "+shop/e@11 ");
	stage_close(&stage);
}

static void rests_are_longer_while_changes_go_on(void **state)
{
	struct stage stage;
	unsigned waits[8];
	(void)state;
	stage_that_rests(&stage);
	for (unsigned i = 0; i < array_count(waits); i++) {
		waits[i] = says_and_waits(&stage, i % 2 ? EVENT("MODIFIED", META("a", "u1", "8"))
							: EVENT("MODIFIED", META("a", "u1", "9")));
		stage_run(&stage, 5); /* all that is there is read, and the rest begins */
	}
	assert_int_equal(waits[0], 0);
	assert_in_range(waits[1], 8, 12);
	assert_in_range(waits[2], 17, 22);
	for (unsigned i = 3; i < array_count(waits); i++)
		assert_in_range(waits[i], 35, 42);
	stage_run(&stage, 100);
	assert_int_equal(says_and_waits(&stage, EVENT("MODIFIED", META("a", "u1", "10"))), 0);
	stage_close(&stage);
}

static void a_stream_may_end_while_it_rests(void **state)
{
	struct stage stage;
	(void)state;
	stage_that_rests(&stage);
	streams(&stage, EVENT("ADDED", META("b", "u2", "8")));
	stage_run(&stage, 10);
	says(&stage, "0\r\n\r\n");
	asked(&stage, "GET /api/v1/services?watch=1&");
	stream_begins(&stage);
	streams(&stage, EVENT("ADDED", META("c", "u3", "9")));
	stage_run(&stage, 200);
	assert_told(&stage, "+shop/a@5 =services +shop/b@8 +shop/c@9 ");
	io_peer_reset(stage.server);
	asked(&stage, "GET /api/v1/services?watch=1&");
	stage_close(&stage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_that_follow_a_change_are_read_together),
		cmocka_unit_test(rests_are_longer_while_changes_go_on),
		cmocka_unit_test(a_stream_may_end_while_it_rests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
