#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/command.h"
#include "http/h1.h"

#define TIMEOUT_S 10

static int socket_address(const char *path, struct sockaddr_un *ret_address)
{
	size_t size = strlen(path);
	if (size == 0 || size >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, size);
	return 0;
}

/* The limit is that of connect(2), too. */
static int dial_address(const struct sockaddr *address, socklen_t size, time_t limit_s)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	struct timeval limit = {.tv_sec = limit_s};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, address, size)) {
		int error = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int dial(const char *path)
{
	struct sockaddr_un address;
	int error = socket_address(path, &address);
	if (error)
		return error;
	return dial_address((const struct sockaddr *)&address, sizeof(address), TIMEOUT_S);
}

bool client_is_served(const char *socket_path)
{
	int fd = dial(socket_path);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN; /* EAGAIN: its backlog is full */
}

pid_t client_server_pid(const char *socket_path)
{
	struct ucred server = {0};
	socklen_t size = sizeof(server);
	int fd = dial(socket_path);
	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &size))
		server.pid = 0;
	close(fd);
	return server.pid;
}

static void say_unreachable(struct text *why, const char *path, int error)
{
	const char *advice = "is it running? try `weft check`";
	if (error == -EACCES || error == -EPERM)
		advice = "only root may ask: try sudo";
	else if (error == -ECONNREFUSED)
		advice = "its process is gone: start weftd, or remove what it left with `weft "
			 "cleanup`";
	text_printf(why, "weftd is not reachable at %s: %s; %s", path, strerror(-error), advice);
}

static int send_all(int fd, struct span bytes)
{
	while (bytes.size) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes = span_of(bytes.data + sent, bytes.size - (size_t)sent);
	}
	return 0;
}

/* ---- reading the answer ---- */

struct receipt {
	struct h1_reader reader;
	struct answer answer;
	bool is_complete;
	bool is_too_large;
};

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	struct receipt *receipt = container_of(reader, struct receipt, reader);
	receipt->answer.status = head->status;
}

static void on_body(struct h1_reader *reader, struct span bytes)
{
	struct receipt *receipt = container_of(reader, struct receipt, reader);
	if (receipt->answer.body.size + bytes.size > CLIENT_BODY_MAX) {
		receipt->is_too_large = true;
		h1_stop(reader);
		return;
	}
	text_add(&receipt->answer.body, bytes);
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void on_complete(struct h1_reader *reader)
{
	struct receipt *receipt = container_of(reader, struct receipt, reader);
	if (receipt->answer.status / 100 == 1)
		return; /* an interim answer: the final one follows (RFC 9110 15.2) */
	receipt->is_complete = true;
	h1_stop(reader);
}

static const struct h1_limits limits = {
	.head_bytes = 65536, .line_bytes = 16384, .field_count = 128};
static const struct h1_events events = {
	.head = on_head, .body = on_body, .trailers = on_trailers, .complete = on_complete};

static int say(struct text *why, int error, const char *what)
{
	text_printf(why, "weftd's answer %s", what);
	return error;
}

static int receive(int fd, struct receipt *receipt, struct text *why)
{
	static char chunk[65536];
	while (!receipt->is_complete) {
		ssize_t size = read(fd, chunk, sizeof(chunk));
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			return say(why, -ETIMEDOUT, "did not come in time");
		if (size < 0)
			return say(why, -errno, "broke off");
		size_t used = size ? h1_feed(&receipt->reader, span_of(chunk, (size_t)size)) : 0;
		(void)used;
		if (receipt->reader.error)
			return say(why, -EPROTO, "is no valid HTTP");
		if (receipt->is_too_large || receipt->answer.body.failed)
			return say(why, -EFBIG, "is too large");
		if (size == 0 && (h1_end(&receipt->reader) != H1_OK || !receipt->is_complete))
			return say(why, -ECONNRESET, "ended too early");
	}
	return 0;
}

int client_read(int fd, struct answer *ret_answer, struct text *why)
{
	struct receipt receipt = {0};
	h1_reader_init(&receipt.reader, false, &events, &limits);
	int error = receive(fd, &receipt, why);
	h1_reader_fini(&receipt.reader);
	if (error)
		text_fini(&receipt.answer.body);
	else
		*ret_answer = receipt.answer;
	return error;
}

/* 0, the answer and the connection that it came by. */
static int exchange(const char *socket_path, const struct text *request, int *ret_fd,
		    struct answer *ret_answer, struct text *why)
{
	int fd = dial(socket_path);
	if (fd < 0) {
		say_unreachable(why, socket_path, fd);
		return fd;
	}
	int error = request->failed ? -ENOMEM : send_all(fd, text_span(request));
	if (error)
		text_printf(why, "weftd at %s took no request: %s", socket_path, strerror(-error));
	else
		error = client_read(fd, ret_answer, why);
	if (error)
		close(fd);
	else
		*ret_fd = fd;
	return error;
}

static void write_question(struct text *request, const char *method, const char *path)
{
	text_printf(request,
		    "%s %s HTTP/1.1\r\nHost: weft\r\nContent-Length: 0\r\nConnection: "
		    "close\r\n\r\n",
		    method, path);
}

int client_ask(const char *socket_path, const char *method, const char *path,
	       struct answer *ret_answer, struct text *why)
{
	struct text request = {0};
	int fd;
	write_question(&request, method, path);
	int error = exchange(socket_path, &request, &fd, ret_answer, why);
	text_fini(&request);
	if (!error)
		close(fd);
	return error;
}

int client_get_at(const struct sockaddr *address, socklen_t size, unsigned limit_s,
		  const char *path, struct answer *ret_answer, struct text *why)
{
	struct text request = {0};
	int fd = dial_address(address, size, limit_s);
	if (fd < 0) {
		text_printf(why, "%s", strerror(-fd));
		return fd;
	}
	write_question(&request, "GET", path);
	int error = request.failed ? -ENOMEM : send_all(fd, text_span(&request));
	if (error)
		text_printf(why, "%s", strerror(-error));
	else
		error = client_read(fd, ret_answer, why);
	text_fini(&request);
	close(fd);
	return error;
}

int client_post(const char *socket_path, const char *path, struct span json, int *ret_fd,
		struct answer *ret_answer, struct text *why)
{
	struct text request = {0};
	text_printf(&request,
		    "POST %s HTTP/1.1\r\nHost: weft\r\nContent-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    path, json.size);
	text_add(&request, json);
	int error = exchange(socket_path, &request, ret_fd, ret_answer, why);
	text_fini(&request);
	return error;
}

/* 0 and a 200, or -errno after a complaint. */
static int fetch(const char *socket_path, const char *path, struct answer *ret_answer)
{
	struct text why = {0};
	struct answer answer;
	int error = client_ask(socket_path, "GET", path, &answer, &why);
	if (error) {
		complain("%s", why.data ? why.data : strerror(-error));
	} else if (answer.status != 200) {
		complain("weftd answered %s with %u: %s", path, answer.status,
			 answer.body.data ? answer.body.data : "");
		text_fini(&answer.body);
		error = -EPROTO;
	} else {
		*ret_answer = answer;
	}
	text_fini(&why);
	return error;
}

cJSON *client_json(const char *socket_path, const char *path)
{
	struct answer answer;
	if (fetch(socket_path, path, &answer))
		return NULL;
	struct span body = text_span(&answer.body);
	cJSON *json = cJSON_ParseWithLength(body.data, body.size);
	if (!json)
		complain("weftd's answer to %s is no valid JSON", path);
	text_fini(&answer.body);
	return json;
}

int client_print(const char *socket_path, const char *path)
{
	struct answer answer;
	if (fetch(socket_path, path, &answer))
		return EXIT_FAILED;
	struct span body = text_span(&answer.body);
	fwrite(body.data, 1, body.size, stdout);
	if (body.size && body.data[body.size - 1] != '\n')
		putchar('\n');
	text_fini(&answer.body);
	return EXIT_OK;
}
