/*
 * Slots of the metric store whose service or endpoint is gone. A worker learns of a slot from the
 * snapshot of its turn or by asking for a label, and says in the same turn that something counts
 * there. So after a retired slot's grace period nobody has it but those that say so.
 */
#include "proxy/orders.h"

static void mark_snapshot(const struct snapshot *snapshot, bool used[WEFT_SERIES_MAX])
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct service *service = snapshot->services[i];
		used[service->series] = true;
		for (uint32_t j = 0; j < service->endpoint_count; j++)
			used[service->endpoints[j].series] = true;
	}
}

static void mark_all(struct workers *workers, bool used[WEFT_SERIES_MAX])
{
	memset(used, 0, WEFT_SERIES_MAX);
	mark_snapshot(snapshot_current(workers_at(workers, 0)->slot), used);
	for (unsigned i = 0; i < workers_count(workers); i++) {
		const struct worker *worker = workers_at(workers, i);
		for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++)
			used[slot] |=
				__atomic_load_n(&worker->series_users[slot], __ATOMIC_RELAXED) > 0;
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
}
