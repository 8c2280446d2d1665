/*
 * A DNS server for tests, on loopback, UDP and TCP at one port that the kernel chose: it answers
 * from records that the test gives it. Turned by hand, so that a test is one thread.
 */
#ifndef DNS_TESTS_SERVER_H
#define DNS_TESTS_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_RECORDS_MOST 80
#define SERVER_BYTES        65536

enum server_mood {
	SERVER_ANSWERS,
	SERVER_FAILS,     /* SERVFAIL */
	SERVER_IS_SILENT, /* takes questions, answers none */
	SERVER_BABBLES,   /* the right question, then bytes that are no records */
	SERVER_TRUNCATES, /* over UDP: nothing but TC */
};

struct server_record {
	const char *owner;
	uint16_t type;
	uint32_t ttl_s;
	bool is_additional;
	uint16_t priority, weight, port; /* of SRV */
	const char *data;                /* an address, or the name of a target or alias */
};

struct server {
	int udp, tcp, stream; /* -1 = none */
	uint16_t port;
	enum server_mood mood;
	const char *silent_type; /* "AAAA": SERVFAIL for these only; NULL = for none */
	unsigned questions;      /* that were asked */
	unsigned stream_questions;
	uint32_t record_count;
	struct server_record records[SERVER_RECORDS_MOST];
	uint32_t negative_ttl_s; /* with a SOA in negative answers; 0 = without */
};

static unsigned char server_bytes[SERVER_BYTES];

static inline void put_16(size_t *at, unsigned value)
{
	server_bytes[(*at)++] = (unsigned char)(value >> 8);
	server_bytes[(*at)++] = (unsigned char)value;
}

static inline void put_name(size_t *at, const char *name)
{
	while (*name) {
		size_t size = strcspn(name, ".");
		server_bytes[(*at)++] = (unsigned char)size;
		memcpy(server_bytes + *at, name, size);
		*at += size;
		name += size + (name[size] == '.');
	}
	server_bytes[(*at)++] = 0;
}

static inline void put_data(size_t *at, const struct server_record *record)
{
	if (record->type == 1 || record->type == 28) {
		int size = record->type == 1 ? 4 : 16;
		inet_pton(size == 4 ? AF_INET : AF_INET6, record->data, server_bytes + *at);
		*at += (size_t)size;
		return;
	}
	if (record->type == 33) {
		put_16(at, record->priority);
		put_16(at, record->weight);
		put_16(at, record->port);
	}
	put_name(at, record->data);
}

static inline void put_record(size_t *at, const struct server_record *record)
{
	put_name(at, record->owner);
	put_16(at, record->type);
	put_16(at, 1);
	put_16(at, record->ttl_s >> 16);
	put_16(at, record->ttl_s & 0xffff);
	size_t size_at = *at;
	put_16(at, 0);
	put_data(at, record);
	size_t end = *at;
	put_16(&size_at, (unsigned)(end - size_at - 2));
}

static inline void put_soa(size_t *at, uint32_t minimum_s)
{
	static const unsigned char fixed[16];
	put_name(at, "example");
	put_16(at, 6);
	put_16(at, 1);
	put_16(at, 0);
	put_16(at, 3600);
	put_16(at, 1 + 1 + 20);
	put_name(at, "");
	put_name(at, "");
	memcpy(server_bytes + *at, fixed, sizeof(fixed));
	*at += sizeof(fixed);
	put_16(at, minimum_s >> 16);
	put_16(at, minimum_s & 0xffff);
}

static inline bool record_answers(const struct server_record *record, const char *name,
				  unsigned type)
{
	return !record->is_additional && strcasecmp(record->owner, name) == 0 &&
	       (record->type == type || record->type == 5);
}

/* Follows one alias. */
static inline unsigned put_answers(const struct server *server, size_t *at, const char *name,
				   unsigned type)
{
	unsigned count = 0;
	for (uint32_t i = 0; i < server->record_count; i++) {
		const struct server_record *record = &server->records[i];
		if (!record_answers(record, name, type))
			continue;
		put_record(at, record);
		count++;
		if (record->type == 5)
			count += put_answers(server, at, record->data, type);
	}
	return count;
}

static inline bool knows(const struct server *server, const char *name)
{
	for (uint32_t i = 0; i < server->record_count; i++) {
		if (strcasecmp(server->records[i].owner, name) == 0)
			return true;
	}
	return false;
}

/* The answer to the question in server_bytes; its size. */
static inline size_t server_answer(struct server *server, size_t size, bool is_stream)
{
	char name[260];
	size_t length = 0;
	size_t at = 12;
	while (at < size && server_bytes[at]) {
		memcpy(name + length, server_bytes + at + 1, server_bytes[at]);
		length += server_bytes[at];
		name[length++] = '.';
		at += 1u + server_bytes[at];
	}
	name[length ? length - 1 : 0] = '\0';
	unsigned type = (unsigned)server_bytes[at + 1] << 8 | server_bytes[at + 2];
	at += 5;
	server->questions++;
	server->stream_questions += is_stream;
	unsigned rcode = knows(server, name) ? 0 : 3;
	if (server->mood == SERVER_FAILS || (server->silent_type && type == 28))
		rcode = 2;
	unsigned counts[3] = {0};
	bool is_cut = server->mood == SERVER_TRUNCATES && !is_stream;
	if (server->mood == SERVER_BABBLES) {
		memset(server_bytes + at, 0xc0, 40);
		at += 40;
		counts[0] = 3;
		rcode = 0;
	} else if (!rcode && !is_cut) {
		counts[0] = put_answers(server, &at, name, type);
	}
	if (rcode != 2 && !counts[0] && server->negative_ttl_s && !is_cut) {
		put_soa(&at, server->negative_ttl_s);
		counts[1] = 1;
	}
	for (uint32_t i = 0; counts[0] && type == 33 && i < server->record_count; i++) {
		if (server->records[i].is_additional && server->mood != SERVER_BABBLES) {
			put_record(&at, &server->records[i]);
			counts[2]++;
		}
	}
	size_t head = 2;
	put_16(&head, 0x8180u | rcode | (is_cut ? 0x0200u : 0));
	put_16(&head, 1);
	for (int i = 0; i < 3; i++)
		put_16(&head, counts[i]);
	return at;
}

static inline void server_turn_udp(struct server *server)
{
	struct sockaddr_in from;
	socklen_t from_size = sizeof(from);
	ssize_t size;
	while ((size = recvfrom(server->udp, server_bytes, 4096, MSG_DONTWAIT,
				(struct sockaddr *)&from, &from_size)) > 12) {
		if (server->mood == SERVER_IS_SILENT) {
			server->questions++;
			continue;
		}
		size_t answer = server_answer(server, (size_t)size, false);
		(void)!sendto(server->udp, server_bytes, answer, 0, (struct sockaddr *)&from,
			      from_size);
	}
}

/* One question of a connection at a time, its answer in two pieces. */
static inline void server_turn_tcp(struct server *server)
{
	unsigned char head[2];
	if (server->stream < 0)
		server->stream = accept4(server->tcp, NULL, NULL, SOCK_NONBLOCK);
	if (server->stream < 0)
		return;
	ssize_t got = recv(server->stream, head, 2, MSG_PEEK);
	if (got == 0) {
		close(server->stream);
		server->stream = -1;
	}
	if (got != 2)
		return;
	ssize_t size = recv(server->stream, server_bytes, 4096, 0);
	memmove(server_bytes, server_bytes + 2, (size_t)size - 2);
	size_t answer = server_answer(server, (size_t)size - 2, true);
	head[0] = (unsigned char)(answer >> 8);
	head[1] = (unsigned char)answer;
	(void)!send(server->stream, head, 2, MSG_NOSIGNAL);
	(void)!send(server->stream, server_bytes, answer, MSG_NOSIGNAL);
}

static inline void server_turn(struct server *server)
{
	server_turn_udp(server);
	server_turn_tcp(server);
}

static inline void server_open(struct server *server)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(at);
	*server = (struct server){.stream = -1};
	for (int tries = 0; tries < 50; tries++) {
		at.sin_port = 0;
		server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (bind(server->udp, (struct sockaddr *)&at, size) == 0 &&
		    getsockname(server->udp, (struct sockaddr *)&at, &size) == 0 &&
		    bind(server->tcp, (struct sockaddr *)&at, size) == 0 &&
		    listen(server->tcp, 8) == 0) {
			server->port = ntohs(at.sin_port);
			return;
		}
		close(server->udp);
		close(server->tcp);
	}
}

static inline void server_close(struct server *server)
{
	close(server->udp);
	close(server->tcp);
	if (server->stream >= 0)
		close(server->stream);
}

static inline void server_add(struct server *server, const struct server_record *record)
{
	server->records[server->record_count++] = *record;
}

static inline void server_add_host(struct server *server, const char *name, const char *address)
{
	server_add(server, &(struct server_record){.owner = name,
						   .type = strchr(address, ':') ? 28 : 1,
						   .ttl_s = 30,
						   .data = address});
}

#endif
