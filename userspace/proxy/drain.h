/*
 * The rest of an answer that nobody wants any more: read to its end, so that its connection can be
 * used again. Internal to proxy.
 */
#ifndef PROXY_DRAIN_H
#define PROXY_DRAIN_H

#include "proxy/upstream.h"

/* Reading it is cheaper than another connection. */
bool drain_is_worth(const struct http_head *head);
/* A connected upstream that nobody holds, whose answer's head has come: back to the pool at the
 * answer's end, closed when that takes too many bytes or a second. From inside the reader's event,
 * too. */
void drain_begin(struct upstream *upstream);
void drain_data(struct upstream *upstream, struct span bytes);

#endif
