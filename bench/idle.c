/*
 * Opens keep-alive connections, sends one request on each, one after the other, and then leaves
 * them idle, so that the memory that a proxy holds for an idle connection can be read off.
 *
 *   idle ADDRESS PORT COUNT     prints "ready" when all are idle; ends when its standard input ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX       4096
#define BODY_SIZE        64
#define ANSWER_TIMEOUT_S 5

static void fatal(const char *what, long number)
{
	fprintf(stderr, "idle: connection %ld: %s: %s\n", number, what, strerror(errno));
	exit(1);
}

/* Reads one answer with a body of BODY_SIZE bytes. */
static void answer_read(int fd, long number)
{
	char answer[ANSWER_MAX];
	size_t size = 0;
	const char *head_end = NULL;

	while (!head_end || (size_t)(answer + size - head_end) < 4 + BODY_SIZE) {
		ssize_t got = recv(fd, answer + size, sizeof(answer) - size, 0);
		if (got <= 0)
			fatal("recv", number);
		size += (size_t)got;
		head_end = memmem(answer, size, "\r\n\r\n", 4);
	}
	if (strncmp(answer, "HTTP/1.1 200", 12)) {
		errno = EPROTO;
		fatal("answer", number);
	}
}

static void connection_make_idle(const struct sockaddr_in *to, long number)
{
	static const char request[] = "GET /64 HTTP/1.1\r\nHost: web\r\n\r\n";
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		fatal("socket", number);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		fatal("connect", number);
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		fatal("send", number);
	answer_read(fd, number);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: idle ADDRESS PORT COUNT\n");
		return 2;
	}
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
	long count = strtol(argv[3], NULL, 10);
	char byte;

	if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "idle: %s is not an IPv4 address\n", argv[1]);
		return 2;
	}
	for (long i = 0; i < count; i++)
		connection_make_idle(&to, i);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
