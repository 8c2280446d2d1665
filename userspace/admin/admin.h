/*
 * The admin HTTP server: read-only on a TCP address, everything on a root-owned Unix socket. Runs
 * on the control thread's ring, over wire and http like the data path. What it shows of other
 * threads and rooms comes by `struct admin_sources`, filled in by main.c.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/text.h"
#include "model/publish.h"
#include "policy/breaker.h"
#include "telemetry/series.h"
#include "wire/wire.h"

struct admin;

struct admin_sources {
	void *owner;
	const struct snapshot_slot *slot;
	const struct series_store *series;
	const uint64_t *heartbeats; /* [workers], CLOCK_MONOTONIC nanoseconds */
	unsigned workers;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	/* Config published, the cluster known, every pod's capture on, not draining; else a line
	 * that says what is missing. */
	bool (*is_ready)(void *owner, struct text *why);
	/* Append "{...}" or "[...]". */
	void (*pods_json)(void *owner, struct text *json);
	void (*config_json)(void *owner, struct text *json);
	void (*kubernetes_json)(void *owner, struct text *json);
	void (*namers_json)(void *owner, struct text *json);
	void (*version_json)(void *owner, struct text *json);
	/* Prometheus lines of weft_capture_decisions_total and weft_flow_* (kernel room). */
	void (*kernel_metrics)(void *owner, struct text *page);
	/* An endpoint's breaker, which all workers share; false: none watches it, or no request has
	 * gone to its service yet. */
	bool (*breaker)(void *owner, const struct service *service, const struct endpoint *endpoint,
			struct breaker_view *ret_view);
	/* Up, for the choice among alternates? */
	bool (*service_is_up)(void *owner, const struct snapshot *snapshot,
			      const struct service *service, uint64_t now_ns);
	/* Ask every worker about one pod; size 0 = about all. `done` is called later in the admin's
	 * thread with a JSON array, or with NULL when a worker did not answer within a second. */
	void (*connections_json)(void *owner, struct span pod,
				 void (*done)(void *request, const char *json), void *request);
	void (*edges_json)(void *owner, struct span pod,
			   void (*done)(void *request, const char *json), void *request);
	/* The same for one tree: what would become of a request; `query` is the page's own. */
	void (*explain_json)(void *owner, struct span query,
			     void (*done)(void *request, const char *json), void *request);
	/*
	 * Enrols the pod of `spec` until pod_drop. -errno and a sentence, or 0; then `told` comes
	 * once, later, in the admin's thread: NULL = its dials are captured, else why not. Not
	 * after pod_drop.
	 */
	int (*pod_add)(void *owner, struct span spec,
		       void (*told)(void *request, const char *error), void *request,
		       struct text *why, void **ret_pod);
	void (*pod_drop)(void *owner, void *pod);
	/* The container runtime made a pod's sandbox, or is about to remove it (cni/ask.h): an HTTP
	 * status and a JSON body. */
	unsigned (*sandbox)(void *owner, bool is_added, struct span body, struct text *json);
	void (*drain)(void *owner);
};

/* Bytes of the loop's blocks that all connections together may use. */
#define ADMIN_BLOCK_BYTES (64u << 20)

/*
 * `address` "" or NULL = no TCP listener; `socket_path` "" or NULL = no Unix socket. `wires` is
 * flushed by the ring's owner before each wait. "Since start" counts from here. -errno and a
 * sentence in `why`.
 */
int admin_open(struct wire_loop *wires, const struct admin_sources *sources, const char *address,
	       const char *socket_path, struct text *why, struct admin **ret_admin) MUST_CHECK;
/* Turns the ring until every connection is gone, removes the socket file. Not from a callback of
 * the ring. NULL is fine. */
void admin_close(struct admin *admin);

#endif
