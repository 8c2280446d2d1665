/* weft pods: who is enrolled, and what the kernel decided about its dials. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/cluster.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/view.h"

/* "captured 12, pass_not_mesh 3": the reasons that were counted. */
static void add_reasons(struct table *table, const cJSON *reasons)
{
	struct text text = {0};
	const cJSON *reason;
	cJSON_ArrayForEach(reason, reasons)
	{
		char count[UNIT_TEXT_MAX];
		if (!cJSON_IsNumber(reason) || reason->valuedouble <= 0)
			continue;
		text_printf(&text, "%s%s %s", text.size ? ", " : "", reason->string,
			    unit_count((uint64_t)reason->valuedouble, count));
	}
	table_add(table, text.data);
	text_fini(&text);
}

/* What a table has no room for: why a pod failed, which connections are older than it. */
static void add_remarks(const cJSON *pod, struct text *text)
{
	const char *name = view_text(pod, "name");
	const cJSON *connection;
	if (view_text(pod, "error")[0])
		text_printf(text, "%s: %s\n", name, view_text(pod, "error"));
	if (view_text(pod, "uncaptured_error")[0])
		text_printf(text, "%s: uncaptured connections cannot be listed: %s\n", name,
			    view_text(pod, "uncaptured_error"));
	cJSON_ArrayForEach(connection, view_item(pod, "uncaptured_connections"))
	{
		text_printf(text, "%s: uncaptured %s to %s\n", name, view_text(connection, "local"),
			    view_text(connection, "peer"));
	}
}

static void pods_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {
		"POD", "STATE", "ENROLLED BY", "ON PROXY DEATH", "UNCAPTURED", "DECISIONS"};
	struct table table;
	table_init(&table, array_count(headings), headings, 1u << 4);
	const cJSON *pod;
	struct text remarks = {0};
	cJSON_ArrayForEach(pod, json)
	{
		char count[UNIT_TEXT_MAX];
		const char *netns = view_text(pod, "netns");
		const cJSON *uncaptured = view_item(pod, "uncaptured_connections");
		table_add(&table, view_text(pod, "name"));
		table_add(&table, view_text(pod, "state"));
		table_add(&table, netns[0] ? netns : view_text(pod, "cgroup"));
		table_add(&table, view_text(pod, "on_proxy_death"));
		table_add(&table, unit_count((uint64_t)cJSON_GetArraySize(uncaptured), count));
		add_reasons(&table, view_item(pod, "decisions"));
		add_remarks(pod, &remarks);
	}
	table_print(&table, text);
	text_add(text, text_span(&remarks));
	text_fini(&remarks);
	table_fini(&table);
}

static int show(const struct view_options *options, bool wants_all)
{
	struct text text = {0};
	cJSON *pods = client_json(options->socket, "/pods.json");
	cJSON *cluster = pods ? client_json(options->socket, "/kubernetes.json") : NULL;
	if (cluster) {
		view_keep(pods, options->namespace);
		view_keep(cluster, options->namespace);
		pods_table(pods, &text);
		cluster_add_faults(cluster, &text);
		if (wants_all)
			cluster_add_others(cluster, pods, &text);
		fputs(text.data ? text.data : "", stdout);
	}
	int status = cluster ? EXIT_OK : EXIT_FAILED;
	cJSON_Delete(pods);
	cJSON_Delete(cluster);
	text_fini(&text);
	return status;
}

static int pods_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {
		VIEW_OPTIONS, {"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	bool wants_all = false;
	int status;
	for (int option;
	     (option = getopt_long(argc, argv, "a" VIEW_SHORT_OPTIONS, known, NULL)) != -1;) {
		if (option == 'a')
			wants_all = true;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	if (options.wants_json)
		return view_show(&options, wants_all ? "/kubernetes.json" : "/pods.json",
				 pods_table);
	return show(&options, wants_all);
}

const struct command command_pods = {
	.name = "pods",
	.arguments = "[--all]",
	.summary = "Who is enrolled, and what the kernel decided about its dials",
	.details =
		"  -a, --all       also the node's pods that are not enrolled, and why; as JSON: "
		"what\n"
		"                  the Kubernetes API server told, and how old it "
		"is\n" VIEW_OPTIONS_HELP
		"\nUNCAPTURED are connections older than the enrolment: they work untouched.\n",
	.run = pods_run,
};
