/* What a weftd before this one left in the pinned maps: ids to keep, pods to replace or remove. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/state.h"

struct adoption {
	struct control *control;
	struct adopted_names *names;
	uint32_t adopted_capacity;
};

/* An array with room for one more, or NULL; `*capacity` elements of `size` bytes. */
static void *with_room(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	uint32_t more = *capacity ? *capacity * 2 : 16;
	void *grown = mem_realloc(items, more * size);
	if (grown)
		*capacity = more;
	return grown;
}

static void add_name(struct adopted_names *names, struct known_id **list, uint32_t *count,
		     uint32_t *capacity, const char name[WEFT_NAME_MAX], uint32_t id)
{
	struct known_id *grown = with_room(*list, *count, capacity, sizeof(**list));
	if (!grown) {
		names->error = -ENOMEM;
		return;
	}
	*list = grown;
	struct known_id *known = &grown[(*count)++];
	known->id = id;
	snprintf(known->name, sizeof(known->name), "%.*s", WEFT_NAME_MAX - 1, name);
}

static void on_destination(const struct weft_address *address,
			   const struct weft_destination *destination, void *owner)
{
	struct adopted_names *names = ((struct adoption *)owner)->names;
	(void)address;
	add_name(names, &names->services, &names->service_count, &names->service_capacity,
		 destination->name, destination->service_id);
}

static void on_pod(const struct weft_pod_key *key, const struct weft_pod *pod, void *owner)
{
	struct adoption *adoption = owner;
	struct control *control = adoption->control;
	struct adopted_names *names = adoption->names;
	struct adopted_pod *grown = with_room(control->adopted, control->adopted_count,
					      &adoption->adopted_capacity, sizeof(*grown));
	if (!grown) {
		names->error = -ENOMEM;
		return;
	}
	control->adopted = grown;
	struct adopted_pod *adopted = &grown[control->adopted_count++];
	*adopted = (struct adopted_pod){
		.key = *key,
		.pod_id = pod->pod_id,
		.fails_closed = pod->flags & WEFT_POD_FAIL_CLOSED,
	};
	snprintf(adopted->name, sizeof(adopted->name), "%.*s", WEFT_NAME_MAX - 1, pod->name);
	add_name(names, &names->pods, &names->pod_count, &names->pod_capacity, adopted->name,
		 pod->pod_id);
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = ((const struct known_id *)a)->id;
	uint32_t y = ((const struct known_id *)b)->id;
	return (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct known_id *)a)->name, ((const struct known_id *)b)->name);
}

static uint32_t drop_equal(struct known_id *list, uint32_t count,
			   int (*compare)(const void *, const void *))
{
	uint32_t kept = 0;
	if (count > 1)
		qsort(list, count, sizeof(*list), compare);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || compare(&list[kept - 1], &list[i]) != 0)
			list[kept++] = list[i];
	}
	return kept;
}

/* The builder wants each id and each name once, sorted by name. */
static uint32_t tidy(struct known_id *list, uint32_t count)
{
	return drop_equal(list, drop_equal(list, count, compare_ids), compare_names);
}

int adopt_read(struct control *control, struct adopted_names *ret_names)
{
	struct adopted_names names = {0};
	struct adoption adoption = {.control = control, .names = &names};
	int error = kernel_destination_each(control->options.kernel, on_destination, &adoption);
	if (!error)
		error = kernel_pod_each(control->options.kernel, on_pod, &adoption);
	if (!error)
		error = names.error;
	if (error) {
		adopted_names_fini(&names);
		return error;
	}
	names.service_count = tidy(names.services, names.service_count);
	names.pod_count = tidy(names.pods, names.pod_count);
	*ret_names = names;
	return 0;
}

void adopted_services_fini(struct adopted_names *names)
{
	mem_free(names->services);
	names->services = NULL;
	names->service_count = names->service_capacity = 0;
}

void adopted_names_fini(struct adopted_names *names)
{
	adopted_services_fini(names);
	mem_free(names->pods);
	*names = (struct adopted_names){0};
}

static void settle(struct control *control, struct adopted_pod *adopted)
{
	int error = kernel_pod_remove(control->options.kernel, &adopted->key, adopted->pod_id);
	adopted->is_settled = error == 0;
	if (error)
		log_error("stale_pod_kept", "pod=%s error=\"%s\"", adopted->name, strerror(-error));
}

void adopted_settle(struct control *control, const char *name, const struct weft_pod_key *key)
{
	for (uint32_t i = 0; i < control->adopted_count; i++) {
		struct adopted_pod *adopted = &control->adopted[i];
		if (adopted->is_settled || strcmp(adopted->name, name) != 0)
			continue;
		if (key && memcmp(key, &adopted->key, sizeof(*key)) == 0)
			adopted->is_settled = true;
		else
			settle(control, adopted);
	}
}

void adopted_settle_absent(struct control *control, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; !control->holds_adopted && i < control->adopted_count; i++) {
		struct adopted_pod *adopted = &control->adopted[i];
		bool is_wanted = snapshot_pod_named(snapshot, span_text(adopted->name));
		if (!adopted->is_settled && !is_wanted)
			settle(control, adopted);
	}
}

void adopted_settle_all(struct control *control, enum drain drain)
{
	for (uint32_t i = 0; i < control->adopted_count; i++) {
		struct adopted_pod *adopted = &control->adopted[i];
		bool is_wanted = drain == DRAIN_FOR_RESTART && adopted->fails_closed;
		if (!adopted->is_settled && !is_wanted)
			settle(control, adopted);
	}
}
