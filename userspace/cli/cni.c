/* weft cni: the CNI plugin on this node; put in, looked after, taken out. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/command.h"
#include "cni/node_lock.h"
#include "cni/place.h"
#include "cni/record.h"

#define SETTLE_NS    200000000 /* changes come in groups */
#define AGAIN_MS     10000     /* after a failure that no change of a folder may mend */
#define LEAVING_MS   1000
#define FOLDER_EVENT (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

struct keeper {
	const struct cni_place *place;
	const char *lock_socket; /* weftd's, as this process sees it */
	struct node_lock_wait wait;
	int events;
	bool has_told;  /* that it is in place */
	int last_error; /* that was told */
};

/* ---- looking after it ---- */

/* While the node's lock is held. True: somebody had taken the plugin out, perhaps while no watch
 * ran, between two pods of weft's. */
static bool record_change(const struct keeper *keeper, const struct cni_change *change)
{
	struct cni_record record = cni_record_read(keeper->lock_socket);
	bool is_first = !record.is_installed;
	bool was_undone = !is_first && change->list_changed && !change->was_listed;
	record.is_installed = true;
	record.put_in_again += was_undone;
	int error = is_first || was_undone ? cni_record_write(keeper->lock_socket, &record) : 0;
	if (error)
		log_warn("cni_not_recorded", "why=\"%s\"", strerror(-error));
	return was_undone;
}

static void tell_change(struct keeper *keeper, const struct cni_change *change, bool was_undone)
{
	if (change->program_copied)
		log_info("cni_program_copied", "to=%s/weft-cni", keeper->place->bin_dir);
	if (was_undone)
		log_warn("cni_put_in_again",
			 "list=%s why=\"another program had rewritten the configuration\"",
			 change->file);
	else if (change->list_changed)
		log_info("cni_put_in", "list=%s", change->file);
	else if (!keeper->has_told)
		log_info("cni_in_place", "list=%s", change->file);
	keeper->has_told = true;
}

static void tell_error(struct keeper *keeper, int error, const struct text *why)
{
	if (error == keeper->last_error)
		return;
	if (error == -ENOENT || error == -EWOULDBLOCK)
		log_info("cni_waits", "why=\"%.*s\"", SPAN_PRINT(text_span(why)));
	else
		log_error("cni_not_installed", "why=\"%.*s\"", SPAN_PRINT(text_span(why)));
}

/* Milliseconds until it must be tried again though nothing changed; -1 = never. */
static int keep(struct keeper *keeper)
{
	struct cni_change change;
	struct text why = {0};
	bool was_undone = false;
	int error;
	int lock = node_lock_share(keeper->lock_socket, &keeper->wait);
	if (lock < 0) {
		error = lock;
		text_printf(&why, "the node is leaving the mesh: %s", strerror(-lock));
	} else {
		error = cni_install(keeper->place, &change, &why);
		if (!error)
			was_undone = record_change(keeper, &change);
		node_lock_end(lock);
	}
	if (error)
		tell_error(keeper, error, &why);
	else
		tell_change(keeper, &change, was_undone);
	keeper->last_error = error;
	text_fini(&why);
	return !error ? -1 : lock < 0 ? LEAVING_MS : AGAIN_MS;
}

/* A folder that is replaced takes its watch along, so they are set anew each time. */
static void watch_folders(const struct keeper *keeper)
{
	const char *const folders[] = {keeper->place->bin_dir, keeper->place->conf_dir};
	for (size_t i = 0; i < array_count(folders); i++)
		if (inotify_add_watch(keeper->events, folders[i], FOLDER_EVENT) < 0)
			log_warn("cni_folder_not_watched", "folder=%s why=\"%s\"", folders[i],
				 strerror(errno));
}

static void wait_for_change(const struct keeper *keeper, int limit_ms)
{
	char events[4096];
	struct timespec settle = {.tv_nsec = SETTLE_NS};
	struct pollfd one = {.fd = keeper->events, .events = POLLIN};
	if (poll(&one, 1, limit_ms) <= 0)
		return;
	nanosleep(&settle, NULL);
	while (read(keeper->events, events, sizeof(events)) > 0)
		;
}

static int watch(const struct cni_place *place, const char *lock_socket)
{
	struct keeper keeper = {.place = place, .lock_socket = lock_socket};
	keeper.events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (keeper.events < 0) {
		complain("folders cannot be watched: %s", strerror(errno));
		return EXIT_FAILED;
	}
	for (;;) {
		watch_folders(&keeper);
		wait_for_change(&keeper, keep(&keeper));
	}
}

/* ---- once ---- */

static int report(int error, const struct text *done, const struct text *why, const char *nothing)
{
	if (error)
		complain("%.*s", SPAN_PRINT(text_span(why)));
	else
		printf("%s", done->size ? done->data : nothing);
	return error ? EXIT_FAILED : EXIT_OK;
}

static int once(const struct cni_place *place, const char *verb)
{
	struct text done = {0};
	struct text why = {0};
	struct cni_change change = {0};
	int status;
	if (!strcmp(verb, "install")) {
		int error = cni_install(place, &change, &why);
		if (change.program_copied)
			text_printf(&done, "copied %s/weft-cni\n", place->bin_dir);
		if (change.list_changed)
			text_printf(&done, "changed %s/%s\n", place->conf_dir, change.file);
		status = report(error, &done, &why, "nothing to do\n");
	} else if (!strcmp(verb, "remove")) {
		int error = cni_remove(place, &done, &why);
		cni_record_remove(place->socket);
		status = report(error, &done, &why, "nothing to remove\n");
	} else {
		int error = cni_traces(place, &done, &why);
		status = report(error, &done, &why, "not installed\n");
	}
	text_fini(&done);
	text_fini(&why);
	return status;
}

static bool verb_is_known(const char *verb)
{
	static const char *const verbs[] = {"install", "remove", "status", "watch"};
	for (size_t i = 0; i < array_count(verbs); i++)
		if (!strcmp(verb, verbs[i]))
			return true;
	return false;
}

static int cni_run(const struct command *self, int argc, char **argv)
{
	static const struct option known[] = {{"bin-dir", required_argument, NULL, 'b'},
					      {"conf-dir", required_argument, NULL, 'c'},
					      {"program", required_argument, NULL, 'p'},
					      {"closed", no_argument, NULL, 'C'},
					      {"log-json", no_argument, NULL, 'j'},
					      {"socket", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct cni_place place = {
		.bin_dir = CNI_BIN_DIR, .conf_dir = CNI_CONF_DIR, .program = CNI_PROGRAM};
	struct view_options options = {.socket = DEFAULT_SOCKET};
	int status;
	for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
		if (option == 'b')
			place.bin_dir = optarg;
		else if (option == 'c')
			place.conf_dir = optarg;
		else if (option == 'p')
			place.program = optarg;
		else if (option == 'C')
			place.is_closed = true;
		else if (option == 'j')
			log_set_json(1);
		else if (!view_option(&options, self, option, &status))
			return status;
	}
	place.socket = options.socket;
	if (optind + 1 != argc || !verb_is_known(argv[optind]))
		return command_misused(self, "it takes one of install, remove, status and watch");
	if (!strcmp(argv[optind], "watch"))
		return watch(&place, options.socket);
	return once(&place, argv[optind]);
}

const struct command command_cni = {
	.name = "cni",
	.arguments = "install | remove | status | watch [OPTION…]",
	.summary = "The CNI plugin that enrols pods before they start",
	.details =
		"  install         copy it and put it into the CNI configuration\n"
		"  remove          take it out, and whatever install wrote\n"
		"  status          say where it is\n"
		"  watch           install, and again whenever another program undoes it\n"
		"  --bin-dir DIR   plugins (default " CNI_BIN_DIR
		")\n"
		"  --conf-dir DIR  configuration (default " CNI_CONF_DIR
		")\n"
		"  --program PATH  what is copied (default " CNI_PROGRAM
		")\n"
		"  --socket PATH   weftd's Unix socket (default " DEFAULT_SOCKET
		")\n"
		"  --closed        pods do not start while weftd is silent\n"
		"  --log-json      watch logs JSON\n",
	.run = cni_run,
};
