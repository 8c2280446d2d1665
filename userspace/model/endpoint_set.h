/*
 * What a balancer draws from: a service's endpoints with a weight, all or those of one tier. Filled
 * by the builder, read by workers. Endpoints are named by their position in the set.
 */
#ifndef MODEL_ENDPOINT_SET_H
#define MODEL_ENDPOINT_SET_H

#include "model/snapshot.h"

/* Of a service whose endpoints are complete and sorted; also its ring. O(endpoints). 0 or -ENOMEM
 * (then endpoint_sets_fini is left to do). */
int endpoint_sets_fill(struct service *service) MUST_CHECK;
void endpoint_sets_fini(struct service *service);

static inline uint32_t endpoint_set_index(const struct endpoint_set *set, uint32_t position)
{
	return set->items ? set->items[position] : position;
}

static inline const struct endpoint *
endpoint_set_item(const struct service *service, const struct endpoint_set *set, uint32_t position)
{
	return &service->endpoints[endpoint_set_index(set, position)];
}

/* Position of the endpoint at this point of the weights laid end to end; point < weight_total.
 * O(1) with equal weights, else O(log n). */
uint32_t endpoint_set_at(const struct endpoint_set *set, uint64_t point);

#endif
