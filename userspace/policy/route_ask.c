/* One request as matches see it: path in normal form, host, query; and what of a match holds. */
#include <errno.h>

#include "base/mem.h"
#include "model/route_path.h"
#include "policy/route_index.h"

/* ---- memory that is kept from request to request ---- */

static bool has_room(struct route_ask *ask, char **memory, size_t *capacity, size_t size)
{
	if (size <= *capacity)
		return true;
	char *larger = mem_realloc(*memory, size + 256);
	if (!larger) {
		ask->failed = true;
		return false;
	}
	*memory = larger;
	*capacity = size + 256;
	return true;
}

static char *value_room(struct route_ask *ask, size_t size)
{
	struct route_matcher *matcher = ask->matcher;
	return has_room(ask, &matcher->value, &matcher->value_capacity, size + 1) ? matcher->value
										  : NULL;
}

/* ---- the request ---- */

/* Hashes of all prefixes that end with a segment, in one pass. */
static void cut_path(struct route_ask *ask)
{
	uint32_t hash = ROUTE_HASH_BEGIN;
	size_t from = 0;
	ask->cuts[ask->cut_count++] = (struct route_cut){hash, 0};
	for (size_t i = 1; i <= ask->path.size && ask->cut_count < ROUTE_CUTS_MOST; i++) {
		bool is_end = i == ask->path.size;
		if (!is_end && ask->path.data[i] != '/')
			continue;
		if (is_end && ask->path.data[i - 1] == '/')
			break; /* "/a/" has no prefix that "/a" has not */
		hash = route_hash_more(hash, ask->path.data + from, i - from);
		ask->cuts[ask->cut_count++] = (struct route_cut){hash, (uint32_t)i};
		from = i;
	}
}

static void take_path(struct route_ask *ask, struct span path)
{
	struct route_matcher *matcher = ask->matcher;
	ask->path = path;
	if (path.size && !route_path_is_normal(path) &&
	    has_room(ask, &matcher->path, &matcher->path_capacity, path.size))
		ask->path = route_path_normalise(path, matcher->path);
	cut_path(ask);
}

static void take_host(struct route_ask *ask, struct span host)
{
	ask->host = span_of(ask->host_memory, 0);
	if (host.size > sizeof(ask->host_memory))
		return; /* no name is so long */
	for (size_t i = 0; i < host.size; i++) {
		char c = host.data[i];
		ask->host_memory[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	ask->host.size = host.size;
}

void route_ask_init(struct route_ask *ask, const struct route_set *set,
		    const struct http_head *head, struct route_matcher *matcher)
{
	struct route_target target = route_target_split(head->target);
	ask->head = head;
	ask->index = set->index;
	ask->matcher = matcher;
	ask->query = target.query;
	ask->cut_count = 0;
	ask->failed = false;
	take_path(ask, target.path);
	/* The target's goes before Host (RFC 9112 3.2.2). */
	take_host(ask, route_host_of(target.is_absolute ? target.authority : head->host));
}

/* ---- parts of a match ---- */

static bool regex_holds(struct route_ask *ask, uint32_t number, struct span text)
{
	const struct route_index *index = ask->index;
	if (!index || number >= index->regex_count)
		return false;
	int error = regex_match(index->regexes[number], ask->matcher->regexes, text);
	ask->failed |= error == -ENOMEM;
	return !error;
}

bool route_path_holds(struct route_ask *ask, const struct route_match *match)
{
	struct span path = ask->path;
	switch ((enum route_path_type)match->path_type) {
	case ROUTE_PATH_EXACT:
		return span_equal(path, match->path) && path.size;
	case ROUTE_PATH_REGEX:
		return regex_holds(ask, match->path_regex, path);
	case ROUTE_PATH_PREFIX:
		return span_starts(path, match->path) &&
		       (path.size == match->path.size || match->path.size == 0 ||
			path.data[match->path.size] == '/');
	}
	return false;
}

/* Methods are case-sensitive (RFC 9110 9.1). */
bool route_method_holds(const struct route_ask *ask, const struct route_match *match)
{
	return match->method.size == 0 || span_equal(match->method, ask->head->method_text);
}

/* ---- headers: fields of one name are one list (RFC 9110 5.3) ---- */

static const struct http_field *next_field(const struct http_head *head,
					   const struct http_field *from, struct span name)
{
	for (; from < head->fields + head->field_count; from++) {
		if (span_equal_nocase(from->name, name))
			return from;
	}
	return NULL;
}

static bool join_fields(struct route_ask *ask, const struct http_field *first, struct span name,
			struct span *ret_value)
{
	size_t size = 0;
	const struct http_field *field;
	for (field = first; field; field = next_field(ask->head, field + 1, name))
		size += field->value.size + 2;
	char *memory = value_room(ask, size);
	if (!memory)
		return false;
	size = 0;
	for (field = first; field; field = next_field(ask->head, field + 1, name)) {
		if (size) {
			memory[size++] = ',';
			memory[size++] = ' ';
		}
		if (field->value.size)
			memcpy(memory + size, field->value.data, field->value.size);
		size += field->value.size;
	}
	*ret_value = span_of(memory, size);
	return true;
}

static bool value_holds(struct route_ask *ask, const struct route_value *wanted, struct span value)
{
	if (wanted->type == ROUTE_VALUE_REGEX)
		return regex_holds(ask, wanted->regex, value);
	return span_equal(value, wanted->value);
}

static bool header_holds(struct route_ask *ask, const struct route_value *wanted)
{
	const struct http_field *field = next_field(ask->head, ask->head->fields, wanted->name);
	if (!field)
		return false;
	struct span value = field->value;
	if (next_field(ask->head, field + 1, wanted->name) &&
	    !join_fields(ask, field, wanted->name, &value))
		return false;
	return value_holds(ask, wanted, value);
}

bool route_headers_hold(struct route_ask *ask, const struct route_match *match)
{
	for (uint32_t i = 0; i < match->header_count; i++) {
		if (!header_holds(ask, &match->headers[i]))
			return false;
	}
	return true;
}

/* ---- query: application/x-www-form-urlencoded, compared decoded ---- */

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '%' || text.data[i] == '+')
			return false;
	}
	return true;
}

static struct span decode(struct span text, char *memory)
{
	size_t size = 0;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i] == '+' ? ' ' : text.data[i];
		int high = c == '%' && i + 2 < text.size ? route_hex(text.data[i + 1]) : -1;
		int low = high >= 0 ? route_hex(text.data[i + 2]) : -1;
		if (low >= 0) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		memory[size++] = c;
	}
	return span_of(memory, size);
}

/* Valid until the next; false = out of memory. */
static bool decoded(struct route_ask *ask, struct span text, struct span *ret_text)
{
	*ret_text = text;
	if (is_plain(text))
		return true;
	char *memory = value_room(ask, text.size);
	if (memory)
		*ret_text = decode(text, memory);
	return memory;
}

/* The first parameter of the name counts, as the Gateway API recommends. */
static bool parameter_holds(struct route_ask *ask, const struct route_value *wanted)
{
	struct span rest = ask->query;
	struct span part;
	while (rest.size && span_split(&rest, '&', &part)) {
		struct span name;
		span_split(&part, '=', &name);
		if (!decoded(ask, name, &name))
			return false;
		if (!span_equal(name, wanted->name))
			continue;
		struct span value = part.data ? part : span_of("", 0);
		return decoded(ask, value, &value) && value_holds(ask, wanted, value);
	}
	return false;
}

bool route_query_holds(struct route_ask *ask, const struct route_match *match)
{
	for (uint32_t i = 0; i < match->query_count; i++) {
		if (!parameter_holds(ask, &match->queries[i]))
			return false;
	}
	return true;
}
