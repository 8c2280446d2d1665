/*
 * The logical name of a request (linkerd1.md 1.7, I1-I6, and one that combines path, header, query
 * and method): an ordered list of identifiers, the first that succeeds. Pure.
 */
#ifndef POLICY_IDENTIFY_H
#define POLICY_IDENTIFY_H

#include "http/message.h"
#include "model/route.h"

struct route_matcher;

#define IDENTIFY_NAME_MAX 1024 /* bytes; an identifier whose name is longer does not succeed */

struct identified {
	uint32_t by;       /* place of the identifier in the list */
	uint32_t consumed; /* segments that leave the forwarded URI */
	size_t size;
	char text[IDENTIFY_NAME_MAX]; /* a path as dtabs write it: "/svc/web", other bytes \x2f */
};

static inline struct span identified_name(const struct identified *identified)
{
	return span_of(identified->text, identified->size);
}

/*
 * `service`: name of the service that was dialled, size 0 = none. A set without identifiers, or
 * NULL, goes by it alone. 0; -ENOENT: none succeeded (400 in Linkerd); -ENOMEM.
 */
int identify(const struct route_set *set, const struct http_head *head, struct span service,
	     struct route_matcher *matcher, struct identified *ret_identified) MUST_CHECK;
/* "header_token" and so on, as the config spells it. */
const char *identify_kind_name(enum identify_kind kind);

#endif
