/*
 * Streams that do everything to their sockets, and check every byte at its place.
 *
 *   streams serve PORT...                              until SIGTERM, then prints what it saw
 *   streams dial STREAMS WORKERS SEED ADDRESS:PORT...  prints what it saw
 *
 * A stream begins with struct head; then each side sends its bytes, a function of the stream's seed
 * and the position. Whatever is not as it should be is in "wrong", with the stream's seed and kind.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE_MAX    (96 << 10)
#define SILENCE_MS   20000
#define TELLERS      4
#define WRONG_MAX    8
#define RECORD_COUNT 400

enum kind {
	ORDERLY,      /* both send everything and close when they have everything */
	SLOW,         /* one of them does not read for a while: the window is exceeded */
	LOWAT,        /* the client sets SO_RCVLOWAT on the way */
	PASSED,       /* another process goes on with the client's socket */
	EXECED,       /* another program does */
	MANY,         /* several threads of the client send at once */
	CLIENT_CLOSE, /* in the middle */
	CLIENT_RESET,
	CLIENT_KILL,
	SERVER_CLOSE,
	SERVER_RESET,
	KIND_COUNT
};
static const char *const kind_names[KIND_COUNT] = {
	"orderly",      "slow",         "lowat",       "passed",       "execed",      "many",
	"client_close", "client_reset", "client_kill", "server_close", "server_reset"};

struct head {
	uint64_t seed;
	uint32_t up, down; /* bytes after the head, and back */
	uint32_t cut;      /* where the middle is */
	uint8_t kind;
	uint8_t client_halves, server_halves; /* shutdown(SHUT_WR) after the last byte */
	uint8_t slow;                         /* 1 the client, 2 the server, 3 both */
};

struct stream {
	int fd;
	bool is_server;
	bool is_half_closed;
	struct head head;
	uint32_t sent, received;
	uint64_t random;
};

/* The tally of all processes of one run. */
static struct tally {
	_Atomic uint32_t kinds[KIND_COUNT]; /* that ended as they should */
	_Atomic uint32_t cut;               /* of them: before everything had arrived */
	_Atomic uint32_t wrongs;
	char wrong[WRONG_MAX][200];
} * tally;

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = mix(*random);
	return below ? (uint32_t)(*random >> 32) % below : 0;
}

__attribute__((format(printf, 2, 3))) static void wrong(const struct stream *stream,
							const char *format, ...)
{
	uint32_t at = atomic_fetch_add(&tally->wrongs, 1);
	char what[120];
	va_list arguments;
	if (at >= WRONG_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(tally->wrong[at], sizeof(tally->wrong[at]),
		 "%s %llx %s: %s; sent %u of %u, received %u of %u", kind_names[stream->head.kind],
		 (unsigned long long)stream->head.seed, stream->is_server ? "server" : "client",
		 what, stream->sent, stream->is_server ? stream->head.down : stream->head.up,
		 stream->received, stream->is_server ? stream->head.up : stream->head.down);
}

static void fill(uint8_t *to, uint64_t seed, uint32_t at, size_t size)
{
	uint64_t word = mix(seed + at / 8);
	for (size_t i = 0; i < size; i++, at++) {
		if (at % 8 == 0)
			word = mix(seed + at / 8);
		to[i] = (uint8_t)(word >> at % 8 * 8);
	}
}

static uint64_t seed_of(const struct stream *stream, bool of_server)
{
	return mix(stream->head.seed ^ (of_server ? 0x5e5e5e : 0xc1c1c1));
}

/* ---- one side of a stream ---- */

enum step { GOES_ON, IS_DONE, SAW_END, SAW_ERROR, SAW_WRONG };

static uint32_t to_send(const struct stream *stream)
{
	return stream->is_server ? stream->head.down : stream->head.up;
}

static uint32_t to_receive(const struct stream *stream)
{
	return stream->is_server ? stream->head.up : stream->head.down;
}

static uint32_t draw_size(uint64_t *random)
{
	switch (draw(random, 4)) {
	case 0:
		return 1 + draw(random, 64);
	case 1:
	case 2:
		return 1 + draw(random, 6000);
	}
	return 1 + draw(random, PIECE_MAX - 1);
}

static enum step send_piece(struct stream *stream, uint8_t *buffer)
{
	uint32_t size = draw_size(&stream->random);
	if (size > to_send(stream) - stream->sent)
		size = to_send(stream) - stream->sent;
	fill(buffer, seed_of(stream, stream->is_server), stream->sent, size);
	ssize_t moved = send(stream->fd, buffer, size, MSG_NOSIGNAL);
	if (moved < 0)
		return errno == EAGAIN ? GOES_ON : SAW_ERROR;
	stream->sent += (uint32_t)moved;
	return GOES_ON;
}

static enum step receive_piece(struct stream *stream, uint8_t *buffer)
{
	static __thread uint8_t expected[PIECE_MAX];
	uint32_t size = draw_size(&stream->random);
	ssize_t moved = recv(stream->fd, buffer, size, 0);
	if (moved < 0)
		return errno == EAGAIN ? GOES_ON : SAW_ERROR;
	if (moved == 0)
		return SAW_END;
	if ((uint32_t)moved > to_receive(stream) - stream->received) {
		wrong(stream, "%zd bytes too many", moved);
		return SAW_WRONG;
	}
	fill(expected, seed_of(stream, !stream->is_server), stream->received, (size_t)moved);
	if (memcmp(expected, buffer, (size_t)moved)) {
		size_t at = 0;
		while (expected[at] == buffer[at])
			at++;
		wrong(stream, "another byte at %zu", stream->received + at);
		return SAW_WRONG;
	}
	stream->received += (uint32_t)moved;
	return GOES_ON;
}

static bool halves(const struct stream *stream)
{
	return stream->is_server ? stream->head.server_halves : stream->head.client_halves;
}

/* Moves bytes both ways until `until` bytes of both ways together, or the end. */
static enum step move(struct stream *stream, uint64_t until)
{
	static __thread uint8_t buffer[PIECE_MAX];
	bool is_slow = stream->head.slow & (stream->is_server ? 2 : 1);
	int slow_turns = is_slow ? 40 : 0;
	for (;;) {
		bool writes = stream->sent < to_send(stream);
		bool reads = stream->received < to_receive(stream);
		if (!writes && halves(stream) && !stream->is_half_closed) {
			shutdown(stream->fd, SHUT_WR);
			stream->is_half_closed = true;
		}
		if (!writes && !reads)
			return IS_DONE;
		if ((uint64_t)stream->sent + stream->received >= until)
			return GOES_ON;
		if (draw(&stream->random, 300) == 0)
			usleep(draw(&stream->random, 2000));
		if (slow_turns > 0 && slow_turns-- && !writes) {
			usleep(500);
			continue;
		}
		struct pollfd ready = {.fd = stream->fd,
				       .events = (short)((writes ? POLLOUT : 0) |
							 (reads && !slow_turns ? POLLIN : 0))};
		int count = poll(&ready, 1, slow_turns ? 1 : SILENCE_MS);
		if (count == 0 && !slow_turns) {
			wrong(stream, "silence");
			return SAW_WRONG;
		}
		enum step step = GOES_ON;
		if (ready.revents & ready.events & POLLIN)
			step = receive_piece(stream, buffer);
		if (step == GOES_ON && ready.revents & ready.events & POLLOUT)
			step = send_piece(stream, buffer);
		/* an error is told by the call that meets it; when reading pauses, nobody does */
		if (step == GOES_ON && ready.revents & (POLLERR | POLLHUP) &&
		    !(ready.revents & ready.events))
			step = reads ? receive_piece(stream, buffer) : send_piece(stream, buffer);
		if (step == SAW_ERROR && reads) {
			/* what came before the error is still there */
			uint32_t before = stream->received - 1;
			for (step = GOES_ON; step == GOES_ON && before != stream->received;) {
				before = stream->received;
				step = receive_piece(stream, buffer);
			}
			return step == SAW_WRONG ? step : SAW_ERROR;
		}
		if (step != GOES_ON)
			return step;
	}
}

/* With halves: the peer's FIN is where it belongs, and nothing behind it. */
static bool ends_plainly(struct stream *stream, bool peer_halves)
{
	char byte;
	if (!peer_halves)
		return true;
	struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
	if (poll(&ready, 1, SILENCE_MS) <= 0) {
		wrong(stream, "no FIN");
		return false;
	}
	ssize_t answer = recv(stream->fd, &byte, 1, 0);
	/* a peer that was done and left may have been sent bytes since: not in these streams */
	if (answer != 0)
		wrong(stream, "%zd (%s) instead of the end", answer, strerror(errno));
	return answer == 0;
}

static void reset_when_closed(int fd)
{
	struct linger now = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void ended_well(const struct stream *stream)
{
	atomic_fetch_add(&tally->kinds[stream->head.kind], 1);
	if (stream->received < to_receive(stream))
		atomic_fetch_add(&tally->cut, 1);
}

/* ---- the server ---- */

/* Sockets that block have no shortcut. */
static bool wait_for(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};
	return poll(&ready, 1, SILENCE_MS) == 1;
}

static bool receive_all(int fd, void *to, size_t size)
{
	size_t got = 0;
	while (got < size) {
		if (!wait_for(fd, POLLIN))
			return false;
		ssize_t moved = recv(fd, (char *)to + got, size - got, 0);
		if (moved == 0 || (moved < 0 && errno != EAGAIN))
			return false;
		got += moved > 0 ? (size_t)moved : 0;
	}
	return true;
}

struct record {
	uint32_t teller, number;
	uint64_t check;
};

/* Records of several threads: each thread's in its order, none torn. */
static bool serve_many(struct stream *stream)
{
	uint32_t next[TELLERS] = {0};
	struct record record;
	for (int i = 0; i < TELLERS * RECORD_COUNT; i++) {
		if (!receive_all(stream->fd, &record, sizeof(record))) {
			wrong(stream, "record %d is missing (%s)", i, strerror(errno));
			return false;
		}
		uint64_t check =
			mix(stream->head.seed + ((uint64_t)record.teller << 32 | record.number));
		if (record.teller >= TELLERS || record.check != check ||
		    record.number != next[record.teller]++) {
			wrong(stream, "record %d is %u of teller %u", i, record.number,
			      record.teller);
			return false;
		}
	}
	return true;
}

static void serve_stream(struct stream *stream)
{
	const struct head *head = &stream->head;
	bool server_cuts = head->kind == SERVER_CLOSE || head->kind == SERVER_RESET;
	bool client_cuts = head->kind == CLIENT_CLOSE || head->kind == CLIENT_RESET ||
			   head->kind == CLIENT_KILL;
	if (head->kind == MANY) {
		if (serve_many(stream))
			ended_well(stream);
		return;
	}
	enum step step = move(stream, server_cuts ? head->cut : UINT64_MAX);
	if (step == SAW_WRONG)
		return;
	if (server_cuts) {
		if (step != GOES_ON && step != IS_DONE)
			wrong(stream, "the client ended it (%d)", step);
		else
			ended_well(stream);
		if (head->kind == SERVER_RESET)
			reset_when_closed(stream->fd);
		return;
	}
	if (step == SAW_END && head->kind == CLIENT_RESET)
		wrong(stream, "a plain end instead of a reset");
	else if (step != IS_DONE && !client_cuts)
		wrong(stream, "ended early: %s", step == SAW_END ? "FIN" : strerror(errno));
	else if (client_cuts || ends_plainly(stream, head->client_halves))
		ended_well(stream);
}

static void *serve_one(void *argument)
{
	struct stream stream = {.fd = (int)(intptr_t)argument, .is_server = true};
	if (receive_all(stream.fd, &stream.head, sizeof(stream.head))) {
		stream.random = stream.head.seed ^ 1;
		serve_stream(&stream);
	}
	close(stream.fd);
	return NULL;
}

static void *serve_port(void *argument)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6,
				       .sin6_port = htons((uint16_t)(intptr_t)argument)};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, 512 << 10);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1024)) {
		perror("listen");
		exit(1);
	}
	for (;;) {
		pthread_t thread;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0 && pthread_create(&thread, &small, serve_one, (void *)(intptr_t)fd))
			close(fd);
	}
	return NULL;
}

/* ---- the client ---- */

struct worker {
	uint64_t random;
	int helper; /* takes sockets over */
	char **targets;
	int target_count;
	int tally_fd;
};

static void draw_head(struct head *head, uint64_t *random)
{
	static const uint32_t limits[] = {200, 3000, 3000, 20000, 20000, 120000, 700000};
	head->kind = ORDERLY;
	if (draw(random, 2))
		head->kind = (uint8_t)draw(random, KIND_COUNT);
	head->up = draw(random, limits[draw(random, 7)]);
	head->down = draw(random, limits[draw(random, 7)]);
	head->client_halves = (uint8_t)draw(random, 2);
	head->server_halves = (uint8_t)draw(random, 2);
	if (head->kind == SLOW) {
		head->slow = (uint8_t)(1 + draw(random, 3));
		head->up += 600000 * (head->slow & 2 ? 1 : 0);
		head->down += 600000 * (head->slow & 1);
	}
	head->cut = draw(random, head->up + head->down);
	head->seed = mix(*random);
}

static int dial(const char *target)
{
	char host[64];
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(target, ':');
	snprintf(host, sizeof(host), "%.*s", (int)(colon - target), target);
	address.sin_port = htons((uint16_t)number(colon + 1));
	inet_pton(AF_INET, host, &address.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	socklen_t size = sizeof(error);
	if (error == EINPROGRESS && wait_for(fd, POLLOUT))
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* The rest of the client's side, in whatever process. */
static void dial_finish(struct stream *stream)
{
	const struct head *head = &stream->head;
	bool server_cuts = head->kind == SERVER_CLOSE || head->kind == SERVER_RESET;
	enum step step = move(stream, UINT64_MAX);
	char byte = 0;
	if (step == SAW_WRONG)
		return;
	if (step == SAW_END && head->kind == SERVER_RESET &&
	    send(stream->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
		wrong(stream, "a plain end instead of a reset");
	else if (step != IS_DONE && !server_cuts)
		wrong(stream, "ended early: %s", step == SAW_END ? "FIN" : strerror(errno));
	else if (server_cuts || ends_plainly(stream, head->server_halves))
		ended_well(stream);
}

struct teller {
	const struct stream *stream;
	uint32_t number;
};

static void *tell(void *argument)
{
	struct teller *teller = argument;
	for (uint32_t i = 0; i < RECORD_COUNT; i++) {
		struct record record = {.teller = teller->number, .number = i};
		record.check = mix(teller->stream->head.seed +
				   ((uint64_t)record.teller << 32 | record.number));
		ssize_t sent;
		do { /* when there is room, there is more than for one record of each */
			wait_for(teller->stream->fd, POLLOUT);
			sent = send(teller->stream->fd, &record, sizeof(record), MSG_NOSIGNAL);
		} while (sent < 0 && errno == EAGAIN);
		if (sent != sizeof(record)) {
			wrong(teller->stream, "record %u: %s", i, strerror(errno));
			break;
		}
	}
	return NULL;
}

static void dial_many(struct stream *stream)
{
	pthread_t threads[TELLERS];
	struct teller tellers[TELLERS];
	char byte;
	for (uint32_t i = 0; i < TELLERS; i++) {
		tellers[i] = (struct teller){stream, i};
		pthread_create(&threads[i], NULL, tell, &tellers[i]);
	}
	for (int i = 0; i < TELLERS; i++)
		pthread_join(threads[i], NULL);
	wait_for(stream->fd, POLLIN);
	ssize_t answer = recv(stream->fd, &byte, 1, 0);
	if (answer)
		wrong(stream, "%zd (%s) instead of the end", answer, strerror(errno));
	else
		ended_well(stream);
}

static void hand_over(const struct worker *worker, const struct stream *stream)
{
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {(void *)stream, sizeof(*stream)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
	char done;
	passed->cmsg_level = SOL_SOCKET;
	passed->cmsg_type = SCM_RIGHTS;
	passed->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(passed), &stream->fd, sizeof(int));
	if (sendmsg(worker->helper, &message, 0) < 0)
		wrong(stream, "SCM_RIGHTS: %s", strerror(errno));
	close(stream->fd); /* the helper's is the last one */
	if (read(worker->helper, &done, 1) != 1)
		wrong(stream, "the helper is gone");
}

static void help(int from)
{
	char room[CMSG_SPACE(sizeof(int))];
	struct stream stream = {0};
	for (;;) {
		struct iovec part = {&stream, sizeof(stream)};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = room,
					 .msg_controllen = sizeof(room)};
		if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0)
			_exit(0);
		memcpy(&stream.fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		dial_finish(&stream);
		close(stream.fd);
		if (write(from, "", 1) != 1)
			_exit(0);
	}
}

static void go_on_by_exec(const struct worker *worker, const struct stream *stream)
{
	char text[2 * sizeof(*stream) + 1], tally_text[16];
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		for (size_t i = 0; i < sizeof(*stream); i++)
			snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)stream)[i]);
		snprintf(tally_text, sizeof(tally_text), "%d", worker->tally_fd);
		fcntl(stream->fd, F_SETFD, 0);
		execl("/proc/self/exe", "streams", "resume", tally_text, text, (char *)NULL);
		_exit(9);
	}
	close(stream->fd);
	waitpid(child, &status, 0);
	if (status)
		wrong(stream, "exec: status %x", status);
}

static int resume(const char *text)
{
	struct stream stream = {0};
	for (size_t i = 0; i < sizeof(stream); i++) {
		unsigned byte = 0;
		sscanf(text + 2 * i, "%2x", &byte);
		((uint8_t *)&stream)[i] = (uint8_t)byte;
	}
	dial_finish(&stream);
	return 0;
}

/* The client's side up to where the client itself cuts it. */
static void dial_and_cut(struct stream *stream)
{
	enum step step = move(stream, stream->head.cut);
	if (step == SAW_END || step == SAW_ERROR)
		wrong(stream, "the server ended it (%d)", step);
	else if (step != SAW_WRONG)
		ended_well(stream);
	if (stream->head.kind == CLIENT_RESET)
		reset_when_closed(stream->fd);
	close(stream->fd);
}

static void dial_and_kill(struct worker *worker, struct stream *stream)
{
	pid_t child = fork();
	if (child == 0) {
		/* the child counts nothing: it may be killed at any point */
		enum step step = move(stream, UINT64_MAX);
		_exit(step == SAW_WRONG);
	}
	close(stream->fd);
	usleep(draw(&worker->random, 3000));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ended_well(stream);
}

static void dial_stream(struct worker *worker)
{
	struct stream stream = {.random = mix(worker->random ^ 2)};
	draw_head(&stream.head, &worker->random);
	stream.fd = dial(worker->targets[draw(&worker->random, (uint32_t)worker->target_count)]);
	if (stream.fd < 0 || send(stream.fd, &stream.head, sizeof(stream.head), MSG_NOSIGNAL) !=
				     sizeof(stream.head)) {
		wrong(&stream, "dial: %s", strerror(errno));
		close(stream.fd);
		return;
	}
	if (stream.head.kind == MANY) {
		dial_many(&stream);
		close(stream.fd);
		return;
	}
	enum step step = GOES_ON;
	int mark = 2;
	switch (stream.head.kind) {
	case CLIENT_CLOSE:
	case CLIENT_RESET:
		dial_and_cut(&stream);
		return;
	case CLIENT_KILL:
		dial_and_kill(worker, &stream);
		return;
	case LOWAT:
	case PASSED:
	case EXECED:
		step = move(&stream, stream.head.cut);
		break;
	}
	if (step == SAW_END || step == SAW_ERROR)
		wrong(&stream, "ended early: %s", step == SAW_END ? "FIN" : strerror(errno));
	if (step != GOES_ON && step != IS_DONE) {
		close(stream.fd);
		return;
	}
	if (stream.head.kind == PASSED) {
		hand_over(worker, &stream);
		return;
	}
	if (stream.head.kind == EXECED) {
		go_on_by_exec(worker, &stream);
		return;
	}
	if (stream.head.kind == LOWAT) { /* for good, though the mark itself goes again */
		setsockopt(stream.fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
		mark = 1;
		setsockopt(stream.fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	}
	dial_finish(&stream);
	close(stream.fd);
}

static pid_t worker_start(struct worker worker, uint32_t streams)
{
	pid_t child = fork();
	int pair[2];
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		_exit(1);
	worker.helper = pair[0];
	pid_t helper = fork();
	if (helper == 0) {
		close(pair[0]);
		help(pair[1]);
	}
	close(pair[1]);
	for (uint32_t i = 0; i < streams && atomic_load(&tally->wrongs) < WRONG_MAX; i++)
		dial_stream(&worker);
	close(pair[0]);
	waitpid(helper, NULL, 0);
	_exit(0);
}

/* ---- */

static void print_tally(void)
{
	uint32_t right = 0;
	printf("{");
	for (int i = 0; i < KIND_COUNT; i++) {
		right += tally->kinds[i];
		printf("\"%s\": %u, ", kind_names[i], tally->kinds[i]);
	}
	printf("\"right\": %u, \"cut\": %u, \"wrongs\": %u, \"wrong\": [", right, tally->cut,
	       tally->wrongs);
	for (uint32_t i = 0; i < tally->wrongs && i < WRONG_MAX; i++)
		printf("%s\"%s\"", i ? ", " : "", tally->wrong[i]);
	printf("]}\n");
	fflush(stdout);
}

static int serve(int count, char **ports)
{
	sigset_t ends;
	int got;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, serve_port, (void *)(intptr_t)number(ports[i]));
	}
	sigwait(&ends, &got);
	print_tally();
	_exit(0);
}

static int dial_all(uint32_t streams, uint32_t workers, uint64_t seed, int tally_fd, int count,
		    char **targets)
{
	for (uint32_t i = 0; i < workers; i++) {
		struct worker worker = {.random = mix(seed * 1000 + i),
					.targets = targets,
					.target_count = count,
					.tally_fd = tally_fd};
		worker_start(worker, streams / workers);
	}
	while (wait(NULL) > 0)
		;
	print_tally();
	return 0;
}

int main(int argc, char **argv)
{
	bool resumes = argc == 4 && !strcmp(argv[1], "resume");
	int tally_fd = resumes ? (int)number(argv[2]) : memfd_create("tally", 0);
	if (argc < 3 || ftruncate(tally_fd, sizeof(*tally)))
		return 2;
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, tally_fd, 0);
	if (tally == MAP_FAILED)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	if (resumes)
		return resume(argv[3]);
	if (!strcmp(argv[1], "serve"))
		return serve(argc - 2, argv + 2);
	if (argc < 6)
		return 2;
	return dial_all((uint32_t)number(argv[2]), (uint32_t)number(argv[3]), number(argv[4]),
			tally_fd, argc - 5, argv + 5);
}
