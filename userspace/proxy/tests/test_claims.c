/* Workers that claim slots of the metric store while snapshots change and slots are swept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/builder.h"
#include "model/keys.h"
#include "model/publish.h"
#include "proxy/orders.h"

#define WORKERS   2
#define SERVICES  20
#define ENDPOINTS 5
#define TURNS     100000

static struct weft_series rows[WORKERS * WEFT_SERIES_MAX];
static struct weft_series_label labels[WEFT_SERIES_MAX];
static struct weft_proxy_counts counts[WEFT_WORKERS_MAX];

static struct {
	struct series_store store;
	struct snapshot_slot *slot;
	struct worker workers[WORKERS];
	uint64_t tallies[WORKERS][SERVICES][ENDPOINTS + 1]; /* the last: of the service */
	atomic_uint ended;
} crew;

/* ---- in the place of workers.c ---- */

void workers_told_start(struct workers *workers, int error)
{
	(void)workers;
	(void)error;
	fail();
}

void workers_told_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)workers;
	(void)pod_id;
	(void)worker;
	fail();
}

void workers_told_not_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)workers;
	(void)pod_id;
	(void)worker;
	fail();
}

void workers_told_left(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	(void)workers;
	(void)pod_id;
	(void)worker;
	fail();
}

void workers_told_wanted(struct workers *workers, struct span service)
{
	(void)workers;
	(void)service;
	fail();
}

unsigned workers_count(const struct workers *workers)
{
	(void)workers;
	return WORKERS;
}

struct worker *workers_at(struct workers *workers, unsigned index)
{
	(void)workers;
	return &crew.workers[index];
}

/* ---- snapshots, and workers that count ---- */

static uint32_t slot_if_known(void *owner, struct span service, struct span endpoint,
			      bool must_claim)
{
	uint32_t slot;
	assert_false(must_claim);
	return series_find(owner, service, endpoint, &slot) ? slot : SERIES_UNCLAIMED;
}

/* Services of a cluster, with weights that differ from the last time. */
static void publish(struct rng *rng)
{
	static struct endpoint_draft endpoints[SERVICES][ENDPOINTS];
	static char names[SERVICES][16];
	struct service_draft drafts[SERVICES];
	struct draft draft = {0};
	const struct build_options options = {
		.previous = snapshot_current(crew.slot),
		.series = slot_if_known,
		.series_owner = &crew.store,
	};
	struct snapshot *next;
	keys_set_defaults(NULL, &draft);
	for (uint32_t i = 0; i < SERVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "service-%02u", i);
		for (uint32_t j = 0; j < ENDPOINTS; j++)
			endpoints[i][j] = (struct endpoint_draft){
				.weight = 1 + rng_below(rng, 2),
				.address = {.ip = {[15] = (uint8_t)(1 + j)}},
			};
		drafts[i] = (struct service_draft){
			.name = names[i],
			.may_be_left_out = true,
			.endpoints = {.count = ENDPOINTS, .items = endpoints[i]},
		};
	}
	draft.services = (struct draft_list){SERVICES, drafts};
	assert_int_equal(snapshot_build(&draft, &options, &next), 0);
	snapshot_publish(crew.slot, next);
}

static void count(struct worker *worker, uint32_t slot)
{
	worker_series_use(worker, slot, 1);
	series_add(&worker_row(worker, slot)->requests, 1);
	worker_series_use(worker, slot, -1);
}

/* One request to any endpoint of any service. */
static void turn(struct worker *worker, struct rng *rng)
{
	const struct snapshot *snapshot = snapshot_current(crew.slot);
	uint32_t at = rng_below(rng, SERVICES);
	const struct service *service = snapshot->services[at];
	const struct endpoint *endpoint = &service->endpoints[rng_below(rng, ENDPOINTS)];
	count(worker, worker_service_series(worker, service));
	count(worker, worker_endpoint_series(worker, service, endpoint));
	crew.tallies[worker->index][at][endpoint->address.ip[15] - 1]++;
	crew.tallies[worker->index][at][ENDPOINTS]++;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct rng rng;
	rng_init(&rng, worker->index);
	snapshot_reader_register();
	for (unsigned i = 0; i < TURNS; i++) {
		snapshot_reader_online();
		turn(worker, &rng);
		snapshot_reader_offline();
	}
	snapshot_reader_unregister();
	atomic_fetch_add(&crew.ended, 1);
	return NULL;
}

static uint64_t requests_of(const char *service, const char *endpoint)
{
	struct weft_series sum;
	uint32_t slot;
	assert_true(series_find(&crew.store, span_text(service), span_text(endpoint), &slot));
	assert_int_not_equal(slot, SERIES_OVERFLOW);
	series_sum(&crew.store, slot, &sum);
	return sum.requests;
}

static void check_service(uint32_t at)
{
	const struct service *service = snapshot_current(crew.slot)->services[at];
	uint64_t wanted[ENDPOINTS + 1] = {0};
	for (unsigned i = 0; i < WORKERS; i++) {
		for (uint32_t j = 0; j <= ENDPOINTS; j++)
			wanted[j] += crew.tallies[i][at][j];
	}
	assert_int_equal(requests_of(service->name, ""), wanted[ENDPOINTS]);
	for (uint32_t j = 0; j < ENDPOINTS; j++) {
		const struct endpoint *endpoint = &service->endpoints[j];
		assert_int_equal(requests_of(service->name, endpoint->text),
				 wanted[endpoint->address.ip[15] - 1]);
	}
}

static void no_request_is_lost_or_counted_elsewhere(void **state)
{
	pthread_t threads[WORKERS];
	struct rng rng;
	(void)state;
	rng_init(&rng, 7);
	series_store_init(&crew.store, rows, labels, counts, WORKERS);
	crew.slot = snapshot_slot_new();
	publish(&rng);
	for (unsigned i = 0; i < WORKERS; i++) {
		crew.workers[i].index = i;
		crew.workers[i].series = &crew.store;
		crew.workers[i].slot = crew.slot;
		assert_int_equal(pthread_create(&threads[i], NULL, work, &crew.workers[i]), 0);
	}
	while (atomic_load(&crew.ended) < WORKERS) {
		publish(&rng);
		workers_sweep_series(NULL);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	workers_sweep_series(NULL);
	for (uint32_t i = 0; i < SERVICES; i++)
		check_service(i);
	snapshot_slot_free(crew.slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_request_is_lost_or_counted_elsewhere),
	};
	long live = mem_live();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed ? failed : mem_live() != live;
}
