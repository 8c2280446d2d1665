/* sockops: flows between established and accepted, and what connections moved. */
#include <bpf/bpf.h>

#include "kernel/tests/rig.h"

#define CAPTURE     WEFT_POD_CAPTURE
#define CAPTURE_ALL (WEFT_POD_CAPTURE | WEFT_POD_CAPTURE_ALL)

static int flows_fd(const struct rig *rig)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_flows", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* Flows of a pod that are filed now, read like bpftool does: from the pinned map. */
static unsigned flows_filed(const struct rig_pod *pod)
{
	struct weft_flow_key key, *last = NULL;
	struct weft_flow flow;
	unsigned count = 0;
	int fd = flows_fd(pod->rig);
	while (bpf_map_get_next_key(fd, last, &key) == 0) {
		count +=
			bpf_map_lookup_elem(fd, &key, &flow) == 0 && flow.pod_id == pod->pod.pod_id;
		last = &key;
	}
	close(fd);
	return count;
}

struct wanted {
	struct weft_traffic_key key;
	struct weft_traffic row;
};

static void on_row(const struct weft_traffic_key *key, const struct weft_traffic *row, void *owner)
{
	struct wanted *wanted = owner;
	if (memcmp(key, &wanted->key, sizeof(*key)) == 0)
		wanted->row = *row;
}

static struct weft_traffic traffic_of(const struct rig_pod *pod, uint32_t service_id, uint32_t role)
{
	struct wanted wanted = {
		.key = {.pod_id = pod->pod.pod_id, .service_id = service_id, .role = role}};
	assert_int_equal(kernel_traffic_each(pod->rig->kernel, on_row, &wanted), 0);
	return wanted.row;
}

/* Our ends stay unfinished until the app has sent something. */
static void ours_wait_for_bytes(struct rig_pod *pod)
{
	int seconds = 60;
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		assert_int_equal(setsockopt(*rig_listener(pod, i), IPPROTO_TCP, TCP_DEFER_ACCEPT,
					    &seconds, sizeof(seconds)),
				 0);
}

static void reset(int fd)
{
	struct linger linger = {.l_onoff = 1};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

static void a_flow_is_filed_only_until_our_end_is_up(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	ours_wait_for_bytes(&pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	assert_int_equal(flows_filed(&pod), 1);
	assert_int_equal(send(app, "x", 1, 0), 1);
	rig_wait_until(flows_filed(&pod) == 0);
	int ours = rig_accept(&pod, &flow);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void a_flow_stays_with_our_socket_and_knows_the_apps_address(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char text[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	int ours = rig_accept_any(&pod, RIG_DEADLINE_MS);
	__be16 port = rig_local(app).port;
	assert_int_equal(flows_filed(&pod), 0);
	for (int turn = 0; turn < 3; turn++) {
		memset(&flow, 0, sizeof(flow));
		assert_int_equal(kernel_flow_take(pod.rig->kernel, ours, &flow), 0);
		assert_string_equal(address_print(&flow.destination, text), "198.51.100.9:80");
		assert_string_equal(address_print_ip(&flow.app, text), "127.0.0.1");
		assert_int_equal(flow.app.port, port);
		if (turn == 0)
			reset(app);
	}
	close(ours);
	rig_pod_close(&pod);
}

/* Listens where the other pod's first listener does, as this pod's listener. */
static int listen_where(struct rig_pod *pod, const struct rig_pod *other)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = other->listeners.ports[0].port4[0],
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct weft_socket mark = {.role = WEFT_SOCKET_LISTENER, .pod_id = pod->pod.pod_id};
	int fd = rig_socket(AF_INET);
	assert_int_equal(kernel_socket_mark(pod->rig->kernel, fd, &mark), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	pod->listeners.ports[0].port4[0] = address.sin_port;
	return fd;
}

static void only_first_listener(struct rig_pod *pod)
{
	pod->pod.worker_count = 1;
	memset(&pod->pod.listeners[0], 0, sizeof(pod->pod.listeners[0]));
	pod->pod.listeners[0].port4[0] = pod->listeners.ports[0].port4[0];
	rig_pod_put(pod);
	ours_wait_for_bytes(pod);
}

static int dial_from(__be16 port, const char *to)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = rig_socket(AF_INET);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(rig_connect(fd, AF_INET, to), 0);
	return fd;
}

static void flows_of_two_namespaces_with_equal_addresses_stay_apart(void **state)
{
	static const char *const destinations[] = {"198.51.100.1:80", "198.51.100.2:80"};
	struct rig *rig = *state;
	struct rig_pod pods[2];
	int apps[2];
	rig_pod_open(rig, CAPTURE_ALL, &pods[0]);
	only_first_listener(&pods[0]);
	rig_pod_open(rig, CAPTURE_ALL, &pods[1]);
	close(pods[1].listeners.fd4[0][0]);
	pods[1].listeners.fd4[0][0] = listen_where(&pods[1], &pods[0]);
	only_first_listener(&pods[1]);
	for (int i = 0; i < 2; i++) {
		rig_enter(pods[i].netns);
		apps[i] = dial_from(htons(7777), destinations[i]);
	}
	for (int i = 0; i < 2; i++) {
		struct weft_flow flow;
		char text[ADDRESS_TEXT_MAX];
		assert_int_equal(flows_filed(&pods[i]), 1);
		assert_int_equal(send(apps[i], "x", 1, 0), 1);
		close(rig_accept(&pods[i], &flow));
		assert_string_equal(address_print(&flow.destination, text), destinations[i]);
		assert_int_equal(flows_filed(&pods[i]), 0);
		close(apps[i]);
	}
	rig_pod_close(&pods[1]);
	rig_pod_close(&pods[0]);
}

/* Fire and forget: the app wrote, closed and is gone before a worker looks. */
static void an_app_that_closes_early_still_gets_its_bytes_delivered(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char bytes[8] = "";
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	assert_int_equal(send(app, "hello", 5, 0), 5);
	close(app);
	rig_wait_until(traffic_of(&pod, 0, 0).connections_closed == 1);
	int ours = rig_accept(&pod, &flow);
	assert_int_equal(recv(ours, bytes, sizeof(bytes), 0), 5);
	assert_string_equal(bytes, "hello");
	assert_int_equal(recv(ours, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(flows_filed(&pod), 0);
	close(ours);
	rig_pod_close(&pod);
}

static void an_app_that_resets_before_accept_still_gets_its_bytes_delivered(void **state)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct rig_pod pod;
		struct weft_flow flow;
		char bytes[8] = "";
		rig_pod_open(*state, CAPTURE_ALL, &pod);
		int app = rig_dial(family,
				   family == AF_INET ? "198.51.100.9:80" : "[2001:db8::9]:80");
		assert_int_equal(send(app, "hello", 5, 0), 5);
		reset(app);
		rig_wait_until(traffic_of(&pod, 0, 0).connections_closed == 1);
		int ours = rig_accept(&pod, &flow);
		assert_int_equal(flows_filed(&pod), 0);
		assert_int_equal(recv(ours, bytes, sizeof(bytes), 0), 5);
		assert_string_equal(bytes, "hello");
		assert_int_equal(recv(ours, bytes, sizeof(bytes), 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(ours);
		rig_pod_close(&pod);
	}
}

static void an_app_that_goes_before_our_end_is_up_takes_its_flow_away(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	ours_wait_for_bytes(&pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	assert_int_equal(flows_filed(&pod), 1);
	reset(app);
	rig_wait_until(flows_filed(&pod) == 0);
	rig_pod_close(&pod);
}

static void a_listener_that_closes_before_our_ends_are_up_leaves_no_flows(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	ours_wait_for_bytes(&pod);
	int apps[8];
	for (size_t i = 0; i < array_count(apps); i++)
		apps[i] = rig_dial(i % 2 ? AF_INET : AF_INET6,
				   i % 2 ? "198.51.100.9:80" : "[2001:db8::9]:80");
	assert_int_equal(flows_filed(&pod), array_count(apps));
	rig_listeners_close(&pod);
	for (size_t i = 0; i < array_count(apps); i++)
		close(apps[i]);
	rig_wait_until(flows_filed(&pod) == 0);
	rig_pod_close(&pod);
}

static void a_full_flow_table_is_counted_and_files_nothing(void **state)
{
	struct rig_pod pod;
	struct weft_flow_key key = {0};
	struct weft_flow flow = {0};
	int fd = flows_fd(*state);
	while (bpf_map_update_elem(fd, &key, &flow, BPF_ANY) == 0)
		key.netns_cookie++; /* no namespace has such low numbers with such addresses */
	assert_true(key.netns_cookie > 1000);
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	int ours = rig_accept_any(&pod, RIG_DEADLINE_MS);
	assert_int_equal(kernel_flow_take(pod.rig->kernel, ours, &flow), -ENOENT);
	assert_int_equal(rig_count(&pod, WEFT_REASON_FLOW_TABLE_FULL), 1);
	while (key.netns_cookie--)
		bpf_map_delete_elem(fd, &key);
	close(fd);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

static void dials_that_pass_or_fail_file_nothing(void **state)
{
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, 0);
	int server = rig_server(RIG_SERVER_IP, to);
	int direct = rig_dial(AF_INET, to), accepted = rig_accept_direct(server);
	struct weft_flow flow;
	assert_int_equal(kernel_flow_take(pod.rig->kernel, accepted, &flow), -ENOENT);
	int refused = rig_socket(AF_INET);
	assert_int_equal(rig_connect(refused, AF_INET, RIG_VIRTUAL), -ECONNREFUSED);
	assert_int_equal(rig_connect(refused, AF_INET, "127.0.0.1:1"), -ECONNREFUSED);
	assert_int_equal(flows_filed(&pod), 0);
	close(direct);
	close(accepted);
	close(refused);
	close(server);
	rig_pod_close(&pod);
}

static void move_bytes(int from, int to, size_t size)
{
	static char bytes[65536];
	while (size) {
		size_t part = size < sizeof(bytes) ? size : sizeof(bytes);
		assert_int_equal(send(from, bytes, part, 0), part);
		assert_int_equal(recv(to, bytes, part, MSG_WAITALL), part);
		size -= part;
	}
}

static void payload_bytes_are_counted_exactly_whoever_closes_first(void **state)
{
	struct rig_pod pod;
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	for (unsigned turn = 0; turn < 2; turn++) {
		struct weft_flow flow;
		int app = rig_dial(AF_INET, RIG_VIRTUAL);
		int ours = rig_accept(&pod, &flow);
		move_bytes(app, ours, 100000);
		move_bytes(ours, app, 300000);
		assert_int_equal(traffic_of(&pod, 7, 0).connections_opened, turn + 1);
		assert_int_equal(traffic_of(&pod, 7, 0).connections_closed, turn);
		shutdown(turn ? app : ours, SHUT_WR);
		char end;
		assert_int_equal(recv(turn ? ours : app, &end, 1, 0), 0);
		close(turn ? ours : app);
		close(turn ? app : ours);
		rig_wait_until(traffic_of(&pod, 7, 0).connections_closed == turn + 1);
		assert_int_equal(traffic_of(&pod, 7, 0).bytes_sent, 100000 * (turn + 1));
		assert_int_equal(traffic_of(&pod, 7, 0).bytes_received, 300000 * (turn + 1));
	}
	struct weft_traffic row = traffic_of(&pod, 7, 0);
	assert_true(row.rtt_us_max > 0 && row.rtt_us_sum >= row.rtt_us_max);
	rig_pod_close(&pod);
}

static void our_upstream_dials_are_counted_with_their_service(void **state)
{
	struct rig_pod pod;
	char to[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE, &pod);
	int server = rig_server(RIG_SERVER_IP, to);
	int fd = stock_take(stock_pod_share(pod.stock, 0), AF_INET);
	assert_true(fd >= 0);
	struct weft_socket mark = {
		.role = WEFT_SOCKET_UPSTREAM, .pod_id = pod.pod.pod_id, .service_id = 9};
	assert_int_equal(kernel_socket_mark(pod.rig->kernel, fd, &mark), 0);
	assert_int_equal(rig_connect(fd, AF_INET, to), -EINPROGRESS);
	int accepted = rig_accept_direct(server);
	fcntl(fd, F_SETFL, 0);
	move_bytes(fd, accepted, 5000);
	move_bytes(accepted, fd, 70000);
	close(fd);
	close(accepted);
	rig_wait_until(traffic_of(&pod, 9, WEFT_SOCKET_UPSTREAM).connections_closed == 1);
	struct weft_traffic row = traffic_of(&pod, 9, WEFT_SOCKET_UPSTREAM);
	assert_int_equal(row.connections_opened, 1);
	assert_int_equal(row.bytes_sent, 5000);
	assert_int_equal(row.bytes_received, 70000);
	close(server);
	rig_pod_close(&pod);
}

static void a_pod_that_was_removed_leaves_no_rows_behind(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	rig_pod_open(*state, CAPTURE_ALL, &pod);
	int app = rig_dial(AF_INET, "198.51.100.9:80");
	int ours = rig_accept(&pod, &flow);
	struct rig_pod copy = pod;
	rig_pod_close(&pod);
	close(app);
	close(ours);
	assert_int_equal(rig_count(&copy, WEFT_REASON_CAPTURED), 0);
	assert_int_equal(traffic_of(&copy, 0, 0).connections_opened, 0);
	assert_int_equal(traffic_of(&copy, 0, 0).connections_closed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_filed_only_until_our_end_is_up),
		cmocka_unit_test(a_flow_stays_with_our_socket_and_knows_the_apps_address),
		cmocka_unit_test(flows_of_two_namespaces_with_equal_addresses_stay_apart),
		cmocka_unit_test(an_app_that_closes_early_still_gets_its_bytes_delivered),
		cmocka_unit_test(an_app_that_resets_before_accept_still_gets_its_bytes_delivered),
		cmocka_unit_test(an_app_that_goes_before_our_end_is_up_takes_its_flow_away),
		cmocka_unit_test(a_listener_that_closes_before_our_ends_are_up_leaves_no_flows),
		cmocka_unit_test(a_full_flow_table_is_counted_and_files_nothing),
		cmocka_unit_test(dials_that_pass_or_fail_file_nothing),
		cmocka_unit_test(payload_bytes_are_counted_exactly_whoever_closes_first),
		cmocka_unit_test(our_upstream_dials_are_counted_with_their_service),
		cmocka_unit_test(a_pod_that_was_removed_leaves_no_rows_behind),
	};
	return cmocka_run_group_tests_name("bpf flow", tests, rig_open, rig_close);
}
