/*
 * The metric store as a Prometheus text page (exposition format 0.0.4). Pure: memory in, text out.
 * Any thread.
 */
#ifndef TELEMETRY_PROMETHEUS_H
#define TELEMETRY_PROMETHEUS_H

#include "base/text.h"
#include "telemetry/series.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* HELP and TYPE of a family; `type` is counter, gauge or histogram. Its samples follow at once. */
void prometheus_family(struct text *page, const char *name, const char *type, const char *help);
/* name="value", escaped. */
void prometheus_label(struct text *page, const char *name, struct span value);

/* Every ready series: a service's total has no endpoint label, a route's rule has `rule`. */
void prometheus_series(const struct series_store *store, struct text *page);
/* Per worker: reasons, loop, gauges; `heartbeats` [store->workers] in CLOCK_MONOTONIC nanoseconds,
 * 0 = never beaten. */
void prometheus_workers(const struct series_store *store, const uint64_t *heartbeats,
			uint64_t now_ns, struct text *page);

#endif
