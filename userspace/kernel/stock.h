/*
 * Sockets inside pods' network namespaces. One helper thread enters them (setns), so that no
 * worker ever does: it opens each pod's listeners and keeps a stock of unconnected sockets, marked
 * as ours, per pod, worker and family, from which that worker dials.
 */
#ifndef KERNEL_STOCK_H
#define KERNEL_STOCK_H

#include "kernel/kernel.h"

struct stock;       /* the helper thread */
struct stock_pod;   /* one pod's sockets */
struct stock_share; /* one worker's part of a pod; used by that worker alone */

struct stock_options {
	const struct kernel *kernel;
	unsigned workers;
	unsigned depth; /* sockets kept per pod, worker and family */
};

int stock_open(const struct stock_options *options, struct stock **ret_stock) MUST_CHECK;
void stock_close(struct stock *stock);

struct stock_listeners {
	int fd4[WEFT_WORKERS_MAX][WEFT_LANES]; /* listening on 127.0.0.1:free port, -1 = none */
	int fd6[WEFT_WORKERS_MAX][WEFT_LANES]; /* listening on [::1]:free port, -1 = none */
	struct weft_listener ports[WEFT_WORKERS_MAX];
	uint64_t netns_cookie;
	uint64_t cgroup_id;         /* only for pods enrolled by cgroup */
	struct weft_address local4; /* first global address of the namespace; all zero = none */
	struct weft_address local6;
	uint32_t uncaptured_count; /* TCP connections that were there before enrolment */
};

struct stock_place {
	const char *netns_path;  /* NULL = weftd's own namespace */
	const char *cgroup_path; /* NULL = none */
	/* Addresses that the namespace must have, or it is another one's; all zero = any will do.
	 */
	struct weft_address holds[2];
};

/* Blocks until the helper has opened the pod's listeners. On failure -errno (-EADDRNOTAVAIL: see
 * `holds`) and a sentence in `why`. */
int stock_pod_open(struct stock *stock, uint32_t pod_id, const struct stock_place *place,
		   struct text *why, struct stock_pod **ret_pod,
		   struct stock_listeners *ret_listeners) MUST_CHECK;
/* Closes the unconnected sockets; listeners belong to whoever took them. No worker may use a share
 * of it any more. */
void stock_pod_close(struct stock *stock, struct stock_pod *pod);

struct stock_share *stock_pod_share(struct stock_pod *pod, unsigned worker);
/*
 * Worker: an unconnected, non-blocking, close-on-exec, marked TCP socket with TCP_NODELAY in the
 * pod's namespace, or -EAGAIN when the stock is empty: then `refilled` of the share is called (from
 * the helper's thread) once there are some again. Never blocks, takes no lock.
 */
int stock_take(struct stock_share *share, sa_family_t family) MUST_CHECK;
/* Set before the first stock_take. NULL takes it back: when that returned, no call runs or comes.
 */
void stock_share_on_refill(struct stock_share *share, void (*refilled)(void *owner), void *owner);

/* Connections older than the pod's enrolment that still live; one line each. */
int stock_pod_uncaptured(struct stock *stock, struct stock_pod *pod,
			 void (*each)(const struct weft_address *local,
				      const struct weft_address *peer, void *owner),
			 void *owner) MUST_CHECK;

#endif
