/* What a service with balancer `hash` looks at in a request. Pure; the same on every node. */
#ifndef POLICY_BALANCE_KEY_H
#define POLICY_BALANCE_KEY_H

#include "http/message.h"
#include "model/snapshot.h"

/* Of the client's address (folded, 16 bytes). */
uint64_t balance_key_of_source(const uint8_t client_ip[16]);
/*
 * The hash of the header (its first field), the cookie, the path (without query) or the client's
 * address; `head` NULL: a connection that is not HTTP. False: the request does not have it.
 */
bool balance_key(const struct service *service, const struct http_head *head,
		 const uint8_t client_ip[16], uint64_t *ret_key);
/* The token of the client's sticky cookie. False: it has none, or the service wants none. */
bool balance_token(const struct service *service, const struct http_head *head,
		   uint64_t *ret_token);
/* The cookie's value in the Cookie fields of a request (RFC 6265 4.2); data NULL = none. */
struct span balance_cookie(const struct http_head *head, struct span name);

#endif
