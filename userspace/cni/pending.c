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

/* The next file of an open folder; "" at the end. */
static struct span next_id(DIR *folder)
{
	for (struct dirent *entry; (entry = readdir(folder));) {
		struct span id = span_text(entry->d_name);
		if (id.size <= strlen(SUFFIX) ||
		    !span_is(span_of(id.data + id.size - strlen(SUFFIX), strlen(SUFFIX)), SUFFIX))
			continue;
		id.size -= strlen(SUFFIX);
		return id;
	}
	return span_text("");
}

void pending_sweep(struct span dir, struct span attachments)
{
	char path[PATH_MAX];
	if (node_file_path(path, dir, span_text(""), ""))
		return;
	DIR *folder = opendir(path);
	if (!folder)
		return;
	for (struct span id; (id = next_id(folder)).size;)
		if (!is_attached(attachments, id))
			pending_remove(dir, id);
	closedir(folder);
}

unsigned pending_settle(const char *dir, bool (*settle)(void *owner, struct span body), void *owner)
{
	unsigned settled = 0;
	DIR *folder = opendir(dir);
	if (!folder)
		return 0;
	for (struct span id; (id = next_id(folder)).size;) {
		char path[PATH_MAX];
		struct text body = {0};
		mode_t mode;
		if (node_file_path(path, span_text(dir), id, SUFFIX) ||
		    node_file_read(path, &body, &mode))
			continue;
		if (settle(owner, text_span(&body)) && unlink(path) == 0)
			settled++;
		text_fini(&body);
	}
	closedir(folder);
	return settled;
}

void pending_clear(const char *dir)
{
	pending_sweep(span_text(dir), span_text("[]"));
	node_file_sweep(dir);
	rmdir(dir);
}
