/*
 * Requests that wait for a place where a service or its endpoints have a cap: first come, first
 * served on each worker, at most `limits.queue` of the node and each for at most
 * `limits.queue_wait` (linkerd1.md S3 refuses at once; so does a queue of 0). The queue of a
 * service lives in the worker's guard. A place that this worker frees is taken in its next turn,
 * one of another worker within QUEUE_LOOK_NS. Workers that free places would keep them among
 * themselves for as long as they have queues: one whose queue got none for QUEUE_PATIENCE_NS is the
 * heir, for whom the others leave the next place. Internal to proxy.
 */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include "proxy/exchange.h"

#define QUEUE_LOOK_NS     1000000ull
#define QUEUE_PATIENCE_NS 20000000ull

/* A service's waiting exchanges on one worker. */
struct queue {
	struct list waiting; /* of struct exchange */
	uint64_t served_ns;  /* when one of them got its place, or the first came */
};

enum queue_answer { QUEUE_MAY_GO, QUEUE_WAITS, QUEUE_FULL };

/* A place of the service's cap, or in its queue: *ret_wait_ns until the first look then. */
enum queue_answer queue_admit(struct exchange *exchange, struct guard *guard,
			      const struct service *service, uint64_t *ret_wait_ns);
/* It goes to another service than the one that it was admitted to. True: it may go. False: it
 * waits, or was refused and is gone. */
bool queue_moved(struct exchange *exchange) MUST_CHECK;
/* All endpoints were at their caps. False: the queue is full, or its time is over. */
bool queue_for_endpoint(struct exchange *exchange, uint64_t *ret_wait_ns) MUST_CHECK;
static inline bool queue_has(const struct exchange *exchange)
{
	return exchange->queue_place != NULL;
}
/* The time that it waited until has come. True: it has its place and goes on. False: it waits on,
 * or was refused and is gone. */
bool queue_turn(struct exchange *exchange);
/* An attempt of it begins. */
void queue_served(struct exchange *exchange);
/* It is over. */
void queue_leave(struct exchange *exchange);
/* A place of the service, or of an endpoint of it, is free. */
void queue_wake(struct worker *worker, uint32_t service_id);
/* 503, and a nack if none has seen the request. The exchange is gone. */
void queue_refuse(struct exchange *exchange, enum weft_proxy_reason reason);
void queues_fini(struct worker *worker);

#endif
