/*
 * Whether a node belongs to the mesh: flock(2) on the folder of weftd's socket, which all
 * containers on the node share. `weft leave` holds it alone while it takes the node out and until
 * it ends; whoever puts something on the node shares it meanwhile. A lock ends with its process, so
 * no stale one is ever left.
 *
 * helm deletes the pod of `weft leave` before weftd's, so a pod of weftd may see the lock end and
 * must stay out all the same. $WEFT_POD_DIR is a folder that lives as long as the pod, and keeps
 * what it has lived through:
 *
 *   joined  it has shared the lock. When it meets the lock held alone later, it is leaving, and
 *   left    stays out for its life.
 *
 * A pod that meets the lock before it has joined is new: most likely of the next release, while
 * the one before is still being removed. It joins NODE_LOCK_SETTLES askings after the lock has
 * ended; if it is of the leaving release after all, it is told to end before that.
 * Without such a folder only the lock counts.
 */
#ifndef CNI_NODE_LOCK_H
#define CNI_NODE_LOCK_H

#include "base/attr.h"

#define NODE_LOCK_POD_DIR "WEFT_POD_DIR"

#define NODE_LOCK_SETTLES 10 /* that are a second apart */

/* Of one process that waits to join; zeroed before it asks first. */
struct node_lock_wait {
	unsigned settles_left;
};

/* A descriptor; -EWOULDBLOCK: the node is leaving, or was a moment ago: ask again in a second;
 * -errno. */
int node_lock_share(const char *socket_path, struct node_lock_wait *wait) MUST_CHECK;
/* A descriptor, when those who share it are through; -errno. */
int node_lock_alone(const char *socket_path) MUST_CHECK;
void node_lock_end(int lock);

#endif
