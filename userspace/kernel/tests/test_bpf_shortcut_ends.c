/* The shortcut: options that need TCP, and how connections end. */
#include "kernel/tests/pair.h"

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

	pair_open(&pod, &pair);
	bytes = -1; /* as many as there can be */
	assert_int_equal(setsockopt(pair.app, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)), 0);
	assert_int_equal(leg_of(&pod, &pair)->demoted, WEFT_REASON_DEMOTED_OPTION);
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

static void a_socket_that_dials_again_hears_nothing_of_before(void **state)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct rig_pod pod;
	struct pair before, pair;
	pod_open(*state, &pod);
	pair_open(&pod, &before);
	send_all(before.app, "old question", 12);
	send_all(before.ours, "old answer", 10);
	assert_int_equal(connect(before.app, &none, sizeof(none)), 0);

	pair.app = dial_nonblocking(before.app, RIG_VIRTUAL);
	accept_pair(&pod, &pair);
	(void)send(before.ours, "later answer", 12, MSG_NOSIGNAL); /* it was reset */
	send_all(pair.app, "question", 8);
	expect(pair.ours, "question");
	send_all(pair.ours, "answer", 6);
	expect(pair.app, "answer");
	close(before.ours);
	send_all(pair.ours, "more", 4);
	expect(pair.app, "more");
	pair_close(&pair);
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
	assert_int_equal(receive(pair.app, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair.app);
	rig_pod_close(&pod);
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
	close(pair.ours);

	pair_open(&pod, &pair); /* none read */
	send_all(pair.ours, "answer", 6);
	close(pair.app);
	expect_end(pair.ours);
	assert_true(is_unread(&pod, &pair, WEFT_LEG_DIALLER));
	close(pair.ours);
	rig_pod_close(&pod);
}

/* Closed for both ways, but still open: what comes is answered with a RST. */
static void an_end_that_reads_no_more_resets_what_comes(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	struct pollfd ready = {.events = POLLRDHUP};
	pod_open(*state, &pod);
	pair_open(&pod, &pair);
	send_all(pair.app, "request", 7);
	assert_int_equal(shutdown(pair.app, SHUT_RDWR), 0);
	expect(pair.ours, "request");
	expect_end(pair.ours);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_NO_PEER), 0);
	send_all(pair.ours, "answer", 6);
	ready.fd = pair.ours;
	rig_wait_until(poll(&ready, 1, 0) == 1 && (ready.revents & POLLHUP));
	assert_int_equal(send(pair.ours, "answer", 6, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(rig_count(&pod, WEFT_REASON_DEMOTED_NO_PEER), 1);
	pair_close(&pair);
	rig_pod_close(&pod);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_low_water_mark_sends_the_connection_back_to_tcp),
		cmocka_unit_test(options_that_never_work_past_tcp_are_refused),
		cmocka_unit_test(other_options_are_left_alone_whatever_their_size),
		cmocka_unit_test(an_end_comes_after_all_bytes),
		cmocka_unit_test(a_socket_that_dials_again_hears_nothing_of_before),
		cmocka_unit_test(bytes_before_a_reset_are_delivered),
		cmocka_unit_test(an_end_that_is_closed_with_bytes_unread_is_known),
		cmocka_unit_test(an_end_that_reads_no_more_resets_what_comes),
		cmocka_unit_test(a_slot_is_free_again_when_both_ends_are_closed),
		cmocka_unit_test(what_was_redirected_outlives_the_maps),
	};
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
