/*
 * Tells when the file behind a path may have changed: rewritten, replaced, or reached by other
 * symbolic links than before (Kubernetes swaps `..data`). Every folder and link on the way is
 * watched (inotify(7)). Owner: the control thread.
 */
#ifndef CONTROL_WATCH_H
#define CONTROL_WATCH_H

#include "io/ring.h"

struct watch;

/* `changed` may be called for changes that turn out to be none. -errno of inotify, or -ENOMEM. */
int watch_open(struct io_ring *ring, const char *path, void (*changed)(void *owner), void *owner,
	       struct watch **ret_watch) MUST_CHECK;
/* Walks the path anew; to be called before the file is read, so that no change is missed. */
void watch_follow(struct watch *watch);
/* Turns the ring until the last operation is back. NULL is fine. */
void watch_close(struct watch *watch);

#endif
