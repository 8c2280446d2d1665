#include "telemetry/series.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "telemetry/slots.h"

_Static_assert(sizeof(struct weft_series) % sizeof(__u64) == 0, "summed as an array of u64");
#define SERIES_WORDS (sizeof(struct weft_series) / sizeof(__u64))

static uint64_t counter_read(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void counter_set(__u64 *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* ---- start ---- */

static void row_close_books(struct weft_series *row)
{
	counter_set(&row->requests_active, 0);
	counter_set(&row->cost_ns, 0);
	counter_set(&row->connections_closed, counter_read(&row->connections_opened));
	counter_set(&row->tunnels_closed, counter_read(&row->tunnels_opened));
}

static void proxy_close_books(struct weft_proxy_counts *counts)
{
	counter_set(&counts->sessions, 0);
	counter_set(&counts->upstreams, 0);
	counter_set(&counts->upstreams_idle, 0);
	counter_set(&counts->blocks_in_use, 0);
	counter_set(&counts->block_bytes, 0);
}

void series_store_init(struct series_store *store, struct weft_series *rows,
		       struct weft_series_label *labels, struct weft_proxy_counts *proxy,
		       unsigned workers)
{
	assert(workers >= 1 && workers <= WEFT_WORKERS_MAX);
	*store = (struct series_store){
		.rows = rows,
		.labels = labels,
		.proxy = proxy,
		.workers = workers,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	slots_adopt(store);
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++) {
		if (slot_state(&labels[slot]) != WEFT_SERIES_READY)
			continue;
		for (unsigned worker = 0; worker < workers; worker++)
			row_close_books(series_row(store, worker, slot));
	}
	for (unsigned worker = 0; worker < WEFT_WORKERS_MAX; worker++)
		proxy_close_books(&proxy[worker]);
}

/* ---- reading ---- */

void series_sum(const struct series_store *store, uint32_t slot, struct weft_series *ret_sum)
{
	__u64 sum[SERIES_WORDS] = {0};
	for (unsigned worker = 0; worker < store->workers; worker++) {
		const __u64 *row = (const __u64 *)series_row(store, worker, slot);
		for (size_t i = 0; i < SERIES_WORDS; i++)
			sum[i] += counter_read(&row[i]);
	}
	memcpy(ret_sum, sum, sizeof(*ret_sum));
	ret_sum->cost_ns = ret_sum->cost_at_ns = 0;
}

uint64_t series_cost_us(const struct series_store *store, uint32_t slot, uint64_t now_ns,
			double decay_ns)
{
	double most_ns = 0;
	for (unsigned worker = 0; worker < store->workers; worker++) {
		const struct weft_series *row = series_row(store, worker, slot);
		uint64_t at_ns = counter_read(&row->cost_at_ns);
		double age_ns = now_ns > at_ns ? (double)(now_ns - at_ns) : 0;
		double cost_ns = (double)counter_read(&row->cost_ns) * exp(-age_ns / decay_ns);
		most_ns = cost_ns > most_ns ? cost_ns : most_ns;
	}
	return (uint64_t)(most_ns / 1000);
}

bool series_is_zero(const struct weft_series *sum)
{
	static const struct weft_series zero;
	return memcmp(sum, &zero, sizeof(zero)) == 0;
}

static int sample_order(const void *a, const void *b)
{
	const struct weft_series_label *left = ((const struct series_sample *)a)->label;
	const struct weft_series_label *right = ((const struct series_sample *)b)->label;
	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	int order = strcmp(left->service, right->service);
	return order ? order : strcmp(left->endpoint, right->endpoint);
}

static bool is_shown(const struct weft_series_label *label)
{
	return slot_state(label) == WEFT_SERIES_READY;
}

int series_collect(const struct series_store *store, struct series_sample **ret_samples,
		   size_t *ret_count)
{
	size_t room = 0;
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++)
		room += is_shown(&store->labels[slot]);
	struct series_sample *samples = mem_alloc((room + 1) * sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	size_t count = 0;
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX && count < room; slot++) {
		if (!is_shown(&store->labels[slot]))
			continue;
		samples[count].slot = slot;
		samples[count].label = &store->labels[slot];
		series_sum(store, slot, &samples[count].sum);
		count++;
	}
	qsort(samples, count, sizeof(*samples), sample_order);
	*ret_samples = samples;
	*ret_count = count;
	return 0;
}

size_t series_of_services(const struct series_sample *samples, size_t count)
{
	while (count > 0 && samples[count - 1].label->kind != WEFT_SERIES_SERVICE)
		count--;
	return count;
}
