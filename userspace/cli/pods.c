/* weft pods: who is enrolled, and what the kernel decided about its dials. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"

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

static void pods_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {
		"POD", "STATE", "ENROLLED BY", "ON PROXY DEATH", "UNCAPTURED", "DECISIONS"};
	struct table table;
	table_init(&table, array_count(headings), headings, 1u << 4);
	const cJSON *pods = cJSON_IsArray(json) ? json : view_item(json, "pods");
	const cJSON *pod;
	cJSON_ArrayForEach(pod, pods)
	{
		char uncaptured[UNIT_TEXT_MAX];
		const char *netns = view_text(pod, "netns");
		table_add(&table, view_text(pod, "name"));
		table_add(&table, view_text(pod, "state"));
		table_add(&table, netns[0] ? netns : view_text(pod, "cgroup"));
		table_add(&table, view_text(pod, "on_proxy_death"));
		table_add(&table,
			  unit_count(view_number(pod, "uncaptured_connections"), uncaptured));
		add_reasons(&table, view_item(pod, "decisions"));
	}
	table_print(&table, text);
	table_fini(&table);
}

static int pods_run(const struct command *self, int argc, char **argv)
{
	struct view_options options;
	int status;
	if (!view_options_only(&options, self, argc, argv, &status))
		return status;
	if (options.wants_json)
		return client_print(options.socket, "/pods.json");
	cJSON *json = client_json(options.socket, "/pods.json");
	if (!json)
		return EXIT_FAILED;
	struct text text = {0};
	pods_table(json, &text);
	cJSON_Delete(json);
	fputs(text.data ? text.data : "", stdout);
	text_fini(&text);
	return EXIT_OK;
}

const struct command command_pods = {
	.name = "pods",
	.arguments = "",
	.summary = "Who is enrolled, and what the kernel decided about its dials",
	.details = VIEW_OPTIONS_HELP
	"\nUNCAPTURED are connections older than the enrolment: they work untouched.\n",
	.run = pods_run,
};
