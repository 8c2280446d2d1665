/* getpeername and getsockname tell a captured app what a direct dial would have told it. */
#include "kernel/tests/rig.h"

static void peer_and_local_address_look_like_a_direct_dial(void **state)
{
	static const struct {
		int family;
		const char *dialled, *local;
	} cases[] = {
		{AF_INET, RIG_VIRTUAL, RIG_POD_IP},
		{AF_INET6, RIG_VIRTUAL, RIG_POD_IP}, /* v4-mapped */
		{AF_INET6, RIG_VIRTUAL6, RIG_POD_IP6},
	};
	struct rig_pod pod;
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	rig_service(*state, RIG_VIRTUAL6, 8, WEFT_DESTINATION_READY);
	for (size_t i = 0; i < array_count(cases); i++) {
		struct weft_flow flow;
		int app = rig_dial(cases[i].family, cases[i].dialled);
		int ours = rig_accept(&pod, &flow);
		rig_assert_peer(app, cases[i].dialled);
		rig_assert_local(app, cases[i].local);
		close(app);
		close(ours);
	}
	rig_pod_close(&pod);
}

static void the_local_port_is_the_sockets_own(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	int ours = rig_accept(&pod, &flow);
	assert_int_equal(rig_local(app).port, flow.app.port);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void an_unknown_pod_address_leaves_the_local_address_as_it_is(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	memset(pod.pod.local4, 0, sizeof(pod.pod.local4));
	rig_pod_put(&pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	rig_assert_peer(app, RIG_VIRTUAL);
	rig_assert_local(app, "127.0.0.1");
	close(app);
	rig_pod_close(&pod);
}

static void a_dial_to_loopback_keeps_its_loopback_address(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "127.0.0.9:8000");
	rig_assert_peer(app, "127.0.0.9:8000");
	rig_assert_local(app, "127.0.0.1");
	close(app);
	rig_pod_close(&pod);
}

static void a_socket_that_dials_directly_after_a_captured_dial_has_no_stale_peer(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char to[ADDRESS_TEXT_MAX];
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int server = rig_server(RIG_SERVER_IP, to);
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	close(rig_accept(&pod, &flow));
	assert_int_equal(connect(app, &none, sizeof(none)), 0);
	assert_int_equal(rig_connect(app, AF_INET, to), 0);
	rig_assert_direct(&pod, server, app, to);
	close(app);
	close(server);
	rig_pod_close(&pod);
}

static int bound_socket(__be16 port)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = port};
	int fd = rig_socket(AF_INET), one = 1;
	inet_pton(AF_INET, RIG_POD_IP, &from.sin_addr);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	return fd;
}

/* Two sockets with one local port dial the same listener: the second dial fails behind the hook. */
static void a_captured_dial_that_fails_leaves_no_stale_peer(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	struct weft_listener only = {.port4 = {pod.pod.listeners[0].port4[0]}};
	pod.pod.worker_count = 1;
	pod.pod.listeners[0] = only;
	rig_pod_put(&pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int server = rig_server(RIG_SERVER_IP, to);
	int first = bound_socket(0);
	int second = bound_socket(rig_local(first).port);
	assert_int_equal(rig_connect(first, AF_INET, RIG_VIRTUAL), 0);
	int ours = rig_accept(&pod, &flow);
	assert_int_equal(rig_connect(second, AF_INET, RIG_VIRTUAL), -EADDRNOTAVAIL);
	assert_int_equal(rig_connect(second, AF_INET, to), 0);
	rig_assert_direct(&pod, server, second, to);
	close(ours);
	close(first);
	close(second);
	close(server);
	rig_pod_close(&pod);
}

static void a_captured_socket_that_listens_later_reports_its_real_address(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_in loopback = {.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	close(rig_accept(&pod, &flow));
	assert_int_equal(connect(app, &none, sizeof(none)), 0);
	assert_int_equal(bind(app, (struct sockaddr *)&loopback, sizeof(loopback)), 0);
	assert_int_equal(listen(app, 1), 0);
	rig_assert_local(app, "127.0.0.1");
	close(app);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peer_and_local_address_look_like_a_direct_dial),
		cmocka_unit_test(the_local_port_is_the_sockets_own),
		cmocka_unit_test(an_unknown_pod_address_leaves_the_local_address_as_it_is),
		cmocka_unit_test(a_dial_to_loopback_keeps_its_loopback_address),
		cmocka_unit_test(
			a_socket_that_dials_directly_after_a_captured_dial_has_no_stale_peer),
		cmocka_unit_test(a_captured_dial_that_fails_leaves_no_stale_peer),
		cmocka_unit_test(a_captured_socket_that_listens_later_reports_its_real_address),
	};
	return cmocka_run_group_tests_name("bpf identity", tests, rig_open, rig_close);
}
