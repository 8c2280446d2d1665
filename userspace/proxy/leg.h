/*
 * The shortcut as a worker sees it: a leg is one of our sockets and the app's at its other end,
 * which hand bytes to each other past TCP (bpf/shortcut.bpf.c). Our wire notices nothing; what it
 * cannot know is asked and told here. An end with leg 0 is a connection that never had it.
 * Internal to proxy.
 */
#ifndef PROXY_LEG_H
#define PROXY_LEG_H

#include "proxy/worker.h"
#include "wire/wire.h"

/* For a dial of ours in this pod's namespace: bytes that may wait unread; 0 = by TCP. */
uint32_t leg_window(const struct worker *worker, const struct worker_pod *pod, uint32_t service_id,
		    bool *ret_is_auto);
/* Of `auto`: it overflowed its window, and a new connection by TCP is faster than this one. */
bool leg_is_spent(const struct worker *worker, struct weft_leg_end end);
/*
 * The wire is connected: from now on its peer gets a RST if we die, or close it, with bytes that
 * we were handed and have not read, which TCP would not know of.
 */
void leg_begin(struct weft_leg_end end, struct wire *wire);
/* No further byte of either end goes past TCP. Before what follows is a tunnel: whoever joins
 * sockets may splice, and sees nothing of what was redirected. */
void leg_to_tcp(const struct worker *worker, struct weft_leg_end end);
/* The wire is about to be closed: what its peer sends from now on is TCP's to refuse. */
void leg_end(const struct worker *worker, struct weft_leg_end end);
/*
 * At the end of what the peer sends: is it a reset? Either the peer was closed with bytes of ours
 * unread, where TCP would have sent a RST; or a RST came while we were sending, and that send was
 * partly done, so it took the socket's error and told nobody.
 */
bool leg_was_cut(const struct worker *worker, struct weft_leg_end end, const struct wire *wire);
/* "shortcut", "tcp", or the reason for which it is back on TCP. */
const char *leg_state(const struct worker *worker, struct weft_leg_end end);

#endif
