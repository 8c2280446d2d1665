/*
 * A Kubernetes pod's network namespace, found by the cgroups of its processes. Control thread; a
 * search reads some hundred folders.
 */
#ifndef KERNEL_SANDBOX_H
#define KERNEL_SANDBOX_H

#include "base/attr.h"
#include "base/text.h"

#define SANDBOX_PATH_MAX 256

struct sandbox_view {
	const char *proc;   /* a /proc that sees the pods' processes */
	const char *cgroup; /* root of a cgroup hierarchy; NULL = all that are mounted, v2 first */
};

/*
 * The pod's folder is "pod<uid>" (driver cgroupfs) or "…-pod<uid, - as _>.slice" (systemd), at any
 * depth. The path is the container runtime's own handle (/run/netns/…, through the init process's
 * root) where it has one, since that outlives each process; else /proc/PID/ns/net of the pod's
 * oldest process. 0; -ENOENT: no process of the pod is there (yet); -EXDEV: it shares the node's
 * namespace; other -errno. A sentence in `why`.
 */
int sandbox_find(const struct sandbox_view *view, const char *pod_uid,
		 char ret_path[SANDBOX_PATH_MAX], struct text *why) MUST_CHECK;

#endif
