#include "control/catalog.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "control/annotations.h"
#include "model/keys.h"

/* One Service of the API, or EndpointSlices that still miss theirs. */
struct entry {
	struct hash_item item;
	struct list stale;
	struct list moved;
	struct list services;               /* of struct catalog_service, one for each port */
	const struct kube_service *service; /* NULL = none */
	const struct kube_slice **slices;
	uint32_t slice_count;
	uint32_t slice_capacity;
	uint64_t records; /* that its endpoints take */
	bool is_left_out; /* they are too many */
	char *namespace;
	char *name;
};

struct catalog_service {
	struct list item;
	struct entry *entry;
	uint32_t index; /* of its draft */
	bool is_wanted; /* by its entry as that is now */
	struct claimant claimant;
	struct claim *claims; /* one for each endpoint, in the same order */
	struct endpoint_draft *endpoints;
	uint32_t endpoint_count;
	struct draft_value *addresses;
	struct draft_value port;
	char name[WEFT_NAME_MAX];
};

void catalog_init(struct catalog *catalog, const struct catalog_hooks *hooks)
{
	*catalog = (struct catalog){.hooks = *hooks};
	keys_default_resilience(&catalog->resilience);
	list_init(&catalog->stale);
	list_init(&catalog->moved);
}

/* ---- entries ---- */

static uint32_t entry_hash(const char *namespace, const char *name)
{
	return hash_text(span_text(name), hash_text(span_text(namespace), 0));
}

static struct entry *entry_find(const struct catalog *catalog, const char *namespace,
				const char *name)
{
	struct hash_item *item = hash_first(&catalog->entries, entry_hash(namespace, name));
	for (; item; item = hash_next(item)) {
		struct entry *entry = hash_entry(item, struct entry, item);
		if (strcmp(entry->name, name) == 0 && strcmp(entry->namespace, namespace) == 0)
			return entry;
	}
	return NULL;
}

static void entry_free(struct entry *entry)
{
	mem_free(entry->namespace);
	mem_free(entry->name);
	mem_free(entry->slices);
	mem_free(entry);
}

static struct entry *entry_get(struct catalog *catalog, const char *namespace, const char *name)
{
	struct entry *entry = entry_find(catalog, namespace, name);
	if (entry)
		return entry;
	entry = mem_zalloc(sizeof(*entry));
	if (!entry)
		return NULL;
	list_init(&entry->stale);
	list_init(&entry->moved);
	list_init(&entry->services);
	entry->namespace = mem_text(namespace, strlen(namespace));
	entry->name = mem_text(name, strlen(name));
	if (!entry->namespace || !entry->name ||
	    hash_add(&catalog->entries, &entry->item, entry_hash(namespace, name))) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

static void make_stale(struct catalog *catalog, struct entry *entry)
{
	if (!list_is_linked(&entry->stale))
		list_add_last(&catalog->stale, &entry->stale);
}

/* ---- what the API tells ---- */

void catalog_service_changed(struct catalog *catalog, const struct kube_object *before,
			     const struct kube_object *after)
{
	const struct kube_object *object = after ? after : before;
	struct entry *entry = entry_get(catalog, object->namespace, object->name);
	if (kube_service_is_api(object)) {
		catalog->api = after ? kube_service_of(after) : NULL;
		catalog_place_changed(catalog);
	}
	if (!entry) {
		catalog->has_gaps = true;
		return;
	}
	entry->service = after ? kube_service_of(after) : NULL;
	make_stale(catalog, entry);
}

static void slice_remove(struct catalog *catalog, const struct kube_slice *slice)
{
	struct entry *entry = entry_find(catalog, slice->object.namespace, slice->service);
	for (uint32_t i = 0; entry && i < entry->slice_count; i++) {
		if (entry->slices[i] != slice)
			continue;
		entry->slices[i] = entry->slices[--entry->slice_count];
		make_stale(catalog, entry);
		return;
	}
}

static int slice_add(struct catalog *catalog, const struct kube_slice *slice)
{
	struct entry *entry = entry_get(catalog, slice->object.namespace, slice->service);
	if (!entry)
		return -ENOMEM;
	if (entry->slice_count == entry->slice_capacity) {
		uint32_t capacity = entry->slice_capacity ? 2 * entry->slice_capacity : 1;
		const struct kube_slice **slices =
			mem_realloc(entry->slices, capacity * sizeof(struct kube_slice *));
		if (!slices)
			return -ENOMEM;
		entry->slices = slices;
		entry->slice_capacity = capacity;
	}
	entry->slices[entry->slice_count++] = slice;
	make_stale(catalog, entry);
	return 0;
}

/* A slice without the label belongs to no Service. */
static bool has_service(const struct kube_object *slice)
{
	return slice && *kube_slice_of(slice)->service;
}

static bool is_used(const struct catalog *catalog, const struct entry *entry)
{
	if (!entry || !catalog->hooks.is_used)
		return false;
	list_each (&entry->services, item) {
		const struct catalog_service *service =
			list_entry(item, struct catalog_service, item);
		if (catalog->hooks.is_used(catalog->hooks.owner, service->name))
			return true;
	}
	return false;
}

bool catalog_slice_changed(struct catalog *catalog, const struct kube_object *before,
			   const struct kube_object *after)
{
	bool does_harm = false;
	if (has_service(before)) {
		const struct kube_slice *old = kube_slice_of(before);
		does_harm =
			is_used(catalog, entry_find(catalog, before->namespace, old->service)) &&
			kube_slice_takes_away(old,
					      has_service(after) ? kube_slice_of(after) : NULL);
		slice_remove(catalog, old);
	}
	if (has_service(after) && slice_add(catalog, kube_slice_of(after)))
		catalog->has_gaps = true;
	return does_harm;
}

static bool has_pod(const struct entry *entry, const char *uid)
{
	for (uint32_t i = 0; i < entry->slice_count; i++) {
		const struct kube_slice *slice = entry->slices[i];
		for (uint32_t j = 0; j < slice->endpoint_count; j++) {
			if (strcmp(slice->endpoints[j].pod_uid, uid) == 0)
				return true;
		}
	}
	return false;
}

bool catalog_pod_ended(struct catalog *catalog, const struct kube_object *pod)
{
	bool does_harm = false;
	hash_each(&catalog->entries, item)
	{
		struct entry *entry = hash_entry(item, struct entry, item);
		if (strcmp(entry->namespace, pod->namespace) != 0 || !has_pod(entry, pod->uid))
			continue;
		make_stale(catalog, entry);
		does_harm |= is_used(catalog, entry);
	}
	return does_harm;
}

static const char *shortcut_of(const struct kube_object *namespace)
{
	const char *value = namespace ? kube_annotation(namespace, ANNOTATION_SHORTCUT) : NULL;
	return value ? value : "";
}

bool catalog_namespace_changed(struct catalog *catalog, const struct kube_object *before,
			       const struct kube_object *after)
{
	const char *name = (after ? after : before)->name;
	bool is_due = false;
	if (strcmp(shortcut_of(before), shortcut_of(after)) == 0)
		return false; /* nothing else of it is looked at, and many come in a row */
	hash_each(&catalog->entries, item)
	{
		struct entry *entry = hash_entry(item, struct entry, item);
		if (strcmp(entry->namespace, name) != 0)
			continue;
		make_stale(catalog, entry);
		is_due = true;
	}
	return is_due;
}

void catalog_place_changed(struct catalog *catalog)
{
	hash_each(&catalog->entries, item)
		make_stale(catalog, hash_entry(item, struct entry, item));
}

void catalog_limit(struct catalog *catalog, uint64_t record_limit)
{
	if (catalog->record_limit != record_limit)
		catalog_place_changed(catalog);
	catalog->record_limit = record_limit;
}

/* ---- claims ---- */

static struct catalog_service *service_of(const struct claimant *claimant)
{
	return container_of((struct claimant *)claimant, struct catalog_service, claimant);
}

/* Its endpoints are to be looked at again: somebody came between, or left. */
static void note_moved(struct catalog *catalog, const struct claimant *claimant)
{
	if (!claimant)
		return;
	struct entry *entry = service_of(claimant)->entry;
	if (!list_is_linked(&entry->moved))
		list_add_last(&catalog->moved, &entry->moved);
}

static void claims_drop(struct catalog *catalog, struct catalog_service *service)
{
	for (uint32_t i = 0; service->claims && i < service->endpoint_count; i++) {
		struct claim *claim = &service->claims[i];
		if (!claim->claimant)
			continue; /* there was no memory to enter it */
		claims_remove(&catalog->claims, claim);
		note_moved(catalog, claims_winner(&catalog->claims, &claim->address));
	}
}

static int claims_enter(struct catalog *catalog, struct catalog_service *service)
{
	service->claims = mem_zalloc((service->endpoint_count + 1) * sizeof(*service->claims));
	if (!service->claims)
		return -ENOMEM;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		struct claim *claim = &service->claims[i];
		claim->address = service->endpoints[i].address;
		note_moved(catalog, claims_winner(&catalog->claims, &claim->address));
		if (claims_add(&catalog->claims, claim))
			return -ENOMEM;
		claim->claimant = &service->claimant;
	}
	return 0;
}

/* ---- drafts ---- */

static int drafts_make_room(struct catalog *catalog)
{
	if (catalog->count < catalog->capacity)
		return 0;
	uint32_t capacity = catalog->capacity ? 2 * catalog->capacity : 64;
	struct service_draft *drafts =
		mem_realloc(catalog->drafts, capacity * sizeof(*catalog->drafts));
	if (!drafts)
		return -ENOMEM;
	catalog->drafts = drafts;
	catalog->capacity = capacity;
	return 0;
}

static struct catalog_service *owner_of(const struct service_draft *draft)
{
	return container_of((char(*)[WEFT_NAME_MAX])draft->name, struct catalog_service, name);
}

static int compare_drafts(const void *a, const void *b)
{
	return strcmp(((const struct service_draft *)a)->name,
		      ((const struct service_draft *)b)->name);
}

static void drafts_sort(struct catalog *catalog)
{
	if (catalog->is_unsorted)
		qsort(catalog->drafts, catalog->count, sizeof(*catalog->drafts), compare_drafts);
	for (uint32_t i = 0; catalog->is_unsorted && i < catalog->count; i++)
		owner_of(&catalog->drafts[i])->index = i;
	catalog->is_unsorted = false;
}

static void draft_remove(struct catalog *catalog, uint32_t index)
{
	struct service_draft *last = &catalog->drafts[--catalog->count];
	owner_of(last)->index = index;
	catalog->drafts[index] = *last;
	catalog->is_unsorted = true;
}

/* ---- services ---- */

static struct catalog_service *service_named(const struct entry *entry, const char *name)
{
	list_each (&entry->services, item) {
		struct catalog_service *service = list_entry(item, struct catalog_service, item);
		if (strcmp(service->name, name) == 0)
			return service;
	}
	return NULL;
}

static struct catalog_service *service_add(struct catalog *catalog, struct entry *entry,
					   const char *name)
{
	struct catalog_service *service = mem_zalloc(sizeof(*service));
	if (!service || drafts_make_room(catalog)) {
		mem_free(service);
		return NULL;
	}
	service->entry = entry;
	memcpy(service->name, name, sizeof(service->name));
	service->index = catalog->count++;
	catalog->drafts[service->index].name = service->name;
	catalog->is_unsorted = true;
	list_add_last(&entry->services, &service->item);
	return service;
}

static void service_empty(struct catalog *catalog, struct catalog_service *service)
{
	claims_drop(catalog, service);
	mem_free(service->claims);
	mem_free(service->endpoints);
	mem_free(service->addresses);
	service->claims = NULL;
	service->endpoints = NULL;
	service->endpoint_count = 0;
	service->addresses = NULL;
}

static void service_remove(struct catalog *catalog, struct catalog_service *service)
{
	service_empty(catalog, service);
	draft_remove(catalog, service->index);
	list_remove(&service->item);
	mem_free(service);
}

static void draft_write(const struct catalog *catalog, struct catalog_service *service,
			const struct kube_service_port *port, struct service_draft *ret)
{
	const struct kube_service *of = service->entry->service;
	const struct kube_object *namespace =
		catalog->hooks.find_namespace(catalog->hooks.owner, service->entry->namespace);
	*ret = (struct service_draft){
		.may_be_left_out = true,
		.protocol = kube_service_protocol(of, port),
		.balancer = kube_service_balancer(of),
		.balancing = {.near_limit = 32, .panic_percent = PANIC_PERCENT},
		.shortcut = annotation_shortcut(&of->object, namespace),
		.shortcut_window = annotation_shortcut_window(&of->object),
		.trusts_dtabs = annotation_trusts_dtabs(&of->object),
		.resilience = catalog->resilience,
		.balances_endpoints = kube_service_balances_endpoints(of),
		.name = service->name,
		.addresses = {.count = of->ip_count, .items = service->addresses},
		.ports = {.count = 1, .items = &service->port},
		.endpoints = {.count = service->endpoint_count, .items = service->endpoints},
	};
	annotations_read_service(&of->object, ret, NULL);
}

static int service_fill(struct catalog_service *service, const struct entry *entry,
			const struct kube_service_port *port, const struct kube_place *place)
{
	const struct kube_service *of = entry->service;
	service->claimant = (struct claimant){
		.name = service->name,
		.namespace = entry->namespace,
		.created_s = of->object.created_s,
		.is_headless = of->is_headless,
	};
	service->port.number = port->number;
	service->addresses = mem_zalloc((of->ip_count + 1u) * sizeof(*service->addresses));
	if (!service->addresses)
		return -ENOMEM;
	for (uint16_t i = 0; i < of->ip_count; i++)
		service->addresses[i].address = of->cluster_ips[i];
	return kube_service_endpoints(of, port, entry->slices, entry->slice_count, place,
				      &service->endpoints, &service->endpoint_count);
}

static int service_enter(struct catalog *catalog, struct entry *entry,
			 const struct kube_service_port *port, const struct kube_place *place)
{
	char name[WEFT_NAME_MAX];
	kube_service_name(entry->service, port, name);
	struct catalog_service *service = service_named(entry, name);
	if (service)
		service_empty(catalog, service);
	else
		service = service_add(catalog, entry, name);
	if (!service)
		return -ENOMEM;
	int error = service_fill(service, entry, port, place);
	if (!error)
		error = claims_enter(catalog, service);
	service->is_wanted = !error; /* else it is removed with those that are gone */
	draft_write(catalog, service, port, &catalog->drafts[service->index]);
	return error;
}

/* ---- refreshing ---- */

static void entry_clear(struct catalog *catalog, struct entry *entry)
{
	list_each (&entry->services, item)
		service_remove(catalog, list_entry(item, struct catalog_service, item));
}

static void entry_forget(struct catalog *catalog, struct entry *entry)
{
	list_remove(&entry->stale);
	list_remove(&entry->moved);
	hash_remove(&catalog->entries, &entry->item);
	entry_free(entry);
}

static bool is_second(const struct kube_service *service, uint16_t index)
{
	for (uint16_t i = 0; i < index; i++) {
		if (service->ports[i].number == service->ports[index].number &&
		    kube_service_port_is_meshed(&service->ports[i]))
			return true;
	}
	return false;
}

static void entry_fill(struct catalog *catalog, struct entry *entry, const struct kube_place *place)
{
	const struct kube_service *service = entry->service;
	for (uint16_t i = 0; i < service->port_count; i++) {
		const struct kube_service_port *port = &service->ports[i];
		if (!kube_service_port_is_meshed(port) || is_second(service, i))
			continue;
		if (service_enter(catalog, entry, port, place))
			catalog->has_gaps = true;
	}
}

static void entry_judge(struct catalog *catalog, struct entry *entry)
{
	bool was_left_out = entry->is_left_out;
	const struct kube_service *service = entry->service;
	entry->records = 0;
	if (service && kube_service_is_meshed(service))
		entry->records =
			kube_service_record_count(service, entry->slices, entry->slice_count);
	entry->is_left_out = catalog->record_limit && entry->records > catalog->record_limit;
	catalog->left_out_count += (uint32_t)entry->is_left_out - (uint32_t)was_left_out;
	if (entry->is_left_out && !was_left_out && catalog->hooks.left_out)
		catalog->hooks.left_out(catalog->hooks.owner, service, entry->records);
}

/* What stays keeps the place of its draft. */
static void entry_compute(struct catalog *catalog, struct entry *entry,
			  const struct kube_place *place)
{
	list_each (&entry->services, item)
		list_entry(item, struct catalog_service, item)->is_wanted = false;
	entry_judge(catalog, entry);
	if (entry->service && kube_service_is_meshed(entry->service) && !entry->is_left_out)
		entry_fill(catalog, entry, place);
	list_each (&entry->services, item) {
		struct catalog_service *service = list_entry(item, struct catalog_service, item);
		if (!service->is_wanted)
			service_remove(catalog, service);
	}
	if (!entry->service && entry->slice_count == 0)
		entry_forget(catalog, entry);
	else if (!list_is_linked(&entry->moved))
		list_add_last(&catalog->moved, &entry->moved);
}

static bool is_api(const struct catalog *catalog, const struct weft_address *address)
{
	for (uint16_t i = 0; catalog->api && i < catalog->api->ip_count; i++) {
		if (memcmp(catalog->api->cluster_ips[i].ip, address->ip, sizeof(address->ip)) == 0)
			return true;
	}
	return false;
}

/* A slice may name any address. Where that only gives a dial a name, so be it; but what others
 * claim too is not balanced, which would lead their clients astray. */
static bool takes_dials(const struct catalog *catalog, const struct catalog_service *service,
			const struct weft_address *address)
{
	if (claims_winner(&catalog->claims, address) != &service->claimant ||
	    is_api(catalog, address))
		return false;
	return !catalog->drafts[service->index].balances_endpoints ||
	       !claims_are_contested(&catalog->claims, address);
}

static void mark_destinations(struct catalog *catalog, struct entry *entry)
{
	list_each (&entry->services, item) {
		struct catalog_service *service = list_entry(item, struct catalog_service, item);
		for (uint32_t i = 0; i < service->endpoint_count; i++) {
			struct endpoint_draft *endpoint = &service->endpoints[i];
			endpoint->is_destination =
				takes_dials(catalog, service, &endpoint->address);
		}
		catalog->drafts[service->index].same_id = 0;
	}
}

void catalog_refresh(struct catalog *catalog, const struct kube_place *place,
		     struct draft_list *ret)
{
	while (!list_is_empty(&catalog->stale)) {
		struct entry *entry = list_entry(catalog->stale.next, struct entry, stale);
		list_remove(&entry->stale);
		entry_compute(catalog, entry, place);
	}
	while (!list_is_empty(&catalog->moved)) {
		struct entry *entry = list_entry(catalog->moved.next, struct entry, moved);
		list_remove(&entry->moved);
		mark_destinations(catalog, entry);
	}
	drafts_sort(catalog);
	*ret = (struct draft_list){.count = catalog->count, .items = catalog->drafts};
}

/* 0 = it was left out. In its place may be a service of the config, with its name and then its id.
 */
static uint32_t id_in(const struct snapshot *snapshot, const struct service_draft *draft)
{
	const struct service *service =
		draft->same_id ? snapshot_service(snapshot, draft->same_id)
			       : snapshot_service_named(snapshot, span_text(draft->name));
	return service && service->may_be_left_out ? service->id : 0;
}

void catalog_built(struct catalog *catalog, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < catalog->count; i++)
		catalog->drafts[i].same_id = id_in(snapshot, &catalog->drafts[i]);
}

void catalog_each_left_out(const struct catalog *catalog,
			   void (*each)(void *owner, const char *namespace, const char *name,
					uint64_t records),
			   void *owner)
{
	if (catalog->left_out_count == 0)
		return;
	hash_each(&catalog->entries, item)
	{
		const struct entry *entry = hash_entry(item, struct entry, item);
		if (entry->is_left_out)
			each(owner, entry->namespace, entry->name, entry->records);
	}
}

void catalog_fini(struct catalog *catalog)
{
	const struct catalog kept = *catalog;
	hash_each(&catalog->entries, item)
	{
		struct entry *entry = hash_entry(item, struct entry, item);
		entry_clear(catalog, entry);
	}
	hash_each(&catalog->entries, item)
		entry_forget(catalog, hash_entry(item, struct entry, item));
	hash_fini(&catalog->entries);
	claims_fini(&catalog->claims);
	mem_free(catalog->drafts);
	catalog_init(catalog, &kept.hooks);
	catalog->record_limit = kept.record_limit;
}
