/* (address, port) -> service: open addressing, at most half full, immutable once built. */
#ifndef MODEL_INDEX_H
#define MODEL_INDEX_H

#include "model/snapshot.h"

struct snapshot_index;

/* Room for `most` addresses; NULL = out of memory. */
struct snapshot_index *index_new(uint32_t most) MUST_CHECK;
void index_free(struct snapshot_index *index);
/* The service that has the address already, or NULL: then it belongs to `service` now. */
struct service *index_claim(struct snapshot_index *index, const struct weft_address *address,
			    struct service *service);
const struct service *index_find(const struct snapshot_index *index,
				 const struct weft_address *address);

#endif
