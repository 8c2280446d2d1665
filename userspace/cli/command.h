/*
 * One command of `weft`: a name, a line for the list, a text for --help and a function. Commands
 * are plain blocking programs; output goes to stdout, what went wrong to stderr.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_RUN_FAILED = 125, /* `weft run`: weft itself failed, as timeout(1) and env(1) say it */
};

struct command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;   /* one line */
	const char *details;   /* options and remarks, may be "" */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_check;
extern const struct command command_cleanup;
extern const struct command command_cni;
extern const struct command command_config;
extern const struct command command_connections;
extern const struct command command_dtab;
extern const struct command command_edges;
extern const struct command command_endpoints;
extern const struct command command_explain;
extern const struct command command_leave;
extern const struct command command_pods;
extern const struct command command_names;
extern const struct command command_routes;
extern const struct command command_run;
extern const struct command command_services;
extern const struct command command_stat;
extern const struct command command_version;

/* ---- options that every command which asks weftd has ---- */

#define DEFAULT_SOCKET "/run/weft/weftd.sock"

#define VIEW_SHORT_OPTIONS "n:o:h"

struct view_options {
	const char *socket;
	const char *namespace; /* NULL = all */
	bool wants_json;
};

#define VIEW_OPTIONS                                                                               \
	{"socket", required_argument, NULL, 's'}, {"output", required_argument, NULL, 'o'},        \
		{"namespace", required_argument, NULL, 'n'},                                       \
	{                                                                                          \
		"help", no_argument, NULL, 'h'                                                     \
	}
#define VIEW_OPTIONS_HELP                                                                          \
	"  --socket PATH   weftd's Unix socket (default " DEFAULT_SOCKET                           \
	")\n"                                                                                      \
	"  -n NAMESPACE    only pods and services of this namespace of Kubernetes\n"               \
	"  -o json|table   what to print (default table)\n"

/* Takes s, n, o and h, complains about everything else. True: go on. False: return *ret_exit. */
bool view_option(struct view_options *options, const struct command *self, int option,
		 int *ret_exit);
/* For a command with these options and no arguments. */
bool view_options_only(struct view_options *options, const struct command *self, int argc,
		       char **argv, int *ret_exit);
void command_help(const struct command *self);
/* "weft NAME: …; see `weft NAME --help`" on stderr; returns EXIT_USAGE. */
int command_misused(const struct command *self, const char *format, ...) PRINTF_LIKE(2, 3);
/* "weft: …" on stderr. */
void complain(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
