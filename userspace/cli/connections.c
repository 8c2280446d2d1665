/* weft connections: what weftd carries now, and which of it goes past TCP. */
#include "cli/connections.h"

#include <stdio.h>

#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/view.h"
#include "weft/limits.h"

static void add_age(struct table *table, const cJSON *seconds)
{
	char text[UNIT_TEXT_MAX];
	double age = cJSON_IsNumber(seconds) && seconds->valuedouble > 0 ? seconds->valuedouble : 0;
	table_add(table, unit_time((uint64_t)(age * 1e6), text));
}

static void add_bytes(struct table *table, uint64_t bytes)
{
	char text[UNIT_TEXT_MAX];
	table_add(table, unit_bytes(bytes, text));
}

void connections_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {"POD",     "DESTINATION", "STATE", "ENDPOINT",
					       "AGE",     "REQUESTS",    "SENT",  "RECEIVED",
					       "APP LEG", "ENDPOINT LEG"};
	struct table table;
	const cJSON *one;
	table_init(&table, array_count(headings), headings, 0xf0);
	cJSON_ArrayForEach(one, view_item(json, "connections"))
	{
		char count[UNIT_TEXT_MAX];
		table_add(&table, view_text(one, "pod"));
		table_add(&table, view_text(one, "service"));
		table_add(&table, view_text(one, "state"));
		table_add(&table, view_text(one, "endpoint"));
		add_age(&table, view_item(one, "age_seconds"));
		table_add(&table, unit_count(view_number(one, "requests"), count));
		add_bytes(&table, view_number(one, "received_bytes")); /* weftd, from the app */
		add_bytes(&table, view_number(one, "sent_bytes"));
		table_add(&table, view_text(one, "app_leg"));
		table_add(&table, view_text(one, "endpoint_leg"));
	}
	table_print(&table, text);
	table_fini(&table);
}

static int connections_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {
		VIEW_OPTIONS, {"pod", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	char path[WEFT_NAME_MAX + 32] = "/connections.json";
	int status;
	for (int option;
	     (option = getopt_long(argc, argv, VIEW_SHORT_OPTIONS, known, NULL)) != -1;) {
		if (option == 'p')
			snprintf(path, sizeof(path), "/connections.json?pod=%.*s", WEFT_NAME_MAX,
				 optarg);
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	return view_show(&options, path, connections_table);
}

const struct command command_connections = {
	.name = "connections",
	.arguments = "[--pod NAME]",
	.summary = "What weftd carries now: state, endpoint, bytes, who has the shortcut",
	.details = VIEW_OPTIONS_HELP
	"  --pod NAME      only those of this pod\n"
	"\nSENT is towards the service. A leg is the connection between the app and weftd, or\n"
	"between weftd and the endpoint: \"shortcut\" when its bytes go past TCP, \"tcp\", or the\n"
	"reason for which it is back on TCP (weft_shortcut_decisions_total has the same names).\n"
	"A connection that waits for its next request has no endpoint.\n",
	.run = connections_run,
};
