#include "kube/read_meta.h"

#define PORTS_MOST     1024
#define ENDPOINTS_MOST 65536 /* the API server allows 1000 */
#define HINTS_MOST     64

static void read_ports(struct reader *reader, const cJSON *json, struct kube_slice *slice)
{
	const cJSON *list = reader_array(reader, json, "ports");
	uint32_t count = reader_count(reader, list, "ports", PORTS_MOST);
	struct kube_slice_port *ports = reader_take(reader, count, sizeof(*ports));
	const cJSON *element;
	slice->ports = ports;
	cJSON_ArrayForEach(element, list)
	{
		if (!ports || slice->port_count == count)
			break;
		struct kube_slice_port *port = &ports[slice->port_count++];
		port->name = reader_copied(reader, element, "name");
		port->app_protocol = reader_copied(reader, element, "appProtocol");
		port->number = (uint16_t)reader_number(reader, element, "port", UINT16_MAX);
		port->protocol = reader_protocol(reader, element);
	}
}

static void read_hints(struct reader *reader, const cJSON *json, struct kube_endpoint *endpoint)
{
	const cJSON *zones = reader_array(reader, reader_object(reader, json, "hints"), "forZones");
	uint32_t count = reader_count(reader, zones, "forZones", HINTS_MOST);
	const char **names = reader_take(reader, count, sizeof(*names));
	const cJSON *zone;
	endpoint->hint_zones = names;
	cJSON_ArrayForEach(zone, zones)
	{
		if (!names || endpoint->hint_count == count)
			break;
		names[endpoint->hint_count++] = reader_copied(reader, zone, "name");
	}
}

static void read_target(struct reader *reader, const cJSON *json, struct kube_endpoint *endpoint)
{
	const cJSON *target = reader_object(reader, json, "targetRef");
	bool is_pod = strcmp(reader_text(reader, target, "kind"), "Pod") == 0;
	endpoint->pod = is_pod ? reader_single(reader, target, "name") : "";
	endpoint->pod_namespace = is_pod ? reader_copied(reader, target, "namespace") : "";
	endpoint->pod_uid = is_pod ? reader_single(reader, target, "uid") : "";
}

static void read_conditions(struct reader *reader, const cJSON *json,
			    struct kube_endpoint *endpoint)
{
	const cJSON *conditions = reader_object(reader, json, "conditions");
	endpoint->is_ready = reader_bool(reader, conditions, "ready", true);
	endpoint->is_serving = reader_bool(reader, conditions, "serving", endpoint->is_ready);
	endpoint->is_terminating = reader_bool(reader, conditions, "terminating", false);
}

static bool read_endpoint(struct reader *reader, const cJSON *json, struct kube_endpoint *endpoint)
{
	const cJSON *first = cJSON_GetArrayItem(reader_array(reader, json, "addresses"), 0);
	const char *ip = cJSON_IsString(first) ? first->valuestring : "";
	if (reader_address(reader, ip, "addresses", &endpoint->address))
		return false;
	endpoint->node = reader_copied(reader, json, "nodeName");
	endpoint->zone = reader_copied(reader, json, "zone");
	read_conditions(reader, json, endpoint);
	read_target(reader, json, endpoint);
	read_hints(reader, json, endpoint);
	return true;
}

static void read_endpoints(struct reader *reader, const cJSON *json, struct kube_slice *slice)
{
	const cJSON *list = reader_array(reader, json, "endpoints");
	uint32_t count = reader_count(reader, list, "endpoints", ENDPOINTS_MOST);
	struct kube_endpoint *endpoints = reader_take(reader, count, sizeof(*endpoints));
	const cJSON *element;
	slice->endpoints = endpoints;
	cJSON_ArrayForEach(element, list)
	{
		if (!endpoints || slice->endpoint_count == count)
			break;
		if (read_endpoint(reader, element, &endpoints[slice->endpoint_count]))
			slice->endpoint_count++;
	}
}

struct kube_object *read_slice(struct reader *reader, const cJSON *json)
{
	struct kube_slice *slice = read_meta(reader, json, sizeof(*slice));
	if (!slice)
		return NULL;
	slice->service = read_label(reader, json, LABEL_SERVICE);
	read_ports(reader, json, slice);
	/* Names instead of addresses: endpoints that nobody here can dial. */
	if (strcmp(reader_text(reader, json, "addressType"), "FQDN") != 0)
		read_endpoints(reader, json, slice);
	return &slice->object;
}
