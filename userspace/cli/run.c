/* weft run: one command, meshed by a private weftd, and nothing left behind. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/inside.h"
#include "cli/merge.h"
#include "cli/place.h"
#include "cli/summary.h"

#define POLL_MS           20
#define READY_LIMIT_MS    10000
#define FINAL_LIMIT_MS    500  /* for the last counters */
#define STOP_LIMIT_MS     3000 /* nobody is left whose connections could be drained */
#define USER_CONFIG_BYTES (16u << 20)

struct run {
	struct place place;
	struct daemon daemon;
	const char *config; /* the user's, NULL = capture everything */
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

static int file_read(const char *path, struct text *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	static char chunk[65536];
	ssize_t size;
	while ((size = read(fd, chunk, sizeof(chunk))) > 0 && bytes->size < USER_CONFIG_BYTES)
		text_add(bytes, span_of(chunk, (size_t)size));
	int error = size < 0 ? -errno : 0;
	close(fd);
	if (!error && bytes->size >= USER_CONFIG_BYTES)
		error = -EFBIG;
	return bytes->failed ? -ENOMEM : error;
}

static int file_write(const char *path, mode_t mode, struct span bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int error = 0;
	while (!error && bytes.size) {
		ssize_t size = write(fd, bytes.data, bytes.size);
		if (size < 0)
			error = -errno;
		else
			bytes = span_of(bytes.data + size, bytes.size - (size_t)size);
	}
	return close(fd) && !error ? -errno : error;
}

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
	if (client_ask(run->place.socket, "GET", "/ready", &answer, &why) == 0) {
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
	cJSON *services = client_json(run->place.socket, "/services.json");
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

static int prepare(struct run *run)
{
	struct text why = {0};
	int error = config_write(run);
	if (!error) {
		error = daemon_start(&run->daemon, run->weftd, run->place.config, &why);
		if (error)
			complain("%s", why.data ? why.data : strerror(-error));
	}
	text_fini(&why);
	if (!error)
		error = wait_ready(run);
	if (!error && run->config)
		hosts_write(run);
	return error;
}

/* ---- while the command runs ---- */

/* A terminal sends its signals to the whole process group: the command has had them already. */
static bool came_from_terminal(const siginfo_t *signal)
{
	return signal->si_code == SI_KERNEL;
}

static int wait_command(struct run *run, pid_t pid)
{
	bool told = false;
	for (;;) {
		siginfo_t signal;
		int status;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (!told && daemon_ended(&run->daemon)) {
			complain("weftd has ended; the command goes on without it");
			told = true;
		}
		int number = sigwaitinfo(&run->watched, &signal);
		if (number > 0 && number != SIGCHLD && !came_from_terminal(&signal))
			kill(pid, number);
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

static int sample_take(const struct run *run, struct sample *ret_sample)
{
	cJSON *json = client_json(run->place.socket, "/stat.json");
	int error = json ? sample_parse(json, ret_sample) : -EPROTO;
	cJSON_Delete(json);
	return error;
}

/* A connection's last bytes are counted when weftd has seen its end, a moment after the command. */
static void summarize(struct run *run)
{
	struct sample sample;
	if (daemon_ended(&run->daemon) || sample_take(run, &sample))
		return;
	bool outlived = place_population(&run->place) > 0;
	for (unsigned waited_ms = 0;
	     !outlived && !summary_is_final(&sample) && waited_ms < FINAL_LIMIT_MS;
	     waited_ms += POLL_MS) {
		sample_fini(&sample);
		pause_shortly(run);
		if (sample_take(run, &sample))
			return;
	}
	struct text text = {0};
	summary_print(&sample, &text);
	fputs(text.data ? text.data : "", stderr);
	text_fini(&text);
	sample_fini(&sample);
}

/* Undoes everything, whatever went before. */
static void clean_up(struct run *run)
{
	struct text why = {0};
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

/* Asked of the user's own file, so that complaints name it; what is no file (a pipe of the shell's
 * `<(…)`) can be read only once, and weftd complains later. */
static bool config_is_valid(const struct run *run)
{
	struct stat found;
	if (stat(run->config, &found) == 0 && !S_ISREG(found.st_mode))
		return true;
	return daemon_validate(run->weftd, run->config) == 0;
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
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct view_options options;
	static struct run run;
	int status;
	for (int option; (option = getopt_long(argc, argv, "+h", known, NULL)) != -1;) {
		if (option == 'c')
			run.config = optarg;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind == argc)
		return command_misused(self, "no command is given");
	run.command = argv + optind;
	if (geteuid() != 0) {
		complain(
			"weft run loads BPF programs and makes a cgroup, which takes root: try "
			"sudo weft run …");
		return EXIT_RUN_FAILED;
	}
	if (daemon_find(run.weftd, sizeof(run.weftd))) {
		complain("weftd is neither beside weft nor in PATH");
		return EXIT_RUN_FAILED;
	}
	if (run.config && !config_is_valid(&run))
		return EXIT_RUN_FAILED;
	signals_take(&run);
	return run_all(&run);
}

const struct command command_run = {
	.name = "run",
	.arguments = "[--config FILE] [--] COMMAND [ARGUMENT…]",
	.summary = "Mesh one command: capture what it dials, say at the end what went through",
	.details =
		"  --config FILE   capture the dials to this file's services, balance them, and "
		"make\n"
		"                  their names resolvable; its pods, bpf and admin are left "
		"alone.\n"
		"                  Without it every TCP dial goes through weft to where it was "
		"dialled.\n"
		"\nA throw-away cgroup and a private weftd, both gone afterwards. The exit status "
		"is\n"
		"the command's, 128 + N if signal N ended it, 127 or 126 if it could not be\n"
		"started, 125 if weft itself failed. Signals are passed on.\n",
	.run = run_run,
};
