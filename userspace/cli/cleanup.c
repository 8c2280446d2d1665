/* weft cleanup: removes every trace of a weftd, and of runs that were killed. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cleanup.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/place.h"
#include "kernel/kernel.h"

#define RUNS_MAX    1024
#define END_TRIES   50
#define END_WAIT_NS 100000000
/* After SIGKILL an io_uring keeps what its process held for some milliseconds more. */
#define GHOST_TRIES   50
#define GHOST_WAIT_NS 20000000

struct cleanup {
	const char *pin_dir;
	const char *cgroup_root;
	const char *socket; /* NULL: of no weftd that is known here */
	bool forces;
	bool removes_weftd; /* its pins and its socket */
	bool removes_runs;  /* what killed `weft run`s left */
	unsigned removed;
	unsigned failed;
	pid_t runs[RUNS_MAX]; /* ids found in names */
	size_t run_count;
};

static void say_removed(struct cleanup *cleanup, const char *what, const char *path)
{
	printf("removed %s %s\n", what, path);
	cleanup->removed++;
}

static void say_failed(struct cleanup *cleanup, const char *path, const char *why)
{
	complain("%s stays: %s", path, why);
	cleanup->failed++;
}

/* ---- leftovers of `weft run` ---- */

static void runs_collect(struct cleanup *cleanup, const char *folder)
{
	DIR *dir = opendir(folder);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		pid_t pid;
		if (!place_name_pid(entry->d_name, &pid) || cleanup->run_count == RUNS_MAX)
			continue;
		bool known = false;
		for (size_t i = 0; i < cleanup->run_count; i++)
			known = known || cleanup->runs[i] == pid;
		if (!known)
			cleanup->runs[cleanup->run_count++] = pid;
	}
	closedir(dir);
}

/* The process is still the `weft run` that made these names; ids come round again. */
static bool run_is_alive(pid_t pid)
{
	char path[64];
	char name[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool is_weft = fgets(name, sizeof(name), file) && !strcmp(name, "weft\n");
	fclose(file);
	return is_weft;
}

static void remove_run_pins(struct cleanup *cleanup, const struct place *place)
{
	struct text why = {0};
	if (access(place->pin_dir, F_OK) == 0) {
		if (place_remove_pins(place, &why))
			say_failed(cleanup, place->pin_dir,
				   why.data ? why.data : "no reason known");
		else
			say_removed(cleanup, "pins", place->pin_dir);
	}
	text_fini(&why);
}

static void remove_run(struct cleanup *cleanup, const struct place *place)
{
	if (client_is_served(place->socket)) {
		say_failed(cleanup, place->folder, "its private weftd is still draining");
		return;
	}
	remove_run_pins(cleanup, place);
	int population = place_population(place);
	if (population > 0) {
		say_failed(cleanup, place->cgroup, "processes still run in it");
	} else if (population == 0) {
		int error = place_remove_cgroup(place);
		if (error)
			say_failed(cleanup, place->cgroup, strerror(-error));
		else
			say_removed(cleanup, "cgroup", place->cgroup);
	}
	if (access(place->folder, F_OK) == 0) {
		int error = place_remove_folder(place);
		if (error)
			say_failed(cleanup, place->folder, strerror(-error));
		else
			say_removed(cleanup, "folder", place->folder);
	}
}

static void remove_runs(struct cleanup *cleanup)
{
	struct text why = {0};
	struct place place;
	if (place_init(&place, 1, cleanup->cgroup_root, &why)) {
		complain("%s", why.data ? why.data : "no cgroup v2");
	} else {
		runs_collect(cleanup, place.cgroup_root);
		runs_collect(cleanup, PLACE_PIN_ROOT);
		runs_collect(cleanup, PLACE_RUN_ROOT);
	}
	for (size_t i = 0; i < cleanup->run_count; i++) {
		if (run_is_alive(cleanup->runs[i]))
			continue;
		if (place_init(&place, cleanup->runs[i], cleanup->cgroup_root, &why) == 0)
			remove_run(cleanup, &place);
	}
	text_fini(&why);
}

/* ---- weftd's own ---- */

static void wait_ns(long ns)
{
	struct timespec wait = {.tv_nsec = ns};
	nanosleep(&wait, NULL);
}

static void remove_pins(struct cleanup *cleanup)
{
	struct text why = {0};
	if (access(cleanup->pin_dir, F_OK))
		return;
	int error = kernel_remove(cleanup->pin_dir, &why);
	for (unsigned tries = 0; error == -EBUSY && tries < GHOST_TRIES; tries++) {
		wait_ns(GHOST_WAIT_NS);
		text_clear(&why);
		error = kernel_remove(cleanup->pin_dir, &why);
	}
	if (error)
		say_failed(cleanup, cleanup->pin_dir, why.data ? why.data : strerror(-error));
	else
		say_removed(cleanup, "programs, maps and pins in", cleanup->pin_dir);
	text_fini(&why);
}

/* A process serves the socket, and it is not one that is just vanishing. */
static bool weftd_is_alive(const struct cleanup *cleanup)
{
	if (!cleanup->socket)
		return false;
	for (unsigned tries = 0; tries < GHOST_TRIES; tries++) {
		if (!client_is_served(cleanup->socket))
			return false;
		pid_t pid = client_server_pid(cleanup->socket);
		if (pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH))
			return true;
		wait_ns(GHOST_WAIT_NS);
	}
	return true;
}

static void remove_socket(struct cleanup *cleanup)
{
	struct stat found;
	if (!cleanup->socket || lstat(cleanup->socket, &found) || !S_ISSOCK(found.st_mode) ||
	    client_is_served(cleanup->socket))
		return;
	if (unlink(cleanup->socket))
		say_failed(cleanup, cleanup->socket, strerror(errno));
	else
		say_removed(cleanup, "socket", cleanup->socket);
}

/* What it knew of the cluster, and a file with it that was never whole. */
static void remove_known(struct cleanup *cleanup)
{
	static const char *const suffixes[] = {CLEANUP_KNOWN};
	for (size_t i = 0; cleanup->socket && i < array_count(suffixes); i++) {
		char path[PATH_MAX];
		if (snprintf(path, sizeof(path), "%s%s", cleanup->socket, suffixes[i]) >= PATH_MAX)
			continue;
		if (unlink(path) == 0)
			say_removed(cleanup, "what was known of the cluster:", path);
		else if (errno != ENOENT)
			say_failed(cleanup, path, strerror(errno));
	}
}

bool cleanup_ended(const char *pin_dir, const char *socket)
{
	struct cleanup cleanup = {.pin_dir = pin_dir, .socket = socket};
	remove_pins(&cleanup);
	remove_known(&cleanup);
	remove_socket(&cleanup);
	return !cleanup.failed;
}

/* A second SIGTERM means at once. True when nobody serves the socket any more. */
static bool end_weftd(const struct cleanup *cleanup)
{
	pid_t pid = client_server_pid(cleanup->socket);
	for (unsigned tries = 0; pid > 0 && tries < END_TRIES; tries++) {
		if (tries < 2)
			kill(pid, SIGTERM);
		else if (tries == END_TRIES / 2)
			kill(pid, SIGKILL);
		wait_ns(END_WAIT_NS);
		if (kill(pid, 0) && errno == ESRCH)
			break;
	}
	return !client_is_served(cleanup->socket);
}

static int clean(struct cleanup *cleanup)
{
	bool is_alive = weftd_is_alive(cleanup);
	if (cleanup->removes_weftd && is_alive && !cleanup->forces) {
		complain("a weftd is alive at %s: stop it first, or say --force, which ends it",
			 cleanup->socket);
		return EXIT_FAILED;
	}
	if (cleanup->removes_weftd && is_alive && !end_weftd(cleanup)) {
		complain("the weftd at %s does not end", cleanup->socket);
		return EXIT_FAILED;
	}
	if (cleanup->removes_weftd) {
		remove_pins(cleanup);
		remove_known(cleanup);
		remove_socket(cleanup);
	}
	if (cleanup->removes_runs)
		remove_runs(cleanup);
	if (!cleanup->removed && !cleanup->failed)
		printf("nothing to remove\n");
	return cleanup->failed ? EXIT_FAILED : EXIT_OK;
}

static int cleanup_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"pin-dir", required_argument, NULL, 'p'},
					      {"cgroup-root", required_argument, NULL, 'c'},
					      {"socket", required_argument, NULL, 's'},
					      {"force", no_argument, NULL, 'f'},
					      {"runs", no_argument, NULL, 'r'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	static struct cleanup cleanup;
	struct view_options options;
	bool only_runs = false;
	int status;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
		if (option == 'p')
			cleanup.pin_dir = optarg;
		else if (option == 'c')
			cleanup.cgroup_root = optarg;
		else if (option == 's')
			cleanup.socket = optarg;
		else if (option == 'f')
			cleanup.forces = true;
		else if (option == 'r')
			only_runs = true;
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	if (optind < argc)
		return command_misused(self, "unexpected argument \"%s\"", argv[optind]);
	cleanup.removes_weftd = !only_runs;
	cleanup.removes_runs = only_runs || !cleanup.pin_dir;
	/* The default socket belongs to the weftd of the default pins. */
	if (!cleanup.socket && !cleanup.pin_dir)
		cleanup.socket = DEFAULT_SOCKET;
	if (!cleanup.pin_dir)
		cleanup.pin_dir = WEFT_PIN_DIR;
	if (geteuid() != 0) {
		complain(
			"weft cleanup removes BPF programs and cgroups, which takes root: try sudo "
			"weft cleanup");
		return EXIT_FAILED;
	}
	return clean(&cleanup);
}

const struct command command_cleanup = {
	.name = "cleanup",
	.arguments = "[--runs | --pin-dir DIR] [--force]",
	.summary = "Remove every trace: programs, maps, pins, and what killed runs left",
	.details =
		"  --runs             only what killed runs left\n"
		"  --pin-dir DIR      only what is pinned there, instead of in " WEFT_PIN_DIR
		"\n"
		"  --cgroup-root DIR  cgroup v2 (default: found from the mount table)\n"
		"  --socket PATH      weftd's Unix socket (default " DEFAULT_SOCKET
		",\n"
		"                     none with --pin-dir)\n"
		"  --force            although a weftd is alive there: it is ended first, "
		"undrained\n"
		"\nMetrics of a weftd that has ended are readable until then.\n",
	.run = cleanup_run,
};
