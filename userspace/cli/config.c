/* weft config: the config in force, and the reference of all keys. */
#include <stdio.h>

#include "cli/client.h"
#include "cli/command.h"
#include "model/keys.h"

static int print_reference(void)
{
	struct text text = {0};
	keys_print_reference(&text);
	fputs(text.data ? text.data : "", stdout);
	bool failed = text.failed;
	text_fini(&text);
	return failed ? EXIT_FAILED : EXIT_OK;
}

static int print_live(const struct view_options *options)
{
	if (options->wants_json)
		return client_print(options->socket, "/config.json");
	cJSON *json = client_json(options->socket, "/config.json");
	if (!json)
		return EXIT_FAILED;
	char *text = cJSON_Print(json);
	cJSON_Delete(json);
	if (!text)
		return EXIT_FAILED;
	puts(text);
	cJSON_free(text);
	return EXIT_OK;
}

static int config_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {
		VIEW_OPTIONS, {"reference", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	bool wants_reference = false;
	int status;
	for (int option; (option = getopt_long(argc, argv, "o:h", known, NULL)) != -1;) {
		if (option == 'r')
			wants_reference = true;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	return wants_reference ? print_reference() : print_live(&options);
}

const struct command command_config = {
	.name = "config",
	.arguments = "[--reference]",
	.summary = "The config in force, or every key that there is",
	.details =
		"  --reference     a config file with every key: type, default, unit, meaning;\n"
		"                  needs no running weftd\n" VIEW_OPTIONS_HELP,
	.run = config_run,
};
