/*
 * What the node knows of services and endpoints, for people: nothing is changed by asking. Any
 * thread; the numbers are all workers'. `node` NULL: nothing is known. Internal to proxy.
 */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "proxy/node.h"

/* False: no breaker watches it, or no request has gone to its service yet. */
bool health_breaker(struct node *node, const struct service *service,
		    const struct endpoint *endpoint, struct breaker_view *ret_view);
/* Is it up, for the choice among alternates? */
bool health_is_up(struct node *node, const struct snapshot *snapshot, const struct service *service,
		  uint64_t now_ns);

#endif
