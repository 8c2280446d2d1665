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

/* The path of the file that says that this pod stays out; false without a folder for it. */
static bool mark_path(char *path)
{
	const char *folder = getenv(NODE_LOCK_POD_DIR);
	return folder && snprintf(path, PATH_MAX, "%s/left", folder) < PATH_MAX;
}

static bool is_marked(void)
{
	char path[PATH_MAX];
	return mark_path(path) && access(path, F_OK) == 0;
}

static void mark(void)
{
	char path[PATH_MAX];
	int fd = mark_path(path) ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
}

int node_lock_share(const char *socket_path)
{
	if (is_marked())
		return -EWOULDBLOCK;
	int fd = lock(socket_path, LOCK_SH | LOCK_NB);
	if (fd == -EWOULDBLOCK)
		mark();
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
