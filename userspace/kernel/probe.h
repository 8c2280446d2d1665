/* The probes of `weft check` that need more than a look; each adds its lines to a page. */
#ifndef KERNEL_PROBE_H
#define KERNEL_PROBE_H

#include "kernel/check.h"

struct check_page {
	struct check_line *lines;
	size_t most;
	size_t count;
};

/* Adds a line; what does not fit is cut. `advice` may be "". */
void check_add(struct check_page *page, const char *name, enum check_result result,
	       const char *advice, const char *found, ...) PRINTF_LIKE(5, 6);

/* Loads every program and attaches it to a child of `cgroup_root` that is made for it. */
void probe_hooks(struct check_page *page, const char *cgroup_root);
/* A ring as the workers want it. */
void probe_io_uring(struct check_page *page);
/* Kernel TLS on a connected loopback socket. */
void probe_kernel_tls(struct check_page *page);

#endif
