/*
 * The origin server of the bench: answers `GET /N` with N bytes, keep-alive and pipelined, one
 * thread. It does the least that HTTP/1.1 asks for, so that it is never what is being measured.
 *
 *   backend ADDRESS PORT     prints "ready" when it listens; runs until it is ended
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX    (16u << 20)
#define REQUEST_MAX 8192
#define EVENTS_MAX  256

struct connection {
	int fd;
	bool waits_for_room; /* EPOLLOUT is asked for */
	size_t request_size; /* bytes in request[] */
	size_t head_left;    /* of the answer being sent */
	size_t body_left;
	size_t head_size;
	char head[256];
	char request[REQUEST_MAX];
};

static char body[BODY_MAX];
static char date[64];
static int epoll_fd;

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static void connection_close(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

static void connection_watch(struct connection *connection, bool for_room)
{
	struct epoll_event event = {.events = for_room ? EPOLLOUT : EPOLLIN,
				    .data.ptr = connection};

	if (connection->waits_for_room == for_room)
		return;
	connection->waits_for_room = for_room;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event))
		fatal("epoll_ctl");
}

/* Sends what is left of the answer. 0 = all of it, -EAGAIN = the socket is full, else broken. */
static int answer_send(struct connection *connection)
{
	while (connection->head_left + connection->body_left > 0) {
		struct iovec parts[2] = {
			{connection->head + connection->head_size - connection->head_left,
			 connection->head_left},
			{body, connection->body_left},
		};
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
		ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		size_t of_head =
			(size_t)sent < connection->head_left ? (size_t)sent : connection->head_left;
		connection->head_left -= of_head;
		connection->body_left -= (size_t)sent - of_head;
	}
	return 0;
}

static void answer_begin(struct connection *connection, const char *request)
{
	unsigned long size = 0;
	const char *status = "200 OK";

	if (!strncmp(request, "GET /", 5))
		size = strtoul(request + 5, NULL, 10);
	else
		status = "405 Method Not Allowed";
	if (size > BODY_MAX)
		size = BODY_MAX;
	int length = snprintf(connection->head, sizeof(connection->head),
			      "HTTP/1.1 %s\r\nServer: bench\r\nDate: %s\r\n"
			      "Content-Type: text/plain\r\nContent-Length: %lu\r\n\r\n",
			      status, date, size);
	connection->head_size = (size_t)length;
	connection->head_left = connection->head_size;
	connection->body_left = size;
}

/* Answers the complete requests that were read. False: the connection is over. */
static bool requests_answer(struct connection *connection)
{
	char *start = connection->request;
	char *end = connection->request + connection->request_size;
	char *head_end;

	while ((head_end = memmem(start, (size_t)(end - start), "\r\n\r\n", 4))) {
		answer_begin(connection, start);
		start = head_end + 4;
		int error = answer_send(connection);
		if (error == -EAGAIN) {
			connection_watch(connection, true);
			break;
		}
		if (error)
			return false;
	}
	connection->request_size = (size_t)(end - start);
	memmove(connection->request, start, connection->request_size);
	return connection->request_size < REQUEST_MAX;
}

static bool connection_readable(struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->request + connection->request_size,
			   REQUEST_MAX - connection->request_size, 0);

	if (got < 0)
		return errno == EAGAIN;
	if (got == 0)
		return false;
	connection->request_size += (size_t)got;
	return requests_answer(connection);
}

static bool connection_writable(struct connection *connection)
{
	int error = answer_send(connection);

	if (error)
		return error == -EAGAIN;
	connection_watch(connection, false);
	return requests_answer(connection);
}

static void connections_accept(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int on = 1;

		if (fd < 0)
			return;
		struct connection *connection = calloc(1, sizeof(*connection));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
		if (!connection)
			fatal("calloc");
		connection->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
			fatal("epoll_ctl");
	}
}

static int listener_open(const char *address, const char *port)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &name.sin_addr) != 1)
		fatal("listener");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) || listen(fd, 4096))
		fatal("listen");
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	time_t now = time(NULL);

	if (argc != 3) {
		fprintf(stderr, "usage: backend ADDRESS PORT\n");
		return 2;
	}
	memset(body, 'w', sizeof(body));
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	int listener = listener_open(argv[1], argv[2]);
	struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &accepts))
		fatal("epoll");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			if (!connection)
				connections_accept(listener);
			else if (events[i].events & EPOLLOUT ? !connection_writable(connection)
							     : !connection_readable(connection))
				connection_close(connection);
		}
	}
}
