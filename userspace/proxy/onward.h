/*
 * A request's head as it goes on: what its route made of it, and what this hop says itself. Decides
 * nothing. Owner: who sends the head, for as long as that takes. Internal to proxy.
 */
#ifndef PROXY_ONWARD_H
#define PROXY_ONWARD_H

#include "policy/deadline.h"
#include "policy/route_rewrite.h"

struct route_way;

struct onward {
	struct rewritten result;
	struct http_field *fields; /* NULL: nothing is different from what the route made */
	char deadline[DEADLINE_TEXT_MAX];
	char grpc[GRPC_TIMEOUT_TEXT_MAX];
};

/* `deadline` with at_ns 0: what came stays. Borrows `way`'s spans. 0 or -ENOMEM. */
int onward_init(struct onward *onward, const struct route_way *way, const struct deadline *deadline,
		uint64_t wall_ns) MUST_CHECK;
void onward_fini(struct onward *onward);

#endif
