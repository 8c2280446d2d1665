/*
 * Pods that were added at run time, each for as long as somebody holds it: a source of drafts.
 * Owner: the control thread.
 */
#ifndef CONTROL_GUESTS_H
#define CONTROL_GUESTS_H

#include "control/source.h"

struct guest;

struct guests {
	struct source source; /* its pods: one draft for each guest, in the order of the list */
	struct list list;     /* of struct guest */
	uint32_t capacity;    /* of source.pods */
};

void guests_init(struct guests *guests, struct control *control);
void guests_fini(struct guests *guests);
/* What became of the enrolment of this pod (NULL: of all), for the guests that wait for it. `error`
 * NULL: capture is on. */
void guests_tell(struct guests *guests, const char *name, const char *error);

#endif
