#include "policy/identify.h"

#include <errno.h>

#include "model/route_path.h"
#include "policy/route_match.h"

/* What one identifier writes; `fits` says whether all of it found room. */
struct name {
	struct identified *to;
	bool fits;
};

const char *identify_kind_name(enum identify_kind kind)
{
	static const char *const names[] = {
		[IDENTIFY_DESTINATION] = "destination",
		[IDENTIFY_HEADER_TOKEN] = "header_token",
		[IDENTIFY_HEADER] = "header",
		[IDENTIFY_HEADER_PATH] = "header_path",
		[IDENTIFY_METHOD_AND_HOST] = "method_and_host",
		[IDENTIFY_PATH] = "path",
		[IDENTIFY_STATIC] = "static",
		[IDENTIFY_MATCH] = "match",
	};
	return names[kind];
}

/* ---- writing ---- */

static void add(struct name *name, const char *data, size_t size)
{
	struct identified *to = name->to;
	if (size > sizeof(to->text) - to->size)
		name->fits = false;
	if (!name->fits || size == 0)
		return;
	memcpy(to->text + to->size, data, size);
	to->size += size;
}

/* What a path of a dtab may have in a segment as it is. */
static bool is_shown(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_:.#$%-", c));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static void add_segment(struct name *name, struct span segment, bool in_lower_case)
{
	static const char digits[] = "0123456789abcdef";
	add(name, "/", 1);
	for (size_t i = 0; i < segment.size; i++) {
		char c = in_lower_case ? lower(segment.data[i]) : segment.data[i];
		unsigned char octet = (unsigned char)c;
		char escaped[4] = {'\\', 'x', digits[octet >> 4], digits[octet & 15]};
		if (is_shown(c))
			add(name, &c, 1);
		else
			add(name, escaped, sizeof(escaped));
	}
}

/* Segments of a path in normal form; empty ones are none. */
static uint32_t add_segments(struct name *name, struct span path, uint32_t most)
{
	struct span segment;
	uint32_t count = 0;
	while (count < most && span_split(&path, '/', &segment)) {
		if (segment.size == 0)
			continue;
		add_segment(name, segment, false);
		count++;
	}
	return count;
}

/* The path that the target has, in normal form; size 0 = none, or longer than any name. */
static struct span path_of(struct span target, char memory[IDENTIFY_NAME_MAX * 4])
{
	struct span path = route_target_split(target).path;
	if (path.size == 0 || route_path_is_normal(path))
		return path;
	if (path.size > (size_t)IDENTIFY_NAME_MAX * 4)
		return span_of("", 0);
	return route_path_normalise(path, memory);
}

/* ---- each kind: true = it succeeded ---- */

static bool by_header_token(const struct identifier *self, const struct http_head *head,
			    struct name *name)
{
	for (uint16_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		if (!span_equal_nocase(field->name, self->header))
			continue;
		add_segment(name, field->value, false);
		return field->value.size > 0;
	}
	return false;
}

static const struct http_field *field_of(const struct http_head *head, struct span name)
{
	for (uint16_t i = 0; i < head->field_count; i++) {
		if (span_equal_nocase(head->fields[i].name, name))
			return &head->fields[i];
	}
	return NULL;
}

/* "/a/b" as a dtab writes it: shown bytes and \xHH, no empty segment but a last one. */
static bool is_written_path(struct span path)
{
	if (path.size == 0 || path.data[0] != '/')
		return false;
	for (size_t i = 0; i < path.size; i++) {
		char c = path.data[i];
		bool is_escape = c == '\\' && i + 3 < path.size && path.data[i + 1] == 'x' &&
				 route_hex(path.data[i + 2]) >= 0 &&
				 route_hex(path.data[i + 3]) >= 0;
		if (c == '/' ? i + 1 < path.size && path.data[i + 1] == '/'
			     : !is_shown(c) && !is_escape)
			return false;
	}
	return true;
}

static bool by_header(const struct identifier *self, const struct http_head *head,
		      struct name *name)
{
	const struct http_field *field = field_of(head, self->header);
	if (!field || !is_written_path(field->value))
		return false;
	struct span path = field->value;
	if (path.data[path.size - 1] == '/')
		path.size--;
	add(name, path.data, path.size);
	return true;
}

static bool by_header_path(const struct identifier *self, const struct http_head *head,
			   struct name *name)
{
	char memory[IDENTIFY_NAME_MAX * 4];
	bool is_target = span_is(self->header, ":path");
	const struct http_field *field = is_target ? NULL : field_of(head, self->header);
	if (!is_target && !field)
		return false;
	struct span path = path_of(is_target ? head->target : field->value, memory);
	uint32_t wanted = self->segments ? self->segments : UINT32_MAX;
	uint32_t got = add_segments(name, path, wanted);
	return self->segments ? got == self->segments : got > 0;
}

static bool by_method_and_host(const struct identifier *self, const struct http_head *head,
			       struct name *name)
{
	char memory[IDENTIFY_NAME_MAX * 4];
	struct route_target target = route_target_split(head->target);
	struct span host = target.is_absolute ? target.authority : head->host;
	bool is_new = head->minor_version >= 1;
	if (is_new && host.size == 0)
		return false;
	add_segment(name, span_text(is_new ? "1.1" : "1.0"), false);
	add_segment(name, head->method_text, false);
	if (is_new)
		add_segment(name, host, true);
	if (self->has_uri)
		add_segments(name, path_of(head->target, memory), UINT32_MAX);
	return true;
}

static bool by_path(const struct identifier *self, const struct http_head *head, struct name *name)
{
	char memory[IDENTIFY_NAME_MAX * 4];
	struct span path = path_of(head->target, memory);
	if (add_segments(name, path, self->segments) < self->segments)
		return false;
	name->to->consumed = self->consumes ? self->segments : 0;
	return true;
}

static bool by_destination(struct span service, struct name *name)
{
	if (service.size == 0)
		return false;
	if (span_starts(service, span_text("/svc/"))) /* of Kubernetes */
		service = span_of(service.data + 5, service.size - 5);
	add(name, "/", 1);
	add(name, service.data, service.size);
	return true;
}

static int try_one(const struct route_set *set, const struct identifier *self,
		   const struct http_head *head, struct span service, struct route_matcher *matcher,
		   struct name *name)
{
	bool succeeds = false;
	switch ((enum identify_kind)self->kind) {
	case IDENTIFY_DESTINATION:
		succeeds = by_destination(service, name);
		break;
	case IDENTIFY_HEADER_TOKEN:
		succeeds = by_header_token(self, head, name);
		break;
	case IDENTIFY_HEADER:
		succeeds = by_header(self, head, name);
		break;
	case IDENTIFY_HEADER_PATH:
		succeeds = by_header_path(self, head, name);
		break;
	case IDENTIFY_METHOD_AND_HOST:
		succeeds = by_method_and_host(self, head, name);
		break;
	case IDENTIFY_PATH:
		succeeds = by_path(self, head, name);
		break;
	case IDENTIFY_STATIC:
		add(name, self->path.data, self->path.size);
		succeeds = true;
		break;
	case IDENTIFY_MATCH:
		add(name, self->path.data, self->path.size);
		return route_matches(set, self->matches, self->match_count, head, matcher);
	}
	return succeeds ? 0 : -ENOENT;
}

int identify(const struct route_set *set, const struct http_head *head, struct span service,
	     struct route_matcher *matcher, struct identified *ret_identified)
{
	static const struct identifier destination = {.kind = IDENTIFY_DESTINATION};
	bool has_own = set && set->identifier_count;
	const struct identifier *list = has_own ? set->identifiers : &destination;
	uint32_t count = has_own ? set->identifier_count : 1;
	for (uint32_t i = 0; i < count; i++) {
		struct name name = {.to = ret_identified, .fits = true};
		ret_identified->by = i;
		ret_identified->consumed = 0;
		ret_identified->size = 0;
		add(&name, "/svc", 4);
		int error = try_one(set, &list[i], head, service, matcher, &name);
		if (error == -ENOMEM || (!error && name.fits))
			return error;
	}
	return -ENOENT;
}
