#include "policy/route_index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/route_match.h"

/* ---- the table ---- */

static uint32_t mix(uint32_t hash, enum route_entry_kind kind, uint32_t parent)
{
	hash ^= parent * 0x9e3779b1u ^ (uint32_t)kind * 0x85ebca6bu;
	hash *= 0xc2b2ae35u;
	return hash ^ hash >> 15;
}

/* Where the entry is, or the free place where it would be. */
static struct route_entry *place_of(const struct route_index *index, enum route_entry_kind kind,
				    uint32_t parent, uint32_t hash, struct span text)
{
	uint32_t at = hash & index->mask;
	for (;; at = (at + 1) & index->mask) {
		struct route_entry *entry = &index->entries[at];
		if (entry->kind == ENTRY_FREE ||
		    (entry->hash == hash && entry->kind == kind && entry->parent == parent &&
		     span_equal(entry->text, text)))
			return entry;
	}
}

const struct route_entry *route_entry_find(const struct route_index *index,
					   enum route_entry_kind kind, uint32_t parent,
					   uint32_t text_hash, struct span text)
{
	const struct route_entry *entry =
		place_of(index, kind, parent, mix(text_hash, kind, parent), text);
	return entry->kind == ENTRY_FREE ? NULL : entry;
}

/* The entry; a new one has the value `next`. */
static const struct route_entry *entry_add(struct route_index *index, enum route_entry_kind kind,
					   uint32_t parent, struct span text, uint32_t next)
{
	uint32_t hash = mix(route_hash_more(ROUTE_HASH_BEGIN, text.data, text.size), kind, parent);
	struct route_entry *entry = place_of(index, kind, parent, hash, text);
	if (entry->kind == ENTRY_FREE)
		*entry = (struct route_entry){(uint8_t)kind, hash, parent, next, text};
	return entry;
}

/* ---- precedence ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* rules[].matches of the HTTPRoute specification, without hostnames. */
static int compare_ranked(const void *a, const void *b)
{
	const struct route_ranked *x = a;
	const struct route_ranked *y = b;
	int order = compare_numbers(x->match->path_type, y->match->path_type);
	if (!order && x->match->path_type != ROUTE_PATH_EXACT)
		order = compare_numbers(y->match->path.size, x->match->path.size);
	if (!order)
		order = compare_numbers(y->match->method.size > 0, x->match->method.size > 0);
	if (!order)
		order = compare_numbers(y->match->header_count, x->match->header_count);
	if (!order)
		order = compare_numbers(y->match->query_count, x->match->query_count);
	if (!order)
		order = compare_numbers(x->route->number, y->route->number);
	if (!order)
		order = compare_numbers(x->rule->number, y->rule->number);
	return order ? order : compare_numbers((uintptr_t)x->match, (uintptr_t)y->match);
}

static int rank_all(struct route_index *index, const struct route_set *set)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < set->route_count; i++) {
		for (uint32_t j = 0; j < set->routes[i].rule_count; j++)
			count += set->routes[i].rules[j].match_count;
	}
	index->ranks = mem_alloc((count + 1) * sizeof(*index->ranks));
	if (!index->ranks)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->route_count; i++) {
		const struct route *route = &set->routes[i];
		for (uint32_t j = 0; j < route->rule_count; j++) {
			const struct route_rule *rule = &route->rules[j];
			for (uint32_t k = 0; k < rule->match_count; k++)
				index->ranks[index->rank_count++] =
					(struct route_ranked){route, rule, &rule->matches[k]};
		}
	}
	qsort(index->ranks, count, sizeof(*index->ranks), compare_ranked);
	return 0;
}

/* ---- filling ---- */

struct filed {
	uint32_t list;
	uint32_t rank;
};

static uint64_t places_of(const struct route *route)
{
	uint64_t scopes = route->service_count ? route->service_count : 1;
	uint64_t hosts = route->hostname_count ? route->hostname_count : 1;
	return scopes * hosts;
}

static uint64_t count_items(const struct route_index *index)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < index->rank_count; i++)
		count += places_of(index->ranks[i].route);
	return count;
}

static int make_room(struct route_index *index, uint32_t items)
{
	/* Every item may have a bucket, a list and two entries of its own. */
	size_t capacity = 8;
	while (capacity < (size_t)items * 4)
		capacity *= 2;
	index->mask = (uint32_t)(capacity - 1);
	index->entries = mem_zalloc(capacity * sizeof(*index->entries));
	index->buckets = mem_zalloc((items + 1) * sizeof(*index->buckets));
	index->lists = mem_zalloc((2 * (size_t)items + 1) * sizeof(*index->lists));
	index->items = mem_alloc((items + 1) * sizeof(*index->items));
	return index->entries && index->buckets && index->lists && index->items ? 0 : -ENOMEM;
}

static uint32_t bucket_for(struct route_index *index, uint32_t scope, struct span hostname)
{
	enum route_entry_kind kind = ENTRY_HOST;
	if (hostname.size == 0)
		kind = ENTRY_ANY_HOST;
	if (span_starts(hostname, span_text("*."))) {
		kind = ENTRY_HOSTS_BELOW;
		hostname = span_of(hostname.data + 1, hostname.size - 1);
	}
	uint32_t bucket = entry_add(index, kind, scope, hostname, index->bucket_count)->value;
	if (bucket == index->bucket_count) {
		index->bucket_count++;
		index->buckets[bucket].regex_list = index->list_count++;
	}
	return bucket;
}

static uint32_t depth_of(struct span path)
{
	uint32_t depth = 0;
	for (size_t i = 0; i < path.size; i++)
		depth += path.data[i] == '/';
	return depth;
}

static uint32_t list_for(struct route_index *index, uint32_t at, const struct route_match *match)
{
	struct route_bucket *bucket = &index->buckets[at];
	if (match->path_type == ROUTE_PATH_REGEX)
		return bucket->regex_list;
	enum route_entry_kind kind =
		match->path_type == ROUTE_PATH_EXACT ? ENTRY_EXACT : ENTRY_PREFIX;
	uint32_t depth = depth_of(match->path);
	bucket->has_exact |= kind == ENTRY_EXACT;
	if (kind == ENTRY_PREFIX && depth > bucket->depth_most)
		bucket->depth_most = depth;
	uint32_t list = entry_add(index, kind, at, match->path, index->list_count)->value;
	index->list_count += list == index->list_count;
	return list;
}

static void file_match(struct route_index *index, uint32_t rank, struct filed *filed)
{
	static const uint32_t whole_mesh;
	static const struct span any_host = {"", 0};
	const struct route_ranked *ranked = &index->ranks[rank];
	const struct route *route = ranked->route;
	const uint32_t *scopes = route->service_count ? route->scopes : &whole_mesh;
	const struct span *hosts = route->hostname_count ? route->hostnames : &any_host;
	for (uint32_t i = 0; i < (route->service_count ? route->service_count : 1); i++) {
		for (uint32_t j = 0; j < (route->hostname_count ? route->hostname_count : 1); j++) {
			uint32_t bucket = bucket_for(index, scopes[i], hosts[j]);
			uint32_t list = list_for(index, bucket, ranked->match);
			index->lists[list].end++; /* how many, for now */
			filed[index->item_count++] = (struct filed){list, rank};
		}
	}
}

/* Filed in the order of ranks, so each list is in order, too. */
static void fill_lists(struct route_index *index, const struct filed *filed)
{
	uint32_t begin = 0;
	for (uint32_t i = 0; i < index->list_count; i++) {
		uint32_t count = index->lists[i].end;
		index->lists[i] = (struct route_list){begin, begin};
		begin += count;
	}
	for (uint32_t i = 0; i < index->item_count; i++)
		index->items[index->lists[filed[i].list].end++] = filed[i].rank;
}

static int file_all(struct route_index *index)
{
	uint32_t items = (uint32_t)count_items(index);
	struct filed *filed = mem_alloc((items + 1) * sizeof(*filed));
	int error = filed ? make_room(index, items) : -ENOMEM;
	for (uint32_t i = 0; !error && i < index->rank_count; i++)
		file_match(index, i, filed);
	if (!error)
		fill_lists(index, filed);
	mem_free(filed);
	return error;
}

/* ---- the whole ---- */

struct told {
	void (*fault)(void *owner, uint32_t line, const char *key, const char *sentence);
	void *owner;
};

/* 0, -EINVAL or -ENOMEM. */
static int compile_regex(const struct route_regex *from, const struct told *told,
			 struct regex **ret_regex)
{
	char why[160];
	char sentence[256];
	size_t column = 0;
	int error = regex_new(from->pattern, ret_regex, why, sizeof(why), &column);
	if (error != -EINVAL)
		return error;
	snprintf(sentence, sizeof(sentence), "is no regular expression: column %zu: %s", column,
		 why);
	if (from->line)
		told->fault(told->owner, from->line, from->key, sentence);
	return from->line ? -EINVAL : 0; /* a cluster's: matches nothing, spoils nothing */
}

static int compile_regexes(struct route_index *index, const struct route_set *set,
			   const struct told *told)
{
	int result = 0;
	index->regexes = mem_zalloc((set->regex_count + 1) * sizeof(*index->regexes));
	if (!index->regexes)
		return -ENOMEM;
	index->regex_count = set->regex_count;
	for (uint32_t i = 0; i < set->regex_count; i++) {
		int error = compile_regex(&set->regexes[i], told, &index->regexes[i]);
		if (error == -ENOMEM)
			return error;
		if (error)
			result = error;
	}
	return result;
}

static void index_free(struct route_index *index)
{
	if (!index)
		return;
	for (uint32_t i = 0; i < index->regex_count; i++)
		regex_free(index->regexes[i]);
	mem_free(index->regexes);
	mem_free(index->ranks);
	mem_free(index->buckets);
	mem_free(index->lists);
	mem_free(index->items);
	mem_free(index->entries);
	mem_free(index);
}

static int index_compile(const struct route_set *set,
			 void (*fault)(void *owner, uint32_t line, const char *key,
				       const char *sentence),
			 void *fault_owner, struct route_index **ret_index)
{
	struct told told = {fault, fault_owner};
	struct route_index *index = mem_zalloc(sizeof(*index));
	if (!index)
		return -ENOMEM;
	int error = compile_regexes(index, set, &told);
	if (!error)
		error = rank_all(index, set);
	if (!error && count_items(index) > ROUTE_ITEMS_MOST) {
		fault(fault_owner, 0, "rules",
		      "matches times services times hostnames of all routes are more than "
		      "1048576");
		error = -EINVAL;
	}
	if (!error)
		error = file_all(index);
	if (error)
		index_free(index);
	else
		*ret_index = index;
	return error;
}

const struct route_compiler route_compiler = {.compile = index_compile, .free = index_free};
