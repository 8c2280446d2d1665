/*
 * A set's matches by host and path, and how one request is asked about. Internal to the files of
 * policy/route_*.
 *
 * One open-addressed table for all: (scope, host) leads to a bucket, (bucket, path) to a list of
 * matches that differ in method, headers and query only, in the order of precedence.
 */
#ifndef POLICY_ROUTE_INDEX_H
#define POLICY_ROUTE_INDEX_H

#include "http/message.h"
#include "model/route.h"
#include "policy/route_regex.h"

#define ROUTE_CUTS_MOST  65 /* "" and 64 segments: model/build_rule allows no deeper prefix */
#define ROUTE_HOST_MOST  254
#define ROUTE_ITEMS_MOST (1u << 20) /* matches x services x hostnames of all routes */

enum route_entry_kind {
	ENTRY_FREE,
	ENTRY_HOST,        /* parent: scope */
	ENTRY_HOSTS_BELOW, /* parent: scope; text begins with "." */
	ENTRY_ANY_HOST,    /* parent: scope; text "" */
	ENTRY_EXACT,       /* parent: bucket */
	ENTRY_PREFIX,      /* parent: bucket */
};

struct route_entry {
	uint8_t kind;
	uint32_t hash;
	uint32_t parent;
	uint32_t value; /* bucket, or list */
	struct span text;
};

struct route_bucket {
	uint32_t regex_list;
	uint32_t depth_most; /* segments of the deepest prefix */
	bool has_exact;
};

struct route_list {
	uint32_t begin; /* in items */
	uint32_t end;
};

/* A match, at its rank. */
struct route_ranked {
	const struct route *route;
	const struct route_rule *rule;
	const struct route_match *match;
};

struct route_index {
	uint32_t rank_count;
	uint32_t regex_count;
	uint32_t bucket_count;
	uint32_t list_count;
	uint32_t item_count;
	uint32_t mask;
	struct route_ranked *ranks;
	struct regex **regexes; /* [number]; NULL = matches nothing */
	struct route_bucket *buckets;
	struct route_list *lists;
	uint32_t *items; /* ranks, in order within a list */
	struct route_entry *entries;
};

#define ROUTE_HASH_BEGIN 2166136261u /* FNV-1a, so that a path's prefixes cost one pass */
static inline uint32_t route_hash_more(uint32_t hash, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)data[i]) * 16777619u;
	return hash;
}

/* `text_hash`: route_hash_more over the text. NULL = absent. */
const struct route_entry *route_entry_find(const struct route_index *index,
					   enum route_entry_kind kind, uint32_t parent,
					   uint32_t text_hash, struct span text);

struct route_cut {
	uint32_t hash;
	uint32_t size;
};

struct route_matcher {
	struct regex_work *regexes;
	char *path; /* normal form of one that has it not */
	size_t path_capacity;
	char *value; /* joined or decoded */
	size_t value_capacity;
};

/* One request. */
struct route_ask {
	const struct http_head *head;
	const struct route_index *index; /* NULL: no regular expression matches */
	struct route_matcher *matcher;
	struct span path; /* normal form, "" = none */
	struct span query;
	struct span host; /* lower case */
	uint32_t cut_count;
	struct route_cut cuts[ROUTE_CUTS_MOST];
	char host_memory[ROUTE_HOST_MOST];
	bool failed; /* out of memory */
};

void route_ask_init(struct route_ask *ask, const struct route_set *set,
		    const struct http_head *head, struct route_matcher *matcher);
/* What of a match holds; each looks at one part only. */
bool route_path_holds(struct route_ask *ask, const struct route_match *match);
bool route_method_holds(const struct route_ask *ask, const struct route_match *match);
bool route_headers_hold(struct route_ask *ask, const struct route_match *match);
bool route_query_holds(struct route_ask *ask, const struct route_match *match);

#endif
