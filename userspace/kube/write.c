#include "kube/write.h"

#include <time.h>

#include "kube/names.h"

/* ---- JSON ---- */

static void add(struct text *json, const char *words)
{
	text_add(json, span_text(words));
}

/* Nothing stands between a bracket, or a name, and what follows it. */
static void separate(struct text *json)
{
	char last = json->size ? json->data[json->size - 1] : '{';
	if (last != '{' && last != '[' && last != ':')
		add(json, ",");
}

static void add_key(struct text *json, const char *key)
{
	separate(json);
	add(json, "\"");
	add(json, key);
	add(json, "\":");
}

static void begin(struct text *json, const char *bracket)
{
	separate(json);
	add(json, bracket);
}

static void begin_member(struct text *json, const char *key, const char *bracket)
{
	add_key(json, key);
	add(json, bracket);
}

static void add_string(struct text *json, const char *value)
{
	separate(json);
	text_json_string(json, span_text(value));
}

static void add_text(struct text *json, const char *key, const char *value)
{
	if (!*value)
		return;
	add_key(json, key);
	add_string(json, value);
}

static void add_number(struct text *json, const char *key, uint32_t value)
{
	if (!value)
		return;
	add_key(json, key);
	text_printf(json, "%u", value);
}

/* Unless it is what an absent one means. */
static void add_bool(struct text *json, const char *key, bool value, bool otherwise)
{
	if (value == otherwise)
		return;
	add_key(json, key);
	add(json, value ? "true" : "false");
}

static void add_address(struct text *json, const struct weft_address *address)
{
	char ip[ADDRESS_TEXT_MAX];
	add_string(json, address_print_ip(address, ip));
}

/* TCP is what an absent one means; what has no name here has none that a reader knows. */
static void add_protocol(struct text *json, uint8_t protocol)
{
	if (protocol != KUBE_TCP)
		add_text(json, "protocol",
			 protocol < KUBE_PROTOCOL_OTHER ? names_of_protocols[protocol] : "?");
}

/* ---- metadata ---- */

static void add_time(struct text *json, const char *key, uint64_t seconds)
{
	char text[32];
	struct tm parts;
	time_t time = (time_t)seconds;
	if (seconds && gmtime_r(&time, &parts) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
		add_text(json, key, text);
}

static void add_pair(struct text *json, const char *key, const char *value)
{
	add_string(json, key);
	add(json, ":");
	add_string(json, value);
}

static void add_pairs(struct text *json, const struct kube_pair *pairs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		add_pair(json, pairs[i].key, pairs[i].value);
}

/* The kept ones, and one that a reader wants whether it is kept or not. */
static void add_labels(struct text *json, const struct kube_object *object, const char *key,
		       const char *value)
{
	if (!object->label_count && !*value)
		return;
	begin_member(json, "labels", "{");
	add_pairs(json, object->labels, object->label_count);
	if (*value && !kube_label(object, key))
		add_pair(json, key, value);
	add(json, "}");
}

static void add_meta(struct text *json, const struct kube_object *object, const char *label,
		     const char *value)
{
	begin_member(json, "metadata", "{");
	add_text(json, "name", object->name);
	add_text(json, "namespace", object->namespace);
	add_text(json, "uid", object->uid);
	add_text(json, "resourceVersion", object->version);
	add_time(json, "creationTimestamp", object->created_s);
	if (object->is_deleting)
		add_text(json, "deletionTimestamp", "1970-01-01T00:00:00Z");
	add_labels(json, object, label, value);
	if (object->annotation_count) {
		begin_member(json, "annotations", "{");
		add_pairs(json, object->annotations, object->annotation_count);
		add(json, "}");
	}
	add(json, "}");
}

/* ---- pods ---- */

static void add_container_ports(struct text *json, const struct kube_container *container)
{
	if (!container->port_count)
		return;
	begin_member(json, "ports", "[");
	for (uint16_t i = 0; i < container->port_count; i++) {
		const struct kube_container_port *port = &container->ports[i];
		begin(json, "{");
		add_text(json, "name", port->name);
		add_number(json, "containerPort", port->number);
		add_protocol(json, port->protocol);
		add(json, "}");
	}
	add(json, "]");
}

static void add_containers(struct text *json, const struct kube_pod *pod, const char *key,
			   bool is_init)
{
	begin_member(json, key, "[");
	for (uint16_t i = 0; i < pod->container_count; i++) {
		if (pod->containers[i].is_init != is_init)
			continue;
		begin(json, "{");
		add_text(json, "name", pod->containers[i].name);
		add_container_ports(json, &pod->containers[i]);
		add(json, "}");
	}
	add(json, "]");
}

static void add_ids(struct text *json, const struct kube_pod *pod, const char *key, bool is_init)
{
	begin_member(json, key, "[");
	for (uint16_t i = 0; i < pod->container_count; i++) {
		if (pod->containers[i].is_init != is_init || !*pod->containers[i].id)
			continue;
		begin(json, "{");
		add_text(json, "name", pod->containers[i].name);
		add_text(json, "containerID", pod->containers[i].id);
		add(json, "}");
	}
	add(json, "]");
}

static void add_pod_status(struct text *json, const struct kube_pod *pod)
{
	begin_member(json, "status", "{");
	if (pod->phase != KUBE_PHASE_UNKNOWN)
		add_text(json, "phase", names_of_phases[pod->phase]);
	if (pod->is_ready) {
		add_key(json, "conditions");
		add(json, "[{\"type\":\"Ready\",\"status\":\"True\"}]");
	}
	begin_member(json, "podIPs", "[");
	for (uint16_t i = 0; i < pod->ip_count; i++) {
		begin(json, "{");
		add_key(json, "ip");
		add_address(json, &pod->ips[i]);
		add(json, "}");
	}
	add(json, "]");
	add_ids(json, pod, "initContainerStatuses", true);
	add_ids(json, pod, "containerStatuses", false);
	add(json, "}");
}

static void write_pod(struct text *json, const struct kube_pod *pod)
{
	add_meta(json, &pod->object, "", "");
	begin_member(json, "spec", "{");
	add_text(json, "nodeName", pod->node);
	add_bool(json, "hostNetwork", pod->host_network, false);
	add_containers(json, pod, "initContainers", true);
	add_containers(json, pod, "containers", false);
	add(json, "}");
	add_pod_status(json, pod);
}

/* ---- nodes ---- */

static void write_node(struct text *json, const struct kube_node *node)
{
	char ip[ADDRESS_TEXT_MAX];
	add_meta(json, &node->object, LABEL_ZONE, node->zone);
	add(json, ",\"spec\":{\"podCIDRs\":[");
	for (uint16_t i = 0; i < node->cidr_count; i++) {
		const struct kube_cidr *cidr = &node->pod_cidrs[i];
		separate(json);
		text_printf(json, "\"%s/%u\"", address_print_ip(&cidr->base, ip), cidr->bits);
	}
	add(json, "]},\"status\":{\"addresses\":[");
	for (uint16_t i = 0; i < node->address_count; i++) {
		begin(json, "{");
		add_text(json, "type", "InternalIP");
		add_key(json, "address");
		add_address(json, &node->addresses[i]);
		add(json, "}");
	}
	add(json, "]}");
}

/* ---- services ---- */

static void add_service_ports(struct text *json, const struct kube_service *service)
{
	begin_member(json, "ports", "[");
	for (uint16_t i = 0; i < service->port_count; i++) {
		const struct kube_service_port *port = &service->ports[i];
		begin(json, "{");
		add_text(json, "name", port->name);
		add_text(json, "appProtocol", port->app_protocol);
		add_number(json, "port", port->number);
		add_protocol(json, port->protocol);
		add_text(json, "targetPort", port->target_name);
		if (port->target_number != port->number)
			add_number(json, "targetPort", port->target_number);
		add(json, "}");
	}
	add(json, "]");
}

static void add_cluster_ips(struct text *json, const struct kube_service *service)
{
	if (service->is_headless)
		add_text(json, "clusterIP", "None");
	if (!service->ip_count)
		return;
	add_key(json, "clusterIP");
	add_address(json, &service->cluster_ips[0]);
	begin_member(json, "clusterIPs", "[");
	for (uint16_t i = 0; i < service->ip_count; i++)
		add_address(json, &service->cluster_ips[i]);
	add(json, "]");
}

static void add_affinity(struct text *json, uint32_t seconds)
{
	if (!seconds)
		return;
	add_text(json, "sessionAffinity", "ClientIP");
	add_key(json, "sessionAffinityConfig");
	text_printf(json, "{\"clientIP\":{\"timeoutSeconds\":%u}}", seconds);
}

static void write_service(struct text *json, const struct kube_service *service)
{
	static const char *const distributions[] = {[KUBE_ANYWHERE] = "",
						    [KUBE_SAME_ZONE] = "PreferSameZone",
						    [KUBE_SAME_NODE] = "PreferSameNode"};
	add_meta(json, &service->object, "", "");
	begin_member(json, "spec", "{");
	if (service->type != KUBE_CLUSTER_IP)
		add_text(json, "type", names_of_service_types[service->type]);
	add_text(json, "externalName", service->external_name);
	add_text(json, "trafficDistribution", distributions[service->distribution]);
	add_text(json, "internalTrafficPolicy", service->internal_local ? "Local" : "");
	add_bool(json, "publishNotReadyAddresses", service->publishes_not_ready, false);
	add_affinity(json, service->affinity_s);
	add_cluster_ips(json, service);
	add_service_ports(json, service);
	if (service->has_selector)
		add(json, ",\"selector\":{\"a\":\"b\"}"); /* it counts that there is one */
	add(json, "}");
}

/* ---- endpoint slices ---- */

static void add_slice_ports(struct text *json, const struct kube_slice *slice)
{
	begin_member(json, "ports", "[");
	for (uint16_t i = 0; i < slice->port_count; i++) {
		const struct kube_slice_port *port = &slice->ports[i];
		begin(json, "{");
		add_text(json, "name", port->name);
		add_text(json, "appProtocol", port->app_protocol);
		add_number(json, "port", port->number);
		add_protocol(json, port->protocol);
		add(json, "}");
	}
	add(json, "]");
}

static void add_conditions(struct text *json, const struct kube_endpoint *endpoint)
{
	begin_member(json, "conditions", "{");
	add_bool(json, "ready", endpoint->is_ready, true);
	add_bool(json, "serving", endpoint->is_serving, endpoint->is_ready);
	add_bool(json, "terminating", endpoint->is_terminating, false);
	add(json, "}");
}

static void add_target(struct text *json, const struct kube_endpoint *endpoint)
{
	if (!*endpoint->pod && !*endpoint->pod_namespace && !*endpoint->pod_uid)
		return;
	begin_member(json, "targetRef", "{");
	add_text(json, "kind", "Pod");
	add_text(json, "name", endpoint->pod);
	add_text(json, "namespace", endpoint->pod_namespace);
	add_text(json, "uid", endpoint->pod_uid);
	add(json, "}");
}

static void add_hints(struct text *json, const struct kube_endpoint *endpoint)
{
	if (!endpoint->hint_count)
		return;
	add(json, ",\"hints\":{\"forZones\":[");
	for (uint16_t i = 0; i < endpoint->hint_count; i++) {
		begin(json, "{");
		add_text(json, "name", endpoint->hint_zones[i]);
		add(json, "}");
	}
	add(json, "]}");
}

static void write_slice(struct text *json, const struct kube_slice *slice)
{
	add_meta(json, &slice->object, LABEL_SERVICE, slice->service);
	add_slice_ports(json, slice);
	begin_member(json, "endpoints", "[");
	for (uint32_t i = 0; i < slice->endpoint_count; i++) {
		const struct kube_endpoint *endpoint = &slice->endpoints[i];
		begin(json, "{");
		begin_member(json, "addresses", "[");
		add_address(json, &endpoint->address);
		add(json, "]");
		add_text(json, "nodeName", endpoint->node);
		add_text(json, "zone", endpoint->zone);
		if (!endpoint->is_ready || !endpoint->is_serving || endpoint->is_terminating)
			add_conditions(json, endpoint);
		add_target(json, endpoint);
		add_hints(json, endpoint);
		add(json, "}");
	}
	add(json, "]");
}

/* ---- any ---- */

void kube_write(const struct kube_object *object, struct text *json)
{
	add(json, "{");
	switch ((enum kube_kind)object->kind) {
	case KUBE_PODS:
		write_pod(json, kube_pod_of(object));
		break;
	case KUBE_NODES:
		write_node(json, kube_node_of(object));
		break;
	case KUBE_SERVICES:
		write_service(json, kube_service_of(object));
		break;
	case KUBE_SLICES:
		write_slice(json, kube_slice_of(object));
		break;
	case KUBE_NAMESPACES:
	case KUBE_KINDS:
		add_meta(json, object, "", "");
		break;
	}
	add(json, "}");
}
