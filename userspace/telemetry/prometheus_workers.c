/* The workers' half of the metrics page. */
#include "telemetry/prometheus.h"

#include <inttypes.h>

struct worker_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset; /* of the uint64_t in struct weft_proxy_counts */
};

#define FIELD(field) offsetof(struct weft_proxy_counts, field)

static const struct worker_family families[] = {
	{"weft_worker_loop_turns_total", "counter", "Turns of the worker's loop.",
	 FIELD(loop_turns)},
	{"weft_worker_accepted_connections_total", "counter", "Captured connections accepted.",
	 FIELD(accepted_connections)},
	{"weft_worker_sessions", "gauge", "Accepted connections that live.", FIELD(sessions)},
	{"weft_worker_upstreams", "gauge", "Connections to endpoints that live.", FIELD(upstreams)},
	{"weft_worker_upstreams_idle", "gauge", "Of these, waiting for a request.",
	 FIELD(upstreams_idle)},
	{"weft_worker_blocks", "gauge", "Buffers in use.", FIELD(blocks_in_use)},
	{"weft_worker_block_bytes", "gauge", "Bytes of the buffers in use.", FIELD(block_bytes)},
};

static uint64_t count_read(const struct weft_proxy_counts *counts, size_t offset)
{
	const void *at = (const char *)counts + offset;
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

static void add_nanoseconds(struct text *page, uint64_t ns)
{
	text_printf(page, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void add_reasons(const struct series_store *store, struct text *page)
{
	prometheus_family(page, "weft_proxy_reasons_total", "counter",
			  "Why the proxy joined, refused or ended something.");
	for (unsigned worker = 0; worker < store->workers; worker++) {
		for (unsigned reason = 0; reason < WEFT_PROXY_REASON_COUNT; reason++) {
			uint64_t count = count_read(&store->proxy[worker],
						    FIELD(reasons) + reason * sizeof(uint64_t));
			text_printf(page,
				    "weft_proxy_reasons_total{worker=\"%u\",reason=\"%s\"} %" PRIu64
				    "\n",
				    worker, proxy_reason_name((enum weft_proxy_reason)reason),
				    count);
		}
	}
}

static void add_busy(const struct series_store *store, struct text *page)
{
	prometheus_family(page, "weft_worker_busy_seconds_total", "counter",
			  "Time in which the worker's loop did not wait.");
	for (unsigned worker = 0; worker < store->workers; worker++) {
		text_printf(page, "weft_worker_busy_seconds_total{worker=\"%u\"} ", worker);
		add_nanoseconds(page, count_read(&store->proxy[worker], FIELD(loop_busy_ns)));
	}
}

static void add_heartbeats(const struct series_store *store, const uint64_t *heartbeats,
			   uint64_t now_ns, struct text *page)
{
	prometheus_family(page, "weft_worker_heartbeat_age_seconds", "gauge",
			  "Since the worker's last sign of life; at 2 it counts as dead.");
	for (unsigned worker = 0; worker < store->workers; worker++) {
		uint64_t beat_ns = __atomic_load_n(&heartbeats[worker], __ATOMIC_RELAXED);
		text_printf(page, "weft_worker_heartbeat_age_seconds{worker=\"%u\"} ", worker);
		add_nanoseconds(page, beat_ns < now_ns ? now_ns - beat_ns : 0);
	}
}

void prometheus_workers(const struct series_store *store, const uint64_t *heartbeats,
			uint64_t now_ns, struct text *page)
{
	for (size_t i = 0; i < array_count(families); i++) {
		prometheus_family(page, families[i].name, families[i].type, families[i].help);
		for (unsigned worker = 0; worker < store->workers; worker++)
			text_printf(page, "%s{worker=\"%u\"} %" PRIu64 "\n", families[i].name,
				    worker, count_read(&store->proxy[worker], families[i].offset));
	}
	add_busy(store, page);
	add_reasons(store, page);
	add_heartbeats(store, heartbeats, now_ns, page);
}
