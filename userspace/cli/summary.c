#include "cli/summary.h"

#include <inttypes.h>

#include "base/address.h"
#include "cli/json_view.h"
#include "cli/units.h"

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void add_requests(const cJSON *edge, uint64_t requests, struct text *text)
{
	char unit[UNIT_TEXT_MAX];
	uint64_t good = requests - view_number(edge, "requests_failed");
	text_printf(text, "%" PRIu64 " request%s, %s success, ", requests, plural(requests),
		    unit_share((double)good / (double)requests, unit));
	if (cJSON_IsNumber(view_item(edge, "p50_us")))
		text_printf(text, "p50 %s, ", unit_time(view_number(edge, "p50_us"), unit));
}

/* Requests use connections; without them the connections are all there is to say. */
static void add_connections(const cJSON *edge, uint64_t requests, struct text *text)
{
	uint64_t failed = view_number(edge, "connections_failed");
	uint64_t count =
		requests ? view_number(edge, "tunnels") : view_number(edge, "connections") - failed;
	if (count)
		text_printf(text, "%" PRIu64 " %s%s, ", count, requests ? "tunnel" : "connection",
			    plural(count));
	if (failed)
		text_printf(text, "%" PRIu64 " failed dial%s, ", failed, plural(failed));
}

static void add_line(const cJSON *edge, size_t width, struct text *text)
{
	char sent[UNIT_TEXT_MAX];
	char received[UNIT_TEXT_MAX];
	uint64_t requests = view_number(edge, "requests");
	text_printf(text, "weft: %-*s  ", (int)width, view_text(edge, "destination"));
	if (requests)
		add_requests(edge, requests, text);
	add_connections(edge, requests, text);
	text_printf(text, "%s sent, %s received\n",
		    unit_bytes(view_number(edge, "sent_bytes"), sent),
		    unit_bytes(view_number(edge, "received_bytes"), received));
}

void summary_print(const cJSON *edges, struct text *text)
{
	size_t widest = 0;
	const cJSON *edge;
	cJSON_ArrayForEach(edge, view_item(edges, "edges"))
	{
		size_t size = strlen(view_text(edge, "destination"));
		widest = size > widest ? size : widest;
	}
	if (widest == 0)
		text_add(text, span_text("weft: no connection was captured\n"));
	cJSON_ArrayForEach(edge, view_item(edges, "edges"))
	{
		add_line(edge, widest, text);
	}
}

bool summary_is_final(const cJSON *edges)
{
	const cJSON *edge;
	cJSON_ArrayForEach(edge, view_item(edges, "edges"))
	{
		if (view_number(edge, "connections_active") > 0)
			return false;
	}
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
