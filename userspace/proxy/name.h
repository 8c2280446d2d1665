/*
 * From a request's name to a service or an address: entries that the request brings, what the name
 * is bound to, which of its branches takes this request. Decides for route.c. Internal to proxy.
 */
#ifndef PROXY_NAME_H
#define PROXY_NAME_H

#include "policy/binder.h"
#include "proxy/route.h"

/* A request's l5d-ctx-dtab and l5d-dtab, in the order in which they count. */
struct local_dtabs {
	bool has_fields; /* trusted or not: they do not go on as they came */
	uint32_t count;  /* 0: none, or not trusted */
	struct span texts[BINDER_LOCALS_MAX];
};

/* They count where the pod is trusted, or the service that it dialled (NULL = none) trusts all that
 * dial it (linkerd1.md S5). False: too many, way->status says so. */
bool name_read_locals(const struct snapshot *snapshot, const char *pod,
		      const struct service *dialled, const struct http_head *head,
		      struct local_dtabs *ret_locals, struct route_way *way);
/* Every name /svc/NAME is the service NAME: nothing else is said. */
static inline bool name_is_plain(const struct snapshot *snapshot, const struct local_dtabs *locals)
{
	return snapshot->naming->is_plain && locals->count == 0;
}
/* Where the request goes: in `route`, or way->status (`unbound_status` when the name is bound to
 * nothing) with a text that names what failed. 0 or -ENOMEM. */
int name_bind(struct session *session, struct span name, const struct local_dtabs *locals,
	      unsigned unbound_status, struct exchange_route *route,
	      struct route_way *way) MUST_CHECK;

/* Is the service up, for the choice among alternates? Also true when this request is to find out.
 */
bool name_is_up(struct worker *worker, const struct service *service);
/* The same, told to people: nothing is noted. */
bool name_shows_up(struct worker *worker, const struct service *service);
/* A branch of a bound tree, as a request of now would get it; NULL: none has weight. */
const struct name_tree *name_pick(struct worker *worker, const struct name_tree *tree);
/* Without a dtab /svc/NAME is the service of that name; NULL = there is none. */
const struct service *name_service(const struct snapshot *snapshot, struct span name);

#endif
