/* weft check: can this machine run weft? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/client.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/versions.h"
#include "cni/place.h"
#include "cni/record.h"
#include "kernel/check.h"
#include "weft/maps.h"

#define LINES_MAX 64

static const char *result_name(enum check_result result)
{
	switch (result) {
	case CHECK_OK:
		return "ok";
	case CHECK_WARN:
		return "warn";
	case CHECK_FAIL:
		return "FAIL";
	}
	return "?";
}

static void print_table(const struct check_line *lines, size_t count, struct text *text)
{
	int widest = 0;
	for (size_t i = 0; i < count; i++)
		if ((int)strlen(lines[i].name) > widest)
			widest = (int)strlen(lines[i].name);
	for (size_t i = 0; i < count; i++) {
		text_printf(text, "%-4s  %-*s  %s\n", result_name(lines[i].result), widest,
			    lines[i].name, lines[i].found);
		if (lines[i].advice[0])
			text_printf(text, "      %-*s  %s\n", widest, "", lines[i].advice);
	}
}

static void print_json(const struct check_line *lines, size_t count,
		       const struct versions *versions, struct text *text)
{
	text_add(text, span_text("{\"checks\":["));
	for (size_t i = 0; i < count; i++) {
		static const char *const results[] = {"ok", "warn", "fail"};
		text_printf(text, "%s{\"name\":\"%s\",\"result\":\"%s\",\"found\":", i ? "," : "",
			    lines[i].name, results[lines[i].result]);
		text_json_string(text, span_text(lines[i].found));
		text_add(text, span_text(",\"advice\":"));
		text_json_string(text, span_text(lines[i].advice));
		text_add(text, span_text("}"));
	}
	text_add(text, span_text("]"));
	if (versions->count)
		versions_json(versions, text);
	text_add(text, span_text("}\n"));
}

/* ---- the CNI plugin ---- */

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

static enum check_result judge_cni(const struct cni_state *state, const char **ret_advice)
{
	*ret_advice = "";
	if (state->is_listed && state->has_program)
		return CHECK_OK;
	*ret_advice =
		"pods may dial before they are captured; the log says why: kubectl logs -n "
		"weft-system ds/weft -c cni";
	return CHECK_FAIL;
}

static void say_cni(const struct cni_state *state, uint64_t put_in_again, struct check_line *line)
{
	char again[64] = "";
	if (put_in_again)
		snprintf(again, sizeof(again), ", where it was put in again %llu time%s",
			 (unsigned long long)put_in_again, put_in_again > 1 ? "s" : "");
	snprintf(line->found, sizeof(line->found), "weft-cni is %s %.80s%s%s",
		 state->is_listed ? "in" : "not in", state->file, again,
		 state->has_program ? "" : ", its program is missing");
}

/* Is our plugin in what the container runtime uses? False: nobody said where that is. */
static bool check_cni(const struct cni_place *place, const char *socket, struct check_line *line)
{
	struct cni_state state = {0};
	struct text why = {0};
	const char *advice;
	if (!*place->bin_dir || !*place->conf_dir)
		return false;
	*line = (struct check_line){.name = "cni"};
	int error = cni_look(place, &state, &why);
	line->result = judge_cni(&state, &advice);
	if (error)
		snprintf(line->found, sizeof(line->found), "%.*s", SPAN_PRINT(text_span(&why)));
	else if (!*state.file)
		snprintf(line->found, sizeof(line->found), "no CNI configuration in %s",
			 place->conf_dir);
	else
		say_cni(&state, cni_record_read(socket).put_in_again, line);
	snprintf(line->advice, sizeof(line->advice), "%s", advice);
	text_fini(&why);
	return true;
}

/* ---- Kubernetes, where a weftd follows it ---- */

static size_t check_cluster(const char *socket, struct check_line *lines)
{
	if (!client_is_served(socket))
		return 0;
	cJSON *cluster = client_json(socket, "/kubernetes.json");
	cJSON *pods = client_json(socket, "/pods.json");
	size_t count = cluster && pods ? cluster_check(cluster, pods, lines) : 0;
	cJSON_Delete(cluster);
	cJSON_Delete(pods);
	return count;
}

/* Of all nodes, where somebody said by which name they are found. */
static bool check_versions(const char *nodes, struct versions *versions, struct check_line *line)
{
	struct text why = {0};
	*line = (struct check_line){.name = "versions"};
	if (!*nodes)
		return false;
	int error = versions_ask(nodes, versions, &why);
	if (!error) {
		versions_judge(versions, line);
		return true;
	}
	line->result = CHECK_WARN;
	snprintf(line->found, sizeof(line->found), "%s", why.size ? why.data : strerror(-error));
	snprintf(line->advice, sizeof(line->advice),
		 "does this node reach the cluster's DNS? the versions of other nodes are not "
		 "known");
	text_fini(&why);
	return true;
}

static int check_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"json", no_argument, NULL, 'j'},
					      {"output", required_argument, NULL, 'o'},
					      {"socket", required_argument, NULL, 's'},
					      {"pin-dir", required_argument, NULL, 'p'},
					      {"cgroup-root", required_argument, NULL, 'c'},
					      {"cni-bin-dir", required_argument, NULL, 'b'},
					      {"cni-conf-dir", required_argument, NULL, 'f'},
					      {"nodes", required_argument, NULL, 'n'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	struct cni_place cni = {.bin_dir = from_environment("WEFT_CNI_BIN_DIR"),
				.conf_dir = from_environment("WEFT_CNI_CONF_DIR")};
	const char *pin_dir = WEFT_PIN_DIR;
	const char *cgroup_root = "";
	const char *nodes = from_environment("WEFT_NODES");
	int status;
	for (int option; (option = getopt_long(argc, argv, "o:h", known, NULL)) != -1;) {
		if (option == 'p')
			pin_dir = optarg;
		else if (option == 'c')
			cgroup_root = optarg;
		else if (option == 'b')
			cni.bin_dir = optarg;
		else if (option == 'f')
			cni.conf_dir = optarg;
		else if (option == 'n')
			nodes = optarg;
		else if (option == 'j')
			options.wants_json = true;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);

	static struct check_line lines[LINES_MAX];
	struct versions versions = {0};
	size_t count = kernel_check(pin_dir, cgroup_root, lines, LINES_MAX - CLUSTER_LINES_MAX - 2);
	count += check_cni(&cni, options.socket, &lines[count]);
	count += check_cluster(options.socket, &lines[count]);
	count += check_versions(nodes, &versions, &lines[count]);
	bool failed = false;
	for (size_t i = 0; i < count; i++)
		failed = failed || lines[i].result == CHECK_FAIL;
	struct text text = {0};
	if (options.wants_json) {
		print_json(lines, count, &versions, &text);
	} else {
		print_table(lines, count, &text);
		versions_print(&versions, &text);
	}
	fputs(text.data ? text.data : "", stdout);
	text_fini(&text);
	versions_fini(&versions);
	return failed ? EXIT_FAILED : EXIT_OK;
}

const struct command command_check = {
	.name = "check",
	.arguments = "[--json] [--socket PATH] [--pin-dir DIR] [--cgroup-root DIR]",
	.summary = "Can this machine run weft? One line for each thing it needs",
	.details =
		"  --json             one object per line of the table; same as -o json\n"
		"  --socket PATH      of a weftd whose view of Kubernetes is checked too, if it "
		"runs\n"
		"                     (default " DEFAULT_SOCKET
		")\n"
		"  --pin-dir DIR      where weft pins its maps (default " WEFT_PIN_DIR
		")\n"
		"  --cgroup-root DIR  cgroup v2 (default: found from the mount table)\n"
		"  --cni-bin-dir DIR  the container runtime's CNI plugins (default "
		"$WEFT_CNI_BIN_DIR)\n"
		"  --cni-conf-dir DIR and its configuration (default $WEFT_CNI_CONF_DIR)\n"
		"  --nodes NAME:PORT  every node's weftd, whose versions are compared (default "
		"$WEFT_NODES)\n"
		"\nExit status 1 when any line says FAIL.\n",
	.run = check_run,
};
