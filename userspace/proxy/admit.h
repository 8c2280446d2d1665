/*
 * Is a request to be sent at all? Its deadline, the service's rates and caps, faults on purpose.
 * Internal to proxy.
 */
#ifndef PROXY_ADMIT_H
#define PROXY_ADMIT_H

#include "policy/deadline.h"
#include "proxy/exchange.h"

/* False: it was answered, and the exchange is gone. `ret_deadline`: for the next hop, tightened.
 * `ret_delay_ns`: to wait before it is sent. */
bool admit(struct exchange *exchange, const struct http_head *head, struct deadline *ret_deadline,
	   uint64_t *ret_delay_ns);
/* The exchange is over. */
void admit_leave(struct exchange *exchange);
/* An answer's head came. */
void admit_answered(const struct exchange *exchange);

#endif
