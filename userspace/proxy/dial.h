/*
 * What an exchange or a tunnel needs first: a connected upstream, after at most N attempts at
 * different endpoints. Embedded in its owner. Internal to proxy.
 */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

#include "proxy/upstream.h"

#define DIAL_ATTEMPTS_MAX 16 /* as limits.connect_attempts */

struct dial;
struct session;

struct dial_events {
	/* dial->upstream is connected (or was idle in the pool); what was queued is being sent. */
	void (*ready)(struct dial *dial);
	/* dial->upstream is NULL now. */
	void (*failed)(struct dial *dial, enum weft_proxy_reason reason);
};

struct dial {
	const struct dial_events *events;
	struct worker *worker;
	struct worker_pod *pod;
	struct list waiting; /* for a socket */
	uint64_t waits_until_ns;
	int wait_error;            /* -errno that ends the wait in vain */
	struct upstream *upstream; /* takes writes from dial_start on */
	uint32_t service_id;       /* 0: no mesh service */
	bool to_destination;       /* there and nowhere else: no service, or one of its endpoints */
	bool is_named;             /* the destination comes from a dtab, not from the app */
	struct weft_address destination;
	struct series_pair series; /* of a destination that is no endpoint */
	struct weft_address local; /* to bind to; all zero = none */
	bool has_key;              /* for the balancer `hash`: as in struct balance_request */
	uint64_t key;
	bool has_token; /* of a sticky cookie: as there */
	uint64_t token;
	uint64_t pool_idle_ns; /* take a pooled one idle for at most this; 0 = always dial */
	uint32_t tried[DIAL_ATTEMPTS_MAX];
	uint32_t tried_count;
	uint32_t attempts; /* that failed */
	int error;         /* -errno of the last attempt */
	struct weft_address last_address;
	struct node_endpoint *seat; /* of its endpoint's cap; NULL = it does not count */
	bool takes_seat;            /* it is for a request */
	bool was_open;              /* connected before it was asked for: may turn out dead */
	bool is_ready;
	bool owes_outcome; /* its upstream's endpoint is to be told how the attempt ended */
};

/* For a session's destination, from its app's own address. */
void dial_init(struct dial *dial, const struct session *session, const struct dial_events *events);
/* For the same as another dial, at other endpoints than that one's. */
void dial_fork(struct dial *dial, const struct dial *from, const struct dial_events *events);
/*
 * Finds an endpoint and begins to connect. True: dial->upstream takes writes, and `ready` or
 * `failed` follows later from the loop (with is_ready set already, nothing follows). False: failed
 * at once, *ret_reason says why and no event comes.
 */
bool dial_start(struct dial *dial, enum weft_proxy_reason *ret_reason);
/* The endpoint of its upstream is not to be picked again while there is another. */
void dial_avoid(struct dial *dial);
/* The owner gives up; the upstream is cut. */
void dial_cancel(struct dial *dial);
/* The dial gives its upstream to the caller; the attempt, a load of the endpoint, ends like that.
 */
struct upstream *dial_release(struct dial *dial, enum balance_outcome outcome);
/* How the attempt with its upstream went, for the breaker; only the first time. What is never told
 * is not counted. */
void dial_tell(struct dial *dial, enum breaker_outcome outcome);
/* The dial's upstream is this one from now on. */
void dial_hold(struct dial *dial, struct upstream *upstream);
/* The attempt's time begins now: before, nobody had asked anything. */
void dial_time_anew(struct dial *dial);
/* A request goes to an upstream that was not picked for it. False: its endpoint is at its cap. */
bool dial_take_seat(struct dial *dial, const struct upstream *upstream) MUST_CHECK;
/* The answer's head came: the balancer learns how long that took. */
void dial_answered(const struct dial *dial);
/* Moves an ongoing or ready dial to another owner, with its seat, unless that has taken one. */
void dial_move(struct dial *from, struct dial *to, const struct dial_events *events);
/* Loop: sockets are there again, or time has passed. */
void dials_retry(struct worker *worker);

/* Called by upstream.c for the role DIALLING. */
void dial_connected(struct dial *dial);
void dial_attempt_failed(struct dial *dial, int error);

#endif
