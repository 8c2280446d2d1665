/* Ids of cgroups, which are the inode numbers of their folders. Any thread. */
#ifndef KERNEL_CGROUPS_H
#define KERNEL_CGROUPS_H

#include "base/text.h"

/* Of a cgroup v2 folder. 0 or -errno, and why. */
int cgroup_id_of(const char *path, uint64_t *ret_id, struct text *why) MUST_CHECK;
/* Of that folder and all below it, in no order; the caller frees them (mem_free). 0 or -errno. */
int cgroup_ids_below(const char *path, uint64_t **ret_ids, size_t *ret_count) MUST_CHECK;

#endif
