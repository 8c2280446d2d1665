/*
 * The tracepoint that sees splice(2) (bpf/splice.bpf.c). It lives as long as this process: dials of
 * a pod without a weftd have no shortcut.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/object.h"
#include "weft.skel.h"

#define TRACEPOINT_ID "/events/syscalls/sys_enter_splice/id"

static int read_id(const char *folder, unsigned long long *ret_id)
{
	char path[128];
	snprintf(path, sizeof(path), "%s" TRACEPOINT_ID, folder);
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	int found = fscanf(file, "%llu", ret_id);
	fclose(file);
	return found == 1 ? 0 : -EINVAL;
}

/* Tracefs is often not mounted, least of all in a container: mounted where nobody looks, for a
 * moment. */
static int read_id_mounted(unsigned long long *ret_id)
{
	char folder[] = "/tmp/weft-trace-XXXXXX";
	if (!mkdtemp(folder))
		return -errno;
	int error = mount("tracefs", folder, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)
			    ? -errno
			    : 0;
	if (!error) {
		error = read_id(folder, ret_id);
		umount2(folder, MNT_DETACH);
	}
	rmdir(folder);
	return error;
}

static int tracepoint_open(unsigned long long id)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int kernel_splice_watch(struct kernel *kernel, bool is_wanted, struct text *why)
{
	if (is_wanted == (kernel->splice_fd >= 0))
		return 0;
	if (!is_wanted) {
		close(kernel->splice_fd);
		kernel->splice_fd = -1;
		return 0;
	}
	unsigned long long id = 0;
	int error = read_id("/sys/kernel/tracing", &id);
	if (error)
		error = read_id_mounted(&id);
	int fd = error ? error : tracepoint_open(id);
	if (fd >= 0 && (ioctl(fd, PERF_EVENT_IOC_SET_BPF,
			      bpf_program__fd(kernel->skeleton->progs.weft_splice)) ||
			ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))) {
		error = -errno;
		close(fd);
		fd = error;
	}
	if (fd >= 0) {
		kernel->splice_fd = fd;
		return 0;
	}
	text_printf(why, "the kernel's tracepoint of splice(2) cannot be used: %s", strerror(-fd));
	return fd;
}
