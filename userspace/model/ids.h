/*
 * Free ids of one kind while a snapshot is being built. Ids are dense enough for arrays, and one
 * that fell free is given again as late as possible: the search goes on where it stopped the last
 * time and the space is four times what is in use.
 */
#ifndef MODEL_IDS_H
#define MODEL_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct ids {
	uint64_t *used; /* bitmap */
	uint32_t space; /* ids are below; a multiple of 64 */
	uint32_t first; /* least id */
	uint32_t next;  /* where to look */
};

/* Room for `more` ids beside `held` ids that are below `held_limit`. 0 or -ENOMEM. */
int ids_init(struct ids *ids, uint32_t first, uint32_t held, uint32_t held_limit,
	     uint32_t more) MUST_CHECK;
/* As ids_init, and the ids of `from` are in use; the search goes on where it was there. */
int ids_copy(struct ids *ids, const struct ids *from, uint32_t held, uint32_t more) MUST_CHECK;
void ids_fini(struct ids *ids);
/* The id is in use. False: it was already, or is out of range. */
bool ids_hold(struct ids *ids, uint32_t id);
/* The id is free again. */
void ids_release(struct ids *ids, uint32_t id);
uint32_t ids_take(struct ids *ids);

#endif
