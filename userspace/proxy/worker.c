#include "proxy/worker.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "policy/binder.h"
#include "policy/route_rewrite.h"
#include "policy/route_match.h"
#include "proxy/dial.h"
#include "proxy/mirror.h"
#include "proxy/orders.h"
#include "proxy/park.h"
#include "proxy/queue.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

#define RING_ENTRIES   1024
#define SHARED_BUFFERS 512  /* × 4 KiB */
#define CLOSE_TURNS    1000 /* then it ends with what is left */
#define LARGE_BUFFERS  16   /* × 64 KiB, touched only by bulk traffic */

/* Counts of attempts that belong to no endpoint go nowhere. */
static _Thread_local struct weft_series waste_row;

struct weft_series *worker_row(struct worker *worker, uint32_t slot)
{
	return slot == SERIES_NONE ? &waste_row : series_row(worker->series, worker->index, slot);
}

/* Two workers that claim at once get the same slot. */
static uint32_t claim_series(struct worker *worker, const uint32_t *series,
			     const struct service *service, const char *endpoint)
{
	uint32_t slot = series_kept(series);
	if (slot != SERIES_UNCLAIMED)
		return slot;
	slot = series_slot(worker->series, span_text(service->name), span_text(endpoint));
	series_keep(series, slot);
	return slot;
}

uint32_t worker_service_series(struct worker *worker, const struct service *service)
{
	return claim_series(worker, &service->series, service, "");
}

uint32_t worker_endpoint_series(struct worker *worker, const struct service *service,
				const struct endpoint *endpoint)
{
	return claim_series(worker, &endpoint->series, service, endpoint->text);
}

uint32_t worker_rule_series(struct worker *worker, const struct route *route,
			    const struct route_rule *rule)
{
	char number[ROUTE_NUMBER_MAX];
	uint32_t slot = series_kept(&rule->series);
	if (slot == SERIES_UNCLAIMED) {
		slot = series_slot_route(worker->series, route->name,
					 route_rule_label(rule, number));
		series_keep(&rule->series, slot);
	}
	return slot == SERIES_OVERFLOW ? SERIES_NONE : slot;
}

static void show(__u64 *gauge, uint64_t value)
{
	__atomic_store_n(gauge, value, __ATOMIC_RELAXED);
}

static void show_gauges(struct worker *worker)
{
	show(&worker->counts->loop_turns, io_turns(worker->ring));
	show(&worker->counts->loop_busy_ns, io_busy_ns(worker->ring));
	show(&worker->counts->blocks_in_use, worker->blocks.in_use);
	show(&worker->counts->block_bytes, worker->blocks.bytes_in_use);
}

static void tunnels_tick(struct worker *worker)
{
	uint64_t limit_ns = worker->snapshot->settings.tunnel_idle_timeout_ns;
	if (worker->tunnel_idle_ns == limit_ns)
		return;
	worker->tunnel_idle_ns = limit_ns;
	list_each (&worker->sessions, link) {
		struct session *session = list_entry(link, struct session, link);
		if (session->tunnel)
			tunnel_limit_changed(session->tunnel);
	}
}

static void on_tick(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, tick);
	bool snapshot_changed = worker->generation != worker->snapshot->generation;
	worker->generation = worker->snapshot->generation;
	upstreams_tick(worker, snapshot_changed);
	if (snapshot_changed)
		balances_sweep(&worker->balances, worker->snapshot);
	tunnels_tick(worker);
	if (!list_is_empty(&worker->waiting_dials))
		dials_retry(worker);
	worker_pods_tick(worker);
	show_gauges(worker);
	int error =
		timer_set(io_timers(worker->ring), timer, worker_now_ns(worker) + WORKER_TICK_NS);
	if (error)
		log_error("worker_tick_lost", "worker=%u error=%d", worker->index, error);
}

/* A snapshot may be used between after_wait and the end of before_wait, never while waiting. */
static void before_wait(void *owner)
{
	struct worker *worker = owner;
	wire_loop_flush(&worker->loop);
	snapshot_reader_offline();
	worker->snapshot = NULL;
}

static void adopt_snapshot(struct worker *worker)
{
	snapshot_reader_online();
	worker->snapshot = snapshot_current(worker->slot);
	if (worker->generation == worker->snapshot->generation)
		return;
	const struct settings *settings = &worker->snapshot->settings;
	worker->h1_limits = (struct h1_limits){
		.head_bytes = settings->head_limit_bytes,
		.line_bytes = settings->line_limit_bytes,
		.field_count = settings->field_limit,
		.blocks = &worker->blocks,
	};
	/* The ring's own blocks come on top: sessions alone share the limit. */
	worker->blocks.limit_bytes =
		settings->buffer_limit_bytes + LARGE_BUFFERS * (uint64_t)BLOCK_LARGE_BYTES;
	balances_adopt(&worker->balances, worker->snapshot);
	guards_grow(worker);
}

static void beat(struct worker *worker)
{
	__atomic_store_n(worker->heartbeat, io_now_ns(worker->ring), __ATOMIC_RELAXED);
}

static void after_wait(void *owner)
{
	struct worker *worker = owner;
	beat(worker);
	adopt_snapshot(worker);
}

static void on_names(struct io_mail *mail)
{
	struct worker *worker = container_of(mail, struct worker, names_mail);
	atomic_store(&worker->names_posted, false);
	park_wake(worker);
}

void worker_init(struct worker *worker, struct workers *workers,
		 const struct workers_options *options, unsigned index)
{
	*worker = (struct worker){
		.workers = workers,
		.index = index,
		.kernel = options->kernel,
		.slot = options->slot,
		.node = options->node,
		.series = options->series,
		.counts = &options->series->proxy[index],
		.heartbeat = &options->heartbeats[index],
	};
	list_init(&worker->pods);
	list_init(&worker->sessions);
	list_init(&worker->places);
	list_init(&worker->idle_upstreams);
	list_init(&worker->mirrors);
	list_init(&worker->waiting_dials);
	list_init(&worker->parked);
	worker->names_mail.run = on_names;
}

void worker_fini(struct worker *worker)
{
	io_ring_close(worker->ring);
	blocks_fini(&worker->blocks);
	balances_fini(&worker->balances);
	route_matcher_free(worker->matcher);
	rewriter_free(worker->rewriter);
	queues_fini(worker);
	binder_free(worker->binder);
	text_fini(&worker->words);
	mem_free(worker->guards);
}

int worker_open(struct worker *worker)
{
	struct io_options options = {
		.entries = RING_ENTRIES,
		.shared_count = SHARED_BUFFERS,
		.large_count = LARGE_BUFFERS,
		.blocks = &worker->blocks,
	};
	blocks_init(&worker->blocks, UINT64_MAX);
	worker->matcher = route_matcher_new();
	worker->rewriter = rewriter_new();
	worker->binder = binder_new();
	if (!worker->matcher || !worker->rewriter || !worker->binder)
		return -ENOMEM;
	int error = io_ring_open(&options, &worker->ring);
	if (error)
		return error;
	wire_loop_init(&worker->loop, worker->ring, &worker->blocks);
	io_set_hooks(worker->ring, before_wait, after_wait, worker);
	beat(worker);
	rng_init(&worker->rng, io_now_ns(worker->ring) + worker->index);
	timer_init(&worker->tick, on_tick);
	error = timer_set(io_timers(worker->ring), &worker->tick,
			  io_now_ns(worker->ring) + WORKER_TICK_NS);
	if (!error)
		adopt_snapshot(worker);
	return error;
}

static void cut_all(struct worker *worker)
{
	worker_pods_cut(worker);
	list_each (&worker->sessions, link) {
		session_abort(list_entry(link, struct session, link));
	}
	mirrors_cut_all(worker);
	list_each (&worker->idle_upstreams, link) {
		upstream_close(list_entry(link, struct upstream, idle_link));
	}
}

static bool has_something_left(const struct worker *worker)
{
	return worker->counts->sessions || worker->counts->upstreams ||
	       !list_is_empty(&worker->pods) || !list_is_empty(&worker->places);
}

void worker_close(struct worker *worker)
{
	cut_all(worker);
	for (int turns = 0; has_something_left(worker) && turns < CLOSE_TURNS; turns++)
		io_turn(worker->ring, WORKER_TICK_NS);
	snapshot_reader_offline();
	show_gauges(worker);
}

/*
 * The thread: it opens its own ring (SINGLE_ISSUER), tells whoever started it, and turns until it
 * is told to stop.
 */
void *worker_run(void *argument)
{
	struct worker *worker = argument;
	char name[16];
	snprintf(name, sizeof(name), "weft-worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	snapshot_reader_register();
	snapshot_reader_offline();
	int error = worker_open(worker);
	workers_told_start(worker->workers, error);
	if (!error) {
		while (!worker->must_stop)
			io_turn(worker->ring, UINT64_MAX);
		worker_close(worker);
	}
	snapshot_reader_unregister();
	return NULL;
}
