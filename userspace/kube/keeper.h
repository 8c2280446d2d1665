/*
 * Keeps what a client knows in a file (known.h), and tells it to the next client when the API
 * server does not answer:
 *
 *   WAITING a second for the lists ──► RECALLING what the file has, in pieces ──► RESTING
 *           └── they came ─────────────────────────────────────────────────────────┘ │ ▲
 *                                                              something changed      ▼ │
 *                                                                         WRITING, in pieces
 *
 * Owner: kube.
 */
#ifndef KUBE_KEEPER_H
#define KUBE_KEEPER_H

#include "kube/informer.h"
#include "kube/known.h"

enum keeper_state {
	KEEPER_OFF,
	KEEPER_WAITING,
	KEEPER_RECALLING,
	KEEPER_RESTING,
	KEEPER_WRITING,
};

struct keeper {
	struct informers *informers;
	struct informer *watches; /* of the kinds */
	unsigned kinds;           /* bit by kind */
	const char *node;
	char *path;
	struct timer timer;
	enum keeper_state state;
	struct known_reader reader; /* while RECALLING */
	struct known_writer writer; /* while WRITING */
	int kind;                   /* that is being written */
	uint32_t place;             /* of its cache: the next one */
	uint32_t places;
	uint64_t news;        /* of all kinds when the writing began */
	uint64_t kept_news;   /* that the file has */
	uint64_t kept_ns;     /* when it was written; 0 = not by this client */
	uint64_t due_ns;      /* not written again before */
	bool is_failing;      /* the last attempt to write */
	struct kube_known is; /* for the owner; file and last_fault are set when asked */
	struct text last_fault;
};

/* Begins to wait. `path` NULL: off for ever. 0 or -ENOMEM. */
int keeper_open(struct keeper *keeper, struct informers *informers, struct informer *watches,
		unsigned kinds, const char *node, const char *path) MUST_CHECK;
/* Also of a zeroed one. */
void keeper_close(struct keeper *keeper);
void keeper_write(struct keeper *keeper);
void keeper_stop(struct keeper *keeper);

#endif
