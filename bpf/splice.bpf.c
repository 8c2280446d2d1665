/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * splice(2) from a socket that has the shortcut sees nothing, and may wait for ever. Who is seen to
 * splice sockets keeps its pod on TCP from then on: the pod's next connections are dialled so.
 *
 * A tracepoint makes every system call of the machine a little slower (35 of 120 ns), so it is only
 * attached while somebody has the shortcut `on`; what is declared HTTP is read by recv.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "pod.bpf.h"

#define S_IFMT   0170000
#define S_IFSOCK 0140000

static __always_inline bool is_socket(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return false;
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK;
}

SEC("tracepoint/syscalls/sys_enter_splice")
int weft_splice(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!is_socket(task, (__u32)ctx->args[0]))
		return 0;
	struct weft_pod *pod = pod_find(BPF_CORE_READ(task, nsproxy, net_ns, net_cookie));
	if (!pod)
		return 0;
	__u32 pod_id = pod->pod_id;
	__u64 now = bpf_ktime_get_ns();
	bpf_map_update_elem(&weft_splicers, &pod_id, &now, BPF_ANY);
	return 0;
}

char weft_license[] SEC("license") = "Dual BSD/GPL";
