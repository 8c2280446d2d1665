/* Two workers in threads of their own: orders, what they tell back, the end. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/double.h"
#include "kernel/double.h"
#include "model/builder.h"
#include "model/keys.h"
#include "proxy/workers.h"

#define WORKERS    2
#define DEADLINE_S 20 /* for what takes milliseconds */

struct crew {
	struct kernel *kernel;
	struct stock *stock;
	struct stock_pod *pod_stock;
	struct stock_listeners listeners;
	struct series_store series;
	struct snapshot_slot *slot;
	struct workers *workers;
	atomic_uint served;
	atomic_uint left;
};

static void on_served(void *owner, uint32_t pod_id, unsigned worker)
{
	struct crew *crew = owner;
	assert_int_equal(pod_id, 1);
	assert_in_range(worker, 0, WORKERS - 1);
	atomic_fetch_add(&crew->served, 1);
}

static void on_left(void *owner, uint32_t pod_id, unsigned worker)
{
	struct crew *crew = owner;
	assert_int_equal(pod_id, 1);
	assert_in_range(worker, 0, WORKERS - 1);
	atomic_fetch_add(&crew->left, 1);
}

static void wait_for(atomic_uint *count, unsigned wanted)
{
	time_t end = time(NULL) + DEADLINE_S;
	while (atomic_load(count) < wanted && time(NULL) < end)
		sched_yield();
	assert_int_equal(atomic_load(count), wanted);
}

static int new_socket(sa_family_t family)
{
	(void)family;
	return io_double_socket();
}

static int new_listener(sa_family_t family, __be16 port)
{
	(void)family;
	(void)port;
	return io_double_listener();
}

static void crew_publish(struct crew *crew)
{
	struct pod_draft pod = {.name = "client", .netns_path = "/run/netns/c", .cgroup_path = ""};
	struct draft draft = {.pods = {1, &pod}};
	struct build_options options = {.previous = snapshot_current(crew->slot)};
	struct snapshot *snapshot;
	keys_set_defaults(NULL, &draft);
	draft.pods = (struct draft_list){1, &pod};
	assert_int_equal(snapshot_build(&draft, &options, &snapshot), 0);
	snapshot_publish(crew->slot, snapshot);
}

static void crew_open(struct crew *crew)
{
	struct kernel_options kernel_options = {.workers = WORKERS};
	struct text why = {0};
	*crew = (struct crew){0};
	log_set_level(LOG_LEVEL_ERROR);
	io_double_reset(); /* a test that failed left something */
	kernel_double_reset();
	kernel_double_socket = new_socket;
	kernel_double_listener = new_listener;
	assert_int_equal(kernel_open(&kernel_options, &why, &crew->kernel), 0);
	struct stock_options stock_options = {
		.kernel = crew->kernel, .workers = WORKERS, .depth = 8};
	assert_int_equal(stock_open(&stock_options, &crew->stock), 0);
	struct stock_place place = {.netns_path = "/run/netns/c"};
	assert_int_equal(
		stock_pod_open(crew->stock, 1, &place, &why, &crew->pod_stock, &crew->listeners),
		0);
	series_store_init(&crew->series, kernel_series(crew->kernel),
			  kernel_series_labels(crew->kernel), kernel_proxy_counts(crew->kernel),
			  WORKERS);
	crew->slot = snapshot_slot_new();
	crew_publish(crew);
	struct workers_options options = {
		.count = WORKERS,
		.kernel = crew->kernel,
		.slot = crew->slot,
		.series = &crew->series,
		.heartbeats = kernel_heartbeats(crew->kernel),
		.owner = crew,
		.pod_served = on_served,
		.pod_left = on_left,
	};
	assert_int_equal(workers_open(&options, &why, &crew->workers), 0);
}

static void crew_close(struct crew *crew)
{
	workers_close(crew->workers);
	assert_int_equal(io_double_open_count(), 0);
	snapshot_slot_free(crew->slot);
	stock_pod_close(crew->stock, crew->pod_stock);
	stock_close(crew->stock);
	kernel_close(crew->kernel);
	kernel_double_reset();
	io_double_reset();
}

static void crew_add_pod(struct crew *crew)
{
	const struct snapshot *snapshot = snapshot_current(crew->slot);
	workers_pod_added(crew->workers, snapshot->pods[0], crew->pod_stock, &crew->listeners);
	wait_for(&crew->served, WORKERS);
}

static void a_pod_is_served_and_left_by_every_worker(void **state)
{
	struct crew crew;
	(void)state;
	crew_open(&crew);
	crew_add_pod(&crew);
	workers_pod_removing(crew.workers, 1, 1000000000);
	wait_for(&crew.left, WORKERS);
	crew_close(&crew);
	assert_int_equal(crew.left, WORKERS);
}

static void the_end_leaves_the_pods_too(void **state)
{
	struct crew crew;
	(void)state;
	crew_open(&crew);
	crew_add_pod(&crew);
	crew_close(&crew);
	assert_int_equal(crew.left, WORKERS);
}

static void snapshots_may_change_at_any_time(void **state)
{
	struct crew crew;
	(void)state;
	crew_open(&crew);
	crew_add_pod(&crew);
	for (int i = 0; i < 50; i++)
		crew_publish(&crew);
	crew_close(&crew);
}

static void workers_beat(void **state)
{
	struct crew crew;
	(void)state;
	crew_open(&crew);
	crew_add_pod(&crew);
	for (unsigned i = 0; i < WORKERS; i++) {
		uint64_t *beat = &kernel_heartbeats(crew.kernel)[i];
		uint64_t first = __atomic_load_n(beat, __ATOMIC_RELAXED);
		time_t end = time(NULL) + DEADLINE_S;
		while (__atomic_load_n(beat, __ATOMIC_RELAXED) == first && time(NULL) < end)
			sched_yield();
		assert_int_not_equal(__atomic_load_n(beat, __ATOMIC_RELAXED), first);
	}
	crew_close(&crew);
}

/* ---- connections, seen from another thread ---- */

static const struct span all_pods;

struct page {
	bool has_come;
	unsigned connections;
};

static void on_page(void *request, const char *json)
{
	struct page *page = request;
	page->has_come = true;
	assert_non_null(json);
	for (const char *at = strstr(json, "{\"pod\":"); at; at = strstr(at + 1, "{\"pod\":"))
		page->connections++;
}

static unsigned connections_now(struct crew *crew)
{
	struct io_options options = {.entries = 8};
	struct io_ring *ring;
	struct page page = {0};
	time_t end = time(NULL) + DEADLINE_S;
	assert_int_equal(io_ring_open(&options, &ring), 0);
	workers_connections(crew->workers, ring, all_pods, on_page, &page);
	while (!page.has_come && time(NULL) < end)
		io_turn(ring, 0);
	assert_true(page.has_come);
	io_ring_close(ring);
	return page.connections;
}

static void wait_for_connections(struct crew *crew, unsigned wanted)
{
	time_t end = time(NULL) + DEADLINE_S;
	unsigned now = connections_now(crew);
	while (now != wanted && time(NULL) < end)
		now = connections_now(crew);
	assert_int_equal(now, wanted);
}

static struct io_peer *dial(struct crew *crew, unsigned worker, const char *from)
{
	struct weft_flow flow = {.pod_id = 1};
	assert_int_equal(address_parse(span_text("192.0.2.1:99"), &flow.destination), 0);
	assert_int_equal(address_parse(span_text(from), &flow.app), 0);
	io_double_address(&flow.destination, IO_DOUBLE_ACCEPTS, 0);
	kernel_double_flow_next(&flow);
	return io_double_arrives(crew->listeners.fd4[worker][0], &flow.app);
}

static void connections_of_all_workers_are_shown(void **state)
{
	struct crew crew;
	(void)state;
	crew_open(&crew);
	crew_add_pod(&crew);
	wait_for_connections(&crew, 0);
	struct io_peer *first = dial(&crew, 0, "10.0.0.9:1");
	struct io_peer *second = dial(&crew, 1, "10.0.0.9:2");
	wait_for_connections(&crew, 2);
	io_peer_reset(first);
	wait_for_connections(&crew, 1);
	io_peer_reset(second);
	wait_for_connections(&crew, 0);
	crew_close(&crew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_served_and_left_by_every_worker),
		cmocka_unit_test(the_end_leaves_the_pods_too),
		cmocka_unit_test(snapshots_may_change_at_any_time),
		cmocka_unit_test(workers_beat),
		cmocka_unit_test(connections_of_all_workers_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
