/* Dials that are captured, by every way in which a program can dial. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel/tests/rig.h"

#define CAPTURE     WEFT_POD_CAPTURE
#define CAPTURE_ALL (WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL)

/* Accepts, checks what was filed, and closes our end. */
static void assert_captured(struct rig_pod *pod, const char *destination, int family)
{
	struct weft_flow flow;
	char text[ADDRESS_TEXT_MAX];
	int ours = rig_accept(pod, &flow);
	assert_string_equal(address_print(&flow.destination, text), destination);
	assert_int_equal(flow.pod_id, pod->pod.pod_id);
	assert_int_equal(flow.family, family);
	close(ours);
}

static void a_blocking_connect_to_a_service_reaches_a_listener_in_the_pod(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	uint64_t before_ns = rig_now_ns();
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	int ours = rig_accept(&pod, &flow);
	struct weft_address expected = rig_address(RIG_VIRTUAL);
	assert_memory_equal(&flow.destination, &expected, sizeof(expected));
	assert_int_equal(flow.service_id, 7);
	assert_int_equal(flow.pod_id, pod.pod.pod_id);
	assert_int_equal(flow.family, AF_INET);
	assert_in_range(flow.dialled_ns, before_ns, rig_now_ns());
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 1);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void a_non_blocking_connect_is_captured(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = rig_connect(app, AF_INET, RIG_VIRTUAL);
	assert_true(error == 0 || error == -EINPROGRESS);
	assert_captured(&pod, RIG_VIRTUAL, AF_INET);
	struct pollfd ready = {.fd = app, .events = POLLOUT};
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	rig_assert_peer(app, RIG_VIRTUAL);
	close(app);
	rig_pod_close(&pod);
}

static void an_ipv6_connect_is_captured_by_the_ipv6_listener(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL6, 8, WEFT_DESTINATION_READY);
	int app = rig_dial(AF_INET6, RIG_VIRTUAL6);
	int ours = rig_accept(&pod, &flow);
	struct weft_address local = rig_local(ours);
	assert_false(address_is_v4(&local));
	assert_false(address_is_v4(&flow.app));
	assert_int_equal(flow.service_id, 8);
	assert_int_equal(flow.family, AF_INET6);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void a_v4_mapped_connect_of_an_ipv6_socket_is_captured(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_dial(AF_INET6, RIG_VIRTUAL);
	assert_captured(&pod, RIG_VIRTUAL, AF_INET6);
	close(app);
	rig_pod_close(&pod);
}

static void an_ipv6_connect_goes_v4_mapped_where_no_ipv6_listener_is(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL6, 8, WEFT_DESTINATION_READY);
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		memset(pod.pod.listeners[i].port6, 0, sizeof(pod.pod.listeners[i].port6));
	rig_pod_put(&pod);
	int app = rig_dial(AF_INET6, RIG_VIRTUAL6);
	assert_captured(&pod, RIG_VIRTUAL6, AF_INET6);
	rig_assert_peer(app, RIG_VIRTUAL6);
	rig_assert_local(app, RIG_POD_IP6);
	close(app);
	rig_pod_close(&pod);
}

static void a_v6only_socket_counts_a_pod_without_ipv6_listener_as_dead(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE | WEFT_POD_FAIL_CLOSED, &pod);
	rig_service(*state, RIG_VIRTUAL6, 8, WEFT_DESTINATION_READY);
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		memset(pod.pod.listeners[i].port6, 0, sizeof(pod.pod.listeners[i].port6));
	rig_pod_put(&pod);
	int app = rig_socket(AF_INET6), one = 1;
	assert_int_equal(setsockopt(app, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
	assert_int_equal(rig_connect(app, AF_INET6, RIG_VIRTUAL6), -ECONNREFUSED);
	assert_int_equal(rig_count(&pod, WEFT_REASON_REFUSED_PROXY_DEAD), 1);
	close(app);
	rig_pod_close(&pod);
}

static void a_fast_open_send_does_not_leak_past_capture(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	struct sockaddr_storage to;
	char bytes[8] = "";
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	struct weft_address address = rig_address(RIG_VIRTUAL);
	socklen_t size = address_to_sockaddr(&address, &to);
	int app = rig_socket(AF_INET);
	assert_int_equal(sendto(app, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&to, size), 5);
	int ours = rig_accept(&pod, &flow);
	assert_int_equal(recv(ours, bytes, sizeof(bytes), MSG_WAITALL | MSG_DONTWAIT), 5);
	assert_string_equal(bytes, "hello");
	assert_int_equal(flow.service_id, 7);
	rig_assert_peer(app, RIG_VIRTUAL);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void a_deferred_fast_open_connect_is_captured(void **state)
{
	struct rig_pod pod;
	int one = 1;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_socket(AF_INET);
	assert_int_equal(setsockopt(app, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	assert_int_equal(rig_connect(app, AF_INET, RIG_VIRTUAL), 0);
	assert_int_equal(send(app, "hello", 5, 0), 5);
	assert_captured(&pod, RIG_VIRTUAL, AF_INET);
	close(app);
	rig_pod_close(&pod);
}

/* One IORING_OP_CONNECT by bare system calls. Its result, or -errno of the ring. */
static int uring_connect(int fd, const struct sockaddr *to, socklen_t size)
{
	struct io_uring_params params = {0};
	int ring = (int)syscall(__NR_io_uring_setup, 2, &params);
	if (ring < 0)
		return -errno;
	size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
	size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	char *sq =
		mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *cq =
		mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, params.sq_entries * sizeof(*sqe),
					PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	assert_true(sq != MAP_FAILED && cq != MAP_FAILED && sqe != MAP_FAILED);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_CONNECT;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)to;
	sqe->off = size;
	((unsigned *)(sq + params.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	int result = -EIO;
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1)
		result = ((struct io_uring_cqe *)(cq + params.cq_off.cqes))->res;
	munmap(sq, sq_bytes);
	munmap(cq, cq_bytes);
	munmap(sqe, params.sq_entries * sizeof(*sqe));
	close(ring);
	return result;
}

static void a_connect_from_io_uring_is_captured(void **state)
{
	struct rig_pod pod;
	struct sockaddr_storage to;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	struct weft_address address = rig_address(RIG_VIRTUAL);
	socklen_t size = address_to_sockaddr(&address, &to);
	int app = rig_socket(AF_INET);
	assert_int_equal(uring_connect(app, (struct sockaddr *)&to, size), 0);
	assert_captured(&pod, RIG_VIRTUAL, AF_INET);
	rig_assert_peer(app, RIG_VIRTUAL);
	close(app);
	rig_pod_close(&pod);
}

static void a_socket_bound_to_the_pods_address_is_captured(void **state)
{
	struct rig_pod pod;
	struct sockaddr_in from = {.sin_family = AF_INET};
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	int app = rig_socket(AF_INET);
	inet_pton(AF_INET, RIG_POD_IP, &from.sin_addr);
	assert_int_equal(bind(app, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(rig_connect(app, AF_INET, RIG_VIRTUAL), 0);
	assert_captured(&pod, RIG_VIRTUAL, AF_INET);
	rig_assert_local(app, RIG_POD_IP);
	close(app);
	rig_pod_close(&pod);
}

static void capture_all_takes_dials_to_any_destination(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "198.51.100.9:8443");
	int ours = rig_accept(&pod, &flow);
	assert_int_equal(flow.service_id, 0);
	rig_assert_peer(app, "198.51.100.9:8443");
	close(app);
	close(ours);
	app = rig_dial(AF_INET6, "[2001:db8::9]:8443");
	assert_captured(&pod, "[2001:db8::9]:8443", AF_INET6);
	close(app);
	rig_pod_close(&pod);
}

static void capture_all_reads_the_any_address_as_loopback(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "0.0.0.0:8000");
	assert_captured(&pod, "127.0.0.1:8000", AF_INET);
	rig_assert_peer(app, "127.0.0.1:8000");
	rig_assert_local(app, "127.0.0.1");
	close(app);
	app = rig_dial(AF_INET6, "[::]:8000");
	assert_captured(&pod, "[::1]:8000", AF_INET6);
	close(app);
	rig_pod_close(&pod);
}

static void capture_all_leaves_dials_to_our_own_listeners_alone(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	snprintf(to, sizeof(to), "127.0.0.1:%u",
		 ntohs(pod.listeners.ports[1].port4[WEFT_LANES - 1]));
	int app = rig_dial(AF_INET, to);
	int ours = rig_accept_any(&pod, RIG_DEADLINE_MS);
	assert_true(ours >= 0);
	assert_int_equal(kernel_flow_take(pod.rig->kernel, ours, &flow), -ENOENT);
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 0);
	assert_int_equal(rig_count(&pod, WEFT_REASON_PASS_NOT_MESH), 1);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static unsigned listener_of(struct rig_pod *pod, int ours)
{
	for (unsigned i = 0; i < RIG_LISTENERS; i++) {
		struct weft_address listener = rig_local(*rig_listener(pod, i));
		struct weft_address local = rig_local(ours);
		if (address_equal(&listener, &local))
			return i;
	}
	fail_msg("no listener of the pod");
	return 0;
}

static void dials_spread_over_the_workers_and_their_lanes(void **state)
{
	struct rig_pod pod;
	unsigned dials[RIG_LISTENERS] = {0};
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	rig_service(*state, RIG_VIRTUAL6, 8, WEFT_DESTINATION_READY);
	for (int i = 0; i < 400; i++) { /* one in 10^10 runs leaves a listener out */
		struct weft_flow flow;
		int app = i % 2 ? rig_dial(AF_INET, RIG_VIRTUAL) : rig_dial(AF_INET6, RIG_VIRTUAL6);
		int ours = rig_accept(&pod, &flow);
		unsigned listener = listener_of(&pod, ours);
		assert_int_equal(flow.worker, listener / WEFT_LANES % RIG_WORKERS);
		dials[listener]++;
		close(app);
		close(ours);
	}
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		assert_true(dials[i] > 0);
	rig_pod_close(&pod);
}

static void a_lane_without_our_listener_is_passed_over(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	for (unsigned i = 0; i < RIG_WORKERS * WEFT_LANES; i++) {
		int *fd = rig_listener(&pod, i);
		if (i % WEFT_LANES != 1) {
			close(*fd);
			*fd = -1;
		}
	}
	for (int i = 0; i < 32; i++) {
		int app = rig_dial(AF_INET, RIG_VIRTUAL);
		assert_captured(&pod, RIG_VIRTUAL, AF_INET);
		close(app);
	}
	rig_pod_close(&pod);
}

#define FEW_PORTS 50

/* By one listener alone they would be FEW_PORTS, for all destinations together. */
static void a_pod_may_have_more_connections_than_source_ports(void **state)
{
	struct rig_pod pod;
	int apps[2 * FEW_PORTS];
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	pod.pod.worker_count = 1;
	rig_pod_put(&pod);
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");
	assert_non_null(file);
	fprintf(file, "20000 %d", 20000 + FEW_PORTS - 1);
	assert_int_equal(fclose(file), 0);
	for (size_t i = 0; i < array_count(apps); i++)
		apps[i] = rig_dial(AF_INET, RIG_VIRTUAL);
	for (size_t i = 0; i < array_count(apps); i++)
		close(apps[i]);
	rig_pod_close(&pod);
}

static void a_pod_by_cgroup_is_captured_also_in_child_cgroups_and_nobody_else(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	char cgroup[PATH_MAX + 8], inner[PATH_MAX + 16], server[ADDRESS_TEXT_MAX];
	snprintf(cgroup, sizeof(cgroup), "%s/pod", rig->cgroup);
	snprintf(inner, sizeof(inner), "%s/inner", cgroup);
	assert_int_equal(mkdir(cgroup, 0755), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	rig_pod_open_in(rig, rig_netns_new(rig, true), cgroup, CAPTURE_ALL, &pod);
	assert_int_equal(pod.key.kind, WEFT_POD_BY_CGROUP);
	rig_enter(pod.netns);
	int fd = rig_server(RIG_SERVER_IP, server);

	rig_write_pid(inner);
	int app = rig_dial(AF_INET, server);
	assert_captured(&pod, server, AF_INET);
	rig_assert_peer(app, server);
	rig_assert_local(app, RIG_POD_IP);
	close(app);

	rig_write_pid(rig->cgroup);
	app = rig_dial(AF_INET, server);
	rig_assert_direct(&pod, fd, app, server);
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 1);
	close(app);
	close(fd);
	rig_pod_close(&pod);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(cgroup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocking_connect_to_a_service_reaches_a_listener_in_the_pod),
		cmocka_unit_test(a_non_blocking_connect_is_captured),
		cmocka_unit_test(an_ipv6_connect_is_captured_by_the_ipv6_listener),
		cmocka_unit_test(a_v4_mapped_connect_of_an_ipv6_socket_is_captured),
		cmocka_unit_test(an_ipv6_connect_goes_v4_mapped_where_no_ipv6_listener_is),
		cmocka_unit_test(a_v6only_socket_counts_a_pod_without_ipv6_listener_as_dead),
		cmocka_unit_test(a_fast_open_send_does_not_leak_past_capture),
		cmocka_unit_test(a_deferred_fast_open_connect_is_captured),
		cmocka_unit_test(a_connect_from_io_uring_is_captured),
		cmocka_unit_test(a_socket_bound_to_the_pods_address_is_captured),
		cmocka_unit_test(capture_all_takes_dials_to_any_destination),
		cmocka_unit_test(capture_all_reads_the_any_address_as_loopback),
		cmocka_unit_test(capture_all_leaves_dials_to_our_own_listeners_alone),
		cmocka_unit_test(dials_spread_over_the_workers_and_their_lanes),
		cmocka_unit_test(a_lane_without_our_listener_is_passed_over),
		cmocka_unit_test(a_pod_may_have_more_connections_than_source_ports),
		cmocka_unit_test(a_pod_by_cgroup_is_captured_also_in_child_cgroups_and_nobody_else),
	};
	return cmocka_run_group_tests_name("bpf capture", tests, rig_open, rig_close);
}
