#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/control.h"
#include "control/load.h"

struct config {
	struct arena arena;
	struct faults faults;
	struct node *root;
	struct draft draft;
};

static void builder_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	struct config *config = owner;
	if (line == 0)
		line = tree_line(config->root, span_text(key));
	text_printf(faults_add(&config->faults, line), "%s: %s", key, sentence);
}

static int config_build(struct config *config, struct span bytes,
			const struct build_options *options, struct snapshot **ret_snapshot)
{
	struct build_options with_faults = *options;
	struct snapshot *snapshot = NULL;
	with_faults.fault = builder_fault;
	with_faults.fault_owner = config;
	int error = tree_read(bytes, &config->arena, &config->faults, &config->root);
	if (!error)
		error = draft_load(config->root, &config->arena, &config->faults, &config->draft);
	/* Also when something is wrong already, so that all faults are told at once; but then
	 * nothing may be claimed that outlives the attempt. */
	if (!error && config->faults.count > 0)
		with_faults.series = NULL;
	if (!error)
		error = snapshot_build(&config->draft, &with_faults, &snapshot);
	if (!error && config->faults.count > 0) {
		snapshot_free(snapshot);
		return -EINVAL;
	}
	if (!error)
		*ret_snapshot = snapshot;
	return error;
}

int config_parse(struct span bytes, const char *name, const struct build_options *options,
		 struct text *why, struct snapshot **ret_snapshot)
{
	struct config config = {0};
	int error = config_build(&config, bytes, options, ret_snapshot);
	if (error == -EINVAL)
		faults_print(&config.faults, name, why);
	else if (error == -ENOMEM)
		text_printf(why, "%s: out of memory while reading it\n", name);
	faults_fini(&config.faults);
	arena_fini(&config.arena);
	return error;
}

static int file_fault(const char *path, struct text *why, int error)
{
	text_printf(why, "%s: cannot be read: %s\n", path, strerror(-error));
	return error;
}

static int read_bytes(int fd, const char *path, struct text *why, char **ret_bytes,
		      size_t *ret_size)
{
	struct stat status;
	if (fstat(fd, &status))
		return file_fault(path, why, -errno);
	if (!S_ISREG(status.st_mode)) {
		text_printf(why, "%s: is not a regular file\n", path);
		return -EINVAL;
	}
	if (status.st_size > CONFIG_BYTES_MOST) {
		text_printf(why, "%s: is larger than 16 MiB\n", path);
		return -EFBIG;
	}
	/* One byte more than it had, so that a file that grew meanwhile is noticed. */
	size_t capacity = (size_t)status.st_size + 1;
	size_t size = 0;
	char *bytes = mem_alloc(capacity);
	if (!bytes)
		return file_fault(path, why, -ENOMEM);
	while (size < capacity) {
		ssize_t got = read(fd, bytes + size, capacity - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = -errno;
			mem_free(bytes);
			return file_fault(path, why, error);
		}
		if (got == 0)
			break;
		size += (size_t)got;
	}
	if (size == capacity) {
		mem_free(bytes);
		text_printf(why, "%s: changed while it was being read\n", path);
		return -EAGAIN;
	}
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

int config_load(const char *path, const struct build_options *options, struct text *why,
		struct snapshot **ret_snapshot)
{
	char *bytes = NULL;
	size_t size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return file_fault(path, why, -errno);
	int error = read_bytes(fd, path, why, &bytes, &size);
	close(fd);
	if (error)
		return error;
	error = config_parse(span_of(bytes, size), path, options, why, ret_snapshot);
	mem_free(bytes);
	return error;
}

int config_read(const char *path, struct text *why, struct snapshot **ret_snapshot)
{
	static const struct build_options alone;
	return config_load(path, &alone, why, ret_snapshot);
}
