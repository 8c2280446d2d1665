/* Listeners and sockets that the helper thread makes inside pods' namespaces. */
#include "kernel/tests/rig.h"

#include <stdatomic.h>
#include <sys/resource.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size), 0);
	return cookie;
}

static int flag_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);
	assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
	return value;
}

/* Stays outside the pod: only the helper goes in. */
static void pod_open(struct rig *rig, struct rig_pod *ret)
{
	rig_pod_open_in(rig, rig_netns_new(rig, true), NULL, WEFT_POD_CAPTURE, ret);
}

static void a_taken_socket_is_ready_to_dial_from_the_pod(void **state)
{
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		int fd = stock_take(stock_pod_share(pod.stock, 0), (sa_family_t)family);
		assert_true(fd >= 0);
		assert_int_equal(flag_of(fd, SOL_SOCKET, SO_DOMAIN), family);
		assert_int_equal(flag_of(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
		assert_int_equal(flag_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(cookie_of(fd), pod.listeners.netns_cookie);
		close(fd);
	}
	rig_pod_close(&pod);
}

static void the_stock_is_filled_again_as_it_is_used(void **state)
{
	struct rig_pod pod;
	pod_open(*state, &pod);
	struct stock_share *share = stock_pod_share(pod.stock, 1);
	for (int i = 0; i < 100; i++) {
		int fd = -1;
		rig_wait_until((fd = stock_take(share, AF_INET)) != -EAGAIN);
		assert_true(fd >= 0);
		close(fd);
	}
	rig_pod_close(&pod);
}

static void on_refill(void *owner)
{
	atomic_fetch_add((atomic_uint *)owner, 1);
}

static void a_worker_that_found_nothing_is_called_back(void **state)
{
	struct rig_pod pod;
	atomic_uint refills = 0;
	pod_open(*state, &pod);
	struct stock_share *share = stock_pod_share(pod.stock, 0);
	stock_share_on_refill(share, on_refill, &refills);
	for (int round = 0; round < 20; round++) {
		int fd;
		unsigned before = atomic_load(&refills);
		while ((fd = stock_take(share, AF_INET)) >= 0)
			close(fd);
		assert_int_equal(fd, -EAGAIN);
		rig_wait_until(atomic_load(&refills) > before);
	}
	rig_pod_close(&pod);
}

static void on_refill_of_flag(void *owner)
{
	assert_true(atomic_load((atomic_bool *)owner));
}

static void a_callback_that_was_taken_back_does_not_come(void **state)
{
	struct rig_pod pod;
	atomic_bool is_wanted = true;
	pod_open(*state, &pod);
	struct stock_share *share = stock_pod_share(pod.stock, 0);
	for (int round = 0; round < 200; round++) {
		int fd;
		atomic_store(&is_wanted, true);
		stock_share_on_refill(share, on_refill_of_flag, &is_wanted);
		while ((fd = stock_take(share, AF_INET)) >= 0)
			close(fd);
		stock_share_on_refill(share, NULL, NULL);
		atomic_store(&is_wanted, false);
	}
	rig_pod_close(&pod);
}

static void listeners_belong_to_the_pod_and_to_nobody_outside(void **state)
{
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < RIG_LISTENERS; i++) {
		int fd = *rig_listener(&pod, i);
		assert_int_equal(cookie_of(fd), pod.listeners.netns_cookie);
		assert_int_equal(flag_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_int_equal(flag_of(fd, SOL_SOCKET, SO_REUSEPORT), 0);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	}
	for (unsigned i = 0; i < RIG_WORKERS * WEFT_LANES; i++) {
		unsigned worker = i / WEFT_LANES, lane = i % WEFT_LANES;
		const struct weft_listener *ports = &pod.listeners.ports[worker];
		assert_int_equal(rig_local(pod.listeners.fd4[worker][lane]).port,
				 ports->port4[lane]);
		assert_int_equal(rig_local(pod.listeners.fd6[worker][lane]).port,
				 ports->port6[lane]);
	}
	rig_pod_close(&pod);
}

static void the_pods_own_addresses_are_found(void **state)
{
	struct rig_pod pod;
	char text[ADDRESS_TEXT_MAX];
	pod_open(*state, &pod);
	assert_string_equal(address_print_ip(&pod.listeners.local4, text), RIG_POD_IP);
	assert_string_equal(address_print_ip(&pod.listeners.local6, text), RIG_POD_IP6);
	rig_pod_close(&pod);
}

static void a_namespace_without_ipv6_has_no_ipv6_listeners(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	int netns = rig_netns_new(rig, true);
	rig_enter(netns);
	FILE *file = fopen("/proc/sys/net/ipv6/conf/all/disable_ipv6", "we");
	if (file) {
		fputs("1\n", file);
		fclose(file);
	}
	rig_enter(rig->home_netns);
	if (!file) {
		close(netns);
		skip();
	}
	rig_pod_open_in(rig, netns, NULL, WEFT_POD_CAPTURE, &pod);
	for (unsigned i = 0; i < RIG_WORKERS * WEFT_LANES; i++) {
		unsigned worker = i / WEFT_LANES, lane = i % WEFT_LANES;
		assert_int_equal(pod.listeners.fd6[worker][lane], -1);
		assert_int_equal(pod.listeners.ports[worker].port6[lane], 0);
		assert_int_not_equal(pod.listeners.ports[worker].port4[lane], 0);
	}
	assert_int_equal(stock_take(stock_pod_share(pod.stock, 0), AF_INET6), -EAFNOSUPPORT);
	int fd = stock_take(stock_pod_share(pod.stock, 0), AF_INET);
	assert_true(fd >= 0);
	close(fd);
	rig_pod_close(&pod);
}

static void bad_places_are_refused_with_a_sentence(void **state)
{
	struct rig *rig = *state;
	int no_lo = rig_netns_new(rig, false);
	char lo_down[64];
	snprintf(lo_down, sizeof(lo_down), "/proc/self/fd/%d", no_lo);
	const struct weft_address stranger = {
		.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 77}};
	const struct {
		struct stock_place place;
		int error;
		const char *word;
	} cases[] = {
		{{.netns_path = "/run/netns/weft-never-there"}, -ENOENT, "weft-never-there"},
		{{.netns_path = "/proc/self/status"}, -EINVAL, "no network namespace"},
		{{.netns_path = "/proc/self/ns/uts"}, -EINVAL, "no network namespace"},
		{{.netns_path = lo_down}, -ENETDOWN, "loopback"},
		{{.cgroup_path = "/sys/fs/cgroup/weft-never-there"}, -ENOENT, "weft-never-there"},
		{{.cgroup_path = "/tmp"}, -EINVAL, "cgroup v2"},
		{{.netns_path = "/proc/self/ns/net", .holds = {stranger}},
		 -EADDRNOTAVAIL,
		 "192.0.2.77"},
	};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct text why = {0};
		struct stock_pod *pod;
		struct stock_listeners listeners;
		int error = stock_pod_open(rig->stock, 77, &cases[i].place, &why, &pod, &listeners);
		if (error != cases[i].error || !why.data || !strstr(why.data, cases[i].word))
			fail_msg("case %zu: error %d, \"%s\"", i, error, why.data ? why.data : "");
		text_fini(&why);
	}
	close(no_lo);
}

/* The helper comes home after each pod, also after one whose namespace nobody else holds. */
static void the_helper_survives_a_namespace_that_vanished(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod, next;
	pod_open(rig, &pod);
	close(pod.netns); /* the last one outside the stock */
	pod.netns = -1;
	for (int i = 0; i < 20; i++) {
		int fd = -1;
		rig_wait_until((fd = stock_take(stock_pod_share(pod.stock, 0), AF_INET)) >= 0);
		close(fd);
	}
	rig_pod_close(&pod);
	pod_open(rig, &next);
	assert_int_not_equal(cookie_of(next.listeners.fd4[0][0]), pod.listeners.netns_cookie);
	rig_pod_close(&next);
}

static void without_a_path_the_pod_lives_in_wefts_own_namespace(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	int probe = rig_socket(AF_INET);
	rig_pod_open_in(rig, -1, NULL, 0, &pod);
	assert_int_equal(pod.listeners.netns_cookie, cookie_of(probe));
	close(probe);
	rig_pod_close(&pod);
}

struct seen {
	unsigned count;
	struct weft_address local, peer;
};

static void on_uncaptured(const struct weft_address *local, const struct weft_address *peer,
			  void *owner)
{
	struct seen *seen = owner;
	seen->count++;
	seen->local = *local;
	seen->peer = *peer;
}

static struct seen uncaptured(struct rig_pod *pod)
{
	struct seen seen = {0};
	assert_int_equal(stock_pod_uncaptured(pod->rig->stock, pod->stock, on_uncaptured, &seen),
			 0);
	return seen;
}

static void connections_older_than_the_enrolment_are_listed_while_they_live(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
	int netns = rig_netns_new(rig, true);
	rig_enter(netns);
	int server = rig_server(RIG_SERVER_IP, to), lo_server = rig_server("127.0.0.1", local);
	int old = rig_dial(AF_INET, to), lo = rig_dial(AF_INET, local);
	rig_enter(rig->home_netns);
	rig_pod_open_in(rig, netns, NULL, WEFT_POD_CAPTURE, &pod);
	/* both ends of one connection are in this namespace; loopback peers do not count */
	assert_int_equal(pod.listeners.uncaptured_count, 2);
	assert_int_equal(uncaptured(&pod).count, 2);
	rig_enter(netns);
	int young = rig_dial(AF_INET, to);
	rig_enter(rig->home_netns);
	assert_int_equal(uncaptured(&pod).count, 2);
	close(old);
	close(rig_accept_direct(server));
	rig_wait_until(uncaptured(&pod).count == 0);
	close(young);
	close(lo);
	close(server);
	close(lo_server);
	rig_pod_close(&pod);
}

/* As a container's own cgroups below the one that `weft run` or a kubelet made. */
static void older_connections_of_child_cgroups_are_listed_and_those_of_siblings_not(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	char paths[3][PATH_MAX + 16];
	static const char *const names[] = {"pod", "pod/child", "pod-2"};
	int ends[3];
	int netns = rig_netns_new(rig, true);
	rig_enter(netns);
	int server = rig_server(RIG_SERVER_IP, to);
	for (unsigned i = 0; i < array_count(names); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", rig->cgroup, names[i]);
		assert_int_equal(mkdir(paths[i], 0755), 0);
		rig_write_pid(paths[i]);
		ends[i] = rig_dial(AF_INET, to);
	}
	rig_write_pid(rig->cgroup);
	rig_enter(rig->home_netns);
	rig_pod_open_in(rig, netns, paths[0], WEFT_POD_CAPTURE, &pod);
	unsigned before = pod.listeners.uncaptured_count;
	unsigned listed = uncaptured(&pod).count;
	for (unsigned i = array_count(names); i-- > 0;) {
		close(ends[i]);
		close(rig_accept_direct(server));
	}
	rig_wait_until(uncaptured(&pod).count == 0);
	rig_pod_close(&pod);
	close(server);
	for (unsigned i = array_count(names); i-- > 0;)
		rig_wait_until(rmdir(paths[i]) == 0);
	assert_int_equal(before, 2);
	assert_int_equal(listed, 2);
}

/* Many pods must not take the descriptors that their connections need. */
static void the_stock_leaves_descriptors_to_connections(void **state)
{
	struct rig *rig = *state;
	struct rlimit before;
	struct rig_pod pod;
	int netns = rig_netns_new(rig, true);
	int next = dup(netns);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* Its listeners fit below three quarters of this, its whole stock does not. */
	rlim_t few = ((rlim_t)next + 2 * WEFT_LANES * RIG_WORKERS + 4) * 4 / 3;
	struct rlimit after = {.rlim_cur = few, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &after), 0);
	rig_pod_open_in(rig, netns, NULL, WEFT_POD_CAPTURE, &pod);
	int highest = dup(netns);
	close(highest);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_in_range(highest, 0, few - few / 8);
	for (unsigned worker = 0; worker < RIG_WORKERS; worker++) {
		int fd = stock_take(stock_pod_share(pod.stock, worker), AF_INET);
		assert_true(fd >= 0); /* one is always there */
		close(fd);
	}
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taken_socket_is_ready_to_dial_from_the_pod),
		cmocka_unit_test(the_stock_is_filled_again_as_it_is_used),
		cmocka_unit_test(a_worker_that_found_nothing_is_called_back),
		cmocka_unit_test(the_stock_leaves_descriptors_to_connections),
		cmocka_unit_test(a_callback_that_was_taken_back_does_not_come),
		cmocka_unit_test(listeners_belong_to_the_pod_and_to_nobody_outside),
		cmocka_unit_test(the_pods_own_addresses_are_found),
		cmocka_unit_test(a_namespace_without_ipv6_has_no_ipv6_listeners),
		cmocka_unit_test(bad_places_are_refused_with_a_sentence),
		cmocka_unit_test(the_helper_survives_a_namespace_that_vanished),
		cmocka_unit_test(without_a_path_the_pod_lives_in_wefts_own_namespace),
		cmocka_unit_test(connections_older_than_the_enrolment_are_listed_while_they_live),
		cmocka_unit_test(
			older_connections_of_child_cgroups_are_listed_and_those_of_siblings_not),
	};
	return cmocka_run_group_tests_name("bpf stock", tests, rig_open, rig_close);
}
