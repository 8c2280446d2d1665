/* weft dtab: what a dtab makes of a name, and whether a file holds one. Needs no weftd. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/dtab_tree.h"
#include "cli/files.h"

/* Says what is wrong with a text of the command line. */
static int complain_of(const char *what, int error, const struct name_error *where)
{
	struct text text = {0};
	name_error_print(where, &text);
	complain("%s: %s", what, text.failed ? "out of memory" : text.data);
	text_fini(&text);
	return error == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

static int print_result(const struct dtab_tree *tree, const struct bound_name *bound)
{
	struct text text = {0};
	dtab_tree_print(tree, &text);
	name_tree_print(bound->tree, &text);
	bool has_no_memory = text.failed;
	if (has_no_memory)
		complain("out of memory");
	else
		puts(text.data);
	text_fini(&text);
	if (bound->state >= DELEGATE_TOO_DEEP)
		complain("%s", delegate_state_name(bound->state));
	bool is_bound = bound->state == DELEGATE_BOUND || bound->state == DELEGATE_EMPTY;
	return is_bound && !has_no_memory ? EXIT_OK : EXIT_FAILED;
}

/* The entries of `local` come after those of the dtab; NULL = none. */
static int eval(const char *text, const char *local, const char *name)
{
	struct dtab *dtabs[2] = {NULL, NULL};
	struct name_arena arena;
	struct name_path path;
	struct name_error where;
	int status = EXIT_FAILED;
	name_arena_init(&arena, NULL, 0);
	int error = dtab_parse(span_text(text), &dtabs[0], &where);
	if (error) {
		status = complain_of("dtab", error, &where);
		goto free_all;
	}
	error = dtab_parse(span_text(local ? local : ""), &dtabs[1], &where);
	if (error) {
		status = complain_of("local dtab", error, &where);
		goto free_all;
	}
	error = name_path_parse(span_text(name), &arena, &path, &where);
	if (error) {
		status = complain_of("path", error, &where);
		goto free_all;
	}
	struct dtab_tree tree;
	const struct delegate_rules rules = {.dtabs = (const struct dtab *const *)dtabs,
					     .dtab_count = 2};
	dtab_tree_init(&tree);
	struct bound_name *bound = delegate(&rules, path, &tree.trace);
	if (bound)
		status = print_result(&tree, bound);
	else
		complain("out of memory");
	bound_name_free(bound);
	dtab_tree_fini(&tree);
free_all:
	name_arena_fini(&arena);
	dtab_free(dtabs[0]);
	dtab_free(dtabs[1]);
	return status;
}

static int check(const char *path)
{
	struct text bytes = {0};
	struct dtab *dtab = NULL;
	struct name_error where;
	int status = EXIT_OK;
	int error = file_read(path, &bytes);
	if (error) {
		complain("%s: %s", path, strerror(-error));
		text_fini(&bytes);
		return EXIT_FAILED;
	}
	error = dtab_parse(text_span(&bytes), &dtab, &where);
	if (error) {
		complain("%s: line %u, column %u: %s", path, where.line, where.column, where.why);
		status = error == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	} else {
		printf("%s: %u %s, good\n", path, dtab->count,
		       dtab->count == 1 ? "entry" : "entries");
	}
	dtab_free(dtab);
	text_fini(&bytes);
	return status;
}

static int dtab_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"local", required_argument, NULL, 'l'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct view_options options;
	const char *local = NULL;
	int status;
	for (int option; (option = getopt_long(argc, argv, "l:h", known, NULL)) != -1;) {
		if (option == 'l')
			local = optarg;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	char **words = argv + optind;
	int count = argc - optind;
	if (count == 3 && strcmp(words[0], "eval") == 0)
		return eval(words[1], local, words[2]);
	if (count == 2 && strcmp(words[0], "check") == 0 && !local)
		return check(words[1]);
	return command_misused(self, "expected eval DTAB PATH, or check FILE");
}

const struct command command_dtab = {
	.name = "dtab",
	.arguments = "eval [--local DTAB] DTAB PATH | check FILE",
	.summary = "What a dtab makes of a name, step by step; is a file a dtab?",
	.details =
		"Needs no weftd.\n\n"
		"  eval            prints every step, and in the last line what PATH is bound to:\n"
		"                  ids, | between alternates, & between the branches of a union,\n"
		"                  ~ negative, ! failed, $ empty. Ends with 0 when it is bound "
		"(or\n"
		"                  empty), 1 when negative or failed, 2 on a syntax error, whose\n"
		"                  column it tells. Names below /#/ have no namer here: negative\n"
		"  -l, --local DTAB  entries that a request brings: they come after DTAB's and "
		"win\n"
		"  check           ends with 0 when FILE is a dtab, 2 when not, with line and "
		"column\n\n"
		"  weft dtab eval '/svc => /host; /host/web => /$/inet/10.0.0.1/80' /svc/web\n",
	.run = dtab_run,
};
