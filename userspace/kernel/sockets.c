/* The calls of the data path, from any thread: single system calls on a map's descriptor, or plain
 * memory that a map shares. */
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

int kernel_leg_take(const struct kernel *kernel, int fd, struct weft_leg_end *ret_end)
{
	return bpf_map_lookup_elem(kernel->leg_ends_fd, &fd, ret_end) ? -errno : 0;
}

static struct weft_leg *leg_at(const struct kernel *kernel, const struct weft_leg_end *end)
{
	struct weft_leg *leg = &kernel->legs[end->slot & (WEFT_LEGS_MAX - 1)];
	return end->leg && __atomic_load_n(&leg->id, __ATOMIC_ACQUIRE) == end->leg ? leg : NULL;
}

const struct weft_leg *kernel_leg(const struct kernel *kernel, const struct weft_leg_end *end)
{
	return leg_at(kernel, end);
}

void kernel_leg_to_tcp(const struct kernel *kernel, const struct weft_leg_end *end,
		       enum weft_reason reason)
{
	struct weft_leg *leg = leg_at(kernel, end);
	__u32 none = 0;
	if (leg)
		__atomic_compare_exchange_n(&leg->wants_tcp, &none, reason, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
}
