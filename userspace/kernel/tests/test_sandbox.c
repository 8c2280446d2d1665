/* A tree that looks like a node's: cgroup folders with pids, a proc of our own making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/sandbox.h"

#define POD_UID "0a1b2c3d-1111-2222-3333-444455556666"

struct node {
	char root[64];
	char proc[96];
	char cgroup[96];
	struct sandbox_view view;
};

static struct node node;

static void make_folders(const char *path)
{
	char part[256];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0700))
			assert_int_equal(errno, EEXIST);
	}
}

static void write_file(const char *below, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", node.root, below);
	make_folders(path);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void link_file(const char *below, const char *to)
{
	char from[256], target[256];
	snprintf(from, sizeof(from), "%s/%s", node.root, below);
	snprintf(target, sizeof(target), "%s/%s", node.root, to);
	make_folders(from);
	assert_int_equal(symlink(target, from), 0);
}

/* A process in a namespace of that name. */
static void add_process(int pid, unsigned long start, const char *namespace)
{
	char path[64], text[160], target[64];
	snprintf(path, sizeof(path), "proc/%d/stat", pid);
	snprintf(text, sizeof(text),
		 "%d (a ) b) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %lu 1000 1", pid, start);
	write_file(path, text);
	snprintf(path, sizeof(path), "proc/%d/ns/net", pid);
	snprintf(target, sizeof(target), "namespaces/%s", namespace);
	link_file(path, target);
}

static int open_node(void **state)
{
	(void)state;
	snprintf(node.root, sizeof(node.root), "/tmp/weft-sandbox-XXXXXX");
	assert_non_null(mkdtemp(node.root));
	snprintf(node.proc, sizeof(node.proc), "%s/proc", node.root);
	snprintf(node.cgroup, sizeof(node.cgroup), "%s/cgroup", node.root);
	node.view = (struct sandbox_view){.proc = node.proc, .cgroup = node.cgroup};
	write_file("namespaces/node", "");
	write_file("namespaces/pod", "");
	write_file("namespaces/other", "");
	add_process(1, 1, "node");
	write_file("cgroup/cgroup.procs", "1\n");
	write_file("cgroup/kubepods/besteffort/podffff/c1/cgroup.procs", "900\n");
	add_process(900, 5, "other");
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *place)
{
	(void)stat;
	(void)type;
	(void)place;
	return remove(path);
}

static int close_node(void **state)
{
	(void)state;
	return nftw(node.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void finds(const char *below)
{
	char path[SANDBOX_PATH_MAX], wanted[SANDBOX_PATH_MAX];
	struct text why = {0};
	int error = sandbox_find(&node.view, POD_UID, path, &why);
	if (error)
		fail_msg("%s", why.data);
	snprintf(wanted, sizeof(wanted), "%s/%s", node.root, below);
	assert_string_equal(path, wanted);
	text_fini(&why);
}

static void finds_none(int expected)
{
	char path[SANDBOX_PATH_MAX];
	struct text why = {0};
	assert_int_equal(sandbox_find(&node.view, POD_UID, path, &why), expected);
	assert_non_null(why.data);
	text_fini(&why);
}

static void the_oldest_process_of_the_pod_is_taken(void **state)
{
	(void)state;
	write_file("cgroup/kubepods/burstable/pod" POD_UID "/app/cgroup.procs", "20\n21\n");
	write_file("cgroup/kubepods/burstable/pod" POD_UID "/pause/cgroup.procs", "19\n");
	add_process(19, 100, "pod");
	add_process(20, 105, "pod");
	add_process(21, 99999, "other"); /* entered a namespace of its own */
	finds("proc/19/ns/net");
}

static void slices_of_systemd_are_understood(void **state)
{
	(void)state;
	write_file(
		"cgroup/kubepods.slice/kubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice/"
		"cri-containerd-77.scope/cgroup.procs",
		"30\n");
	add_process(30, 7, "pod");
	finds("proc/30/ns/net");
}

static void the_runtimes_handle_is_preferred(void **state)
{
	(void)state;
	write_file("cgroup/kubepods/pod" POD_UID "/c/cgroup.procs", "40\n");
	add_process(40, 7, "pod");
	link_file("proc/1/root/run/netns/cni-1", "namespaces/other");
	link_file("proc/1/root/run/netns/cni-2", "namespaces/pod");
	finds("proc/1/root/run/netns/cni-2");
}

static void a_pod_without_processes_is_not_found(void **state)
{
	(void)state;
	finds_none(-ENOENT);
	write_file("cgroup/kubepods/pod" POD_UID "/c/cgroup.procs", "");
	finds_none(-ENOENT);
	write_file("cgroup/kubepods/pod" POD_UID "/d/cgroup.procs", "50\n"); /* died meanwhile */
	finds_none(-ENOENT);
}

static void a_pod_in_the_nodes_namespace_is_refused(void **state)
{
	(void)state;
	write_file("cgroup/kubepods/pod" POD_UID "/c/cgroup.procs", "60\n");
	add_process(60, 7, "node");
	finds_none(-EXDEV);
}

static void a_uid_is_no_pattern(void **state)
{
	char path[SANDBOX_PATH_MAX];
	static const char *const wrong[] = {"", "../x", "a/b"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct text why = {0};
		assert_int_equal(sandbox_find(&node.view, wrong[i], path, &why), -EINVAL);
		text_fini(&why);
	}
	/* The end of another pod's name is not this pod. */
	write_file("cgroup/kubepods/xpod" POD_UID "/c/cgroup.procs", "70\n");
	add_process(70, 7, "pod");
	finds_none(-ENOENT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_node, close_node)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_oldest_process_of_the_pod_is_taken),
		TEST(slices_of_systemd_are_understood),
		TEST(the_runtimes_handle_is_preferred),
		TEST(a_pod_without_processes_is_not_found),
		TEST(a_pod_in_the_nodes_namespace_is_refused),
		TEST(a_uid_is_no_pattern),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
