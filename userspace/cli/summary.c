#include "cli/summary.h"

#include <inttypes.h>

#include "base/address.h"
#include "cli/json_view.h"
#include "cli/units.h"

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void add_requests(const struct sample *sample, const struct sample_row *row,
			 struct text *text)
{
	char unit[UNIT_TEXT_MAX];
	uint64_t us;
	text_printf(text, "%" PRIu64 " request%s, ", row->requests, plural(row->requests));
	if (row->responses)
		text_printf(text, "%s success, ",
			    unit_share((double)row->good_responses / (double)row->responses, unit));
	if (sample_quantile(sample, row, 0.5, &us))
		text_printf(text, "p50 %s, ", unit_time(us, unit));
}

/* Requests and tunnels use connections; without either the connections are all there is to say. */
static void add_connections(const struct sample_row *row, struct text *text)
{
	uint64_t count = row->tunnels;
	if (!row->requests && row->connections > count)
		count = row->connections;
	if (count)
		text_printf(text, "%" PRIu64 " %s%s, ", count,
			    row->requests ? "tunnel" : "connection", plural(count));
	if (row->connect_failures)
		text_printf(text, "%" PRIu64 " failed dial%s, ", row->connect_failures,
			    plural(row->connect_failures));
}

static bool row_is_empty(const struct sample_row *row)
{
	return !row->requests && !row->connections && !row->tunnels && !row->connect_failures &&
	       !row->responses;
}

void summary_print(const struct sample *sample, struct text *text)
{
	size_t widest = 0;
	for (size_t i = 0; i < sample->row_count; i++) {
		size_t size = strlen(sample->rows[i].service);
		if (!row_is_empty(&sample->rows[i]) && size > widest)
			widest = size;
	}
	if (widest == 0)
		text_add(text, span_text("weft: no connection was captured\n"));
	for (size_t i = 0; i < sample->row_count; i++) {
		const struct sample_row *row = &sample->rows[i];
		char sent[UNIT_TEXT_MAX];
		char received[UNIT_TEXT_MAX];
		if (row_is_empty(row))
			continue;
		text_printf(text, "weft: %-*s  ", (int)widest, row->service);
		if (row->requests)
			add_requests(sample, row, text);
		add_connections(row, text);
		text_printf(text, "%s sent, %s received\n", unit_bytes(row->sent_bytes, sent),
			    unit_bytes(row->received_bytes, received));
	}
}

bool summary_is_final(const struct sample *sample)
{
	for (size_t i = 0; i < sample->row_count; i++)
		if (sample->rows[i].requests_active ||
		    sample->rows[i].tunnels > sample->rows[i].tunnels_ended)
			return false;
	return true;
}

/* A name that hosts(5) can hold: a service may be called otherwise. */
static bool is_host_name(const char *name)
{
	size_t size = strspn(name,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			     "-._");
	return size > 0 && name[size] == '\0';
}

size_t hosts_print(const cJSON *services, struct text *text)
{
	size_t lines = 0;
	const cJSON *service;
	cJSON_ArrayForEach(service, view_item(services, "services"))
	{
		const cJSON *item;
		struct weft_address before = {0};
		const char *name = view_text(service, "name");
		if (!is_host_name(name))
			continue;
		cJSON_ArrayForEach(item, view_item(service, "addresses"))
		{
			char ip[ADDRESS_TEXT_MAX];
			struct weft_address address;
			if (!cJSON_IsString(item) ||
			    address_parse(span_text(item->valuestring), &address))
				continue;
			address.port = 0; /* one line for all ports; addresses are sorted */
			if (address_equal(&address, &before))
				continue;
			before = address;
			text_printf(text, "%s\t%s\n", address_print_ip(&address, ip), name);
			lines++;
		}
	}
	return lines;
}
