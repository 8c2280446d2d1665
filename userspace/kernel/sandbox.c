#include "kernel/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MOST 12 /* folders below the root; systemd nests slices, kubelets may be nested */
#define UID_MOST   64

/* What a search is looking for, and the best that it has seen. */
struct search {
	const char *proc;
	char plain[UID_MOST + 8];  /* "pod<uid>" */
	char slice[UID_MOST + 16]; /* "pod<uid>.slice" with _ for - */
	unsigned long long oldest; /* start time of the process, clock ticks */
	long pid;                  /* 0 = none yet */
};

static bool is_pod_folder(const struct search *search, const char *name)
{
	if (strcmp(name, search->plain) == 0)
		return true;
	const char *pod = strstr(name, search->slice);
	return pod && strlen(pod) == strlen(search->slice) && (pod == name || pod[-1] == '-');
}

/* Field 22 of /proc/PID/stat (proc(5)); 0 = the process is gone. */
static unsigned long long start_time(const char *proc, long pid)
{
	char path[SANDBOX_PATH_MAX];
	char line[1024];
	unsigned long long time = 0;
	snprintf(path, sizeof(path), "%s/%ld/stat", proc, pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t size = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[size] = '\0';
	const char *rest = strrchr(line, ')'); /* the name may hold anything */
	if (!rest || sscanf(rest + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			    " %*d %*d %llu",
			    &time) != 1)
		return 0;
	return time;
}

static void look_at_processes(struct search *search, int folder)
{
	int fd = openat(folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	long pid;
	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fscanf(file, "%ld", &pid) == 1) {
		unsigned long long time = pid > 0 ? start_time(search->proc, pid) : 0;
		if (time && (!search->pid || time < search->oldest)) {
			search->pid = pid;
			search->oldest = time;
		}
	}
	fclose(file);
}

/* Takes `folder` over. */
static void walk(struct search *search, int folder, unsigned depth, bool is_inside)
{
	if (is_inside)
		look_at_processes(search, folder);
	DIR *entries = depth < DEPTH_MOST ? fdopendir(folder) : NULL;
	if (!entries) {
		close(folder);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(entries));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		int child = openat(dirfd(entries), entry->d_name,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			walk(search, child, depth + 1,
			     is_inside || is_pod_folder(search, entry->d_name));
		if (search->pid && !is_inside && is_pod_folder(search, entry->d_name))
			break; /* a hierarchy has one folder of the pod */
	}
	closedir(entries);
}

static void search_hierarchy(struct search *search, const char *root)
{
	int folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		walk(search, folder, 0, false);
}

static void search_mounted(struct search *search, const char *type)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent entry;
	char buffer[4096];
	while (mounts && !search->pid && getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		if (strcmp(entry.mnt_type, type) == 0)
			search_hierarchy(search, entry.mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
}

/* ---- the namespace's path ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The runtime's bind mount of this namespace, seen through the init process. */
static bool find_handle(const char *proc, const struct stat *namespace,
			char ret_path[SANDBOX_PATH_MAX])
{
	char folder[SANDBOX_PATH_MAX / 2];
	bool found = false;
	snprintf(folder, sizeof(folder), "%s/1/root/run/netns", proc);
	DIR *handles = opendir(folder);
	if (!handles)
		return false;
	for (const struct dirent *entry; !found && (entry = readdir(handles));) {
		struct stat handle;
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= SANDBOX_PATH_MAX / 2)
			continue;
		found = fstatat(dirfd(handles), entry->d_name, &handle, 0) == 0 &&
			is_same_file(&handle, namespace);
		if (found)
			snprintf(ret_path, SANDBOX_PATH_MAX, "%s/%.120s", folder, entry->d_name);
	}
	closedir(handles);
	return found;
}

static int path_of(const struct search *search, const char *pod_uid,
		   char ret_path[SANDBOX_PATH_MAX], struct text *why)
{
	struct stat own, init;
	char path[SANDBOX_PATH_MAX];
	snprintf(path, sizeof(path), "%s/%ld/ns/net", search->proc, search->pid);
	if (stat(path, &own)) {
		int error = -errno;
		text_printf(why, "%s: %s", path, strerror(-error));
		return error;
	}
	char init_path[SANDBOX_PATH_MAX];
	snprintf(init_path, sizeof(init_path), "%s/1/ns/net", search->proc);
	if (stat(init_path, &init) == 0 && is_same_file(&own, &init)) {
		text_printf(why, "pod %s shares the node's network namespace", pod_uid);
		return -EXDEV;
	}
	if (!find_handle(search->proc, &own, ret_path))
		memcpy(ret_path, path, sizeof(path));
	return 0;
}

int sandbox_find(const struct sandbox_view *view, const char *pod_uid,
		 char ret_path[SANDBOX_PATH_MAX], struct text *why)
{
	struct search search = {.proc = view->proc};
	size_t size = strlen(pod_uid);
	if (size == 0 || size > UID_MOST || strchr(pod_uid, '/')) {
		text_printf(why, "\"%.80s\" is no pod's UID", pod_uid);
		return -EINVAL;
	}
	snprintf(search.plain, sizeof(search.plain), "pod%s", pod_uid);
	snprintf(search.slice, sizeof(search.slice), "pod%s.slice", pod_uid);
	for (char *c = search.slice; c < search.slice + 3 + size; c++) {
		if (*c == '-')
			*c = '_';
	}
	if (view->cgroup) {
		search_hierarchy(&search, view->cgroup);
	} else {
		search_mounted(&search, "cgroup2");
		search_mounted(&search, "cgroup");
	}
	if (search.pid)
		return path_of(&search, pod_uid, ret_path, why);
	text_printf(why, "no process of pod %s is in any cgroup", pod_uid);
	return -ENOENT;
}
