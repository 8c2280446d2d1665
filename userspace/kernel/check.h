/*
 * `weft check`: can this machine run weft? Each line is one probe that really does the thing
 * (loads, attaches, opens a ring) in a throw-away place and undoes it. `weft cleanup`: removes
 * every trace.
 */
#ifndef KERNEL_CHECK_H
#define KERNEL_CHECK_H

#include "base/attr.h"
#include "base/text.h"

enum check_result { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check_line {
	const char *name; /* "kernel", "btf", "cgroup2", "hooks", "kernel-tls", … */
	enum check_result result;
	char found[160];  /* what was seen */
	char advice[240]; /* what to do; "" when nothing is */
};

/* Kernel version, BTF, BPF hooks attachable, cgroup v2 mount, kernel TLS, capabilities, memlock,
 * pinned state of another version. Returns the number of lines (at most `most`). */
size_t kernel_check(const char *pin_dir, const char *cgroup_root, struct check_line *lines,
		    size_t most);

#endif
