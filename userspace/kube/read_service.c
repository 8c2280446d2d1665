#include "kube/read_meta.h"

#define PORTS_MOST      1024
#define AFFINITY_S      10800 /* the API's default */
#define AFFINITY_S_MOST 86400

static uint8_t read_type(struct reader *reader, const char *type)
{
	unsigned count = array_count(names_of_service_types);
	unsigned place = reader_place(names_of_service_types, count, type);
	if (place < count)
		return (uint8_t)place;
	if (*type)
		reader_fault(reader, "type");
	return KUBE_CLUSTER_IP;
}

static uint8_t read_distribution(struct reader *reader, const char *name)
{
	if (strcmp(name, "PreferClose") == 0 || strcmp(name, "PreferSameZone") == 0)
		return KUBE_SAME_ZONE;
	if (strcmp(name, "PreferSameNode") == 0)
		return KUBE_SAME_NODE;
	if (*name)
		reader_fault(reader, "trafficDistribution");
	return KUBE_ANYWHERE;
}

/* A number, a name, or absent: then the service's own port. */
static void read_target(struct reader *reader, const cJSON *json, struct kube_service_port *port)
{
	const cJSON *target = cJSON_GetObjectItemCaseSensitive(json, "targetPort");
	port->target_name = "";
	if (cJSON_IsString(target) && *target->valuestring)
		port->target_name = reader_copy(reader, target->valuestring);
	else if (target && !cJSON_IsNull(target) && !cJSON_IsString(target) &&
		 !(cJSON_IsNumber(target) && target->valuedouble == 0))
		port->target_number =
			(uint16_t)reader_number(reader, json, "targetPort", UINT16_MAX);
	if (!*port->target_name && !port->target_number)
		port->target_number = port->number;
}

static void read_ports(struct reader *reader, const cJSON *spec, struct kube_service *service)
{
	const cJSON *list = reader_array(reader, spec, "ports");
	uint32_t count = reader_count(reader, list, "ports", PORTS_MOST);
	struct kube_service_port *ports = reader_take(reader, count, sizeof(*ports));
	const cJSON *json;
	service->ports = ports;
	cJSON_ArrayForEach(json, list)
	{
		uint16_t number = (uint16_t)reader_number(reader, json, "port", UINT16_MAX);
		if (!ports || service->port_count == count)
			break;
		if (!number)
			continue; /* said by reader_number, or not there at all */
		struct kube_service_port *port = &ports[service->port_count++];
		port->number = number;
		port->name = reader_copied(reader, json, "name");
		port->app_protocol = reader_copied(reader, json, "appProtocol");
		port->protocol = reader_protocol(reader, json);
		read_target(reader, json, port);
	}
}

static void read_cluster_ips(struct reader *reader, const cJSON *spec, struct kube_service *service)
{
	const char *first = reader_text(reader, spec, "clusterIP");
	service->is_headless = strcmp(first, "None") == 0;
	if (service->is_headless || !*first)
		return;
	service->cluster_ips = reader_addresses(reader, reader_array(reader, spec, "clusterIPs"),
						NULL, &service->ip_count);
	if (service->ip_count)
		return;
	struct weft_address *ip = reader_take(reader, 1, sizeof(*ip));
	if (ip && reader_address(reader, first, "clusterIP", ip) == 0) {
		service->cluster_ips = ip;
		service->ip_count = 1;
	}
}

static uint32_t read_affinity(struct reader *reader, const cJSON *spec)
{
	if (strcmp(reader_text(reader, spec, "sessionAffinity"), "ClientIP") != 0)
		return 0;
	const cJSON *settings = reader_object(reader, spec, "sessionAffinityConfig");
	uint32_t seconds = reader_number(reader, reader_object(reader, settings, "clientIP"),
					 "timeoutSeconds", AFFINITY_S_MOST);
	return seconds ? seconds : AFFINITY_S;
}

struct kube_object *read_service(struct reader *reader, const cJSON *json)
{
	struct kube_service *service = read_meta(reader, json, sizeof(*service));
	if (!service)
		return NULL;
	const cJSON *spec = reader_object(reader, json, "spec");
	const cJSON *selector = reader_object(reader, spec, "selector");
	service->type = read_type(reader, reader_text(reader, spec, "type"));
	service->external_name = reader_copied(reader, spec, "externalName");
	service->has_selector = selector && selector->child;
	service->internal_local =
		strcmp(reader_text(reader, spec, "internalTrafficPolicy"), "Local") == 0;
	service->publishes_not_ready = reader_bool(reader, spec, "publishNotReadyAddresses", false);
	service->distribution =
		read_distribution(reader, reader_text(reader, spec, "trafficDistribution"));
	service->affinity_s = read_affinity(reader, spec);
	read_cluster_ips(reader, spec, service);
	read_ports(reader, spec, service);
	return &service->object;
}
