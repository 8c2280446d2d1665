#include "proxy/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "policy/route_match.h"
#include "proxy/name.h"

/* Changes of a rule and of its backend, copied out of the snapshot into one piece of memory. */
struct kept_change {
	struct route_filters rule;
	struct route_filters backend;
	struct route_field fields[];
};

/* ---- what is kept for the answer ---- */

static size_t field_count(const struct route_header_change *change)
{
	return change->set.count + change->add.count + change->remove.count;
}

static size_t text_bytes(const struct route_fields *fields)
{
	size_t size = 0;
	for (uint32_t i = 0; i < fields->count; i++)
		size += fields->items[i].name.size + fields->items[i].value.size;
	return size;
}

static size_t change_bytes(const struct route_header_change *change)
{
	return field_count(change) * sizeof(struct route_field) + text_bytes(&change->set) +
	       text_bytes(&change->add) + text_bytes(&change->remove);
}

static struct span copy_span(char **text, struct span from)
{
	char *copy = *text;
	if (from.size)
		memcpy(copy, from.data, from.size);
	*text += from.size;
	return span_of(copy, from.size);
}

static void copy_fields(struct route_field **at, char **text, const struct route_fields *from,
			struct route_fields *to)
{
	*to = (struct route_fields){from->count, *at};
	for (uint32_t i = 0; i < from->count; i++, (*at)++) {
		(*at)->name = copy_span(text, from->items[i].name);
		(*at)->value = copy_span(text, from->items[i].value);
	}
}

static void copy_change(struct route_field **at, char **text,
			const struct route_header_change *from, struct route_header_change *to)
{
	copy_fields(at, text, &from->set, &to->set);
	copy_fields(at, text, &from->add, &to->add);
	copy_fields(at, text, &from->remove, &to->remove);
}

/* 0 or -ENOMEM. */
static int keep_answer(const struct route_filters *rule, const struct route_filters *backend,
		       struct exchange_route *route)
{
	static const struct route_filters nothing;
	if (rewrite_answer_keeps(rule, backend))
		return 0;
	if (!backend)
		backend = &nothing;
	struct kept_change *kept = mem_zalloc(sizeof(*kept) + change_bytes(&rule->response) +
					      change_bytes(&backend->response));
	if (!kept)
		return -ENOMEM;
	struct route_field *at = kept->fields;
	char *text = (char *)(kept->fields + field_count(&rule->response) +
			      field_count(&backend->response));
	copy_change(&at, &text, &rule->response, &kept->rule.response);
	copy_change(&at, &text, &backend->response, &kept->backend.response);
	route->answer = kept;
	return 0;
}

void exchange_route_fini(struct exchange_route *route)
{
	mem_free(route->answer);
	route->answer = NULL;
}

int route_answer(struct worker *worker, const struct exchange_route *route,
		 const struct http_head *head, struct rewritten *ret_rewritten)
{
	if (route->answer)
		return rewrite_answer(worker->rewriter, &route->answer->rule,
				      &route->answer->backend, head, ret_rewritten);
	*ret_rewritten = (struct rewritten){.head = *head};
	return 0;
}

/* ---- the name ---- */

static void refuse(struct route_way *way, unsigned status, enum weft_proxy_reason reason,
		   const char *text)
{
	way->status = status;
	way->reason = reason;
	way->text = text;
}

/* What a request is called. */
struct called {
	struct identified identified;
	struct span name; /* "/svc/web"; not where is_plain and nothing identifies it */
	const struct service *service; /* the one of that name; NULL = none */
	uint32_t consumed;
	bool is_plain;
	struct local_dtabs locals;
};

/* 0 or -ENOMEM. Nothing is called so: way says whether that is refused. */
static int name_request(struct session *session, const struct http_head *head,
			struct route_way *way, struct called *called)
{
	struct worker *worker = session->worker;
	const struct route_set *routes = worker->snapshot->routes;
	const struct service *dialled = session_service(session);
	bool is_identified = routes && routes->identifier_count > 0;
	called->service = dialled;
	called->consumed = 0;
	called->name = span_of(NULL, 0);
	if (!is_identified && (called->is_plain || !dialled))
		return 0;
	int error = identify(routes, head, span_text(dialled ? dialled->name : ""), worker->matcher,
			     &called->identified);
	if (error == -ENOMEM)
		return error;
	if (error) {
		refuse(way, 400, WEFT_PROXY_UNIDENTIFIED,
		       "no identifier of the config gives this request a name");
		return 0;
	}
	called->name = identified_name(&called->identified);
	called->consumed = called->identified.consumed;
	called->service = name_service(worker->snapshot, called->name);
	if (!called->service && called->is_plain)
		refuse(way, 502, WEFT_PROXY_UNBOUND,
		       "the request's name is no service of the mesh");
	return 0;
}

/* ---- the rule ---- */

static void keep_numbers(const struct route_rule *rule, struct exchange_route *route)
{
	route->request_ns = rule->request_ns;
	route->backend_ns = rule->backend_ns;
	route->backoff_ns = rule->backoff_ns;
	route->retry_attempts = rule->retry_attempts;
	for (uint32_t i = 0; i < rule->retry_code_count; i++) {
		unsigned bit = rule->retry_codes[i] - 400u;
		if (bit < 200)
			route->retry_codes[bit / 64] |= 1ull << (bit % 64);
	}
}

/* A draw by weight; NULL when all have weight 0, or there is none. */
static const struct route_backend *draw_backend(const struct route_rule *rule, struct rng *rng)
{
	if (rule->weight_total == 0)
		return NULL;
	uint64_t draw = rng_next(rng) % rule->weight_total;
	const struct route_backend *backend = rule->backends;
	while (draw >= backend->weight)
		draw -= (backend++)->weight;
	return backend;
}

/* 0 or -ENOMEM. */
static int redirect(struct session *session, const struct http_head *head,
		    const struct route_redirect *to, const struct route_match *match,
		    struct route_way *way)
{
	way->status = to->status;
	way->reason = WEFT_PROXY_REDIRECTED;
	return rewrite_location(session->worker->rewriter, to, match, head,
				ntohs(session->destination.port), &way->location);
}

/* Where a rule's backend leads. The share of one that leads nowhere gets 500 (Gateway API,
 * backendRefs). 0 or -ENOMEM. */
static int bind_backend(struct session *session, const struct called *called,
			const struct route_backend *backend, struct exchange_route *route,
			struct route_way *way)
{
	char name[WEFT_NAME_MAX + 8];
	if (backend->path.size)
		return name_bind(session, backend->path, &called->locals, 500, route, way);
	if (!called->is_plain) {
		bool has_front = span_starts(backend->service, span_text("/svc/"));
		int size = snprintf(name, sizeof(name), "%s%.*s", has_front ? "" : "/svc/",
				    SPAN_PRINT(backend->service));
		return name_bind(session, span_of(name, (size_t)size), &called->locals, 500, route,
				 way);
	}
	route->service_id = session->worker->snapshot->backend_services[backend->number];
	if (!route->service_id)
		refuse(way, 500, WEFT_PROXY_NO_BACKEND,
		       "the backend that the route gives is no service of the mesh");
	return 0;
}

/* Each is drawn for itself. Upgrades and CONNECT have no copies: what follows is no request. */
static void draw_mirrors(struct session *session, const struct http_head *head,
			 const struct route_filters *filters, struct route_way *way)
{
	struct worker *worker = session->worker;
	if (head->has_upgrade || head->method == HTTP_METHOD_CONNECT)
		return;
	for (uint32_t i = 0; i < filters->mirror_count; i++) {
		const struct route_mirror *mirror = &filters->mirrors[i];
		uint32_t service_id = worker->snapshot->backend_services[mirror->backend];
		if (rng_below(&worker->rng, mirror->denominator) >= mirror->numerator)
			continue;
		if (service_id && way->mirror_count < ROUTE_MIRRORS_MOST)
			way->mirrors[way->mirror_count++] = service_id;
		else
			worker_count(worker, WEFT_PROXY_MIRROR_FAILED);
	}
}

/* 0 or -ENOMEM. */
static int follow_rule(struct session *session, const struct http_head *head,
		       const struct route_choice *choice, const struct called *called,
		       struct exchange_route *route, struct route_way *way)
{
	struct worker *worker = session->worker;
	const struct route_rule *rule = choice->rule;
	route->series = worker_rule_series(worker, choice->route, rule);
	if (rule->filters.redirect.is_set)
		return redirect(session, head, &rule->filters.redirect, choice->match, way);
	const struct route_backend *backend = draw_backend(rule, &worker->rng);
	if (backend && backend->filters.redirect.is_set)
		return redirect(session, head, &backend->filters.redirect, choice->match, way);
	if (!backend) {
		refuse(way, 500, WEFT_PROXY_NO_BACKEND, "the route has no backend with a weight");
		return 0;
	}
	int error = bind_backend(session, called, backend, route, way);
	if (error || way->status)
		return error;
	keep_numbers(rule, route);
	draw_mirrors(session, head, &rule->filters, way);
	draw_mirrors(session, head, &backend->filters, way);
	struct rewrite_request how = {.match = choice->match,
				      .rule = &rule->filters,
				      .backend = &backend->filters,
				      .consumed = called->consumed};
	error = keep_answer(&rule->filters, &backend->filters, route);
	if (!error && !rewrite_request_keeps(&how))
		error = rewrite_request(worker->rewriter, &how, head, &way->forwarded);
	return error;
}

/* No rule takes it: it goes where its name leads. 0 or -ENOMEM. */
static int follow_name(struct session *session, const struct http_head *head,
		       const struct called *called, struct exchange_route *route,
		       struct route_way *way)
{
	struct rewrite_request how = {.consumed = called->consumed};
	int error = 0;
	if (called->is_plain)
		route->service_id = called->service->id;
	else
		error = name_bind(session, called->name, &called->locals, 502, route, way);
	if (!error && !way->status && called->consumed)
		error = rewrite_request(session->worker->rewriter, &how, head, &way->forwarded);
	return error;
}

/* 0 or -ENOMEM. */
static int match_rule(struct session *session, const struct http_head *head,
		      const struct called *called, struct exchange_route *route,
		      struct route_way *way)
{
	struct worker *worker = session->worker;
	const struct snapshot *snapshot = worker->snapshot;
	struct route_choice choice;
	if (!snapshot->routes)
		return follow_name(session, head, called, route, way);
	uint32_t scope = called->service ? snapshot_route_scope(snapshot, called->service->id) : 0;
	uint64_t hits = route_matcher_limit_hits(worker->matcher);
	int error = route_find(snapshot->routes, scope, head, worker->matcher, &choice);
	if (route_matcher_limit_hits(worker->matcher) > hits)
		worker_count(worker, WEFT_PROXY_MATCH_LIMIT);
	if (!error)
		return follow_rule(session, head, &choice, called, route, way);
	if (error == -ENOMEM)
		return error;
	if (route_is_claimed(scope)) {
		refuse(way, 404, WEFT_PROXY_NO_ROUTE, "no route of the service takes this request");
		return 0;
	}
	return follow_name(session, head, called, route, way);
}

int route_request(struct session *session, const struct http_head *head,
		  struct exchange_route *ret_route, struct route_way *ret_way)
{
	const struct snapshot *snapshot = session->worker->snapshot;
	struct called called;
	*ret_route = (struct exchange_route){.service_id = session->service_id,
					     .series = SERIES_NONE,
					     .retry_attempts = ROUTE_NONE};
	*ret_way = (struct route_way){.forwarded = {.head = *head}};
	bool is_read = name_read_locals(snapshot, session->pod->name, session_service(session),
					head, &called.locals, ret_way);
	ret_way->strips_dtab = called.locals.has_fields;
	/* Who dials an endpoint by its own address wants that one. */
	if (!is_read || (session->destination_flags & WEFT_DESTINATION_ENDPOINT))
		return 0;
	called.is_plain = name_is_plain(snapshot, &called.locals);
	if (called.is_plain && !snapshot->routes)
		return 0;
	int error = name_request(session, head, ret_way, &called);
	if (error || ret_way->status || (!called.service && !called.name.size))
		return error;
	error = match_rule(session, head, &called, ret_route, ret_way);
	if (error)
		exchange_route_fini(ret_route);
	return error;
}
