#include "kernel/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "weft.skel.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* ---- hooks ---- */

static const struct {
	const char *program;
	const char *line;
} hooks[] = {
	{"weft_connect4", "hook-connect4"},         {"weft_connect6", "hook-connect6"},
	{"weft_getpeername4", "hook-getpeername4"}, {"weft_getpeername6", "hook-getpeername6"},
	{"weft_getsockname4", "hook-getsockname4"}, {"weft_getsockname6", "hook-getsockname6"},
	{"weft_sock_create", "hook-sock-create"},   {"weft_sockops", "hook-sockops"},
};

static void probe_hook(struct check_page *page, const struct weft *skeleton, int cgroup_fd,
		       size_t index)
{
	const struct bpf_program *program =
		bpf_object__find_program_by_name(skeleton->obj, hooks[index].program);
	if (!program)
		return;
	int link = bpf_link_create(bpf_program__fd(program), cgroup_fd,
				   bpf_program__expected_attach_type(program), NULL);
	if (link >= 0) {
		close(link); /* detaches */
		check_add(page, hooks[index].line, CHECK_OK, "", "attaches");
		return;
	}
	check_add(page, hooks[index].line, CHECK_FAIL,
		  "another program may be attached without BPF_F_ALLOW_MULTI (bpftool cgroup "
		  "tree), or the kernel lacks CONFIG_CGROUP_BPF",
		  "cannot be attached: %s", strerror(-link));
}

static void probe_programs(struct check_page *page, int cgroup_fd)
{
	struct weft *skeleton = weft__open();
	int error = skeleton ? weft__load(skeleton) : -errno;
	if (error) {
		check_add(
			page, "hooks", CHECK_FAIL,
			"needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON) and a kernel of 6.1 or "
			"newer with BTF; see also: dmesg, sysctl kernel.unprivileged_bpf_disabled",
			"the programs cannot be loaded: %s", strerror(-error));
	} else {
		for (size_t i = 0; i < array_count(hooks); i++)
			probe_hook(page, skeleton, cgroup_fd, i);
	}
	weft__destroy(skeleton);
}

static int libbpf_hush(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

void probe_hooks(struct check_page *page, const char *cgroup_root)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/weft-check-%d", cgroup_root, getpid());
	libbpf_set_print(libbpf_hush);
	if (mkdir(path, 0700)) {
		check_add(page, "hooks", CHECK_FAIL,
			  "run as root; in a container the cgroup file system must be writable",
			  "cannot make %.80s: %s", path, strerror(errno));
		return;
	}
	int cgroup_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup_fd >= 0) {
		probe_programs(page, cgroup_fd);
		close(cgroup_fd);
	}
	rmdir(path);
}

/* ---- kernel TLS ---- */

/* Both ends of a connection over loopback. 0 or -errno. */
static int connected_pair(int ret_pair[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret_pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret_pair[1] = -1;
	int error = 0;
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(ret_pair[0], (struct sockaddr *)&address, size))
		error = -errno;
	else
		ret_pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (!error && ret_pair[1] < 0)
		error = -errno;
	if (listener >= 0)
		close(listener);
	return error;
}

void probe_kernel_tls(struct check_page *page)
{
	int pair[2];
	int error = connected_pair(pair);
	if (!error && setsockopt(pair[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		error = -errno;
	if (!error)
		check_add(page, "kernel-tls", CHECK_OK, "", "present");
	else
		check_add(page, "kernel-tls", CHECK_WARN,
			  "encryption will run in weftd and cost more CPU; modprobe tls, or a "
			  "kernel with CONFIG_TLS",
			  "absent: %s", strerror(-error));
	for (size_t i = 0; i < array_count(pair); i++)
		if (pair[i] >= 0)
			close(pair[i]);
}
