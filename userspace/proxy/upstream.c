#include "proxy/upstream.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/dial.h"
#include "proxy/drain.h"
#include "proxy/exchange.h"
#include "proxy/hedge.h"
#include "proxy/leg.h"
#include "proxy/mirror.h"
#include "proxy/tunnel.h"

static void on_connect_timeout(struct timer *timer);
static void on_failed(struct wire *wire, int error);
static const struct wire_events upstream_events;

struct upstream *upstream_new(struct worker_pod *pod, const struct weft_address *address)
{
	struct upstream *upstream = mem_zalloc(sizeof(*upstream));
	if (!upstream)
		return NULL;
	wire_init(&upstream->wire, &pod->worker->loop, &upstream_events);
	list_init(&upstream->idle_link);
	list_init(&upstream->pool_link);
	timer_init(&upstream->connect_timer, on_connect_timeout);
	upstream->worker = pod->worker;
	upstream->pod = pod;
	upstream->address = *address;
	upstream->endpoint_id = ENDPOINT_ID_NONE;
	upstream->series = (struct series_pair){SERIES_NONE, SERIES_NONE};
	pod->upstream_count++;
	series_add(&pod->worker->counts->upstreams, 1);
	return upstream;
}

static void pair_use(struct worker *worker, struct series_pair pair, int change)
{
	worker_series_use(worker, pair.service, change);
	worker_series_use(worker, pair.endpoint, change);
}

void upstream_set_series(struct upstream *upstream, struct series_pair series)
{
	pair_use(upstream->worker, series, 1);
	pair_use(upstream->worker, upstream->series, -1);
	upstream->series = series;
}

/* An app that bound its socket to one address keeps that source address. */
static void bind_local(struct upstream *upstream, int fd, const struct weft_address *local)
{
	static const struct weft_address none;
	if (address_equal(local, &none))
		return;
	int error = io_bind_source(upstream->worker->ring, fd, local);
	if (error)
		log_debug("bind_failed", "error=%d", error);
}

void upstream_dial(struct upstream *upstream, int fd, const struct weft_address *local,
		   uint64_t timeout_ns)
{
	struct worker *worker = upstream->worker;
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(&upstream->address, &address);
	memcpy(&upstream->socket_address, &address, sizeof(upstream->socket_address));
	upstream->local = *local;
	bind_local(upstream, fd, local);
	upstream->role = UPSTREAM_DIALLING;
	if (timeout_ns && timer_set(io_timers(worker->ring), &upstream->connect_timer,
				    worker_now_ns(worker) + timeout_ns))
		log_warn("no_timer", "what=connect"); /* the kernel's own limit remains */
	wire_dial(&upstream->wire, fd, (struct sockaddr_storage *)&upstream->socket_address, size);
}

void upstream_assign(struct upstream *upstream, enum upstream_role role, void *user)
{
	timer_clear(io_timers(upstream->worker->ring), &upstream->connect_timer);
	upstream->role = (uint8_t)role;
	upstream->user = user;
}

/* ---- the pool ---- */

static struct list *bucket(struct worker_pod *pod, const struct weft_address *address)
{
	return &pod->pool[address_hash(address) % POOL_BUCKETS];
}

static void leave_pool(struct upstream *upstream)
{
	if (!list_is_linked(&upstream->idle_link))
		return;
	list_remove(&upstream->idle_link);
	list_remove(&upstream->pool_link);
	series_add(&upstream->worker->counts->upstreams_idle, (uint64_t)-1);
}

/* The end of one that died may be known, and not told yet. */
static bool is_alive(const struct upstream *upstream)
{
	const struct wire *wire = &upstream->wire;
	return wire_is_open(wire) && !wire->read_over && !wire->error;
}

void upstream_pin(struct upstream *upstream, struct session *session)
{
	if (!is_alive(upstream)) {
		upstream_close(upstream);
		return;
	}
	upstream_close(session->pinned); /* another service's, to which a route led before */
	upstream_assign(upstream, UPSTREAM_IDLE, session);
	upstream->is_pinned = true;
	session->pinned = upstream;
	wire_read_start(&upstream->wire);
}

static bool endpoint_is_gone(const struct worker *worker, const struct upstream *upstream)
{
	if (upstream->endpoint_id == ENDPOINT_ID_NONE)
		return false;
	const struct service *service = snapshot_service(worker->snapshot, upstream->service_id);
	const struct endpoint *endpoint =
		service ? service_endpoint(service, upstream->endpoint_id) : NULL;
	return !endpoint || endpoint->birth != upstream->attempt.birth;
}

void upstream_give(struct upstream *upstream, uint64_t limit_ns)
{
	struct worker *worker = upstream->worker;
	bool is_spent = upstream->has_auto_leg && leg_is_spent(worker, upstream->leg);
	if (!is_alive(upstream) || is_spent || upstream->pod->is_draining ||
	    wire_queued(&upstream->wire) || limit_ns == 0 || endpoint_is_gone(worker, upstream)) {
		upstream_close(upstream);
		return;
	}
	upstream_assign(upstream, UPSTREAM_IDLE, NULL);
	upstream->idle_since_ns = worker_now_ns(worker);
	upstream->idle_limit_ns = limit_ns;
	list_add_last(&worker->idle_upstreams, &upstream->idle_link);
	list_add_first(bucket(upstream->pod, &upstream->address), &upstream->pool_link);
	series_add(&worker->counts->upstreams_idle, 1);
	wire_read_start(&upstream->wire); /* sees the FIN of one that is closed while it idles */
}

struct upstream *upstream_take(struct worker_pod *pod, const struct weft_address *address,
			       const struct weft_address *local, uint64_t idle_ns)
{
	uint64_t now_ns = worker_now_ns(pod->worker);
	list_each (bucket(pod, address), link) {
		struct upstream *upstream = list_entry(link, struct upstream, pool_link);
		if (!address_equal(&upstream->address, address) ||
		    !address_equal(&upstream->local, local) || !is_alive(upstream))
			continue;
		uint64_t age_ns = now_ns - upstream->idle_since_ns;
		if (age_ns > idle_ns || age_ns > upstream->idle_limit_ns)
			return NULL; /* the ones behind it are older */
		leave_pool(upstream);
		return upstream;
	}
	return NULL;
}

void upstreams_tick(struct worker *worker, bool snapshot_changed)
{
	uint64_t now_ns = worker_now_ns(worker);
	list_each (&worker->idle_upstreams, link) {
		struct upstream *upstream = list_entry(link, struct upstream, idle_link);
		bool is_over = now_ns - upstream->idle_since_ns >= upstream->idle_limit_ns;
		if (is_over || (snapshot_changed && endpoint_is_gone(worker, upstream)))
			upstream_close(upstream);
	}
}

void upstreams_close_idle(struct worker_pod *pod)
{
	for (unsigned i = 0; i < POOL_BUCKETS; i++) {
		list_each (&pod->pool[i], link) {
			upstream_close(list_entry(link, struct upstream, pool_link));
		}
	}
}

/* ---- ends ---- */

static void leave(struct upstream *upstream)
{
	if (upstream->role == UPSTREAM_IDLE && upstream->is_pinned)
		((struct session *)upstream->user)->pinned = NULL;
	leave_pool(upstream);
	upstream_assign(upstream, UPSTREAM_ENDING, NULL);
}

void upstream_close(struct upstream *upstream)
{
	if (!upstream)
		return;
	leave(upstream);
	wire_close(&upstream->wire);
}

void upstream_abort(struct upstream *upstream)
{
	if (!upstream)
		return;
	leave(upstream);
	wire_abort(&upstream->wire);
}

void upstream_abort_after_queue(struct upstream *upstream)
{
	leave(upstream);
	wire_abort_after_queue(&upstream->wire);
}

/* ---- what its wire tells ---- */

static struct upstream *of_wire(struct wire *wire)
{
	return container_of(wire, struct upstream, wire);
}

static void on_data(struct wire *wire, struct span bytes, struct block **block)
{
	struct upstream *upstream = of_wire(wire);
	switch ((enum upstream_role)upstream->role) {
	case UPSTREAM_EXCHANGE:
		exchange_upstream_data(upstream->user, bytes, block);
		return;
	case UPSTREAM_TUNNEL:
		tunnel_upstream_data(upstream->user, bytes, block);
		return;
	case UPSTREAM_DRAINING:
		drain_data(upstream, bytes);
		return;
	case UPSTREAM_MIRROR:
		mirror_upstream_data(upstream->user, bytes);
		return;
	case UPSTREAM_HEDGE:
		hedge_upstream_data(upstream->user, bytes, block);
		return;
	case UPSTREAM_IDLE:     /* nobody asked (RFC 9112 9.2) */
	case UPSTREAM_DIALLING: /* cannot be: reading begins when it is assigned */
		upstream_close(upstream);
		return;
	case UPSTREAM_ENDING:
		return;
	}
}

static void on_eof(struct wire *wire)
{
	struct upstream *upstream = of_wire(wire);
	if (leg_was_cut(upstream->worker, upstream->leg, wire)) {
		on_failed(wire, -ECONNRESET);
		return;
	}
	switch ((enum upstream_role)upstream->role) {
	case UPSTREAM_EXCHANGE:
		exchange_upstream_eof(upstream->user);
		return;
	case UPSTREAM_TUNNEL:
		tunnel_upstream_eof(upstream->user);
		return;
	case UPSTREAM_MIRROR:
		mirror_upstream_eof(upstream->user);
		return;
	case UPSTREAM_HEDGE:
		hedge_upstream_ended(upstream->user);
		return;
	case UPSTREAM_IDLE:
	case UPSTREAM_DRAINING:
	case UPSTREAM_DIALLING:
		upstream_close(upstream);
		return;
	case UPSTREAM_ENDING:
		return;
	}
}

static void on_drained(struct wire *wire)
{
	struct upstream *upstream = of_wire(wire);
	if (upstream->role == UPSTREAM_EXCHANGE)
		exchange_upstream_drained(upstream->user);
	else if (upstream->role == UPSTREAM_TUNNEL)
		tunnel_upstream_drained(upstream->user);
}

static void on_connected(struct wire *wire)
{
	struct upstream *upstream = of_wire(wire);
	timer_clear(io_timers(upstream->worker->ring), &upstream->connect_timer);
	upstream->was_connected = true;
	if (upstream->may_have_leg &&
	    kernel_leg_take(upstream->worker->kernel, wire->fd, &upstream->leg) == 0)
		leg_begin(upstream->leg, wire);
	upstream->counted = upstream->series;
	pair_use(upstream->worker, upstream->counted, 1);
	series_add(&worker_row(upstream->worker, upstream->series.service)->connections_opened, 1);
	series_add(&worker_row(upstream->worker, upstream->series.endpoint)->connections_opened, 1);
	if (upstream->role == UPSTREAM_DIALLING)
		dial_connected(upstream->user);
}

static void on_failed(struct wire *wire, int error)
{
	struct upstream *upstream = of_wire(wire);
	switch ((enum upstream_role)upstream->role) {
	case UPSTREAM_DIALLING:
		dial_attempt_failed(upstream->user, error);
		return;
	case UPSTREAM_EXCHANGE:
		exchange_upstream_failed(upstream->user, error);
		return;
	case UPSTREAM_TUNNEL:
		tunnel_upstream_failed(upstream->user, error);
		return;
	case UPSTREAM_MIRROR:
		mirror_upstream_failed(upstream->user);
		return;
	case UPSTREAM_HEDGE:
		hedge_upstream_ended(upstream->user);
		return;
	case UPSTREAM_IDLE:
	case UPSTREAM_DRAINING:
		upstream_abort(upstream);
		return;
	case UPSTREAM_ENDING:
		return;
	}
}

static void on_connect_timeout(struct timer *timer)
{
	struct upstream *upstream = container_of(timer, struct upstream, connect_timer);
	if (upstream->role == UPSTREAM_DRAINING) {
		upstream_close(upstream);
		return;
	}
	worker_count(upstream->worker, WEFT_PROXY_DIAL_TIMEOUT);
	if (upstream->role == UPSTREAM_DIALLING)
		dial_attempt_failed(upstream->user, -ETIMEDOUT);
}

static void on_closing(struct wire *wire)
{
	const struct upstream *upstream = of_wire(wire);
	leg_end(upstream->worker, upstream->leg);
}

static void on_closed(struct wire *wire)
{
	struct upstream *upstream = of_wire(wire);
	struct worker_pod *pod = upstream->pod;
	leave_pool(upstream);
	timer_clear(io_timers(upstream->worker->ring), &upstream->connect_timer);
	if (upstream->was_connected) {
		struct worker *worker = upstream->worker;
		series_add(&worker_row(worker, upstream->counted.service)->connections_closed, 1);
		series_add(&worker_row(worker, upstream->counted.endpoint)->connections_closed, 1);
		pair_use(worker, upstream->counted, -1);
	}
	pair_use(upstream->worker, upstream->series, -1);
	h1_reader_fini(&upstream->reader);
	series_add(&upstream->worker->counts->upstreams, (uint64_t)-1);
	mem_free(upstream);
	pod->upstream_count--;
	worker_pod_forget(pod);
}

static const struct wire_events upstream_events = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.connected = on_connected,
	.failed = on_failed,
	.closing = on_closing,
	.closed = on_closed,
};
