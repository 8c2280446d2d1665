/*
 * One request at a time to the API server and its answer, over a connection that is kept for the
 * next request when the server lets it. Embedded in its owner (a informer, the Events).
 */
#ifndef KUBE_CALL_H
#define KUBE_CALL_H

#include "base/pace.h"
#include "http/h1.h"
#include "kube/kube.h"
#include "kube/server.h"

struct call;

/* Inside each of them call_drop and call_send are allowed; after either nothing of the old answer
 * comes. */
struct call_events {
	void (*head)(struct call *call, const struct http_head *head);
	void (*body)(struct call *call, struct span bytes);
	void (*complete)(struct call *call);
	/* No answer, or not the whole of it. */
	void (*failed)(struct call *call, enum kube_fault fault, const char *why);
};

/* What all calls of a client share. */
struct callers {
	struct wire_loop *loop;
	struct server *server;
	unsigned connections; /* not yet closed */
};

struct call {
	struct callers *callers;
	const struct call_events *events;
	struct connection *connection; /* NULL = none */
	struct seeker seeker;          /* of an address, before there is one to dial */
	struct text request;           /* that is sent then */
	struct timer timer;            /* the server's silence */
	struct timer rest;             /* ends the gathering, or the rest after it */
	size_t gathered;               /* bytes */
	struct pace pace;              /* of the rests */
	uint64_t quiet_ns;             /* how long an answer may pause */
	uint64_t rest_ns;              /* as in its request */
	uint64_t silence_ns;           /* what the timer was set to */
	uint64_t heard_ns;             /* last byte of an answer; 0 = never */
	bool is_waiting;               /* for an answer, or its end */
	bool is_resting;               /* nothing is read meanwhile */
};

struct call_request {
	const char *method;
	struct span target;
	struct span body;  /* JSON; size 0 = none */
	uint64_t quiet_ns; /* once the answer has begun */
	/* The longest rest after a piece of it, before the next is read (base/pace.h); 0 = none.
	 * What comes meanwhile is one piece. */
	uint64_t rest_ns;
};

void call_init(struct call *call, struct callers *callers, const struct call_events *events);
/* Only when no answer is awaited. 0 or -errno (no socket, no memory). */
int call_send(struct call *call, const struct call_request *request) MUST_CHECK;
/* Gives the answer and its connection up; silent when there is none. */
void call_drop(struct call *call);

#endif
