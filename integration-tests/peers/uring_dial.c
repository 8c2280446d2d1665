/*
 * Dials by io_uring, sends a line, reads the answer, and says what the socket's ends are:
 *
 *   uring_dial ADDRESS PORT TEXT     -> {"peer": "ADDRESS PORT", "local": "ADDRESS", "answer": "…"}
 */
#include <liburing.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int run_one(struct io_uring *ring, const char *what)
{
	struct io_uring_cqe *done;
	int result;

	if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_peek_cqe(ring, &done)) {
		fprintf(stderr, "uring_dial: %s: no completion\n", what);
		exit(1);
	}
	result = done->res;
	io_uring_cqe_seen(ring, done);
	if (result < 0) {
		fprintf(stderr, "uring_dial: %s: %s\n", what, strerror(-result));
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
	struct sockaddr_storage end;
	socklen_t size = sizeof(end);
	char address[64], port[8], answer[256];
	struct io_uring ring;
	int fd, got;

	if (argc != 4 || getaddrinfo(argv[1], argv[2], &hints, &found) ||
	    io_uring_queue_init(4, &ring, 0))
		return 2;
	fd = socket(found->ai_family, SOCK_STREAM, 0);
	io_uring_prep_connect(io_uring_get_sqe(&ring), fd, found->ai_addr, found->ai_addrlen);
	run_one(&ring, "connect");
	io_uring_prep_send(io_uring_get_sqe(&ring), fd, argv[3], strlen(argv[3]), 0);
	run_one(&ring, "send");
	io_uring_prep_recv(io_uring_get_sqe(&ring), fd, answer, sizeof(answer), 0);
	got = run_one(&ring, "recv");
	getpeername(fd, (struct sockaddr *)&end, &size);
	getnameinfo((struct sockaddr *)&end, size, address, sizeof(address), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	printf("{\"peer\": \"%s %s\", ", address, port);
	size = sizeof(end);
	getsockname(fd, (struct sockaddr *)&end, &size);
	getnameinfo((struct sockaddr *)&end, size, address, sizeof(address), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	printf("\"local\": \"%s\", \"answer\": \"%.*s\"}\n", address, got, answer);
	return 0;
}
