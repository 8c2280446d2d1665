/* Every match of every route, for people who ask why. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/route_index.h"
#include "policy/route_match.h"

struct candidate {
	struct route_choice choice;
	uint32_t specificity; /* of the hostname: HOST_NONE, HOST_ANY, a suffix's bytes, HOST_EXACT
			       */
	enum route_verdict verdict;
};

#define HOST_NONE  0u
#define HOST_ANY   1u
#define HOST_EXACT UINT32_MAX

const char *route_verdict_name(enum route_verdict verdict)
{
	static const char *const names[] = {
		[ROUTE_WINS] = "wins",
		[ROUTE_RANKS_LOWER] = "holds, but ranks lower",
		[ROUTE_OTHER_HOST] = "other host",
		[ROUTE_OTHER_PATH] = "other path",
		[ROUTE_OTHER_METHOD] = "other method",
		[ROUTE_OTHER_HEADER] = "other header",
		[ROUTE_OTHER_QUERY] = "other query",
	};
	return names[verdict];
}

static uint32_t host_specificity(const struct route *route, struct span host)
{
	uint32_t best = route->hostname_count ? HOST_NONE : HOST_ANY;
	for (uint32_t i = 0; i < route->hostname_count; i++) {
		struct span name = route->hostnames[i];
		uint32_t found = HOST_NONE;
		if (span_equal(name, host))
			found = HOST_EXACT;
		else if (name.data[0] == '*' && host.size > name.size - 1 &&
			 span_equal(span_of(host.data + host.size - name.size + 1, name.size - 1),
				    span_of(name.data + 1, name.size - 1)))
			found = (uint32_t)name.size;
		if (found > best)
			best = found;
	}
	return best;
}

static bool is_for(const struct route *route, uint32_t scope)
{
	for (uint32_t i = 0; i < route->service_count; i++) {
		if (route->scopes[i] == scope)
			return true;
	}
	return route->service_count == 0;
}

static enum route_verdict judge(struct route_ask *ask, const struct route_match *match,
				uint32_t specificity)
{
	if (specificity == HOST_NONE)
		return ROUTE_OTHER_HOST;
	if (!route_path_holds(ask, match))
		return ROUTE_OTHER_PATH;
	if (!route_method_holds(ask, match))
		return ROUTE_OTHER_METHOD;
	if (!route_headers_hold(ask, match))
		return ROUTE_OTHER_HEADER;
	return route_query_holds(ask, match) ? ROUTE_WINS : ROUTE_OTHER_QUERY;
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	if (x->specificity != y->specificity)
		return x->specificity > y->specificity ? -1 : 1;
	return x->choice.rank < y->choice.rank ? -1 : 1;
}

static uint32_t list_candidates(struct route_ask *ask, uint32_t scope, struct candidate *list)
{
	uint32_t count = 0;
	for (uint32_t rank = 0; rank < ask->index->rank_count; rank++) {
		const struct route_ranked *ranked = &ask->index->ranks[rank];
		if (!is_for(ranked->route, scope))
			continue;
		uint32_t specificity = host_specificity(ranked->route, ask->host);
		list[count++] = (struct candidate){
			.choice = {ranked->route, ranked->rule, ranked->match, rank},
			.specificity = specificity,
			.verdict = judge(ask, ranked->match, specificity),
		};
	}
	if (count)
		qsort(list, count, sizeof(*list), compare_candidates);
	return count;
}

int route_explain(const struct route_set *set, uint32_t scope, const struct http_head *head,
		  struct route_matcher *matcher, route_step step, void *owner)
{
	struct route_ask ask;
	bool has_winner = false;
	if (!set->index)
		return -ENOENT;
	struct candidate *list = mem_alloc((set->index->rank_count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	route_ask_init(&ask, set, head, matcher);
	uint32_t count = ask.failed ? 0 : list_candidates(&ask, scope, list);
	bool goes_on = !ask.failed;
	for (uint32_t i = 0; goes_on && i < count; i++) {
		if (list[i].verdict == ROUTE_WINS && has_winner)
			list[i].verdict = ROUTE_RANKS_LOWER;
		has_winner |= list[i].verdict == ROUTE_WINS;
		goes_on = step(owner, &list[i].choice, list[i].verdict);
	}
	mem_free(list);
	if (ask.failed)
		return -ENOMEM;
	return has_winner ? 0 : -ENOENT;
}
