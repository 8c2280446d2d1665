/* Whether two objects say the same, whatever memory they lie in. For tests and fuzz targets. */
#ifndef KUBE_TESTS_SAME_H
#define KUBE_TESTS_SAME_H

#include <string.h>

#include "kube/objects.h"

static inline bool same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool same_address(const struct weft_address *a, const struct weft_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool same_pairs(const struct kube_pair *a, const struct kube_pair *b, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!same_text(a[i].key, b[i].key) || !same_text(a[i].value, b[i].value))
			return false;
	}
	return true;
}

static inline bool same_addresses(const struct weft_address *a, const struct weft_address *b,
				  unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!same_address(&a[i], &b[i]))
			return false;
	}
	return true;
}

static inline bool same_meta(const struct kube_object *a, const struct kube_object *b)
{
	return same_text(a->name, b->name) && same_text(a->namespace, b->namespace) &&
	       same_text(a->uid, b->uid) && same_text(a->version, b->version) &&
	       a->created_s == b->created_s && a->kind == b->kind &&
	       a->is_deleting == b->is_deleting && a->label_count == b->label_count &&
	       a->annotation_count == b->annotation_count &&
	       same_pairs(a->labels, b->labels, a->label_count) &&
	       same_pairs(a->annotations, b->annotations, a->annotation_count);
}

static inline bool same_container(const struct kube_container *a, const struct kube_container *b)
{
	bool is_same = same_text(a->name, b->name) && same_text(a->id, b->id) &&
		       a->is_init == b->is_init && a->port_count == b->port_count;
	for (unsigned i = 0; is_same && i < a->port_count; i++)
		is_same = same_text(a->ports[i].name, b->ports[i].name) &&
			  a->ports[i].number == b->ports[i].number &&
			  a->ports[i].protocol == b->ports[i].protocol;
	return is_same;
}

static inline bool same_pod(const struct kube_pod *a, const struct kube_pod *b)
{
	bool is_same = same_text(a->node, b->node) && a->ip_count == b->ip_count &&
		       a->container_count == b->container_count && a->phase == b->phase &&
		       a->host_network == b->host_network && a->is_ready == b->is_ready &&
		       same_addresses(a->ips, b->ips, a->ip_count);
	for (unsigned i = 0; is_same && i < a->container_count; i++)
		is_same = same_container(&a->containers[i], &b->containers[i]);
	return is_same;
}

static inline bool same_node(const struct kube_node *a, const struct kube_node *b)
{
	bool is_same = same_text(a->zone, b->zone) && a->address_count == b->address_count &&
		       a->cidr_count == b->cidr_count &&
		       same_addresses(a->addresses, b->addresses, a->address_count);
	for (unsigned i = 0; is_same && i < a->cidr_count; i++)
		is_same = same_address(&a->pod_cidrs[i].base, &b->pod_cidrs[i].base) &&
			  a->pod_cidrs[i].bits == b->pod_cidrs[i].bits;
	return is_same;
}

static inline bool same_service_port(const struct kube_service_port *a,
				     const struct kube_service_port *b)
{
	return same_text(a->name, b->name) && same_text(a->app_protocol, b->app_protocol) &&
	       same_text(a->target_name, b->target_name) && a->number == b->number &&
	       a->target_number == b->target_number && a->protocol == b->protocol;
}

static inline bool same_service(const struct kube_service *a, const struct kube_service *b)
{
	bool is_same = a->ip_count == b->ip_count && a->port_count == b->port_count &&
		       same_text(a->external_name, b->external_name) && a->type == b->type &&
		       a->distribution == b->distribution && a->is_headless == b->is_headless &&
		       a->has_selector == b->has_selector &&
		       a->internal_local == b->internal_local &&
		       a->publishes_not_ready == b->publishes_not_ready &&
		       a->affinity_s == b->affinity_s &&
		       same_addresses(a->cluster_ips, b->cluster_ips, a->ip_count);
	for (unsigned i = 0; is_same && i < a->port_count; i++)
		is_same = same_service_port(&a->ports[i], &b->ports[i]);
	return is_same;
}

static inline bool same_endpoint(const struct kube_endpoint *a, const struct kube_endpoint *b)
{
	bool is_same = same_address(&a->address, &b->address) && same_text(a->node, b->node) &&
		       same_text(a->zone, b->zone) && same_text(a->pod, b->pod) &&
		       same_text(a->pod_namespace, b->pod_namespace) &&
		       same_text(a->pod_uid, b->pod_uid) && a->hint_count == b->hint_count &&
		       a->is_ready == b->is_ready && a->is_serving == b->is_serving &&
		       a->is_terminating == b->is_terminating;
	for (unsigned i = 0; is_same && i < a->hint_count; i++)
		is_same = same_text(a->hint_zones[i], b->hint_zones[i]);
	return is_same;
}

static inline bool same_slice(const struct kube_slice *a, const struct kube_slice *b)
{
	bool is_same = same_text(a->service, b->service) &&
		       a->endpoint_count == b->endpoint_count && a->port_count == b->port_count;
	for (unsigned i = 0; is_same && i < a->port_count; i++)
		is_same = same_text(a->ports[i].name, b->ports[i].name) &&
			  same_text(a->ports[i].app_protocol, b->ports[i].app_protocol) &&
			  a->ports[i].number == b->ports[i].number &&
			  a->ports[i].protocol == b->ports[i].protocol;
	for (unsigned i = 0; is_same && i < a->endpoint_count; i++)
		is_same = same_endpoint(&a->endpoints[i], &b->endpoints[i]);
	return is_same;
}

static inline bool same_object(const struct kube_object *a, const struct kube_object *b)
{
	if (!same_meta(a, b))
		return false;
	switch ((enum kube_kind)a->kind) {
	case KUBE_PODS:
		return same_pod(kube_pod_of(a), kube_pod_of(b));
	case KUBE_NODES:
		return same_node(kube_node_of(a), kube_node_of(b));
	case KUBE_SERVICES:
		return same_service(kube_service_of(a), kube_service_of(b));
	case KUBE_SLICES:
		return same_slice(kube_slice_of(a), kube_slice_of(b));
	case KUBE_NAMESPACES:
	case KUBE_KINDS:
		break;
	}
	return true;
}

#endif
