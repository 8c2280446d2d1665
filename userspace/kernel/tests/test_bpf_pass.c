/* Dials that pass or are refused, each with its counted reason. */
#include "kernel/tests/rig.h"

#define CAPTURE     WEFT_POD_CAPTURE
#define CAPTURE_ALL (WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL)

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static uint64_t count_all(const struct rig_pod *pod)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < WEFT_KERNEL_REASON_COUNT; i++)
		sum += rig_count(pod, (enum weft_reason)i);
	return sum;
}

/* The dial reaches the plain server, and this is the only reason that was counted. */
static void assert_passes(struct rig_pod *pod, int app, int family, enum weft_reason reason)
{
	char to[ADDRESS_TEXT_MAX];
	uint64_t before = rig_count(pod, reason), all = count_all(pod);
	int server = rig_server(RIG_SERVER_IP, to);
	assert_int_equal(rig_connect(app, family, to), 0);
	rig_assert_direct(pod, server, app, to);
	assert_int_equal(rig_count(pod, reason), before + 1);
	assert_int_equal(count_all(pod), all + 1);
	close(app);
	close(server);
}

static void a_destination_that_is_no_service_passes(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	assert_passes(&pod, rig_socket(AF_INET), AF_INET, WEFT_REASON_PASS_NOT_MESH);
	assert_passes(&pod, rig_socket(AF_INET6), AF_INET6, WEFT_REASON_PASS_NOT_MESH);
	rig_pod_close(&pod);
}

static void a_namespace_that_is_not_enrolled_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(rig, CAPTURE_ALL, &pod);
	int other = rig_netns_new(rig, true);
	rig_enter(other);
	int server = rig_server(RIG_SERVER_IP, to);
	int app = rig_dial(AF_INET, to);
	rig_assert_direct(&pod, server, app, to);
	assert_int_equal(count_all(&pod), 0);
	close(app);
	close(server);
	close(other);
	rig_pod_close(&pod);
}

static void our_own_dial_is_exempt_by_its_storage(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_socket(AF_INET);
	struct weft_socket mark = {.role = WEFT_SOCKET_UPSTREAM, .pod_id = pod.pod.pod_id};
	assert_int_equal(kernel_socket_mark(pod.rig->kernel, app, &mark), 0);
	assert_passes(&pod, app, AF_INET, WEFT_REASON_PASS_OURS);
	rig_pod_close(&pod);
}

static void a_socket_mark_of_the_app_exempts_nothing(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	for (unsigned mark = 1; mark; mark <<= 1) {
		int app = rig_socket(AF_INET);
		assert_int_equal(setsockopt(app, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
		assert_int_equal(rig_connect(app, AF_INET, "198.51.100.9:80"), 0);
		close(rig_accept(&pod, &flow));
		close(app);
	}
	rig_pod_close(&pod);
}

static void a_datagram_socket_passes_and_is_counted(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(rig_connect(app, AF_INET, RIG_SERVER_IP ":53"), 0);
	rig_assert_peer(app, RIG_SERVER_IP ":53");
	close(app);
	app = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(rig_connect(app, AF_INET6, "[" RIG_POD_IP6 "]:53"), 0);
	close(app);
	assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_UDP), 2);
	rig_pod_close(&pod);
}

static void a_raw_socket_passes_and_is_counted(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	assert_true(app >= 0);
	assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_RAW), 1);
	close(app);
	rig_pod_close(&pod);
}

static void a_multipath_tcp_socket_passes_and_is_counted(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (app >= 0)
		assert_passes(&pod, app, AF_INET, WEFT_REASON_PASS_MPTCP);
	else
		print_message("this kernel has no MPTCP\n");
	rig_pod_close(&pod);
	if (app < 0)
		skip();
}

static void a_device_bound_socket_passes_and_is_counted(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_socket(AF_INET);
	assert_int_equal(setsockopt(app, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	assert_passes(&pod, app, AF_INET, WEFT_REASON_PASS_DEVICE_BOUND);
	rig_pod_close(&pod);
}

static void an_excluded_port_passes_for_that_pod_alone(void **state)
{
	struct rig_pod pod, other;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &other);
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	char to[ADDRESS_TEXT_MAX];
	int server = rig_server(RIG_SERVER_IP, to);
	uint16_t port = ntohs(rig_address(to).port);
	assert_int_equal(kernel_skip_port(pod.rig->kernel, other.pod.pod_id, port), 0);
	int app = rig_dial(AF_INET, to);
	close(rig_accept(&pod, &flow));
	close(app);
	assert_int_equal(kernel_skip_port(pod.rig->kernel, pod.pod.pod_id, port), 0);
	app = rig_dial(AF_INET, to);
	rig_assert_direct(&pod, server, app, to);
	assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_EXCLUDED_PORT), 1);
	close(app);
	kernel_skip_clear(pod.rig->kernel, pod.pod.pod_id);
	app = rig_dial(AF_INET, to);
	close(rig_accept(&pod, &flow));
	close(app);
	close(server);
	rig_pod_close(&pod);
	rig_pod_close(&other);
}

static void excluded_networks_pass_by_longest_prefix_in_both_families(void **state)
{
	static const struct {
		const char *network;
		uint8_t prefix;
		const char *inside, *outside;
	} cases[] = {
		{"10.9.0.0", 24, "10.9.0.7:9", "10.9.1.7:9"},
		{"192.0.2.128", 25, "192.0.2.200:9", "192.0.2.100:9"},
		{"fd09::", 64, "[fd09::5]:9", "[fd09:1::5]:9"},
	};
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	for (size_t i = 0; i < array_count(cases); i++) {
		struct weft_address network;
		struct weft_flow flow;
		assert_int_equal(address_parse_ip(span_text(cases[i].network), 0, &network), 0);
		assert_int_equal(kernel_skip_cidr(pod.rig->kernel, pod.pod.pod_id, &network,
						  cases[i].prefix),
				 0);
		int family = cases[i].inside[0] == '[' ? AF_INET6 : AF_INET;
		int app = rig_socket(family);
		assert_int_not_equal(rig_connect(app, family, cases[i].inside), 0);
		close(app);
		assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_EXCLUDED_CIDR), i + 1);
		app = rig_dial(family, cases[i].outside);
		close(rig_accept(&pod, &flow));
		close(app);
	}
	rig_pod_close(&pod);
}

static void capture_switched_off_lets_mesh_dials_pass(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, WEFT_POD_CAPTURE_ALL, &pod);
	assert_passes(&pod, rig_socket(AF_INET), AF_INET, WEFT_REASON_PASS_CAPTURE_OFF);
	rig_pod_close(&pod);
}

static void a_service_without_ready_endpoint_refuses_in_connect_itself(void **state)
{
	struct rig_pod pod;
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, 0);
	rig_service(*state, RIG_VIRTUAL6, 8, 0);
	int blocking = rig_socket(AF_INET);
	int non_blocking = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int v6 = rig_socket(AF_INET6);
	assert_int_equal(rig_connect(blocking, AF_INET, RIG_VIRTUAL), -ECONNREFUSED);
	assert_int_equal(rig_connect(non_blocking, AF_INET, RIG_VIRTUAL), -ECONNREFUSED);
	assert_int_equal(rig_connect(v6, AF_INET6, RIG_VIRTUAL6), -ECONNREFUSED);
	assert_int_equal(rig_count(&pod, WEFT_REASON_REFUSED_NO_ENDPOINT), 3);
	assert_int_equal(getpeername(blocking, (struct sockaddr *)&name, &size), -1);
	close(blocking);
	close(non_blocking);
	close(v6);
	rig_pod_close(&pod);
}

static void a_silent_worker_counts_as_dead_and_the_pod_fails_open(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	rig_beat(*state, WEFT_HEARTBEAT_STALE_NS + 1);
	assert_passes(&pod, rig_socket(AF_INET), AF_INET, WEFT_REASON_PASS_PROXY_DEAD);
	rig_pod_close(&pod);
}

static void a_silent_worker_counts_as_dead_and_the_pod_fails_closed(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL | WEFT_POD_FAIL_CLOSED, &pod);
	rig_beat(*state, WEFT_HEARTBEAT_STALE_NS + 1);
	int app = rig_socket(AF_INET);
	assert_int_equal(rig_connect(app, AF_INET, RIG_SERVER_IP ":9"), -ECONNREFUSED);
	assert_int_equal(rig_count(&pod, WEFT_REASON_REFUSED_PROXY_DEAD), 1);
	close(app);
	rig_pod_close(&pod);
}

static void a_worker_silent_for_less_than_the_limit_is_alive(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	rig_beat(*state, WEFT_HEARTBEAT_STALE_NS / 4);
	int app = rig_dial(AF_INET, RIG_SERVER_IP ":9");
	close(rig_accept(&pod, &flow));
	close(app);
	rig_pod_close(&pod);
}

static void dials_go_to_the_worker_that_still_beats(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	rig_pod_open(rig, CAPTURE_ALL, &pod);
	for (unsigned alive = 0; alive < RIG_WORKERS; alive++) {
		rig_beat(rig, WEFT_HEARTBEAT_STALE_NS + 1);
		kernel_heartbeats(rig->kernel)[alive] = rig_now_ns() + RIG_HOUR_NS;
		for (int i = 0; i < 16; i++) {
			struct weft_flow flow;
			int app = rig_dial(AF_INET, RIG_SERVER_IP ":9");
			close(rig_accept(&pod, &flow));
			assert_int_equal(flow.worker, alive);
			close(app);
		}
	}
	rig_pod_close(&pod);
}

static void closed_listeners_make_the_pod_fail_open_at_once(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	rig_listeners_close(&pod);
	assert_passes(&pod, rig_socket(AF_INET), AF_INET, WEFT_REASON_PASS_PROXY_DEAD);
	rig_pod_close(&pod);
}

static int foreign_listener(__be16 port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = rig_socket(AF_INET), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void a_foreign_listener_on_the_workers_port_never_gets_a_dial(void **state)
{
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	rig_listeners_close(&pod);
	int foreign[RIG_WORKERS * WEFT_LANES];
	for (unsigned i = 0; i < array_count(foreign); i++)
		foreign[i] =
			foreign_listener(pod.listeners.ports[i / WEFT_LANES].port4[i % WEFT_LANES]);
	/* one of another pod does not count either */
	struct weft_socket mark = {.role = WEFT_SOCKET_LISTENER, .pod_id = pod.pod.pod_id + 1};
	assert_int_equal(kernel_socket_mark(pod.rig->kernel, foreign[0], &mark), 0);

	int server = rig_server(RIG_SERVER_IP, to);
	int app = rig_dial(AF_INET, to);
	rig_assert_direct(&pod, server, app, to);
	assert_int_equal(rig_count(&pod, WEFT_REASON_FOREIGN_LISTENER), array_count(foreign));
	assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_PROXY_DEAD), 1);
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 0);
	for (unsigned i = 0; i < array_count(foreign); i++)
		close(foreign[i]);
	close(app);
	close(server);
	rig_pod_close(&pod);
}

/* False where this kernel keeps the limit for the whole machine (before 6.9). */
static bool socket_memory_limit(const char *limit)
{
	FILE *file = fopen("/proc/sys/net/core/optmem_max", "we");
	if (!file)
		return false;
	fputs(limit, file);
	return fclose(file) == 0;
}

static void a_dial_that_finds_no_socket_storage_follows_the_pods_policy(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	if (!socket_memory_limit("0\n")) {
		rig_pod_close(&pod);
		skip();
	}
	assert_passes(&pod, rig_socket(AF_INET), AF_INET, WEFT_REASON_STORAGE_FULL);
	pod.pod.flags |= WEFT_POD_FAIL_CLOSED;
	rig_pod_put(&pod);
	int app = rig_socket(AF_INET);
	assert_int_equal(rig_connect(app, AF_INET, RIG_SERVER_IP ":9"), -ECONNREFUSED);
	assert_int_equal(rig_count(&pod, WEFT_REASON_STORAGE_FULL), 2);
	close(app);
	rig_pod_close(&pod);
}

static void a_connection_older_than_the_enrolment_goes_on_untouched(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX], byte = 'x';
	int netns = rig_netns_new(rig, true);
	rig_enter(netns);
	int server = rig_server(RIG_SERVER_IP, to);
	int app = rig_dial(AF_INET, to), accepted = rig_accept_direct(server);
	rig_enter(rig->home_netns);
	rig_pod_open_in(rig, netns, NULL, CAPTURE_ALL, &pod);
	rig_assert_peer(app, to);
	assert_int_equal(send(app, &byte, 1, 0), 1);
	assert_int_equal(recv(accepted, &byte, 1, MSG_WAITALL), 1);
	assert_int_equal(count_all(&pod), 0);
	close(app);
	close(accepted);
	close(server);
	rig_pod_close(&pod);
}

static void a_removed_pod_is_left_alone_at_once(void **state)
{
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int server = rig_server(RIG_SERVER_IP, to);
	assert_int_equal(kernel_pod_remove(pod.rig->kernel, &pod.key, pod.pod.pod_id), 0);
	int app = rig_dial(AF_INET, to);
	rig_assert_direct(&pod, server, app, to);
	close(app);
	close(server);
	rig_pod_close(&pod);
}

static void bad_pods_are_not_enrolled(void **state)
{
	struct rig *rig = *state;
	struct weft_pod_key key = {.id = 1234567, .kind = WEFT_POD_BY_NETNS};
	struct weft_pod no_id = {.worker_count = 1};
	struct weft_pod too_many = {.pod_id = 5, .worker_count = WEFT_WORKERS_MAX + 1};
	struct weft_address v4 = rig_address("10.0.0.0:0"), v6 = rig_address("[fd00::]:0");
	assert_int_equal(kernel_pod_put(rig->kernel, &key, &no_id), -EINVAL);
	assert_int_equal(kernel_pod_put(rig->kernel, &key, &too_many), -EINVAL);
	assert_int_equal(kernel_skip_cidr(rig->kernel, 5, &v4, 33), -EINVAL);
	assert_int_equal(kernel_skip_cidr(rig->kernel, 5, &v6, 129), -EINVAL);
	assert_int_equal(kernel_pod_remove(rig->kernel, &key, 5), 0);
	assert_int_equal(kernel_destination_remove(rig->kernel, &v4), 0);
}

static void multicast_and_link_local_dials_are_not_captured(void **state)
{
	static const char *const to[] = {"224.0.0.1:9", "255.255.255.255:9", "[ff02::1]:9",
					 "[fe80::1]:9"};
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	for (size_t i = 0; i < array_count(to); i++) {
		int family = to[i][0] == '[' ? AF_INET6 : AF_INET;
		int app = rig_socket(family);
		assert_int_not_equal(rig_connect(app, family, to[i]), 0);
		assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_NOT_MESH), i + 1);
		close(app);
	}
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_that_is_no_service_passes),
		cmocka_unit_test(a_namespace_that_is_not_enrolled_is_left_alone),
		cmocka_unit_test(our_own_dial_is_exempt_by_its_storage),
		cmocka_unit_test(a_socket_mark_of_the_app_exempts_nothing),
		cmocka_unit_test(a_datagram_socket_passes_and_is_counted),
		cmocka_unit_test(a_raw_socket_passes_and_is_counted),
		cmocka_unit_test(a_multipath_tcp_socket_passes_and_is_counted),
		cmocka_unit_test(a_device_bound_socket_passes_and_is_counted),
		cmocka_unit_test(an_excluded_port_passes_for_that_pod_alone),
		cmocka_unit_test(excluded_networks_pass_by_longest_prefix_in_both_families),
		cmocka_unit_test(capture_switched_off_lets_mesh_dials_pass),
		cmocka_unit_test(a_service_without_ready_endpoint_refuses_in_connect_itself),
		cmocka_unit_test(a_silent_worker_counts_as_dead_and_the_pod_fails_open),
		cmocka_unit_test(a_silent_worker_counts_as_dead_and_the_pod_fails_closed),
		cmocka_unit_test(a_worker_silent_for_less_than_the_limit_is_alive),
		cmocka_unit_test(dials_go_to_the_worker_that_still_beats),
		cmocka_unit_test(closed_listeners_make_the_pod_fail_open_at_once),
		cmocka_unit_test(a_foreign_listener_on_the_workers_port_never_gets_a_dial),
		cmocka_unit_test(multicast_and_link_local_dials_are_not_captured),
		cmocka_unit_test(a_dial_that_finds_no_socket_storage_follows_the_pods_policy),
		cmocka_unit_test(a_connection_older_than_the_enrolment_goes_on_untouched),
		cmocka_unit_test(a_removed_pod_is_left_alone_at_once),
		cmocka_unit_test(bad_pods_are_not_enrolled),
	};
	return cmocka_run_group_tests_name("bpf pass", tests, rig_open, rig_close);
}
