#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "telemetry/prometheus.h"

#define WORKERS 2u

static struct weft_series rows[WORKERS * WEFT_SERIES_MAX];
static struct weft_series_label labels[WEFT_SERIES_MAX];
static struct weft_proxy_counts proxy[WEFT_WORKERS_MAX];
static struct series_store store;
static struct text page;

static int fresh_page(void **state)
{
	(void)state;
	memset(rows, 0, sizeof(rows));
	memset(labels, 0, sizeof(labels));
	memset(proxy, 0, sizeof(proxy));
	series_store_init(&store, rows, labels, proxy, WORKERS);
	page = (struct text){0};
	return 0;
}

static int drop_page(void **state)
{
	(void)state;
	text_fini(&page);
	return 0;
}

/* ---- a strict reader of exposition format 0.0.4 ---- */

struct sample {
	char name[96];
	char labels[400]; /* name=value\x1f…, unescaped, in the order written */
	char le[32];
	double value;
};

struct parsed {
	struct sample samples[4000];
	size_t sample_count;
	char families[64][96];
	char types[64][16];
	size_t family_count;
};

static struct parsed parsed;

static bool is_name_char(char c, bool first)
{
	return c == '_' || isalpha((unsigned char)c) || (!first && isdigit((unsigned char)c));
}

static const char *read_name(const char *at, char *ret_name, size_t size)
{
	size_t n = 0;
	while (is_name_char(*at, n == 0) && n + 1 < size)
		ret_name[n++] = *at++;
	ret_name[n] = '\0';
	return n ? at : NULL;
}

static const char *read_value(const char *at, char *ret_value, size_t size)
{
	size_t n = 0;
	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		if (*at == '\0' || n + 1 >= size)
			return NULL;
		char c = *at;
		if (c == '\\') {
			at++;
			if (!strchr("\\\"n", *at) || *at == '\0')
				return NULL;
			c = *at == 'n' ? '\n' : *at;
		}
		ret_value[n++] = c;
	}
	ret_value[n] = '\0';
	return at + 1;
}

static const char *read_labels(const char *at, struct sample *sample)
{
	size_t used = 0;
	do {
		char name[32];
		char value[160];
		at = read_name(at + 1, name, sizeof(name)); /* after '{' or ',' */
		if (!at || *at++ != '=')
			return NULL;
		at = read_value(at, value, sizeof(value));
		if (!at)
			return NULL;
		if (strcmp(name, "le") == 0) {
			snprintf(sample->le, sizeof(sample->le), "%.31s", value);
			continue;
		}
		used += (size_t)snprintf(sample->labels + used, sizeof(sample->labels) - used,
					 "%s=%s\x1f", name, value);
		if (used >= sizeof(sample->labels))
			return NULL;
	} while (*at == ',');
	return *at == '}' ? at + 1 : NULL;
}

/* The family that a sample's name belongs to must be the one opened last. */
static bool belongs(const char *name)
{
	if (parsed.family_count == 0)
		return false;
	const char *family = parsed.families[parsed.family_count - 1];
	const char *type = parsed.types[parsed.family_count - 1];
	size_t size = strlen(family);
	if (strncmp(name, family, size) != 0)
		return false;
	const char *rest = name + size;
	if (strcmp(type, "histogram") == 0)
		return !strcmp(rest, "_bucket") || !strcmp(rest, "_sum") || !strcmp(rest, "_count");
	return *rest == '\0';
}

static void parse_sample(const char *line)
{
	struct sample *sample = &parsed.samples[parsed.sample_count];
	assert_true(parsed.sample_count < array_count(parsed.samples));
	*sample = (struct sample){0};
	const char *at = read_name(line, sample->name, sizeof(sample->name));
	if (at && *at == '{')
		at = read_labels(at, sample);
	if (!at || *at != ' ')
		fail_msg("bad sample: %s", line);
	char *end;
	errno = 0;
	sample->value = strtod(at + 1, &end);
	if (errno || end == at + 1 || *end || !isdigit((unsigned char)at[1]))
		fail_msg("bad value: %s", line);
	assert_true(isfinite(sample->value));
	if (!belongs(sample->name))
		fail_msg("sample outside its family: %s", line);
	for (size_t i = 0; i < parsed.sample_count; i++) {
		const struct sample *other = &parsed.samples[i];
		if (!strcmp(other->name, sample->name) && !strcmp(other->labels, sample->labels) &&
		    !strcmp(other->le, sample->le))
			fail_msg("twice: %s", line);
	}
	parsed.sample_count++;
}

static void parse_comment(const char *line, const char *next)
{
	char name[96];
	char type[16];
	char next_name[96];
	if (sscanf(line, "# HELP %95s", name) == 1) {
		assert_true(strlen(line) > strlen("# HELP ") + strlen(name) + 1);
		if (!next || sscanf(next, "# TYPE %95s %15s", next_name, type) != 2 ||
		    strcmp(name, next_name))
			fail_msg("HELP without its TYPE: %s", line);
		return;
	}
	if (sscanf(line, "# TYPE %95s %15s", name, type) != 2)
		fail_msg("neither HELP nor TYPE: %s", line);
	assert_true(!strcmp(type, "counter") || !strcmp(type, "gauge") ||
		    !strcmp(type, "histogram"));
	for (size_t i = 0; i < parsed.family_count; i++)
		if (!strcmp(parsed.families[i], name))
			fail_msg("family twice: %s", name);
	bool is_total = strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total");
	assert_int_equal(is_total, !strcmp(type, "counter"));
	assert_true(parsed.family_count < array_count(parsed.families));
	snprintf(parsed.families[parsed.family_count], sizeof(parsed.families[0]), "%s", name);
	snprintf(parsed.types[parsed.family_count], sizeof(parsed.types[0]), "%s", type);
	parsed.family_count++;
}

static void parse_page(void)
{
	assert_false(page.failed);
	parsed.sample_count = 0;
	parsed.family_count = 0;
	char *copy = strdup(page.data);
	assert_non_null(copy);
	assert_int_equal(copy[page.size - 1], '\n');
	char *line = copy;
	while (*line) {
		char *end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		char *next = end[1] ? end + 1 : NULL;
		char *next_end = next ? strchr(next, '\n') : NULL;
		if (next_end)
			*next_end = '\0';
		if (line[0] == '#')
			parse_comment(line, next);
		else
			parse_sample(line);
		if (next_end)
			*next_end = '\n';
		line = end + 1;
	}
	free(copy);
}

static double value_of(const char *name, const char *wanted_labels, const char *le)
{
	for (size_t i = 0; i < parsed.sample_count; i++) {
		const struct sample *sample = &parsed.samples[i];
		if (!strcmp(sample->name, name) && !strcmp(sample->labels, wanted_labels) &&
		    !strcmp(sample->le, le))
			return sample->value;
	}
	fail_msg("no sample %s{%s} le=%s in\n%s", name, wanted_labels, le, page.data);
	return NAN;
}

/* ---- tests ---- */

static void the_total_has_no_endpoint_label_and_an_endpoint_has_both(void **state)
{
	(void)state;
	uint32_t total = series_slot(&store, span_text("web"), span_text(""));
	uint32_t one = series_slot(&store, span_text("web"), span_text("10.0.0.1:80"));
	series_row(&store, 0, total)->requests = 3;
	series_row(&store, 1, total)->requests = 4;
	series_row(&store, 1, one)->requests = 7;
	series_row(&store, 0, one)->bytes_sent = 1ull << 53;
	series_row(&store, 0, one)->responses[2] = 6;
	series_row(&store, 0, one)->responses[0] = 1;
	prometheus_series(&store, &page);
	parse_page();
	assert_true(value_of("weft_requests_total", "service=web\x1f", "") == 7);
	assert_true(value_of("weft_requests_total",
			     "service=web\x1f"
			     "endpoint=10.0.0.1:80\x1f",
			     "") == 7);
	assert_true(value_of("weft_sent_bytes_total",
			     "service=web\x1f"
			     "endpoint=10.0.0.1:80\x1f",
			     "") == 9007199254740992.0);
	assert_true(value_of("weft_responses_total",
			     "service=web\x1f"
			     "endpoint=10.0.0.1:80\x1f"
			     "class=2xx\x1f",
			     "") == 6);
	assert_true(value_of("weft_responses_total",
			     "service=web\x1f"
			     "endpoint=10.0.0.1:80\x1f"
			     "class=none\x1f",
			     "") == 1);
}

static void the_histogram_is_cumulative_in_seconds(void **state)
{
	(void)state;
	uint32_t slot = series_slot(&store, span_text("web"), span_text(""));
	struct weft_series *row = series_row(&store, 0, slot);
	static const uint64_t measured_us[] = {40, 60, 900, 1500, 40000000};
	for (size_t i = 0; i < array_count(measured_us); i++) {
		row->latency_buckets[latency_bucket(measured_us[i])]++;
		row->latency_us_sum += measured_us[i];
	}
	prometheus_series(&store, &page);
	parse_page();
	const char *name = "weft_request_duration_seconds_bucket";
	assert_true(value_of(name, "service=web\x1f", "0.00005") == 1);
	assert_true(value_of(name, "service=web\x1f", "0.0001") == 2);
	assert_true(value_of(name, "service=web\x1f", "0.001") == 3);
	assert_true(value_of(name, "service=web\x1f", "0.0015") == 4);
	assert_true(value_of(name, "service=web\x1f", "1") == 4);
	assert_true(value_of(name, "service=web\x1f", "30") == 4);
	assert_true(value_of(name, "service=web\x1f", "+Inf") == 5);
	assert_true(value_of("weft_request_duration_seconds_count", "service=web\x1f", "") == 5);
	assert_true(value_of("weft_request_duration_seconds_sum", "service=web\x1f", "") ==
		    40.0025);
}

static void buckets_rise_and_their_bounds_too(void **state)
{
	(void)state;
	uint32_t slot = series_slot(&store, span_text("web"), span_text(""));
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		series_row(&store, i % WORKERS, slot)->latency_buckets[i] = i % 3;
	prometheus_series(&store, &page);
	parse_page();
	double count = 0;
	double bound = 0;
	unsigned seen = 0;
	for (size_t i = 0; i < parsed.sample_count; i++) {
		const struct sample *sample = &parsed.samples[i];
		if (!sample->le[0] || strcmp(sample->labels, "service=web\x1f"))
			continue;
		double le = strcmp(sample->le, "+Inf") ? strtod(sample->le, NULL) : INFINITY;
		assert_true(sample->value >= count && le > bound);
		count = sample->value;
		bound = le;
		seen++;
	}
	assert_int_equal(seen, WEFT_LATENCY_BUCKETS);
}

static void idle_series_take_a_line_each(void **state)
{
	char name[32];
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "/svc/shop/service-%04u", i);
		series_slot(&store, span_text(name), span_text(""));
		series_slot(&store, span_text(name), span_text("10.200.100.50:8080"));
	}
	prometheus_series(&store, &page);
	assert_in_range(page.size, 4000 * 50, 500000);
	assert_null(strstr(page.data, "_bucket"));
}

/* One that a program has seen must not vanish, or its rates would end. */
static void what_was_shown_once_stays(void **state)
{
	(void)state;
	uint32_t slot = series_slot(&store, span_text("db"), span_text(""));
	struct weft_series *row = series_row(&store, 0, slot);
	series_add(&row->tunnels_opened, 1);
	prometheus_series(&store, &page);
	parse_page();
	assert_true(value_of("weft_requests_total", "service=db\x1f", "") == 0);
	assert_true(value_of("weft_tunnels_opened_total", "service=db\x1f", "") == 1);
	assert_true(value_of("weft_tunnels_closed_total", "service=db\x1f", "") == 0);
	assert_true(value_of("weft_responses_total",
			     "service=db\x1f"
			     "class=2xx\x1f",
			     "") == 0);
	assert_null(strstr(page.data, "_bucket")); /* it answered no request */
	series_add(&row->tunnels_closed, 1);
	text_clear(&page);
	prometheus_series(&store, &page);
	parse_page();
	assert_true(value_of("weft_tunnels_opened_total", "service=db\x1f", "") == 1);
}

static void routes_have_families_of_their_own(void **state)
{
	(void)state;
	uint32_t slot = series_slot_route(&store, span_text("shop"), span_text("canary"));
	struct weft_series *row = series_row(&store, 1, slot);
	series_slot_route(&store, span_text("shop"), span_text("1"));
	series_add(&row->requests, 3);
	series_add(&row->responses[2], 2);
	series_add(&row->responses[5], 1);
	series_add(&row->retries, 4);
	series_add(&row->latency_buckets[latency_bucket(100)], 3);
	prometheus_series(&store, &page);
	parse_page();
	static const char canary[] = "route=shop\x1frule=canary\x1f";
	assert_true(value_of("weft_route_requests_total", canary, "") == 3);
	assert_true(value_of("weft_route_retries_total", canary, "") == 4);
	assert_true(value_of("weft_route_request_duration_seconds_count", canary, "") == 3);
	assert_true(value_of("weft_route_request_duration_seconds_bucket", canary, "0.0001") == 3);
	assert_true(value_of("weft_route_responses_total",
			     "route=shop\x1frule=canary\x1f"
			     "class=5xx\x1f",
			     "") == 1);
	assert_true(value_of("weft_route_requests_total", "route=shop\x1frule=1\x1f", "") == 0);
	assert_null(strstr(page.data, "service=\"shop\""));
}

static void faults_and_copies_are_apart(void **state)
{
	(void)state;
	struct weft_series *row =
		series_row(&store, 0, series_slot(&store, span_text("web"), span_text("")));
	series_add(&row->faults_delayed, 1);
	series_add(&row->faults_aborted, 2);
	series_add(&row->mirrored, 3);
	prometheus_series(&store, &page);
	parse_page();
	assert_true(value_of("weft_requests_total", "service=web\x1f", "") == 0);
	assert_true(value_of("weft_faults_delayed_total", "service=web\x1f", "") == 1);
	assert_true(value_of("weft_faults_aborted_total", "service=web\x1f", "") == 2);
	assert_true(value_of("weft_mirrored_total", "service=web\x1f", "") == 3);
	assert_null(strstr(page.data, "weft_mirrors_failed_total{"));
}

static void labels_are_escaped(void **state)
{
	(void)state;
	series_slot(&store, span_text("a\"b\\c\nd}"), span_text(""));
	prometheus_series(&store, &page);
	parse_page();
	assert_true(value_of("weft_requests_total", "service=a\"b\\c\nd}\x1f", "") == 0);
}

static void a_slot_that_is_being_claimed_is_not_shown(void **state)
{
	(void)state;
	snprintf(labels[77].service, sizeof(labels[77].service), "half");
	labels[77].state = WEFT_SERIES_CLAIMED;
	prometheus_series(&store, &page);
	assert_null(strstr(page.data, "half"));
}

static void a_page_without_memory_is_marked_as_failed(void **state)
{
	(void)state;
	mem_fail_nth(1);
	prometheus_series(&store, &page);
	mem_fail_nth(0);
	assert_true(page.failed);
}

static void workers_show_counters_gauges_and_age(void **state)
{
	(void)state;
	proxy[0].loop_turns = 12;
	proxy[1].loop_busy_ns = 1500000000;
	proxy[1].sessions = 3;
	proxy[1].reasons[WEFT_PROXY_NOT_HTTP] = 5;
	const uint64_t heartbeats[WORKERS] = {9000000000, 10500000000};
	prometheus_workers(&store, heartbeats, 10000000000, &page);
	parse_page();
	assert_true(value_of("weft_worker_loop_turns_total", "worker=0\x1f", "") == 12);
	assert_true(value_of("weft_worker_busy_seconds_total", "worker=1\x1f", "") == 1.5);
	assert_true(value_of("weft_worker_sessions", "worker=1\x1f", "") == 3);
	assert_true(value_of("weft_proxy_reasons_total",
			     "worker=1\x1f"
			     "reason=not_http\x1f",
			     "") == 5);
	assert_true(value_of("weft_worker_heartbeat_age_seconds", "worker=0\x1f", "") == 1);
	/* Beaten after the page's moment was read. */
	assert_true(value_of("weft_worker_heartbeat_age_seconds", "worker=1\x1f", "") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PAGE_TEST(test) cmocka_unit_test_setup_teardown(test, fresh_page, drop_page)
		PAGE_TEST(the_total_has_no_endpoint_label_and_an_endpoint_has_both),
		PAGE_TEST(the_histogram_is_cumulative_in_seconds),
		PAGE_TEST(buckets_rise_and_their_bounds_too),
		PAGE_TEST(idle_series_take_a_line_each),
		PAGE_TEST(what_was_shown_once_stays),
		PAGE_TEST(routes_have_families_of_their_own),
		PAGE_TEST(faults_and_copies_are_apart),
		PAGE_TEST(labels_are_escaped),
		PAGE_TEST(a_slot_that_is_being_claimed_is_not_shown),
		PAGE_TEST(a_page_without_memory_is_marked_as_failed),
		PAGE_TEST(workers_show_counters_gauges_and_age),
#undef PAGE_TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
