#include "telemetry/prometheus.h"

#include <inttypes.h>

#include "base/mem.h"

void prometheus_family(struct text *page, const char *name, const char *type, const char *help)
{
	text_printf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_label(struct text *page, const char *name, struct span value)
{
	text_printf(page, "%s=\"", name);
	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];
		if (c == '\\' || c == '"')
			text_printf(page, "\\%c", c);
		else if (c == '\n')
			text_add(page, span_text("\\n"));
		else
			text_add(page, span_of(&c, 1));
	}
	text_add(page, span_text("\""));
}

/* Microseconds as seconds, exact, without an exponent. */
static void add_seconds(struct text *page, uint64_t microseconds)
{
	text_printf(page, "%" PRIu64 ".%06" PRIu64, microseconds / 1000000, microseconds % 1000000);
	while (page->size && page->data[page->size - 1] == '0')
		page->data[--page->size] = '\0';
	if (page->size && page->data[page->size - 1] == '.')
		page->data[--page->size] = '\0';
}

static void add_labels(struct text *page, const struct weft_series_label *label)
{
	bool is_route = label->kind == WEFT_SERIES_ROUTE;
	text_add(page, span_text("{"));
	prometheus_label(page, is_route ? "route" : "service", span_text(label->service));
	if (label->endpoint[0]) {
		text_add(page, span_text(","));
		prometheus_label(page, is_route ? "rule" : "endpoint", span_text(label->endpoint));
	}
}

/* ---- series ---- */

struct counter_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;  /* of the uint64_t in struct weft_series */
	bool even_idle; /* shown of a series that never counted anything */
};

#define COUNTER(name, field, help)                                                                 \
	{                                                                                          \
		"weft_" name "_total", "counter", help, offsetof(struct weft_series, field), false \
	}

/*
 * An idle series shows its requests alone, so that it is there before it counts: with everything,
 * 4096 of them would be a page of 16 MiB. What was shown once stays, as counters never fall.
 */
static const struct counter_family families[] = {
	{"weft_requests_total", "counter", "HTTP requests.", offsetof(struct weft_series, requests),
	 true},
	COUNTER("proxy_errors", proxy_errors, "Answers that weft made itself."),
	COUNTER("retries", retries, "Attempts after the first of a request."),
	COUNTER("connections_opened", connections_opened, "Connections opened."),
	COUNTER("connections_closed", connections_closed, "Connections closed."),
	COUNTER("connect_failures", connect_failures, "Dials that failed."),
	COUNTER("sent_bytes", bytes_sent, "Bytes towards the endpoint."),
	COUNTER("received_bytes", bytes_received, "Bytes from the endpoint."),
	COUNTER("tunnels_opened", tunnels_opened, "Connections joined without parsing."),
	COUNTER("tunnels_closed", tunnels_closed, "Tunnels that ended."),
	{"weft_requests_active", "gauge", "HTTP requests under way.",
	 offsetof(struct weft_series, requests_active), false},
};

static const struct counter_family apart_families[] = {
	COUNTER("faults_delayed", faults_delayed, "Requests that were delayed on purpose."),
	COUNTER("faults_aborted", faults_aborted,
		"Requests answered on purpose; they count nowhere else."),
	COUNTER("mirrored", mirrored, "Copies of requests that were answered."),
	COUNTER("mirrors_failed", mirrors_failed, "Copies of requests that were not."),
};

static const struct counter_family route_families[] = {
	{"weft_route_requests_total", "counter", "HTTP requests that a route's rule took.",
	 offsetof(struct weft_series, requests), true},
	COUNTER("route_proxy_errors", proxy_errors, "Answers to them that weft made itself."),
	COUNTER("route_retries", retries, "Attempts after the first of a request."),
};

/* Of services, of routes: the two have the same shape. */
struct outcome_names {
	const char *responses;
	const char *duration;
};

static const struct outcome_names service_outcomes = {"weft_responses_total",
						      "weft_request_duration_seconds"};
static const struct outcome_names route_outcomes = {"weft_route_responses_total",
						    "weft_route_request_duration_seconds"};

static void add_counters(struct text *page, const struct counter_family *family,
			 const struct series_sample *samples, size_t count)
{
	prometheus_family(page, family->name, family->type, family->help);
	for (size_t i = 0; i < count; i++) {
		const char *sum = (const char *)&samples[i].sum;
		uint64_t value;
		if (!family->even_idle && series_is_zero(&samples[i].sum))
			continue;
		memcpy(&value, sum + family->offset, sizeof(value));
		text_add(page, span_text(family->name));
		add_labels(page, samples[i].label);
		text_printf(page, "} %" PRIu64 "\n", value);
	}
}

/* Only those that counted any: most services have neither. */
static void add_apart(struct text *page, const struct counter_family *family,
		      const struct series_sample *samples, size_t count)
{
	prometheus_family(page, family->name, family->type, family->help);
	for (size_t i = 0; i < count; i++) {
		const char *sum = (const char *)&samples[i].sum;
		uint64_t value;
		memcpy(&value, sum + family->offset, sizeof(value));
		if (value == 0)
			continue;
		text_add(page, span_text(family->name));
		add_labels(page, samples[i].label);
		text_printf(page, "} %" PRIu64 "\n", value);
	}
}

static void add_responses(struct text *page, const char *name, const struct series_sample *samples,
			  size_t count)
{
	static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
	prometheus_family(page, name, "counter",
			  "Answers by status class; none: ended without an answer.");
	for (size_t i = 0; i < count; i++) {
		if (series_is_zero(&samples[i].sum))
			continue;
		for (size_t class = 0; class < array_count(classes); class ++) {
			text_add(page, span_text(name));
			add_labels(page, samples[i].label);
			text_printf(page, ",class=\"%s\"} %" PRIu64 "\n", classes[class],
				    (uint64_t)samples[i].sum.responses[class]);
		}
	}
}

static bool was_measured(const struct series_sample *sample)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		count += sample->sum.latency_buckets[i];
	return count > 0;
}

static void add_histogram(struct text *page, const char *name, const struct series_sample *sample)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++) {
		count += sample->sum.latency_buckets[i];
		text_printf(page, "%s_bucket", name);
		add_labels(page, sample->label);
		text_add(page, span_text(",le=\""));
		if (i == WEFT_LATENCY_BUCKETS - 1)
			text_add(page, span_text("+Inf"));
		else
			add_seconds(page, latency_bound_us(i));
		text_printf(page, "\"} %" PRIu64 "\n", count);
	}
	text_printf(page, "%s_sum", name);
	add_labels(page, sample->label);
	text_add(page, span_text("} "));
	add_seconds(page, sample->sum.latency_us_sum);
	text_printf(page, "\n%s_count", name);
	add_labels(page, sample->label);
	text_printf(page, "} %" PRIu64 "\n", count);
}

static void add_outcomes(struct text *page, const struct outcome_names *names,
			 const struct series_sample *samples, size_t count)
{
	add_responses(page, names->responses, samples, count);
	prometheus_family(page, names->duration, "histogram",
			  "From a request's head to the end of its answer.");
	for (size_t i = 0; i < count; i++) {
		if (was_measured(&samples[i]))
			add_histogram(page, names->duration, &samples[i]);
	}
}

void prometheus_series(const struct series_store *store, struct text *page)
{
	struct series_sample *samples;
	size_t count;
	if (series_collect(store, &samples, &count)) {
		page->failed = true;
		return;
	}
	size_t services = series_of_services(samples, count);
	const struct series_sample *routes = samples + services;
	for (size_t i = 0; i < array_count(families); i++)
		add_counters(page, &families[i], samples, services);
	for (size_t i = 0; i < array_count(apart_families); i++)
		add_apart(page, &apart_families[i], samples, services);
	add_outcomes(page, &service_outcomes, samples, services);
	for (size_t i = 0; i < array_count(route_families); i++)
		add_counters(page, &route_families[i], routes, count - services);
	add_outcomes(page, &route_outcomes, routes, count - services);
	mem_free(samples);
}
