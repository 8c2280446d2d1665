#include "cni/node_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH_SUFFIX ".weft-new" /* not yet whole */

int node_file_path(char *path, struct span dir, struct span name, const char *suffix)
{
	int size =
		snprintf(path, PATH_MAX, "%.*s/%.*s%s", SPAN_PRINT(dir), SPAN_PRINT(name), suffix);
	return size < 0 || size >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int read_all(int fd, struct text *content)
{
	char piece[16384];
	ssize_t got;
	while ((got = read(fd, piece, sizeof(piece))) > 0) {
		text_add(content, span_of(piece, (size_t)got));
		if (content->size > NODE_FILE_MAX)
			return -EFBIG;
	}
	if (got < 0)
		return -errno;
	return content->failed ? -ENOMEM : 0;
}

int node_file_read(const char *path, struct text *ret_content, mode_t *ret_mode)
{
	struct text content = {0};
	struct stat found;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fstat(fd, &found) ? -errno : read_all(fd, &content);
	close(fd);
	if (error) {
		text_fini(&content);
		return error;
	}
	*ret_content = content;
	*ret_mode = found.st_mode & 07777;
	return 0;
}

static int write_all(int fd, struct span content)
{
	while (content.size) {
		ssize_t written = write(fd, content.data, content.size);
		if (written < 0)
			return -errno;
		content = span_of(content.data + written, content.size - (size_t)written);
	}
	return 0;
}

int node_file_replace(const char *path, struct span content, mode_t mode)
{
	char fresh[PATH_MAX];
	int size = snprintf(fresh, sizeof(fresh), "%s" FRESH_SUFFIX, path);
	if (size < 0 || size >= PATH_MAX)
		return -ENAMETOOLONG;
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = write_all(fd, content);
	if (!error && (fchmod(fd, mode) || fsync(fd)))
		error = -errno;
	close(fd);
	if (!error && rename(fresh, path))
		error = -errno;
	if (error)
		unlink(fresh);
	return error;
}

static bool is_fresh(struct span name)
{
	size_t size = strlen(FRESH_SUFFIX);
	return name.size > size && memcmp(name.data + name.size - size, FRESH_SUFFIX, size) == 0;
}

void node_file_sweep(const char *dir)
{
	DIR *folder = opendir(dir);
	if (!folder)
		return;
	for (const struct dirent *entry; (entry = readdir(folder));) {
		if (is_fresh(span_text(entry->d_name)))
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
	closedir(folder);
}
