#include "proxy/guard.h"

#include "base/log.h"
#include "base/mem.h"
#include "proxy/worker.h"

/* On failure the table stays short: a service past it is not guarded. */
void guards_grow(struct worker *worker)
{
	uint32_t count = worker->snapshot->service_id_limit;
	if (count <= worker->guard_count)
		return;
	struct guard *guards = mem_realloc(worker->guards, count * sizeof(*guards));
	if (!guards)
		return;
	memset(guards + worker->guard_count, 0, (count - worker->guard_count) * sizeof(*guards));
	worker->guards = guards;
	worker->guard_count = count;
}

/* When memory is short it is seen again at the next look. */
static void show_ejected(struct worker *worker, const struct service *service,
			 const struct endpoint *endpoint, bool is_ejected)
{
	const struct endpoint_load *load = balances_load(&worker->balances, endpoint);
	if (!is_ejected && (!load || !load->is_ejected))
		return; /* nothing is to be remembered of most */
	if (!balance_eject(&worker->balances, service, endpoint, is_ejected))
		worker->guards[service->id].version = 0;
}

static const char *endpoint_text(const struct service *service, uint32_t endpoint_id)
{
	const struct endpoint *endpoint = service_endpoint(service, endpoint_id);
	return endpoint ? endpoint->text : "";
}

/* Goes through all endpoints: after a change of the service or of who may be picked, and when a
 * wait has ended. Rare, as each of these is. */
static void look(struct worker *worker, struct guard *guard, const struct service *service)
{
	struct breaker_group *group = &guard->shared->breakers;
	uint64_t now_ns = worker_now_ns(worker);
	bool has_breaker = service->resilience.breaker.kind != BREAKER_NONE;
	uint32_t removed = 0;
	/* a change from here on is seen again in the next look */
	guard->epoch = atomic_load_explicit(&group->epoch, memory_order_acquire);
	breaker_group_look(group);
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		struct node_endpoint *entry =
			has_breaker ? node_endpoint(worker->node, endpoint) : NULL;
		if (!entry) {
			show_ejected(worker, service, endpoint, false);
			continue;
		}
		if (breaker_wake(&entry->breaker, group, now_ns))
			guard->epoch++; /* this one we know of */
		removed += breaker_state(&entry->breaker) != BREAKER_ALIVE;
		show_ejected(worker, service, endpoint, !breaker_admits(&entry->breaker));
	}
	breaker_group_looked(group, removed);
}

struct guard *guard_service(struct worker *worker, const struct service *service)
{
	if (service->id >= worker->guard_count || !worker->node)
		return NULL;
	struct guard *guard = &worker->guards[service->id];
	if (!guard->shared || guard->version != service->version) {
		guard->shared = node_service(worker->node, service);
		if (!guard->shared)
			return NULL;
		guard->version = service->version;
		look(worker, guard, service);
		return guard;
	}
	struct breaker_group *group = &guard->shared->breakers;
	if (atomic_load_explicit(&group->epoch, memory_order_acquire) != guard->epoch ||
	    breaker_group_is_due(group, worker_now_ns(worker)))
		look(worker, guard, service);
	return guard;
}

void guard_picked(struct worker *worker, const struct service *service,
		  const struct endpoint *endpoint)
{
	const struct breaker_rule *rule = &service->resilience.breaker;
	struct guard *guard = &worker->guards[service->id];
	struct node_endpoint *entry = node_endpoint_at(worker->node, endpoint->id);
	if (!entry || !breaker_take_probe(&entry->breaker, &guard->shared->breakers, rule,
					  worker_now_ns(worker)))
		return;
	/* the next pick looks again, as the epoch is another one */
	worker_count(worker, WEFT_PROXY_ENDPOINT_PROBED);
}

bool guard_is_out(const struct worker *worker, uint32_t endpoint_id)
{
	const struct node_endpoint *entry =
		worker->node ? node_endpoint_at(worker->node, endpoint_id) : NULL;
	return entry && breaker_state(&entry->breaker) != BREAKER_ALIVE;
}

bool guard_may_requeue(struct worker *worker, const struct service *service)
{
	struct guard *guard = guard_service(worker, service);
	bool may = guard &&
		   retry_budget_withdraw(&guard->shared->requeues,
					 &service->resilience.retry.budget, worker_now_ns(worker));
	worker_count(worker, may ? WEFT_PROXY_REQUEUED : WEFT_PROXY_REQUEUE_BUDGET_EXHAUSTED);
	return may;
}

static void count_change(struct worker *worker, const struct service *service, uint32_t endpoint_id,
			 enum breaker_change change)
{
	const char *text = endpoint_text(service, endpoint_id);
	switch (change) {
	case BREAKER_REMOVED:
		worker_count(worker, WEFT_PROXY_ENDPOINT_REMOVED);
		log_info("endpoint_removed", "service=%s endpoint=%s", service->name, text);
		return;
	case BREAKER_REVIVED:
		worker_count(worker, WEFT_PROXY_ENDPOINT_REVIVED);
		log_info("endpoint_revived", "service=%s endpoint=%s", service->name, text);
		return;
	case BREAKER_PROBE_AGAIN:
	case BREAKER_SAME:
		return;
	}
}

void guard_tell(struct worker *worker, const struct balance_attempt *attempt,
		enum breaker_outcome outcome)
{
	const struct service *service = snapshot_service(worker->snapshot, attempt->service_id);
	struct guard *guard = service ? guard_service(worker, service) : NULL;
	if (!guard)
		return;
	if (outcome == BREAKER_SUCCEEDED)
		retry_budget_deposit(&guard->shared->requeues, &service->resilience.retry.budget,
				     worker_now_ns(worker));
	if (service->resilience.breaker.kind == BREAKER_NONE)
		return;
	struct node_endpoint *entry = node_endpoint_at(worker->node, attempt->endpoint_id);
	if (!entry || atomic_load_explicit(&entry->owner, memory_order_relaxed) != attempt->birth)
		return; /* it is gone, and its id may be another's */
	enum breaker_change change = breaker_tell(
		&entry->breaker, &guard->shared->breakers, &service->resilience.breaker,
		service->ready_count, outcome, worker_now_ns(worker), &worker->rng);
	if (change != BREAKER_SAME)
		count_change(worker, service, attempt->endpoint_id, change);
}
