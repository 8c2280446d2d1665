/* The shortcut: our dials to servers of the same namespace, of every family and behaviour. */
#include "kernel/tests/pair.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Rows of connections whose other end has not come up. */
static unsigned flows_filed(const struct rig *rig)
{
	char path[160];
	struct weft_flow_key key, next;
	unsigned filed = 0;
	snprintf(path, sizeof(path), "%s/weft_flows", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (void *from = NULL; bpf_map_get_next_key(fd, from, &next) == 0; filed++) {
		key = next;
		from = &key;
	}
	close(fd);
	return filed;
}

/* As Apache listens: a connection comes up with its first bytes, or never. */
static void a_dial_that_no_server_accepted_leaves_nothing_behind(void **state)
{
	struct rig_pod pod;
	char address[ADDRESS_TEXT_MAX];
	int seconds = 60;
	pod_open(*state, &pod);
	int server = rig_server("127.0.0.1", address);
	assert_int_equal(
		setsockopt(server, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
	for (int turn = 0; turn < 3; turn++) {
		int ours = upstream_dial(&pod, address);
		assert_int_equal(flows_filed(pod.rig), 1);
		struct linger now = {.l_onoff = 1};
		setsockopt(ours, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(ours);
		rig_wait_until(flows_filed(pod.rig) == 0);
	}
	close(server);
	rig_pod_close(&pod);
}

static void a_server_that_blocks_now_is_known_to(void **state)
{
	const char *places[] = {"127.0.0.1", "::1"};
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct server server;
		struct pair pair;
		server_open(&pod, places[i], SOCK_NONBLOCK, &server);
		server.flags = 0; /* another program has its address now */
		serve_pair(&pod, &server, &pair);
		assert_int_not_equal(pair.end.leg, 0);
		exchange(&pair);
		assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_BLOCKING);
		pair_close(&pair);
		serve_pair(&pod, &server, &pair);
		assert_int_equal(pair.end.leg, 0);
		exchange(&pair);
		pair_close(&pair);
		close(server.listener);
	}
	rig_pod_close(&pod);
}

/* Its accepted sockets look as any other's; a kernel's own listener below made them. */
static void a_listener_of_mptcp_stays_on_tcp(void **state)
{
	struct rig_pod pod;
	struct server server = {.flags = SOCK_NONBLOCK};
	struct pair pair;
	struct sockaddr_storage to;
	socklen_t size = sizeof(to);
	pod_open(*state, &pod);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (server.listener < 0) {
		print_message("this kernel has no MPTCP\n");
		rig_pod_close(&pod);
		skip();
	}
	struct weft_address any = rig_address("127.0.0.1:0");
	size = rig_sockaddr(AF_INET, &any, &to);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&to, size), 0);
	assert_int_equal(listen(server.listener, 16), 0);
	struct weft_address address = rig_local(server.listener);
	address_print(&address, server.address);
	for (int turn = 0; turn < 3; turn++) {
		serve_pair(&pod, &server, &pair);
		exchange(&pair);
		exchange(&pair);
		assert_int_equal(by_tcp(pair.app), 2 * 7);
		pair_close(&pair);
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 0);
	close(server.listener);
	rig_pod_close(&pod);
}

/* Both ways past TCP on every kind of socket that a server or a client may have. */
static void ipv6_has_it_too(void **state)
{
	const char *places[] = {"::1", RIG_POD_IP6};
	struct rig_pod pod;
	struct server server;
	struct pair pair;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		server_open(&pod, places[i], SOCK_NONBLOCK, &server);
		serve_pair(&pod, &server, &pair);
		exchange(&pair);
		assert_int_equal(by_tcp(pair.app), 0);
		assert_int_equal(by_tcp(pair.ours), 0);
		pair_close(&pair);
		close(server.listener);
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 2);
	rig_wait_until(rows_in_use(pod.rig) == 0);
	rig_pod_close(&pod);
}

static void an_app_that_dials_by_ipv6_or_mapped_ipv4_has_it(void **state)
{
	const char *services[] = {RIG_VIRTUAL6, RIG_VIRTUAL};
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	rig_service(pod.rig, RIG_VIRTUAL6, SERVICE, HTTP);
	for (unsigned i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		struct pollfd ready = {.fd = rig_socket(AF_INET6), .events = POLLOUT};
		set_nonblocking(ready.fd);
		assert_int_equal(rig_connect(ready.fd, AF_INET6, services[i]), -EINPROGRESS);
		assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
		pair.app = ready.fd;
		accept_pair(&pod, &pair);
		assert_non_null(leg_of(&pod, &pair));
		exchange(&pair);
		assert_int_equal(by_tcp(pair.app), 0);
		assert_int_equal(by_tcp(pair.ours), 0);
		pair_close(&pair);
	}
	rig_wait_until(rows_in_use(pod.rig) == 0);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_has_it_too),
		cmocka_unit_test(an_app_that_dials_by_ipv6_or_mapped_ipv4_has_it),
		cmocka_unit_test(a_dial_that_no_server_accepted_leaves_nothing_behind),
		cmocka_unit_test(a_server_that_blocks_now_is_known_to),
		cmocka_unit_test(a_listener_of_mptcp_stays_on_tcp),
	};
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
