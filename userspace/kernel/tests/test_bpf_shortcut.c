/* The shortcut: which connections get it, what goes past TCP, and what sends it back to TCP. */
#include <bpf/bpf.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <pthread.h>

#include "kernel/tests/rig.h"

#define CAPTURE WEFT_POD_CAPTURE
#define HTTP    (WEFT_DESTINATION_READY | WEFT_DESTINATION_HTTP)
#define WINDOW  65536u
#define SERVICE 7

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

/* One captured connection. */
struct pair {
	int app;
	int ours;
	struct weft_flow flow;
	struct weft_leg_end end; /* of ours */
};

static void pod_open_with(struct rig *rig, enum weft_shortcut mesh, struct rig_pod *ret)
{
	rig_pod_open(rig, CAPTURE, ret);
	ret->pod.shortcut_mesh = mesh;
	ret->pod.shortcut_window = WINDOW;
	rig_pod_put(ret);
	rig_service(rig, RIG_VIRTUAL, SERVICE, HTTP);
}

static void pod_open(struct rig *rig, struct rig_pod *ret)
{
	pod_open_with(rig, WEFT_SHORTCUT_AUTO, ret);
}

static void accept_pair(struct rig_pod *pod, struct pair *pair)
{
	pair->ours = rig_accept(pod, &pair->flow);
	pair->end = (struct weft_leg_end){pair->flow.leg, pair->flow.leg_slot, WEFT_LEG_ACCEPTOR};
}

static void pair_open(struct rig_pod *pod, struct pair *pair)
{
	pair->app = rig_dial(AF_INET, RIG_VIRTUAL);
	accept_pair(pod, pair);
}

static void pair_close(struct pair *pair)
{
	close(pair->app);
	close(pair->ours);
}

static const struct weft_leg *leg_of(const struct rig_pod *pod, const struct pair *pair)
{
	return kernel_leg(pod->rig->kernel, &pair->end);
}

static uint64_t past_tcp(const struct rig_pod *pod, const struct pair *pair,
			 enum weft_leg_side side)
{
	const struct weft_leg *leg = leg_of(pod, pair);
	return leg ? __atomic_load_n(&leg->ways[side].bytes, __ATOMIC_ACQUIRE) : 0;
}

static uint64_t by_tcp(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	/* struct tcp_info of glibc ends before tcpi_bytes_acked */
	struct {
		struct tcp_info old;
		uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	} more = {0};
	size = sizeof(more);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &more, &size), 0);
	return more.bytes_received;
}

static void send_all(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* MSG_WAITALL would end with each redirected message. */
static void receive_all(int fd, char *got, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t more = recv(fd, got + have, size - have, 0);
		assert_true(more > 0);
		have += (size_t)more;
	}
}

/* Exactly these bytes come next. */
static void expect(int fd, const char *wanted)
{
	char got[256];
	size_t size = strlen(wanted);
	assert_true(size < sizeof(got));
	receive_all(fd, got, size);
	got[size] = '\0';
	assert_string_equal(got, wanted);
}

static void expect_end(int fd)
{
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

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
		.service_id = SERVICE, .flags = flags, .shortcut = of_service, .name = "web"};
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

static void bytes_that_began_with_the_dial_are_not_overtaken(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	struct sockaddr_storage to;
	pod_open(*state, &pod);
	struct weft_address address = rig_address(RIG_VIRTUAL);
	socklen_t size = rig_sockaddr(AF_INET, &address, &to);
	pair.app = rig_socket(AF_INET);
	assert_int_equal(sendto(pair.app, "first ", 6, MSG_FASTOPEN, (struct sockaddr *)&to, size),
			 6);
	send_all(pair.app, "second ", 7);
	accept_pair(&pod, &pair);
	send_all(pair.app, "third", 5);
	expect(pair.ours, "first second third");
	assert_int_equal(past_tcp(&pod, &pair, WEFT_LEG_DIALLER), 0);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_SENT), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void stays_on_tcp_with(struct rig *rig, int option, int value)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(rig, &pod);
	pair.app = rig_socket(AF_INET);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, option, &value, sizeof(value)), 0);
	assert_int_equal(rig_connect(pair.app, AF_INET, RIG_VIRTUAL), 0);
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
	struct weft_leg *legs[WEFT_LEGS_MAX];
	unsigned filled = 0;
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_legs", rig->pin_dir);
	int fd = bpf_obj_get(path);
	struct weft_leg row, taken = {.id = 1};
	for (any.slot = 0; any.slot < WEFT_LEGS_MAX; any.slot++) {
		legs[any.slot] = NULL;
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

/* What programs must not ask for past TCP, and the reason why it is off by default. */
static void a_wait_for_all_bytes_ends_with_each_message(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char got[8];
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.ours, "ans", 3);
	send_all(pair.ours, "wer", 3);
	assert_int_equal(recv(pair.app, got, 6, MSG_WAITALL | MSG_DONTWAIT),
			 6); /* both are there */
	send_all(pair.ours, "ans", 3);
	assert_int_equal(recv(pair.app, got, 6, MSG_WAITALL), 3);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* ---- order ---- */

static void bytes_sent_before_the_other_end_is_there_are_not_overtaken(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	int seconds = 60;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		assert_int_equal(setsockopt(*rig_listener(&pod, i), IPPROTO_TCP, TCP_DEFER_ACCEPT,
					    &seconds, sizeof(seconds)),
				 0);
	pair.app = rig_dial(AF_INET, RIG_VIRTUAL);
	send_all(pair.app, "first ", 6); /* our end comes up by this */
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

static void what_weft_wants_by_tcp_goes_so_from_the_next_message_on(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.app, "past ", 5);
	send_all(pair.ours, "past ", 5);
	kernel_leg_to_tcp(pod.rig->kernel, &pair.end);
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
			ssize_t done = send(flow->fd, piece + sent, PIECE - sent, MSG_NOSIGNAL);
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

/* ---- options ---- */

static void a_low_water_mark_sends_the_connection_back_to_tcp(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	int bytes = 1;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)), 0);
	assert_int_equal(leg_of(&pod, &pair)->demoted, 0);
	bytes = 5;
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)), 0);
	assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_OPTION);
	struct pollfd ready = {.fd = pair.app, .events = POLLIN};
	send_all(pair.ours, "abc", 3);
	assert_int_equal(poll(&ready, 1, 50), 0);
	send_all(pair.ours, "de", 2);
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	expect(pair.app, "abcde");
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void options_that_never_work_past_tcp_are_refused(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	int one = 1, zero = 0;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_ZEROCOPY, &zero, sizeof(zero)), 0);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(setsockopt(pair.app, IPPROTO_TCP, TCP_ULP, "tls", 4), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(rig_count(&pod, WEFT_REASON_REFUSED_OPTION), 2);
	send_all(pair.app, "x", 1);
	expect(pair.ours, "x");
	assert_int_equal(by_tcp(pair.ours), 0);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void other_options_are_left_alone_whatever_their_size(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	char large[3 * 4096] = {0};
	int one = 1, got = 0;
	socklen_t size = sizeof(got);
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	int plain = rig_socket(AF_INET);
	assert_int_equal(setsockopt(plain, SOL_SOCKET, SO_BINDTODEVICE, large, sizeof(large)), 0);
	assert_int_equal(setsockopt(plain, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), 0);
	assert_int_equal(getsockopt(pair.app, SOL_SOCKET, SO_KEEPALIVE, &got, &size), 0);
	assert_int_equal(got, 1);
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_RCVLOWAT, large, 1), -1);
	assert_int_equal(errno, EINVAL);
	close(plain);
	pair_close(&pair);
	rig_pod_close(&pod);
}

/* ---- ends ---- */

static void an_end_comes_after_all_bytes(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	for (int turn = 0; turn < 50; turn++) {
		pair_open(&pod, &pair);
		send_all(pair.app, "request", 7);
		assert_int_equal(shutdown(pair.app, SHUT_WR), 0);
		expect(pair.ours, "request");
		expect_end(pair.ours);
		send_all(pair.ours, "answer", 6);
		close(pair.ours);
		expect(pair.app, "answer");
		expect_end(pair.app);
		close(pair.app);
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 50);
	rig_pod_close(&pod);
}

static void bytes_before_a_reset_are_delivered(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	struct linger now = {.l_onoff = 1};
	char byte;
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.ours, "before", 6);
	assert_int_equal(setsockopt(pair.ours, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair.ours);
	expect(pair.app, "before");
	assert_int_equal(recv(pair.app, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair.app);
	rig_pod_close(&pod);
}

static bool is_unread(const struct rig_pod *pod, const struct pair *pair, enum weft_leg_side side)
{
	const struct weft_leg *leg = leg_of(pod, pair);
	assert_non_null(leg);
	return __atomic_load_n(&leg->unread, __ATOMIC_ACQUIRE) >> side & 1;
}

static void an_end_that_is_closed_with_bytes_unread_is_known(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	pair_open(&pod, &pair); /* all read */
	send_all(pair.ours, "answer", 6);
	expect(pair.app, "answer");
	close(pair.app);
	expect_end(pair.ours);
	assert_false(is_unread(&pod, &pair, WEFT_LEG_DIALLER));
	close(pair.ours);

	pair_open(&pod, &pair); /* some read */
	send_all(pair.ours, "answer", 6);
	expect(pair.app, "ans");
	assert_int_equal(shutdown(pair.app, SHUT_WR), 0); /* may still read */
	expect_end(pair.ours);
	assert_false(is_unread(&pod, &pair, WEFT_LEG_DIALLER));
	close(pair.app);
	rig_wait_until(is_unread(&pod, &pair, WEFT_LEG_DIALLER));
	close(pair.ours);

	pair_open(&pod, &pair); /* none read */
	send_all(pair.ours, "answer", 6);
	close(pair.app);
	expect_end(pair.ours);
	assert_true(is_unread(&pod, &pair, WEFT_LEG_DIALLER));
	close(pair.ours);
	rig_pod_close(&pod);
}

static unsigned rows_in_use(const struct rig *rig)
{
	char path[160];
	struct weft_leg row;
	unsigned used = 0;
	snprintf(path, sizeof(path), "%s/weft_legs", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (uint32_t slot = 0; slot < WEFT_LEGS_MAX; slot++)
		used += bpf_map_lookup_elem(fd, &slot, &row) == 0 && row.id != 0;
	close(fd);
	return used;
}

static void a_slot_is_free_again_when_both_ends_are_closed(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	rig_wait_until(rows_in_use(pod.rig) == 0);
	for (int turn = 0; turn < 4; turn++) {
		pair_open(&pod, &pair);
		send_all(pair.app, "x", 1);
		assert_int_equal(rows_in_use(pod.rig), 1);
		close(turn & 1 ? pair.app : pair.ours);
		assert_true(turn & 2 || rows_in_use(pod.rig) == 1);
		close(turn & 1 ? pair.ours : pair.app);
		rig_wait_until(rows_in_use(pod.rig) == 0);
	}
	rig_pod_close(&pod);
}

static void what_was_redirected_outlives_the_maps(void **state)
{
	struct rig *rig = *state;
	struct rig_pod pod;
	struct pair pair;
	struct text why = {0};
	pod_open(rig, &pod);
	pair_open(&pod, &pair);
	send_all(pair.ours, "unread answer", 13);
	close(pair.ours);
	rig_pod_close(&pod);
	stock_close(rig->stock);
	kernel_close(rig->kernel);
	assert_int_equal(kernel_remove(rig->pin_dir, &why), 0);
	poll(NULL, 0, 100); /* what the kernel frees later is freed */
	expect(pair.app, "unread answer");
	expect_end(pair.app);
	close(pair.app);
	assert_int_equal(kernel_open(&rig->options, &why, &rig->kernel), 0);
	struct stock_options stock = {.kernel = rig->kernel, .workers = RIG_WORKERS, .depth = 4};
	assert_int_equal(stock_open(&stock, &rig->stock), 0);
	text_fini(&why);
}

/* ---- our dials to a server of the same namespace ---- */

static int upstream_dial(struct rig_pod *pod, const char *to)
{
	int fd = rig_socket(AF_INET);
	struct weft_socket mark = {.role = WEFT_SOCKET_UPSTREAM,
				   .pod_id = pod->pod.pod_id,
				   .service_id = SERVICE,
				   .shortcut_window = WINDOW};
	assert_int_equal(kernel_socket_mark(pod->rig->kernel, fd, &mark), 0);
	assert_int_equal(rig_connect(fd, AF_INET, to), 0);
	return fd;
}

static void our_dial_to_a_server_of_the_namespace_is_a_leg_too(void **state)
{
	const char *places[] = {"127.0.0.1", RIG_POD_IP};
	struct rig_pod pod;
	pod_open(*state, &pod);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char address[ADDRESS_TEXT_MAX];
		struct pair pair;
		int listener = rig_server(places[i], address);
		pair.ours = upstream_dial(&pod, address);
		pair.app = rig_accept_direct(listener);
		assert_int_equal(kernel_leg_take(pod.rig->kernel, pair.ours, &pair.end), 0);
		assert_int_equal(pair.end.side, WEFT_LEG_DIALLER);
		send_all(pair.ours, "request", 7);
		expect(pair.app, "request");
		send_all(pair.app, "answer", 6);
		expect(pair.ours, "answer");
		assert_int_equal(by_tcp(pair.app), 0);
		assert_int_equal(by_tcp(pair.ours), 0);
		send_all(pair.ours, "unread", 6);
		close(pair.app);
		expect_end(pair.ours);
		assert_true(is_unread(&pod, &pair, WEFT_LEG_ACCEPTOR));
		close(pair.ours);
		close(listener);
	}
	assert_int_equal(rig_count(&pod, WEFT_REASON_SHORTCUT), 2);
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
	assert_int_equal(fcntl(pair.app, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(splice(pair.app, NULL, pipe_fds[1], NULL, 16, 0), -1);
	pair_close(&pair);
	pair_open(&pod, &pair);
	assert_null(leg_of(&pod, &pair));
	send_all(pair.ours, "seen", 4);
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
	kernel_leg_to_tcp(pod.rig->kernel, &pair.end);
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
		cmocka_unit_test(a_wait_for_all_bytes_ends_with_each_message),
		cmocka_unit_test(bytes_that_began_with_the_dial_are_not_overtaken),
		cmocka_unit_test(a_socket_with_an_option_that_needs_tcp_stays_on_it),
		cmocka_unit_test(a_full_table_leaves_connections_on_tcp),
		cmocka_unit_test(bytes_sent_before_the_other_end_is_there_are_not_overtaken),
		cmocka_unit_test(what_weft_wants_by_tcp_goes_so_from_the_next_message_on),
		cmocka_unit_test(a_receiver_that_does_not_read_gets_a_window_and_then_tcp),
		cmocka_unit_test(a_receiver_that_reads_keeps_it_however_much_is_sent),
		cmocka_unit_test(a_stream_is_whole_whatever_becomes_of_its_shortcut),
		cmocka_unit_test(a_low_water_mark_sends_the_connection_back_to_tcp),
		cmocka_unit_test(options_that_never_work_past_tcp_are_refused),
		cmocka_unit_test(other_options_are_left_alone_whatever_their_size),
		cmocka_unit_test(an_end_comes_after_all_bytes),
		cmocka_unit_test(bytes_before_a_reset_are_delivered),
		cmocka_unit_test(an_end_that_is_closed_with_bytes_unread_is_known),
		cmocka_unit_test(a_slot_is_free_again_when_both_ends_are_closed),
		cmocka_unit_test(our_dial_to_a_server_of_the_namespace_is_a_leg_too),
		cmocka_unit_test(who_splices_sockets_keeps_its_pod_on_tcp),
		cmocka_unit_test(bytes_past_tcp_are_counted_with_the_others),
		cmocka_unit_test(what_was_redirected_outlives_the_maps),
	};
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
