/*
 * One worker: a thread, its ring and everything it owns. Nothing here is shared with another
 * thread but by mail. Internal to proxy.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "http/h1.h"
#include "policy/balance.h"
#include "proxy/edges.h"
#include "proxy/guard.h"
#include "proxy/workers.h"
#include "wire/wire.h"

struct rewriter;
struct route_matcher;
struct binder;

#define WORKER_WORDS_MOST 2000 /* bytes; they go into a header too */

#define WORKER_TICK_NS 200000000ull /* housekeeping; also the slowest heartbeat */
#define POOL_BUCKETS   64
#define WORKER_WANTS   64
#define SERIES_NONE    UINT32_MAX

/* Which counters something belongs to. */
struct series_pair {
	uint32_t service;
	uint32_t endpoint; /* SERIES_NONE: a destination without endpoints of its own */
};

struct listener {
	struct io_op accept_op;
	struct worker_pod *pod;
	int fd; /* -1 = none */
};

/* A pod as one worker has it. Freed when it is draining and nothing of it is left. */
struct worker_pod {
	struct list link;
	struct worker *worker;
	uint32_t id;
	char name[WEFT_NAME_MAX];
	struct stock_share *share;
	struct listener listeners[2 * WEFT_LANES]; /* IPv4, then IPv6 */
	uint32_t session_count;
	uint32_t upstream_count;
	bool is_draining;
	uint64_t listen_until_ns; /* draining: accept what is queued until then */
	uint64_t new_until_ns;    /* draining: sessions without a request yet may stay until then */
	uint64_t cut_at_ns;       /* draining: sessions still open then are cut */
	struct io_mail refill_mail;
	atomic_bool refill_posted;
	struct list pool[POOL_BUCKETS]; /* idle upstreams by address */
	struct edges edges;
};

/* What a namer was told last, of those with the same place. */
struct want {
	uint32_t hash;
	uint64_t said_ns; /* 0 = nothing */
};

struct worker {
	struct workers *workers;
	pthread_t thread;
	unsigned index;
	bool is_started;
	bool must_stop;

	struct io_ring *ring;
	struct blocks blocks;
	struct wire_loop loop;
	struct rng rng;
	struct timer tick;
	const struct kernel *kernel;
	struct snapshot_slot *slot;
	const struct snapshot *snapshot; /* of this turn */
	uint64_t generation;             /* of the snapshot that housekeeping saw last */
	uint64_t tunnel_idle_ns;         /* the limit that timers of tunnels follow */
	struct h1_limits h1_limits;
	struct series_store *series;
	struct weft_proxy_counts *counts;
	uint64_t *heartbeat;

	struct balances balances;
	struct route_matcher *matcher;
	struct rewriter *rewriter;
	struct binder *binder;
	struct text words;    /* why a name is refused, until the next request */
	struct node *node;    /* shared with the other workers; NULL = nothing is guarded */
	struct guard *guards; /* by service id */
	uint32_t guard_count;

	uint32_t series_users[WEFT_SERIES_MAX]; /* by slot: what counts there; others only read */

	struct list pods;
	struct list sessions;
	struct list places;         /* of questions that are being answered (ask.h) */
	struct list idle_upstreams; /* longest idle first */
	struct list mirrors;        /* copies of requests on their way (mirror.h) */
	struct list waiting_dials;  /* for a socket from an empty stock */
	struct list parked;         /* requests that wait for a name (park.h) */
	uint32_t parked_count;
	size_t parked_bytes;
	struct want wants[WORKER_WANTS];
	struct io_mail names_mail; /* names are known that were not */
	atomic_bool names_posted;
};

static inline void worker_count(struct worker *worker, enum weft_proxy_reason reason)
{
	series_add(&worker->counts->reasons[reason], 1);
}

static inline uint64_t worker_now_ns(const struct worker *worker)
{
	return io_now_ns(worker->ring);
}

/* Rows of the worker's own counters; the endpoint's is a waste row when there is none. */
struct weft_series *worker_row(struct worker *worker, uint32_t slot);

/* Slots, claimed if this is the first use since the service or endpoint is there. */
uint32_t worker_service_series(struct worker *worker, const struct service *service);
uint32_t worker_endpoint_series(struct worker *worker, const struct service *service,
				const struct endpoint *endpoint);

/* SERIES_NONE: too many have a slot, so this one is not counted. */
uint32_t worker_rule_series(struct worker *worker, const struct route *route,
			    const struct route_rule *rule);

/* Whoever may still count under a slot says so, +1 and later -1; SERIES_NONE is fine. */
static inline void worker_series_use(struct worker *worker, uint32_t slot, int change)
{
	if (slot != SERIES_NONE)
		__atomic_store_n(&worker->series_users[slot],
				 worker->series_users[slot] + (uint32_t)change, __ATOMIC_RELAXED);
}

void worker_init(struct worker *worker, struct workers *workers,
		 const struct workers_options *options, unsigned index);
void worker_fini(struct worker *worker); /* after its thread has ended */

/* The thread: opens, turns until it must stop, closes. */
void *worker_run(void *argument);
/* In the worker's thread, a registered reader of snapshots; one is published. On failure only
 * worker_fini is left to do. */
int worker_open(struct worker *worker) MUST_CHECK;
/* Cuts every connection and waits until all have ended. */
void worker_close(struct worker *worker);

/* pod.c: in the worker's thread */
struct pod_order; /* what the control thread asks for */
void worker_pods_tick(struct worker *worker);
void worker_pods_cut(struct worker *worker);
void worker_pod_forget(struct worker_pod *pod); /* frees it if nothing of it is left */
void worker_pod_add(struct worker *worker, const struct pod_order *order);
void worker_pod_drain(struct worker *worker, uint32_t pod_id, uint64_t drain_ns);

#endif
