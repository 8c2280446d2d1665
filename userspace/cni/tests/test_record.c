#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/metrics.h"
#include "cni/node_file.h"
#include "cni/record.h"

/* A folder in place of /run/weft, and the path of weftd's socket in it. */
static char folder[64];
static char socket_path[80];
static char record_path[80];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/weft-test-record-%d-XXXXXX", getpid());
	if (!mkdtemp(folder))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/weftd.sock", folder);
	snprintf(record_path, sizeof(record_path), "%s/cni.json", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_fail_nth(0);
	unlink(record_path);
	return rmdir(folder);
}

static void what_was_written_is_read(void **state)
{
	const struct cni_record record = {.is_installed = true, .put_in_again = 41};
	(void)state;
	assert_int_equal(cni_record_write(socket_path, &record), 0);
	assert_true(cni_record_read(socket_path).is_installed);
	assert_int_equal(cni_record_read(socket_path).put_in_again, 41);
	cni_record_remove(socket_path);
	assert_int_equal(access(record_path, F_OK), -1);
}

static void what_cannot_be_read_is_nothing(void **state)
{
	static const char *const contents[] = {"", "{", "[]", "{\"put_in_again\": -1}",
					       "{\"put_in_again\": \"3\", \"is_installed\": 1}"};
	(void)state;
	assert_false(cni_record_read(socket_path).is_installed);
	for (size_t i = 0; i < array_count(contents); i++) {
		assert_int_equal(node_file_replace(record_path, span_text(contents[i]), 0600), 0);
		assert_false(cni_record_read(socket_path).is_installed);
		assert_int_equal(cni_record_read(socket_path).put_in_again, 0);
	}
	assert_false(cni_record_read("no-folder").is_installed);
}

static void without_memory_the_old_record_stays(void **state)
{
	struct cni_record record = {.is_installed = true, .put_in_again = 1};
	(void)state;
	assert_int_equal(cni_record_write(socket_path, &record), 0);
	record.put_in_again = 2;
	mem_fail_nth(1);
	assert_int_not_equal(cni_record_write(socket_path, &record), 0);
	mem_fail_nth(0);
	assert_int_equal(cni_record_read(socket_path).put_in_again, 1);
}

static void a_node_without_configuration_has_no_plugin_in_place(void **state)
{
	const struct cni_place place = {.bin_dir = folder, .conf_dir = folder};
	struct text page = {0};
	(void)state;
	cni_metrics_page(&place, socket_path, &page);
	assert_non_null(strstr(page.data, "\nweft_cni_in_place 0\n"));
	assert_non_null(strstr(page.data, "\nweft_cni_reinsertions_total 0\n"));
	text_fini(&page);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_was_written_is_read),
		test(what_cannot_be_read_is_nothing),
		test(without_memory_the_old_record_stays),
		test(a_node_without_configuration_has_no_plugin_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
