/*
 * Which rule does this request take? Precedence is the Gateway API's (HTTPRoute, rules[].matches
 * and hostnames): the most specific hostname; then an exact path, a regular expression (the
 * longest: the Gateway API leaves its place open), the longest prefix; then a method, most headers,
 * most parameters of the query; then the order of the set (older, earlier) and of the rules and
 * matches in their route. The first in this order that the request fulfils wins, whatever route it
 * is of.
 *
 * An index is built from a set once and immutable then: hash by host and path, so that a request
 * costs its own segments and the few matches that share its path, however many routes there are.
 * A matcher is one worker's memory for asking. Pure.
 */
#ifndef POLICY_ROUTE_MATCH_H
#define POLICY_ROUTE_MATCH_H

#include "base/attr.h"
#include "http/message.h"
#include "model/route.h"

/* For build_options.routes. */
extern const struct route_compiler route_compiler;

struct route_matcher;
struct route_matcher *route_matcher_new(void) MUST_CHECK; /* NULL = out of memory */
void route_matcher_free(struct route_matcher *matcher);
/* Requests whose regular expression went beyond the limits, and so did not match. */
uint64_t route_matcher_limit_hits(const struct route_matcher *matcher);

struct route_choice {
	const struct route *route;
	const struct route_rule *rule;
	const struct route_match *match;
	uint32_t
		rank; /* of the match among all of the set's, 0 = first; hostnames come before it */
};

/*
 * `scope`: of the service whose traffic it is (snapshot_route_scope), 0 = of none that a route
 * names. 0; -ENOENT: no rule takes it; -ENOMEM.
 */
int route_find(const struct route_set *set, uint32_t scope, const struct http_head *head,
	       struct route_matcher *matcher, struct route_choice *ret_choice) MUST_CHECK;
/* Routes are for the service by its name: what no rule takes is answered 404 (Gateway API). */
static inline bool route_is_claimed(uint32_t scope)
{
	return scope != 0;
}

/* One of the matches holds, by the same rules: 0, -ENOENT or -ENOMEM. For identifiers. */
int route_matches(const struct route_set *set, const struct route_match *matches, uint32_t count,
		  const struct http_head *head, struct route_matcher *matcher) MUST_CHECK;

/* ---- why ---- */

enum route_verdict {
	ROUTE_WINS,
	ROUTE_RANKS_LOWER, /* holds, but another one comes first */
	ROUTE_OTHER_HOST,
	ROUTE_OTHER_PATH,
	ROUTE_OTHER_METHOD,
	ROUTE_OTHER_HEADER,
	ROUTE_OTHER_QUERY,
};
const char *route_verdict_name(enum route_verdict verdict); /* "wins", "other path", ... */

/* Told for each match of each route that is for this traffic, in the order of precedence; false
 * ends it. */
typedef bool (*route_step)(void *owner, const struct route_choice *candidate,
			   enum route_verdict verdict);
/* Looks at every match: slow, for people. As route_find; the winner is told among the others. */
int route_explain(const struct route_set *set, uint32_t scope, const struct http_head *head,
		  struct route_matcher *matcher, route_step step, void *owner) MUST_CHECK;

#endif
