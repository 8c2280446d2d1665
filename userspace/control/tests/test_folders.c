/* Files as services: lines, faults, changes. */
#include "control/folders.h"
#include "model/snapshot.h"
#include "stage.h"

struct told {
	unsigned count;
	uint32_t lines[8];
};

static void on_fault(void *owner, uint32_t line, const char *sentence)
{
	struct told *told = owner;
	assert_non_null(sentence);
	told->lines[told->count++] = line;
}

static struct draft_list read_text(const char *text, struct arena *arena, struct told *told)
{
	struct draft_list list;
	*told = (struct told){0};
	assert_int_equal(folder_read_file(span_text(text), arena, on_fault, told, &list), 0);
	return list;
}

static void lines_are_endpoints_with_weights(void **state)
{
	struct arena arena = {0};
	struct told told;
	(void)state;
	struct draft_list list = read_text(
		"# all\n10.0.0.1 80\n\n  fd00::1\t8080 * 3 # more\n"
		"10.0.0.2 80 * 0\r\n",
		&arena, &told);
	const struct endpoint_draft *endpoints = list.items;
	assert_int_equal(told.count, 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(endpoints[0].weight, 1);
	assert_int_equal(endpoints[1].weight, 3);
	assert_int_equal(endpoints[1].address.port, htons(8080));
	assert_int_equal(endpoints[2].weight, 0);
	arena_fini(&arena);
}

static void fractions_make_all_weights_of_the_file_larger(void **state)
{
	struct arena arena = {0};
	struct told told;
	(void)state;
	struct draft_list list =
		read_text("10.0.0.1 80 * 1.5\n10.0.0.2 80\n10.0.0.3 80 * .25\n", &arena, &told);
	const struct endpoint_draft *endpoints = list.items;
	assert_int_equal(told.count, 1); /* .25 has no digit before its point */
	assert_int_equal(list.count, 2);
	assert_int_equal(endpoints[0].weight, 1500);
	assert_int_equal(endpoints[1].weight, 1000);
	arena_fini(&arena);
}

static void other_lines_are_told_and_left_out(void **state)
{
	struct arena arena = {0};
	struct told told;
	(void)state;
	struct draft_list list = read_text(
		"example.com 80\n10.0.0.1\n10.0.0.1 0\n10.0.0.1 80 3\n"
		"10.0.0.1 80 * x\n10.0.0.1 80\n10.0.0.1 80 * 2\n",
		&arena, &told);
	assert_int_equal(list.count, 1);
	assert_int_equal(told.count, 6);
	assert_int_equal(told.lines[5], 7);
	arena_fini(&arena);
}

static const struct service *service_named(const char *name)
{
	return snapshot_service_named(snapshot_current(stage.slot), span_text(name));
}

static void files_come_change_and_go(void **state)
{
	struct text why = {0};
	(void)state;
	stage_folder("files");
	stage_write("files/web", "10.0.0.1 80\n");
	stage_write("weft.yaml", "namers: [{root_dir: @/files}]\n");
	assert_int_equal(stage_try_to_open(&why), 0);
	assert_non_null(service_named("#/fs/web"));
	uint32_t id = service_named("#/fs/web")->id;
	stage_write("files/other", "10.0.0.1 80\n10.0.0.2 80\n");
	stage_until(service_named("#/fs/other"));
	assert_int_equal(service_named("#/fs/other")->endpoint_count, 2);
	assert_int_equal(service_named("#/fs/web")->id, id);
	stage_remove("files/other");
	stage_until(!service_named("#/fs/other"));
	stage_write("weft.yaml", "namers: [{root_dir: @/files, prefix: x}]\n");
	stage_until(service_named("#/x/web"));
	assert_null(service_named("#/fs/web"));
	stage_remove("files/web");
	stage_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_endpoints_with_weights),
		cmocka_unit_test(fractions_make_all_weights_of_the_file_larger),
		cmocka_unit_test(other_lines_are_told_and_left_out),
		cmocka_unit_test_setup(files_come_change_and_go, stage_set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
