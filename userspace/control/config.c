#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/control.h"
#include "control/load.h"
#include "control/source.h"
#include "policy/binder.h"
#include "policy/route_match.h"

struct config {
	struct arena arena;
	struct faults faults;
	struct node *root;
	struct draft draft;
	const char *name; /* in the arena */
};

static void builder_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	struct config *config = owner;
	if (line == 0)
		line = tree_line(config->root, span_text(key));
	text_printf(faults_add(&config->faults, line), "%s: %s", key, sentence);
}

static int build(struct config *config, const struct list *sources,
		 const struct build_options *options, struct snapshot **ret_snapshot)
{
	struct build_options with_faults = *options;
	struct draft joined;
	struct snapshot *snapshot = NULL;
	with_faults.fault = builder_fault;
	with_faults.fault_owner = config;
	with_faults.routes = &route_compiler;
	with_faults.namers = &namer_compiler;
	/* Also when something is wrong already, so that all faults are told at once; but then
	 * nothing may be claimed that outlives the attempt. */
	if (config->faults.count > 0)
		with_faults.series = NULL;
	sources_refresh(sources, &config->draft);
	int error = sources_join(sources, &config->draft, &joined);
	if (error)
		return error;
	error = snapshot_build(&joined, &with_faults, &snapshot);
	sources_joined_fini(&joined, &config->draft);
	if (!error && config->faults.count > 0) {
		snapshot_free(snapshot);
		return -EINVAL;
	}
	if (!error)
		*ret_snapshot = snapshot;
	return error;
}

int config_build(struct config *config, const struct list *sources,
		 const struct build_options *options, struct text *why,
		 struct snapshot **ret_snapshot)
{
	int error = build(config, sources, options, ret_snapshot);
	if (error == -EINVAL)
		faults_print(&config->faults, config->name, why);
	else if (error == -ENOMEM)
		text_printf(why, "%s: out of memory while reading it\n", config->name);
	faults_fini(&config->faults);
	return error;
}

const struct draft *config_draft(const struct config *config)
{
	return &config->draft;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	faults_fini(&config->faults);
	arena_fini(&config->arena);
	mem_free(config);
}

/* What is wrong already is kept in its faults, for the build. */
static int config_new(struct span bytes, const char *name, struct config **ret_config)
{
	struct config *config = mem_zalloc(sizeof(*config));
	if (!config)
		return -ENOMEM;
	config->name = arena_text(&config->arena, span_text(name));
	int error = config->name ? 0 : -ENOMEM;
	if (!error)
		error = tree_read(bytes, &config->arena, &config->faults, &config->root);
	if (!error)
		error = draft_load(config->root, &config->arena, &config->faults, &config->draft);
	*ret_config = config;
	return error;
}

static int parse(struct span bytes, const char *name, const struct list *sources,
		 const struct build_options *options, struct text *why, struct config **ret_config,
		 struct snapshot **ret_snapshot)
{
	struct config *config = NULL;
	int error = config_new(bytes, name, &config);
	if (!error)
		error = config_build(config, sources, options, why, ret_snapshot);
	else if (error == -EINVAL)
		faults_print(&config->faults, name, why);
	else
		text_printf(why, "%s: out of memory while reading it\n", name);
	if (error)
		config_free(config);
	else
		*ret_config = config;
	return error;
}

int config_parse(struct span bytes, const char *name, const struct build_options *options,
		 struct text *why, struct snapshot **ret_snapshot)
{
	struct list no_sources;
	struct config *config = NULL;
	list_init(&no_sources);
	int error = parse(bytes, name, &no_sources, options, why, &config, ret_snapshot);
	config_free(config);
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
	if (size == 0) { /* a disk was full, or its writer is about to write */
		mem_free(bytes);
		text_printf(why, "%s: is empty; write {} for a config without anything\n", path);
		return -EINVAL;
	}
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

int config_load(const char *path, const struct list *sources, const struct build_options *options,
		struct text *why, struct config **ret_config, struct snapshot **ret_snapshot)
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
	error = parse(span_of(bytes, size), path, sources, options, why, ret_config, ret_snapshot);
	mem_free(bytes);
	return error;
}

int config_read(const char *path, struct text *why, struct snapshot **ret_snapshot)
{
	static const struct build_options alone;
	struct list no_sources;
	struct config *config = NULL;
	list_init(&no_sources);
	int error = config_load(path, &no_sources, &alone, why, &config, ret_snapshot);
	config_free(config);
	return error;
}
