#include "admin/pages.h"

#include <inttypes.h>

#include "admin/json.h"
#include "base/mem.h"
#include "policy/balance_ewma.h"
#include "telemetry/prometheus.h"

/* ---- who is left out ---- */

/* False: nothing watches it. */
static bool look_at(const struct page_view *view, const struct service *service,
		    const struct endpoint *endpoint, struct breaker_view *ret_breaker)
{
	const struct admin_sources *sources = view->sources;
	return sources->breaker && sources->breaker(sources->owner, service, endpoint, ret_breaker);
}

/* Endpoints that are left out or being probed. False: nothing watches them. */
static bool count_ejected(const struct page_view *view, const struct service *service,
			  uint32_t *ret_ejected)
{
	struct breaker_view breaker;
	bool is_watched = false;
	*ret_ejected = 0;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		if (!look_at(view, service, &service->endpoints[i], &breaker))
			continue;
		is_watched = true;
		*ret_ejected += breaker.state != BREAKER_ALIVE;
	}
	return is_watched;
}

/* Of services that this node has used: as many as have a series. */
static void add_ejected(const struct page_view *view, struct text *page)
{
	const struct snapshot *snapshot = view->snapshot;
	prometheus_family(page, "weft_endpoints_ejected", "gauge",
			  "Endpoints that circuit breaking leaves out or probes.");
	for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
		const struct service *service = snapshot->services[i];
		uint32_t slot = series_kept(&service->series);
		uint32_t ejected;
		if (slot == SERIES_UNCLAIMED || slot == SERIES_OVERFLOW ||
		    !count_ejected(view, service, &ejected))
			continue;
		text_add(page, span_text("weft_endpoints_ejected{"));
		prometheus_label(page, "service", span_text(service->name));
		text_printf(page, "} %" PRIu32 "\n", ejected);
	}
}

void page_metrics(const struct page_view *view, struct text *page)
{
	const struct admin_sources *sources = view->sources;
	prometheus_series(sources->series, page);
	add_ejected(view, page);
	prometheus_workers(sources->series, sources->heartbeats, view->now_ns, page);
	sources->kernel_metrics(sources->owner, page);
}

unsigned page_live(const struct page_view *view, struct text *page)
{
	unsigned silent = 0;
	for (unsigned worker = 0; worker < view->sources->workers; worker++) {
		uint64_t beat_ns =
			__atomic_load_n(&view->sources->heartbeats[worker], __ATOMIC_RELAXED);
		uint64_t age_ns = view->now_ns > beat_ns ? view->now_ns - beat_ns : 0;
		if (beat_ns && age_ns < WEFT_HEARTBEAT_STALE_NS)
			continue;
		silent++;
		if (beat_ns)
			text_printf(page, "worker %u is silent for %.1f s\n", worker,
				    (double)age_ns / 1e9);
		else
			text_printf(page, "worker %u has not begun\n", worker);
	}
	if (silent)
		return 503;
	text_add(page, span_text("ok\n"));
	return 200;
}

unsigned page_ready(const struct page_view *view, struct text *page)
{
	struct text why = {0};
	bool is_ready = view->sources->is_ready(view->sources->owner, &why);
	if (is_ready)
		text_add(page, span_text("ready\n"));
	else
		text_printf(page, "not ready: %.*s\n", SPAN_PRINT(text_span(&why)));
	text_fini(&why);
	return is_ready ? 200 : 503;
}

/* ---- counters ---- */

static void add_responses(struct json *json, const struct weft_series *sum)
{
	static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
	json_open(json, "responses", '{');
	for (size_t i = 0; i < array_count(classes); i++)
		json_number(json, classes[i], sum->responses[i]);
	json_close(json, '}');
}

/* Share of ended requests that were answered with anything but 5xx. */
static void add_success(struct json *json, const struct weft_series *sum)
{
	uint64_t ended = 0;
	for (size_t i = 0; i < array_count(sum->responses); i++)
		ended += sum->responses[i];
	uint64_t good = ended - sum->responses[0] - sum->responses[5];
	if (ended)
		json_decimal(json, "success_rate", (double)good / (double)ended);
	else
		json_null(json, "success_rate");
}

static void add_latency(struct json *json, const struct weft_series *sum)
{
	static const struct {
		const char *key;
		double quantile;
	} quantiles[] = {{"p50_us", 0.5}, {"p95_us", 0.95}, {"p99_us", 0.99}};
	for (size_t i = 0; i < array_count(quantiles); i++) {
		uint64_t us;
		if (latency_quantile_us(sum->latency_buckets, quantiles[i].quantile, &us))
			json_number(json, quantiles[i].key, us);
		else
			json_null(json, quantiles[i].key);
	}
	json_number(json, "latency_us_sum", sum->latency_us_sum);
}

static void add_counts(struct json *json, const struct weft_series *sum)
{
	json_number(json, "requests", sum->requests);
	add_responses(json, sum);
	add_success(json, sum);
	add_latency(json, sum);
	json_number(json, "sent_bytes", sum->bytes_sent);
	json_number(json, "received_bytes", sum->bytes_received);
	json_number(json, "connections_opened", sum->connections_opened);
	json_number(json, "connections_closed", sum->connections_closed);
	json_number(json, "connect_failures", sum->connect_failures);
	json_number(json, "tunnels_opened", sum->tunnels_opened);
	json_number(json, "tunnels_closed", sum->tunnels_closed);
	json_number(json, "retries", sum->retries);
	json_number(json, "proxy_errors", sum->proxy_errors);
	json_number(json, "requests_active", sum->requests_active);
	json_number(json, "faults_delayed", sum->faults_delayed);
	json_number(json, "faults_aborted", sum->faults_aborted);
	json_number(json, "mirrored", sum->mirrored);
	json_number(json, "mirrors_failed", sum->mirrors_failed);
}

static void add_buckets(struct json *json, const struct weft_series *sum)
{
	json_open(json, "latency_buckets", '[');
	for (size_t i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		json_number(json, NULL, sum->latency_buckets[i]);
	json_close(json, ']');
}

/* ---- /stat.json ---- */

/* End of the run of series that belong to the same service as `from`. */
static size_t service_end(const struct series_sample *samples, size_t count, size_t from)
{
	size_t end = from + 1;
	while (end < count && !strcmp(samples[end].label->service, samples[from].label->service))
		end++;
	return end;
}

static void add_stat_endpoints(struct json *json, const struct series_sample *samples, size_t count)
{
	json_open(json, "endpoints", '[');
	for (size_t i = 0; i < count; i++) {
		json_open(json, NULL, '{');
		json_text(json, "address", samples[i].label->endpoint);
		add_counts(json, &samples[i].sum);
		add_buckets(json, &samples[i].sum);
		json_close(json, '}');
	}
	json_close(json, ']');
}

/* `samples` are one service's: its total, if it has one, is the first. None: it had no traffic. */
static void add_stat_service(struct json *json, const char *name,
			     const struct series_sample *samples, size_t count)
{
	static const struct weft_series zero;
	bool has_total = count > 0 && !samples[0].label->endpoint[0];
	const struct weft_series *total = has_total ? &samples[0].sum : &zero;
	json_open(json, NULL, '{');
	json_text(json, "name", name);
	add_counts(json, total);
	add_buckets(json, total);
	add_stat_endpoints(json, has_total ? &samples[1] : samples, count - has_total);
	json_close(json, '}');
}

static bool all_zero(const struct series_sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!series_is_zero(&samples[i].sum))
			return false;
	return true;
}

static void add_bounds(struct json *json)
{
	json_open(json, "latency_bounds_us", '[');
	for (unsigned i = 0; i + 1 < WEFT_LATENCY_BUCKETS; i++)
		json_number(json, NULL, latency_bound_us(i));
	json_close(json, ']');
}

/* The snapshot's services that stand before `name` in the alphabet (NULL: all others) and have no
 * series. True: the next is `name`, and is passed. */
static bool add_idle_services(struct json *json, const struct snapshot *snapshot, const char *name,
			      uint32_t *next)
{
	for (; snapshot && *next < snapshot->service_count; (*next)++) {
		const char *idle = snapshot->services[*next]->name;
		int order = name ? strcmp(idle, name) : -1;
		if (order == 0)
			(*next)++;
		if (order >= 0)
			return order == 0;
		if (snapshot->services[*next]->standing == STANDING_PRESENT)
			add_stat_service(json, idle, NULL, 0);
	}
	return false;
}

static void add_stat_services(struct json *json, const struct snapshot *snapshot,
			      const struct series_sample *samples, size_t count)
{
	uint32_t next = 0;
	for (size_t from = 0, end; from < count; from = end) {
		const char *name = samples[from].label->service;
		bool is_configured = add_idle_services(json, snapshot, name, &next);
		end = service_end(samples, count, from);
		/* Labels outlive their services for a while: those are left out. */
		if (is_configured || !all_zero(samples + from, end - from))
			add_stat_service(json, name, samples + from, end - from);
	}
	add_idle_services(json, snapshot, NULL, &next);
}

void page_stat(const struct page_view *view, struct text *page)
{
	struct series_sample *samples;
	size_t count;
	if (series_collect(view->sources->series, &samples, &count)) {
		page->failed = true;
		return;
	}
	count = series_of_services(samples, count);
	for (size_t i = 0; i < count; i++)
		baseline_subtract(view->baseline, samples[i].slot, &samples[i].sum);

	struct json json = {.text = page};
	json_open(&json, NULL, '{');
	json_decimal(&json, "window_seconds",
		     (double)(view->now_ns - view->sources->started_ns) / 1e9);
	add_bounds(&json);
	json_open(&json, "services", '[');
	add_stat_services(&json, view->snapshot, samples, count);
	json_close(&json, ']');
	json_close(&json, '}');
	text_add(page, span_text("\n"));
	mem_free(samples);
}

/* ---- /services.json, /routes.json ---- */

static const char *protocol_name(enum protocol protocol)
{
	switch (protocol) {
	case PROTOCOL_AUTO:
		return "auto";
	case PROTOCOL_HTTP:
		return "http";
	case PROTOCOL_OPAQUE:
		return "opaque";
	}
	return "unknown";
}

static const char *balancer_name(enum balancer balancer)
{
	static const char *const names[] = {
		[BALANCER_EWMA] = "ewma",         [BALANCER_P2C] = "p2c",
		[BALANCER_APERTURE] = "aperture", [BALANCER_ROUND_ROBIN] = "round_robin",
		[BALANCER_RANDOM] = "random",     [BALANCER_LEAST] = "least",
		[BALANCER_HASH] = "hash",         [BALANCER_CLIENT_IP] = "client_ip",
	};
	return names[balancer];
}

static void add_slot_counts(struct json *json, const struct page_view *view, const uint32_t *series)
{
	struct weft_series sum = {0};
	uint32_t slot = series_kept(series);
	if (slot != SERIES_UNCLAIMED) {
		series_sum(view->sources->series, slot, &sum);
		baseline_subtract(view->baseline, slot, &sum);
	}
	add_counts(json, &sum);
}

/* "state": that of its breaker (closed, open, probing), ready without one, drained with weight 0.
 */
static void add_state(struct json *json, const struct page_view *view,
		      const struct service *service, const struct endpoint *endpoint)
{
	struct breaker_view breaker;
	char why[BREAKER_WHY_MAX];
	uint32_t slot = series_kept(&endpoint->series);
	uint64_t cost_us = 0;
	if (slot != SERIES_UNCLAIMED && slot != SERIES_OVERFLOW)
		cost_us = series_cost_us(view->sources->series, slot, view->now_ns, EWMA_DECAY_NS);
	if (cost_us)
		json_number(json, "latency_estimate_us", cost_us);
	else
		json_null(json, "latency_estimate_us");
	bool is_watched = look_at(view, service, endpoint, &breaker);
	bool has_breaker = service->resilience.breaker.kind != BREAKER_NONE;
	const char *state = breaker_state_name(is_watched ? breaker.state : BREAKER_ALIVE);
	if (!has_breaker)
		state = "ready";
	json_text(json, "state", endpoint->weight ? state : "drained");
	if (!is_watched)
		return;
	json_text(json, "why", breaker_why(&breaker, &service->resilience.breaker, why));
	json_number(json, "failures_in_a_row", breaker.failures);
	json_number(json, "failed_probes", breaker.failed_probes);
	if (breaker.has_average)
		json_decimal(json, "success_average", breaker.average);
	if (breaker.state == BREAKER_DEAD)
		json_decimal(json, "probe_in_seconds",
			     breaker.until_ns > view->now_ns
				     ? (double)(breaker.until_ns - view->now_ns) / 1e9
				     : 0);
}

static void add_endpoints(struct json *json, const struct page_view *view,
			  const struct service *service)
{
	json_open(json, "endpoints", '[');
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		json_open(json, NULL, '{');
		json_text(json, "address", endpoint->text);
		json_number(json, "weight", endpoint->weight);
		add_state(json, view, service, endpoint);
		add_slot_counts(json, view, &endpoint->series);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void add_service(struct json *json, const struct page_view *view,
			const struct service *service)
{
	const struct admin_sources *sources = view->sources;
	uint32_t ejected;
	json_open(json, NULL, '{');
	json_text(json, "name", service->name);
	json_number(json, "id", service->id);
	json_text(json, "protocol", protocol_name(service->protocol));
	json_text(json, "balancer", balancer_name(service->balancer));
	json_text(json, "shortcut", shortcut_name(service->shortcut));
	json_number(json, "shortcut_window_bytes", service->shortcut_window);
	json_open(json, "addresses", '[');
	for (uint32_t i = 0; i < service->address_count; i++) {
		char address[ADDRESS_TEXT_MAX];
		json_text(json, NULL, address_print(&service->addresses[i], address));
	}
	json_close(json, ']');
	json_bool(json, "trust_dtab_headers", service->trusts_dtabs);
	json_number(json, "ready_endpoints", service->ready_count);
	count_ejected(view, service, &ejected);
	json_number(json, "ejected_endpoints", ejected);
	if (sources->service_is_up)
		json_bool(json, "up",
			  sources->service_is_up(sources->owner, view->snapshot, service,
						 view->now_ns));
	add_slot_counts(json, view, &service->series);
	add_endpoints(json, view, service);
	json_close(json, '}');
}

void page_services(const struct page_view *view, struct text *page)
{
	struct json json = {.text = page};
	json_open(&json, NULL, '{');
	json_open(&json, "services", '[');
	for (uint32_t i = 0; view->snapshot && i < view->snapshot->service_count; i++) {
		const struct service *service = view->snapshot->services[i];
		if (service->standing == STANDING_PRESENT) /* /namers.json has the others */
			add_service(&json, view, service);
	}
	json_close(&json, ']');
	json_close(&json, '}');
	text_add(page, span_text("\n"));
}

static void add_addresses(struct json *json, const struct service *service)
{
	for (uint32_t i = 0; i < service->address_count; i++) {
		char address[ADDRESS_TEXT_MAX];
		json_open(json, NULL, '{');
		json_text(json, "address", address_print(&service->addresses[i], address));
		json_text(json, "service", service->name);
		json_text(json, "protocol", protocol_name(service->protocol));
		json_text(json, "balancer", balancer_name(service->balancer));
		json_open(json, "endpoints", '[');
		for (uint32_t j = 0; j < service->endpoint_count; j++) {
			json_open(json, NULL, '{');
			json_text(json, "address", service->endpoints[j].text);
			json_number(json, "weight", service->endpoints[j].weight);
			json_close(json, '}');
		}
		json_close(json, ']');
		json_close(json, '}');
	}
}

static void add_rule(struct json *json, const struct page_view *view, const struct route *route,
		     const struct route_rule *rule)
{
	char number[ROUTE_NUMBER_MAX];
	const struct span label = route_rule_label(rule, number);
	struct weft_series sum = {0};
	uint32_t slot = series_kept(&rule->series);
	if (slot != SERIES_UNCLAIMED && slot != SERIES_OVERFLOW) {
		series_sum(view->sources->series, slot, &sum);
		baseline_subtract(view->baseline, slot, &sum);
	}
	json_open(json, NULL, '{');
	json_span(json, "name", route->name);
	json_span(json, "rule", label);
	json_number(json, "number", rule->number);
	json_open(json, "services", '[');
	for (uint32_t i = 0; i < route->service_count; i++)
		json_span(json, NULL, view->snapshot->routes->scopes[route->scopes[i] - 1]);
	json_close(json, ']');
	json_number(json, "requests", sum.requests);
	add_responses(json, &sum);
	add_success(json, &sum);
	add_latency(json, &sum);
	json_number(json, "retries", sum.retries);
	json_number(json, "proxy_errors", sum.proxy_errors);
	json_close(json, '}');
}

static void add_rules(struct json *json, const struct page_view *view)
{
	const struct route_set *routes = view->snapshot ? view->snapshot->routes : NULL;
	for (uint32_t i = 0; routes && i < routes->route_count; i++) {
		const struct route *route = &routes->routes[i];
		for (uint32_t j = 0; j < route->rule_count; j++)
			add_rule(json, view, route, &route->rules[j]);
	}
}

/* Two lists: `rules`, the routes of the config or cluster rule by rule, and `routes`, which address
 * is which service's. */
void page_routes(const struct page_view *view, struct text *page)
{
	struct json json = {.text = page};
	json_open(&json, NULL, '{');
	json_open(&json, "rules", '[');
	add_rules(&json, view);
	json_close(&json, ']');
	json_open(&json, "routes", '[');
	for (uint32_t i = 0; view->snapshot && i < view->snapshot->service_count; i++)
		add_addresses(&json, view->snapshot->services[i]);
	json_close(&json, ']');
	json_close(&json, '}');
	text_add(page, span_text("\n"));
}
