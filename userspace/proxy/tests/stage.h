/*
 * One worker turned by hand on the doubled ring and the doubled kernel: a pod, some services, and
 * peers that a scenario scripts. Time is virtual. The services:
 *   web   10.96.0.1:80    http         10.0.1.1:80
 *   any   10.96.0.2:80    auto         10.0.2.1:80
 *   raw   10.96.0.3:80    opaque       10.0.3.1:80
 *   many  10.96.0.4:80    http         10.0.4.1:80 to 10.0.4.4:80, round robin
 *   none  10.96.0.5:80    http         no endpoint
 */
#ifndef PROXY_TESTS_STAGE_H
#define PROXY_TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/double.h"
#include "kernel/double.h"
#include "model/builder.h"
#include "model/keys.h"
#include "policy/binder.h"
#include "policy/route_match.h"
#include "proxy/exchange.h"
#include "proxy/node.h"
#include "proxy/orders.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

#define WEB  "10.96.0.1:80"
#define ANY  "10.96.0.2:80"
#define RAW  "10.96.0.3:80"
#define MANY "10.96.0.4:80"
#define NONE "10.96.0.5:80"

#define WEB_ENDPOINT "10.0.1.1:80"
#define ANY_ENDPOINT "10.0.2.1:80"
#define RAW_ENDPOINT "10.0.3.1:80"

#define STRANGER "192.0.2.1:99" /* no mesh service */

#define PEERS_MAX 512

static const char *const stage_endpoints[] = {WEB_ENDPOINT,  ANY_ENDPOINT,  RAW_ENDPOINT,
					      "10.0.4.1:80", "10.0.4.2:80", "10.0.4.3:80",
					      "10.0.4.4:80", STRANGER};

static bool stage_has_no_ipv6; /* the pod that stage_open adds */

struct stage {
	struct kernel *kernel;
	struct stock *stock;
	struct stock_pod *pod;
	struct stock_listeners listeners;
	struct series_store series;
	struct snapshot_slot *slot;
	struct snapshot *later;
	struct node *node;
	struct worker worker;
	size_t piece_bytes; /* every peer's bytes come in such pieces, 0 = whole */
	bool is_lenient;    /* an allocation may fail: a session may end, nothing worse */
	jmp_buf leave;      /* the scenario, when memory was short */
	unsigned pods_served;
	unsigned pods_not_served;
	unsigned pods_left;
	unsigned wanted; /* names that namers are to find out */
	char last_wanted[WEFT_NAME_MAX];
	struct io_peer *peers[PEERS_MAX];
	unsigned peer_count;
	unsigned client_count;
	long live_before;
};

/* ---- in the place of workers.c ---- */

void workers_told_start(struct workers *workers, int error)
{
	(void)workers;
	assert_int_equal(error, 0);
}

void workers_told_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)pod_id;
	(void)worker;
	((struct stage *)(void *)workers)->pods_served++;
}

void workers_told_not_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)pod_id;
	(void)worker;
	((struct stage *)(void *)workers)->pods_not_served++;
}

void workers_told_left(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)pod_id;
	(void)worker;
	((struct stage *)(void *)workers)->pods_left++;
}

void workers_told_wanted(struct workers *workers, struct span service)
{
	struct stage *stage = (struct stage *)(void *)workers;
	stage->wanted++;
	snprintf(stage->last_wanted, sizeof(stage->last_wanted), "%.*s", SPAN_PRINT(service));
}

unsigned workers_count(const struct workers *workers)
{
	(void)workers;
	return 1;
}

struct worker *workers_at(struct workers *workers, unsigned index)
{
	(void)index;
	return &((struct stage *)(void *)workers)->worker;
}

/* ---- what the snapshot is built from ---- */

static inline struct weft_address address_of(const char *text)
{
	struct weft_address address;
	assert_int_equal(address_parse(span_text(text), &address), 0);
	return address;
}

struct stage_draft {
	struct draft draft;
	struct service_draft services[5];
	struct draft_value addresses[5];
	struct draft_value port;
	struct endpoint_draft endpoints[7];
	struct pod_draft pod;
};

typedef void configuration(struct stage_draft *all);

static inline void stage_draft_service(struct stage_draft *all, unsigned index, const char *name,
				       enum protocol protocol, unsigned first, unsigned count)
{
	struct service_draft *service = &all->services[index];
	all->addresses[index].address = address_of("10.96.0.0:0");
	all->addresses[index].address.ip[15] = (uint8_t)(index + 1);
	*service = (struct service_draft){
		.name = name,
		.protocol = protocol,
		.addresses = {1, &all->addresses[index]},
		.ports = {1, &all->port},
		.endpoints = {count, &all->endpoints[first]},
	};
	keys_default_resilience(&service->resilience);
}

static inline void stage_draft_init(struct stage_draft *all)
{
	*all = (struct stage_draft){0};
	keys_set_defaults(NULL, &all->draft);
	all->port.number = 80;
	for (unsigned i = 0; i < array_count(all->endpoints); i++)
		all->endpoints[i] = (struct endpoint_draft){
			.weight = 1, .address = address_of(stage_endpoints[i])};
	stage_draft_service(all, 0, "web", PROTOCOL_HTTP, 0, 1);
	stage_draft_service(all, 1, "any", PROTOCOL_AUTO, 1, 1);
	stage_draft_service(all, 2, "raw", PROTOCOL_OPAQUE, 2, 1);
	stage_draft_service(all, 3, "many", PROTOCOL_HTTP, 3, 4);
	stage_draft_service(all, 4, "none", PROTOCOL_HTTP, 0, 0);
	all->services[3].balancer = BALANCER_ROUND_ROBIN;
	all->pod = (struct pod_draft){
		.name = "client", .netns_path = "/run/netns/client", .cgroup_path = ""};
	all->draft.services = (struct draft_list){array_count(all->services), all->services};
	all->draft.pods = (struct draft_list){1, &all->pod};
}

static inline uint32_t stage_series(void *owner, struct span service, struct span endpoint,
				    bool must_claim)
{
	uint32_t slot;
	if (must_claim)
		return series_slot(owner, service, endpoint);
	return series_find(owner, service, endpoint, &slot) ? slot : SERIES_UNCLAIMED;
}

static inline void stage_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	(void)owner;
	(void)line;
	fail_msg("%s: %s", key, sentence);
}

static inline struct snapshot *stage_build(struct stage *stage, configuration *configure)
{
	struct stage_draft all;
	struct snapshot *next;
	struct build_options options = {
		.previous = snapshot_current(stage->slot),
		.series = stage_series,
		.series_owner = &stage->series,
		.fault = stage_fault,
		.routes = &route_compiler,
		.namers = &namer_compiler,
	};
	stage_draft_init(&all);
	if (configure)
		configure(&all);
	assert_int_equal(snapshot_build(&all.draft, &options, &next), 0);
	return next;
}

static inline void stage_publish(struct stage *stage, struct snapshot *next)
{
	snapshot_publish(stage->slot, next);
	stage->worker.snapshot = next; /* the old one is gone; the worker's turn comes later */
}

/* The picture that was prepared in stage_open. */
static inline void stage_publish_later(struct stage *stage)
{
	struct snapshot *next = stage->later;
	stage->later = NULL;
	stage_publish(stage, next);
}

/* ---- opening ---- */

static inline void endpoint_answers(const char *endpoint, enum io_double_answer answer,
				    uint64_t delay_ns)
{
	struct weft_address address = address_of(endpoint);
	io_double_address(&address, answer, delay_ns);
}

static inline int stage_socket(sa_family_t family)
{
	(void)family;
	return io_double_socket();
}

static inline int stage_listener(sa_family_t family, __be16 port)
{
	(void)family;
	(void)port;
	return io_double_listener();
}

static inline void stage_open_kernel(struct stage *stage)
{
	struct kernel_options kernel_options = {.workers = 1};
	struct text why = {0};
	kernel_double_reset();
	kernel_double_no_ipv6(stage_has_no_ipv6);
	kernel_double_socket = stage_socket;
	kernel_double_listener = stage_listener;
	assert_int_equal(kernel_open(&kernel_options, &why, &stage->kernel), 0);
	struct stock_options stock_options = {.kernel = stage->kernel, .workers = 1, .depth = 8};
	assert_int_equal(stock_open(&stock_options, &stage->stock), 0);
	struct stock_place place = {.netns_path = "/run/netns/client"};
	assert_int_equal(
		stock_pod_open(stage->stock, 1, &place, &why, &stage->pod, &stage->listeners), 0);
	series_store_init(&stage->series, kernel_series(stage->kernel),
			  kernel_series_labels(stage->kernel), kernel_proxy_counts(stage->kernel),
			  1);
}

static inline void stage_order_pod(struct stage *stage, uint32_t pod_id, struct stock_pod *pod,
				   const struct stock_listeners *listeners)
{
	struct pod_order order = {
		.pod_id = pod_id,
		.name = "client",
		.share = stock_pod_share(pod, 0),
	};
	memcpy(order.fd4, listeners->fd4[0], sizeof(order.fd4));
	memcpy(order.fd6, listeners->fd6[0], sizeof(order.fd6));
	worker_pod_add(&stage->worker, &order);
}

static inline void stage_add_pod(struct stage *stage)
{
	stage_order_pod(stage, 1, stage->pod, &stage->listeners);
	assert_int_equal(stage->pods_served, 1);
}

static inline void stage_register(void)
{
	static bool is_registered;
	if (is_registered)
		snapshot_reader_online();
	else
		snapshot_reader_register();
	is_registered = true;
}

/* `configure` changes the draft (NULL = the services as they are), `later` that of a second
 * snapshot for stage_publish_later. */
static inline void stage_open(struct stage *stage, configuration *configure, configuration *later)
{
	*stage = (struct stage){.live_before = mem_live()};
	log_set_level(LOG_LEVEL_ERROR);
	mem_fail_nth(0); /* a test that failed left something */
	io_double_reset();
	stage_register();
	stage_open_kernel(stage);
	stage->slot = snapshot_slot_new();
	stage_publish(stage, stage_build(stage, configure));
	stage->later = later ? stage_build(stage, later) : NULL;
	struct workers_options options = {
		.count = 1,
		.kernel = stage->kernel,
		.slot = stage->slot,
		.series = &stage->series,
		.heartbeats = kernel_heartbeats(stage->kernel),
		.node = stage->node = node_new(),
	};
	worker_init(&stage->worker, (struct workers *)(void *)stage, &options, 0);
	assert_int_equal(worker_open(&stage->worker), 0);
	stage_add_pod(stage);
	for (unsigned i = 0; i < array_count(stage_endpoints); i++)
		endpoint_answers(stage_endpoints[i], IO_DOUBLE_ACCEPTS, 0);
	io_double_settle(stage->worker.ring);
}

/* ---- time ---- */

/* Free blocks go back to the allocator, so that each later take is an allocation that can fail. */
static inline void stage_forget_free_blocks(struct stage *stage)
{
	struct blocks *blocks = &stage->worker.blocks;
	struct block **lists[] = {&blocks->free_small, &blocks->free_large};
	for (int i = 0; i < 2; i++) {
		while (*lists[i]) {
			struct block *next = (*lists[i])->next;
			mem_free(*lists[i]);
			*lists[i] = next;
		}
	}
	blocks->free_small_count = blocks->free_large_count = 0;
}

static inline void stage_settle(struct stage *stage)
{
	stage_forget_free_blocks(stage);
	io_double_settle(stage->worker.ring);
}

static inline void stage_run(struct stage *stage, uint64_t ns)
{
	stage_forget_free_blocks(stage);
	io_double_run(stage->worker.ring, ns);
}

/* ---- peers ---- */

static inline struct io_peer *stage_peer(struct stage *stage, struct io_peer *peer)
{
	if (!peer)
		return NULL;
	assert_in_range(stage->peer_count, 0, PEERS_MAX - 1);
	stage->peers[stage->peer_count++] = peer;
	io_peer_pieces(peer, stage->piece_bytes);
	return peer;
}

/* An app in the pod dials; the kernel knows its flow and sends the dial to the worker, who has not
 * accepted it yet. */
static inline struct io_peer *client_dials_as(struct stage *stage, struct weft_flow *flow)
{
	flow->pod_id = 1;
	flow->app = address_of("10.0.0.9:0");
	flow->app.port = htons((uint16_t)(30000 + stage->client_count++));
	kernel_double_flow_next(flow);
	int *lanes = stage->listeners.fd4[0];
	return stage_peer(stage,
			  io_double_arrives(lanes[stage->client_count % WEFT_LANES], &flow->app));
}

static inline uint32_t service_id_at(struct stage *stage, const char *destination)
{
	struct weft_address address = address_of(destination);
	const struct service *service =
		snapshot_service_at(snapshot_current(stage->slot), &address);
	return service ? service->id : 0;
}

static inline struct io_peer *client_dials(struct stage *stage, const char *destination)
{
	struct weft_flow flow = {
		.destination = address_of(destination),
		.service_id = service_id_at(stage, destination),
	};
	return client_dials_as(stage, &flow);
}

/* Dials one endpoint of the service by its own address. */
static inline struct io_peer *client_dials_endpoint(struct stage *stage, const char *service,
						    const char *endpoint)
{
	struct weft_flow flow = {
		.destination = address_of(endpoint),
		.service_id = service_id_at(stage, service),
		.flags = WEFT_DESTINATION_READY | WEFT_DESTINATION_ENDPOINT,
	};
	return client_dials_as(stage, &flow);
}

static inline struct io_peer *client_connect(struct stage *stage, const char *destination)
{
	struct io_peer *client = client_dials(stage, destination);
	stage_settle(stage);
	return client;
}

/* The connection that has reached this endpoint; NULL = none. */
static inline struct io_peer *server_reached(struct stage *stage, const char *endpoint)
{
	struct weft_address address = address_of(endpoint);
	stage_settle(stage);
	return stage_peer(stage, io_double_reached(&address));
}

static inline size_t dials_to(const char *endpoint)
{
	struct weft_address address = address_of(endpoint);
	return io_double_dials(&address);
}

static inline void peer_sends(struct stage *stage, struct io_peer *peer, const char *text)
{
	io_peer_send(peer, span_text(text));
	stage_settle(stage);
}

/* ---- counters ---- */

static inline uint64_t counted(const struct stage *stage, enum weft_proxy_reason reason)
{
	return stage->worker.counts->reasons[reason];
}

static inline const struct weft_series *series_of(struct stage *stage, const char *service,
						  const char *endpoint)
{
	uint32_t slot = series_slot(&stage->series, span_text(service), span_text(endpoint));
	assert_int_not_equal(slot, SERIES_OVERFLOW);
	return series_row(&stage->series, 0, slot);
}

/* ---- closing ---- */

/* Nobody holds a place under a cap, or waits for one. */
static inline void stage_assert_no_places(struct stage *stage)
{
	const struct snapshot *snapshot = snapshot_current(stage->slot);
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct service *service = snapshot->services[i];
		struct node_service *shared = node_service(stage->node, service);
		assert_non_null(shared);
		assert_int_equal(shared->concurrency.active, 0);
		assert_int_equal(shared->concurrency.queued, 0);
		assert_int_equal(shared->heir, 0);
		for (uint32_t j = 0; j < service->endpoint_count; j++) {
			struct node_endpoint *entry =
				node_endpoint_at(stage->node, service->endpoints[j].id);
			assert_int_equal(entry ? entry->seats.active : 0, 0);
		}
	}
}

static inline void stage_assert_idle(struct stage *stage)
{
	struct worker *worker = &stage->worker;
	assert_int_equal(worker->counts->sessions, 0);
	assert_int_equal(worker->counts->upstreams, 0);
	assert_int_equal(worker->counts->upstreams_idle, 0);
	assert_int_equal(worker->blocks.in_use, 0);
	assert_int_equal(worker->blocks.bytes_in_use, 0);
	assert_true(list_is_empty(&worker->sessions));
	assert_true(list_is_empty(&worker->idle_upstreams));
	assert_true(list_is_empty(&worker->waiting_dials));
	assert_int_equal(balances_active(&worker->balances), 0);
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++) {
		const struct weft_series *row = series_row(&stage->series, 0, slot);
		uint64_t responses = 0;
		for (int i = 0; i < 6; i++)
			responses += row->responses[i];
		assert_int_equal(worker->series_users[slot], 0);
		assert_int_equal(row->requests_active, 0);
		assert_int_equal(row->requests, responses);
		assert_int_equal(row->connections_opened, row->connections_closed);
		assert_int_equal(row->tunnels_opened, row->tunnels_closed);
	}
}

/* Every peer leaves and nobody answers a dial any more; then nothing may be left. */
static inline void stage_empty(struct stage *stage)
{
	for (unsigned i = 0; i < array_count(stage_endpoints); i++) {
		endpoint_answers(stage_endpoints[i], IO_DOUBLE_REFUSES, 0);
		while (server_reached(stage, stage_endpoints[i]))
			; /* those that the scenario did not look at leave too */
	}
	for (unsigned i = 0; i < stage->peer_count; i++) {
		io_peer_window(stage->peers[i], UINT64_MAX);
		io_peer_finish(stage->peers[i]);
	}
	kernel_double_dry(false);
	stage_run(stage, 40 * NS_PER_S);
}

static inline void stage_close(struct stage *stage)
{
	mem_fail_nth(0);
	stage_assert_idle(stage);
	stage_assert_no_places(stage);
	worker_close(&stage->worker);
	assert_int_equal(stage->pods_left, 1);
	assert_int_equal(io_double_open_count(), 0);
	worker_fini(&stage->worker);
	node_free(stage->node);
	snapshot_free(stage->later);
	snapshot_slot_free(stage->slot);
	stock_pod_close(stage->stock, stage->pod);
	stock_close(stage->stock);
	kernel_close(stage->kernel);
	kernel_double_reset();
	io_double_reset();
	snapshot_reader_offline();
	assert_int_equal(mem_live(), stage->live_before);
}

#endif
