/*
 * The metric store: counters and histograms in memory that is a BPF map's (include/weft/maps.h), so
 * that bpftool reads them even after weftd is gone. A worker writes only its own row with plain
 * stores; anybody sums over the rows. A label has its slot until its owner gives it back.
 */
#ifndef TELEMETRY_SERIES_H
#define TELEMETRY_SERIES_H

#include <pthread.h>

#include "base/attr.h"
#include "base/span.h"
#include "base/text.h"
#include "weft/maps.h"

#define SERIES_OVERFLOW 0u /* slot that counts what found no slot; labelled service "overflow" */

struct series_store {
	struct weft_series *rows; /* [workers * WEFT_SERIES_MAX] */
	struct weft_series_label *labels;
	struct weft_proxy_counts *proxy; /* [WEFT_WORKERS_MAX] */
	unsigned workers;
	pthread_mutex_t lock;           /* of whoever changes a slot's state: rare, and short */
	unsigned claimed;               /* slots that have a label */
	bool is_spare[WEFT_SERIES_MAX]; /* by series_slot_spare, or of an earlier weftd */
	bool was_given_back[WEFT_SERIES_MAX]; /* since series_store_init */
};

/*
 * Claims SERIES_OVERFLOW. What a weftd that died left open is closed in the books: gauges become 0,
 * opened connections and tunnels count as closed; a slot that it was claiming is vacant.
 */
void series_store_init(struct series_store *store, struct weft_series *rows,
		       struct weft_series_label *labels, struct weft_proxy_counts *proxy,
		       unsigned workers);
/* The slot of this label, claimed if it is new; any thread. endpoint "" = the service's total.
 * SERIES_OVERFLOW when the table is full. Labels longer than the field are cut. */
uint32_t series_slot(struct series_store *store, struct span service, struct span endpoint);
/*
 * The slot of a route's rule, `rule` being its name or number; any thread. SERIES_OVERFLOW when
 * three quarters of all slots have a label: the rest is for services.
 */
uint32_t series_slot_route(struct series_store *store, struct span route, struct span rule);
/* Only if a slot has this label already, also one that is retired. */
bool series_find_route(const struct series_store *store, struct span route, struct span rule,
		       uint32_t *ret_slot);
/* Only if a slot has this label already. */
bool series_find(struct series_store *store, struct span service, struct span endpoint,
		 uint32_t *ret_slot);
/* NULL: nothing has this slot. For the thread that gives slots back; the label is in the store. */
const struct weft_series_label *series_label(const struct series_store *store, uint32_t slot);
/* For names that an app may invent by dialling: they get no slot of the last quarter, which is kept
 * for services. */
uint32_t series_slot_spare(struct series_store *store, struct span service);
/* Three quarters of all slots have a label. */
bool series_is_crowded(const struct series_store *store);

/*
 * Giving back, in two steps of one thread. Retire: who asks for the label of an unused slot from
 * now on is seen, as the slot becomes ready again. Then the caller waits until every thread that
 * might still hold a slot's number has marked it as used or let go of it, and looks again which are
 * used. Settle: what is still retired and unused is zeroed and vacant, the rest is ready again.
 * Slots of series_slot_spare stay while the store is not crowded. Retire returns how many.
 */
unsigned series_retire(struct series_store *store, const bool used[WEFT_SERIES_MAX]) MUST_CHECK;
void series_settle(struct series_store *store, const bool used[WEFT_SERIES_MAX]);
/* A worker's own counters of a slot. */
static inline struct weft_series *series_row(const struct series_store *store, unsigned worker,
					     uint32_t slot)
{
	return &store->rows[(size_t)worker * WEFT_SERIES_MAX + slot];
}
/*
 * How a worker counts in its own row: a plain add for the machine, but whole for anybody who reads
 * meanwhile (relaxed load and store, no lock prefix).
 */
static inline void series_add(__u64 *counter, uint64_t amount)
{
	uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);
	__atomic_store_n(counter, now + amount, __ATOMIC_RELAXED);
}
/* Index into latency_buckets. */
unsigned latency_bucket(uint64_t microseconds);
/* A worker's estimate of what a request costs at the row's endpoint. */
static inline void series_tell_cost(struct weft_series *row, uint64_t cost_ns, uint64_t now_ns)
{
	__atomic_store_n(&row->cost_ns, cost_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&row->cost_at_ns, now_ns, __ATOMIC_RELAXED);
}
/* The highest of the workers' estimates in microseconds, each faded by exp(-age / decay_ns) as
 * theirs do (policy/balance_ewma.h); 0 = nothing is known. */
uint64_t series_cost_us(const struct series_store *store, uint32_t slot, uint64_t now_ns,
			double decay_ns);
/* Sum of one slot over all workers; cost_ns and cost_at_ns are 0. */
void series_sum(const struct series_store *store, uint32_t slot, struct weft_series *ret_sum);

/* Nothing was counted and nothing is under way. */
bool series_is_zero(const struct weft_series *sum);

/* One series as read at one moment. */
struct series_sample {
	uint32_t slot;
	const struct weft_series_label *label; /* in the store */
	struct weft_series sum;
};
/* Every ready series, services before routes, sorted by service, then endpoint (so a service's
 * total comes first); gaps are left out. The caller frees with mem_free. 0 or -ENOMEM. */
int series_collect(const struct series_store *store, struct series_sample **ret_samples,
		   size_t *ret_count) MUST_CHECK;
/* How many of the collected are of services and endpoints: the first ones. */
size_t series_of_services(const struct series_sample *samples, size_t count);

/* Upper bound of a bucket in microseconds; UINT64_MAX for the last. */
uint64_t latency_bound_us(unsigned bucket);
/* Quantile (0..1) in microseconds; false when nothing was measured. */
bool latency_quantile_us(const __u64 buckets[WEFT_LATENCY_BUCKETS], double quantile,
			 uint64_t *ret_us);

const char *proxy_reason_name(enum weft_proxy_reason reason);
const char *proxy_reason_help(enum weft_proxy_reason reason);

#endif
