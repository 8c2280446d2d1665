/* weft names: what namers that ask DNS know. */
#include <stdio.h>

#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/view.h"

static void add_seconds(struct table *table, const cJSON *object, const char *key)
{
	char text[32];
	const cJSON *seconds = view_item(object, key);
	snprintf(text, sizeof(text), "%.1f s", cJSON_IsNumber(seconds) ? seconds->valuedouble : 0);
	table_add(table, cJSON_IsNumber(seconds) ? text : "-");
}

static void add_name(struct table *table, const cJSON *name)
{
	char count[UNIT_TEXT_MAX];
	table_add(table, view_text(name, "name"));
	table_add(table, view_text(name, "state"));
	table_add(table, unit_count(view_number(name, "endpoints"), count));
	add_seconds(table, name, "age_seconds");
	add_seconds(table, name, "asked_again_in_seconds");
	table_add(table, unit_count(view_number(name, "failures_in_a_row"), count));
	table_add(table, view_text(name, "why"));
}

static void names_table(const cJSON *json, struct text *text)
{
	static const char *const headings[] = {"NAME", "STATE",    "ENDPOINTS", "AGE",
					       "NEXT", "FAILURES", "WHY"};
	struct table table;
	const cJSON *namer;
	table_init(&table, array_count(headings), headings, 0x3c);
	cJSON_ArrayForEach(namer, view_item(json, "namers"))
	{
		const cJSON *name;
		cJSON_ArrayForEach(name, view_item(namer, "names"))
		{
			add_name(&table, name);
		}
	}
	table_print(&table, text);
	table_fini(&table);
}

static int names_run(const struct command *self, int argc, char **argv)
{
	struct view_options options;
	int status;
	if (!view_options_only(&options, self, argc, argv, &status))
		return status;
	return view_show(&options, "/namers.json", names_table);
}

const struct command command_names = {
	.name = "names",
	.arguments = "",
	.summary = "Names that DNS is asked for (namers of kind dns, dns_srv), and what it says",
	.details =
		"  STATE     asked: for the first time; found; absent: there is no such name;\n"
		"            unknown: DNS never answered; refused: namers[].names had no room\n"
		"  AGE       of the last answer, which serves while DNS fails\n"
		"  FAILURES  in a row, of the last look-ups; WHY says which\n" VIEW_OPTIONS_HELP,
	.run = names_run,
};
