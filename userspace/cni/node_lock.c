#include "cni/node_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock(const char *socket_path, int operation)
{
	char path[PATH_MAX];
	int size = snprintf(path, sizeof(path), "%s", socket_path);
	if (size < 0 || size >= PATH_MAX)
		return -ENAMETOOLONG;
	const char *folder = dirname(path);
	if (mkdir(folder, 0755) && errno != EEXIST)
		return -errno;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, operation) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

/* The path of a note about this pod's life; false without a folder for it. */
static bool note_path(const char *name, char *path)
{
	const char *folder = getenv(NODE_LOCK_POD_DIR);
	return folder && snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool has_note(const char *name)
{
	char path[PATH_MAX];
	return note_path(name, path) && access(path, F_OK) == 0;
}

static void take_note(const char *name)
{
	char path[PATH_MAX];
	int fd = note_path(name, path) ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
}

static void met_held(struct node_lock_wait *wait)
{
	if (has_note("joined"))
		take_note("left");
	else if (getenv(NODE_LOCK_POD_DIR))
		wait->settles_left = NODE_LOCK_SETTLES;
}

int node_lock_share(const char *socket_path, struct node_lock_wait *wait)
{
	if (has_note("left"))
		return -EWOULDBLOCK;
	int fd = lock(socket_path, LOCK_SH | LOCK_NB);
	if (fd == -EWOULDBLOCK)
		met_held(wait);
	if (fd < 0)
		return fd;
	if (wait->settles_left > 0) {
		wait->settles_left--;
		node_lock_end(fd);
		return -EWOULDBLOCK;
	}
	take_note("joined");
	return fd;
}

int node_lock_alone(const char *socket_path)
{
	return lock(socket_path, LOCK_EX);
}

void node_lock_end(int lock)
{
	if (lock >= 0)
		close(lock);
}
