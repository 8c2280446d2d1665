/* Which rule a request takes, among 1 to 1,000 routes and 10,000 services; its name; its rewriting.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "micro.h"
#include "model/builder.h"
#include "policy/identify.h"
#include "policy/route_rewrite.h"
#include "policy/route_match.h"

enum kind {
	BY_PREFIX,  /* each route has a prefix of its own, for all services */
	BY_HOST,    /* each route has a hostname of its own */
	BY_SERVICE, /* each route is for a service of its own; there are 10,000 */
	BY_HEADER,  /* all routes share one path and differ in a header: the slow case */
	BY_REGEX,   /* one regular expression, which matches */
	NO_ROUTE,   /* none takes it */
	IDENTIFIES, /* only the name, of the request's first segment */
	REWRITES,   /* only the filters */
};

#define SERVICES 10000u

struct town {
	struct arena arena;
	struct snapshot *snapshot;
	struct route_matcher *matcher;
	struct rewriter *rewriter;
	enum kind kind;
	uint32_t scope;
	struct http_field fields[8];
	struct http_head head;
	struct identifier identifier;
	struct route_set names;
	struct route_filters filters;
	struct route_match match;
};

static void *take(struct town *town, size_t size)
{
	void *memory = arena_take(&town->arena, size);
	if (!memory)
		exit(1);
	return memory;
}

PRINTF_LIKE(2, 3) static const char *print(struct town *town, const char *format, ...)
{
	char text[128];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_text(&town->arena, span_text(text));
	if (!copy)
		exit(1);
	return copy;
}

static void push_value(struct town *town, struct draft_list *list, const char *text)
{
	struct draft_value *value = take(town, sizeof(*value));
	value->line = 1;
	value->text = text;
	*list = (struct draft_list){1, value};
}

static void draft_route(struct town *town, struct route_draft *route, uint32_t i)
{
	struct route_rule_draft *rule = take(town, sizeof(*rule));
	struct route_match_draft *match = take(town, sizeof(*match));
	struct route_backend_draft *backend = take(town, sizeof(*backend));
	*backend = (struct route_backend_draft){.line = 1, .weight = 1, .service = "service-1"};
	*match = (struct route_match_draft){.line = 1, .path = "/api"};
	*rule = (struct route_rule_draft){
		.line = 1, .matches = {1, match}, .backends = {1, backend}};
	*route = (struct route_draft){.line = 1, .rules = {1, rule}};
	route->name = print(town, "route-%u", i);
	if (town->kind == BY_PREFIX || town->kind == NO_ROUTE)
		match->path = print(town, "/api/v1/team-%u", i);
	if (town->kind == BY_HOST)
		push_value(town, &route->hostnames, print(town, "team-%u.example.com", i));
	if (town->kind == BY_SERVICE)
		push_value(town, &route->services, print(town, "service-%u", i));
	if (town->kind == BY_REGEX) {
		match->path_type = ROUTE_WORD_REGEX;
		match->path = "/api/v[0-9]+/[a-z0-9-]+/.*";
	}
	if (town->kind == BY_HEADER) {
		struct route_value_draft *header = take(town, sizeof(*header));
		*header = (struct route_value_draft){1, ROUTE_VALUE_EXACT, "x-team",
						     print(town, "team-%u", i)};
		match->headers = (struct draft_list){1, header};
	}
}

static void draft_service(struct town *town, struct service_draft *service, uint32_t i)
{
	struct draft_value *address = take(town, sizeof(*address));
	struct draft_value *port = take(town, sizeof(*port));
	address->address.ip[0] = 0xfd;
	memcpy(&address->address.ip[12], &i, sizeof(i));
	port->number = 80;
	*service = (struct service_draft){.line = 1,
					  .name = print(town, "service-%u", i),
					  .addresses = {1, address},
					  .ports = {1, port}};
}

static void build(struct town *town, uint32_t routes)
{
	struct build_options options = {.routes = &route_compiler};
	struct draft draft = {0};
	struct route_draft *list = take(town, routes * sizeof(*list));
	struct service_draft *services = take(town, SERVICES * sizeof(*services));
	for (uint32_t i = 0; i < routes; i++)
		draft_route(town, &list[i], i);
	for (uint32_t i = 0; i < SERVICES; i++)
		draft_service(town, &services[i], i);
	draft.routes = (struct draft_list){routes, list};
	draft.services = (struct draft_list){SERVICES, services};
	if (snapshot_build(&draft, &options, &town->snapshot))
		exit(1);
}

static void write_request(struct town *town, uint32_t last)
{
	static const char *const usual[][2] = {
		{"User-Agent", "bench/1.0"},   {"Accept", "*/*"},
		{"Accept-Encoding", "gzip"},   {"X-Request-Id", "0123456789abcdef"},
		{"Content-Type", "text/json"},
	};
	struct http_head *head = &town->head;
	head->fields = town->fields;
	head->method_text = span_text("GET");
	head->minor_version = 1;
	head->host = span_text(print(town, "team-%u.example.com", last));
	head->target = span_text(town->kind == NO_ROUTE
					 ? "/other/v1/things/17?full=1"
					 : print(town, "/api/v1/team-%u/things/17?full=1", last));
	town->fields[head->field_count++] = (struct http_field){span_text("Host"), head->host};
	for (size_t i = 0; i < array_count(usual); i++)
		town->fields[head->field_count++] =
			(struct http_field){span_text(usual[i][0]), span_text(usual[i][1])};
	town->fields[head->field_count++] =
		(struct http_field){span_text("X-Team"), span_text(print(town, "team-%u", last))};
}

static void *town_open(const struct micro_case *of)
{
	static const struct route_field team[] = {{{"X-Team", 6}, {"other", 5}}};
	struct town *town = micro_alloc(sizeof(*town));
	town->kind = (enum kind)of->variant;
	town->matcher = route_matcher_new();
	town->rewriter = rewriter_new();
	if (!town->matcher || !town->rewriter)
		exit(1);
	build(town, of->size);
	write_request(town, of->size - 1);
	const struct service *service = snapshot_service_named(
		town->snapshot, span_text(print(town, "service-%u", of->size - 1)));
	town->scope = snapshot_route_scope(town->snapshot, service->id);
	town->identifier = (struct identifier){.kind = IDENTIFY_PATH, .segments = 3};
	town->names = (struct route_set){.identifier_count = 1, .identifiers = &town->identifier};
	town->match =
		(struct route_match){.path_type = ROUTE_PATH_PREFIX, .path = span_text("/api")};
	town->filters.request.set = (struct route_fields){1, team};
	town->filters.rewrite.path =
		(struct route_path_change){ROUTE_PATH_REPLACE_PREFIX, span_text("/v2")};
	return town;
}

static int call(struct town *town)
{
	static struct identified identified;
	struct route_choice choice;
	struct rewritten rewritten;
	struct rewrite_request how = {.match = &town->match, .rule = &town->filters};
	if (town->kind == IDENTIFIES)
		return identify(&town->names, &town->head, span_of("", 0), town->matcher,
				&identified);
	if (town->kind == REWRITES)
		return rewrite_request(town->rewriter, &how, &town->head, &rewritten);
	int error = route_find(town->snapshot->routes, town->scope, &town->head, town->matcher,
			       &choice);
	return town->kind == NO_ROUTE ? !error : error;
}

static void town_run(void *state, uint32_t calls)
{
	for (uint32_t i = 0; i < calls; i++) {
		int error = call(state);
		if (error) {
			fprintf(stderr, "micro: route: %d\n", error);
			exit(1);
		}
		micro_use(&error);
	}
}

static void town_close(void *state)
{
	struct town *town = state;
	snapshot_free(town->snapshot);
	route_matcher_free(town->matcher);
	rewriter_free(town->rewriter);
	arena_fini(&town->arena);
	free(town);
}

#define TOWN(label, of_kind, count)                                                                \
	{                                                                                          \
		.name = label, .size = (count), .variant = (of_kind), .open = town_open,           \
		.run = town_run, .close = town_close                                               \
	}

static const struct micro_case cases[] = {
	TOWN("route-prefix-1", BY_PREFIX, 1),
	TOWN("route-prefix-1000", BY_PREFIX, 1000),
	TOWN("route-host-1000", BY_HOST, 1000),
	TOWN("route-service-1000", BY_SERVICE, 1000),
	TOWN("route-service-10000", BY_SERVICE, SERVICES),
	TOWN("route-none-1000", NO_ROUTE, 1000),
	TOWN("route-regex-1", BY_REGEX, 1),
	TOWN("route-header-10", BY_HEADER, 10),
	TOWN("route-header-1000", BY_HEADER, 1000),
	TOWN("route-identify-path", IDENTIFIES, 1),
	TOWN("route-rewrite", REWRITES, 1),
};

const struct micro_subject micro_route = {"route", cases, sizeof(cases) / sizeof(cases[0])};
