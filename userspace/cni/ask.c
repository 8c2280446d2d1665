#include "cni/ask.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/text.h"

#define ANSWER_MAX 16384
#define SEC_NS     1000000000ull
#define PAUSE_MS   50 /* before weftd is asked again */

/* One question: a descriptor that is readable when the time is over, and what is asked. */
struct question {
	int timer;
	struct span socket;
	struct text request;
};

/* ---- waiting ---- */

/* True when `fd` is ready; false when the time is over. fd -1: only waits, PAUSE_MS. */
static bool wait_for(const struct question *question, int fd, short events)
{
	struct pollfd both[] = {{.fd = question->timer, .events = POLLIN},
				{.fd = fd, .events = events}};
	int ready;
	do {
		ready = poll(both, 2, fd < 0 ? PAUSE_MS : -1);
	} while (ready < 0 && errno == EINTR);
	return ready >= 0 && !both[0].revents;
}

static int timer_open(uint64_t limit_ns)
{
	struct itimerspec limit = {.it_value = {.tv_sec = (time_t)(limit_ns / SEC_NS),
						.tv_nsec = (long)(limit_ns % SEC_NS)}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &limit, NULL)) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* ---- one attempt ---- */

static int dial(struct span path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (path.size == 0 || path.size >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path.data, path.size);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int send_all(const struct question *question, int fd, struct span bytes)
{
	while (bytes.size) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent < 0 && !wait_for(question, fd, POLLOUT))
			return -ETIME;
		if (sent > 0)
			bytes = span_of(bytes.data + sent, bytes.size - (size_t)sent);
	}
	return 0;
}

/* Until weftd closes, as the request asked it to. */
static int receive_all(const struct question *question, int fd, char *answer, size_t *ret_size)
{
	size_t size = 0;
	for (;;) {
		ssize_t got = recv(fd, answer + size, ANSWER_MAX - size, 0);
		if (got == 0)
			break;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (got < 0 && !wait_for(question, fd, POLLIN))
			return -ETIME;
		size += got > 0 ? (size_t)got : 0;
		if (size == ANSWER_MAX)
			return -EMSGSIZE;
	}
	*ret_size = size;
	return 0;
}

/* 0 when there was an answer, whatever it says. */
static int ask_once(const struct question *question, char *answer, size_t *ret_size)
{
	int fd = dial(question->socket);
	if (fd < 0)
		return fd;
	int error = send_all(question, fd, text_span(&question->request));
	if (!error)
		error = receive_all(question, fd, answer, ret_size);
	close(fd);
	return error;
}

/* ---- questions ---- */

static int question_init(struct question *question, struct span socket, const char *path,
			 struct span body, uint64_t limit_ns)
{
	*question = (struct question){.socket = socket};
	text_printf(&question->request,
		    "POST %s HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n"
		    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		    path, body.size);
	text_add(&question->request, body);
	question->timer = timer_open(limit_ns);
	if (question->timer >= 0 && !question->request.failed)
		return 0;
	int error = question->timer < 0 ? question->timer : -ENOMEM;
	if (question->timer >= 0)
		close(question->timer);
	text_fini(&question->request);
	return error;
}

static void question_fini(struct question *question)
{
	close(question->timer);
	text_fini(&question->request);
}

bool cni_verdict_read(struct span answer, enum cni_verdict *ret_verdict)
{
	static const char end_of_head[] = "\r\n\r\n";
	struct span verdict;
	if (!span_starts(answer, span_text("HTTP/1.1 200 ")))
		return false;
	const char *end = memmem(answer.data, answer.size, end_of_head, strlen(end_of_head));
	if (!end)
		return false;
	end += strlen(end_of_head);
	struct span body = span_of(end, (size_t)(answer.data + answer.size - end));
	if (json_member(body, "verdict", &verdict) || !json_plain_string(verdict, &verdict))
		return false;
	*ret_verdict = span_is(verdict, "captured") ? CNI_CAPTURED : CNI_NOT_MESHED;
	return span_is(verdict, "captured") || span_is(verdict, "not_meshed");
}

int cni_ask_add(struct span socket, struct span body, uint64_t limit_ns,
		enum cni_verdict *ret_verdict)
{
	struct question question;
	char answer[ANSWER_MAX];
	size_t size;
	int error = question_init(&question, socket, "/cni/add", body, limit_ns);
	if (error)
		return error;
	error = -ETIME;
	do {
		if (!ask_once(&question, answer, &size) &&
		    cni_verdict_read(span_of(answer, size), ret_verdict))
			error = 0;
	} while (error && wait_for(&question, -1, 0));
	question_fini(&question);
	return error;
}

void cni_tell_del(struct span socket, struct span body, uint64_t limit_ns)
{
	struct question question;
	char answer[ANSWER_MAX];
	size_t size;
	if (question_init(&question, socket, "/cni/del", body, limit_ns))
		return;
	/* Nothing to do about a failure: weftd looks after namespaces that are gone. */
	(void)!ask_once(&question, answer, &size);
	question_fini(&question);
}
