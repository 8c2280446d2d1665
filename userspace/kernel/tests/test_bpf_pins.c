/* What is pinned: taken over, replaced, refused, removed. */
#include <bpf/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "kernel/tests/rig.h"

static struct kernel *open_again(struct rig *rig, unsigned workers)
{
	struct text why = {0};
	struct kernel_options options = rig->options;
	struct kernel *kernel = NULL;
	options.workers = workers;
	if (kernel_open(&options, &why, &kernel))
		fail_msg("kernel_open: %s", why.data);
	text_fini(&why);
	return kernel;
}

/* The rig's kernel anew; the stock, which holds on to the old one's maps, too. */
static void reopen(struct rig *rig, unsigned workers)
{
	struct stock_options stock = {.workers = RIG_WORKERS, .depth = 4};
	stock_close(rig->stock);
	kernel_close(rig->kernel);
	stock.kernel = rig->kernel = open_again(rig, workers);
	assert_int_equal(stock_open(&stock, &rig->stock), 0);
}

static int refused_open(struct rig *rig, const char *pin_dir, const char *expected_word)
{
	struct text why = {0};
	struct kernel_options options = rig->options;
	struct kernel *kernel = NULL;
	options.pin_dir = pin_dir;
	int error = kernel_open(&options, &why, &kernel);
	if (!error || !why.data || !strstr(why.data, expected_word))
		fail_msg("error %d, sentence \"%s\", expected \"%s\"", error,
			 why.data ? why.data : "", expected_word);
	text_fini(&why);
	return error;
}

static int layout_fd(const struct rig *rig)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_layout", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void the_same_layout_is_taken_over_with_pods_and_counters(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open_in(rig, rig_netns_new(rig, true), NULL, WEFT_POD_CAPTURE, &pod);
	rig_service(rig, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	rig_enter(pod.netns);
	close(rig_dial(AF_INET, RIG_VIRTUAL));
	close(rig_accept(&pod, &flow));
	kernel_series(rig->kernel)[3].requests = 42;

	kernel_close(rig->kernel);
	close(rig_dial(AF_INET, RIG_VIRTUAL)); /* between two weftds the hooks go on */
	rig->kernel = open_again(rig, RIG_WORKERS);
	close(rig_accept(&pod, &flow));
	close(rig_dial(AF_INET, RIG_VIRTUAL));
	close(rig_accept(&pod, &flow));
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 3);
	assert_int_equal(kernel_series(rig->kernel)[3].requests, 42);
	kernel_series(rig->kernel)[3].requests = 0;
	rig_pod_close(&pod);
	reopen(rig, RIG_WORKERS);
}

static atomic_bool dialler_stops;

/* Dials a service without endpoints: the hook refuses. Without a hook: no route to the host. */
static void *dial_on(void *data)
{
	const struct rig_pod *pod = data;
	rig_enter(pod->netns);
	uintptr_t unhooked = 0;
	while (!atomic_load(&dialler_stops)) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		unhooked += rig_connect(fd, AF_INET, RIG_VIRTUAL) != -ECONNREFUSED;
		close(fd);
	}
	return (void *)unhooked;
}

static void there_is_no_moment_without_hooks_while_programs_are_replaced(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	pthread_t dialler;
	void *unhooked;
	rig_pod_open_in(rig, rig_netns_new(rig, true), NULL, WEFT_POD_CAPTURE, &pod);
	rig_service(rig, RIG_VIRTUAL, 7, 0);
	atomic_store(&dialler_stops, false);
	assert_int_equal(pthread_create(&dialler, NULL, dial_on, &pod), 0);
	for (int i = 0; i < 5; i++) {
		kernel_close(rig->kernel);
		rig->kernel = open_again(rig, RIG_WORKERS);
	}
	atomic_store(&dialler_stops, true);
	pthread_join(dialler, &unhooked);
	assert_int_equal((uintptr_t)unhooked, 0);
	assert_true(rig_count(&pod, WEFT_REASON_REFUSED_NO_ENDPOINT) > 0);
	rig_pod_close(&pod);
	reopen(rig, RIG_WORKERS);
}

static void another_number_of_workers_keeps_the_sums_of_the_metric_store(void **state)
{
	struct rig *rig = *state;
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		kernel_series(rig->kernel)[i * WEFT_SERIES_MAX + 5].requests = 100 + i;
	kernel_series(rig->kernel)[5].requests_active = 3;
	reopen(rig, 1);
	assert_int_equal(kernel_series(rig->kernel)[5].requests, 100 + 101);
	assert_int_equal(kernel_series(rig->kernel)[5].requests_active, 0);
	reopen(rig, RIG_WORKERS);
	assert_int_equal(kernel_series(rig->kernel)[5].requests, 201);
	kernel_series(rig->kernel)[5].requests = 0;
}

static void count_pod(const struct weft_pod_key *key, const struct weft_pod *pod, void *owner)
{
	(void)key;
	(void)pod;
	++*(unsigned *)owner;
}

static unsigned pods_enrolled(struct rig *rig)
{
	unsigned count = 0;
	assert_int_equal(kernel_pod_each(rig->kernel, count_pod, &count), 0);
	return count;
}

static void another_versions_pins_are_replaced(void **state)
{
	struct rig *rig = *state;
	struct weft_pod_key key = {.id = 12345, .kind = WEFT_POD_BY_NETNS};
	struct weft_pod pod = {.pod_id = 999};
	struct weft_layout layout = {.magic = WEFT_LAYOUT_MAGIC,
				     .version = WEFT_LAYOUT_VERSION + 1};
	uint32_t zero = 0;
	assert_int_equal(kernel_pod_put(rig->kernel, &key, &pod), 0);
	assert_int_equal(pods_enrolled(rig), 1);
	int fd = layout_fd(rig);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &layout, BPF_ANY), 0);
	close(fd);
	reopen(rig, RIG_WORKERS);
	assert_int_equal(pods_enrolled(rig), 0);
	fd = layout_fd(rig);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &layout), 0);
	assert_int_equal(layout.version, WEFT_LAYOUT_VERSION);
	assert_int_equal(layout.owner_pid, getpid());
	close(fd);
}

static void pin_some_map(const char *path)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "some", 4, 4, 1, NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
}

static void set_layout_version(struct rig *rig, uint32_t version)
{
	struct weft_layout layout = {.magic = WEFT_LAYOUT_MAGIC, .version = version};
	uint32_t zero = 0;
	int fd = layout_fd(rig);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &layout, BPF_ANY), 0);
	close(fd);
}

static void folders_of_another_version_go_and_what_is_not_wefts_stays(void **state)
{
	static const char *const ours[] = {"links/deep", "weft_by_pod", "weft_by_pod/deep"};
	static const char *const pins[] = {"weft_later", "links/deep/one", "weft_by_pod/deep/two"};
	struct rig *rig = *state;
	char path[256];
	struct text why = {0};
	for (unsigned i = 0; i < array_count(ours); i++) {
		snprintf(path, sizeof(path), "%s/%s", rig->pin_dir, ours[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	for (unsigned i = 0; i < array_count(pins); i++) {
		snprintf(path, sizeof(path), "%s/%s", rig->pin_dir, pins[i]);
		pin_some_map(path);
	}
	snprintf(path, sizeof(path), "%s/somebody", rig->pin_dir);
	pin_some_map(path);
	set_layout_version(rig, WEFT_LAYOUT_VERSION + 1);
	reopen(rig, RIG_WORKERS);
	assert_int_equal(access(path, F_OK), 0);
	stock_close(rig->stock);
	kernel_close(rig->kernel);
	assert_int_equal(kernel_remove(rig->pin_dir, &why), -ENOTEMPTY);
	assert_non_null(strstr(why.data, "not weft's"));
	text_fini(&why);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(rig->pin_dir), 0); /* nothing else was left */
	struct stock_options stock = {.workers = RIG_WORKERS, .depth = 4};
	stock.kernel = rig->kernel = open_again(rig, RIG_WORKERS);
	assert_int_equal(stock_open(&stock, &rig->stock), 0);
}

static void a_map_that_does_not_fit_makes_everything_be_built_anew(void **state)
{
	struct rig *rig = *state;
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_destinations", rig->pin_dir);
	assert_int_equal(unlink(path), 0);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "weft_destinatio", 4, 4, 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	reopen(rig, RIG_WORKERS);
	rig_service(rig, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
}

static void a_folder_that_is_not_wefts_is_refused_and_left_alone(void **state)
{
	struct rig *rig = *state;
	char dir[128], path[160];
	struct text why = {0};
	snprintf(dir, sizeof(dir), "%s-foreign", rig->pin_dir);
	snprintf(path, sizeof(path), "%s/other", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(refused_open(rig, dir, "not weft's"), -EEXIST);
	assert_int_equal(kernel_remove(dir, &why), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	text_fini(&why);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void a_map_named_like_the_layout_does_not_make_a_folder_wefts(void **state)
{
	struct rig *rig = *state;
	char dir[128], path[160];
	snprintf(dir, sizeof(dir), "%s-foreign", rig->pin_dir);
	snprintf(path, sizeof(path), "%s/weft_layout", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weft_layout", 4, sizeof(struct weft_layout), 1,
				NULL);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(refused_open(rig, dir, "not weft's"), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void a_folder_in_use_by_a_living_weftd_is_refused(void **state)
{
	struct rig *rig = *state;
	struct text why = {0};
	assert_int_equal(refused_open(rig, rig->pin_dir, "in use"), -EBUSY);
	assert_int_equal(kernel_remove(rig->pin_dir, &why), -EBUSY);
	text_fini(&why);
}

static void a_pin_folder_outside_a_bpf_file_system_is_refused(void **state)
{
	assert_int_equal(refused_open(*state, "/tmp/weft-kernel", "bpf file system"), -EINVAL);
	assert_int_equal(refused_open(*state, "relative", "absolute"), -EINVAL);
}

static void a_cgroup_root_that_does_not_exist_is_refused(void **state)
{
	struct rig *rig = *state;
	struct kernel_options before = rig->options;
	rig->options.cgroup_root = "/nowhere/at/all";
	assert_int_equal(refused_open(rig, NULL, "/nowhere/at/all"), -ENOENT);
	rig->options = before;
}

/* `weft run` on a machine where weftd runs: each captures its own pods. */
static void two_instances_live_side_by_side(void **state)
{
	struct rig *rig = *state;
	struct rig second = *rig;
	struct rig_pod pod, other;
	struct weft_flow flow;
	struct text why = {0};
	snprintf(second.pin_dir, sizeof(second.pin_dir), "%.100s-second", rig->pin_dir);
	second.options.pin_dir = second.pin_dir;
	second.kernel = open_again(&second, RIG_WORKERS);
	struct stock_options stock = {.kernel = second.kernel, .workers = RIG_WORKERS, .depth = 1};
	assert_int_equal(stock_open(&stock, &second.stock), 0);
	uint32_t all = WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL;
	rig_pod_open_in(rig, rig_netns_new(rig, true), NULL, all, &pod);
	rig_pod_open_in(&second, rig_netns_new(rig, true), NULL, all, &other);
	struct rig_pod *both[] = {&pod, &other};
	for (size_t i = 0; i < 2; i++) {
		rig_enter(both[i]->netns);
		int app = rig_dial(AF_INET, "198.51.100.9:80");
		close(rig_accept(both[i], &flow));
		rig_assert_peer(app, "198.51.100.9:80");
		close(app);
		assert_int_equal(rig_count(both[i], WEFT_REASON_CAPTURED), 1);
	}
	rig_pod_close(&pod);
	rig_pod_close(&other);
	stock_close(second.stock);
	kernel_close(second.kernel);
	assert_int_equal(kernel_remove(second.pin_dir, &why), 0);
	text_fini(&why);
}

static void every_pinned_map_carries_its_types(void **state)
{
	static const char *const names[] = {
		"weft_layout",  "weft_pods",    "weft_destinations",  "weft_skip_ports",
		"weft_sockets", "weft_dials",   "weft_skip_cidrs",    "weft_heartbeats",
		"weft_flows",   "weft_series",  "weft_series_labels", "weft_proxy_reasons",
		"weft_reasons", "weft_traffic", "weft_accepted"};
	struct rig *rig = *state;
	for (size_t i = 0; i < array_count(names); i++) {
		char path[160];
		struct bpf_map_info info = {0};
		__u32 size = sizeof(info);
		snprintf(path, sizeof(path), "%s/%s", rig->pin_dir, names[i]);
		int fd = bpf_obj_get(path);
		assert_true(fd >= 0);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		assert_int_not_equal(info.btf_key_type_id, 0);
		assert_int_not_equal(info.btf_value_type_id, 0);
		close(fd);
	}
}

static void every_hook_is_a_pinned_link_at_the_cgroup_root(void **state)
{
	static const char *const names[] = {
		"weft_connect4",     "weft_connect6",     "weft_sock_create",  "weft_sockops",
		"weft_getpeername4", "weft_getpeername6", "weft_getsockname4", "weft_getsockname6"};
	struct rig *rig = *state;
	struct stat root;
	assert_int_equal(stat(rig->cgroup, &root), 0);
	for (size_t i = 0; i < array_count(names); i++) {
		char path[160];
		struct bpf_link_info info = {0};
		__u32 size = sizeof(info);
		snprintf(path, sizeof(path), "%s/links/%s", rig->pin_dir, names[i]);
		int fd = bpf_obj_get(path);
		assert_true(fd >= 0);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		assert_int_equal(info.type, BPF_LINK_TYPE_CGROUP);
		assert_int_equal(info.cgroup.cgroup_id, root.st_ino);
		close(fd);
	}
}

/* A weftd that was told another bpf.cgroup_root than the one before it. */
static void another_cgroup_root_moves_the_hooks(void **state)
{
	struct rig *rig = *state;
	char path[160], child[PATH_MAX + 8];
	struct stat folder;
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);
	snprintf(child, sizeof(child), "%s/moved", rig->cgroup);
	assert_int_equal(mkdir(child, 0755), 0);
	assert_int_equal(stat(child, &folder), 0);
	struct kernel_options before = rig->options;
	rig->options.cgroup_root = child;
	reopen(rig, RIG_WORKERS);
	snprintf(path, sizeof(path), "%s/links/weft_connect4", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	assert_int_equal(info.cgroup.cgroup_id, folder.st_ino);
	close(fd);
	rig->options = before;
	reopen(rig, RIG_WORKERS);
	assert_int_equal(rmdir(child), 0);
}

/* In a process that ends without tidying up, as a killed test does. */
static void leave_leftovers(const char *root)
{
	char cgroup[PATH_MAX + 64], pin_dir[64];
	struct text why = {0};
	struct kernel *kernel;
	snprintf(cgroup, sizeof(cgroup), "%s/" RIG_NAME "%d", root, getpid());
	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/" RIG_NAME "%d", getpid());
	const struct kernel_options options = {
		.pin_dir = pin_dir, .cgroup_root = cgroup, .workers = 1};
	char child[PATH_MAX + 8];
	snprintf(child, sizeof(child), "%s/child", cgroup);
	_exit(mkdir(cgroup, 0755) || kernel_open(&options, &why, &kernel) || mkdir(child, 0755));
}

static void what_a_killed_test_left_is_swept_and_nothing_of_the_living(void **state)
{
	struct rig *rig = *state;
	char root[PATH_MAX], path[PATH_MAX + 64];
	int status = -1;
	snprintf(root, sizeof(root), "%s", rig->cgroup);
	*strrchr(root, '/') = '\0';
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		leave_leftovers(root);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rig_sweep("/sys/fs/bpf");
	rig_sweep(root);
	snprintf(path, sizeof(path), "/sys/fs/bpf/" RIG_NAME "%d", pid);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/" RIG_NAME "%d", root, pid);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(access(rig->pin_dir, F_OK), 0);
	assert_int_equal(access(rig->cgroup, F_OK), 0);
}

static void removing_what_is_not_there_is_fine(void **state)
{
	struct text why = {0};
	(void)state;
	assert_int_equal(kernel_remove("/sys/fs/bpf/weft-kernel-never-there", &why), 0);
	text_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_layout_is_taken_over_with_pods_and_counters),
		cmocka_unit_test(there_is_no_moment_without_hooks_while_programs_are_replaced),
		cmocka_unit_test(another_number_of_workers_keeps_the_sums_of_the_metric_store),
		cmocka_unit_test(another_versions_pins_are_replaced),
		cmocka_unit_test(folders_of_another_version_go_and_what_is_not_wefts_stays),
		cmocka_unit_test(a_map_that_does_not_fit_makes_everything_be_built_anew),
		cmocka_unit_test(a_folder_that_is_not_wefts_is_refused_and_left_alone),
		cmocka_unit_test(a_map_named_like_the_layout_does_not_make_a_folder_wefts),
		cmocka_unit_test(a_folder_in_use_by_a_living_weftd_is_refused),
		cmocka_unit_test(a_pin_folder_outside_a_bpf_file_system_is_refused),
		cmocka_unit_test(a_cgroup_root_that_does_not_exist_is_refused),
		cmocka_unit_test(two_instances_live_side_by_side),
		cmocka_unit_test(every_pinned_map_carries_its_types),
		cmocka_unit_test(every_hook_is_a_pinned_link_at_the_cgroup_root),
		cmocka_unit_test(another_cgroup_root_moves_the_hooks),
		cmocka_unit_test(what_a_killed_test_left_is_swept_and_nothing_of_the_living),
		cmocka_unit_test(removing_what_is_not_there_is_fine),
	};
	return cmocka_run_group_tests_name("bpf pins", tests, rig_open, rig_close);
}
