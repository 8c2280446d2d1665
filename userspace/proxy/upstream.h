/*
 * A connection that we opened, owned by one worker: dialled for an exchange or a tunnel, kept in
 * the pod's pool between exchanges. Internal to proxy.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "proxy/worker.h"

enum upstream_role {
	UPSTREAM_DIALLING, /* user: struct dial */
	UPSTREAM_EXCHANGE, /* user: struct exchange */
	UPSTREAM_TUNNEL,   /* user: struct tunnel */
	UPSTREAM_DRAINING, /* the rest of an answer that nobody wants (drain.h) */
	UPSTREAM_MIRROR,   /* user: struct mirror */
	UPSTREAM_HEDGE,    /* user: struct hedge */
	UPSTREAM_IDLE,     /* in the pool, or pinned to a session */
	UPSTREAM_ENDING,   /* belongs to nobody any more */
};

struct upstream {
	struct wire wire;
	struct list idle_link;
	struct list pool_link;
	struct worker *worker;
	struct worker_pod *pod;
	void *user;
	struct h1_reader reader;
	struct timer connect_timer;
	struct weft_address address;
	struct sockaddr_in6 socket_address; /* room for both families */
	uint32_t service_id;
	uint32_t endpoint_id;           /* ENDPOINT_ID_NONE: dialled to its original destination */
	struct balance_attempt attempt; /* at the endpoint: open while an owner of it uses this */
	struct series_pair series;
	struct series_pair counted; /* as opened under these; the pool may change the others */
	struct weft_address local;  /* that it is bound to; all zero = none */
	struct weft_leg_end leg;
	uint64_t idle_since_ns;
	uint64_t idle_limit_ns;
	uint64_t drain_from; /* bytes_received when it began to drain */
	uint32_t uses;       /* exchanges begun on it */
	uint8_t role;        /* enum upstream_role */
	bool was_connected;
	bool may_have_leg;
	bool has_auto_leg; /* if any */
	bool is_pinned;    /* to a session (NTLM): never pooled */
};

/* Not connected yet; NULL = out of memory. */
struct upstream *upstream_new(struct worker_pod *pod, const struct weft_address *address);
/* What it counts under from now on. */
void upstream_set_series(struct upstream *upstream, struct series_pair series);
/* Connects with this socket; role DIALLING. timeout_ns 0 = the kernel's own. */
void upstream_dial(struct upstream *upstream, int fd, const struct weft_address *local,
		   uint64_t timeout_ns);
/* Ends it: orderly, or by RST. It is freed later by itself. NULL is fine. */
void upstream_close(struct upstream *upstream);
void upstream_abort(struct upstream *upstream);
void upstream_abort_after_queue(struct upstream *upstream);

struct session;
/* Stays with that session until it ends (NTLM and Negotiate authenticate connections). */
void upstream_pin(struct upstream *upstream, struct session *session);
/* Into the pool; `limit_ns` is how long it may idle there, 0 = not at all: it is closed. */
void upstream_give(struct upstream *upstream, uint64_t limit_ns);
/* Out of the pool: with this source, the one that was used last, idle for at most `idle_ns`; NULL =
 * none. */
struct upstream *upstream_take(struct worker_pod *pod, const struct weft_address *address,
			       const struct weft_address *local, uint64_t idle_ns);
/* Sets role and owner of a connected one. */
void upstream_assign(struct upstream *upstream, enum upstream_role role, void *user);
/* Closes idle ones whose time is over, or whose endpoint is gone. */
void upstreams_tick(struct worker *worker, bool snapshot_changed);
void upstreams_close_idle(struct worker_pod *pod);

#endif
