/*
 * Edges: what a pod sent where, one row for each (pod, destination) in a worker's own memory. A
 * connection finds its row once; a request costs two adds, bytes are taken from the client's wire
 * when the connection ends. They go with the pod. Internal to proxy.
 */
#ifndef PROXY_EDGES_H
#define PROXY_EDGES_H

#include "base/list.h"
#include "base/span.h"
#include "base/text.h"
#include "weft/maps.h"

#define EDGES_MOST     256 /* of a pod in a worker; what comes later shares one row */
#define EDGES_OVERFLOW "overflow"

struct edge_counts {
	uint64_t connections; /* that the pod opened */
	uint64_t active;      /* of them, not yet closed */
	uint64_t tunnels;     /* of them, that carried no HTTP */
	uint64_t failed;      /* of them, that reached nobody and carried no HTTP */
	uint64_t requests;
	uint64_t failed_requests; /* answered with 5xx, or not at all */
	uint64_t sent_bytes;      /* by the pod */
	uint64_t received_bytes;
	__u64 latency_buckets[WEFT_LATENCY_BUCKETS]; /* of requests; not cumulative */
};

struct edge {
	struct list link;
	char destination[WEFT_NAME_MAX]; /* a service's name, or the address that was dialled */
	struct edge_counts counts;
	uint64_t open_sent_bytes; /* of open connections, as of the moment somebody asks */
	uint64_t open_received_bytes;
};

/* Of one pod in one worker. */
struct edges {
	struct list list; /* of struct edge, the latest one first */
	uint32_t count;
	struct edge overflow;
};

struct worker;

void edges_init(struct edges *edges);
void edges_fini(struct edges *edges); /* no session is left that has one */

/* A new connection to this destination; never NULL. */
struct edge *edge_take(struct edges *edges, const char *destination);
/* That connection has ended. */
void edge_give(struct edge *edge, uint64_t sent_bytes, uint64_t received_bytes);
/* A request has ended with this status, 0 = unanswered. */
void edge_answered(struct edge *edge, unsigned status, uint64_t latency_us);
/* One was refused before it was understood. */
void edge_refused(struct edge *edge);

#endif
