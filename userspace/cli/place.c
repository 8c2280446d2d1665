#include "cli/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"
#include "kernel/kernel.h"
#include "kernel/mounts.h"

/* A cgroup whose last process just ended stays busy for a moment. */
#define BUSY_TRIES   100
#define BUSY_WAIT_NS 10000000

int place_init(struct place *place, pid_t pid, const char *cgroup_root, struct text *why)
{
	*place = (struct place){.pid = pid};
	if (cgroup_root && cgroup_root[0]) {
		snprintf(place->cgroup_root, sizeof(place->cgroup_root), "%s", cgroup_root);
	} else {
		int error = mounts_cgroup2(place->cgroup_root, sizeof(place->cgroup_root), why);
		if (error)
			return error;
	}
	snprintf(place->cgroup, sizeof(place->cgroup), "%s/" PLACE_PREFIX "%d", place->cgroup_root,
		 pid);
	snprintf(place->pin_dir, sizeof(place->pin_dir), PLACE_PIN_ROOT "/" PLACE_PREFIX "%d", pid);
	snprintf(place->folder, sizeof(place->folder), PLACE_RUN_ROOT "/" PLACE_PREFIX "%d", pid);
	snprintf(place->socket, sizeof(place->socket),
		 PLACE_RUN_ROOT "/" PLACE_PREFIX "%d/weftd.sock", pid);
	snprintf(place->config, sizeof(place->config),
		 PLACE_RUN_ROOT "/" PLACE_PREFIX "%d/weft.yaml", pid);
	snprintf(place->hosts, sizeof(place->hosts), PLACE_RUN_ROOT "/" PLACE_PREFIX "%d/hosts",
		 pid);
	return 0;
}

static int say(struct text *why, int error, const char *what, const char *path)
{
	text_printf(why, "%s %s: %s", what, path, strerror(-error));
	return error;
}

int place_make(const struct place *place, struct text *why)
{
	/* Left by a killed run whose process id came round again. */
	place_remove_folder(place);
	place_remove_cgroup(place);
	if (mkdir(place->folder, 0700))
		return say(why, -errno, "cannot make the folder", place->folder);
	if (mkdir(place->cgroup, 0755)) {
		int error = -errno;
		place_remove_folder(place);
		return say(why, error, "cannot make the cgroup", place->cgroup);
	}
	return 0;
}

/* ---- processes in the cgroup ---- */

/* The folder and all below it (the command may have made cgroups of its own), innermost first. */
static void cgroups_visit(const char *path, void (*visit)(const char *path, void *owner),
			  void *owner)
{
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char below[PATH_MAX];
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < PATH_MAX)
			cgroups_visit(below, visit, owner);
	}
	if (folder)
		closedir(folder);
	visit(path, owner);
}

static FILE *procs_open(const char *cgroup, const char *mode)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	return fopen(path, mode);
}

static void procs_count(const char *cgroup, void *owner)
{
	int *count = owner;
	FILE *file = procs_open(cgroup, "re");
	for (int pid; file && fscanf(file, "%d", &pid) == 1;)
		(*count)++;
	if (file)
		fclose(file);
}

int place_population(const struct place *place)
{
	int count = 0;
	if (access(place->cgroup, F_OK))
		return -errno;
	cgroups_visit(place->cgroup, procs_count, &count);
	return count;
}

struct evacuation {
	const char *to;
	int moved;
};

static void procs_move(const char *cgroup, void *owner)
{
	struct evacuation *evacuation = owner;
	FILE *from = procs_open(cgroup, "re");
	for (int pid; from && fscanf(from, "%d", &pid) == 1;) {
		FILE *to = procs_open(evacuation->to, "we"); /* one id per write */
		if (!to)
			break;
		fprintf(to, "%d\n", pid);
		evacuation->moved += fclose(to) == 0;
	}
	if (from)
		fclose(from);
}

int place_evacuate(const struct place *place)
{
	struct evacuation evacuation = {.to = place->cgroup_root};
	cgroups_visit(place->cgroup, procs_move, &evacuation);
	return evacuation.moved;
}

/* ---- removal ---- */

static void cgroup_remove(const char *cgroup, void *owner)
{
	int *error = owner;
	if (rmdir(cgroup) && errno != ENOENT)
		*error = -errno;
}

int place_remove_cgroup(const struct place *place)
{
	for (unsigned tries = 0; tries < BUSY_TRIES; tries++) {
		int error = 0;
		cgroups_visit(place->cgroup, cgroup_remove, &error);
		if (error != -EBUSY || place_population(place) > 0)
			return error;
		struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
		nanosleep(&wait, NULL);
	}
	return -EBUSY;
}

int place_remove_folder(const struct place *place)
{
	unlink(place->socket);
	unlink(place->config);
	unlink(place->hosts);
	return rmdir(place->folder) && errno != ENOENT ? -errno : 0;
}

int place_remove_pins(const struct place *place, struct text *why)
{
	if (access(place->pin_dir, F_OK))
		return 0;
	return kernel_remove(place->pin_dir, why);
}

bool place_name_pid(const char *name, pid_t *ret_pid)
{
	size_t size = strlen(PLACE_PREFIX);
	uint64_t pid;
	if (strncmp(name, PLACE_PREFIX, size) || span_to_u64(span_text(name + size), &pid) ||
	    pid == 0 || pid > INT_MAX)
		return false;
	*ret_pid = (pid_t)pid;
	return true;
}
