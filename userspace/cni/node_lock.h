/*
 * Whether a node belongs to the mesh: flock(2) on the folder of weftd's socket, which all
 * containers on the node share. `weft leave` holds it alone while it takes the node out and until
 * it ends; whoever puts something on the node shares it meanwhile. A lock ends with its process, so
 * nothing stale is ever left.
 */
#ifndef CNI_NODE_LOCK_H
#define CNI_NODE_LOCK_H

#include "base/attr.h"

/* A descriptor; -EWOULDBLOCK: the node is leaving; -errno. */
int node_lock_share(const char *socket_path) MUST_CHECK;
/* A descriptor, when those who share it are through; -errno. */
int node_lock_alone(const char *socket_path) MUST_CHECK;
void node_lock_end(int lock);

#endif
