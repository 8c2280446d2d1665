#include "cni/node_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
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

int node_lock_share(const char *socket_path)
{
	return lock(socket_path, LOCK_SH | LOCK_NB);
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
