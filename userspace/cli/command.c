#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("weft: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

int command_misused(const struct command *self, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "weft %s: ", self->name);
	vfprintf(stderr, format, args);
	fprintf(stderr, "; see `weft %s --help`\n", self->name);
	va_end(args);
	return EXIT_USAGE;
}

void command_help(const struct command *self)
{
	printf("usage: weft %s%s%s\n\n%s.\n", self->name, self->arguments[0] ? " " : "",
	       self->arguments, self->summary);
	if (self->details[0])
		printf("\n%s", self->details);
}

bool view_option(struct view_options *options, const struct command *self, int option,
		 int *ret_exit)
{
	switch (option) {
	case 's':
		options->socket = optarg;
		return true;
	case 'n':
		options->namespace = optarg;
		return true;
	case 'o':
		if (strcmp(optarg, "json") && strcmp(optarg, "table")) {
			*ret_exit =
				command_misused(self, "-o takes json or table, not \"%s\"", optarg);
			return false;
		}
		options->wants_json = strcmp(optarg, "json") == 0;
		return true;
	case 'h':
		command_help(self);
		*ret_exit = EXIT_OK;
		return false;
	default: /* getopt has said what is wrong */
		fprintf(stderr, "see `weft %s --help`\n", self->name);
		*ret_exit = EXIT_USAGE;
		return false;
	}
}

bool view_options_only(struct view_options *options, const struct command *self, int argc,
		       char **argv, int *ret_exit)
{
	static const struct option known[] = {VIEW_OPTIONS, {NULL, 0, NULL, 0}};
	*options = (struct view_options){.socket = DEFAULT_SOCKET};
	for (int option; (option = getopt_long(argc, argv, VIEW_SHORT_OPTIONS, known, NULL)) != -1;)
		if (!view_option(options, self, option, ret_exit))
			return false;
	if (optind < argc) {
		*ret_exit = command_misused(self, "unexpected argument \"%s\"", argv[optind]);
		return false;
	}
	return true;
}
