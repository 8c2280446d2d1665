/*
 * TCP connections of the calling thread's network namespace, by sock_diag(7). Only the stock's
 * helper thread uses it.
 */
#ifndef KERNEL_DIAG_H
#define KERNEL_DIAG_H

#include "base/address.h"
#include "base/attr.h"

struct diag_connection {
	struct weft_address local;
	struct weft_address peer;
	uint64_t cookie;    /* of the socket, unique as long as the machine runs */
	uint64_t cgroup_id; /* 0 = the kernel does not say */
};

/*
 * Calls back for connections with a peer outside this namespace's loopback; not for listeners,
 * sockets in TIME_WAIT and half-open ones. 0 or -errno.
 */
int diag_connections(void (*each)(const struct diag_connection *connection, void *owner),
		     void *owner) MUST_CHECK;

#endif
