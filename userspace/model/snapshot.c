#include "model/snapshot.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/span.h"
#include "model/endpoint_set.h"
#include "model/index.h"
#include "model/shared.h"

const struct service *snapshot_service(const struct snapshot *snapshot, uint32_t id)
{
	return id < snapshot->service_id_limit ? snapshot->service_by_id[id] : NULL;
}

const struct service *snapshot_service_at(const struct snapshot *snapshot,
					  const struct weft_address *address)
{
	return snapshot->index ? index_find(snapshot->index, address) : NULL;
}

static int compare_name(struct span a, const char *b)
{
	size_t size = strlen(b);
	int order = memcmp(a.data, b, a.size < size ? a.size : size);
	return order ? order : (a.size > size) - (a.size < size);
}

const struct service *snapshot_service_named(const struct snapshot *snapshot, struct span name)
{
	uint32_t low = 0;
	uint32_t high = snapshot->service_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_name(name, snapshot->services[middle]->name);
		if (order == 0)
			return snapshot->services[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *shortcut_name(enum weft_shortcut shortcut)
{
	static const char *const names[] = {[WEFT_SHORTCUT_INHERIT] = "inherit",
					    [WEFT_SHORTCUT_OFF] = "off",
					    [WEFT_SHORTCUT_AUTO] = "auto",
					    [WEFT_SHORTCUT_ON] = "on"};
	return names[shortcut];
}

bool port_list_has(const struct port_list *list, uint16_t port)
{
	uint32_t low = 0;
	uint32_t high = list->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (list->items[middle] == port)
			return true;
		if (list->items[middle] > port)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

const struct pod *snapshot_pod_named(const struct snapshot *snapshot, struct span name)
{
	uint32_t low = 0;
	uint32_t high = snapshot->pod_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_name(name, snapshot->pods[middle]->name);
		if (order == 0)
			return snapshot->pods[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct endpoint *service_endpoint_at(const struct service *service,
					   const struct weft_address *address)
{
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		if (address_equal(&service->endpoints[i].address, address))
			return &service->endpoints[i];
	}
	return NULL;
}

const struct endpoint *service_endpoint(const struct service *service, uint32_t endpoint_id)
{
	uint32_t low = 0;
	uint32_t high = service->endpoint_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct endpoint *endpoint = &service->endpoints[middle];
		if (endpoint->id == endpoint_id)
			return endpoint;
		if (endpoint_id < endpoint->id)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void service_drop(struct service *service)
{
	if (!service)
		return;
	assert(service->users > 0);
	if (--service->users > 0)
		return;
	mem_free(service->addresses);
	mem_free(service->endpoints);
	endpoint_sets_fini(service);
	mem_free(service->sticky.items);
	mem_free(service);
}

/* The count is the control thread's own; everything else of a pod is immutable. */
const struct pod *pod_keep(const struct pod *pod)
{
	((struct pod *)pod)->users++;
	return pod;
}

void pod_drop(const struct pod *pod)
{
	struct pod *own = (struct pod *)pod;
	if (!own)
		return;
	assert(own->users > 0);
	if (--own->users > 0)
		return;
	mem_free(own->netns_path);
	mem_free(own->cgroup_path);
	mem_free(own->skip_ports.items);
	mem_free(own->opaque_ports.items);
	mem_free(own->http_ports.items);
	mem_free(own->skip_cidrs);
	mem_free(own);
}

static void settings_fini(struct settings *settings)
{
	mem_free(settings->admin_address);
	mem_free(settings->control_socket);
	mem_free(settings->pin_dir);
	mem_free(settings->cgroup_root);
	mem_free(settings->kube_api);
	mem_free(settings->kube_node);
	mem_free(settings->proc_root);
	mem_free(settings->locality_node);
	mem_free(settings->locality_zone);
	mem_free(settings->sticky_secret);
	mem_free(settings->log_level);
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (uint32_t i = 0; i < snapshot->service_count; i++)
		service_drop(snapshot->services[i]);
	for (uint32_t i = 0; i < snapshot->pod_count; i++)
		pod_drop(snapshot->pods[i]);
	mem_free(snapshot->services);
	mem_free(snapshot->pods);
	mem_free(snapshot->service_by_id);
	ids_fini(&snapshot->endpoint_ids);
	index_free(snapshot->index);
	route_set_drop(snapshot->routes);
	naming_drop(snapshot->naming);
	mem_free(snapshot->route_scopes);
	mem_free(snapshot->backend_services);
	settings_fini(&snapshot->settings);
	mem_free(snapshot);
}
