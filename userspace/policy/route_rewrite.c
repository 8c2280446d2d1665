#include "policy/route_rewrite.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/route_path.h"

struct rewriter {
	struct text target; /* or Location */
	char *path;         /* normal form of one that has it not */
	size_t path_capacity;
	struct http_field *fields; /* those that stay, then those that are put there */
	size_t field_capacity;
};

struct rewriter *rewriter_new(void)
{
	return mem_zalloc(sizeof(struct rewriter));
}

void rewriter_free(struct rewriter *rewriter)
{
	if (!rewriter)
		return;
	text_fini(&rewriter->target);
	mem_free(rewriter->path);
	mem_free(rewriter->fields);
	mem_free(rewriter);
}

/* ---- paths ---- */

/* 0 or -ENOMEM. */
static int normal_path(struct rewriter *rewriter, struct span path, struct span *ret_path)
{
	*ret_path = path;
	if (route_path_is_normal(path))
		return 0;
	if (path.size > rewriter->path_capacity) {
		char *larger = mem_realloc(rewriter->path, path.size + 256);
		if (!larger)
			return -ENOMEM;
		rewriter->path = larger;
		rewriter->path_capacity = path.size + 256;
	}
	*ret_path = route_path_normalise(path, rewriter->path);
	return 0;
}

/* What follows the first segments: "" or with its "/". */
static struct span after_segments(struct span path, uint32_t segments)
{
	size_t at = 0;
	for (uint32_t i = 0; i < segments && at < path.size; i++) {
		at++;
		while (at < path.size && path.data[at] != '/')
			at++;
	}
	return span_of(path.data + at, path.size - at);
}

static void put_path(struct text *text, struct span front, struct span rest)
{
	if (front.size && front.data[front.size - 1] == '/' && (rest.size || front.size == 1))
		front.size--;
	text_add(text, front.size + rest.size ? front : span_text("/"));
	text_add(text, rest);
}

/*
 * ReplacePrefixMatch as the Gateway API's table has it: the prefix that matched is as many segments
 * as it has; what follows stays.
 */
static void put_changed(struct text *text, const struct route_path_change *change,
			const struct route_match *match, struct span path)
{
	if (change->type == ROUTE_PATH_FULL) {
		text_add(text, change->value);
		return;
	}
	size_t prefix = match && match->path_type == ROUTE_PATH_PREFIX ? match->path.size : 0;
	if (prefix > path.size)
		prefix = path.size;
	put_path(text, change->value, span_of(path.data + prefix, path.size - prefix));
}

/* ---- fields ---- */

static bool names(const struct route_fields *fields, struct span name)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (span_equal_nocase(fields->items[i].name, name))
			return true;
	}
	return false;
}

static bool takes_out(const struct route_header_change *change, struct span name)
{
	return change && (names(&change->set, name) || names(&change->remove, name));
}

static bool changes(const struct route_header_change *change)
{
	return change && (change->set.count || change->add.count || change->remove.count);
}

static size_t put_count(const struct route_header_change *change)
{
	return change ? change->set.count + change->add.count : 0;
}

static int field_room(struct rewriter *rewriter, size_t count)
{
	if (count <= rewriter->field_capacity)
		return 0;
	struct http_field *larger = mem_realloc(rewriter->fields, count * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	rewriter->fields = larger;
	rewriter->field_capacity = count;
	return 0;
}

static size_t put_fields(struct http_field *to, const struct route_fields *fields,
			 const struct route_header_change *later)
{
	size_t count = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		if (!takes_out(later, fields->items[i].name))
			to[count++] =
				(struct http_field){fields->items[i].name, fields->items[i].value};
	}
	return count;
}

/* First one, then the other: what the first puts there the other may set anew or take out. */
static int change_fields(struct rewriter *rewriter, const struct route_header_change *first,
			 const struct route_header_change *then, size_t more,
			 struct rewritten *result)
{
	const struct http_head *head = &result->head;
	size_t most = head->field_count + put_count(first) + put_count(then) + more;
	if (field_room(rewriter, most))
		return -ENOMEM;
	uint16_t kept = 0;
	for (uint16_t i = 0; i < head->field_count; i++) {
		struct span name = head->fields[i].name;
		if (!takes_out(first, name) && !takes_out(then, name))
			rewriter->fields[kept++] = head->fields[i];
	}
	struct http_field *extra = rewriter->fields + kept;
	if (first) {
		result->extra_count += put_fields(extra, &first->set, then);
		result->extra_count += put_fields(extra + result->extra_count, &first->add, then);
	}
	if (then) {
		result->extra_count += put_fields(extra + result->extra_count, &then->set, NULL);
		result->extra_count += put_fields(extra + result->extra_count, &then->add, NULL);
	}
	result->extra = extra;
	result->head.fields = rewriter->fields;
	result->head.field_count = kept;
	return 0;
}

int rewritten_add(struct rewriter *rewriter, struct rewritten *rewritten, struct http_field field)
{
	bool has_fields = rewritten->head.fields == rewriter->fields;
	size_t kept = has_fields ? rewritten->head.field_count : 0;
	size_t count = kept + rewritten->extra_count;
	if (field_room(rewriter, count + 1))
		return -ENOMEM;
	if (has_fields)
		rewritten->head.fields = rewriter->fields;
	rewriter->fields[count] = field;
	rewritten->extra = rewriter->fields + kept;
	rewritten->extra_count++;
	return 0;
}

/* ---- requests ---- */

static const struct route_header_change *request_change(const struct route_filters *filters)
{
	return filters ? &filters->request : NULL;
}

static const struct route_header_change *answer_change(const struct route_filters *filters)
{
	return filters ? &filters->response : NULL;
}

/* The backend's goes before the rule's. */
static struct span new_host(const struct rewrite_request *request)
{
	if (request->backend && request->backend->rewrite.hostname.size)
		return request->backend->rewrite.hostname;
	return request->rule ? request->rule->rewrite.hostname : span_of("", 0);
}

static const struct route_path_change *new_path(const struct rewrite_request *request)
{
	if (request->backend && request->backend->rewrite.path.type != ROUTE_PATH_KEEP)
		return &request->backend->rewrite.path;
	if (request->rule && request->rule->rewrite.path.type != ROUTE_PATH_KEEP)
		return &request->rule->rewrite.path;
	return NULL;
}

bool rewrite_request_keeps(const struct rewrite_request *request)
{
	return !changes(request_change(request->rule)) &&
	       !changes(request_change(request->backend)) && !new_host(request).size &&
	       !new_path(request) && !request->consumed;
}

bool rewrite_answer_keeps(const struct route_filters *rule, const struct route_filters *backend)
{
	return !changes(answer_change(rule)) && !changes(answer_change(backend));
}

static int change_target(struct rewriter *rewriter, const struct rewrite_request *request,
			 struct http_head *head)
{
	struct text *text = &rewriter->target;
	struct route_target parts = route_target_split(head->target);
	const struct route_path_change *change = new_path(request);
	struct span host = new_host(request);
	struct span path = parts.path;
	bool changes_path = change || request->consumed;
	if (!path.size || !(changes_path || (host.size && parts.is_absolute)))
		return 0;
	if (changes_path && normal_path(rewriter, path, &path))
		return -ENOMEM;
	text_clear(text);
	if (parts.is_absolute) {
		size_t scheme = (size_t)(parts.authority.data - head->target.data);
		text_add(text, span_of(head->target.data, scheme));
		text_add(text, host.size ? host : parts.authority);
	}
	if (change)
		put_changed(text, change, request->match, path);
	else if (request->consumed)
		put_path(text, span_of("", 0), after_segments(path, request->consumed));
	else
		text_add(text, path);
	if (parts.has_query) {
		text_add(text, span_text("?"));
		text_add(text, parts.query);
	}
	if (text->failed)
		return -ENOMEM;
	head->target = text_span(text);
	return 0;
}

/* In its place among the fields, or behind them. */
static void put_host(struct rewritten *result, struct http_field *fields, struct span host)
{
	bool is_there = false;
	for (uint16_t i = 0; i < result->head.field_count; i++) {
		if (!span_is_nocase(fields[i].name, "host"))
			continue;
		fields[i].value = host;
		is_there = true;
	}
	if (!is_there) {
		struct http_field *extra = fields + result->head.field_count;
		extra[result->extra_count++] = (struct http_field){span_text("Host"), host};
	}
	result->head.host = host;
}

int rewrite_request(struct rewriter *rewriter, const struct rewrite_request *request,
		    const struct http_head *head, struct rewritten *ret_rewritten)
{
	struct rewritten result = {.head = *head};
	struct span host = new_host(request);
	int error = change_target(rewriter, request, &result.head);
	if (!error)
		error = change_fields(rewriter, request_change(request->rule),
				      request_change(request->backend), 1, &result);
	if (error)
		return error;
	if (host.size)
		put_host(&result, rewriter->fields, host);
	*ret_rewritten = result;
	return 0;
}

int rewrite_answer(struct rewriter *rewriter, const struct route_filters *rule,
		   const struct route_filters *backend, const struct http_head *head,
		   struct rewritten *ret_rewritten)
{
	struct rewritten result = {.head = *head};
	int error =
		change_fields(rewriter, answer_change(rule), answer_change(backend), 0, &result);
	if (error)
		return error;
	*ret_rewritten = result;
	return 0;
}

/* ---- redirects ---- */

/* RFC 9110 10.2.2; the port by the rules of HTTPRequestRedirectFilter. */
static void put_authority(struct text *text, const struct route_redirect *redirect,
			  struct span host, uint16_t dialled)
{
	struct span scheme = redirect->scheme.size ? redirect->scheme : span_text("http");
	bool is_https = span_is(scheme, "https");
	uint16_t usual = is_https ? 443 : 80;
	uint16_t port = redirect->port;
	bool is_ipv6 = memchr(host.data, ':', host.size);
	if (!port)
		port = redirect->scheme.size ? usual : dialled;
	text_printf(text, is_ipv6 ? "%.*s://[%.*s]" : "%.*s://%.*s", SPAN_PRINT(scheme),
		    SPAN_PRINT(host));
	if (port && port != usual)
		text_printf(text, ":%u", port);
}

int rewrite_location(struct rewriter *rewriter, const struct route_redirect *redirect,
		     const struct route_match *match, const struct http_head *head, uint16_t port,
		     struct span *ret_location)
{
	struct text *text = &rewriter->target;
	struct route_target parts = route_target_split(head->target);
	struct span host = redirect->hostname;
	struct span path = parts.path.size ? parts.path : span_text("/");
	if (!host.size)
		host = route_host_of(parts.is_absolute ? parts.authority : head->host);
	/* "//host" would be another host's where nothing stands in front. */
	bool needs_normal = !host.size || redirect->path.type != ROUTE_PATH_KEEP;
	if (needs_normal && normal_path(rewriter, path, &path))
		return -ENOMEM;
	text_clear(text);
	if (host.size)
		put_authority(text, redirect, host, port);
	if (redirect->path.type != ROUTE_PATH_KEEP)
		put_changed(text, &redirect->path, match, path);
	else
		text_add(text, path);
	if (parts.has_query) {
		text_add(text, span_text("?"));
		text_add(text, parts.query);
	}
	if (text->failed) {
		text_fini(text);
		*text = (struct text){0};
		return -ENOMEM;
	}
	*ret_location = text_span(text);
	return 0;
}
