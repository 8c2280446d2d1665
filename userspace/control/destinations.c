/* The kernel's map (address, port) -> service, in step with the published snapshot. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/state.h"

static void remove_row(struct control *control, const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	int error = kernel_destination_remove(control->options.kernel, address);
	if (!error)
		return;
	control->destinations_owed = true;
	log_error("destination_kept", "address=%s error=\"%s\"", address_print(address, text),
		  strerror(-error));
}

static void put_rows(struct control *control, const struct service *service)
{
	struct weft_destination row = {.service_id = service->id};
	snprintf(row.name, sizeof(row.name), "%s", service->name);
	if (service->ready_count > 0)
		row.flags |= WEFT_DESTINATION_READY;
	if (service->protocol == PROTOCOL_HTTP)
		row.flags |= WEFT_DESTINATION_HTTP;
	for (uint32_t i = 0; i < service->address_count; i++) {
		char text[ADDRESS_TEXT_MAX];
		const struct weft_address *address = &service->addresses[i];
		int error = kernel_destination_put(control->options.kernel, address, &row);
		if (!error)
			continue;
		control->destinations_owed = true;
		log_error("destination_missing", "service=%s address=%s error=\"%s\"",
			  service->name, address_print(address, text), strerror(-error));
	}
}

static bool is_shared(const struct snapshot *snapshot, const struct service *service)
{
	return snapshot && snapshot_service(snapshot, service->id) == service;
}

static void remove_gone(struct control *control, const struct snapshot *old,
			const struct snapshot *next)
{
	for (uint32_t i = 0; i < old->service_count; i++) {
		const struct service *service = old->services[i];
		if (is_shared(next, service))
			continue;
		for (uint32_t j = 0; j < service->address_count; j++) {
			if (!snapshot_service_at(next, &service->addresses[j]))
				remove_row(control, &service->addresses[j]);
		}
	}
}

/* The services that the old snapshot does not share; NULL = out of memory. */
static const struct service **list_changed(const struct snapshot *old, const struct snapshot *next,
					   uint32_t *ret_count)
{
	const struct service **changed =
		mem_alloc((next->service_count + 1) * sizeof(struct service *));
	if (!changed)
		return NULL;
	*ret_count = 0;
	for (uint32_t i = 0; i < next->service_count; i++) {
		if (!is_shared(old, next->services[i]))
			changed[(*ret_count)++] = next->services[i];
	}
	return changed;
}

void destinations_publish(struct control *control, struct snapshot *next)
{
	const struct snapshot *old = control->current;
	uint32_t changed_count = 0;
	const struct service **changed = list_changed(old, next, &changed_count);
	if (old)
		remove_gone(control, old, next);
	snapshot_publish(control->options.slot, next);
	control->current = next;
	for (uint32_t i = 0; i < changed_count; i++)
		put_rows(control, changed[i]);
	for (uint32_t i = 0; !changed && i < next->service_count; i++)
		put_rows(control, next->services[i]);
	mem_free(changed);
}

static void remove_if_stale(const struct weft_address *address,
			    const struct weft_destination *destination, void *owner)
{
	struct control *control = owner;
	(void)destination;
	if (!snapshot_service_at(control->current, address))
		remove_row(control, address);
}

void destinations_remove_stale(struct control *control)
{
	int error = kernel_destination_each(control->options.kernel, remove_if_stale, control);
	if (error)
		control->destinations_owed = true;
}

void destinations_reconcile(struct control *control)
{
	control->destinations_owed = false;
	destinations_remove_stale(control);
	for (uint32_t i = 0; i < control->current->service_count; i++)
		put_rows(control, control->current->services[i]);
}
