/*
 * Events that tell people about an object: a queue, one request at a time, a few per second.
 * Owner: kube.
 */
#ifndef KUBE_NOTES_H
#define KUBE_NOTES_H

#include "base/list.h"
#include "kube/call.h"

struct notes {
	struct call call;
	struct timer timer; /* until the next request */
	struct list queue;  /* struct note */
	const char *node;   /* who tells; "" = unknown */
	struct kube_note_counts counts;
	uint16_t status; /* of the answer that comes in */
};

void notes_init(struct notes *notes, struct callers *callers, const char *node);
void notes_close(struct notes *notes);
/* As kube_tell. */
int notes_add(struct notes *notes, const struct kube_note *about) MUST_CHECK;

#endif
