/* The real ring on loopback sockets: what ring.h promises, and what the double imitates. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/ring.h"

#define NS_PER_MS   1000000ull
#define NS_PER_S    1000000000ull
#define DEADLINE_NS (20 * NS_PER_S) /* for what takes milliseconds */

/* An operation that remembers how it was completed. */
struct seen {
	struct io_op op;
	struct io_ring *ring;
	unsigned completions;
	unsigned finals;
	int result; /* of the last one */
	int accepted;
	char *bytes;
	size_t size;
	bool takes_blocks;
	unsigned blocks;
};

static struct blocks blocks;

static void remember(struct io_op *op, int result, bool more)
{
	struct seen *seen = container_of(op, struct seen, op);
	seen->completions++;
	seen->finals += !more;
	seen->result = result;
	assert_int_equal(op->in_flight, more);
	if (result > 0)
		seen->accepted = result;
}

static void gather(struct io_op *op, int result, bool more)
{
	struct seen *seen = container_of(op, struct seen, op);
	remember(op, result, more);
	if (result <= 0)
		return;
	struct span bytes = io_lent_bytes(seen->ring);
	struct block **block = io_lent_block(seen->ring);
	assert_int_equal(bytes.size, result);
	assert_int_equal(*block != NULL, op->is_large);
	seen->bytes = realloc(seen->bytes, seen->size + bytes.size);
	assert_non_null(seen->bytes);
	memcpy(seen->bytes + seen->size, bytes.data, bytes.size);
	seen->size += bytes.size;
	if (*block && seen->takes_blocks) {
		assert_int_equal(block_span(*block).size, bytes.size);
		blocks_give(&blocks, *block);
		*block = NULL;
		seen->blocks++;
	}
}

static struct seen seen_new(struct io_ring *ring, io_done *done)
{
	return (struct seen){.op.done = done, .ring = ring};
}

static struct io_ring *ring_open(unsigned shared_count)
{
	struct io_options options = {
		.entries = 64,
		.shared_count = shared_count,
		.large_count = 4,
		.blocks = &blocks,
	};
	struct io_ring *ring;
	blocks_init(&blocks, UINT64_MAX);
	assert_int_equal(io_ring_open(&options, &ring), 0);
	return ring;
}

static void ring_close(struct io_ring *ring)
{
	io_ring_close(ring);
	blocks_fini(&blocks);
	assert_int_equal(mem_live(), 0);
}

static void turn_until(struct io_ring *ring, const unsigned *count, unsigned wanted)
{
	uint64_t end_ns = io_now_ns(ring) + DEADLINE_NS;
	while (*count < wanted && io_now_ns(ring) < end_ns)
		io_turn(ring, 100 * NS_PER_MS);
	assert_int_equal(*count, wanted);
}

static int listen_on_loopback(struct sockaddr_storage *ret_address)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(ret_address, &address, sizeof(address));
	return fd;
}

static void connected_pair(int *ret_ours, int *ret_theirs)
{
	struct sockaddr_storage address;
	int listener = listen_on_loopback(&address);
	*ret_theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		connect(*ret_theirs, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
	*ret_ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ret_ours >= 0);
	close(listener);
}

static void write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);
		assert_true(written > 0);
		bytes += written;
		size -= (size_t)written;
	}
}

static char *pattern(size_t size)
{
	char *bytes = malloc(size);
	uint32_t state = 1;
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = (char)(state >> 24);
	}
	return bytes;
}

static void accept_goes_on_until_it_is_cancelled(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(4);
	struct sockaddr_storage address;
	struct seen accepts = seen_new(ring, remember);
	int listener = listen_on_loopback(&address);
	io_accept(ring, &accepts.op, listener);
	for (unsigned i = 1; i <= 3; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in own, peer;
		socklen_t size = sizeof(own);
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(own)), 0);
		turn_until(ring, &accepts.completions, i);
		getsockname(fd, (struct sockaddr *)&own, &size);
		getpeername(accepts.accepted, (struct sockaddr *)&peer, &size);
		assert_int_equal(peer.sin_port, own.sin_port);
		io_close(ring, accepts.accepted);
		close(fd);
	}
	assert_int_equal(accepts.finals, 0);
	io_cancel(ring, &accepts.op);
	turn_until(ring, &accepts.finals, 1);
	assert_int_equal(accepts.result, -ECANCELED);
	io_cancel(ring, &accepts.op); /* of nothing: no completion */
	io_turn(ring, NS_PER_MS);
	assert_int_equal(accepts.finals, 1);
	close(listener);
	ring_close(ring);
}

static void connect_succeeds_or_says_why(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(4);
	struct sockaddr_storage address;
	struct seen good = seen_new(ring, remember);
	struct seen bad = seen_new(ring, remember);
	struct weft_address source;
	int listener = listen_on_loopback(&address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(address_parse_ip(span_text("127.0.0.2"), 0, &source), 0);
	assert_int_equal(io_bind_source(ring, fd, &source), 0);
	io_connect(ring, &good.op, fd, &address, sizeof(struct sockaddr_in));
	turn_until(ring, &good.finals, 1);
	assert_int_equal(good.result, 0);
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int accepted = accept(listener, (struct sockaddr *)&peer, &size);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), 0x7f000002);
	io_close(ring, fd);
	close(accepted);
	close(listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	io_connect(ring, &bad.op, fd, &address, sizeof(struct sockaddr_in));
	turn_until(ring, &bad.finals, 1);
	assert_int_equal(bad.result, -ECONNREFUSED);
	io_close(ring, fd);
	ring_close(ring);
}

static int tcp_option(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &size), 0);
	return value;
}

static void a_socket_does_not_wait_for_a_silent_peer_for_ever(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(4);
	int fd = io_socket(ring, AF_INET6, 30);
	int is_on = 0;
	socklen_t size = sizeof(is_on);
	assert_true(fd >= 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, &size), 0);
	assert_true(is_on);
	assert_int_equal(tcp_option(fd, TCP_KEEPIDLE) +
				 tcp_option(fd, TCP_KEEPCNT) * tcp_option(fd, TCP_KEEPINTVL),
			 30);
	assert_int_equal(tcp_option(fd, TCP_USER_TIMEOUT), 30000);
	io_close(ring, fd);
	assert_int_equal(io_socket(ring, -1, 30), -EAFNOSUPPORT);
	ring_close(ring);
}

/* Two buffers of 4 KiB for 1 MiB: -ENOBUFS now and then, and nothing lost. */
static void shared_receives_lose_nothing(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	struct seen receives = seen_new(ring, gather);
	size_t size = 1 << 20;
	char *bytes = pattern(size);
	int ours, theirs;
	connected_pair(&ours, &theirs);
	uint64_t end_ns = io_now_ns(ring) + DEADLINE_NS;
	size_t sent = 0;
	while (receives.size < size && io_now_ns(ring) < end_ns) {
		size_t burst = size - sent < 30000 ? size - sent : 30000;
		write_all(theirs, bytes + sent, burst);
		sent += burst;
		for (int i = 0; i < 8; i++) {
			if (!receives.op.in_flight)
				io_recv_shared(ring, &receives.op, ours);
			io_turn(ring, NS_PER_MS);
			assert_true(receives.result > 0 || receives.result == -ENOBUFS);
		}
	}
	assert_int_equal(receives.size, size);
	assert_memory_equal(receives.bytes, bytes, size);
	if (!receives.op.in_flight)
		io_recv_shared(ring, &receives.op, ours);
	unsigned finals = receives.finals;
	shutdown(theirs, SHUT_WR);
	turn_until(ring, &receives.finals, finals + 1);
	assert_int_equal(receives.result, 0);
	free(bytes);
	free(receives.bytes);
	io_close(ring, ours);
	close(theirs);
	ring_close(ring);
}

static void large_receives_lend_their_block(void **state)
{
	(void)state;
	for (int takes = 0; takes < 2; takes++) {
		struct io_ring *ring = ring_open(2);
		struct seen receives = seen_new(ring, gather);
		size_t size = 1 << 20;
		char *bytes = pattern(size);
		int ours, theirs;
		uint64_t lent = blocks.in_use;
		receives.takes_blocks = takes;
		connected_pair(&ours, &theirs);
		uint64_t end_ns = io_now_ns(ring) + DEADLINE_NS;
		for (size_t sent = 0; receives.size < size && io_now_ns(ring) < end_ns;) {
			size_t burst = size - sent < 50000 ? size - sent : 50000;
			write_all(theirs, bytes + sent, burst);
			sent += burst;
			unsigned before = receives.finals;
			io_recv_large(ring, &receives.op, ours);
			turn_until(ring, &receives.finals, before + 1);
			assert_int_equal(blocks.in_use, lent);
		}
		assert_int_equal(receives.size, size);
		assert_memory_equal(receives.bytes, bytes, size);
		assert_int_equal(receives.blocks > 0, takes);
		free(bytes);
		free(receives.bytes);
		io_close(ring, ours);
		close(theirs);
		ring_close(ring);
	}
}

static void a_waiting_receive_can_be_cancelled(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	int ours, theirs;
	connected_pair(&ours, &theirs);
	for (int large = 0; large < 2; large++) {
		struct seen receives = seen_new(ring, gather);
		if (large)
			io_recv_large(ring, &receives.op, ours);
		else
			io_recv_shared(ring, &receives.op, ours);
		io_turn(ring, NS_PER_MS);
		assert_int_equal(receives.finals, 0);
		io_cancel(ring, &receives.op);
		turn_until(ring, &receives.finals, 1);
		assert_int_equal(receives.result, -ECANCELED);
		assert_int_equal(receives.completions, 1);
	}
	io_close(ring, ours);
	close(theirs);
	ring_close(ring);
}

/* The peer reads slowly: the send stays in flight, and ends once, whole. */
static void a_send_is_whole(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	struct seen sends = seen_new(ring, remember);
	size_t size = 8 << 20;
	char *bytes = pattern(size);
	char *got = malloc(size);
	int ours, theirs;
	assert_non_null(got);
	connected_pair(&ours, &theirs);
	struct iovec parts[] = {{bytes, 1000}, {bytes + 1000, size - 1000}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	io_sendmsg(ring, &sends.op, ours, &message);
	uint64_t end_ns = io_now_ns(ring) + DEADLINE_NS;
	for (size_t read_bytes = 0; read_bytes < size && io_now_ns(ring) < end_ns;) {
		io_turn(ring, 0);
		ssize_t more = recv(theirs, got + read_bytes, size - read_bytes, MSG_DONTWAIT);
		read_bytes += more > 0 ? (size_t)more : 0;
		assert_true(sends.finals == 0 || read_bytes > 0);
	}
	turn_until(ring, &sends.finals, 1);
	assert_int_equal(sends.result, size);
	assert_memory_equal(got, bytes, size);
	io_shutdown_send(ring, ours);
	assert_int_equal(recv(theirs, got, 1, 0), 0);
	free(bytes);
	free(got);
	io_close(ring, ours);
	close(theirs);
	ring_close(ring);
}

static void sending_now_takes_what_there_is_room_for(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	char *bytes = pattern(1 << 20);
	int ours, theirs, sent = 1;
	size_t total = 0;
	connected_pair(&ours, &theirs);
	while (sent > 0 && total < (64u << 20)) {
		sent = io_send_now(ring, ours, bytes, 1 << 20);
		total += sent > 0 ? (size_t)sent : 0;
	}
	assert_int_equal(sent, -EAGAIN);
	assert_true(total > 0);
	close(theirs);
	assert_true(io_send_now(ring, ours, bytes, 1) < 0);
	assert_true(io_send_now(ring, ours, bytes, 1) < 0); /* and no SIGPIPE */
	free(bytes);
	io_close(ring, ours);
	ring_close(ring);
}

static void a_reset_is_a_reset(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	char byte;
	int ours, theirs;
	connected_pair(&ours, &theirs);
	io_close_reset(ring, ours);
	assert_int_equal(recv(theirs, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(theirs);
	ring_close(ring);
}

/* The close that the kernel does when a process dies is such a close too. */
static void a_close_resets_when_it_was_asked_to(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	for (int is_taken_back = 0; is_taken_back < 2; is_taken_back++) {
		char byte;
		int ours, theirs;
		connected_pair(&ours, &theirs);
		io_reset_when_closed(ring, ours, true);
		if (is_taken_back)
			io_reset_when_closed(ring, ours, false);
		close(ours);
		assert_int_equal(recv(theirs, &byte, 1, 0), is_taken_back ? 0 : -1);
		assert_true(is_taken_back || errno == ECONNRESET);
		close(theirs);
	}
	ring_close(ring);
}

static void unread_bytes_are_seen_and_stay(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	char byte = 0;
	int ours, theirs;
	connected_pair(&ours, &theirs);
	assert_false(io_has_unread(ring, ours));
	write_all(theirs, "x", 1);
	struct pollfd readable = {.fd = ours, .events = POLLIN};
	assert_int_equal(poll(&readable, 1, 5000), 1);
	assert_true(io_has_unread(ring, ours));
	assert_int_equal(recv(ours, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	assert_false(io_has_unread(ring, ours));
	close(theirs); /* an end is nothing to read */
	assert_int_equal(poll(&readable, 1, 5000), 1);
	assert_false(io_has_unread(ring, ours));
	io_close(ring, ours);
	ring_close(ring);
}

/* How a peer may end; bytes come right before it, and nobody turns the ring in between. */
static void end_by_reset(int fd)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void end_by_fin(int fd)
{
	close(fd);
}

static void check_end(void (*end)(int fd), bool is_unix, bool armed_first, int wanted)
{
	struct io_ring *ring = ring_open(4);
	struct seen receives = seen_new(ring, gather);
	int fds[2];
	receives.result = 1;
	if (is_unix)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	else
		connected_pair(&fds[0], &fds[1]);
	if (armed_first) {
		io_recv_shared(ring, &receives.op, fds[0]);
		io_turn(ring, NS_PER_MS);
	}
	write_all(fds[1], "last", 4);
	end(fds[1]);
	if (!armed_first)
		io_recv_shared(ring, &receives.op, fds[0]);
	uint64_t end_ns = io_now_ns(ring) + DEADLINE_NS;
	while (receives.result != wanted && io_now_ns(ring) < end_ns) {
		if (!receives.op.in_flight) /* cancelled: as wire does */
			io_recv_shared(ring, &receives.op, fds[0]);
		io_turn(ring, UINT64_MAX);
	}
	assert_int_equal(receives.result, wanted);
	assert_int_equal(receives.size, 4);
	assert_memory_equal(receives.bytes, "last", 4);
	free(receives.bytes);
	io_close(ring, fds[0]);
	ring_close(ring);
}

static void the_end_right_behind_bytes_is_noticed(void **state)
{
	(void)state;
	for (int armed_first = 0; armed_first < 2; armed_first++) {
		check_end(end_by_reset, false, armed_first, -ECONNRESET);
		check_end(end_by_fin, false, armed_first, 0);
		check_end(end_by_fin, true, armed_first, 0);
	}
}

/* ---- time ---- */

static struct io_ring *timer_ring;
static uint64_t fired_ns[3];
static unsigned fired;

static void on_timer(struct timer *timer)
{
	(void)timer;
	fired_ns[fired++] = io_now_ns(timer_ring);
}

static void timers_fire_in_their_order_and_not_early(void **state)
{
	(void)state;
	struct timer timers[3];
	static const uint64_t after_ns[] = {9 * NS_PER_MS, 3 * NS_PER_MS, 6 * NS_PER_MS};
	struct io_ring *ring = timer_ring = ring_open(2);
	uint64_t begin_ns = io_now_ns(ring);
	for (int i = 0; i < 3; i++) {
		timer_init(&timers[i], on_timer);
		assert_int_equal(timer_set(io_timers(ring), &timers[i], begin_ns + after_ns[i]), 0);
	}
	while (fired < 3 && io_now_ns(ring) < begin_ns + DEADLINE_NS)
		io_turn(ring, UINT64_MAX);
	assert_int_equal(fired, 3);
	assert_true(fired_ns[0] >= begin_ns + 3 * NS_PER_MS);
	assert_true(fired_ns[1] >= begin_ns + 6 * NS_PER_MS);
	assert_true(fired_ns[2] >= begin_ns + 9 * NS_PER_MS);
	assert_true(io_turns(ring) >= 1);
	ring_close(ring);
}

static unsigned hook_calls[2];

static void before_wait(void *owner)
{
	assert_ptr_equal(owner, hook_calls);
	assert_int_equal(hook_calls[0], hook_calls[1]);
	hook_calls[0]++;
}

static void after_wait(void *owner)
{
	assert_ptr_equal(owner, hook_calls);
	hook_calls[1]++;
	assert_int_equal(hook_calls[0], hook_calls[1]);
}

static void hooks_frame_the_wait(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(2);
	io_set_hooks(ring, before_wait, after_wait, hook_calls);
	for (int i = 0; i < 3; i++)
		io_turn(ring, 0);
	assert_int_equal(hook_calls[1], 3);
	ring_close(ring);
}

/* ---- mails ---- */

#define THREADS 4
#define MAILS   2000

struct letter {
	struct io_mail mail;
	unsigned thread;
	unsigned number;
};

static struct letter letters[THREADS][MAILS];
static unsigned arrived[THREADS];
static unsigned arrived_in_all;
static struct io_ring *mail_ring;

static void on_letter(struct io_mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);
	assert_int_equal(letter->number, arrived[letter->thread]);
	arrived[letter->thread]++;
	arrived_in_all++;
}

static void *write_letters(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;
	for (unsigned i = 0; i < MAILS; i++) {
		letters[thread][i] =
			(struct letter){.mail.run = on_letter, .thread = thread, .number = i};
		io_post(mail_ring, &letters[thread][i].mail);
	}
	return NULL;
}

static void mails_of_each_thread_arrive_once_and_in_order(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	mail_ring = ring_open(2);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_letters, (void *)i), 0);
	turn_until(mail_ring, &arrived_in_all, THREADS * MAILS);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	io_turn(mail_ring, 0);
	assert_int_equal(arrived_in_all, THREADS * MAILS);
	ring_close(mail_ring);
}

/* ---- more than fits ---- */

/* Older kernels (6.1) take all buffers at once: -ENOBUFS, arm again. */
static void receive_byte(struct io_ring *ring, struct seen *receives, int fd)
{
	while (receives->size == 0) {
		unsigned before = receives->completions;
		assert_true(before == 0 || receives->result == -ENOBUFS);
		if (!receives->op.in_flight)
			io_recv_shared(ring, &receives->op, fd);
		turn_until(ring, &receives->completions, before + 1);
	}
	assert_int_equal(receives->size, 1);
	if (!receives->op.in_flight)
		io_recv_shared(ring, &receives->op, fd);
}

static void more_operations_than_entries_are_submitted_all_the_same(void **state)
{
	(void)state;
	struct io_ring *ring = ring_open(64);
	struct seen receives[200];
	int ours[200], theirs[200];
	unsigned finals[200];
	for (int i = 0; i < 200; i++) {
		connected_pair(&ours[i], &theirs[i]);
		receives[i] = seen_new(ring, gather);
		io_recv_shared(ring, &receives[i].op, ours[i]);
	}
	for (int i = 0; i < 200; i++)
		write_all(theirs[i], "x", 1);
	for (int i = 0; i < 200; i++) {
		receive_byte(ring, &receives[i], ours[i]);
		finals[i] = receives[i].finals;
		io_cancel(ring, &receives[i].op);
	}
	for (int i = 0; i < 200; i++) {
		turn_until(ring, &receives[i].finals, finals[i] + 1);
		free(receives[i].bytes);
		io_close(ring, ours[i]);
		close(theirs[i]);
	}
	ring_close(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_goes_on_until_it_is_cancelled),
		cmocka_unit_test(connect_succeeds_or_says_why),
		cmocka_unit_test(a_socket_does_not_wait_for_a_silent_peer_for_ever),
		cmocka_unit_test(shared_receives_lose_nothing),
		cmocka_unit_test(large_receives_lend_their_block),
		cmocka_unit_test(a_waiting_receive_can_be_cancelled),
		cmocka_unit_test(a_send_is_whole),
		cmocka_unit_test(sending_now_takes_what_there_is_room_for),
		cmocka_unit_test(a_reset_is_a_reset),
		cmocka_unit_test(a_close_resets_when_it_was_asked_to),
		cmocka_unit_test(unread_bytes_are_seen_and_stay),
		cmocka_unit_test(the_end_right_behind_bytes_is_noticed),
		cmocka_unit_test(timers_fire_in_their_order_and_not_early),
		cmocka_unit_test(hooks_frame_the_wait),
		cmocka_unit_test(mails_of_each_thread_arrive_once_and_in_order),
		cmocka_unit_test(more_operations_than_entries_are_submitted_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
