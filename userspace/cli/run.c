/* weft run: one command, meshed by the weftd that runs or by a private one; nothing left behind. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/enrol.h"
#include "cli/files.h"
#include "cli/inside.h"
#include "cli/merge.h"
#include "cli/place.h"
#include "cli/summary.h"
#include "kernel/neighbours.h"

#define POLL_MS        20
#define READY_LIMIT_MS 10000
#define FINAL_LIMIT_MS 500  /* for the last counters */
#define STOP_LIMIT_MS  3000 /* nobody is left whose connections could be drained */

struct run {
	struct place place;
	struct daemon daemon;
	const char *config; /* the user's, NULL = capture everything */
	const char *asked;  /* --socket, NULL = not given */
	const char *socket; /* of the weftd that captures, shared or private */
	char pod[32];       /* what the command is called there */
	int enrolment;      /* connection to a shared weftd, -1 = it is a private one */
	int signals;        /* signalfd */
	char *const *command;
	char weftd[PLACE_PATH_MAX];
	sigset_t watched; /* blocked, taken one by one */
	sigset_t before;
	int interrupted; /* signal that came before the command was started */
	bool has_hosts;
};

/* ---- signals ---- */

static void signals_take(struct run *run)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
	sigemptyset(&run->watched);
	for (size_t i = 0; i < array_count(watched); i++)
		sigaddset(&run->watched, watched[i]);
	sigprocmask(SIG_BLOCK, &run->watched, &run->before);
	run->signals = signalfd(-1, &run->watched, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN); /* a reader of stderr that left must not stop the clean-up */
}

/* Waits a moment; an interrupting signal is kept in run->interrupted. */
static void pause_shortly(struct run *run)
{
	struct timespec wait = {.tv_nsec = POLL_MS * 1000000};
	int number = sigtimedwait(&run->watched, NULL, &wait);
	if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT)
		run->interrupted = number;
}

/* ---- the private weftd's config ---- */

static int config_merge(const struct run *run, struct text *config)
{
	const struct merge_places places = {
		.cgroup = run->place.cgroup,
		.pin_dir = run->place.pin_dir,
		.socket = run->place.socket,
		.cgroup_root = run->place.cgroup_root,
	};
	if (!run->config) {
		merge_default(&places, config);
		return config->failed ? -ENOMEM : 0;
	}
	struct text user = {0};
	struct text why = {0};
	struct merge_notes notes = {0};
	int error = file_read(run->config, &user);
	if (error)
		complain("%s: %s", run->config, strerror(-error));
	else
		error = merge_user(text_span(&user), &places, config, &notes, &why);
	if (error && why.data)
		complain("%s: %s", run->config, why.data);
	if (!error && notes.had_pods)
		complain("notice: %s names pods; weft run leaves them alone", run->config);
	text_fini(&user);
	text_fini(&why);
	return error;
}

static int config_write(const struct run *run)
{
	struct text config = {0};
	int error = config_merge(run, &config);
	if (!error) {
		error = file_write(run->place.config, 0600, text_span(&config));
		if (error)
			complain("%s: %s", run->place.config, strerror(-error));
	}
	text_fini(&config);
	return error;
}

/* ---- before the command ---- */

static bool is_ready(const struct run *run)
{
	struct text why = {0};
	struct answer answer;
	bool ready = false;
	if (client_ask(run->socket, "GET", "/ready", &answer, &why) == 0) {
		ready = answer.status == 200;
		text_fini(&answer.body);
	}
	text_fini(&why);
	return ready;
}

static int wait_ready(struct run *run)
{
	for (unsigned waited_ms = 0; waited_ms < READY_LIMIT_MS; waited_ms += POLL_MS) {
		if (is_ready(run))
			return 0;
		pause_shortly(run);
		if (run->interrupted)
			return -EINTR;
		if (daemon_ended(&run->daemon)) {
			complain(
				"weftd could not start (its message is above); `weft check` tells "
				"what this machine lacks");
			return -ECHILD;
		}
	}
	complain("weftd was not ready within %d s; `weft check` tells what this machine lacks",
		 READY_LIMIT_MS / 1000);
	return -ETIMEDOUT;
}

/* The machine's /etc/hosts with the services' names behind it. */
static void hosts_write(struct run *run)
{
	cJSON *services = client_json(run->socket, "/services.json");
	struct text hosts = {0};
	int error = file_read("/etc/hosts", &hosts);
	if (hosts.size && hosts.data[hosts.size - 1] != '\n')
		text_add(&hosts, span_text("\n"));
	if (services && hosts_print(services, &hosts) > 0 && !hosts.failed) {
		if (!error)
			error = file_write(run->place.hosts, 0644, text_span(&hosts));
		run->has_hosts = !error;
		if (error)
			complain("notice: services' names are not resolvable: %s",
				 strerror(-error));
	}
	text_fini(&hosts);
	cJSON_Delete(services);
}

/* Asked of the user's own file, so that complaints name it; what is no file (a pipe of the shell's
 * `<(…)`) can be read only once, and weftd complains later. */
static bool config_is_valid(const struct run *run)
{
	struct stat found;
	if (!run->config || (stat(run->config, &found) == 0 && !S_ISREG(found.st_mode)))
		return true;
	return daemon_validate(run->weftd, run->config) == 0;
}

/* Would another weftd see our redirected dials, or ours see its? Two that take only dials to their
 * own services do not meet. */
static bool is_taken(const struct run *run)
{
	struct weft_pod pod;
	if (!neighbour_captures_here(&pod))
		return false;
	if (run->config && !(pod.flags & WEFT_POD_CAPTURE_ALL))
		return false;
	complain(
		"this network namespace is pod \"%s\" of a weftd that runs already, and two cannot "
		"take the same dials; start the command without weft run, or elsewhere",
		pod.name);
	return true;
}

/* What needs no clean-up. */
static bool private_is_possible(struct run *run)
{
	if (daemon_find(run->weftd, sizeof(run->weftd))) {
		complain("weftd is neither beside weft nor in PATH");
		return false;
	}
	return !is_taken(run) && config_is_valid(run);
}

static int prepare_private(struct run *run)
{
	struct text why = {0};
	run->socket = run->place.socket;
	snprintf(run->pod, sizeof(run->pod), MERGE_POD);
	int error = config_write(run);
	if (!error) {
		error = daemon_start(&run->daemon, run->weftd, run->place.config, &why);
		if (error)
			complain("%s", why.data ? why.data : strerror(-error));
	}
	text_fini(&why);
	if (!error)
		error = wait_ready(run);
	return error;
}

/* ---- a weftd that runs already ---- */

/* It opens the command's listeners in its own network namespace. */
static bool is_in_our_netns(pid_t weftd)
{
	char path[64];
	struct stat ours;
	struct stat its;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", weftd);
	return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &its) == 0 &&
	       ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* Finds the weftd to ask, in run->socket; NULL = a private one is wanted. False after a complaint.
 */
static bool find_shared(struct run *run)
{
	const char *socket = run->asked ? run->asked : DEFAULT_SOCKET;
	pid_t weftd = run->config ? 0 : client_server_pid(socket);
	if (weftd && is_in_our_netns(weftd))
		run->socket = socket;
	if (run->socket || !run->asked)
		return true;
	complain(weftd ? "the weftd at %s runs in another network namespace, where it cannot "
			 "capture "
			 "the command"
		       : "no weftd answers at %s; is it running?",
		 socket);
	return false;
}

static int prepare_shared(struct run *run)
{
	struct text why = {0};
	snprintf(run->pod, sizeof(run->pod), "run-%d", run->place.pid);
	int error = enrol_open(run->socket, run->pod, run->place.cgroup, &why, &run->enrolment);
	if (error)
		complain("%s", why.data ? why.data : strerror(-error));
	text_fini(&why);
	return error;
}

static int prepare(struct run *run)
{
	bool has_services = run->socket || run->config;
	int error = run->socket ? prepare_shared(run) : prepare_private(run);
	if (!error && has_services)
		hosts_write(run);
	return error;
}

static bool weftd_ended(struct run *run)
{
	return run->enrolment >= 0 ? enrol_ended(run->enrolment) : daemon_ended(&run->daemon);
}

/* ---- while the command runs ---- */

/* A terminal sends its signals to the whole process group: the command has had them already. */
static bool came_from_terminal(const struct signalfd_siginfo *signal)
{
	return signal->ssi_code == SI_KERNEL;
}

static void forward_signals(const struct run *run, pid_t pid)
{
	struct signalfd_siginfo signal;
	while (read(run->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo != SIGCHLD && !came_from_terminal(&signal))
			kill(pid, (int)signal.ssi_signo);
	}
}

static int wait_command(struct run *run, pid_t pid)
{
	bool told = false;
	for (;;) {
		int status;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (!told && weftd_ended(run)) {
			complain("weftd has ended; the command goes on without it");
			told = true;
		}
		/* A private weftd's end is a SIGCHLD; poll passes over descriptors below 0. */
		struct pollfd waits[] = {
			{.fd = run->signals, .events = POLLIN},
			{.fd = told ? -1 : run->enrolment, .events = POLLIN},
		};
		poll(waits, array_count(waits), -1);
		forward_signals(run, pid);
	}
}

static int run_command(struct run *run, bool *ret_was_started)
{
	const struct inside inside = {
		.place = &run->place,
		.mask = &run->before,
		.has_hosts = run->has_hosts,
		.command = run->command,
	};
	pid_t pid;
	bool is_exec = false;
	int error = inside_start(&inside, &pid, &is_exec);
	if (error && is_exec) {
		complain("%s: %s", run->command[0], strerror(-error));
		return inside_exit_status(error);
	}
	if (error) {
		complain("cannot enter %s: %s", run->place.cgroup, strerror(-error));
		return EXIT_RUN_FAILED;
	}
	*ret_was_started = true;
	return wait_command(run, pid);
}

/* ---- after the command ---- */

/* A connection's last bytes are counted when weftd has seen its end, a moment after the command. */
static void summarize(struct run *run)
{
	char path[64];
	struct text text = {0};
	cJSON *edges = NULL;
	snprintf(path, sizeof(path), "/edges.json?pod=%s", run->pod);
	bool outlived = place_population(&run->place) > 0;
	for (unsigned waited_ms = 0; !weftd_ended(run); waited_ms += POLL_MS) {
		cJSON_Delete(edges);
		edges = client_json(run->socket, path);
		if (!edges || outlived || summary_is_final(edges) || waited_ms >= FINAL_LIMIT_MS)
			break;
		pause_shortly(run);
	}
	if (edges)
		summary_print(edges, &text);
	cJSON_Delete(edges);
	fputs(text.data ? text.data : "", stderr);
	text_fini(&text);
}

/* Undoes everything, whatever went before. */
static void clean_up(struct run *run)
{
	struct text why = {0};
	if (run->enrolment >= 0)
		close(run->enrolment); /* weftd lets the pod go by itself */
	daemon_stop(&run->daemon, STOP_LIMIT_MS);
	int moved = place_evacuate(&run->place);
	if (moved > 0)
		complain("%d process%s outlived the command and go%s on without weft", moved,
			 moved == 1 ? "" : "es", moved == 1 ? "es" : "");
	if (place_remove_pins(&run->place, &why))
		complain("%s: %s; `weft cleanup` tries again", run->place.pin_dir,
			 why.data ? why.data : "cannot be removed");
	int error = place_remove_cgroup(&run->place);
	if (error)
		complain("%s: %s; `weft cleanup` tries again", run->place.cgroup, strerror(-error));
	error = place_remove_folder(&run->place);
	if (error)
		complain("%s: %s; `weft cleanup` tries again", run->place.folder, strerror(-error));
	text_fini(&why);
}

static int run_all(struct run *run)
{
	struct text why = {0};
	int error = place_init(&run->place, getpid(), NULL, &why);
	if (!error)
		error = place_make(&run->place, &why);
	if (error)
		complain("%s", why.data ? why.data : strerror(-error));
	text_fini(&why);
	if (error)
		return EXIT_RUN_FAILED;
	int status = EXIT_RUN_FAILED;
	if (prepare(run) == 0) {
		bool was_started = false;
		status = run_command(run, &was_started);
		if (was_started)
			summarize(run);
	} else if (run->interrupted) {
		status = 128 + run->interrupted;
	}
	clean_up(run);
	return status;
}

static int run_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"config", required_argument, NULL, 'c'},
					      {"socket", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct view_options options;
	static struct run run = {.enrolment = -1};
	int status;
	for (int option; (option = getopt_long(argc, argv, "+h", known, NULL)) != -1;) {
		if (option == 'c')
			run.config = optarg;
		else if (option == 's')
			run.asked = optarg;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind == argc)
		return command_misused(self, "no command is given");
	if (run.config && run.asked)
		return command_misused(self,
				       "--config starts a weftd, --socket asks one that runs");
	run.command = argv + optind;
	if (geteuid() != 0) {
		complain(
			"weft run loads BPF programs and makes a cgroup, which takes root: try "
			"sudo weft run …");
		return EXIT_RUN_FAILED;
	}
	if (!find_shared(&run) || (!run.socket && !private_is_possible(&run)))
		return EXIT_RUN_FAILED;
	signals_take(&run);
	return run_all(&run);
}

const struct command command_run = {
	.name = "run",
	.arguments = "[--config FILE | --socket PATH] [--] COMMAND [ARGUMENT…]",
	.summary = "Mesh one command: capture what it dials, say at the end what went through",
	.details =
		"Every TCP dial of the command goes through weft: to a service of the weftd that\n"
		"runs already (their names are resolvable inside), else to where it was dialled. "
		"If\n"
		"none runs, a private weftd does it.\n"
		"\n"
		"  --config FILE   a private weftd with this file's services: the dials to them "
		"are\n"
		"                  captured, no others; its pods, bpf and admin are left alone\n"
		"  --socket PATH   the Unix socket of the weftd that runs (default " DEFAULT_SOCKET
		")\n"
		"\nThe command runs in a throw-away cgroup; nothing else is captured, and nothing "
		"is left\n"
		"behind. If weftd ends meanwhile the command goes on, its new dials uncaptured. "
		"The\n"
		"summary tells of this command alone. The exit status is the command's, 128 + N "
		"if\n"
		"signal N ended it, 127 or 126 if it could not be started, 125 if weft itself "
		"failed.\n"
		"Signals are passed on.\n",
	.run = run_run,
};
