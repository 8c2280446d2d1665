/*
 * A question to every worker: each writes its part in its own thread, a piece in each turn, and the
 * last one sends them all to the thread that asked, where they are joined into one page. Internal
 * to proxy.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "proxy/worker.h"

#define ASK_SESSIONS_PER_TURN 256 /* a few hundred microseconds */

/* How far a worker has come with its sessions: while it stands in worker->places, the session that
 * is next may end, and the next one takes its place. */
struct ask_place {
	struct list item;
	struct list *next;
	uint64_t asked_ns; /* sessions accepted later are left out */
};

void ask_place_init(struct ask_place *place, struct worker *worker);
/* The next session; NULL = that was the last. */
struct session *ask_place_next(struct ask_place *place, struct worker *worker);
/* This session is leaving worker->sessions. */
void ask_session_leaves(struct worker *worker, const struct session *session);

struct ask {
	struct workers *workers;
	struct io_ring *ring;    /* of the thread that asks */
	char pod[WEFT_NAME_MAX]; /* "" = of all */
	struct span about; /* copied, and given to `write` instead of the pod; size 0 = none */
	/* In a worker's thread. True: there is more, it is called again in the next turn. */
	bool (*write)(struct worker *worker, const char *pod, struct ask_place *place,
		      struct text *part);
	/* In the asking thread; `parts` are its own to change. */
	void (*join)(struct text *parts, unsigned count, struct text *json);
	/* In the asking thread; NULL when a worker did not answer within a second. */
	void (*done)(void *request, const char *json);
	void *request;
};

/* Whether the question, about the pod `name` or "" = about all, is about this one. */
static inline bool ask_is_about(const char *name, const struct worker_pod *pod)
{
	return !*name || strcmp(pod->name, name) == 0;
}

void ask_workers(const struct ask *ask);

#endif
