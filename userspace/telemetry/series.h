/*
 * The metric store: counters and histograms in memory that is a BPF map's (include/weft/maps.h), so
 * that bpftool reads them even after weftd is gone. A worker writes only its own row with plain
 * stores; anybody sums over the rows. Labels are claimed without a lock and kept for as long as the
 * maps live.
 */
#ifndef TELEMETRY_SERIES_H
#define TELEMETRY_SERIES_H

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
};

/* Claims SERIES_OVERFLOW; gauges of a weftd that died are set to 0. */
void series_store_init(struct series_store *store, struct weft_series *rows,
		       struct weft_series_label *labels, struct weft_proxy_counts *proxy,
		       unsigned workers);
/* The slot of this label, claimed if it is new; any thread. endpoint "" = the service's total.
 * SERIES_OVERFLOW when the table is full. Labels longer than the field are cut. */
uint32_t series_slot(struct series_store *store, struct span service, struct span endpoint);
/* A worker's own counters of a slot. */
static inline struct weft_series *series_row(const struct series_store *store, unsigned worker,
					     uint32_t slot)
{
	return &store->rows[(size_t)worker * WEFT_SERIES_MAX + slot];
}
/* Index into latency_buckets. */
unsigned latency_bucket(uint64_t microseconds);
/* Sum of one slot over all workers. */
void series_sum(const struct series_store *store, uint32_t slot, struct weft_series *ret_sum);
/* Quantile (0..1) in microseconds, linear inside the bucket; 0 when there is nothing. The last
 * bucket has no upper bound: its lower bound is returned. */
uint64_t latency_quantile_us(const uint64_t buckets[WEFT_LATENCY_BUCKETS], double quantile);

const char *proxy_reason_name(enum weft_proxy_reason reason);
const char *proxy_reason_help(enum weft_proxy_reason reason);

#endif
