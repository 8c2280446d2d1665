/*
 * A question to every worker: each writes its part in its own thread, the last one sends them all
 * to the thread that asked, where they are joined into one page. Internal to proxy.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "proxy/worker.h"

struct ask {
	struct workers *workers;
	struct io_ring *ring;    /* of the thread that asks */
	char pod[WEFT_NAME_MAX]; /* "" = of all */
	/* In a worker's thread. */
	void (*write)(struct worker *worker, const char *pod, struct text *part);
	/* In the asking thread; `parts` are its own to change. */
	void (*join)(struct text *parts, unsigned count, struct text *json);
	/* In the asking thread; NULL when a worker did not answer within a second. */
	void (*done)(void *request, const char *json);
	void *request;
};

void ask_workers(const struct ask *ask);

#endif
