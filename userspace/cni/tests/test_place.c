#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/conflist.h"
#include "cni/node_file.h"
#include "cni/place.h"

#define LIST   "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"bridge\"}]}\n"
#define OTHER  "{\"cniVersion\":\"1.0.0\",\"name\":\"o\",\"plugins\":[{\"type\":\"other\"}]}\n"
#define SINGLE "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"bridge\"}"

/* A node: two folders and our program, all below one that the test removes. */
struct node {
	char root[64];
	char bin[80];
	char conf[80];
	char program[80];
	struct cni_place place;
	struct text why;
};

static const char *at(const char *folder, const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(struct node *node, const char *name, const char *content)
{
	assert_int_equal(node_file_replace(at(node->conf, name), span_text(content), 0600), 0);
}

static void assert_file(struct node *node, const char *name, const char *content)
{
	struct text found = {0};
	mode_t mode;
	assert_int_equal(node_file_read(at(node->conf, name), &found, &mode), 0);
	assert_string_equal(found.data, content);
	assert_int_equal(mode, 0600);
	text_fini(&found);
}

static bool has_ours(struct node *node, const char *name)
{
	struct text found = {0};
	mode_t mode;
	assert_int_equal(node_file_read(at(node->conf, name), &found, &mode), 0);
	bool has = conflist_has_ours(text_span(&found));
	text_fini(&found);
	return has;
}

static bool exists(const char *folder, const char *name)
{
	return access(at(folder, name), F_OK) == 0;
}

static struct cni_change install(struct node *node)
{
	struct cni_change change;
	assert_int_equal(cni_install(&node->place, &change, &node->why), 0);
	return change;
}

static void remove_all(struct node *node)
{
	struct text removed = {0};
	assert_int_equal(cni_remove(&node->place, &removed, &node->why), 0);
	text_fini(&removed);
}

static bool is_clean(struct node *node)
{
	struct text traces = {0};
	assert_int_equal(cni_traces(&node->place, &traces, &node->why), 0);
	bool clean = traces.size == 0;
	text_fini(&traces);
	return clean;
}

static int open_node(void **state)
{
	struct node *node = calloc(1, sizeof(*node));
	snprintf(node->root, sizeof(node->root), "/tmp/weft-test-cni-%d-XXXXXX", getpid());
	assert_non_null(mkdtemp(node->root));
	snprintf(node->bin, sizeof(node->bin), "%s/bin", node->root);
	snprintf(node->conf, sizeof(node->conf), "%s/conf", node->root);
	snprintf(node->program, sizeof(node->program), "%s/program", node->root);
	assert_int_equal(mkdir(node->bin, 0755), 0);
	assert_int_equal(mkdir(node->conf, 0755), 0);
	assert_int_equal(node_file_replace(node->program,
					   span_text("\x7f"
						     "ELF one"),
					   0755),
			 0);
	node->place = (struct cni_place){.bin_dir = node->bin,
					 .conf_dir = node->conf,
					 .program = node->program,
					 .socket = "/run/weft/weftd.sock"};
	*state = node;
	return 0;
}

static void remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		unlink(at(path, entry->d_name));
	if (folder)
		closedir(folder);
	rmdir(path);
}

static int close_node(void **state)
{
	struct node *node = *state;
	remove_folder(node->bin);
	remove_folder(node->conf);
	remove_folder(node->root);
	text_fini(&node->why);
	free(node);
	return 0;
}

static void the_first_list_by_name_gets_the_plugin(void **state)
{
	struct node *node = *state;
	put(node, "20-b.conflist", OTHER);
	put(node, "10-a.conflist", LIST);
	struct cni_change change = install(node);
	assert_true(change.list_changed && change.program_copied);
	assert_string_equal(change.file, "10-a.conflist");
	assert_true(has_ours(node, "10-a.conflist"));
	assert_file(node, "20-b.conflist", OTHER);
	struct stat program;
	assert_int_equal(stat(at(node->bin, "weft-cni"), &program), 0);
	assert_int_equal(program.st_mode & 07777, 0755);
}

static void what_no_runtime_would_use_is_passed_over(void **state)
{
	struct node *node = *state;
	put(node, "00-broken.conflist", "{");
	put(node, "01-single.conflist", SINGLE);
	put(node, "02-list.conf", LIST);
	put(node, "03-other.bak", LIST);
	assert_int_equal(mkdir(at(node->conf, "04-folder.conflist"), 0755), 0);
	put(node, "05-good.conflist", LIST);
	assert_string_equal(install(node).file, "05-good.conflist");
	assert_file(node, "02-list.conf", LIST);
	rmdir(at(node->conf, "04-folder.conflist"));
}

static void a_second_time_nothing_is_written(void **state)
{
	struct node *node = *state;
	struct stat before;
	struct stat after;
	put(node, "10-a.conflist", LIST);
	install(node);
	assert_int_equal(stat(at(node->conf, "10-a.conflist"), &before), 0);
	struct cni_change change = install(node);
	assert_false(change.list_changed || change.program_copied);
	assert_int_equal(stat(at(node->conf, "10-a.conflist"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void another_program_and_other_options_replace_the_old(void **state)
{
	struct node *node = *state;
	struct text found = {0};
	mode_t mode;
	put(node, "10-a.conflist", LIST);
	install(node);
	assert_int_equal(node_file_replace(node->program, span_text("two"), 0755), 0);
	node->place.is_closed = true;
	struct cni_change change = install(node);
	assert_true(change.list_changed && change.program_copied);
	assert_int_equal(node_file_read(at(node->bin, "weft-cni"), &found, &mode), 0);
	assert_string_equal(found.data, "two");
	text_fini(&found);
	found = (struct text){0};
	assert_int_equal(node_file_read(at(node->conf, "10-a.conflist"), &found, &mode), 0);
	assert_non_null(strstr(found.data, "\"onProxyDeath\":\"closed\""));
	assert_null(strstr(found.data, "open"));
	text_fini(&found);
}

static void it_is_put_in_again_when_another_rewrites_the_list(void **state)
{
	struct node *node = *state;
	put(node, "10-a.conflist", LIST);
	install(node);
	put(node, "10-a.conflist", OTHER);
	assert_true(install(node).list_changed);
	assert_true(has_ours(node, "10-a.conflist"));
	unlink(at(node->bin, "weft-cni"));
	assert_true(install(node).program_copied);
}

static void taking_it_out_restores_every_byte(void **state)
{
	struct node *node = *state;
	put(node, "10-a.conflist", LIST);
	install(node);
	put(node, "05-new.conflist", OTHER);
	install(node);
	assert_false(is_clean(node));
	remove_all(node);
	assert_file(node, "10-a.conflist", LIST);
	assert_file(node, "05-new.conflist", OTHER);
	assert_false(exists(node->bin, "weft-cni"));
	assert_true(is_clean(node));
	remove_all(node);
}

static void what_was_left_half_written_goes_too(void **state)
{
	struct node *node = *state;
	put(node, "10-a.conflist", LIST);
	install(node);
	put(node, "10-a.conflist.weft-new", "half");
	assert_int_equal(
		node_file_replace(at(node->bin, "weft-cni.weft-new"), span_text("EL"), 0755), 0);
	remove_all(node);
	assert_false(exists(node->conf, "10-a.conflist.weft-new"));
	assert_false(exists(node->bin, "weft-cni.weft-new"));
}

static void a_single_configuration_is_put_away_and_back(void **state)
{
	struct node *node = *state;
	put(node, "10-a.conf", SINGLE);
	assert_string_equal(install(node).file, "10-a.conflist");
	assert_true(has_ours(node, "10-a.conflist"));
	assert_false(exists(node->conf, "10-a.conf"));
	assert_false(install(node).list_changed);
	remove_all(node);
	assert_file(node, "10-a.conf", SINGLE);
	assert_false(exists(node->conf, "10-a.conflist"));
	assert_false(exists(node->conf, "10-a.conf.weft-kept"));
}

static void a_single_configuration_written_meanwhile_wins(void **state)
{
	struct node *node = *state;
	put(node, "10-a.conf", SINGLE);
	install(node);
	put(node, "10-a.conf", "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"type\":\"new\"}");
	remove_all(node);
	assert_file(node, "10-a.conf",
		    "{\"cniVersion\":\"1.0.0\",\"name\":\"m\",\"type\":\"new\"}");
	assert_false(exists(node->conf, "10-a.conflist"));
	assert_false(exists(node->conf, "10-a.conf.weft-kept"));
}

static void without_a_configuration_it_waits_for_one(void **state)
{
	struct node *node = *state;
	struct cni_change change;
	assert_int_equal(cni_install(&node->place, &change, &node->why), -ENOENT);
	assert_non_null(strstr(node->why.data, "no CNI configuration"));
	assert_true(change.program_copied);
	remove_all(node);
	assert_true(is_clean(node));
}

static void a_list_of_an_unknown_version_stays_as_it_is(void **state)
{
	static const char new[] = "{\"cniVersion\":\"3.0.0\",\"plugins\":[{\"type\":\"a\"}]}";
	struct node *node = *state;
	struct cni_change change;
	put(node, "10-a.conflist", new);
	assert_int_equal(cni_install(&node->place, &change, &node->why), -ENOTSUP);
	assert_file(node, "10-a.conflist", new);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_list_by_name_gets_the_plugin),
		TEST(what_no_runtime_would_use_is_passed_over),
		TEST(a_second_time_nothing_is_written),
		TEST(another_program_and_other_options_replace_the_old),
		TEST(it_is_put_in_again_when_another_rewrites_the_list),
		TEST(taking_it_out_restores_every_byte),
		TEST(what_was_left_half_written_goes_too),
		TEST(a_single_configuration_is_put_away_and_back),
		TEST(a_single_configuration_written_meanwhile_wins),
		TEST(without_a_configuration_it_waits_for_one),
		TEST(a_list_of_an_unknown_version_stays_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
