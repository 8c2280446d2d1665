/* weft version. */
#include <stdio.h>

#include "cli/command.h"
#include "weft/maps.h"
#include "weft/version.h"

static int version_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct view_options options;
	int status;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;)
		if (!view_option(&options, self, option, &status))
			return status;
	printf("weft %s, layout of pinned maps %u\n", WEFT_VERSION, WEFT_LAYOUT_VERSION);
	return EXIT_OK;
}

const struct command command_version = {
	.name = "version",
	.arguments = "",
	.summary = "Version of weft and of the layout of its pinned maps",
	.details = "",
	.run = version_run,
};
