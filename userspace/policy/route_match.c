#include "policy/route_match.h"

#include <errno.h>

#include "base/mem.h"
#include "policy/route_index.h"

struct route_matcher *route_matcher_new(void)
{
	struct route_matcher *matcher = mem_zalloc(sizeof(*matcher));
	if (!matcher)
		return NULL;
	matcher->regexes = regex_work_new();
	if (matcher->regexes)
		return matcher;
	mem_free(matcher);
	return NULL;
}

void route_matcher_free(struct route_matcher *matcher)
{
	if (!matcher)
		return;
	regex_work_free(matcher->regexes);
	mem_free(matcher->path);
	mem_free(matcher->value);
	mem_free(matcher);
}

uint64_t route_matcher_limit_hits(const struct route_matcher *matcher)
{
	return regex_limit_hits(matcher->regexes);
}

/* ---- the order of look-ups is the order of precedence ---- */

static uint32_t first_that_holds(struct route_ask *ask, uint32_t list)
{
	const struct route_index *index = ask->index;
	for (uint32_t i = index->lists[list].begin; i < index->lists[list].end; i++) {
		uint32_t rank = index->items[i];
		const struct route_match *match = index->ranks[rank].match;
		if (route_method_holds(ask, match) && route_headers_hold(ask, match) &&
		    route_query_holds(ask, match) &&
		    (match->path_type != ROUTE_PATH_REGEX || route_path_holds(ask, match)))
			return rank;
	}
	return ROUTE_NONE;
}

static uint32_t find_exact(struct route_ask *ask, uint32_t bucket)
{
	uint32_t hash = ask->cuts[0].hash;
	if (!ask->index->buckets[bucket].has_exact || ask->path.size == 0)
		return ROUTE_NONE;
	hash = route_hash_more(hash, ask->path.data, ask->path.size);
	const struct route_entry *entry =
		route_entry_find(ask->index, ENTRY_EXACT, bucket, hash, ask->path);
	return entry ? first_that_holds(ask, entry->value) : ROUTE_NONE;
}

static uint32_t find_prefix(struct route_ask *ask, uint32_t bucket)
{
	uint32_t depth = ask->cut_count;
	if (depth > ask->index->buckets[bucket].depth_most + 1)
		depth = ask->index->buckets[bucket].depth_most + 1;
	while (depth-- > 0) {
		struct span prefix = span_of(ask->path.data, ask->cuts[depth].size);
		const struct route_entry *entry = route_entry_find(ask->index, ENTRY_PREFIX, bucket,
								   ask->cuts[depth].hash, prefix);
		uint32_t rank = entry ? first_that_holds(ask, entry->value) : ROUTE_NONE;
		if (rank != ROUTE_NONE)
			return rank;
	}
	return ROUTE_NONE;
}

static uint32_t find_in_bucket(struct route_ask *ask, uint32_t bucket)
{
	uint32_t rank = find_exact(ask, bucket);
	if (rank == ROUTE_NONE)
		rank = first_that_holds(ask, ask->index->buckets[bucket].regex_list);
	return rank == ROUTE_NONE ? find_prefix(ask, bucket) : rank;
}

static uint32_t find_in_scope(struct route_ask *ask, uint32_t scope, enum route_entry_kind kind,
			      uint32_t hash, struct span host)
{
	const struct route_entry *entry = route_entry_find(ask->index, kind, scope, hash, host);
	return entry ? find_in_bucket(ask, entry->value) : ROUTE_NONE;
}

/* Of equally specific hostnames: routes for the service, and those for the whole mesh. */
static uint32_t find_at_host(struct route_ask *ask, uint32_t scope, enum route_entry_kind kind,
			     struct span host)
{
	uint32_t hash = route_hash_more(ROUTE_HASH_BEGIN, host.data, host.size);
	uint32_t rank = find_in_scope(ask, 0, kind, hash, host);
	uint32_t own = scope ? find_in_scope(ask, scope, kind, hash, host) : ROUTE_NONE;
	return own < rank ? own : rank;
}

static uint32_t find_rank(struct route_ask *ask, uint32_t scope)
{
	struct span host = ask->host;
	uint32_t rank = host.size ? find_at_host(ask, scope, ENTRY_HOST, host) : ROUTE_NONE;
	for (size_t i = 0; rank == ROUTE_NONE && i < host.size; i++) {
		if (host.data[i] == '.' && i > 0)
			rank = find_at_host(ask, scope, ENTRY_HOSTS_BELOW,
					    span_of(host.data + i, host.size - i));
	}
	return rank == ROUTE_NONE ? find_at_host(ask, scope, ENTRY_ANY_HOST, span_of("", 0)) : rank;
}

int route_find(const struct route_set *set, uint32_t scope, const struct http_head *head,
	       struct route_matcher *matcher, struct route_choice *ret_choice)
{
	struct route_ask ask;
	if (!set->index || set->route_count == 0)
		return -ENOENT;
	route_ask_init(&ask, set, head, matcher);
	uint32_t rank = ask.failed ? ROUTE_NONE : find_rank(&ask, scope);
	if (ask.failed)
		return -ENOMEM;
	if (rank == ROUTE_NONE)
		return -ENOENT;
	const struct route_ranked *ranked = &set->index->ranks[rank];
	*ret_choice = (struct route_choice){ranked->route, ranked->rule, ranked->match, rank};
	return 0;
}

int route_matches(const struct route_set *set, const struct route_match *matches, uint32_t count,
		  const struct http_head *head, struct route_matcher *matcher)
{
	struct route_ask ask;
	bool holds = false;
	route_ask_init(&ask, set, head, matcher);
	for (uint32_t i = 0; !holds && !ask.failed && i < count; i++)
		holds = route_method_holds(&ask, &matches[i]) &&
			route_path_holds(&ask, &matches[i]) &&
			route_headers_hold(&ask, &matches[i]) &&
			route_query_holds(&ask, &matches[i]);
	if (ask.failed)
		return -ENOMEM;
	return holds ? 0 : -ENOENT;
}
