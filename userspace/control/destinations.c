/*
 * The kernel's map (address, port) -> service, in step with the published snapshot. A mirror of it
 * is kept here, so that a change costs what it changes and only rows that differ are written.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/state.h"

struct destination {
	struct hash_item item;
	struct weft_address address;
	uint32_t service_id;
	uint32_t flags;
	uint32_t shortcut;
	uint32_t shortcut_window;
	bool is_gone;    /* until the next snapshot claims it */
	bool is_written; /* the kernel's row is this */
};

static struct destination *find(const struct control *control, const struct weft_address *address)
{
	struct hash_item *item = hash_first(&control->destinations, address_hash(address));
	for (; item; item = hash_next(item)) {
		struct destination *row = hash_entry(item, struct destination, item);
		if (address_equal(&row->address, address))
			return row;
	}
	return NULL;
}

static struct destination *find_or_add(struct control *control, const struct weft_address *address)
{
	struct destination *row = find(control, address);
	if (row)
		return row;
	row = mem_zalloc(sizeof(*row));
	if (row && hash_add(&control->destinations, &row->item, address_hash(address))) {
		mem_free(row);
		return NULL;
	}
	if (row)
		row->address = *address;
	return row;
}

static void forget(struct control *control, struct destination *row)
{
	hash_remove(&control->destinations, &row->item);
	mem_free(row);
}

/* ---- the kernel's side ---- */

static bool remove_row(struct control *control, const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	int error = kernel_destination_remove(control->options.kernel, address);
	if (!error)
		return true;
	control->destinations_owed = true;
	log_error("destination_kept", "address=%s error=\"%s\"", address_print(address, text),
		  strerror(-error));
	return false;
}

static void write_row(struct control *control, struct destination *row, const char *name)
{
	struct weft_destination value = {
		.service_id = row->service_id,
		.flags = row->flags,
		.shortcut = row->shortcut,
		.shortcut_window = row->shortcut_window,
	};
	char text[ADDRESS_TEXT_MAX];
	snprintf(value.name, sizeof(value.name), "%s", name);
	int error = kernel_destination_put(control->options.kernel, &row->address, &value);
	row->is_written = !error;
	if (!error)
		return;
	control->destinations_owed = true;
	log_error("destination_missing", "service=%s address=%s error=\"%s\"", name,
		  address_print(&row->address, text), strerror(-error));
}

/* ---- what a service has ---- */

static uint32_t flags_of(const struct service *service)
{
	uint32_t flags = service->ready_count > 0 ? WEFT_DESTINATION_READY : 0;
	return flags | (service->protocol == PROTOCOL_HTTP ? WEFT_DESTINATION_HTTP : 0);
}

/* Who dials one endpoint gets that one, whether it is ready for the service's requests or not. */
static uint32_t endpoint_flags_of(const struct service *service)
{
	uint32_t flags = flags_of(service);
	return service->balances_endpoints
		       ? flags
		       : flags | WEFT_DESTINATION_READY | WEFT_DESTINATION_ENDPOINT;
}

typedef void visit_address(struct control *control, const struct service *service,
			   const struct weft_address *address, uint32_t flags);

/* Whoever names a service's own address as an endpoint takes none of its dials. */
static void each_address(struct control *control, const struct snapshot *snapshot,
			 const struct service *service, visit_address *visit)
{
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		if (endpoint->is_destination && !snapshot_service_at(snapshot, &endpoint->address))
			visit(control, service, &endpoint->address, endpoint_flags_of(service));
	}
	for (uint32_t i = 0; i < service->address_count; i++)
		visit(control, service, &service->addresses[i], flags_of(service));
}

static void mark_gone(struct control *control, const struct service *service,
		      const struct weft_address *address, uint32_t flags)
{
	struct destination *row = find(control, address);
	(void)flags;
	if (row && row->service_id == service->id)
		row->is_gone = true;
}

static void claim(struct control *control, const struct service *service,
		  const struct weft_address *address, uint32_t flags)
{
	struct destination *row = find_or_add(control, address);
	if (!row) {
		control->destinations_owed = true;
		return;
	}
	row->is_written &= row->service_id == service->id && row->flags == flags &&
			   row->shortcut == service->shortcut &&
			   row->shortcut_window == service->shortcut_window;
	row->service_id = service->id;
	row->flags = flags;
	row->shortcut = service->shortcut;
	row->shortcut_window = service->shortcut_window;
	row->is_gone = false;
}

static void remove_if_gone(struct control *control, const struct service *service,
			   const struct weft_address *address, uint32_t flags)
{
	struct destination *row = find(control, address);
	(void)service;
	(void)flags;
	if (row && row->is_gone && remove_row(control, address))
		forget(control, row);
}

static void write_if_new(struct control *control, const struct service *service,
			 const struct weft_address *address, uint32_t flags)
{
	struct destination *row = find(control, address);
	(void)flags;
	if (row && !row->is_written && row->service_id == service->id)
		write_row(control, row, service->name);
}

/* ---- publishing ---- */

static bool is_shared(const struct snapshot *snapshot, const struct service *service)
{
	return snapshot && snapshot_service(snapshot, service->id) == service;
}

static void each_changed(struct control *control, const struct snapshot *of,
			 const struct snapshot *other, visit_address *visit)
{
	for (uint32_t i = 0; of && i < of->service_count; i++) {
		if (!is_shared(other, of->services[i]))
			each_address(control, of, of->services[i], visit);
	}
}

void destinations_publish(struct control *control, struct snapshot *next)
{
	const struct snapshot *old = control->current;
	each_changed(control, old, next, mark_gone);
	each_changed(control, next, old, claim);
	each_changed(control, old, next, remove_if_gone);
	/* Publishing frees the old one, and what is new in the next one must be known before. */
	uint32_t count = 0;
	const struct service **changed =
		mem_alloc((next->service_count + 1) * sizeof(struct service *));
	for (uint32_t i = 0; changed && i < next->service_count; i++) {
		if (!is_shared(old, next->services[i]))
			changed[count++] = next->services[i];
	}
	snapshot_publish(control->options.slot, next);
	control->current = next;
	for (uint32_t i = 0; i < count; i++)
		each_address(control, next, changed[i], write_if_new);
	for (uint32_t i = 0; !changed && i < next->service_count; i++)
		each_address(control, next, next->services[i], write_if_new);
	mem_free(changed);
}

static void remove_if_stale(const struct weft_address *address,
			    const struct weft_destination *destination, void *owner)
{
	struct control *control = owner;
	const struct destination *row = find(control, address);
	(void)destination;
	if (row ? row->is_gone : !control->holds_destinations)
		remove_row(control, address);
}

void destinations_remove_stale(struct control *control)
{
	int error = kernel_destination_each(control->options.kernel, remove_if_stale, control);
	if (error)
		control->destinations_owed = true;
}

static void rewrite(struct control *control, const struct service *service,
		    const struct weft_address *address, uint32_t flags)
{
	struct destination *row;
	claim(control, service, address, flags);
	row = find(control, address);
	if (row && !row->is_written) /* a full map must not cost all of it each second */
		write_row(control, row, service->name);
}

void destinations_reconcile(struct control *control)
{
	control->destinations_owed = false;
	destinations_remove_stale(control);
	hash_each(&control->destinations, item)
	{
		struct destination *row = hash_entry(item, struct destination, item);
		if (row->is_gone)
			forget(control, row);
	}
	for (uint32_t i = 0; i < control->current->service_count; i++)
		each_address(control, control->current, control->current->services[i], rewrite);
}

void destinations_fini(struct control *control)
{
	hash_each(&control->destinations, item)
		forget(control, hash_entry(item, struct destination, item));
	hash_fini(&control->destinations);
}
