/*
 * What the metric store held when this weftd started: the store outlives weftd, but "since start"
 * must not count what an earlier one saw. Owner: the admin; one thread.
 */
#ifndef ADMIN_BASELINE_H
#define ADMIN_BASELINE_H

#include "telemetry/series.h"

struct baseline {
	const struct series_store *store;
	struct series_sample *samples; /* sorted by slot; only what is not all zero */
	size_t count;
};

/* 0 or -ENOMEM. */
int baseline_init(struct baseline *baseline, const struct series_store *store) MUST_CHECK;
void baseline_fini(struct baseline *baseline);
/* Counters of a slot since the start; gauges as they are. */
void baseline_subtract(const struct baseline *baseline, uint32_t slot, struct weft_series *sum);

#endif
