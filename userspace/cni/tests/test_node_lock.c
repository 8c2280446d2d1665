#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/node_lock.h"

/* A node's folder, and the folders of two pods. */
struct node {
	char root[64];
	char socket[96];
	char pod[96];
	char other_pod[96];
};

static int open_node(void **state)
{
	struct node *node = calloc(1, sizeof(*node));
	snprintf(node->root, sizeof(node->root), "/tmp/weft-test-lock-%d-XXXXXX", getpid());
	assert_non_null(mkdtemp(node->root));
	snprintf(node->socket, sizeof(node->socket), "%s/run/weftd.sock", node->root);
	snprintf(node->pod, sizeof(node->pod), "%s/pod0", node->root);
	snprintf(node->other_pod, sizeof(node->other_pod), "%s/pod1", node->root);
	assert_int_equal(mkdir(node->pod, 0700), 0);
	assert_int_equal(mkdir(node->other_pod, 0700), 0);
	*state = node;
	return 0;
}

static int close_node(void **state)
{
	static const char *const places[] = {"pod0/joined", "pod0/left", "pod0", "pod1/joined",
					     "pod1/left",   "pod1",      "run",  ""};
	struct node *node = *state;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", node->root, places[i]);
		remove(path);
	}
	assert_int_not_equal(access(node->root, F_OK), 0);
	unsetenv(NODE_LOCK_POD_DIR);
	free(node);
	return 0;
}

static void become_pod(const char *folder)
{
	setenv(NODE_LOCK_POD_DIR, folder, 1);
}

static bool joins(const struct node *node, struct node_lock_wait *wait)
{
	int lock = node_lock_share(node->socket, wait);
	assert_true(lock >= 0 || lock == -EWOULDBLOCK);
	node_lock_end(lock);
	return lock >= 0;
}

static bool joins_as_a_new_process(const struct node *node)
{
	struct node_lock_wait wait = {0};
	return joins(node, &wait);
}

static int hold(const struct node *node)
{
	int holder = node_lock_alone(node->socket);
	assert_true(holder >= 0);
	return holder;
}

static void those_who_share_do_not_keep_each_other_out(void **state)
{
	const struct node *node = *state;
	struct node_lock_wait wait = {0};
	become_pod(node->pod);
	int lock = node_lock_share(node->socket, &wait);
	assert_true(lock >= 0);
	become_pod(node->other_pod);
	assert_true(joins_as_a_new_process(node));
	node_lock_end(lock);
}

static void without_a_pod_only_the_lock_counts(void **state)
{
	const struct node *node = *state;
	struct node_lock_wait wait = {0};
	int holder = hold(node);
	assert_false(joins(node, &wait));
	node_lock_end(holder);
	assert_true(joins(node, &wait));
}

static void a_pod_that_had_joined_stays_out_for_its_life(void **state)
{
	const struct node *node = *state;
	struct node_lock_wait wait = {0};
	become_pod(node->pod);
	assert_true(joins_as_a_new_process(node));
	int holder = hold(node);
	assert_false(joins(node, &wait));
	node_lock_end(holder);
	for (int i = 0; i < 2 * NODE_LOCK_SETTLES; i++)
		assert_false(joins(node, &wait));
	assert_false(joins_as_a_new_process(node));
	become_pod(node->other_pod);
	assert_true(joins_as_a_new_process(node));
}

static void a_new_pod_joins_when_the_lock_has_been_free_for_a_while(void **state)
{
	const struct node *node = *state;
	struct node_lock_wait wait = {0};
	become_pod(node->pod);
	for (int round = 0; round < 2; round++) { /* each meeting begins the wait anew */
		int holder = hold(node);
		assert_false(joins(node, &wait));
		node_lock_end(holder);
		for (int i = 0; i < NODE_LOCK_SETTLES - 1; i++)
			assert_false(joins(node, &wait));
	}
	assert_false(joins(node, &wait));
	assert_true(joins(node, &wait));
	assert_true(joins_as_a_new_process(node));
}

static void who_waits_does_not_keep_the_holder_out(void **state)
{
	const struct node *node = *state;
	struct node_lock_wait wait = {0};
	become_pod(node->pod);
	node_lock_end(hold(node));
	int holder = hold(node);
	assert_false(joins(node, &wait));
	node_lock_end(holder);
	assert_false(joins(node, &wait)); /* free, and still waiting */
	node_lock_end(hold(node));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(those_who_share_do_not_keep_each_other_out),
		TEST(without_a_pod_only_the_lock_counts),
		TEST(a_pod_that_had_joined_stays_out_for_its_life),
		TEST(a_new_pod_joins_when_the_lock_has_been_free_for_a_while),
		TEST(who_waits_does_not_keep_the_holder_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
