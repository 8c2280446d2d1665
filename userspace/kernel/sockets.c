/* The two calls of the data path: single system calls on a map's descriptor, from any thread. */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "kernel/object.h"

int kernel_flow_take(const struct kernel *kernel, int fd, struct weft_flow *ret_flow)
{
	return bpf_map_lookup_elem(kernel->accepted_fd, &fd, ret_flow) ? -errno : 0;
}

int kernel_socket_mark(const struct kernel *kernel, int fd, const struct weft_socket *mark)
{
	return bpf_map_update_elem(kernel->sockets_fd, &fd, mark, BPF_ANY) ? -errno : 0;
}
