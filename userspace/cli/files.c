#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_BYTES_MOST (16u << 20)

int file_read(const char *path, struct text *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	static char chunk[65536];
	ssize_t size;
	while ((size = read(fd, chunk, sizeof(chunk))) > 0 && bytes->size < FILE_BYTES_MOST)
		text_add(bytes, span_of(chunk, (size_t)size));
	int error = size < 0 ? -errno : 0;
	close(fd);
	if (!error && bytes->size >= FILE_BYTES_MOST)
		error = -EFBIG;
	return bytes->failed ? -ENOMEM : error;
}

int file_write(const char *path, mode_t mode, struct span bytes)
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
