#include "proxy/name.h"

#include <errno.h>

#include "policy/branch.h"
#include "proxy/guard.h"
#include "proxy/health.h"
#include "proxy/park.h"

/* ---- entries that a request brings ---- */

static bool is_dtab_field(const struct http_field *field)
{
	return span_is_nocase(field->name, "l5d-dtab") ||
	       span_is_nocase(field->name, "l5d-ctx-dtab");
}

static bool is_trusted(const struct snapshot *snapshot, const char *name,
		       const struct service *dialled)
{
	if (dialled && dialled->trusts_dtabs)
		return true;
	const struct pod *pod = snapshot_pod_named(snapshot, span_text(name));
	return pod && pod->trusts_dtabs;
}

static bool add_locals(const struct http_head *head, const char *name, struct local_dtabs *locals)
{
	for (uint16_t i = 0; i < head->field_count; i++) {
		if (!span_is_nocase(head->fields[i].name, name))
			continue;
		if (locals->count == BINDER_LOCALS_MAX)
			return false;
		locals->texts[locals->count++] = head->fields[i].value;
	}
	return true;
}

static void refuse(struct route_way *way, unsigned status, enum weft_proxy_reason reason,
		   const char *text)
{
	way->status = status;
	way->reason = reason;
	way->text = text;
}

bool name_read_locals(const struct snapshot *snapshot, const char *pod,
		      const struct service *dialled, const struct http_head *head,
		      struct local_dtabs *ret_locals, struct route_way *way)
{
	ret_locals->has_fields = false;
	ret_locals->count = 0;
	for (uint16_t i = 0; i < head->field_count && !ret_locals->has_fields; i++)
		ret_locals->has_fields = is_dtab_field(&head->fields[i]);
	if (!ret_locals->has_fields || !is_trusted(snapshot, pod, dialled))
		return true;
	if (add_locals(head, "l5d-ctx-dtab", ret_locals) &&
	    add_locals(head, "l5d-dtab", ret_locals))
		return true;
	refuse(way, 400, WEFT_PROXY_BAD_DTAB,
	       "more than 8 l5d-dtab and l5d-ctx-dtab headers; put the entries into one");
	return false;
}

/* ---- which branch ---- */

struct view {
	struct worker *worker;
	uint32_t without; /* service that is taken for not ready; 0 = none */
};

const struct service *name_service(const struct snapshot *snapshot, struct span name)
{
	struct span front = span_text("/svc/");
	if (!span_starts(name, front))
		return NULL;
	const struct service *service = snapshot_service_named(
		snapshot, span_of(name.data + front.size, name.size - front.size));
	return service ? service : snapshot_service_named(snapshot, name);
}

/* Ready endpoints that no breaker leaves out. */
static uint32_t count_alive(const struct guard *guard, const struct service *service)
{
	uint32_t removed = 0;
	if (guard)
		removed = atomic_load_explicit(&guard->shared->breakers.removed,
					       memory_order_relaxed);
	return removed < service->ready_count ? service->ready_count - removed : 0;
}

static struct failover_rule rule_of(const struct worker *worker)
{
	const struct settings *settings = &worker->snapshot->settings;
	return (struct failover_rule){settings->failover_ppm, settings->failover_back_ns};
}

bool name_is_up(struct worker *worker, const struct service *service)
{
	const struct failover_rule rule = rule_of(worker);
	struct guard *guard = guard_service(worker, service);
	uint32_t alive = count_alive(guard, service);
	bool is_good = failover_is_good(&rule, alive, service->ready_count);
	if (!guard)
		return is_good;
	if (failover_see(&guard->shared->failover, &rule, is_good, worker_now_ns(worker)))
		return true;
	/* An endpoint waits for its probe: without this request nobody would notice that it is
	 * back. */
	return !is_good && balance_available(&worker->balances, service) > alive;
}

bool name_shows_up(struct worker *worker, const struct service *service)
{
	return health_is_up(worker->node, worker->snapshot, service, worker_now_ns(worker));
}

static bool leaf_is_ready(const void *context, const struct name_tree *leaf)
{
	const struct view *view = context;
	if (!leaf->target)
		return true;
	const struct service *service = snapshot_service(view->worker->snapshot, leaf->target);
	return service && leaf->target != view->without && name_is_up(view->worker, service);
}

/* Who takes the request when the chosen service turns out to be unreachable; 0 = nobody. */
static uint32_t find_fallback(struct worker *worker, const struct name_tree *tree, uint32_t chosen)
{
	const struct view view = {worker, chosen};
	const struct branch_view others = {leaf_is_ready, &view};
	if (!chosen || !branch_is_ready(tree, &others))
		return 0;
	const struct name_tree *leaf = branch_pick(tree, &others, &worker->rng);
	return leaf && leaf->kind == NAME_LEAF ? leaf->target : 0;
}

static const struct name_tree *pick(struct worker *worker, const struct name_tree *tree,
				    uint32_t *ret_fallback)
{
	const struct view view = {worker, 0};
	const struct branch_view ready = {leaf_is_ready, &view};
	*ret_fallback = 0;
	if (tree->kind == NAME_LEAF)
		return tree;
	const struct name_tree *leaf = branch_pick(tree, &ready, &worker->rng);
	if (leaf && leaf->kind == NAME_LEAF)
		*ret_fallback = find_fallback(worker, tree, leaf->target);
	return leaf;
}

static bool leaf_shows_up(const void *context, const struct name_tree *leaf)
{
	const struct view *view = context;
	const struct service *service = snapshot_service(view->worker->snapshot, leaf->target);
	return !leaf->target || (service && name_shows_up(view->worker, service));
}

const struct name_tree *name_pick(struct worker *worker, const struct name_tree *tree)
{
	const struct view view = {worker, 0};
	struct rng copy = worker->rng; /* nothing is drawn for a request's sake */
	return branch_pick(tree, &(struct branch_view){leaf_shows_up, &view}, &copy);
}

/* ---- what it comes to ---- */

static void refuse_bound(struct worker *worker, struct span name, const struct binding *binding,
			 const char *why, unsigned status, struct route_way *way)
{
	struct text *words = &worker->words;
	text_clear(words);
	text_add(words, span_text("Unable to route request! service name: "));
	text_add(words, name);
	text_printf(words, "; resolution: %s%s%s", delegate_state_name(binding->bound->state),
		    *why ? ", " : "", why);
	text_add(words, span_text("; base dtab: /svc => /#/" NAMING_STATIC_PREFIX "; "));
	dtab_print(worker->snapshot->naming->base, words);
	text_add(words, span_text("; override dtab: "));
	text_add(words, binding->local);
	if (words->size > WORKER_WORDS_MOST) {
		words->size = WORKER_WORDS_MOST;
		words->data[words->size] = '\0';
	}
	if (binding->bound->state == DELEGATE_PENDING) {
		way->is_pending = true;
		refuse(way, 503, WEFT_PROXY_NAME_UNKNOWN,
		       words->failed ? "the request's name is not known yet" : words->data);
		return;
	}
	refuse(way, status, WEFT_PROXY_UNBOUND,
	       words->failed ? "the request's name is bound to nothing" : words->data);
}

static const char *take_leaf(const struct name_tree *leaf, struct exchange_route *route,
			     struct route_way *way)
{
	unsigned status = binder_status(leaf->path);
	route->service_id = leaf->target;
	if (leaf->target)
		return NULL;
	if (status) {
		refuse(way, status, WEFT_PROXY_NAMED_STATUS, "the dtab gives this status");
		return NULL;
	}
	switch (binder_address(leaf->path, &route->address)) {
	case 0:
		route->has_address = true;
		return NULL;
	case -ENOENT:
		return "an inet name of a host, and no namer of kind dns that would look it up";
	default:
		return "an id that leads nowhere";
	}
}

static void follow(struct worker *worker, struct span name, const struct binding *binding,
		   unsigned unbound_status, struct exchange_route *route, struct route_way *way)
{
	const struct bound_name *bound = binding->bound;
	const char *why = bound->why ? bound->why : "";
	if (bound->state == DELEGATE_BOUND) {
		const struct name_tree *leaf = pick(worker, bound->tree, &route->fallback_id);
		if (!leaf)
			why = "no branch of the union has weight";
		else if (leaf->kind == NAME_LEAF)
			why = take_leaf(leaf, route, way);
		else
			why = leaf->kind == NAME_FAIL ? "no branch is ready before the !"
						      : "no branch is ready before the $";
		if (!why)
			return;
	}
	refuse_bound(worker, name, binding, why, unbound_status, way);
}

int name_bind(struct session *session, struct span name, const struct local_dtabs *locals,
	      unsigned unbound_status, struct exchange_route *route, struct route_way *way)
{
	struct worker *worker = session->worker;
	const struct bind_request request = {
		.name = name, .locals = locals->texts, .local_count = locals->count};
	struct binding binding;
	struct name_error where;
	uint32_t local;
	int error =
		binder_bind(worker->binder, worker->snapshot, &request, &binding, &local, &where);
	if (error == -ENOMEM)
		return error;
	for (uint32_t i = 0; !error && i < binding.wanted_count; i++)
		park_want(worker, binding.wanted[i]);
	if (!error) {
		way->dtab = binding.local;
		follow(worker, name, &binding, unbound_status, route, way);
		return 0;
	}
	text_clear(&worker->words);
	text_printf(&worker->words, "%s: column %u: %s",
		    local == UINT32_MAX ? "the request's name" : "l5d-dtab or l5d-ctx-dtab",
		    where.column, where.why);
	refuse(way, 400, WEFT_PROXY_BAD_DTAB,
	       worker->words.failed ? "l5d-dtab is no dtab" : worker->words.data);
	return 0;
}
