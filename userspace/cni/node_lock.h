/*
 * Whether a node belongs to the mesh: flock(2) on the folder of weftd's socket, which all
 * containers on the node share. `weft leave` holds it alone while it takes the node out and until
 * it ends; whoever puts something on the node shares it meanwhile. A lock ends with its process, so
 * no stale one is ever left.
 *
 * A pod of weftd that has met the lock held alone is about to be deleted, but not before the lock
 * ends: so it stays out for its life. $WEFT_POD_DIR is a folder that lives as long as the pod, and
 * keeps the file that says so; without it only the lock counts.
 */
#ifndef CNI_NODE_LOCK_H
#define CNI_NODE_LOCK_H

#include "base/attr.h"

#define NODE_LOCK_POD_DIR "WEFT_POD_DIR"

/* A descriptor; -EWOULDBLOCK: the node is leaving, or was while this pod lived; -errno. */
int node_lock_share(const char *socket_path) MUST_CHECK;
/* A descriptor, when those who share it are through; -errno. */
int node_lock_alone(const char *socket_path) MUST_CHECK;
void node_lock_end(int lock);

#endif
