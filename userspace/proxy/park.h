/*
 * Requests whose name a namer has yet to find out: they wait, unread beyond the head, until a
 * snapshot knows it, for at most timeouts.connect. Internal to proxy.
 */
#ifndef PROXY_PARK_H
#define PROXY_PARK_H

#include "proxy/session.h"

/* Of a worker at a time; further ones are answered at once. */
#define PARKED_MOST       1024
#define PARKED_BYTES_MOST (4u * 1024 * 1024) /* of their heads */

/* A request that waits; its session has no exchange meanwhile, and its reader stands. */
struct parked {
	struct list item; /* of the worker, in the order in which they came */
	struct session *session;
	struct http_head *head; /* a copy */
	size_t bytes;
	uint64_t since_ns;
};

/* From the reader's event, or from park_wake with the one that waits already: it waits (on). False:
 * there is no room, no memory or no time left. */
bool park(struct session *session, const struct http_head *head, struct parked *again);
/* The session ends. */
void park_leave(struct session *session);
/* The session's timer: it has waited for long enough. */
void park_give_up(struct session *session);
/* Another snapshot is there: all are tried again. */
void park_wake(struct worker *worker);
/* A namer is to find out about this service; said again within a second it is not passed on. */
void park_want(struct worker *worker, const char *service);

#endif
