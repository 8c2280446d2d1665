/* What other threads ask of a worker, and what it tells back. Internal to proxy. */
#ifndef PROXY_ORDERS_H
#define PROXY_ORDERS_H

#include "proxy/worker.h"

/* Serve this pod; the worker owns the descriptors from then on. */
struct pod_order {
	uint32_t pod_id;
	char name[WEFT_NAME_MAX];
	struct stock_share *share;
	int fd4[WEFT_LANES];
	int fd6[WEFT_LANES];
};

/* From the worker's thread to whoever started it. */
void workers_told_start(struct workers *workers, int error);
void workers_told_served(struct workers *workers, uint32_t pod_id, unsigned worker);
/* It has no memory for the pod, and closed its listeners. */
void workers_told_not_served(struct workers *workers, uint32_t pod_id, unsigned worker);
/* A namer is to find out about this service. */
void workers_told_wanted(struct workers *workers, struct span service);
void workers_told_left(struct workers *workers, uint32_t pod_id, unsigned worker);

unsigned workers_count(const struct workers *workers);
struct worker *workers_at(struct workers *workers, unsigned index);

#endif
