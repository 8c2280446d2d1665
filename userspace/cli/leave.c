/*
 * weft leave: takes a node out of the mesh for good, as a restart of weftd does not. What the chart
 * runs on every node before it is uninstalled; helm/README.md has the whole protocol.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cleanup.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/nodes.h"
#include "cni/node_lock.h"
#include "cni/pending.h"
#include "cni/place.h"
#include "cni/record.h"
#include "kernel/kernel.h"

#define ASK_WAIT_NS   100000000
#define ROUND_WAIT_NS 1000000000

struct leave {
	const char *pin_dir;
	const char *socket;
	const char *pending_dir;
	struct cni_place cni; /* no folders: no CNI plugin was ever installed */
	bool holds;
	bool only_checks;
	/* Waiting for other nodes. */
	const char *await;
	const char *nodes;
	unsigned timeout_s;
};

static void wait_ns(long ns)
{
	struct timespec wait = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	nanosleep(&wait, NULL);
}

static bool has_cni(const struct leave *leave)
{
	return leave->cni.bin_dir && leave->cni.conf_dir;
}

/* ---- what is left ---- */

static void known_print(const struct leave *leave, struct text *traces)
{
	static const char *const suffixes[] = {CLEANUP_KNOWN};
	for (size_t i = 0; i < array_count(suffixes); i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof(path), "%s%s", leave->socket, suffixes[i]) < PATH_MAX &&
		    access(path, F_OK) == 0)
			text_printf(traces, "what was known of the cluster in %s\n", path);
	}
}

/* A line for each trace of weft. */
static void traces_print(const struct leave *leave, struct text *traces)
{
	struct text why = {0};
	if (client_is_served(leave->socket))
		text_printf(traces, "a weftd that serves %s\n", leave->socket);
	if (access(leave->pin_dir, F_OK) == 0)
		text_printf(traces, "pins in %s\n", leave->pin_dir);
	if (access(leave->pending_dir, F_OK) == 0)
		text_printf(traces, "pods that wait for weftd in %s\n", leave->pending_dir);
	known_print(leave, traces);
	if (has_cni(leave) && cni_traces(&leave->cni, traces, &why))
		text_printf(traces, "perhaps the CNI plugin: %.*s\n", SPAN_PRINT(text_span(&why)));
	text_fini(&why);
}

/* True when nothing is left; otherwise it says what. */
static bool node_is_clean(const struct leave *leave, FILE *stream)
{
	struct text traces = {0};
	traces_print(leave, &traces);
	bool is_clean = !traces.size && !traces.failed;
	if (!is_clean && stream)
		fprintf(stream, "%.*s", SPAN_PRINT(text_span(&traces)));
	text_fini(&traces);
	return is_clean;
}

/* ---- removing it ---- */

/* Connections get their time to end, which weftd limits (timeouts.drain). */
static void drain(const struct leave *leave)
{
	struct answer answer = {0};
	struct text why = {0};
	if (!client_is_served(leave->socket))
		return;
	printf("weftd drains\n");
	if (client_ask(leave->socket, "POST", "/drain", &answer, &why))
		complain("%.*s", SPAN_PRINT(text_span(&why)));
	while (client_is_served(leave->socket))
		wait_ns(ASK_WAIT_NS);
	text_fini(&answer.body);
	text_fini(&why);
}

static void remove_cni(const struct leave *leave)
{
	struct text removed = {0};
	struct text why = {0};
	if (cni_remove(&leave->cni, &removed, &why))
		complain("%.*s", SPAN_PRINT(text_span(&why)));
	cni_record_remove(leave->socket);
	if (removed.size)
		printf("removed the CNI plugin:\n%.*s", SPAN_PRINT(text_span(&removed)));
	text_fini(&removed);
	text_fini(&why);
}

/* New pods must not be sent to a weftd that drains, so the plugin goes first. */
static bool leave_once(const struct leave *leave)
{
	if (has_cni(leave))
		remove_cni(leave);
	drain(leave);
	bool is_removed = cleanup_ended(leave->pin_dir, leave->socket);
	pending_clear(leave->pending_dir);
	return is_removed && node_is_clean(leave, stderr);
}

/* The node stays out, whatever starts on it, until a signal ends this process. */
static void hold(const struct leave *leave)
{
	printf("the node is clean, and held\n");
	fflush(stdout);
	for (;;) {
		wait_ns(ROUND_WAIT_NS);
		if (!node_is_clean(leave, NULL))
			(void)!leave_once(leave);
	}
}

static int leave_node(const struct leave *leave)
{
	int lock = node_lock_alone(leave->socket);
	if (lock < 0) {
		complain("the folder of %s cannot be locked: %s", leave->socket, strerror(-lock));
		return EXIT_FAILED;
	}
	bool is_clean = leave_once(leave);
	while (!is_clean && leave->holds) {
		wait_ns(ROUND_WAIT_NS);
		is_clean = leave_once(leave);
	}
	if (is_clean && leave->holds)
		hold(leave);
	node_lock_end(lock);
	return is_clean ? EXIT_OK : EXIT_FAILED;
}

/* ---- command line ---- */

static int act(const struct command *self, const struct leave *leave)
{
	if (!leave->await != !leave->nodes)
		return command_misused(self, "--await and --nodes need each other");
	if (!leave->cni.bin_dir != !leave->cni.conf_dir)
		return command_misused(self, "--cni-bin-dir and --cni-conf-dir need each other");
	if (leave->await)
		return nodes_await(leave->await, leave->nodes, leave->timeout_s);
	if (leave->only_checks)
		return node_is_clean(leave, stdout) ? EXIT_OK : EXIT_FAILED;
	if (geteuid() != 0) {
		complain("weft leave removes BPF programs, which takes root: try sudo weft leave");
		return EXIT_FAILED;
	}
	return leave_node(leave);
}

static bool seconds_parse(const char *text, unsigned *ret_seconds)
{
	uint64_t seconds;
	if (span_to_u64(span_text(text), &seconds) || seconds > 86400)
		return false;
	*ret_seconds = (unsigned)seconds;
	return true;
}

static int leave_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"pin-dir", required_argument, NULL, 'p'},
					      {"socket", required_argument, NULL, 's'},
					      {"pending-dir", required_argument, NULL, 'd'},
					      {"cni-bin-dir", required_argument, NULL, 'b'},
					      {"cni-conf-dir", required_argument, NULL, 'c'},
					      {"hold", no_argument, NULL, 'H'},
					      {"check", no_argument, NULL, 'k'},
					      {"await", required_argument, NULL, 'a'},
					      {"nodes", required_argument, NULL, 'n'},
					      {"timeout", required_argument, NULL, 't'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct leave leave = {
		.pin_dir = WEFT_PIN_DIR, .pending_dir = CNI_PENDING_DIR, .timeout_s = 240};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	int status;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
		if (option == 'p')
			leave.pin_dir = optarg;
		else if (option == 'd')
			leave.pending_dir = optarg;
		else if (option == 'b')
			leave.cni.bin_dir = optarg;
		else if (option == 'c')
			leave.cni.conf_dir = optarg;
		else if (option == 'H')
			leave.holds = true;
		else if (option == 'k')
			leave.only_checks = true;
		else if (option == 'a')
			leave.await = optarg;
		else if (option == 'n')
			leave.nodes = optarg;
		else if (option == 't' && !seconds_parse(optarg, &leave.timeout_s))
			return command_misused(self, "--timeout takes seconds, not \"%s\"", optarg);
		else if (option != 't' && !view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	leave.socket = options.socket;
	return act(self, &leave);
}

const struct command command_leave = {
	.name = "leave",
	.arguments = "[--hold | --check | --await NAME --nodes NAME] [OPTION…]",
	.summary = "Take this node out of the mesh: drain, then remove every trace",
	.details =
		"  --hold                 stay, and keep the node out; a signal ends it when no "
		"weftd "
		"runs any more\n"
		"  --check                remove nothing; say what is left, and fail if anything "
		"is\n"
		"  --await NAME           remove nothing; wait until NAME resolves to every "
		"address\n"
		"  --nodes NAME             that this name resolves to\n"
		"  --timeout SECONDS        and no longer than this (default 240)\n"
		"  --cni-bin-dir DIR      take the CNI plugin out of this folder\n"
		"  --cni-conf-dir DIR       and this one\n"
		"  --pin-dir DIR          default " WEFT_PIN_DIR
		"\n"
		"  --pending-dir DIR      default " CNI_PENDING_DIR
		"\n"
		"  --socket PATH          weftd's Unix socket (default " DEFAULT_SOCKET
		")\n"
		"\nA weftd that starts on the node meanwhile waits until this process has ended.\n",
	.run = leave_run,
};
