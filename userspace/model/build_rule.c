/* The rules of a route: matches, backends, times. */
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/build_route.h"
#include "model/route_path.h"

#define PATH_DEPTH_MOST 64 /* segments of a prefix: what a request's path is cut into */

bool route_is_token(struct span text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') && !(c && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.size > 0;
}

/* ---- conditions ---- */

static uint32_t add_regex(struct route_build *build, uint32_t line, const char *key,
			  struct span pattern)
{
	uint32_t number = build->set->regex_count++;
	build->regexes[number] = (struct route_regex){pattern, line, key};
	return number;
}

static bool is_named_before(const struct route_value *values, uint32_t count, struct span name,
			    bool is_header)
{
	for (uint32_t i = 0; i < count; i++) {
		if (is_header ? span_equal_nocase(values[i].name, name)
			      : span_equal(values[i].name, name))
			return true;
	}
	return false;
}

static bool fill_values(struct route_build *build, const struct draft_list *drafts, bool is_header,
			uint32_t *ret_count, const struct route_value **ret_values)
{
	const struct route_value_draft *draft = drafts->items;
	const char *key = is_header ? "matches[].headers[]" : "matches[].query[]";
	struct route_value *values =
		arena_take(&build->set->arena, drafts->count * sizeof(*values));
	uint32_t count = 0;
	if (!values)
		return false;
	for (uint32_t i = 0; i < drafts->count; i++) {
		struct route_value value = {.type = (uint8_t)draft[i].type, .regex = ROUTE_NONE};
		if (!build_span(build, draft[i].name, &value.name) ||
		    !build_span(build, draft[i].value, &value.value))
			return false;
		if (is_header && !route_is_token(value.name))
			route_fault(build, draft[i].line, key, "\"%s\" is no header's name",
				    draft[i].name);
		if (is_named_before(values, count, value.name, is_header))
			continue;
		if (value.type == ROUTE_VALUE_REGEX)
			value.regex = add_regex(build, draft[i].line, key, value.value);
		values[count++] = value;
	}
	*ret_count = count;
	*ret_values = values;
	return true;
}

/* ---- paths ---- */

static uint32_t depth_of(struct span path)
{
	uint32_t depth = 0;
	for (size_t i = 0; i < path.size; i++)
		depth += path.data[i] == '/';
	return depth;
}

static const char *path_fault(struct span path, struct span normal)
{
	if (path.size == 0 || path.data[0] != '/')
		return "does not begin with /";
	for (size_t i = 0; i < path.size; i++) {
		if (path.data[i] == '?' || path.data[i] == '#' || path.data[i] == ' ')
			return "has a blank, ? or #, which no path has";
	}
	if (!span_equal(path, normal))
		return "is not in the normal form in which paths are compared";
	return depth_of(path) > PATH_DEPTH_MOST ? "has more than 64 segments" : NULL;
}

static bool fill_path(struct route_build *build, const struct route_match_draft *draft,
		      struct route_match *match)
{
	static const uint8_t types[] = {
		[ROUTE_WORD_PREFIX] = ROUTE_PATH_PREFIX,
		[ROUTE_WORD_EXACT] = ROUTE_PATH_EXACT,
		[ROUTE_WORD_REGEX] = ROUTE_PATH_REGEX,
	};
	struct span path;
	if (!build_span(build, draft->path && *draft->path ? draft->path : "/", &path))
		return false;
	match->path = path;
	match->path_type = types[draft->path_type];
	match->path_regex = ROUTE_NONE;
	if (match->path_type == ROUTE_PATH_REGEX) {
		match->path_regex = add_regex(build, draft->line, "matches[].path.value", path);
		return true;
	}
	char *memory = arena_take(&build->set->arena, path.size + 1);
	if (!memory)
		return false;
	struct span normal =
		path.data[0] == '/' ? route_path_normalise(path, memory) : span_of("", 0);
	const char *fault = path_fault(path, normal);
	if (fault)
		route_fault(build, draft->line, "matches[].path.value", "\"%s\" %s%s%.*s",
			    draft->path, fault, normal.size ? ": " : "", SPAN_PRINT(normal));
	if (match->path_type == ROUTE_PATH_PREFIX && path.size && path.data[path.size - 1] == '/')
		match->path.size--;
	return true;
}

static bool build_match(struct route_build *build, const struct route_match_draft *draft,
			struct route_match *match)
{
	struct span method = span_text(draft->method ? draft->method : "");
	if (method.size && !route_is_token(method))
		route_fault(build, draft->line, "matches[].method", "\"%s\" is no method",
			    draft->method);
	return build_span(build, draft->method, &match->method) && fill_path(build, draft, match) &&
	       fill_values(build, &draft->headers, true, &match->header_count, &match->headers) &&
	       fill_values(build, &draft->query, false, &match->query_count, &match->queries);
}

bool build_matches(struct route_build *build, const struct draft_list *drafts, uint32_t *ret_count,
		   const struct route_match **ret_matches)
{
	static const struct route_match_draft any = {.path = "/"};
	const struct route_match_draft *draft = drafts->count ? drafts->items : &any;
	uint32_t count = drafts->count ? drafts->count : 1;
	struct route_match *matches = arena_take(&build->set->arena, count * sizeof(*matches));
	if (!matches)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!build_match(build, &draft[i], &matches[i]))
			return false;
	}
	*ret_count = count;
	*ret_matches = matches;
	return true;
}

/* ---- backends ---- */

struct route_backend *build_backend(struct route_build *build, const char *service)
{
	struct route_backend *backend = arena_take(&build->set->arena, sizeof(*backend));
	if (!backend || !build_span(build, service, &backend->service))
		return NULL;
	backend->number = build->set->backend_count;
	build->backends[build->set->backend_count++] = backend;
	return backend;
}

static bool fill_backend(struct route_build *build, const struct route_backend_draft *draft,
			 struct route_backend *backend)
{
	bool has_service = draft->service && *draft->service;
	bool has_path = draft->path && *draft->path;
	if (has_service == has_path)
		route_fault(build, draft->line, "backends[]",
			    "has %s: exactly one of service and path is needed",
			    has_service ? "both" : "neither");
	if (has_path && draft->path[0] != '/')
		route_fault(build, draft->line, "backends[].path", "\"%s\" does not begin with /",
			    draft->path);
	backend->weight = draft->weight;
	backend->number = build->set->backend_count;
	build->backends[build->set->backend_count++] = backend;
	return build_span(build, draft->service, &backend->service) &&
	       build_span(build, draft->path, &backend->path) &&
	       build_filters(build, draft->line, &draft->filters, &backend->filters);
}

static bool fill_backends(struct route_build *build, const struct route_rule_draft *draft,
			  struct route_rule *rule)
{
	const struct route_backend_draft *drafts = draft->backends.items;
	struct route_backend *backends =
		arena_take(&build->set->arena, draft->backends.count * sizeof(*backends));
	if (!backends)
		return false;
	for (uint32_t i = 0; i < draft->backends.count; i++) {
		if (!fill_backend(build, &drafts[i], &backends[i]))
			return false;
		rule->weight_total += backends[i].weight;
	}
	rule->backends = backends;
	rule->backend_count = draft->backends.count;
	return true;
}

/* ---- the rule ---- */

static bool fill_retry(struct route_build *build, const struct route_rule_draft *draft,
		       struct route_rule *rule)
{
	const struct draft_value *values = draft->retry_codes.items;
	uint16_t *codes = arena_take(&build->set->arena, draft->retry_codes.count * sizeof(*codes));
	if (!codes)
		return false;
	for (uint32_t i = 0; i < draft->retry_codes.count; i++)
		codes[i] = (uint16_t)values[i].number;
	rule->retry_codes = codes;
	rule->retry_code_count = draft->retry_codes.count;
	rule->retry_attempts = draft->attempts ? draft->attempts - 1 : ROUTE_NONE;
	rule->backoff_ns = draft->backoff_ns;
	return true;
}

static bool replaces_prefix(const struct route_filters *filters)
{
	return filters->rewrite.path.type == ROUTE_PATH_REPLACE_PREFIX ||
	       filters->redirect.path.type == ROUTE_PATH_REPLACE_PREFIX;
}

static void check_rule(struct route_build *build, const struct route_rule_draft *draft,
		       const struct route_rule *rule)
{
	bool replaces = replaces_prefix(&rule->filters);
	bool has_only_prefixes = true;
	for (uint32_t i = 0; i < rule->backend_count; i++)
		replaces |= replaces_prefix(&rule->backends[i].filters);
	for (uint32_t i = 0; i < rule->match_count; i++)
		has_only_prefixes &= rule->matches[i].path_type == ROUTE_PATH_PREFIX;
	if (replaces && !has_only_prefixes)
		route_fault(build, draft->line, "filters",
			    "replace a prefix, but not every match is one of a prefix");
	if (rule->filters.redirect.is_set && rule->backend_count)
		route_fault(build, draft->line, "backends",
			    "stand beside a redirect, which weft answers itself");
	if (draft->line && !rule->filters.redirect.is_set && !rule->backend_count)
		route_fault(build, draft->line, "backends",
			    "are missing, and there is no redirect: nobody would answer");
	if (draft->request_ns && draft->backend_ns > draft->request_ns)
		route_fault(build, draft->line, "timeouts.backend_request",
			    "is longer than timeouts.request, of which it is a part");
}

static bool build_rule(struct route_build *build, const struct route_rule_draft *draft,
		       struct route_rule *rule)
{
	rule->request_ns = draft->request_ns;
	rule->backend_ns = draft->backend_ns;
	if (!build_span(build, draft->name, &rule->name) ||
	    !build_matches(build, &draft->matches, &rule->match_count, &rule->matches) ||
	    !build_filters(build, draft->line, &draft->filters, &rule->filters) ||
	    !fill_backends(build, draft, rule) || !fill_retry(build, draft, rule))
		return false;
	check_rule(build, draft, rule);
	return true;
}

bool build_rules(struct route_build *build, const struct route_draft *draft, struct route *route)
{
	const struct route_rule_draft *drafts = draft->rules.items;
	uint32_t count = draft->rules.count;
	struct route_rule *rules = arena_take(&build->set->arena, count * sizeof(*rules));
	if (!rules)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		rules[i].number = i;
		rules[i].series = SERIES_UNCLAIMED;
		if (!build_rule(build, &drafts[i], &rules[i]))
			return false;
	}
	route->rules = rules;
	route->rule_count = count;
	return true;
}
