/*
 * What `weft cni watch` did so far, in a file beside weftd's socket, so that weftd and `weft check`
 * can tell. It is on a tmpfs, so a reboot empties it; `weft leave` removes it. Written only while
 * the node's lock is shared (node_lock.h). One thread.
 */
#ifndef CNI_RECORD_H
#define CNI_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct cni_record {
	bool is_installed;     /* the plugin was put in, or found in place, once */
	uint64_t put_in_again; /* times, after another program had taken it out */
};

/* All zero when there is none, or none that can be read. */
struct cni_record cni_record_read(const char *socket_path);
/* 0 or -errno. */
int cni_record_write(const char *socket_path, const struct cni_record *record) MUST_CHECK;
void cni_record_remove(const char *socket_path);

#endif
