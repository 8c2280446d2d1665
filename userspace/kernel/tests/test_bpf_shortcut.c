/* The shortcut: which connections get it, what goes past TCP, in which order and how much. */
#include <pthread.h>

#include "kernel/tests/pair.h"

/* ---- which connections ---- */

static void what_both_ends_send_goes_past_tcp(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	assert_non_null(leg_of(&pod, &pair));
	for (int turn = 0; turn < 3; turn++) {
		send_all(pair.app, "request", 7);
		expect(pair.ours, "request");
		send_all(pair.ours, "an answer", 9);
		expect(pair.app, "an answer");
	}
	assert_int_equal(by_tcp(pair.ours), 0);
	assert_int_equal(by_tcp(pair.app), 0);
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_DIALLER), 3 * 7);
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_ACCEPTOR), 3 * 9);
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static bool gets_it(struct rig *rig, enum weft_shortcut of_pod, enum weft_shortcut of_service,
		    enum weft_shortcut of_mesh, uint32_t flags)
{
	struct rig_pod pod;
	struct pair pair;
	struct weft_address key = rig_address(RIG_VIRTUAL);
	struct weft_destination service = {
		.service_id = SERVICE + 1, .flags = flags, .shortcut = of_service, .name = "web"};
	pod_open_with(rig, of_mesh, &pod);
	pod.pod.shortcut = (uint16_t)of_pod;
	rig_pod_put(&pod);
	assert_int_equal(kernel_destination_put(rig->kernel, &key, &service), 0);
	pair_open(&pod, &pair);
	bool has = leg_of(&pod, &pair) != NULL;
	send_all(pair.app, "x", 1);
	expect(pair.ours, "x");
	assert_int_equal(by_tcp(pair.ours), has ? 0 : 1);
	pair_close(&pair);
	rig_pod_close(&pod);
	return has;
}

static void pod_service_and_mesh_say_who_gets_it(void **state)
{
	const enum weft_shortcut NONE = WEFT_SHORTCUT_INHERIT, OFF = WEFT_SHORTCUT_OFF,
				 AUTO = WEFT_SHORTCUT_AUTO, ON = WEFT_SHORTCUT_ON;
	const uint32_t plain = WEFT_DESTINATION_READY;
	assert_false(gets_it(*state, NONE, NONE, OFF, HTTP));
	assert_true(gets_it(*state, NONE, NONE, AUTO, HTTP));
	assert_false(gets_it(*state, NONE, NONE, AUTO, plain));
	assert_true(gets_it(*state, NONE, NONE, ON, plain));
	assert_true(gets_it(*state, NONE, ON, OFF, plain));
	assert_true(gets_it(*state, ON, NONE, OFF, plain));
	assert_false(gets_it(*state, AUTO, ON, ON, plain));
	assert_false(gets_it(*state, OFF, ON, ON, HTTP));
	assert_false(gets_it(*state, ON, OFF, ON, HTTP));
}

static void stays_on_tcp_with(struct rig *rig, int option, int value)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(rig, &pod);
	pair.app = rig_socket(AF_INET);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, option, &value, sizeof(value)), 0);
	dial_nonblocking(pair.app, RIG_VIRTUAL);
	accept_pair(&pod, &pair);
	send_all(pair.app, "12345678", 8);
	expect(pair.ours, "12345678");
	send_all(pair.ours, "12345678", 8);
	expect(pair.app, "12345678");
	assert_null(leg_of(&pod, &pair));
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_SOCKET), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void a_socket_with_an_option_that_needs_tcp_stays_on_it(void **state)
{
	stays_on_tcp_with(*state, SO_RCVLOWAT, 4);
	stays_on_tcp_with(*state, SO_ZEROCOPY, 1);
}

static void a_full_table_leaves_connections_on_tcp(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	struct pair pair;
	pod_open(rig, &pod);
	struct weft_leg_end any = {.leg = 1};
	struct weft_leg *legs[WEFT_LEGS_MAX] = {0};
	unsigned filled = 0;
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_legs", rig->pin_dir);
	int fd = bpf_obj_get(path);
	struct weft_leg row, taken = {.id = 1};
	for (any.slot = 0; any.slot < WEFT_LEGS_MAX; any.slot++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &any.slot, &row), 0);
		if (row.id == 0 && bpf_map_update_elem(fd, &any.slot, &taken, BPF_ANY) == 0) {
			legs[any.slot] = (void *)kernel_leg(rig->kernel, &any);
			filled++;
		}
	}
	assert_true(filled > 0);
	pair_open(&pod, &pair);
	send_all(pair.app, "x", 1);
	expect(pair.ours, "x");
	assert_null(leg_of(&pod, &pair));
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_FULL), 1);
	pair_close(&pair);
	for (unsigned i = 0; i < WEFT_LEGS_MAX; i++) {
		if (legs[i])
			legs[i]->id = 0;
	}
	close(fd);
	rig_pod_close(&pod);
}

/* What a reader may ask of what waits; before 6.18 FIONREAD does not know of it. */
static void what_was_redirected_can_be_peeked_at_and_polled_for(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char got[8];
	int bytes = -1;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	struct pollfd ready = {.fd = pair.app, .events = POLLIN | POLLRDHUP};
	assert_int_equal(poll(&ready, 1, 0), 0);
	send_all(pair.ours, "answer", 6);
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	assert_int_equal(ready.revents, POLLIN);
	assert_int_equal(recv(pair.app, got, sizeof(got), MSG_PEEK), 6);
	assert_int_equal(ioctl(pair.app, FIONREAD, &bytes), 0);
	assert_true(bytes == 6 || bytes == 0);
	expect(pair.app, "answer");
	assert_int_equal(poll(&ready, 1, 0), 0);
	assert_int_equal(recv(pair.app, got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void who_blocks_stays_on_tcp(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char got[8];
	pod_open(*state, &pod);
	pair.app = rig_dial(AF_INET, RIG_VIRTUAL);
	accept_pair(&pod, &pair);
	assert_null(leg_of(&pod, &pair));
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_BLOCKING), 1);
	send_all(pair.ours, "ans", 3);
	send_all(pair.ours, "wer", 3);
	assert_int_equal(recv(pair.app, got, 6, MSG_WAITALL), 6);
	pair_close(&pair);

	pair_open(&pod, &pair);
	send_all(pair.app, "past ", 5);
	assert_int_equal(fcntl(pair.app, F_SETFL, 0), 0);
	send_all(pair.app, "by tcp", 6);
	send_all(pair.ours, "answer", 6);
	expect(pair.ours, "past by tcp");
	expect(pair.app, "answer");
	assert_int_equal(by_tcp(pair.app), 6);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_BLOCKING), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* ---- order ---- */

/* Our ends come up by the first bytes. */
static void defer_accepts(struct rig_pod *pod)
{
	int seconds = 60;
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		assert_int_equal(setsockopt(*rig_listener(pod, i), IPPROTO_TCP, TCP_DEFER_ACCEPT,
					    &seconds, sizeof(seconds)),
				 0);
}

static void bytes_sent_before_the_other_end_is_there_are_not_overtaken(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	defer_accepts(&pod);
	pair.app = dial_nonblocking(rig_socket(AF_INET), RIG_VIRTUAL);
	send_all(pair.app, "first ", 6);
	accept_pair(&pod, &pair);
	send_all(pair.app, "second", 6);
	expect(pair.ours, "first second");
	send_all(pair.ours, "back", 4);
	expect(pair.app, "back");
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_DIALLER), 0);
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_ACCEPTOR), 0); /* both ways or none */
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_NO_PEER), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* Its dialler has let go of it, and is about to free the slot. */
static void a_leg_without_a_dialler_is_not_joined(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	struct weft_leg_end end = {.leg = 0};
	struct weft_leg *leg = NULL;
	socklen_t size = sizeof(end.leg);
	pod_open(*state, &pod);
	defer_accepts(&pod);
	pair.app = dial_nonblocking(rig_socket(AF_INET), RIG_VIRTUAL);
	assert_int_equal(getsockopt(pair.app, SOL_SOCKET, SO_COOKIE, &end.leg, &size), 0);
	for (end.slot = 0; !leg && end.slot < WEFT_LEGS_MAX; end.slot++)
		leg = (void *)kernel_leg(pod.rig->kernel, &end);
	assert_non_null(leg);
	assert_int_equal(leg->ends, 1);
	leg->ends = 0;
	send_all(pair.app, "x", 1);
	accept_pair(&pod, &pair);
	assert_int_equal(pair.flow.leg, 0);
	assert_int_equal(leg->ends, 0);
	leg->ends = 1;
	expect(pair.ours, "x");
	pair_close(&pair);
	rig_wait_until(rows_in_use(pod.rig) == 0);
	rig_pod_close(&pod);
}

static void what_weft_wants_by_tcp_goes_so_from_the_next_message_on(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.app, "past ", 5);
	send_all(pair.ours, "past ", 5);
	kernel_leg_to_tcp(pod.rig->kernel, &pair.end, WEFT_REASON_DEMOTED_TUNNEL);
	send_all(pair.ours, "by tcp", 6);
	send_all(pair.app, "by tcp", 6);
	expect(pair.ours, "past by tcp");
	expect(pair.app, "past by tcp");
	assert_int_equal(by_tcp(pair.ours), 6);
	assert_int_equal(by_tcp(pair.app), 6);
	assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_TUNNEL);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_TUNNEL), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* ---- bounds ---- */

#define PIECE 8192

static void fill_piece(char *piece, unsigned number)
{
	for (unsigned i = 0; i < PIECE; i++)
		piece[i] = (char)(number * 31 + i * 7 + (i >> 8));
}

static void expect_pieces(int fd, unsigned count)
{
	char wanted[PIECE], got[PIECE];
	for (unsigned i = 0; i < count; i++) {
		fill_piece(wanted, i);
		receive_all(fd, got, PIECE);
		assert_memory_equal(got, wanted, PIECE);
	}
}

static void a_receiver_that_does_not_read_gets_a_window_and_then_tcp(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	for (int side = 0; side < 2; side++) {
		pod_open(*state, &pod);
		pair_open(&pod, &pair);
		int from = side == WEFT_LEG_DIALLER ? pair.app : pair.ours;
		int to = side == WEFT_LEG_DIALLER ? pair.ours : pair.app;
		unsigned sent = 0;
		char piece[PIECE];
		while (leg_of(&pod, &pair)->demoted == 0 && sent < 1000) {
			fill_piece(piece, sent);
			send_all(from, piece, PIECE);
			sent++;
		}
		assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_WINDOW);
		assert_true(past_tcp(&pod, &pair, (enum weft_leg_side)side) <= WINDOW);
		assert_true(past_tcp(&pod, &pair, (enum weft_leg_side)side) >= WINDOW / 2);
		assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_WINDOW), 1);
		expect_pieces(to, sent);
		/* for good, and the other way too */
		send_all(from, "after", 5);
		expect(to, "after");
		send_all(to, "other", 5);
		expect(from, "other");
		assert_int_equal(past_tcp(&pod, &pair, (enum weft_leg_side) !side), 0);
		pair_close(&pair);
		rig_pod_close(&pod);
	}
}

/* One message may be larger than the window, and is as large as the kernel makes them: 17 pieces
 * of 32 KiB. Only who has read everything gets such a one. */
static void a_receiver_that_does_not_read_gets_one_large_message(void **state)
{
	static char large[4 << 20];
	const uint64_t message_most = 17 * 32768;
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	for (int turn = 0; turn < 2; turn++) {
		pair_open(&pod, &pair);
		if (turn)
			send_all(pair.app, "unread", 6);
		assert_true(send(pair.app, large, sizeof(large), MSG_NOSIGNAL) > 0);
		assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_WINDOW);
		assert_true(past_tcp(&pod, &pair, WEFT_LEG_DIALLER) <= (turn ? 6 : message_most));
		pair_close(&pair);
	}
	rig_pod_close(&pod);
}

/* Connections that are back on TCP are slower than those that always were. */
static void a_service_that_overflows_its_window_is_left_on_tcp_by_auto(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char piece[PIECE];
	pod_open_with(*state, WEFT_SHORTCUT_AUTO, &pod);
	rig_service(*state, RIG_VIRTUAL, SERVICE + 2, HTTP);
	pair_open(&pod, &pair);
	fill_piece(piece, 0);
	for (unsigned sent = 0; leg_of(&pod, &pair)->demoted == 0 && sent < 1000; sent++)
		send_all(pair.ours, piece, PIECE);
	assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_WINDOW);
	pair_close(&pair);
	pair_open(&pod, &pair);
	assert_null(leg_of(&pod, &pair));
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_BULK), 1);
	pair_close(&pair);
	rig_service(*state, RIG_VIRTUAL, SERVICE + 3, HTTP); /* another service is another matter */
	pair_open(&pod, &pair);
	assert_non_null(leg_of(&pod, &pair));
	pair_close(&pair);
	pod.pod.shortcut = WEFT_SHORTCUT_ON;
	rig_pod_put(&pod);
	rig_service(*state, RIG_VIRTUAL, SERVICE + 2, HTTP);
	pair_open(&pod, &pair);
	assert_non_null(leg_of(&pod, &pair));
	pair_close(&pair);
	rig_pod_close(&pod);
}

struct flow_of_pieces {
	int fd;
	unsigned count;
};

static void *send_pieces(void *of)
{
	const struct flow_of_pieces *flow = of;
	char piece[PIECE];
	for (unsigned i = 0; i < flow->count; i++) {
		fill_piece(piece, i);
		size_t sent = 0;
		while (sent < PIECE) {
			struct pollfd ready = {.fd = flow->fd, .events = POLLOUT};
			if (poll(&ready, 1, RIG_DEADLINE_MS) != 1)
				return "no room to send";
			ssize_t done = send(flow->fd, piece + sent, PIECE - sent, MSG_NOSIGNAL);
			if (done < 0 && errno == EAGAIN)
				continue;
			if (done <= 0)
				return "a send failed";
			sent += (size_t)done;
		}
	}
	return NULL;
}

static void a_receiver_that_reads_keeps_it_however_much_is_sent(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char piece[PIECE];
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	for (unsigned i = 0; i < 40 * WINDOW / PIECE; i++) {
		fill_piece(piece, 0);
		send_all(pair.ours, piece, PIECE);
		if (i % 4 == 3) {
			for (int j = 0; j < 4; j++)
				expect_pieces(pair.app, 1);
		}
	}
	assert_int_equal(leg_of(&pod, &pair)->demoted, 0);
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_ACCEPTOR), 40 * WINDOW);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* Reader and writer race; whether and when the window ends is theirs, the bytes are not. */
static void a_stream_is_whole_whatever_becomes_of_its_shortcut(void **state)
{
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (int turn = 0; turn < 20; turn++) {
		struct pair pair;
		pthread_t sender;
		void *failure = NULL;
		pair_open(&pod, &pair);
		struct flow_of_pieces flow = {turn % 2 ? pair.ours : pair.app, 400};
		assert_int_equal(pthread_create(&sender, NULL, send_pieces, &flow), 0);
		expect_pieces(turn % 2 ? pair.app : pair.ours, flow.count);
		pthread_join(sender, &failure);
		assert_null(failure);
		pair_close(&pair);
	}
	rig_pod_close(&pod);
}

/* ---- our dials to a server of the same namespace ---- */

static void our_dial_to_a_server_of_the_namespace_is_a_leg_too(void **state)
{
	const char *places[] = {"127.0.0.1", RIG_POD_IP};
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct server server;
		struct pair pair;
		server_open(&pod, places[i], SOCK_NONBLOCK, &server);
		serve_pair(&pod, &server, &pair);
		assert_int_not_equal(pair.end.leg, 0);
		assert_int_equal(pair.end.side, WEFT_LEG_DIALLER);
		exchange(&pair);
		assert_int_equal(by_tcp(pair.app), 0);
		assert_int_equal(by_tcp(pair.ours), 0);
		send_all(pair.ours, "unread", 6);
		close(pair.app);
		expect_end(pair.ours);
		assert_true(is_unread(&pod, &pair, WEFT_LEG_ACCEPTOR));
		close(pair.ours);
		close(server.listener);
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 2);
	rig_pod_close(&pod);
}

static void a_server_that_blocks_stays_on_tcp(void **state)
{
	struct rig_pod pod;
	struct server server;
	struct pair pair;
	pod_open(*state, &pod);
	server_open(&pod, "127.0.0.1", 0, &server);
	serve_pair(&pod, &server, &pair);
	assert_int_equal(pair.end.leg, 0);
	pair_close(&pair);
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_BLOCKING), 2);
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 0);
	close(server.listener);
	rig_pod_close(&pod);
}

/* Without a cookie of the server's, the bytes go right behind the handshake, and not by way of the
 * socket's new send function. */
static void bytes_that_began_with_the_dial_are_not_overtaken(void **state)
{
	struct rig_pod pod;
	struct server server;
	struct pair pair;
	struct sockaddr_storage to;
	pod_open(*state, &pod);
	server_open(&pod, "127.0.0.1", SOCK_NONBLOCK, &server);
	struct weft_address address = rig_address(server.address);
	socklen_t size = rig_sockaddr(AF_INET, &address, &to);
	pair.ours = upstream_socket(&pod, AF_INET);
	assert_int_equal(sendto(pair.ours, "first ", 6, MSG_FASTOPEN, (struct sockaddr *)&to, size),
			 6);
	send_all(pair.ours, "second ", 7);
	pair.app = rig_accept_direct(server.listener);
	send_all(pair.ours, "third", 5);
	expect(pair.app, "first second third");
	assert_int_equal(kernel_leg_take(pod.rig->kernel, pair.ours, &pair.end), 0);
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_DIALLER), 0);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_SENT), 1);
	pair_close(&pair);
	close(server.listener);
	rig_pod_close(&pod);
}

/* ---- who splices ---- */

static void who_splices_sockets_keeps_its_pod_on_tcp(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	struct text why = {0};
	int pipe_fds[2];
	pod_open_with(*state, WEFT_SHORTCUT_ON, &pod);
	if (kernel_splice_watch(pod.rig->kernel, true, &why)) {
		print_message("%s\n", why.data);
		text_fini(&why);
		rig_pod_close(&pod);
		skip();
	}
	pair_open(&pod, &pair);
	assert_non_null(leg_of(&pod, &pair));
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	/* into a socket: not from one */
	assert_int_equal(splice(pipe_fds[0], NULL, pair.app, NULL, 1, 0), 1);
	pair_close(&pair);
	pair_open(&pod, &pair);
	assert_non_null(leg_of(&pod, &pair));
	assert_int_equal(splice(pair.app, NULL, pipe_fds[1], NULL, 16, 0), -1);
	pair_close(&pair);
	pair_open(&pod, &pair);
	assert_null(leg_of(&pod, &pair));
	send_all(pair.ours, "seen", 4);
	struct pollfd ready = {.fd = pair.app, .events = POLLIN};
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	assert_int_equal(splice(pair.app, NULL, pipe_fds[1], NULL, 16, 0), 4);
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_SPLICER), 1);
	pair_close(&pair);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(kernel_splice_watch(pod.rig->kernel, false, &why), 0);
	rig_pod_close(&pod);
}

/* ---- what is counted ---- */

static void on_traffic(const struct weft_traffic_key *key, const struct weft_traffic *row,
		       void *owner)
{
	struct weft_traffic *to = owner;
	if (key->role == 0 && key->pod_id == to->connections_opened)
		*to = *row;
}

static void bytes_past_tcp_are_counted_with_the_others(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.app, "request", 7);
	kernel_leg_to_tcp(pod.rig->kernel, &pair.end, WEFT_REASON_DEMOTED_TUNNEL);
	send_all(pair.ours, "by tcp", 6);
	expect(pair.app, "by tcp");
	expect(pair.ours, "request");
	pair_close(&pair);
	struct weft_traffic row = {.connections_opened = pod.pod.pod_id};
	assert_int_equal(kernel_traffic_each(pod.rig->kernel, on_traffic, &row), 0);
	assert_int_equal(row.connections_closed, 1);
	assert_int_equal(row.bytes_sent, 7);
	assert_int_equal(row.bytes_received, 6);
	assert_int_equal(row.shortcut_bytes, 7);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_both_ends_send_goes_past_tcp),
		cmocka_unit_test(pod_service_and_mesh_say_who_gets_it),
		cmocka_unit_test(what_was_redirected_can_be_peeked_at_and_polled_for),
		cmocka_unit_test(who_blocks_stays_on_tcp),
		cmocka_unit_test(bytes_that_began_with_the_dial_are_not_overtaken),
		cmocka_unit_test(a_socket_with_an_option_that_needs_tcp_stays_on_it),
		cmocka_unit_test(a_full_table_leaves_connections_on_tcp),
		cmocka_unit_test(bytes_sent_before_the_other_end_is_there_are_not_overtaken),
		cmocka_unit_test(a_leg_without_a_dialler_is_not_joined),
		cmocka_unit_test(what_weft_wants_by_tcp_goes_so_from_the_next_message_on),
		cmocka_unit_test(a_receiver_that_does_not_read_gets_a_window_and_then_tcp),
		cmocka_unit_test(a_receiver_that_does_not_read_gets_one_large_message),
		cmocka_unit_test(a_service_that_overflows_its_window_is_left_on_tcp_by_auto),
		cmocka_unit_test(a_receiver_that_reads_keeps_it_however_much_is_sent),
		cmocka_unit_test(a_stream_is_whole_whatever_becomes_of_its_shortcut),
		cmocka_unit_test(our_dial_to_a_server_of_the_namespace_is_a_leg_too),
		cmocka_unit_test(a_server_that_blocks_stays_on_tcp),
		cmocka_unit_test(who_splices_sockets_keeps_its_pod_on_tcp),
		cmocka_unit_test(bytes_past_tcp_are_counted_with_the_others),
	};
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
