#include "proxy/edges.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "proxy/ask.h"
#include "proxy/session.h"
#include "telemetry/series.h"

/* ---- counting ---- */

void edges_init(struct edges *edges)
{
	*edges = (struct edges){.overflow = {.destination = EDGES_OVERFLOW}};
	list_init(&edges->list);
	list_init(&edges->overflow.link);
}

void edges_fini(struct edges *edges)
{
	list_each (&edges->list, link)
		mem_free(list_entry(link, struct edge, link));
}

static struct edge *edge_new(struct edges *edges, const char *destination)
{
	struct edge *edge = edges->count < EDGES_MOST ? mem_zalloc(sizeof(*edge)) : NULL;
	if (!edge)
		return &edges->overflow;
	snprintf(edge->destination, sizeof(edge->destination), "%s", destination);
	list_add_first(&edges->list, &edge->link);
	edges->count++;
	return edge;
}

static struct edge *edge_find(struct edges *edges, const char *destination)
{
	list_each (&edges->list, link) {
		struct edge *edge = list_entry(link, struct edge, link);
		if (strcmp(edge->destination, destination) != 0)
			continue;
		list_remove(link);
		list_add_first(&edges->list, link);
		return edge;
	}
	return edge_new(edges, destination);
}

struct edge *edge_take(struct edges *edges, const char *destination)
{
	struct edge *edge = edge_find(edges, destination);
	edge->counts.connections++;
	edge->counts.active++;
	return edge;
}

void edge_give(struct edge *edge, uint64_t sent_bytes, uint64_t received_bytes)
{
	edge->counts.active--;
	edge->counts.sent_bytes += sent_bytes;
	edge->counts.received_bytes += received_bytes;
}

void edge_answered(struct edge *edge, unsigned status, uint64_t latency_us)
{
	edge->counts.requests++;
	edge->counts.failed_requests += status < 100 || status >= 500;
	edge->counts.latency_buckets[latency_bucket(latency_us)]++;
}

void edge_refused(struct edge *edge)
{
	edge->counts.requests++;
}

/* ---- a worker's part: rows as they are, the pod's name with each ---- */

struct edge_row {
	char pod[WEFT_NAME_MAX];
	char destination[WEFT_NAME_MAX];
	struct edge_counts counts;
};

static void add_row(struct text *part, const struct worker_pod *pod, struct edge *edge)
{
	struct edge_row row = {.counts = edge->counts};
	row.counts.sent_bytes += edge->open_sent_bytes;
	row.counts.received_bytes += edge->open_received_bytes;
	edge->open_sent_bytes = edge->open_received_bytes = 0;
	if (edge->counts.connections == 0)
		return;
	memcpy(row.pod, pod->name, sizeof(row.pod));
	memcpy(row.destination, edge->destination, sizeof(row.destination));
	text_add(part, span_of((const char *)&row, sizeof(row)));
}

static bool write_edges(struct worker *worker, const char *pod_name, struct ask_place *place,
			struct text *part)
{
	(void)place; /* rows are as many as names, not as connections */
	list_each (&worker->sessions, link) {
		struct session *session = list_entry(link, struct session, link);
		if (!ask_is_about(pod_name, session->pod))
			continue;
		session->edge->open_sent_bytes += session->client.bytes_received;
		session->edge->open_received_bytes += session->client.bytes_sent;
	}
	list_each (&worker->pods, pod_link) {
		struct worker_pod *pod = list_entry(pod_link, struct worker_pod, link);
		if (!ask_is_about(pod_name, pod))
			continue;
		list_each (&pod->edges.list, link)
			add_row(part, pod, list_entry(link, struct edge, link));
		add_row(part, pod, &pod->edges.overflow);
	}
	return false;
}

/* ---- all parts: the same edge of several workers is one ---- */

static int compare_rows(const void *a, const void *b)
{
	const struct edge_row *x = a;
	const struct edge_row *y = b;
	int order = strcmp(x->pod, y->pod);
	return order ? order : strcmp(x->destination, y->destination);
}

static void counts_add(struct edge_counts *sum, const struct edge_counts *more)
{
	sum->connections += more->connections;
	sum->active += more->active;
	sum->tunnels += more->tunnels;
	sum->failed += more->failed;
	sum->requests += more->requests;
	sum->failed_requests += more->failed_requests;
	sum->sent_bytes += more->sent_bytes;
	sum->received_bytes += more->received_bytes;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		sum->latency_buckets[i] += more->latency_buckets[i];
}

static void print_quantile(struct text *json, const char *key, const struct edge_counts *counts,
			   double quantile)
{
	uint64_t us;
	if (latency_quantile_us(counts->latency_buckets, quantile, &us))
		text_printf(json, ",\"%s\":%" PRIu64, key, us);
	else
		text_printf(json, ",\"%s\":null", key);
}

static void print_row(const struct edge_row *row, struct text *json)
{
	const struct edge_counts *counts = &row->counts;
	text_add(json, span_text(json->size > 1 ? ",{\"source\":" : "{\"source\":"));
	text_json_string(json, span_text(row->pod));
	text_add(json, span_text(",\"destination\":"));
	text_json_string(json, span_text(row->destination));
	text_printf(json,
		    ",\"connections\":%" PRIu64 ",\"connections_active\":%" PRIu64
		    ",\"connections_failed\":%" PRIu64 ",\"tunnels\":%" PRIu64
		    ",\"requests\":%" PRIu64 ",\"requests_failed\":%" PRIu64,
		    counts->connections, counts->active, counts->failed, counts->tunnels,
		    counts->requests, counts->failed_requests);
	print_quantile(json, "p50_us", counts, 0.5);
	print_quantile(json, "p99_us", counts, 0.99);
	text_printf(json, ",\"sent_bytes\":%" PRIu64 ",\"received_bytes\":%" PRIu64 "}",
		    counts->sent_bytes, counts->received_bytes);
}

static void print_sums(struct edge_row *rows, size_t count, struct text *json)
{
	text_add(json, span_text("["));
	if (count > 1)
		qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i < count; i++) {
		size_t first = i;
		while (i + 1 < count && compare_rows(&rows[first], &rows[i + 1]) == 0)
			counts_add(&rows[first].counts, &rows[++i].counts);
		print_row(&rows[first], json);
	}
	text_add(json, span_text("]"));
}

static void join_edges(struct text *parts, unsigned count, struct text *json)
{
	size_t size = 0;
	size_t end = 0;
	for (unsigned i = 0; i < count; i++)
		size += parts[i].size;
	struct edge_row *rows = mem_alloc(size + sizeof(*rows));
	if (!rows) {
		json->failed = true;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		if (parts[i].size)
			memcpy((char *)rows + end, parts[i].data, parts[i].size);
		end += parts[i].size;
	}
	print_sums(rows, size / sizeof(*rows), json);
	mem_free(rows);
}

void workers_edges(struct workers *workers, struct io_ring *ring, struct span pod,
		   void (*done)(void *request, const char *json), void *request)
{
	struct ask ask = {
		.workers = workers,
		.ring = ring,
		.write = write_edges,
		.join = join_edges,
		.done = done,
		.request = request,
	};
	snprintf(ask.pod, sizeof(ask.pod), "%.*s", SPAN_PRINT(pod));
	ask_workers(&ask);
}
