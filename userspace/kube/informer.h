/*
 * One kind of objects, listed and watched
 * (https://kubernetes.io/docs/reference/using-api/api-concepts):
 *
 *   LISTING  pages into the cache, then what no page had is deleted ──► WATCHING  events into the
 *   cache; a stream that ends is followed by the next from the same version
 *   any fault ──► BACKING_OFF at most 5 s ──► WATCHING, or LISTING when the version is lost
 *
 * Owner: kube.
 */
#ifndef KUBE_INFORMER_H
#define KUBE_INFORMER_H

#include "base/json_parts.h"
#include "base/rng.h"
#include "kube/cache.h"
#include "kube/call.h"
#include "kube/read.h"

#define INFORMER_VERSION_MAX  64
#define INFORMER_SENTENCE_MAX 200

/* What all watches of a client share. */
struct informers {
	struct callers callers;
	struct read_options read;
	struct rng rng;
	const struct kube_events *events;
	void *owner;
	unsigned page_items;
	uint64_t stall_ns;
	uint64_t rest_ns;
};

struct informer {
	struct informers *informers;
	struct cache cache;
	struct call call;
	struct json_parts parts; /* of the answer that comes in */
	struct timer timer;      /* end of backing off */
	struct text selector;    /* "&fieldSelector=…" or nothing */
	struct text next_page;   /* the list's continue token; empty = the first, or no more */
	struct text refusal;     /* body of an answer that is no 200 */
	char version[INFORMER_VERSION_MAX]; /* "" = list first */
	char last_fault[INFORMER_SENTENCE_MAX];
	uint64_t opened_ns; /* the stream; 0 = it is not open */
	uint64_t listed_ns; /* last complete list; 0 = never */
	uint64_t relist_ns; /* when the next list is due, to be sure */
	uint64_t stale_ns;  /* since when; 0 = not */
	uint64_t lists;
	uint64_t streams;
	uint64_t changes;
	uint64_t faults[KUBE_FAULTS];
	unsigned failures; /* in a row */
	unsigned refusals; /* bad answers in a row to one version */
	uint16_t status;   /* of the answer that comes in */
	uint32_t retry_s;  /* what it asks for (Retry-After) */
	uint8_t kind;      /* enum kube_kind */
	uint8_t state;     /* enum kube_watch_state */
	bool is_recalled;  /* a file had what a client before this one knew */
	bool has_parts;    /* `parts` is in use */
	bool is_list;      /* the kind of the page that comes in is …List */
	bool is_over;      /* by an event of the stream: nothing more of it counts */
};

/* Begins with the next turn. 0 or -ENOMEM. `node`: only what is on it; NULL = all. */
int informer_open(struct informer *informer, struct informers *informers, enum kube_kind kind,
		  const char *node) MUST_CHECK;
/* No more callbacks; its connection closes in later turns. */
void informer_close(struct informer *informer);
void informer_status(const struct informer *informer, struct kube_status *ret_status);

/* ---- what is kept for the next client ---- */

/* All objects were told once: by a list, or by a file. */
bool informer_is_known(const struct informer *informer);
/* Grows with whatever changes them. */
uint64_t informer_news(const struct informer *informer);
/* Until when the server told of them: now, or since when they are stale. */
uint64_t informer_told_ns(const struct informer *informer);
/* Takes an object of the file; the server's own word goes before it. */
void informer_recall(struct informer *informer, struct kube_object *object);
/* That was all of them, and the server told of them until then. */
void informer_recalled(struct informer *informer, uint64_t told_ns);

#endif
