/* Filters of a rule or backend. */
#include <stdio.h>

#include "base/text.h"
#include "model/build_route.h"

/* RFC 1123 2.1, and "_", which names in clusters have. */
bool route_is_host(struct span host)
{
	size_t label = 0; /* bytes of the label so far */
	for (size_t i = 0; i < host.size; i++) {
		char c = host.data[i];
		bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || c == '_';
		if (c == '.' ? label == 0 : !is_alnum && (c != '-' || label == 0))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && host.size <= 253;
}

void build_check_host(struct route_build *build, uint32_t line, const char *key, const char *host)
{
	if (host && *host && !route_is_host(span_text(host)))
		route_fault(build, line, key, "\"%s\" is no host's name, without port", host);
}

/* Connection, framing and Host are written by weft, from what it knows. */
static bool is_weft_own(struct span name)
{
	static const char *const names[] = {
		"connection",        "keep-alive",     "proxy-connection",
		"transfer-encoding", "content-length", "te",
		"trailer",           "upgrade",        "host",
	};
	for (size_t i = 0; i < array_count(names); i++) {
		if (span_is_nocase(name, names[i]))
			return true;
	}
	return false;
}

static bool has_name(const struct route_fields *fields, struct span name)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (span_equal_nocase(fields->items[i].name, name))
			return true;
	}
	return false;
}

static bool is_taken(const struct route_header_change *change, struct span name)
{
	return has_name(&change->set, name) || has_name(&change->add, name) ||
	       has_name(&change->remove, name);
}

static void check_field(struct route_build *build, uint32_t line, const char *key,
			const struct route_header_change *change, struct span name)
{
	if (!route_is_token(name))
		route_fault(build, line, key, "\"%.*s\" is no header's name", SPAN_PRINT(name));
	else if (is_weft_own(name))
		route_fault(build, line, key, "%.*s is weft's to write%s", SPAN_PRINT(name),
			    span_is_nocase(name, "host") ? "; see rewrite.hostname" : "");
	else if (is_taken(change, name))
		route_fault(build, line, key, "%.*s is changed twice", SPAN_PRINT(name));
}

/* `list` grows one by one, so that check_field sees those before. */
static bool fill_fields(struct route_build *build, const struct draft_list *drafts, const char *key,
			const struct route_header_change *change, struct route_fields *list)
{
	const struct route_field_draft *draft = drafts->items;
	struct route_field *items = arena_take(&build->set->arena, drafts->count * sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	for (uint32_t i = 0; i < drafts->count; i++) {
		if (!build_span(build, draft[i].name, &items[i].name) ||
		    !build_span(build, draft[i].value, &items[i].value))
			return false;
		check_field(build, draft[i].line, key, change, items[i].name);
		list->count++;
	}
	return true;
}

static bool fill_removed(struct route_build *build, const struct draft_list *drafts,
			 const char *key, const struct route_header_change *change,
			 struct route_fields *list)
{
	const struct draft_value *draft = drafts->items;
	struct route_field *items = arena_take(&build->set->arena, drafts->count * sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	for (uint32_t i = 0; i < drafts->count; i++) {
		items[i].value = span_of("", 0);
		if (!build_span(build, draft[i].text, &items[i].name))
			return false;
		check_field(build, draft[i].line, key, change, items[i].name);
		list->count++;
	}
	return true;
}

static bool fill_change(struct route_build *build, const struct route_header_change_draft *draft,
			const char *key, struct route_header_change *change)
{
	return fill_fields(build, &draft->set, key, change, &change->set) &&
	       fill_fields(build, &draft->add, key, change, &change->add) &&
	       fill_removed(build, &draft->remove, key, change, &change->remove);
}

static void check_path(struct route_build *build, uint32_t line, const char *key,
		       const struct route_path_change *change)
{
	struct span path = change->value;
	bool may_be_empty = change->type != ROUTE_PATH_FULL;
	if (change->type == ROUTE_PATH_KEEP && path.size)
		route_fault(build, line, key, "has a value, but its type is keep");
	if (path.size ? path.data[0] != '/' : !may_be_empty)
		route_fault(build, line, key, "\"%.*s\" does not begin with /", SPAN_PRINT(path));
	for (size_t i = 0; i < path.size; i++) {
		unsigned char c = (unsigned char)path.data[i];
		if (c <= 0x20 || c >= 0x7f || c == '?' || c == '#') {
			route_fault(build, line, key,
				    "\"%.*s\" has what no path has: a blank, ?, # or a byte that "
				    "is not ASCII",
				    SPAN_PRINT(path));
			return;
		}
	}
}

static bool fill_path(struct route_build *build, uint32_t line, const char *key,
		      const struct route_path_change_draft *draft, struct route_path_change *change)
{
	change->type = (uint8_t)draft->type;
	if (!build_span(build, draft->value, &change->value))
		return false;
	check_path(build, line, key, change);
	return true;
}

static bool fill_redirect(struct route_build *build, uint32_t line,
			  const struct route_redirect_draft *draft, struct route_redirect *redirect)
{
	uint32_t status = draft->status;
	if (!build_span(build, draft->scheme, &redirect->scheme) ||
	    !build_span(build, draft->hostname, &redirect->hostname) ||
	    !fill_path(build, line, "filters.redirect.path", &draft->path, &redirect->path))
		return false;
	build_check_host(build, line, "filters.redirect.hostname", draft->hostname);
	if (redirect->scheme.size && !span_is(redirect->scheme, "http") &&
	    !span_is(redirect->scheme, "https"))
		route_fault(build, line, "filters.redirect.scheme", "\"%s\" is not http or https",
			    draft->scheme);
	if (status && status != 301 && status != 302 && status != 303 && status != 307 &&
	    status != 308)
		route_fault(build, line, "filters.redirect.status",
			    "%u is not 301, 302, 303, 307 or 308", status);
	redirect->port = (uint16_t)draft->port;
	redirect->is_set = status || draft->port || redirect->scheme.size ||
			   redirect->hostname.size || redirect->path.type != ROUTE_PATH_KEEP;
	redirect->status = (uint16_t)(status ? status : 302);
	return true;
}

static bool fill_mirrors(struct route_build *build, const struct draft_list *drafts,
			 struct route_filters *filters)
{
	const struct route_mirror_draft *draft = drafts->items;
	struct route_mirror *mirrors =
		arena_take(&build->set->arena, drafts->count * sizeof(*mirrors));
	if (!mirrors)
		return false;
	for (uint32_t i = 0; i < drafts->count; i++) {
		struct route_backend *backend = build_backend(build, draft[i].service);
		if (!backend)
			return false;
		bool has_fraction = draft[i].denominator || draft[i].numerator;
		mirrors[i].backend = backend->number;
		mirrors[i].numerator = has_fraction ? draft[i].numerator : draft[i].percent;
		mirrors[i].denominator = has_fraction ? draft[i].denominator : 100;
		if (mirrors[i].numerator > mirrors[i].denominator)
			route_fault(build, draft[i].line, "filters.mirrors[].fraction",
				    "%u of %u is more than all", mirrors[i].numerator,
				    mirrors[i].denominator);
	}
	filters->mirrors = mirrors;
	filters->mirror_count = drafts->count;
	return true;
}

bool build_filters(struct route_build *build, uint32_t line,
		   const struct route_filters_draft *draft, struct route_filters *filters)
{
	if (!fill_change(build, &draft->request, "filters.request_headers", &filters->request) ||
	    !fill_change(build, &draft->response, "filters.response_headers", &filters->response) ||
	    !fill_redirect(build, line, &draft->redirect, &filters->redirect) ||
	    !build_span(build, draft->rewrite.hostname, &filters->rewrite.hostname) ||
	    !fill_path(build, line, "filters.rewrite.path", &draft->rewrite.path,
		       &filters->rewrite.path) ||
	    !fill_mirrors(build, &draft->mirrors, filters))
		return false;
	build_check_host(build, line, "filters.rewrite.hostname", draft->rewrite.hostname);
	if (filters->redirect.is_set &&
	    (filters->rewrite.hostname.size || filters->rewrite.path.type != ROUTE_PATH_KEEP))
		route_fault(build, line, "filters",
			    "redirect and rewrite: only one of them can happen");
	return true;
}
