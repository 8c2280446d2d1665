/* PLACEHOLDER by the lead so that weft links: the kernel engineer replaces this file. */
#include "kernel/check.h"

size_t kernel_check(const char *pin_dir, const char *cgroup_root, struct check_line *lines,
		    size_t most)
{
	(void)pin_dir;
	(void)cgroup_root;
	(void)lines;
	(void)most;
	return 0;
}
