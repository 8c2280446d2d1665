#include "cni/pending.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "cni/node_file.h"

#define SUFFIX ".json"

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

int pending_write(struct span dir, struct span container_id, struct span body)
{
	char path[PATH_MAX];
	int error = node_file_path(path, dir, container_id, SUFFIX);
	if (!error)
		error = folder_make(dir);
	return error ? error : node_file_replace(path, body, 0600);
}

void pending_remove(struct span dir, struct span container_id)
{
	char path[PATH_MAX];
	if (node_file_path(path, dir, container_id, SUFFIX) == 0)
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
	if (node_file_path(path, dir, span_text(""), ""))
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

void pending_clear(const char *dir)
{
	pending_sweep(span_text(dir), span_text("[]"));
	rmdir(dir);
}
