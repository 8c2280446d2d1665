#include "cni/record.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "cni/node_file.h"

#define NAME "cni.json"

static int path_of(const char *socket_path, char *path)
{
	const char *slash = strrchr(socket_path, '/');
	if (!slash)
		return -EINVAL;
	return node_file_path(path, span_of(socket_path, (size_t)(slash - socket_path)),
			      span_text(NAME), "");
}

static uint64_t count_in(struct span object, const char *key)
{
	struct span value;
	uint64_t count;
	bool is_there = json_member(object, key, &value) == 0 && span_to_u64(value, &count) == 0;
	return is_there ? count : 0;
}

static bool claim_in(struct span object, const char *key)
{
	struct span value;
	return json_member(object, key, &value) == 0 && span_is(value, "true");
}

struct cni_record cni_record_read(const char *socket_path)
{
	char path[PATH_MAX];
	struct text content = {0};
	mode_t mode;
	struct cni_record record = {0};
	if (path_of(socket_path, path) || node_file_read(path, &content, &mode))
		return record;
	record.is_installed = claim_in(text_span(&content), "is_installed");
	record.put_in_again = count_in(text_span(&content), "put_in_again");
	text_fini(&content);
	return record;
}

int cni_record_write(const char *socket_path, const struct cni_record *record)
{
	char path[PATH_MAX];
	struct text content = {0};
	int error = path_of(socket_path, path);
	text_printf(&content, "{\"is_installed\": %s, \"put_in_again\": %llu}\n",
		    record->is_installed ? "true" : "false",
		    (unsigned long long)record->put_in_again);
	if (!error && content.failed)
		error = -ENOMEM;
	if (!error)
		error = node_file_replace(path, text_span(&content), 0644);
	text_fini(&content);
	return error;
}

void cni_record_remove(const char *socket_path)
{
	char path[PATH_MAX];
	if (path_of(socket_path, path) == 0)
		unlink(path);
}
