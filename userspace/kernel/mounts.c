#include "kernel/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPFFS_ROOT "/sys/fs/bpf"

/* "\040" stands for a blank, also for tab, newline and backslash (proc(5)). */
static bool octal_unescape(struct span from, char *to, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < from.size; i++) {
		char byte = from.data[i];
		if (byte == '\\' && i + 3 < from.size) {
			byte = (char)((from.data[i + 1] - '0') << 6 |
				      (from.data[i + 2] - '0') << 3 | (from.data[i + 3] - '0'));
			i += 3;
		}
		if (used + 1 >= size)
			return false;
		to[used++] = byte;
	}
	to[used] = '\0';
	return used > 0;
}

/* "36 35 98:0 /root /mount/point options optional… - type source options" */
static bool mountinfo_line(struct span line, const char *type, struct span *ret_point)
{
	struct span field, point = {0};
	for (int i = 0; i < 5; i++) {
		if (!span_split(&line, ' ', &field))
			return false;
		point = field;
	}
	while (span_split(&line, ' ', &field)) {
		if (!span_is(field, "-"))
			continue;
		*ret_point = point;
		return span_split(&line, ' ', &field) && span_is(field, type);
	}
	return false;
}

bool mountinfo_find(struct span mountinfo, const char *type, char *ret_path, size_t size)
{
	struct span line, point;
	while (span_split(&mountinfo, '\n', &line))
		if (mountinfo_line(line, type, &point))
			return octal_unescape(point, ret_path, size);
	return false;
}

static int mountinfo_read(struct text *text)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return -errno;
	char chunk[4096];
	size_t got;
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		text_add(text, span_of(chunk, got));
	fclose(file);
	return text->failed ? -ENOMEM : 0;
}

int mounts_cgroup2(char *ret_path, size_t size, struct text *why)
{
	struct text mountinfo = {0};
	int error = mountinfo_read(&mountinfo);
	if (error)
		text_printf(why, "/proc/self/mountinfo: %s; mount /proc", strerror(-error));
	else if (!mountinfo_find(text_span(&mountinfo), "cgroup2", ret_path, size)) {
		error = -ENOENT;
		text_printf(why,
			    "no cgroup v2 file system is mounted; "
			    "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified");
	}
	text_fini(&mountinfo);
	return error;
}

/* Of the path, or of the innermost folder of it that exists. */
static bool file_system_of(const char *path, struct statfs *ret_found)
{
	char parent[PATH_MAX];
	if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
		return false;
	for (;;) {
		if (statfs(parent, ret_found) == 0)
			return true;
		char *slash = strrchr(parent, '/');
		if (!slash || slash == parent)
			return false;
		*slash = '\0';
	}
}

bool mounts_is_bpffs(const char *path)
{
	struct statfs found;
	return file_system_of(path, &found) && found.f_type == BPF_FS_MAGIC;
}

bool mounts_is_read_only(const char *path)
{
	struct statfs found;
	return file_system_of(path, &found) && found.f_type == BPF_FS_MAGIC &&
	       (found.f_flags & ST_RDONLY);
}

int mounts_ensure_bpffs(const char *path, struct text *why)
{
	if (mounts_is_bpffs(path))
		return 0;
	size_t length = strlen(BPFFS_ROOT);
	if (strncmp(path, BPFFS_ROOT, length) != 0 || path[length] != '/') {
		text_printf(
			why,
			"pin folder %s is not on a bpf file system; choose one below " BPFFS_ROOT
			" or mount -t bpf bpf on its parent",
			path);
		return -EINVAL;
	}
	if (mount("bpf", BPFFS_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME,
		  "mode=0700")) {
		int error = -errno;
		text_printf(why,
			    "mounting the bpf file system at " BPFFS_ROOT
			    " failed: %s; "
			    "run as root, or in a container mount the host's " BPFFS_ROOT,
			    strerror(-error));
		return error;
	}
	return 0;
}
