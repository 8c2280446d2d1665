#include "telemetry/series.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/mem.h"

_Static_assert(sizeof(struct weft_series) % sizeof(__u64) == 0, "summed as an array of u64");
#define SERIES_WORDS (sizeof(struct weft_series) / sizeof(__u64))
#define SPARE_SLOTS  (WEFT_SERIES_MAX / 4 * 3) /* that series_slot_spare may fill */

static uint64_t counter_read(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void counter_set(__u64 *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static uint32_t label_state(const struct weft_series_label *label)
{
	return __atomic_load_n(&label->state, __ATOMIC_ACQUIRE);
}

static void label_publish(struct weft_series_label *label)
{
	__atomic_store_n(&label->state, WEFT_SERIES_READY, __ATOMIC_RELEASE);
}

/* ---- claiming ---- */

/* FNV-1a over both names with a separator that neither holds. */
static uint32_t label_hash(struct span service, struct span endpoint)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < service.size; i++)
		hash = (hash ^ (unsigned char)service.data[i]) * 16777619u;
	hash = (hash ^ 0xff) * 16777619u;
	for (size_t i = 0; i < endpoint.size; i++)
		hash = (hash ^ (unsigned char)endpoint.data[i]) * 16777619u;
	return hash;
}

/* What fits the field, without half a UTF-8 sequence at the end, without a NUL inside. */
static struct span label_cut(struct span name, size_t room)
{
	const char *nul = name.size ? memchr(name.data, 0, name.size) : NULL;
	if (nul)
		name.size = (size_t)(nul - name.data);
	if (name.size < room)
		return name;
	size_t size = room - 1;
	while (size > 0 && ((unsigned char)name.data[size] & 0xc0) == 0x80)
		size--;
	return span_of(name.data, size);
}

static bool label_is(const struct weft_series_label *label, uint32_t hash, struct span service,
		     struct span endpoint)
{
	return label->hash == hash && span_is(service, label->service) &&
	       span_is(endpoint, label->endpoint);
}

static void label_write(struct weft_series_label *label, uint32_t hash, struct span service,
			struct span endpoint)
{
	label->hash = hash;
	memset(label->service, 0, sizeof(label->service));
	memset(label->endpoint, 0, sizeof(label->endpoint));
	memcpy(label->service, service.data, service.size);
	if (endpoint.size)
		memcpy(label->endpoint, endpoint.data, endpoint.size);
}

/* True when this caller made it: then it writes the label and publishes it. */
static bool label_claim(struct weft_series_label *label)
{
	uint32_t expected = WEFT_SERIES_FREE;
	return __atomic_compare_exchange_n(&label->state, &expected, WEFT_SERIES_CLAIMED, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static uint32_t slot_find(struct series_store *store, struct span service, struct span endpoint,
			  bool may_claim)
{
	service = label_cut(service, WEFT_NAME_MAX);
	endpoint = label_cut(endpoint, WEFT_ENDPOINT_MAX);
	if (service.size == 0)
		return SERIES_OVERFLOW;
	uint32_t hash = label_hash(service, endpoint);
	uint32_t at = hash % WEFT_SERIES_MAX;
	for (unsigned tried = 0; tried < WEFT_SERIES_MAX; tried++) {
		uint32_t slot = (at + tried) % WEFT_SERIES_MAX;
		struct weft_series_label *label = &store->labels[slot];
		if (slot == SERIES_OVERFLOW)
			continue;
		if (!may_claim && label_state(label) == WEFT_SERIES_FREE)
			return SERIES_OVERFLOW;
		if (label_state(label) == WEFT_SERIES_FREE && label_claim(label)) {
			label_write(label, hash, service, endpoint);
			label_publish(label);
			__atomic_add_fetch(&store->claimed, 1, __ATOMIC_RELAXED);
			return slot;
		}
		/* Another thread is between claim and publication: a few stores. It may be the
		 * very label that is asked for, so stepping over it could claim it twice. */
		while (label_state(label) != WEFT_SERIES_READY)
			sched_yield();
		if (label_is(label, hash, service, endpoint))
			return slot;
	}
	return SERIES_OVERFLOW;
}

uint32_t series_slot(struct series_store *store, struct span service, struct span endpoint)
{
	return slot_find(store, service, endpoint, true);
}

uint32_t series_slot_spare(struct series_store *store, struct span service)
{
	unsigned claimed = __atomic_load_n(&store->claimed, __ATOMIC_RELAXED);
	return slot_find(store, service, span_text(""), claimed < SPARE_SLOTS);
}

/* ---- start ---- */

static void row_close_books(struct weft_series *row)
{
	counter_set(&row->requests_active, 0);
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
		.rows = rows, .labels = labels, .proxy = proxy, .workers = workers};
	struct weft_series_label *overflow = &labels[SERIES_OVERFLOW];
	label_write(overflow, 0, span_text("overflow"), span_text(""));
	label_publish(overflow);

	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++) {
		uint32_t state = label_state(&labels[slot]);
		store->claimed += state != WEFT_SERIES_FREE;
		if (state == WEFT_SERIES_CLAIMED) {
			/* Its owner died half-way. Free again, it would cut probe chains that lead
			 * over it; an empty name matches nothing. */
			label_write(&labels[slot], 0, span_text(""), span_text(""));
			label_publish(&labels[slot]);
		}
		if (state != WEFT_SERIES_READY)
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
	int order = strcmp(left->service, right->service);
	return order ? order : strcmp(left->endpoint, right->endpoint);
}

static bool is_shown(const struct weft_series_label *label)
{
	return label_state(label) == WEFT_SERIES_READY && label->service[0];
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
