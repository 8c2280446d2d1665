#include "kernel/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/mounts.h"

const char *pins_path(const struct pins *pins, bool links, const char *name,
		      char path[PINS_PATH_MAX])
{
	snprintf(path, PINS_PATH_MAX, "%s/%s%.100s", pins->dir, links ? "links/" : "", name);
	return path;
}

/* The layout map's value, whatever its version; false when `path` is no layout map of weft's. */
static bool layout_read(const char *path, struct weft_layout *ret_layout)
{
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info), key = 0;
	char value[256];
	bool found = bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		     info.type == BPF_MAP_TYPE_ARRAY && info.key_size == sizeof(key) &&
		     info.value_size >= sizeof(*ret_layout) && info.value_size <= sizeof(value) &&
		     bpf_map_lookup_elem(fd, &key, value) == 0;
	close(fd);
	if (!found)
		return false;
	memcpy(ret_layout, value, sizeof(*ret_layout));
	return ret_layout->magic == WEFT_LAYOUT_MAGIC;
}

static bool folder_is_empty(const char *path)
{
	DIR *folder = opendir(path);
	if (!folder)
		return true;
	bool empty = true;
	for (struct dirent *entry; empty && (entry = readdir(folder));)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(folder);
	return empty;
}

enum pins_state pins_inspect(const struct pins *pins, struct weft_layout *ret_layout)
{
	char path[PINS_PATH_MAX];
	memset(ret_layout, 0, sizeof(*ret_layout));
	if (layout_read(pins_path(pins, false, "weft_layout", path), ret_layout))
		return ret_layout->version == WEFT_LAYOUT_VERSION ? PINS_SAME_LAYOUT
								  : PINS_OTHER_VERSION;
	return folder_is_empty(pins->dir) ? PINS_EMPTY : PINS_FOREIGN;
}

static int folder_make(const char *dir, struct text *why)
{
	char path[PINS_PATH_MAX];
	snprintf(path, sizeof(path), "%s", dir);
	for (char *slash = path + 1;; slash++) {
		slash = strchrnul(slash, '/');
		bool last = *slash == '\0';
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST) {
			int error = -errno;
			text_printf(why, "pin folder %s: mkdir %s: %s; run as root%s", dir, path,
				    strerror(-error),
				    strchr(dir, '.') ? ", and bpffs allows no dots in names" : "");
			return error;
		}
		if (last)
			return 0;
		*slash = '/';
	}
}

/*
 * The lock is on the folder itself, so it works between containers that share the bpffs and is
 * gone when the process is.
 */
static int folder_lock(struct pins *pins, struct text *why)
{
	pins->lock_fd = open(pins->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock_fd < 0) {
		int error = -errno;
		text_printf(why, "pin folder %s: %s", pins->dir, strerror(-error));
		return error;
	}
	if (flock(pins->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	struct weft_layout layout;
	pins_inspect(pins, &layout);
	if (error == -EBUSY)
		text_printf(why,
			    "pin folder %s is in use by a running weftd (process %u); stop it, or "
			    "choose another bpf.pin_dir",
			    pins->dir, layout.owner_pid);
	else
		text_printf(why, "pin folder %s cannot be locked: %s", pins->dir, strerror(-error));
	pins_close(pins);
	return error;
}

int pins_name(struct pins *pins, const char *dir, struct text *why)
{
	pins->lock_fd = -1;
	if (!dir || !*dir)
		dir = WEFT_PIN_DIR;
	size_t length = strlen(dir);
	while (length > 1 && dir[length - 1] == '/')
		length--;
	if (dir[0] != '/' || length >= sizeof(pins->dir)) {
		text_printf(why, "pin folder %s must be an absolute path of less than %zu bytes",
			    dir, sizeof(pins->dir));
		return -EINVAL;
	}
	memcpy(pins->dir, dir, length);
	pins->dir[length] = '\0';
	return 0;
}

int pins_open(struct pins *pins, const char *dir, struct text *why)
{
	int error = pins_name(pins, dir, why);
	if (!error)
		error = mounts_ensure_bpffs(pins->dir, why);
	if (!error)
		error = folder_make(pins->dir, why);
	if (!error)
		error = folder_lock(pins, why);
	return error;
}

void pins_close(struct pins *pins)
{
	if (pins->lock_fd >= 0)
		close(pins->lock_fd);
	pins->lock_fd = -1;
}

/* Of any version: maps are pinned by names that begin so, hooks in a folder. */
static bool is_ours(const char *name)
{
	return strncmp(name, "weft_", 5) == 0 || strcmp(name, "links") == 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)walk;
	return (kind == FTW_DP ? rmdir(path) : unlink(path)) && errno != ENOENT ? -errno : 0;
}

/* With all that is below it; an unlinked link detaches its program. */
static int entry_remove(const struct pins *pins, const char *name, struct text *why)
{
	char path[PINS_PATH_MAX];
	if (access(pins_path(pins, false, name, path), F_OK) && errno == ENOENT)
		return 0;
	int error = nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (error == -1) /* the walk's own */
		error = -errno;
	if (error)
		text_printf(why, "cannot remove %s: %s", path, strerror(-error));
	return error;
}

int pins_clear(const struct pins *pins, struct text *why)
{
	/* links first: no program may run on maps that are half gone */
	int error = entry_remove(pins, "links", why);
	DIR *folder = error ? NULL : opendir(pins->dir);
	for (struct dirent *entry; folder && !error && (entry = readdir(folder));) {
		/* the layout last: it is what tells that this folder is weft's */
		if (is_ours(entry->d_name) && strcmp(entry->d_name, "weft_layout") != 0)
			error = entry_remove(pins, entry->d_name, why);
	}
	if (folder)
		closedir(folder);
	return error ? error : entry_remove(pins, "weft_layout", why);
}
