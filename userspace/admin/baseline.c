#include "admin/baseline.h"

#include <stdlib.h>

#include "base/mem.h"

#define SERIES_WORDS (sizeof(struct weft_series) / sizeof(__u64))

static int slot_order(const void *a, const void *b)
{
	uint32_t left = ((const struct series_sample *)a)->slot;
	uint32_t right = ((const struct series_sample *)b)->slot;
	return left < right ? -1 : left > right;
}

int baseline_init(struct baseline *baseline, const struct series_store *store)
{
	struct series_sample *samples;
	size_t count;
	int error = series_collect(store, &samples, &count);
	if (error)
		return error;
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		samples[i].sum.requests_active = 0;
		if (!series_is_zero(&samples[i].sum))
			samples[kept++] = samples[i];
	}
	qsort(samples, kept, sizeof(*samples), slot_order);
	struct series_sample *fitting = mem_realloc(samples, (kept + 1) * sizeof(*samples));
	baseline->store = store;
	baseline->samples = fitting ? fitting : samples;
	baseline->count = kept;
	return 0;
}

void baseline_fini(struct baseline *baseline)
{
	mem_free(baseline->samples);
	*baseline = (struct baseline){0};
}

void baseline_subtract(const struct baseline *baseline, uint32_t slot, struct weft_series *sum)
{
	struct series_sample wanted = {.slot = slot};
	if (baseline->count == 0 || baseline->store->was_given_back[slot])
		return; /* what it counts it counted since */
	const struct series_sample *start =
		bsearch(&wanted, baseline->samples, baseline->count, sizeof(wanted), slot_order);
	if (!start)
		return;
	__u64 *now = (__u64 *)sum;
	const __u64 *then = (const __u64 *)&start->sum;
	for (size_t i = 0; i < SERIES_WORDS; i++)
		now[i] = now[i] > then[i] ? now[i] - then[i] : 0;
}
