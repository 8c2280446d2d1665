/* weft services, endpoints, routes: what the snapshot in force holds, who is left out, what it did.
 */
#include <stdio.h>

#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/view.h"

static void add_count(struct table *table, const cJSON *object, const char *key)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, unit_count(view_number(object, key), text));
}

static void add_bytes(struct table *table, const cJSON *object, const char *key)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, unit_bytes(view_number(object, key), text));
}

static void add_time(struct table *table, const cJSON *object, const char *key)
{
	char text[UNIT_TEXT_MAX];
	bool measured = cJSON_IsNumber(view_item(object, key));
	table_add(table, measured ? unit_time(view_number(object, key), text) : "-");
}

static void add_success(struct table *table, const cJSON *object)
{
	char text[UNIT_TEXT_MAX];
	const cJSON *rate = view_item(object, "success_rate");
	table_add(table, cJSON_IsNumber(rate) ? unit_share(rate->valuedouble, text) : "-");
}

static void add_joined(struct table *table, const cJSON *array)
{
	struct text text = {0};
	view_join(array, &text);
	table_add(table, text.data);
	text_fini(&text);
}

/* ---- the three tables ---- */

static void services_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {"SERVICE",  "PROTOCOL", "BALANCER", "READY",
					       "EJECTED",  "UP",       "REQUESTS", "SUCCESS",
					       "FAILURES", "ADDRESSES"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0x1d8);
	const cJSON *service;
	cJSON_ArrayForEach(service, view_item(json, "services"))
	{
		char ready[64];
		snprintf(ready, sizeof(ready), "%llu/%d",
			 (unsigned long long)view_number(service, "ready_endpoints"),
			 cJSON_GetArraySize(view_item(service, "endpoints")));
		table_add(&table, view_text(service, "name"));
		table_add(&table, view_text(service, "protocol"));
		table_add(&table, view_text(service, "balancer"));
		table_add(&table, ready);
		add_count(&table, service, "ejected_endpoints");
		table_add(&table, cJSON_IsFalse(view_item(service, "up")) ? "no" : "yes");
		add_count(&table, service, "requests");
		add_success(&table, service);
		add_count(&table, service, "connect_failures");
		add_joined(&table, view_item(service, "addresses"));
	}
	table_print(&table, text);
	table_fini(&table);
}

/* "5 failures in a row, 1 failed probe, next probe in 3.2 s"; also of one that is still in use. */
static void add_why(struct table *table, const cJSON *endpoint)
{
	struct text text = {0};
	char wait[UNIT_TEXT_MAX];
	uint64_t probes = view_number(endpoint, "failed_probes");
	const cJSON *in_seconds = view_item(endpoint, "probe_in_seconds");
	text_add(&text, span_text(view_text(endpoint, "why")));
	if (probes)
		text_printf(&text, "%s%llu failed probe%s", text.size ? ", " : "",
			    (unsigned long long)probes, probes == 1 ? "" : "s");
	if (cJSON_IsNumber(in_seconds) && in_seconds->valuedouble > 0)
		text_printf(&text, "%snext probe in %s", text.size ? ", " : "",
			    unit_time((uint64_t)(in_seconds->valuedouble * 1e6), wait));
	else if (in_seconds)
		text_printf(&text, "%sa probe is due", text.size ? ", " : "");
	table_add(table, text.data);
	text_fini(&text);
}

static void endpoints_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {"SERVICE", "ENDPOINT", "WEIGHT",   "STATE",
					       "ACTIVE",  "ESTIMATE", "REQUESTS", "SUCCESS",
					       "P50",     "P99",      "SENT",     "RECEIVED",
					       "CONNS",   "FAILURES", "TUNNELS",  "WHY"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0x7ff4);
	const cJSON *service;
	cJSON_ArrayForEach(service, view_item(json, "services"))
	{
		const cJSON *endpoint;
		cJSON_ArrayForEach(endpoint, view_item(service, "endpoints"))
		{
			table_add(&table, view_text(service, "name"));
			table_add(&table, view_text(endpoint, "address"));
			add_count(&table, endpoint, "weight");
			table_add(&table, view_text(endpoint, "state"));
			add_count(&table, endpoint, "requests_active");
			add_time(&table, endpoint, "latency_estimate_us");
			add_count(&table, endpoint, "requests");
			add_success(&table, endpoint);
			add_time(&table, endpoint, "p50_us");
			add_time(&table, endpoint, "p99_us");
			add_bytes(&table, endpoint, "sent_bytes");
			add_bytes(&table, endpoint, "received_bytes");
			add_count(&table, endpoint, "connections_opened");
			add_count(&table, endpoint, "connect_failures");
			add_count(&table, endpoint, "tunnels_opened");
			add_why(&table, endpoint);
		}
	}
	table_print(&table, text);
	table_fini(&table);
}

static void add_targets(struct table *table, const cJSON *endpoints)
{
	struct text text = {0};
	const cJSON *endpoint;
	cJSON_ArrayForEach(endpoint, endpoints)
	{
		uint64_t weight = view_number(endpoint, "weight");
		text_printf(&text, "%s%s", text.size ? ", " : "", view_text(endpoint, "address"));
		if (weight != 1)
			text_printf(&text, " (weight %llu)", (unsigned long long)weight);
	}
	table_add(table, text.size ? text.data : "none: connections are refused");
	text_fini(&text);
}

static void rules_table(const cJSON *rules, struct text *text)
{
	static const char *const headings[] = {"ROUTE",   "RULE",    "SERVICES", "REQUESTS",
					       "SUCCESS", "RETRIES", "P50",      "P99"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0xf8);
	const cJSON *rule;
	cJSON_ArrayForEach(rule, rules)
	{
		const cJSON *services = view_item(rule, "services");
		table_add(&table, view_text(rule, "name"));
		table_add(&table, view_text(rule, "rule"));
		if (cJSON_GetArraySize(services))
			add_joined(&table, services);
		else
			table_add(&table, "all");
		add_count(&table, rule, "requests");
		add_success(&table, rule);
		add_count(&table, rule, "retries");
		add_time(&table, rule, "p50_us");
		add_time(&table, rule, "p99_us");
	}
	table_print(&table, text);
	table_fini(&table);
}

/* Rules first, where there are any: they go before what an address says. */
static void routes_table(const cJSON *json, struct text *text)
{
	const cJSON *rules = view_item(json, "rules");
	if (cJSON_GetArraySize(rules)) {
		rules_table(rules, text);
		text_add(text, span_text("\n"));
	}
	static const char *const headings[] = {"ADDRESS", "SERVICE", "PROTOCOL", "BALANCER",
					       "ENDPOINTS"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0);
	const cJSON *route;
	cJSON_ArrayForEach(route, view_item(json, "routes"))
	{
		table_add(&table, view_text(route, "address"));
		table_add(&table, view_text(route, "service"));
		table_add(&table, view_text(route, "protocol"));
		table_add(&table, view_text(route, "balancer"));
		add_targets(&table, view_item(route, "endpoints"));
	}
	table_print(&table, text);
	table_fini(&table);
}

/* ---- commands ---- */

static int show_table(const struct command *self, int argc, char **argv, const char *path,
		      void (*build)(const cJSON *json, struct text *text))
{
	struct view_options options;
	int status;
	if (!view_options_only(&options, self, argc, argv, &status))
		return status;
	return view_show(&options, path, build);
}

static int services_run(const struct command *self, int argc, char **argv)
{
	return show_table(self, argc, argv, "/services.json", services_table);
}

static int endpoints_run(const struct command *self, int argc, char **argv)
{
	return show_table(self, argc, argv, "/services.json", endpoints_table);
}

static int routes_run(const struct command *self, int argc, char **argv)
{
	return show_table(self, argc, argv, "/routes.json", routes_table);
}

const struct command command_services = {
	.name = "services",
	.arguments = "",
	.summary = "Services with their addresses and how many endpoints are ready",
	.details = VIEW_OPTIONS_HELP
	"\nEJECTED endpoints are left out by circuit breaking, or being probed. A service is UP\n"
	"for the choice among alternates of a dtab (A | B).\n",
	.run = services_run,
};

const struct command command_endpoints = {
	.name = "endpoints",
	.arguments = "",
	.summary = "Endpoints: who is left out and why, and what they did since start",
	.details = VIEW_OPTIONS_HELP
	"\nSTATE is that of the endpoint's circuit breaker: closed (in use), open (left out) or\n"
	"probing (one request goes there); ready where no breaker watches, drained with weight\n"
	"0. ACTIVE requests are under way. ESTIMATE is how long an answer takes as balancing\n"
	"sees it: the peak EWMA, the highest of all workers'.\n",
	.run = endpoints_run,
};

const struct command command_routes = {
	.name = "routes",
	.arguments = "",
	.summary = "Routes rule by rule with their traffic, and which address leads where",
	.details = VIEW_OPTIONS_HELP
	"\nA RULE has its name, or its number from 0. SERVICES are those whose requests the route\n"
	"takes. Mirrors' copies and what a fault aborted are not among the REQUESTS.\n",
	.run = routes_run,
};
