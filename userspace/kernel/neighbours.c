#include "kernel/neighbours.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool own_key(struct weft_pod_key *ret_key)
{
	socklen_t size = sizeof(ret_key->id);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_key = (struct weft_pod_key){.kind = WEFT_POD_BY_NETNS};
	bool found =
		fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &ret_key->id, &size) == 0;
	if (fd >= 0)
		close(fd);
	return found;
}

static bool is_pod_map(int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
	       strcmp(info.name, "weft_pods") == 0 &&
	       info.key_size == sizeof(struct weft_pod_key) &&
	       info.value_size == sizeof(struct weft_pod);
}

bool neighbour_captures_here(struct weft_pod *ret_pod)
{
	struct weft_pod_key key;
	bool captures = false;
	if (!own_key(&key))
		return false;
	for (__u32 id = 0; !captures && bpf_map_get_next_id(id, &id) == 0;) {
		int fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue; /* gone meanwhile */
		captures = is_pod_map(fd) && bpf_map_lookup_elem(fd, &key, ret_pod) == 0 &&
			   (ret_pod->flags & WEFT_POD_CAPTURE);
		close(fd);
	}
	return captures;
}
