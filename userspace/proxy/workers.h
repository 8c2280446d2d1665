/*
 * The workers: threads that own connections. For main.c; everything here may be called from the
 * control thread, and what the workers tell back is told from their threads.
 */
#ifndef PROXY_WORKERS_H
#define PROXY_WORKERS_H

#include "io/ring.h"
#include "kernel/kernel.h"
#include "kernel/stock.h"
#include "model/publish.h"
#include "telemetry/series.h"

struct node;
struct breaker_view;
struct workers;

struct workers_options {
	unsigned count; /* 1..WEFT_WORKERS_MAX */
	const struct kernel *kernel;
	struct snapshot_slot *slot;
	struct series_store *series;
	uint64_t *heartbeats;
	struct node *node; /* made by workers_open */
	/* Told by worker threads. */
	void *owner;
	void (*pod_served)(void *owner, uint32_t pod_id, unsigned worker);
	void (*pod_not_served)(void *owner, uint32_t pod_id, unsigned worker);
	void (*pod_left)(void *owner, uint32_t pod_id, unsigned worker);
	/* A request's name leads to a service below a namer's prefix that the snapshot does not
	 * have, such as "#/dns/web.example/80": requests wait for workers_names_changed. */
	void (*name_wanted)(void *owner, struct span service);
};

/* Starts the threads. -errno and a sentence in `why`. */
int workers_open(const struct workers_options *options, struct text *why,
		 struct workers **ret_workers) MUST_CHECK;
/* Cuts what is still open, ends the threads. */
void workers_close(struct workers *workers);

/* The workers take the listeners over; each tells pod_served, or pod_not_served when
 * it has no memory, and then has closed its own. Copies what it needs. */
void workers_pod_added(struct workers *workers, const struct pod *pod, struct stock_pod *stock,
		       const struct stock_listeners *listeners);
/* Accept what is queued, close the listeners, end idle sessions, cut the rest after drain_ns; each
 * worker tells pod_left. */
void workers_pod_removing(struct workers *workers, uint32_t pod_id, uint64_t drain_ns);
/* The current snapshot may have names that it did not have: requests that wait for one go on. */
void workers_names_changed(struct workers *workers);
/* Gives back the slots of the metric store that no service, endpoint or connection has any more.
 * Waits until every worker was between two turns. */
void workers_sweep_series(struct workers *workers);
/* An endpoint's breaker as it is now, which all workers share. False: none watches it, or no
 * request has gone to its service yet. */
bool workers_breaker(const struct workers *workers, const struct service *service,
		     const struct endpoint *endpoint, struct breaker_view *ret_view);
/* Is it up, for the choice among alternates? `now_ns` as the workers' clock. */
bool workers_service_is_up(const struct workers *workers, const struct snapshot *snapshot,
			   const struct service *service, uint64_t now_ns);
/* JSON array of the connections of `pod`, of size 0 = of all; `done` runs in the thread of `ring`,
 * with NULL when a worker did not answer within a second. */
void workers_connections(struct workers *workers, struct io_ring *ring, struct span pod,
			 void (*done)(void *request, const char *json), void *request);
/* As workers_connections: what would become of a request (explain.h), as one tree. `query`: that of
 * the page. */
void workers_explain(struct workers *workers, struct io_ring *ring, struct span query,
		     void (*done)(void *request, const char *json), void *request);
/* As workers_connections: what each pod sent where. */
void workers_edges(struct workers *workers, struct io_ring *ring, struct span pod,
		   void (*done)(void *request, const char *json), void *request);

#endif
