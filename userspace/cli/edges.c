/* weft edges: what each pod sent where. */
#include <stdio.h>

#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/view.h"
#include "weft/limits.h"

static void add_count(struct table *table, uint64_t count)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, unit_count(count, text));
}

static void add_bytes(struct table *table, uint64_t bytes)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, unit_bytes(bytes, text));
}

static void add_time(struct table *table, const cJSON *microseconds)
{
	char text[UNIT_TEXT_MAX];
	bool measured = cJSON_IsNumber(microseconds);
	table_add(table, measured ? unit_time((uint64_t)microseconds->valuedouble, text) : "-");
}

static void add_success(struct table *table, uint64_t requests, uint64_t failed)
{
	char text[UNIT_TEXT_MAX];
	double good = (double)(requests - failed);
	table_add(table, requests ? unit_share(good / (double)requests, text) : "-");
}

static void edges_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {"SOURCE",   "DESTINATION", "CONNS", "FAILED",
					       "REQUESTS", "SUCCESS",     "P50",   "P99",
					       "SENT",     "RECEIVED"};
	struct table table;
	const cJSON *edge;
	table_init(&table, array_count(headings), headings, ~3u);
	cJSON_ArrayForEach(edge, view_item(json, "edges"))
	{
		uint64_t requests = view_number(edge, "requests");
		table_add(&table, view_text(edge, "source"));
		table_add(&table, view_text(edge, "destination"));
		add_count(&table, view_number(edge, "connections"));
		add_count(&table, view_number(edge, "connections_failed"));
		add_count(&table, requests);
		add_success(&table, requests, view_number(edge, "requests_failed"));
		add_time(&table, view_item(edge, "p50_us"));
		add_time(&table, view_item(edge, "p99_us"));
		add_bytes(&table, view_number(edge, "sent_bytes"));
		add_bytes(&table, view_number(edge, "received_bytes"));
	}
	table_print(&table, text);
	table_fini(&table);
}

static int edges_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {
		VIEW_OPTIONS, {"pod", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	char path[WEFT_NAME_MAX + 32] = "/edges.json";
	int status;
	for (int option;
	     (option = getopt_long(argc, argv, VIEW_SHORT_OPTIONS, known, NULL)) != -1;) {
		if (option == 'p')
			snprintf(path, sizeof(path), "/edges.json?pod=%.*s", WEFT_NAME_MAX, optarg);
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	return view_show(&options, path, edges_table);
}

const struct command command_edges = {
	.name = "edges",
	.arguments = "[--pod NAME]",
	.summary = "What each pod sent where: requests, failures, latency, bytes",
	.details = VIEW_OPTIONS_HELP
	"  --pod NAME      only what this pod sent\n"
	"\nSince the pod was enrolled. A destination is a service, or the address that was\n"
	"dialled. FAILED are connections that reached nobody.\n",
	.run = edges_run,
};
