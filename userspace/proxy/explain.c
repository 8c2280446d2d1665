#include "proxy/explain.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "policy/balance_ewma.h"
#include "policy/branch.h"
#include "policy/identify.h"
#include "policy/route_match.h"
#include "proxy/ask.h"
#include "proxy/explain_tree.h"
#include "proxy/name.h"
#include "proxy/health.h"

/* The request that is asked about. */
struct asked {
	struct worker *worker;
	struct tree tree;
	char bytes[EXPLAIN_QUERY_MOST];
	size_t size;
	const char *pod;
	struct span url;
	struct http_head head;
	struct http_field fields[EXPLAIN_FIELDS_MOST];
	const struct service *dialled;
	const struct service *service; /* of the name; whose routes hold */
	struct identified identified;
	struct local_dtabs locals;
};

/* ---- the query ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded, with a NUL behind it. */
static char *decode(struct asked *asked, struct span value, size_t *ret_size)
{
	char *begin = asked->bytes + asked->size;
	char *to = begin;
	if (asked->size + value.size + 1 > sizeof(asked->bytes))
		value.size = 0;
	for (size_t i = 0; i < value.size; i++) {
		int high = i + 2 < value.size && value.data[i] == '%' ? hex(value.data[i + 1]) : -1;
		int low = high >= 0 ? hex(value.data[i + 2]) : -1;
		*to++ = low >= 0 ? (char)(high * 16 + low) : value.data[i];
		i += low >= 0 ? 2 : 0;
	}
	*to = '\0';
	*ret_size = (size_t)(to - begin);
	asked->size += *ret_size + 1;
	return begin;
}

static void add_field(struct asked *asked, struct span name, struct span value)
{
	if (asked->head.field_count < EXPLAIN_FIELDS_MOST)
		asked->fields[asked->head.field_count++] = (struct http_field){name, value};
}

static struct span trim(struct span text)
{
	while (text.size && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = span_of(text.data + 1, text.size - 1);
	return text;
}

static void read_pair(struct asked *asked, struct span key, struct span value)
{
	size_t size;
	const char *text = decode(asked, value, &size);
	struct span rest = span_of(text, size);
	struct span name;
	if (span_is(key, "pod"))
		asked->pod = text;
	else if (span_is(key, "method") && size)
		asked->head.method_text = rest;
	else if (span_is(key, "url"))
		asked->url = rest;
	else if (span_is(key, "header") && span_split(&rest, ':', &name))
		add_field(asked, name, trim(rest.data ? rest : span_of("", 0)));
}

/* "http://web:80/a?b" or "web/a": host and target. */
static struct span read_url(struct asked *asked)
{
	struct span rest = asked->url;
	if (span_starts(rest, span_text("http://")))
		rest = span_of(rest.data + 7, rest.size - 7);
	const char *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
	struct span host = slash ? span_of(rest.data, (size_t)(slash - rest.data)) : rest;
	asked->head.target = slash ? span_of(slash, rest.size - host.size) : span_text("/");
	return host;
}

static void read_query(struct asked *asked, struct span query)
{
	struct span pair, key;
	asked->pod = "";
	asked->head = (struct http_head){.is_request = true,
					 .minor_version = 1,
					 .method_text = span_text("GET"),
					 .fields = asked->fields};
	while (span_split(&query, '&', &pair)) {
		if (span_split(&pair, '=', &key))
			read_pair(asked, key, pair.data ? pair : span_of("", 0));
	}
	struct span host = read_url(asked);
	if (!http_find(&asked->head, "host"))
		add_field(asked, span_text("Host"), host);
	asked->head.host = http_find(&asked->head, "host")->value;

	/* What would be dialled: a service's name, or one of its addresses. */
	const struct snapshot *snapshot = asked->worker->snapshot;
	struct weft_address address;
	struct span name = host;
	if (!address_parse(host, &address) || !address_parse_ip(host, 80, &address)) {
		asked->dialled = snapshot_service_at(snapshot, &address);
		return;
	}
	asked->dialled = snapshot_service_named(snapshot, host);
	span_split(&host, ':', &name);
	if (!asked->dialled)
		asked->dialled = snapshot_service_named(snapshot, name);
}

/* ---- services ---- */

/* What of it is taken, and how many wait. */
static void show_caps(struct asked *asked, const struct service *service)
{
	const struct limit_rule *rule = &service->resilience.limit;
	struct node_service *shared =
		asked->worker->node ? node_service(asked->worker->node, service) : NULL;
	if (!shared || !(rule->concurrency || rule->adapts || rule->endpoint_concurrency))
		return;
	uint32_t cap = rule->adapts ? concurrency_limit(&shared->concurrency, rule->concurrency)
				    : rule->concurrency;
	if (cap)
		tree_open(&asked->tree, "limits", "%u of %u requests under way, %u of %u wait",
			  atomic_load(&shared->concurrency.active), cap,
			  concurrency_queued(&shared->concurrency), rule->queue);
	else
		tree_open(&asked->tree, "limits", "%u of %u requests wait",
			  concurrency_queued(&shared->concurrency), rule->queue);
	tree_close(&asked->tree, "%s", rule->adapts ? "adapted to the latency" : "");
}

static void show_rates(struct asked *asked, const struct service *service)
{
	const struct limit_rule *rule = &service->resilience.limit;
	if (rule->client_rate_per_second) {
		tree_open(&asked->tree, "rate", "%u requests a second of each pod",
			  rule->client_rate_per_second);
		tree_close(&asked->tree, "%s", "");
	}
	if (!rule->rate_per_second)
		return;
	if (rule->rate_by == RATE_BY_HEADER)
		tree_open(&asked->tree, "rate", "%u requests a second for each value of %s",
			  rule->rate_per_second, service->rate_header);
	else
		tree_open(&asked->tree, "rate", "%u requests a second of %s", rule->rate_per_second,
			  rule->rate_by == RATE_BY_CLIENT ? "each pod" : "all clients");
	tree_close(&asked->tree, "%s", "");
}

/* "ejected: 5 failures in a row, 1 failed probe, next in 3.2 s" */
static void close_endpoint(struct asked *asked, const struct breaker_view *view,
			   const struct breaker_rule *rule)
{
	static const char *const states[] = {"ready", "ejected", "waits for its probe",
					     "is being probed"};
	uint64_t now_ns = worker_now_ns(asked->worker);
	char why[BREAKER_WHY_MAX];
	char probes[96] = "";
	if (view->state == BREAKER_DEAD)
		snprintf(probes, sizeof(probes), ", %u failed probe%s, next in %.1f s",
			 view->failed_probes, view->failed_probes == 1 ? "" : "s",
			 view->until_ns > now_ns ? (double)(view->until_ns - now_ns) / 1e9 : 0);
	breaker_why(view, rule, why);
	tree_close(&asked->tree, "%s%s%s%s", states[view->state], *why ? ": " : "", why, probes);
}

static void show_endpoint(struct asked *asked, const struct service *service,
			  const struct endpoint *endpoint)
{
	struct worker *worker = asked->worker;
	uint32_t cap = service->resilience.limit.endpoint_concurrency;
	const struct node_endpoint *shared =
		worker->node ? node_endpoint_at(worker->node, endpoint->id) : NULL;
	char seats[32] = "";
	struct breaker_view view = {.state = BREAKER_ALIVE};
	uint32_t slot = series_kept(&endpoint->series);
	struct weft_series sum = {0};
	uint64_t cost_us = 0;
	char estimate[48] = "";
	if (slot < WEFT_SERIES_MAX) {
		series_sum(worker->series, slot, &sum);
		cost_us =
			series_cost_us(worker->series, slot, worker_now_ns(worker), EWMA_DECAY_NS);
	}
	if (cost_us)
		snprintf(estimate, sizeof(estimate), ", answers in about %.1f ms",
			 (double)cost_us / 1e3);
	if (cap)
		snprintf(seats, sizeof(seats), ", %u of its cap of %u",
			 shared ? atomic_load(&shared->seats.active) : 0, cap);
	tree_open(&asked->tree, "endpoint", "%s weight %u, %llu requests in flight%s%s",
		  endpoint->text, endpoint->weight, (unsigned long long)sum.requests_active, seats,
		  estimate);
	bool is_watched = health_breaker(worker->node, service, endpoint, &view);
	if (!endpoint->weight)
		tree_close(&asked->tree, "drained");
	else if (!is_watched)
		tree_close(&asked->tree, "ready");
	else
		close_endpoint(asked, &view, &service->resilience.breaker);
}

static void show_service(struct asked *asked, uint32_t service_id)
{
	const struct service *service = snapshot_service(asked->worker->snapshot, service_id);
	if (!service)
		return;
	tree_open(&asked->tree, "service", "%s, %u endpoints, %u ready", service->name,
		  service->endpoint_count, service->ready_count);
	show_caps(asked, service);
	show_rates(asked, service);
	for (uint32_t i = 0; i < service->endpoint_count && i < EXPLAIN_ENDPOINTS_MOST; i++)
		show_endpoint(asked, service, &service->endpoints[i]);
	tree_close(&asked->tree, "%s", name_shows_up(asked->worker, service) ? "up" : "down");
}

/* ---- names ---- */

static void show_tree(struct asked *asked, const struct name_tree *tree,
		      const struct name_tree *parent)
{
	struct text words = {0};
	const char *kind = "leaf";
	if (parent && parent->kind == NAME_UNION) {
		name_weight_print(tree->weight, &words);
		text_add(&words, span_text(" * "));
	}
	name_tree_print(tree, &words);
	if (tree->kind == NAME_ALTERNATES)
		kind = "first of these that is up";
	else if (tree->kind == NAME_UNION)
		kind = "one of these that are up, by weight";
	tree_open(&asked->tree, kind, "%s", words.data ? words.data : "");
	text_fini(&words);
	if (tree->kind == NAME_LEAF && tree->target)
		show_service(asked, tree->target);
	name_tree_each(tree, child) show_tree(asked, child, tree);
	tree_close(&asked->tree, "%s", "");
}

static void show_name(struct asked *asked, struct span name)
{
	struct tree *tree = &asked->tree;
	const struct bind_request request = {
		.name = name, .locals = asked->locals.texts, .local_count = asked->locals.count};
	struct binding binding;
	struct name_error where;
	uint32_t local;
	tree_open(tree, "bind", "%.*s", SPAN_PRINT(name));
	int error = binder_explain(asked->worker->binder, asked->worker->snapshot, &request,
				   &tree->trace, &binding, &local, &where);
	if (error) {
		tree_close(tree, "%s", error == -ENOMEM ? "out of memory" : where.why);
		return;
	}
	if (binding.bound->state != DELEGATE_BOUND) {
		tree_close(tree, "%s", delegate_state_name(binding.bound->state));
		return;
	}
	show_tree(asked, binding.bound->tree, NULL);
	struct text taken = {0};
	const struct name_tree *leaf = name_pick(asked->worker, binding.bound->tree);
	if (leaf)
		name_tree_print(leaf, &taken);
	tree_close(tree, "now: %s", taken.data ? taken.data : "nothing has weight");
	text_fini(&taken);
}

static void show_own_name(struct asked *asked)
{
	char name[WEFT_NAME_MAX + 8];
	struct span called = identified_name(&asked->identified);
	if (!called.size && asked->dialled) {
		snprintf(name, sizeof(name), "%s%s",
			 strncmp(asked->dialled->name, "/svc/", 5) ? "/svc/" : "",
			 asked->dialled->name);
		called = span_text(name);
	}
	if (called.size)
		show_name(asked, called);
}

/* ---- steps ---- */

static void show_locals(struct asked *asked)
{
	struct route_way way = {0};
	bool fits = name_read_locals(asked->worker->snapshot, asked->pod, asked->dialled,
				     &asked->head, &asked->locals, &way);
	if (!asked->locals.has_fields)
		return;
	tree_open(&asked->tree, "headers", "l5d-dtab, l5d-ctx-dtab");
	if (!fits)
		tree_close(&asked->tree, "answered %u: %s", way.status, way.text);
	else if (asked->locals.count)
		tree_close(&asked->tree, "%s",
			   asked->dialled && asked->dialled->trusts_dtabs
				   ? "trusted: the dialled service trusts everybody's"
				   : "trusted from this pod");
	else
		tree_close(&asked->tree,
			   "removed: trust_dtab_headers is true neither for this pod "
			   "nor for the dialled service");
}

/* False: it has no name. */
static bool show_identifier(struct asked *asked)
{
	struct worker *worker = asked->worker;
	const struct route_set *routes = worker->snapshot->routes;
	const char *dialled = asked->dialled ? asked->dialled->name : "";
	tree_open(&asked->tree, "dialled", "%.*s", SPAN_PRINT(asked->url));
	tree_close(&asked->tree, "%s%s", *dialled ? "service " : "no service of the mesh", dialled);
	bool is_identified = routes && routes->identifier_count;
	if (!is_identified && !asked->dialled)
		return false;
	int error = identify(routes, &asked->head, span_text(dialled), worker->matcher,
			     &asked->identified);
	const struct identifier *by =
		is_identified && !error ? &routes->identifiers[asked->identified.by] : NULL;
	tree_open(&asked->tree, "identifier", "%s",
		  by ? identify_kind_name(by->kind) : "destination");
	if (error)
		tree_close(&asked->tree, "no identifier gives a name: answered 400");
	else
		tree_close(&asked->tree, "%.*s", SPAN_PRINT(identified_name(&asked->identified)));
	if (error)
		return false;
	asked->service = name_service(worker->snapshot, identified_name(&asked->identified));
	return true;
}

static bool on_candidate(void *owner, const struct route_choice *candidate,
			 enum route_verdict verdict)
{
	struct asked *asked = owner;
	const struct route_rule *rule = candidate->rule;
	tree_open(&asked->tree, "rule", "route %.*s, rule %u%s%.*s",
		  SPAN_PRINT(candidate->route->name), rule->number, rule->name.size ? " " : "",
		  SPAN_PRINT(rule->name));
	tree_close(&asked->tree, "%s", route_verdict_name(verdict));
	return tree_has_room(&asked->tree);
}

static void show_backends(struct asked *asked, const struct route_rule *rule)
{
	char name[WEFT_NAME_MAX + 8];
	for (uint32_t i = 0; i < rule->backend_count; i++) {
		const struct route_backend *backend = &rule->backends[i];
		struct span called = backend->path;
		tree_open(&asked->tree, "backend", "%u of %llu: %.*s", backend->weight,
			  (unsigned long long)rule->weight_total,
			  SPAN_PRINT(called.size ? called : backend->service));
		if (!called.size) {
			bool has_front = span_starts(backend->service, span_text("/svc/"));
			snprintf(name, sizeof(name), "%s%.*s", has_front ? "" : "/svc/",
				 SPAN_PRINT(backend->service));
			called = span_text(name);
		}
		show_name(asked, called);
		tree_close(&asked->tree, "%s", "");
	}
}

/* False: no rule takes it, and its name counts. */
static bool show_routes(struct asked *asked)
{
	struct worker *worker = asked->worker;
	const struct snapshot *snapshot = worker->snapshot;
	struct route_choice choice;
	if (!snapshot->routes || !snapshot->routes->route_count)
		return false;
	uint32_t scope = asked->service ? snapshot_route_scope(snapshot, asked->service->id) : 0;
	tree_open(&asked->tree, "routes", "%s", "those that are for this service");
	int error = route_explain(snapshot->routes, scope, &asked->head, worker->matcher,
				  on_candidate, asked);
	if (!error)
		error = route_find(snapshot->routes, scope, &asked->head, worker->matcher, &choice);
	if (error == -ENOENT && route_is_claimed(scope)) {
		tree_close(&asked->tree, "no rule takes it: answered 404");
		return true;
	}
	tree_close(&asked->tree, "%s", error ? "no rule takes it: its name counts" : "a rule wins");
	if (error)
		return false;
	if (choice.rule->filters.redirect.is_set) {
		tree_open(&asked->tree, "redirect", "status %u",
			  choice.rule->filters.redirect.status);
		tree_close(&asked->tree, "answered by weft");
	}
	show_backends(asked, choice.rule);
	return true;
}

void explain_write(struct worker *worker, struct span query, struct text *json)
{
	struct asked *asked = mem_zalloc(sizeof(*asked));
	if (!asked) {
		json->failed = true;
		return;
	}
	asked->worker = worker;
	tree_init(&asked->tree, json, EXPLAIN_NODES_MOST);
	read_query(asked, query);
	tree_open(&asked->tree, "request", "%.*s %.*s", SPAN_PRINT(asked->head.method_text),
		  SPAN_PRINT(asked->url));
	show_locals(asked);
	bool is_named = show_identifier(asked);
	if (is_named && !show_routes(asked))
		show_own_name(asked);
	tree_close(&asked->tree, "%s%s", *asked->pod ? "from pod " : "", asked->pod);
	mem_free(asked);
}

/* ---- the question: the first worker answers ---- */

static bool write_first(struct worker *worker, const char *query, struct ask_place *place,
			struct text *part)
{
	(void)place;
	if (worker->index == 0)
		explain_write(worker, span_text(query), part);
	return false;
}

static void join_first(struct text *parts, unsigned count, struct text *json)
{
	(void)count;
	text_add(json, text_span(&parts[0]));
}

void workers_explain(struct workers *workers, struct io_ring *ring, struct span query,
		     void (*done)(void *request, const char *json), void *request)
{
	const struct ask ask = {
		.workers = workers,
		.ring = ring,
		.about = query.size ? query : span_text("url="),
		.write = write_first,
		.join = join_first,
		.done = done,
		.request = request,
	};
	ask_workers(&ask);
}
