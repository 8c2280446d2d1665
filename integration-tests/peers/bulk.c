/*
 * Moves many bytes fast and checks every one of them against a pattern that repeats after a prime
 * number of bytes, so that a lost, doubled or moved piece shows up at once.
 *
 *   bulk serve PORT                              the far end, plain TCP
 *   bulk dial ADDRESS PORT UP DOWN               UP and DOWN bytes at the same time
 *   bulk http-serve PORT                         GET /BYTES and PUT
 *   bulk http-get ADDRESS PORT BYTES [chunked]
 *   bulk http-put ADDRESS PORT BYTES [chunked]
 *
 * The client prints one line of JSON and ends with 0 when every byte was right on both ends.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 1048583u /* prime */
#define STEP   (256u << 10)

static unsigned char pattern[PERIOD + STEP]; /* the first STEP bytes again at the end */

static void die(const char *what)
{
	fprintf(stderr, "bulk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pattern_fill(void)
{
	uint64_t state = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < PERIOD; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		pattern[i] = (unsigned char)(state >> 32);
	}
	memcpy(pattern + PERIOD, pattern, STEP);
}

static void send_all(int fd, const void *bytes, size_t size, int flags)
{
	const char *at = bytes;

	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL | flags);

		if (sent < 0)
			die("send");
		at += sent;
		size -= (size_t)sent;
	}
}

static void read_all(int fd, void *bytes, size_t size)
{
	char *at = bytes;

	while (size) {
		ssize_t got = recv(fd, at, size, 0);

		if (got <= 0)
			die(got ? "recv" : "recv: early end");
		at += got;
		size -= (size_t)got;
	}
}

static void send_pattern(int fd, uint64_t total, bool chunked)
{
	char head[32];

	for (uint64_t done = 0; done < total;) {
		size_t size = total - done < STEP ? (size_t)(total - done) : STEP;

		if (chunked)
			send_all(fd, head, (size_t)snprintf(head, sizeof(head), "%zx\r\n", size),
				 MSG_MORE);
		send_all(fd, pattern + done % PERIOD, size, 0);
		if (chunked)
			send_all(fd, "\r\n", 2, MSG_MORE);
		done += size;
	}
	if (chunked)
		send_all(fd, "0\r\n\r\n", 5, 0);
}

/* Buffered reading, because heads and chunk sizes are lines. */
struct source {
	int fd;
	size_t at, size;
	unsigned char bytes[STEP];
};

static bool source_fill(struct source *source)
{
	ssize_t got;

	if (source->at < source->size)
		return true;
	got = recv(source->fd, source->bytes, sizeof(source->bytes), 0);
	if (got < 0)
		die("recv");
	source->at = 0;
	source->size = (size_t)got;
	return got > 0;
}

/* false: the peer closed before a line began. */
static bool source_line(struct source *source, char *line, size_t most)
{
	size_t used = 0;

	while (source_fill(source)) {
		char byte = (char)source->bytes[source->at++];

		if (byte == '\n') {
			if (used && line[used - 1] == '\r')
				used--;
			line[used] = 0;
			return true;
		}
		if (used + 1 < most)
			line[used++] = byte;
	}
	return false;
}

/* Checks up to `limit` bytes that begin at pattern position `from`; returns how many came. */
static uint64_t source_check(struct source *source, uint64_t from, uint64_t limit)
{
	uint64_t done = 0;

	while (done < limit && source_fill(source)) {
		size_t size = source->size - source->at;

		if (size > limit - done)
			size = (size_t)(limit - done);
		if (memcmp(source->bytes + source->at, pattern + (from + done) % PERIOD, size)) {
			fprintf(stderr, "bulk: wrong bytes after %llu\n",
				(unsigned long long)(from + done));
			exit(1);
		}
		source->at += size;
		done += size;
	}
	return done;
}

struct body {
	bool chunked;
	uint64_t length;
};

/* Start line into `start`, framing into `body`. false: closed. */
static bool source_head(struct source *source, char *start, size_t most, struct body *body)
{
	char line[1024];

	*body = (struct body){0};
	if (!source_line(source, start, most))
		return false;
	while (source_line(source, line, sizeof(line)) && line[0]) {
		if (!strncasecmp(line, "Content-Length:", 15))
			body->length = strtoull(line + 15, NULL, 10);
		else if (!strncasecmp(line, "Transfer-Encoding: chunked", 26))
			body->chunked = true;
	}
	return true;
}

static uint64_t source_body(struct source *source, const struct body *body)
{
	char line[64];
	uint64_t done = 0, size;

	if (!body->chunked)
		return source_check(source, 0, body->length);
	do {
		if (!source_line(source, line, sizeof(line)))
			die("chunk");
		size = strtoull(line, NULL, 16);
		if (source_check(source, done, size) != size)
			die("short chunk");
		done += size;
		if (!source_line(source, line, sizeof(line)))
			die("chunk end");
	} while (size);
	return done;
}

struct sending {
	int fd;
	uint64_t total;
	bool chunked;
};

static void *send_thread(void *owner)
{
	const struct sending *sending = owner;

	send_pattern(sending->fd, sending->total, sending->chunked);
	return NULL;
}

static pthread_t send_beside(struct sending *sending)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, send_thread, sending))
		die("pthread_create");
	return thread;
}

static void serve_raw(int fd)
{
	struct source *source = calloc(1, sizeof(*source));
	uint64_t wanted[2], confirmed;
	pthread_t thread;

	if (!source)
		die("calloc");
	read_all(fd, wanted, sizeof(wanted));
	source->fd = fd;
	thread = send_beside(&(struct sending){.fd = fd, .total = be64toh(wanted[1])});
	confirmed = htobe64(source_check(source, 0, UINT64_MAX));
	pthread_join(thread, NULL);
	send_all(fd, &confirmed, sizeof(confirmed), 0);
	free(source);
}

static void serve_http(int fd)
{
	struct source *source = calloc(1, sizeof(*source));
	char start[256], head[256];
	struct body body;

	if (!source)
		die("calloc");
	source->fd = fd;
	while (source_head(source, start, sizeof(start), &body)) {
		bool chunked = strstr(start, "chunked");
		uint64_t total = strtoull(start + strcspn(start, "/") + 1, NULL, 10);

		if (!strncmp(start, "GET ", 4)) {
			int size = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s",
					    chunked ? "" : "Content-Length: ");

			if (chunked)
				size += snprintf(head + size, sizeof(head) - (size_t)size,
						 "Transfer-Encoding: chunked\r\n\r\n");
			else
				size += snprintf(head + size, sizeof(head) - (size_t)size,
						 "%llu\r\n\r\n", (unsigned long long)total);
			send_all(fd, head, (size_t)size, MSG_MORE);
			send_pattern(fd, total, chunked);
		} else {
			char text[32];
			int length = snprintf(text, sizeof(text), "%llu",
					      (unsigned long long)source_body(source, &body));
			int size = snprintf(head, sizeof(head),
					    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
					    length, text);

			send_all(fd, head, (size_t)size, 0);
		}
	}
	free(source);
}

static void serve(const char *port, void (*one)(int fd))
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6,
				       .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64))
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		if (!fork()) {
			close(listener);
			one(fd);
			_exit(0);
		}
		close(fd);
	}
}

static int dial(const char *address, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fd;

	if (getaddrinfo(address, port, &hints, &found))
		die(address);
	fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen))
		die("connect");
	freeaddrinfo(found);
	return fd;
}

static int report(uint64_t sent, uint64_t received, bool right, double began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("{\"sent\": %llu, \"received\": %llu, \"right\": %s, \"seconds\": %.3f}\n",
	       (unsigned long long)sent, (unsigned long long)received, right ? "true" : "false",
	       (double)now.tv_sec + (double)now.tv_nsec / 1e9 - began);
	return right ? 0 : 1;
}

static int dial_raw(int fd, uint64_t up, uint64_t down, double began)
{
	struct source *source = calloc(1, sizeof(*source));
	uint64_t wanted[2] = {htobe64(up), htobe64(down)}, received, confirmed = 0;
	pthread_t thread;

	if (!source)
		die("calloc");
	source->fd = fd;
	send_all(fd, wanted, sizeof(wanted), 0);
	thread = send_beside(&(struct sending){.fd = fd, .total = up});
	received = source_check(source, 0, down);
	pthread_join(thread, NULL);
	if (shutdown(fd, SHUT_WR))
		die("shutdown");
	for (size_t i = 0; i < sizeof(confirmed) && source_fill(source); i++)
		((unsigned char *)&confirmed)[i] = source->bytes[source->at++];
	return report(be64toh(confirmed), received,
		      received == down && be64toh(confirmed) == up && !source_fill(source), began);
}

static int dial_http(int fd, bool is_put, uint64_t total, bool chunked, double began)
{
	struct source *source = calloc(1, sizeof(*source));
	char head[256], text[32] = "";
	struct body body;
	uint64_t got;
	int size;

	if (!source)
		die("calloc");
	source->fd = fd;
	if (is_put && chunked)
		size = snprintf(head, sizeof(head),
				"PUT / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n");
	else if (is_put)
		size = snprintf(head, sizeof(head),
				"PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: %llu\r\n\r\n",
				(unsigned long long)total);
	else
		size = snprintf(head, sizeof(head), "GET /%llu/%s HTTP/1.1\r\nHost: b\r\n\r\n",
				(unsigned long long)total, chunked ? "chunked" : "");
	send_all(fd, head, (size_t)size, 0);
	if (is_put)
		send_pattern(fd, total, chunked);
	if (!source_head(source, head, sizeof(head), &body) || strncmp(head, "HTTP/1.1 200", 12)) {
		fprintf(stderr, "bulk: answer: %s\n", head);
		return 1;
	}
	if (!is_put) {
		got = source_body(source, &body);
		return report(0, got, got == total, began);
	}
	for (size_t i = 0; i < body.length && i + 1 < sizeof(text) && source_fill(source); i++)
		text[i] = (char)source->bytes[source->at++];
	got = strtoull(text, NULL, 10);
	return report(got, 0, got == total, began);
}

int main(int argc, char **argv)
{
	struct timespec now;
	double began;

	signal(SIGPIPE, SIG_IGN);
	pattern_fill();
	clock_gettime(CLOCK_MONOTONIC, &now);
	began = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2], serve_raw);
	if (argc == 3 && !strcmp(argv[1], "http-serve"))
		serve(argv[2], serve_http);
	if (argc == 6 && !strcmp(argv[1], "dial"))
		return dial_raw(dial(argv[2], argv[3]), strtoull(argv[4], NULL, 10),
				strtoull(argv[5], NULL, 10), began);
	if (argc >= 5 && !strncmp(argv[1], "http-", 5))
		return dial_http(dial(argv[2], argv[3]), !strcmp(argv[1], "http-put"),
				 strtoull(argv[4], NULL, 10), argc > 5, began);
	fprintf(stderr, "bulk: see the head of bulk.c for its arguments\n");
	return 2;
}
