/* Who is enrolled, what they leave out, and which destinations are mesh services. */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "kernel/object.h"

static int row_put(int fd, const void *key, const void *value)
{
	return bpf_map_update_elem(fd, key, value, BPF_ANY) ? -errno : 0;
}

static int row_remove(int fd, const void *key)
{
	return bpf_map_delete_elem(fd, key) && errno != ENOENT ? -errno : 0;
}

int kernel_pod_put(struct kernel *kernel, const struct weft_pod_key *key,
		   const struct weft_pod *pod)
{
	if (pod->pod_id == 0 || pod->worker_count > WEFT_WORKERS_MAX)
		return -EINVAL;
	/* rows to count in come first: the hook may run at once */
	int error = reasons_prepare(kernel, pod->pod_id);
	return error ? error : row_put(kernel->pods_fd, key, pod);
}

int kernel_pod_remove(struct kernel *kernel, const struct weft_pod_key *key, uint32_t pod_id)
{
	int error = row_remove(kernel->pods_fd, key);
	if (error)
		return error;
	kernel_skip_clear(kernel, pod_id);
	reasons_forget(kernel, pod_id);
	bpf_map_delete_elem(kernel->splicers_fd, &pod_id); /* the id will be another's */
	return 0;
}

int kernel_pod_each(struct kernel *kernel,
		    void (*each)(const struct weft_pod_key *key, const struct weft_pod *pod,
				 void *owner),
		    void *owner)
{
	struct weft_pod_key key, next;
	bool more = bpf_map_get_next_key(kernel->pods_fd, NULL, &next) == 0;
	while (more) {
		struct weft_pod pod;
		key = next; /* the callback may remove it */
		more = bpf_map_get_next_key(kernel->pods_fd, &key, &next) == 0;
		if (bpf_map_lookup_elem(kernel->pods_fd, &key, &pod) == 0)
			each(&key, &pod, owner);
	}
	return 0;
}

int kernel_skip_port(struct kernel *kernel, uint32_t pod_id, uint16_t port)
{
	struct weft_skip_port key = {.pod_id = pod_id, .port = htons(port)};
	uint8_t one = 1;
	return row_put(kernel->skip_ports_fd, &key, &one);
}

int kernel_skip_cidr(struct kernel *kernel, uint32_t pod_id, const struct weft_address *network,
		     uint8_t prefix)
{
	bool v4 = address_is_v4(network);
	if (prefix > (v4 ? 32 : 128))
		return -EINVAL;
	struct weft_skip_cidr key = {.prefixlen = 32u + (v4 ? 96u : 0u) + prefix, .pod_id = pod_id};
	memcpy(key.ip, network->ip, sizeof(key.ip));
	uint8_t one = 1;
	return row_put(kernel->skip_cidrs_fd, &key, &one);
}

static void skip_ports_clear(int fd, uint32_t pod_id)
{
	struct weft_skip_port key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
	while (more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (key.pod_id == pod_id)
			bpf_map_delete_elem(fd, &key);
	}
}

static void skip_cidrs_clear(int fd, uint32_t pod_id)
{
	struct weft_skip_cidr key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
	while (more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (key.pod_id == pod_id)
			bpf_map_delete_elem(fd, &key);
	}
}

void kernel_skip_clear(struct kernel *kernel, uint32_t pod_id)
{
	skip_ports_clear(kernel->skip_ports_fd, pod_id);
	skip_cidrs_clear(kernel->skip_cidrs_fd, pod_id);
}

int kernel_destination_put(struct kernel *kernel, const struct weft_address *address,
			   const struct weft_destination *destination)
{
	return row_put(kernel->destinations_fd, address, destination);
}

int kernel_destination_remove(struct kernel *kernel, const struct weft_address *address)
{
	return row_remove(kernel->destinations_fd, address);
}

int kernel_destination_each(struct kernel *kernel,
			    void (*each)(const struct weft_address *address,
					 const struct weft_destination *destination, void *owner),
			    void *owner)
{
	int fd = kernel->destinations_fd;
	struct weft_address key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
	while (more) {
		struct weft_destination destination;
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (bpf_map_lookup_elem(fd, &key, &destination) == 0)
			each(&key, &destination, owner);
	}
	return 0;
}
