/* Reading /proc/self/mountinfo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/mounts.h"

#define HYBRID                                                                                     \
	"23 28 0:21 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755\n"             \
	"24 23 0:22 / /sys/fs/cgroup/unified rw,nosuid shared:10 master:3 - cgroup2 cgroup2 rw\n"  \
	"25 23 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
#define PURE "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"

static void the_mount_is_found_in_hybrid_and_pure_hierarchies(void **state)
{
	static const struct {
		const char *mountinfo, *type, *expected;
	} cases[] = {
		{HYBRID, "cgroup2", "/sys/fs/cgroup/unified"},
		{PURE, "cgroup2", "/sys/fs/cgroup"},
		{HYBRID, "tmpfs", "/sys/fs/cgroup"},
		{HYBRID, "cgroup", "/sys/fs/cgroup/cpu"},
		{"36 35 98:0 /mnt1 /with\\040a\\011blank rw - bpf none rw\n", "bpf",
		 "/with a\tblank"},
		{"36 35 98:0 / /first rw - bpf none rw\n37 35 98:0 / /second rw - bpf none rw",
		 "bpf", "/first"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		char path[64] = "";
		assert_true(mountinfo_find(span_text(cases[i].mountinfo), cases[i].type, path,
					   sizeof(path)));
		assert_string_equal(path, cases[i].expected);
	}
}

static void an_absent_mount_is_not_found(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"1 2 3 4\n",
		"24 23 0:22 / /x rw shared:1 - ",
		"24 23 0:22 / /cgroup2 rw - tmpfs cgroup2 rw\n",
		"24 23 0:22 / /x rw cgroup2 cgroup2 rw\n",
	};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		char path[64] = "";
		assert_false(mountinfo_find(span_text(texts[i]), "cgroup2", path, sizeof(path)));
	}
}

static void a_path_that_does_not_fit_is_not_cut(void **state)
{
	char path[8];
	(void)state;
	assert_false(mountinfo_find(span_text(PURE), "cgroup2", path, sizeof(path)));
	assert_true(mountinfo_find(span_text("1 2 0:1 / /seven7 rw - cgroup2 x rw\n"), "cgroup2",
				   path, sizeof(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mount_is_found_in_hybrid_and_pure_hierarchies),
		cmocka_unit_test(an_absent_mount_is_not_found),
		cmocka_unit_test(a_path_that_does_not_fit_is_not_cut),
	};
	return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
