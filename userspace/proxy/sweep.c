/*
 * Slots of the metric store whose service, endpoint or route is gone. A worker learns of a slot
 * from the snapshot of its turn or by asking for a label, and says in the same turn that something
 * counts there. So after a retired slot's grace period nobody has it but those that say so.
 */
#include "proxy/orders.h"

static bool has_label(const struct snapshot *snapshot, const struct weft_series_label *label)
{
	if (label->kind != WEFT_SERIES_SERVICE)
		return false;
	const struct service *service = snapshot_service_named(snapshot, span_text(label->service));
	if (!service || !*label->endpoint)
		return service != NULL;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		if (strcmp(service->endpoints[i].text, label->endpoint) == 0)
			return true;
	}
	return false;
}

static void mark_routes(const struct series_store *store, const struct route_set *routes,
			bool used[WEFT_SERIES_MAX])
{
	char number[ROUTE_NUMBER_MAX];
	uint32_t slot;
	for (uint32_t i = 0; routes && i < routes->route_count; i++) {
		const struct route *route = &routes->routes[i];
		for (uint32_t j = 0; j < route->rule_count; j++) {
			struct span label = route_rule_label(&route->rules[j], number);
			if (series_find_route(store, route->name, label, &slot))
				used[slot] = true;
		}
	}
}

/* By name, not by the slots that it keeps: one that a worker claimed for the snapshot before, while
 * this one was being built, is kept nowhere. */
static void mark_snapshot(const struct series_store *store, const struct snapshot *snapshot,
			  bool used[WEFT_SERIES_MAX])
{
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++) {
		const struct weft_series_label *label = series_label(store, slot);
		used[slot] = label && has_label(snapshot, label);
	}
	mark_routes(store, snapshot->routes, used);
}

static void mark_all(struct workers *workers, bool used[WEFT_SERIES_MAX])
{
	const struct worker *first = workers_at(workers, 0);
	mark_snapshot(first->series, snapshot_current(first->slot), used);
	for (unsigned i = 0; i < workers_count(workers); i++) {
		const struct worker *worker = workers_at(workers, i);
		for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++)
			used[slot] |=
				__atomic_load_n(&worker->series_users[slot], __ATOMIC_RELAXED) > 0;
	}
}

static void ask_again(const uint32_t *series)
{
	if (series_kept(series) == SERIES_OVERFLOW)
		series_keep(series, SERIES_UNCLAIMED);
}

/* What found the table full. */
static void let_ask_again(const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct service *service = snapshot->services[i];
		ask_again(&service->series);
		for (uint32_t j = 0; j < service->endpoint_count; j++)
			ask_again(&service->endpoints[j].series);
	}
	const struct route_set *routes = snapshot->routes;
	for (uint32_t i = 0; routes && i < routes->route_count; i++) {
		for (uint32_t j = 0; j < routes->routes[i].rule_count; j++)
			ask_again(&routes->routes[i].rules[j].series);
	}
}

void workers_sweep_series(struct workers *workers)
{
	struct series_store *store = workers_at(workers, 0)->series;
	bool used[WEFT_SERIES_MAX];
	mark_all(workers, used);
	if (series_retire(store, used) == 0)
		return;
	snapshot_wait_readers();
	mark_all(workers, used);
	series_settle(store, used);
	let_ask_again(snapshot_current(workers_at(workers, 0)->slot));
}
