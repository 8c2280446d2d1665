/* `weft check`: the machine that runs these tests passes, bad places do not. */
#include <bpf/bpf.h>
#include <sys/wait.h>

#include "kernel/check.h"
#include "kernel/tests/rig.h"

static const struct check_line *line_of(const struct check_line *lines, size_t count,
					const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(lines[i].name, name) == 0)
			return &lines[i];
	fail_msg("no line %s", name);
	return NULL;
}

static void this_machine_can_run_weft(void **state)
{
	static const char *const expected[] = {"kernel",
					       "btf",
					       "capabilities",
					       "memlock",
					       "cgroup2",
					       "bpffs",
					       "pins",
					       "hook-connect4",
					       "hook-connect6",
					       "hook-getpeername4",
					       "hook-getpeername6",
					       "hook-getsockname4",
					       "hook-getsockname6",
					       "hook-sock-create",
					       "hook-sockops",
					       "io_uring",
					       "kernel-tls"};
	struct rig *rig = *state;
	struct check_line lines[32];
	size_t count = kernel_check(rig->pin_dir, NULL, lines, array_count(lines));
	assert_int_equal(count, array_count(expected));
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(lines[i].name, expected[i]);
		if (lines[i].result == CHECK_FAIL)
			fail_msg("%s: %s", lines[i].name, lines[i].found);
		assert_true(lines[i].found[0]);
		assert_true(lines[i].result == CHECK_OK || lines[i].advice[0]);
	}
}

static void the_check_leaves_nothing_behind(void **state)
{
	struct rig *rig = *state;
	struct check_line lines[32];
	char path[PATH_MAX + 32];
	kernel_check(rig->pin_dir, rig->cgroup, lines, array_count(lines));
	snprintf(path, sizeof(path), "%s/weft-check-%d", rig->cgroup, getpid());
	assert_int_not_equal(access(path, F_OK), 0);
}

static void bad_places_are_told_with_advice(void **state)
{
	static const struct {
		const char *pin_dir, *cgroup_root, *line;
	} cases[] = {
		{"/tmp/weft", NULL, "bpffs"},
		{"relative", NULL, "pins"},
		{NULL, "/tmp", "cgroup2"},
		{NULL, "/nowhere", "cgroup2"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct check_line lines[32];
		size_t count = kernel_check(cases[i].pin_dir, cases[i].cgroup_root, lines,
					    array_count(lines));
		const struct check_line *line = line_of(lines, count, cases[i].line);
		assert_int_equal(line->result, CHECK_FAIL);
		assert_true(line->found[0] && line->advice[0]);
	}
}

static void pins_of_another_version_are_a_warning(void **state)
{
	struct rig *rig = *state;
	struct check_line lines[32];
	char path[160];
	struct weft_layout other = {.magic = WEFT_LAYOUT_MAGIC, .version = 99}, ours;
	uint32_t zero = 0;
	snprintf(path, sizeof(path), "%s/weft_layout", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &ours), 0);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &other, BPF_ANY), 0);
	size_t count = kernel_check(rig->pin_dir, rig->cgroup, lines, array_count(lines));
	assert_int_equal(bpf_map_update_elem(fd, &zero, &ours, BPF_ANY), 0);
	close(fd);
	const struct check_line *line = line_of(lines, count, "pins");
	assert_int_equal(line->result, CHECK_WARN);
	assert_non_null(strstr(line->found, "layout 99"));
}

static void few_lines_are_filled_and_no_more(void **state)
{
	struct rig *rig = *state;
	struct check_line lines[3] = {{0}};
	assert_int_equal(kernel_check(rig->pin_dir, rig->cgroup, lines, 2), 2);
	assert_null(lines[2].name);
}

/* In a child, since rights do not come back. Its exit status says what it saw. */
static int check_as_nobody(const struct rig *rig)
{
	struct check_line lines[32];
	if (setgid(65534) || setuid(65534))
		return 2;
	size_t count = kernel_check(rig->pin_dir, rig->cgroup, lines, array_count(lines));
	unsigned failed = 0;
	for (size_t i = 0; i < count; i++)
		failed += lines[i].result == CHECK_FAIL && lines[i].advice[0] &&
			  (strcmp(lines[i].name, "capabilities") == 0 ||
			   strcmp(lines[i].name, "hooks") == 0);
	return failed == 2 ? 0 : 3;
}

static void without_rights_the_check_fails_with_advice_and_does_not_crash(void **state)
{
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(check_as_nobody(*state));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int open_as_nobody(const struct rig *rig)
{
	struct text why = {0};
	struct kernel *kernel;
	struct kernel_options options = rig->options;
	options.pin_dir = "/sys/fs/bpf/weft-kernel-nobody";
	if (setgid(65534) || setuid(65534))
		return 2;
	return kernel_open(&options, &why, &kernel) < 0 && why.size > 10 ? 0 : 3;
}

static void without_rights_opening_fails_with_a_sentence(void **state)
{
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(open_as_nobody(*state));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine_can_run_weft),
		cmocka_unit_test(the_check_leaves_nothing_behind),
		cmocka_unit_test(bad_places_are_told_with_advice),
		cmocka_unit_test(pins_of_another_version_are_a_warning),
		cmocka_unit_test(few_lines_are_filled_and_no_more),
		cmocka_unit_test(without_rights_the_check_fails_with_advice_and_does_not_crash),
		cmocka_unit_test(without_rights_opening_fails_with_a_sentence),
	};
	return cmocka_run_group_tests_name("check", tests, rig_open, rig_close);
}
