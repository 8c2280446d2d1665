#include "kernel/cgroups.h"

#include <errno.h>
#include <fts.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/mem.h"

int cgroup_id_of(const char *path, uint64_t *ret_id, struct text *why)
{
	struct stat folder;
	struct statfs system;
	if (stat(path, &folder) || statfs(path, &system)) {
		int error = -errno;
		text_printf(why, "cgroup %s: %s", path, strerror(-error));
		return error;
	}
	if (system.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(folder.st_mode)) {
		text_printf(why, "%s is no folder of a cgroup v2 file system", path);
		return -EINVAL;
	}
	*ret_id = folder.st_ino;
	return 0;
}

struct ids {
	uint64_t *list;
	size_t count, capacity;
};

static int ids_add(struct ids *ids, uint64_t id)
{
	if (ids->count == ids->capacity) {
		size_t capacity = ids->capacity ? ids->capacity * 2 : 16;
		uint64_t *more = mem_realloc(ids->list, capacity * sizeof(*more));
		if (!more)
			return -ENOMEM;
		ids->list = more;
		ids->capacity = capacity;
	}
	ids->list[ids->count++] = id;
	return 0;
}

int cgroup_ids_below(const char *path, uint64_t **ret_ids, size_t *ret_count)
{
	char *paths[] = {(char *)path, NULL};
	struct ids ids = {0};
	int error = 0;
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!walk)
		return -errno;
	/* What vanishes meanwhile is shown as an error entry and has no connections left. */
	for (FTSENT *entry; !error && (entry = fts_read(walk));) {
		if (entry->fts_info == FTS_D)
			error = ids_add(&ids, entry->fts_statp->st_ino);
	}
	fts_close(walk);
	if (error) {
		mem_free(ids.list);
		return error;
	}
	*ret_ids = ids.list;
	*ret_count = ids.count;
	return 0;
}
