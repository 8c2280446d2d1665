/* weft: the command line. Finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const struct command *const commands[] = {
	&command_run,      &command_check,     &command_stat,    &command_pods,
	&command_services, &command_endpoints, &command_edges,   &command_connections,
	&command_names,    &command_routes,    &command_config,  &command_cleanup,
	&command_cni,      &command_dtab,      &command_explain, &command_leave,
	&command_version,
};

static void print_help(FILE *stream)
{
	fputs("weft: a service mesh without sidecars\n\nusage: weft COMMAND [OPTION…]\n\n", stream);
	for (size_t i = 0; i < array_count(commands); i++)
		fprintf(stream, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n`weft COMMAND --help` says more; `weft run -- curl http://127.0.0.1:8000/` is a "
	      "way to begin.\n",
	      stream);
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < array_count(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int help(const char *name)
{
	const struct command *command = name ? command_find(name) : NULL;
	if (name && !command) {
		complain("there is no command \"%s\"; `weft help` lists them", name);
		return EXIT_USAGE;
	}
	if (command)
		command_help(command);
	else
		print_help(stdout);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
		return help(argc > 2 ? argv[2] : NULL);
	if (!strcmp(name, "--version"))
		name = "version";
	const struct command *command = command_find(name);
	if (!command) {
		complain("there is no command \"%s\"; `weft help` lists them", name);
		return EXIT_USAGE;
	}
	/* getopt begins its complaints with argv[0]. */
	static char called[64];
	snprintf(called, sizeof(called), "weft %s", command->name);
	argv[1] = called;
	return command->run(command, argc - 1, argv + 1);
}
