/* Where cgroup v2 and bpffs are mounted. Any thread. */
#ifndef KERNEL_MOUNTS_H
#define KERNEL_MOUNTS_H

#include "base/attr.h"
#include "base/span.h"
#include "base/text.h"

/*
 * Finds the first mount of type `type` in the text of /proc/self/mountinfo (proc(5)); octal escapes
 * are undone. Returns false when there is none or it does not fit.
 */
bool mountinfo_find(struct span mountinfo, const char *type, char *ret_path, size_t size);
/* The cgroup v2 root. 0, or -ENOENT and a sentence in `why`. */
int mounts_cgroup2(char *ret_path, size_t size, struct text *why) MUST_CHECK;
/* Is `path`, or its nearest parent that exists, on a bpffs? */
bool mounts_is_bpffs(const char *path);
/* A bpf file system that is mounted read-only. */
bool mounts_is_read_only(const char *path);
/* Mounts a bpffs at /sys/fs/bpf if `path` lies there and none is. 0, or -errno and a sentence. */
int mounts_ensure_bpffs(const char *path, struct text *why) MUST_CHECK;

#endif
