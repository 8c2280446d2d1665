/*
 * Working inside a pod's network namespace: a thread enters it, does one thing and comes back.
 * Only the stock's helper thread may use this; it changes the calling thread's namespace.
 */
#ifndef KERNEL_NETNS_H
#define KERNEL_NETNS_H

#include "kernel/stock.h"

/* Opens a namespace by its path (/run/netns/x, /proc/PID/ns/net). A descriptor, or -errno. */
int netns_open(const char *path, struct text *why) MUST_CHECK;
/* Makes the calling thread a member. `netns_fd` -1 = stay. 0 or -errno. */
int netns_enter(int netns_fd) MUST_CHECK;
/* The namespace that the calling thread is in now. A descriptor, or -errno. */
int netns_current(void) MUST_CHECK;

/* In the present namespace: cookie and first global addresses; -ENETDOWN when lo is down. */
int netns_describe(struct stock_listeners *listeners, struct text *why) MUST_CHECK;

/* In the present namespace: has one of its devices this address? All zero: 0. Or -EADDRNOTAVAIL. */
int netns_holds(const struct weft_address *address, struct text *why) MUST_CHECK;

/*
 * In the present namespace: one listener per worker on 127.0.0.1 and, where there is IPv6, ::1;
 * marked as ours before they listen. On failure nothing is left open.
 */
int listeners_open(const struct kernel *kernel, uint32_t pod_id, unsigned workers,
		   struct stock_listeners *listeners, struct text *why) MUST_CHECK;
void listeners_close(struct stock_listeners *listeners);

#endif
