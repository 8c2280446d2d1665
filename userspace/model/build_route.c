#include "model/build_route.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

/* A route's draft, and where it comes. */
struct place {
	const struct route_draft *draft;
	uint32_t position;
	bool is_double; /* its name is another's already */
};

void route_fault(struct route_build *build, uint32_t line, const char *key, const char *format, ...)
{
	char sentence[400];
	char path[128];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s.%s", build->at, key);
	build_fault(build->build, line, path, "%s", sentence);
}

bool build_span(struct route_build *build, const char *text, struct span *ret_span)
{
	struct span given = span_text(text ? text : "");
	char *copy = arena_text(&build->set->arena, given);
	if (!copy)
		return false;
	*ret_span = span_of(copy, given.size);
	return true;
}

/* ---- room ---- */

static uint32_t count_conditions(const struct draft_list *matches)
{
	const struct route_match_draft *match = matches->items;
	uint32_t count = matches->count;
	for (uint32_t i = 0; i < matches->count; i++)
		count += match[i].headers.count + match[i].query.count;
	return count;
}

static uint32_t count_backends(const struct route_rule_draft *rule)
{
	const struct route_backend_draft *backends = rule->backends.items;
	uint32_t count = rule->backends.count + rule->filters.mirrors.count;
	for (uint32_t i = 0; i < rule->backends.count; i++)
		count += backends[i].filters.mirrors.count;
	return count;
}

static int make_room(struct route_build *build, const struct draft *draft)
{
	const struct route_draft *routes = draft->routes.items;
	const struct identifier_draft *identifiers = draft->identifiers.items;
	uint32_t regexes = 0;
	uint32_t backends = 0;
	uint32_t uses = 0;
	for (uint32_t i = 0; i < draft->routes.count; i++) {
		uses += routes[i].services.count;
		const struct route_rule_draft *rules = routes[i].rules.items;
		for (uint32_t j = 0; j < routes[i].rules.count; j++) {
			regexes += count_conditions(&rules[j].matches);
			backends += count_backends(&rules[j]);
		}
	}
	for (uint32_t i = 0; i < draft->identifiers.count; i++)
		regexes += count_conditions(&identifiers[i].matches);
	build->regexes = arena_take(&build->set->arena, regexes * sizeof(*build->regexes));
	build->backends = arena_take(&build->set->arena, backends * sizeof(*build->backends));
	build->set->regexes = build->regexes;
	build->set->backends = build->backends;
	build->uses = arena_take(&build->set->arena, uses * sizeof(*build->uses));
	return build->regexes && build->backends && build->uses ? 0 : -ENOMEM;
}

/* ---- one route ---- */

static bool fill_hostnames(struct route_build *build, const struct route_draft *draft,
			   struct route *route)
{
	const struct draft_value *values = draft->hostnames.items;
	uint32_t count = draft->hostnames.count;
	struct span *hostnames = arena_take(&build->set->arena, count * sizeof(*hostnames));
	if (!hostnames)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		char *text = arena_text(&build->set->arena, span_text(values[i].text));
		if (!text)
			return false;
		for (char *c = text; *c; c++) {
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c + ('a' - 'A'));
		}
		hostnames[i] = span_text(text);
		struct span name = hostnames[i];
		if (span_starts(name, span_text("*.")))
			name = span_of(name.data + 2, name.size - 2);
		if (!route_is_host(name))
			route_fault(build, values[i].line, "hostnames[]",
				    "\"%s\" is no host's name, without port, or *. and one", text);
	}
	route->hostnames = hostnames;
	route->hostname_count = count;
	return true;
}

static bool fill_services(struct route_build *build, const struct route_draft *draft,
			  struct route *route)
{
	const struct draft_value *names = draft->services.items;
	uint32_t count = draft->services.count;
	uint32_t *scopes = arena_take(&build->set->arena, count * sizeof(*scopes));
	if (!scopes)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct scope_use *use = &build->uses[build->use_count++];
		use->scope = &scopes[i];
		if (!build_span(build, names[i].text, &use->name))
			return false;
	}
	route->scopes = scopes;
	route->service_count = count;
	return true;
}

static bool fill_route(struct route_build *build, const struct place *place, struct route *route)
{
	const struct route_draft *draft = place->draft;
	route->line = draft->line;
	build->at = "routes[]";
	if (place->is_double)
		route_fault(build, draft->line, "name", "\"%s\" is the name of another route",
			    draft->name);
	if (!build_span(build, draft->name, &route->name) || !fill_hostnames(build, draft, route) ||
	    !fill_services(build, draft, route))
		return false;
	build->at = "routes[].rules[]";
	return build_rules(build, draft, route);
}

/* False = out of memory. A faulty route that may be left out leaves nothing behind. */
static bool build_one(struct route_build *build, const struct place *place, struct route *routes)
{
	struct route_set *set = build->set;
	struct route *route = &routes[set->route_count];
	uint32_t faults = build->build->faults;
	uint32_t regexes = set->regex_count;
	uint32_t backends = set->backend_count;
	uint32_t uses = build->use_count;
	build->build->optional = place->draft->may_be_left_out ? place->draft->name : NULL;
	bool has_room = fill_route(build, place, route);
	if (build->build->optional && build->build->faults > faults) {
		build->build->faults = faults;
		set->regex_count = regexes;
		set->backend_count = backends;
		build->use_count = uses;
		*route = (struct route){0};
	} else {
		route->number = set->route_count++;
	}
	build->build->optional = NULL;
	return has_room;
}

/* ---- in order ---- */

/*
 * The Gateway API: the oldest first, then by name. Routes of the config have no age of their own:
 * they count as older than all of a cluster's, and among each other as they stand in the file.
 */
static int compare_places(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;
	if (x->draft->created_s != y->draft->created_s)
		return x->draft->created_s < y->draft->created_s ? -1 : 1;
	int order = x->draft->created_s ? strcmp(x->draft->name, y->draft->name) : 0;
	return order ? order : (x->position > y->position) - (x->position < y->position);
}

static int compare_names(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;
	int order = strcmp(x->draft->name, y->draft->name);
	return order ? order : compare_places(a, b);
}

static int build_in_order(struct route_build *build, const struct draft *draft)
{
	const struct route_draft *drafts = draft->routes.items;
	uint32_t count = draft->routes.count;
	struct route *routes = arena_take(&build->set->arena, count * sizeof(*routes));
	struct place *places = mem_alloc((count + 1) * sizeof(*places));
	bool has_room = routes && places;
	for (uint32_t i = 0; has_room && i < count; i++)
		places[i] = (struct place){.draft = &drafts[i], .position = i};
	if (has_room)
		qsort(places, count, sizeof(*places), compare_names);
	for (uint32_t i = 1; has_room && i < count; i++)
		places[i].is_double = strcmp(places[i - 1].draft->name, places[i].draft->name) == 0;
	if (has_room)
		qsort(places, count, sizeof(*places), compare_places);
	build->set->routes = routes;
	for (uint32_t i = 0; has_room && i < count; i++)
		has_room = build_one(build, &places[i], routes);
	mem_free(places);
	return has_room ? 0 : -ENOMEM;
}

/* ---- scopes: numbers for the services that routes are for ---- */

static int compare_uses(const void *a, const void *b)
{
	const struct scope_use *x = a;
	const struct scope_use *y = b;
	size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
	int order = memcmp(x->name.data, y->name.data, size);
	return order ? order : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

static int number_scopes(struct route_build *build)
{
	struct route_set *set = build->set;
	struct scope_use *uses = build->uses;
	struct span *names = arena_take(&set->arena, build->use_count * sizeof(*names));
	if (!names)
		return -ENOMEM;
	if (build->use_count)
		qsort(uses, build->use_count, sizeof(*uses), compare_uses);
	for (uint32_t i = 0; i < build->use_count; i++) {
		if (i == 0 || !span_equal(uses[i - 1].name, uses[i].name))
			names[set->scope_count++] = uses[i].name;
		*uses[i].scope = set->scope_count;
	}
	set->scopes = names;
	return 0;
}

/* ---- identifiers ---- */

static const char *default_header(enum identify_kind kind)
{
	switch (kind) {
	case IDENTIFY_HEADER_TOKEN:
		return "host";
	case IDENTIFY_HEADER:
		return "l5d-name";
	case IDENTIFY_HEADER_PATH:
		return ":path";
	default:
		return "";
	}
}

static bool fill_identifier(struct route_build *build, const struct identifier_draft *draft,
			    struct identifier *identifier)
{
	const char *header =
		draft->header && *draft->header ? draft->header : default_header(draft->kind);
	bool needs_path = draft->kind == IDENTIFY_STATIC || draft->kind == IDENTIFY_MATCH;
	identifier->kind = (uint8_t)draft->kind;
	identifier->consumes = draft->consumes;
	identifier->has_uri = draft->has_uri;
	identifier->segments = draft->segments;
	if (draft->kind == IDENTIFY_PATH && !draft->segments)
		identifier->segments = 1;
	if (needs_path && !(draft->path && draft->path[0] == '/'))
		route_fault(build, draft->line, "path",
			    "is needed and begins with /: what comes after /svc");
	if (draft->kind == IDENTIFY_MATCH && !draft->matches.count)
		route_fault(build, draft->line, "matches", "are what this kind goes by");
	return build_span(build, header, &identifier->header) &&
	       build_span(build, draft->path, &identifier->path) &&
	       build_matches(build, &draft->matches, &identifier->match_count,
			     &identifier->matches);
}

static int build_identifiers(struct route_build *build, const struct draft *draft)
{
	const struct identifier_draft *drafts = draft->identifiers.items;
	uint32_t count = draft->identifiers.count;
	struct identifier *identifiers =
		arena_take(&build->set->arena, count * sizeof(*identifiers));
	build->at = "identifiers[]";
	if (!identifiers)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (!fill_identifier(build, &drafts[i], &identifiers[i]))
			return -ENOMEM;
	}
	build->set->identifiers = identifiers;
	build->set->identifier_count = count;
	return 0;
}

/* ---- the set ---- */

static void compile_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	struct route_build *build = owner;
	build->at = line ? "routes[].rules[]" : "routes[]";
	route_fault(build, line, key, "%s", sentence);
}

static int build_set(struct route_build *build, const struct draft *draft)
{
	const struct route_compiler *compiler = build->build->options->routes;
	int error = make_room(build, draft);
	if (!error)
		error = build_in_order(build, draft);
	if (!error)
		error = build_identifiers(build, draft);
	if (!error)
		error = number_scopes(build);
	if (error || !compiler)
		return error;
	error = compiler->compile(build->set, compile_fault, build, &build->set->index);
	build->set->index_free = compiler->free;
	return error;
}

int build_routes(struct build *build)
{
	const struct draft *draft = build->draft;
	const struct snapshot *previous = build->options->previous;
	struct route_set *old = previous ? (struct route_set *)previous->routes : NULL;
	struct text form = {0};
	if (!draft->routes.count && !draft->identifiers.count)
		return 0;
	route_form(draft, &form);
	if (form.failed) {
		text_fini(&form);
		return -ENOMEM;
	}
	if (old && span_equal(text_span(&form), span_of(old->form, old->form_size))) {
		text_fini(&form);
		old->users++;
		build->next->routes = old;
		return 0;
	}
	struct route_set *set = mem_zalloc(sizeof(*set));
	if (!set) {
		text_fini(&form);
		return -ENOMEM;
	}
	set->users = 1;
	set->form = form.data;
	set->form_size = form.size;
	build->next->routes = set;
	struct route_build routes = {.build = build, .set = set};
	return build_set(&routes, draft);
}

void route_set_drop(struct route_set *set)
{
	if (!set || --set->users > 0)
		return;
	if (set->index_free)
		set->index_free(set->index);
	arena_fini(&set->arena);
	mem_free(set->form);
	mem_free(set);
}

/* ---- which services the names are, in this snapshot ---- */

int build_route_ids(struct build *build)
{
	struct snapshot *next = build->next;
	const struct route_set *set = next->routes;
	if (!set)
		return 0;
	next->route_scopes = mem_zalloc((next->service_id_limit + 1) * sizeof(uint32_t));
	next->backend_services = mem_zalloc((set->backend_count + 1) * sizeof(uint32_t));
	if (!next->route_scopes || !next->backend_services)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->scope_count; i++) {
		const struct service *service = snapshot_service_named(next, set->scopes[i]);
		if (service)
			next->route_scopes[service->id] = i + 1;
	}
	for (uint32_t i = 0; i < set->backend_count; i++) {
		const struct span name = set->backends[i]->service;
		const struct service *service =
			name.size ? snapshot_service_named(next, name) : NULL;
		next->backend_services[i] = service ? service->id : 0;
	}
	return 0;
}
