/*
 * Which slot of the metric store has which label. Open addressing by hash, linear probing: a slot
 * that was given back is vacant, not free, so that a chain that leads over it goes on. Finding
 * takes no lock; whatever changes a slot's state does. Internal to telemetry.
 */
#ifndef TELEMETRY_SLOTS_H
#define TELEMETRY_SLOTS_H

#include "telemetry/series.h"

static inline uint32_t slot_state(const struct weft_series_label *label)
{
	return __atomic_load_n(&label->state, __ATOMIC_ACQUIRE);
}

/* At a start: what an earlier weftd was doing with a slot when it died is brought to an end. */
void slots_adopt(struct series_store *store);

#endif
