#include "cni/pending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"

#define SUFFIX ".json"

/* A name without the suffix is one that is still being written. */
static int path_print(char *path, struct span dir, struct span container_id, const char *suffix)
{
	int size = snprintf(path, PATH_MAX, "%.*s/%.*s%s", SPAN_PRINT(dir),
			    SPAN_PRINT(container_id), suffix);
	return size < 0 || size >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int folder_make(struct span dir)
{
	char path[PATH_MAX];
	if (dir.size >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir.data, dir.size);
	path[dir.size] = '\0';
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static int file_write(const char *path, struct span body)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, body.data, body.size);
	int error = written < 0 ? -errno : (size_t)written < body.size ? -ENOSPC : 0;
	close(fd);
	return error;
}

int pending_write(struct span dir, struct span container_id, struct span body)
{
	char path[PATH_MAX];
	char new_path[PATH_MAX];
	int error = path_print(path, dir, container_id, SUFFIX);
	if (!error)
		error = path_print(new_path, dir, container_id, "");
	if (!error)
		error = folder_make(dir);
	if (!error)
		error = file_write(new_path, body);
	if (!error && rename(new_path, path))
		error = -errno;
	return error;
}

void pending_remove(struct span dir, struct span container_id)
{
	char path[PATH_MAX];
	if (path_print(path, dir, container_id, SUFFIX) == 0)
		unlink(path);
}

static bool is_attached(struct span attachments, struct span container_id)
{
	struct span one;
	for (size_t i = 0; json_element(attachments, i, &one) == 0; i++) {
		struct span id;
		if (json_member(one, "containerID", &id) == 0 && json_plain_string(id, &id) &&
		    span_equal(id, container_id))
			return true;
	}
	return false;
}

void pending_sweep(struct span dir, struct span attachments)
{
	char path[PATH_MAX];
	if (path_print(path, dir, span_text(""), ""))
		return;
	DIR *folder = opendir(path);
	if (!folder)
		return;
	for (struct dirent *entry; (entry = readdir(folder));) {
		struct span id = span_text(entry->d_name);
		if (id.size <= strlen(SUFFIX) ||
		    strcmp(id.data + id.size - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		id.size -= strlen(SUFFIX);
		if (!is_attached(attachments, id))
			pending_remove(dir, id);
	}
	closedir(folder);
}
