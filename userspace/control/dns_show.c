/* What DNS says, and how old it is: /namers.json and metrics. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "control/dns_names.h"

static const char *const finding_names[] = {"found", "absent", "unknown"};

const char *dns_name_state_name(enum dns_name_state state)
{
	static const char *const names[] = {"asked", "found", "absent", "unknown", "refused"};
	return names[state];
}

/* ---- /namers.json ---- */

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void add_name(cJSON *list, const struct dns_name *name)
{
	cJSON *object = cJSON_CreateObject();
	cJSON_AddItemToArray(list, object);
	uint64_t now_ns = io_now_ns(name->names->ring);
	cJSON_AddStringToObject(object, "name", name->text);
	cJSON_AddStringToObject(object, "asked_for", name->host);
	cJSON_AddStringToObject(object, "state", dns_name_state_name(name->state));
	cJSON_AddNumberToObject(object, "endpoints", name->count);
	cJSON_AddBoolToObject(object, "is_in_dtab", name->is_literal);
	if (name->answered_ns)
		cJSON_AddNumberToObject(object, "age_seconds", seconds(now_ns - name->answered_ns));
	if (timer_is_set(&name->timer) && name->timer.deadline_ns > now_ns)
		cJSON_AddNumberToObject(object, "asked_again_in_seconds",
					seconds(name->timer.deadline_ns - now_ns));
	cJSON_AddNumberToObject(object, "failures_in_a_row", name->failures);
	cJSON_AddStringToObject(object, "why", name->why ? name->why : "");
}

static void add_namer(cJSON *list, const struct dns_namer *namer)
{
	cJSON *object = cJSON_CreateObject();
	cJSON_AddItemToArray(list, object);
	cJSON_AddStringToObject(object, "prefix", namer->prefix);
	cJSON_AddStringToObject(object, "kind", namer->kind == NAMER_DNS ? "dns" : "dns_srv");
	cJSON *servers = cJSON_AddArrayToObject(object, "servers");
	for (uint32_t i = 0; i < namer->server_count; i++) {
		char text[ADDRESS_TEXT_MAX];
		cJSON_AddItemToArray(servers,
				     cJSON_CreateString(address_print(&namer->servers[i], text)));
	}
	cJSON_AddNumberToObject(object, "names_most", namer->names_most);
	cJSON *names = cJSON_AddArrayToObject(object, "names");
	for (const struct list *at = namer->all.next; at != &namer->all; at = at->next)
		add_name(names, list_entry(at, struct dns_name, link));
}

void dns_names_json(const struct dns_names *names, struct text *json)
{
	cJSON *tree = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(tree, "namers");
	for (const struct list *at = names->namers.next; list && at != &names->namers;
	     at = at->next)
		add_namer(list, list_entry(at, struct dns_namer, link));
	char *printed = list ? cJSON_PrintUnformatted(tree) : NULL;
	if (printed)
		text_add(json, span_text(printed));
	else
		json->failed = true;
	cJSON_free(printed);
	cJSON_Delete(tree);
}

/* ---- metrics ---- */

static void head(struct text *page, const char *name, const char *type, const char *help)
{
	text_printf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Of the name that has waited longest for an answer that it had before, or never had. */
static uint64_t stale_ns(const struct dns_namer *namer)
{
	uint64_t now_ns = io_now_ns(namer->names->ring);
	uint64_t most_ns = 0;
	for (const struct list *at = namer->all.next; at != &namer->all; at = at->next) {
		const struct dns_name *name = list_entry(at, struct dns_name, link);
		uint64_t age_ns = now_ns - name->answered_ns;
		if (name->failures && name->answered_ns && age_ns > most_ns)
			most_ns = age_ns;
	}
	return most_ns;
}

static void namer_lines(const struct dns_namer *namer, unsigned metric, struct text *page)
{
	const char *prefix = namer->prefix;
	switch (metric) {
	case 0:
		for (int i = 0; i < 3; i++)
			text_printf(page,
				    "weft_dns_lookups_total{namer=\"%s\",finding=\"%s\"} %llu\n",
				    prefix, finding_names[i], (unsigned long long)namer->found[i]);
		return;
	case 1:
		for (int i = 0; i < DNS_NAME_STATES; i++)
			text_printf(page, "weft_dns_names{namer=\"%s\",state=\"%s\"} %u\n", prefix,
				    dns_name_state_name((enum dns_name_state)i), namer->counts[i]);
		return;
	case 2:
		text_printf(page, "weft_dns_names_refused_total{namer=\"%s\"} %llu\n", prefix,
			    (unsigned long long)namer->refused);
		return;
	case 3:
		text_printf(page, "weft_dns_stale_seconds{namer=\"%s\"} %.3f\n", prefix,
			    seconds(stale_ns(namer)));
		return;
	default:
		for (const struct list *at = namer->all.next; at != &namer->all; at = at->next) {
			const struct dns_name *name = list_entry(at, struct dns_name, link);
			if (name->failed)
				text_printf(page, "weft_dns_failures_total{name=\"%s\"} %llu\n",
					    name->text, (unsigned long long)name->failed);
		}
	}
}

void dns_names_metrics(const struct dns_names *names, struct text *page)
{
	static const char *const heads[][3] = {
		{"weft_dns_lookups_total", "counter", "Look-ups of names that ended, by finding."},
		{"weft_dns_names", "gauge", "Names that are kept, by what DNS says of them."},
		{"weft_dns_names_refused_total", "counter",
		 "Names for which namers[].names had no room."},
		{"weft_dns_stale_seconds", "gauge",
		 "Age of the oldest answer that serves because DNS fails; 0 = none does."},
		{"weft_dns_failures_total", "counter",
		 "Look-ups of a name that ended without an answer; names that never failed are "
		 "left "
		 "out."},
	};
	if (list_is_empty(&names->namers))
		return;
	for (unsigned i = 0; i < array_count(heads); i++) {
		head(page, heads[i][0], heads[i][1], heads[i][2]);
		for (const struct list *at = names->namers.next; at != &names->namers;
		     at = at->next)
			namer_lines(list_entry(at, struct dns_namer, link), i, page);
	}
}
