#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "cni/node_file.h"
#include "cni/pending.h"

/* A folder for pending pods, two levels below one that exists; and what settle() was shown. */
struct folder {
	char root[64];
	char middle[80];
	char path[96];
	struct text shown;
	const char *settles; /* the body that it says true of; NULL = all */
};

static int open_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	snprintf(folder->root, sizeof(folder->root), "/tmp/weft-test-pending-%d-XXXXXX", getpid());
	assert_non_null(mkdtemp(folder->root));
	snprintf(folder->middle, sizeof(folder->middle), "%s/run", folder->root);
	snprintf(folder->path, sizeof(folder->path), "%s/pending", folder->middle);
	*state = folder;
	return 0;
}

static int close_folder(void **state)
{
	struct folder *folder = *state;
	pending_clear(folder->path);
	rmdir(folder->middle);
	assert_int_equal(rmdir(folder->root), 0);
	text_fini(&folder->shown);
	free(folder);
	return 0;
}

static void file(struct folder *folder, const char *id, const char *body)
{
	assert_int_equal(pending_write(span_text(folder->path), span_text(id), span_text(body)), 0);
}

static bool exists(const struct folder *folder, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	return access(path, F_OK) == 0;
}

static bool settle(void *owner, struct span body)
{
	struct folder *folder = owner;
	text_add(&folder->shown, body);
	return !folder->settles || span_is(body, folder->settles);
}

static void what_is_settled_is_removed_and_the_rest_is_shown_again(void **state)
{
	struct folder *folder = *state;
	file(folder, "a", "{\"a\":1}");
	file(folder, "b", "{\"b\":1}");
	folder->settles = "{\"a\":1}";
	assert_int_equal(pending_settle(folder->path, settle, folder), 1);
	assert_false(exists(folder, "a.json"));
	assert_true(exists(folder, "b.json"));
	text_clear(&folder->shown);
	folder->settles = NULL;
	assert_int_equal(pending_settle(folder->path, settle, folder), 1);
	assert_string_equal(folder->shown.data, "{\"b\":1}");
	assert_int_equal(pending_settle(folder->path, settle, folder), 0);
}

static void no_folder_is_no_pending_pod(void **state)
{
	struct folder *folder = *state;
	assert_int_equal(pending_settle(folder->path, settle, folder), 0);
	pending_remove(span_text(folder->path), span_text("a"));
	pending_sweep(span_text(folder->path), span_text("[]"));
	pending_clear(folder->path);
}

static void files_that_are_still_being_written_are_not_shown(void **state)
{
	struct folder *folder = *state;
	char path[128];
	file(folder, "a", "whole");
	snprintf(path, sizeof(path), "%s/b.json.weft-new", folder->path);
	assert_int_equal(node_file_replace(path, span_text("half"), 0600), 0);
	assert_int_equal(pending_settle(folder->path, settle, folder), 1);
	assert_string_equal(folder->shown.data, "whole");
	unlink(path);
}

static void a_plugin_that_was_killed_leaves_nothing_behind_for_good(void **state)
{
	struct folder *folder = *state;
	char path[128];
	file(folder, "a", "whole");
	snprintf(path, sizeof(path), "%s/b.json.weft-new", folder->path);
	assert_int_equal(node_file_replace(path, span_text("half"), 0600), 0);
	pending_clear(folder->path);
	assert_int_equal(access(folder->path, F_OK), -1);
}

static void a_sweep_spares_what_is_attached(void **state)
{
	struct folder *folder = *state;
	file(folder, "gone", "1");
	file(folder, "here", "2");
	pending_sweep(span_text(folder->path),
		      span_text("[{\"ifname\":\"eth0\",\"containerID\":\"here\"},{},1]"));
	assert_false(exists(folder, "gone.json"));
	assert_true(exists(folder, "here.json"));
	pending_remove(span_text(folder->path), span_text("here"));
	assert_false(exists(folder, "here.json"));
}

static void a_second_file_for_a_sandbox_replaces_the_first(void **state)
{
	struct folder *folder = *state;
	file(folder, "a", "first");
	file(folder, "a", "second");
	assert_int_equal(pending_settle(folder->path, settle, folder), 1);
	assert_string_equal(folder->shown.data, "second");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_settled_is_removed_and_the_rest_is_shown_again),
		TEST(no_folder_is_no_pending_pod),
		TEST(files_that_are_still_being_written_are_not_shown),
		TEST(a_plugin_that_was_killed_leaves_nothing_behind_for_good),
		TEST(a_sweep_spares_what_is_attached),
		TEST(a_second_file_for_a_sandbox_replaces_the_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
