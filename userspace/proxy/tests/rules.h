/* Services with rules for failure, and peers that fail by them. */
#ifndef PROXY_TESTS_RULES_H
#define PROXY_TESTS_RULES_H

#include "script.h"

#define GET         "GET /a HTTP/1.1\r\nHost: web\r\n\r\n"
#define HELLO       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define UNAVAILABLE "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
#define REPLICAS    4

static const char *const replicas[REPLICAS] = {"10.0.4.1:80", "10.0.4.2:80", "10.0.4.3:80",
					       "10.0.4.4:80"};

static inline struct resilience *rules_of(struct stage_draft *all, const char *name)
{
	for (unsigned i = 0; i < array_count(all->services); i++) {
		if (strcmp(all->services[i].name, name) == 0)
			return &all->services[i].resilience;
	}
	fail_msg("no service %s", name);
	return NULL;
}

/* Of the service "many": the connection that has reached any replica; leaves the scenario when
 * there is none and memory is short. */
static inline struct io_peer *reaches_any(struct stage *stage, unsigned *ret_replica)
{
	for (unsigned i = 0; i < REPLICAS; i++) {
		struct io_peer *server = server_reached(stage, replicas[i]);
		if (!server)
			continue;
		if (ret_replica)
			*ret_replica = i;
		return server;
	}
	WANT(stage, !"a connection has reached a replica");
	return NULL;
}

static inline void reaches_none(struct stage *stage)
{
	for (unsigned i = 0; i < REPLICAS; i++)
		WANT(stage, !server_reached(stage, replicas[i]));
}

/* An answer of weft's own with this status, which is forgotten then; and that it says `text`. */
static inline bool is_answered(struct stage *stage, struct io_peer *client, const char *status,
			       const char *text)
{
	stage_settle(stage);
	struct span got = io_peer_received(client);
	bool is_so = got.size > 12 && memcmp(got.data + 9, status, 3) == 0 &&
		     memmem(got.data, got.size, "\r\nl5d-err: ", 11) &&
		     memmem(got.data, got.size, text, strlen(text));
	if (is_so)
		io_peer_forget(client);
	return is_so;
}

#endif
