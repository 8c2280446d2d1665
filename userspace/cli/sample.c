#include "cli/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/histogram.h"
#include "base/mem.h"
#include "cli/table.h"
#include "cli/units.h"

/* ---- reading ---- */

static uint64_t number_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

static bool read_numbers(const cJSON *array, uint64_t *numbers, size_t count)
{
	if (!cJSON_IsArray(array) || (size_t)cJSON_GetArraySize(array) != count)
		return false;
	const cJSON *item;
	size_t i = 0;
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsNumber(item) || item->valuedouble < 0)
			return false;
		numbers[i++] = (uint64_t)item->valuedouble;
	}
	return true;
}

static void read_responses(const cJSON *responses, struct sample_row *row)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, responses)
	{
		uint64_t count = cJSON_IsNumber(item) ? (uint64_t)item->valuedouble : 0;
		row->responses += count;
		if (strcmp(item->string, "5xx") && strcmp(item->string, "none"))
			row->good_responses += count;
	}
}

static bool read_row(const cJSON *service, struct sample_row *row)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(service, "name");
	if (!cJSON_IsString(name))
		return false;
	*row = (struct sample_row){
		.requests = number_of(service, "requests"),
		.sent_bytes = number_of(service, "sent_bytes"),
		.received_bytes = number_of(service, "received_bytes"),
		.connections = number_of(service, "connections_opened"),
		.tunnels = number_of(service, "tunnels_opened"),
	};
	snprintf(row->service, sizeof(row->service), "%s", name->valuestring);
	read_responses(cJSON_GetObjectItemCaseSensitive(service, "responses"), row);
	return read_numbers(cJSON_GetObjectItemCaseSensitive(service, "latency_buckets"),
			    row->latency_buckets, WEFT_LATENCY_BUCKETS);
}

int sample_parse(const cJSON *json, struct sample *ret_sample)
{
	const cJSON *window = cJSON_GetObjectItemCaseSensitive(json, "window_seconds");
	const cJSON *bounds = cJSON_GetObjectItemCaseSensitive(json, "latency_bounds_us");
	const cJSON *services = cJSON_GetObjectItemCaseSensitive(json, "services");
	struct sample sample = {0};
	if (!cJSON_IsNumber(window) || !cJSON_IsArray(services) ||
	    !read_numbers(bounds, sample.bounds_us, array_count(sample.bounds_us)))
		return -EPROTO;
	sample.window_seconds = window->valuedouble;
	size_t room = (size_t)cJSON_GetArraySize(services);
	sample.rows = mem_alloc((room + 1) * sizeof(*sample.rows));
	if (!sample.rows)
		return -ENOMEM;
	const cJSON *service;
	cJSON_ArrayForEach(service, services)
	{
		if (!read_row(service, &sample.rows[sample.row_count++])) {
			sample_fini(&sample);
			return -EPROTO;
		}
	}
	*ret_sample = sample;
	return 0;
}

void sample_fini(struct sample *sample)
{
	mem_free(sample->rows);
	*sample = (struct sample){0};
}

int sample_copy(const struct sample *sample, struct sample *ret_copy)
{
	struct sample_row *rows = mem_alloc((sample->row_count + 1) * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	memcpy(rows, sample->rows, sample->row_count * sizeof(*rows));
	*ret_copy = *sample;
	ret_copy->rows = rows;
	return 0;
}

/* ---- difference ---- */

static void subtract(uint64_t *now, uint64_t before)
{
	*now = *now > before ? *now - before : 0;
}

static void row_subtract(struct sample_row *now, const struct sample_row *before)
{
	subtract(&now->requests, before->requests);
	subtract(&now->responses, before->responses);
	subtract(&now->good_responses, before->good_responses);
	subtract(&now->sent_bytes, before->sent_bytes);
	subtract(&now->received_bytes, before->received_bytes);
	subtract(&now->connections, before->connections);
	subtract(&now->tunnels, before->tunnels);
	for (size_t i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		subtract(&now->latency_buckets[i], before->latency_buckets[i]);
}

void sample_subtract(struct sample *now, const struct sample *before)
{
	if (now->window_seconds < before->window_seconds)
		return;
	now->window_seconds -= before->window_seconds;
	for (size_t i = 0; i < now->row_count; i++)
		for (size_t j = 0; j < before->row_count; j++)
			if (!strcmp(now->rows[i].service, before->rows[j].service))
				row_subtract(&now->rows[i], &before->rows[j]);
}

bool sample_quantile(const struct sample *sample, const struct sample_row *row, double quantile,
		     uint64_t *ret_us)
{
	return histogram_quantile(sample->bounds_us, row->latency_buckets, WEFT_LATENCY_BUCKETS,
				  quantile, ret_us);
}

/* ---- printing ---- */

static bool is_wanted(const struct sample_row *row, char *const *services, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(row->service, services[i]))
			return true;
	return count == 0;
}

static double row_rate(const struct sample *sample, const struct sample_row *row)
{
	return sample->window_seconds > 0 ? (double)row->requests / sample->window_seconds : 0;
}

static void add_quantile(struct table *table, const struct sample *sample,
			 const struct sample_row *row, double quantile)
{
	char text[UNIT_TEXT_MAX];
	uint64_t us;
	bool measured = sample_quantile(sample, row, quantile, &us);
	table_add(table, measured ? unit_time(us, text) : "-");
}

static void add_row(struct table *table, const struct sample *sample, const struct sample_row *row)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, row->service);
	table_add(table,
		  row->responses
			  ? unit_share((double)row->good_responses / (double)row->responses, text)
			  : "-");
	table_add(table, unit_rate(row_rate(sample, row), text));
	add_quantile(table, sample, row, 0.5);
	add_quantile(table, sample, row, 0.95);
	add_quantile(table, sample, row, 0.99);
	table_add(table, unit_bytes(row->sent_bytes, text));
	table_add(table, unit_bytes(row->received_bytes, text));
	table_add(table, unit_count(row->connections, text));
	table_add(table, unit_count(row->tunnels, text));
}

void sample_print(const struct sample *sample, char *const *services, size_t count,
		  struct text *text)
{
	static const char *const headings[] = {"SERVICE", "SUCCESS", "RPS",  "P50",
					       "P95",     "P99",     "SENT", "RECEIVED",
					       "CONNS",   "TUNNELS"};
	struct table table;
	table_init(&table, array_count(headings), headings, ~1u);
	for (size_t i = 0; i < sample->row_count; i++)
		if (is_wanted(&sample->rows[i], services, count))
			add_row(&table, sample, &sample->rows[i]);
	table_print(&table, text);
	table_fini(&table);
}

static void print_quantile(const struct sample *sample, const struct sample_row *row,
			   double quantile, const char *key, struct text *text)
{
	uint64_t us;
	if (sample_quantile(sample, row, quantile, &us))
		text_printf(text, ",\"%s\":%" PRIu64, key, us);
	else
		text_printf(text, ",\"%s\":null", key);
}

static void print_row_json(const struct sample *sample, const struct sample_row *row,
			   struct text *text)
{
	text_add(text, span_text("{\"name\":"));
	text_json_string(text, span_text(row->service));
	if (row->responses)
		text_printf(text, ",\"success_rate\":%.6f",
			    (double)row->good_responses / (double)row->responses);
	else
		text_add(text, span_text(",\"success_rate\":null"));
	text_printf(text, ",\"requests\":%" PRIu64 ",\"rps\":%.3f", row->requests,
		    row_rate(sample, row));
	print_quantile(sample, row, 0.5, "p50_us", text);
	print_quantile(sample, row, 0.95, "p95_us", text);
	print_quantile(sample, row, 0.99, "p99_us", text);
	text_printf(text,
		    ",\"sent_bytes\":%" PRIu64 ",\"received_bytes\":%" PRIu64
		    ",\"connections_opened\":%" PRIu64 ",\"tunnels_opened\":%" PRIu64 "}",
		    row->sent_bytes, row->received_bytes, row->connections, row->tunnels);
}

void sample_print_json(const struct sample *sample, char *const *services, size_t count,
		       struct text *text)
{
	text_printf(text, "{\"window_seconds\":%.6f,\"services\":[", sample->window_seconds);
	const char *separator = "";
	for (size_t i = 0; i < sample->row_count; i++) {
		if (!is_wanted(&sample->rows[i], services, count))
			continue;
		text_add(text, span_text(separator));
		print_row_json(sample, &sample->rows[i], text);
		separator = ",";
	}
	text_add(text, span_text("]}\n"));
}
