/*
 * Consistent hashing (Karger et al. 1997): every endpoint has points on a ring of 2^32, drawn from
 * its address alone, so that all nodes have the same ring and an endpoint that comes or goes moves
 * only what is or was its own. A word of the ring is a point (high half) and an endpoint's index.
 */
#ifndef MODEL_RING_H
#define MODEL_RING_H

#include "model/snapshot.h"

/* Points for each endpoint of the mean weight: the shares of two differ by about 1/sqrt(points),
 * 8 % for up to 2,000 endpoints and 18 % for 10,000 (2.5 MB). */
#define RING_POINTS_MOST  160
#define RING_POINTS_LEAST 32
#define RING_SIZE         320000

/* Of a service whose set TIER_ALL is filled. O(points): 10,000 endpoints take some ms. 0 or
 * -ENOMEM. */
int ring_fill(struct service *service) MUST_CHECK;
/* Position of the first point at or after this hash. O(log n). */
uint32_t ring_find(const struct service *service, uint64_t hash);

static inline uint32_t ring_index(const struct service *service, uint32_t position)
{
	return (uint32_t)service->ring[position];
}

#endif
