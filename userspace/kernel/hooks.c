/*
 * Attaches each program once, at the cgroup v2 root, by a bpf_link that is pinned: it outlives
 * weftd, and a later weftd replaces the program inside it, so that no dial ever finds no hook.
 */
#include "kernel/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft.skel.h"

/* Is it attached where we want it? A link whose cgroup was removed has id 0. */
static bool link_fits(int fd, enum bpf_attach_type type, uint64_t cgroup_id)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);
	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_LINK_TYPE_CGROUP &&
	       info.cgroup.attach_type == type && info.cgroup.cgroup_id == cgroup_id;
}

/* 0: the pinned link runs the new program now. -ENOENT: there is none that could. */
static int link_replace(const char *path, int prog_fd, enum bpf_attach_type type,
			uint64_t cgroup_id)
{
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	int error = -ENOENT;
	if (link_fits(fd, type, cgroup_id))
		error = bpf_link_update(fd, prog_fd, NULL);
	else
		unlink(path);
	close(fd);
	return error;
}

static int link_make(const char *path, int prog_fd, enum bpf_attach_type type, int cgroup_fd)
{
	int fd = bpf_link_create(prog_fd, cgroup_fd, type, NULL);
	if (fd < 0)
		return fd;
	int error = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return error;
}

static int hook_attach(struct kernel *kernel, const struct bpf_program *program, uint64_t cgroup_id,
		       struct text *why)
{
	char path[PINS_PATH_MAX];
	const char *name = bpf_program__name(program);
	enum bpf_attach_type type = bpf_program__expected_attach_type(program);
	pins_path(&kernel->pins, true, name, path);
	int error = link_replace(path, bpf_program__fd(program), type, cgroup_id);
	if (error == -ENOENT)
		error = link_make(path, bpf_program__fd(program), type, kernel->cgroup_fd);
	if (!error)
		return 0;
	text_printf(why, "attaching %s to the cgroup root failed: %s", name, strerror(-error));
	if (error == -EPERM)
		text_printf(why,
			    "; CAP_BPF and CAP_NET_ADMIN are needed, and no other program may "
			    "be attached there without BPF_F_ALLOW_MULTI (bpftool cgroup tree)");
	return error;
}

/* To the map of sockets: whatever enters it sends through the program. */
static int message_hook_attach(struct kernel *kernel, struct text *why)
{
	struct weft *skeleton = kernel->skeleton;
	int error = bpf_prog_attach(bpf_program__fd(skeleton->progs.weft_msg),
				    bpf_map__fd(skeleton->maps.weft_leg_sockets),
				    BPF_SK_MSG_VERDICT, 0);
	if (error)
		text_printf(why, "attaching weft_msg to weft_leg_sockets failed: %s",
			    strerror(-error));
	return error;
}

int hooks_attach(struct kernel *kernel, struct text *why)
{
	char path[PINS_PATH_MAX];
	struct stat root;
	if (fstat(kernel->cgroup_fd, &root)) {
		text_printf(why, "cgroup root: %s", strerror(errno));
		return -errno;
	}
	pins_path(&kernel->pins, true, "", path);
	path[strlen(path) - 1] = '\0';
	if (mkdir(path, 0700) && errno != EEXIST) {
		text_printf(why, "mkdir %s: %s", path, strerror(errno));
		return -errno;
	}
	struct bpf_program *program;
	int error = message_hook_attach(kernel, why);
	bpf_object__for_each_program(program, kernel->skeleton->obj)
	{
		enum bpf_prog_type type = bpf_program__type(program);
		bool is_for_cgroups =
			type != BPF_PROG_TYPE_SK_MSG && type != BPF_PROG_TYPE_TRACEPOINT;
		if (!error && is_for_cgroups)
			error = hook_attach(kernel, program, root.st_ino, why);
	}
	return error;
}
