/* weft explain: what would become of a request, step by step. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/json_view.h"
#include "cli/view.h"

static void print_node(const cJSON *node, unsigned depth, struct text *text)
{
	const cJSON *below;
	const char *result = view_text(node, "result");
	text_printf(text, "%*s%s: %s", (int)depth * 2, "", view_text(node, "step"),
		    view_text(node, "text"));
	text_printf(text, "%s%s\n", *result ? "   -- " : "", result);
	cJSON_ArrayForEach(below, view_item(node, "below"))
	{
		print_node(below, depth + 1, text);
	}
}

static void print_tree(const cJSON *json, struct text *text)
{
	print_node(json, 0, text);
}

/* Percent-encoded, behind "&NAME=". */
static void add_pair(struct text *path, const char *name, const char *value)
{
	text_printf(path, "&%s=", name);
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (isalnum(*c) || strchr("-._~/:", *c))
			text_add(path, span_of((const char *)c, 1));
		else
			text_printf(path, "%%%02x", *c);
	}
}

static int explain_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {VIEW_OPTIONS,
					      {"header", required_argument, NULL, 'H'},
					      {"from", required_argument, NULL, 'f'},
					      {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	struct text fields = {0};
	struct text path = {0};
	int status;
	for (int option;
	     (option = getopt_long(argc, argv, VIEW_SHORT_OPTIONS "H:f:", known, NULL)) != -1;) {
		if (option == 'H')
			add_pair(&fields, "header", optarg);
		else if (option == 'f')
			add_pair(&fields, "pod", optarg);
		else if (!view_option(&options, self, option, &status))
			goto free_all;
	}
	if (argc - optind != 2) {
		status = command_misused(self, "expected METHOD URL");
		goto free_all;
	}
	text_add(&path, span_text("/explain?from=weft"));
	add_pair(&path, "method", argv[optind]);
	add_pair(&path, "url", argv[optind + 1]);
	text_add(&path, text_span(&fields));
	if (path.failed || fields.failed) {
		complain("out of memory");
		status = EXIT_FAILED;
	} else {
		status = view_show(&options, path.data, print_tree);
	}
free_all:
	text_fini(&path);
	text_fini(&fields);
	return status;
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "METHOD URL [-H 'NAME: VALUE']… [--from POD]",
	.summary = "What becomes of a request, and why: name, route, dtab, endpoints",
	.details = VIEW_OPTIONS_HELP
	"  -H, --header 'NAME: VALUE'  a header of the request; as often as needed\n"
	"  --from POD      the pod that sends it: are its l5d-dtab headers trusted?\n"
	"\nNothing is sent. The URL's host is a service's name or one of its addresses. Each line\n"
	"is a step, what it looks at, and behind -- what came of it; below it what it took.\n"
	"\n  weft explain GET http://web/cart -H 'l5d-dtab: /svc/web => /svc/web-v2'\n",
	.run = explain_run,
};
