#include "kube/read_meta.h"

#define PORTS_MOST      1024
#define CONTAINERS_MOST 1024

static void read_port(struct reader *reader, const cJSON *json, struct kube_container_port *port)
{
	port->name = reader_copied(reader, json, "name");
	port->number = (uint16_t)reader_number(reader, json, "containerPort", UINT16_MAX);
	port->protocol = reader_protocol(reader, json);
}

/* The id is in the status, under the container's name. */
static const char *read_id(struct reader *reader, const cJSON *statuses, const char *name)
{
	const cJSON *status;
	cJSON_ArrayForEach(status, statuses)
	{
		if (*name && strcmp(reader_text(reader, status, "name"), name) == 0)
			return reader_copied(reader, status, "containerID");
	}
	return "";
}

static void read_container(struct reader *reader, const cJSON *json, const cJSON *statuses,
			   struct kube_container *container)
{
	const cJSON *ports = reader_array(reader, json, "ports");
	uint32_t count = reader_count(reader, ports, "ports", PORTS_MOST);
	struct kube_container_port *to = reader_take(reader, count, sizeof(*to));
	const cJSON *port;
	container->name = reader_copied(reader, json, "name");
	container->id = read_id(reader, statuses, container->name);
	container->ports = to;
	cJSON_ArrayForEach(port, ports)
	{
		if (!to || container->port_count == count)
			break;
		read_port(reader, port, &to[container->port_count++]);
	}
}

/* One list of containers of the pod, with its statuses, behind what is there. */
static void read_containers(struct reader *reader, const cJSON *list, const cJSON *statuses,
			    bool is_init, struct kube_container *to, struct kube_pod *pod,
			    uint32_t most)
{
	const cJSON *json;
	cJSON_ArrayForEach(json, list)
	{
		if (!to || pod->container_count == most)
			break;
		struct kube_container *container = &to[pod->container_count++];
		container->is_init = is_init;
		read_container(reader, json, statuses, container);
	}
}

static void read_all_containers(struct reader *reader, const cJSON *spec, const cJSON *status,
				struct kube_pod *pod)
{
	const cJSON *init = reader_array(reader, spec, "initContainers");
	const cJSON *rest = reader_array(reader, spec, "containers");
	uint32_t count = reader_count(reader, init, "initContainers", CONTAINERS_MOST) +
			 reader_count(reader, rest, "containers", CONTAINERS_MOST);
	struct kube_container *containers = reader_take(reader, count, sizeof(*containers));
	pod->containers = containers;
	read_containers(reader, init, reader_array(reader, status, "initContainerStatuses"), true,
			containers, pod, count);
	read_containers(reader, rest, reader_array(reader, status, "containerStatuses"), false,
			containers, pod, count);
}

static uint8_t read_phase(struct reader *reader, const cJSON *status)
{
	unsigned count = array_count(names_of_phases);
	unsigned place = reader_place(names_of_phases, count, reader_text(reader, status, "phase"));
	return place < count ? (uint8_t)place : KUBE_PHASE_UNKNOWN;
}

static bool read_ready(struct reader *reader, const cJSON *status)
{
	const cJSON *condition;
	cJSON_ArrayForEach(condition, reader_array(reader, status, "conditions"))
	{
		if (strcmp(reader_text(reader, condition, "type"), "Ready") == 0)
			return strcmp(reader_text(reader, condition, "status"), "True") == 0;
	}
	return false;
}

static void read_ips(struct reader *reader, const cJSON *status, struct kube_pod *pod)
{
	pod->ips = reader_addresses(reader, reader_array(reader, status, "podIPs"), "ip",
				    &pod->ip_count);
	const char *single = reader_text(reader, status, "podIP");
	if (pod->ip_count || !*single)
		return;
	struct weft_address *ip = reader_take(reader, 1, sizeof(*ip));
	if (ip && reader_address(reader, single, "podIP", ip) == 0) {
		pod->ips = ip;
		pod->ip_count = 1;
	}
}

struct kube_object *read_pod(struct reader *reader, const cJSON *json)
{
	struct kube_pod *pod = read_meta(reader, json, sizeof(*pod));
	if (!pod)
		return NULL;
	const cJSON *spec = reader_object(reader, json, "spec");
	const cJSON *status = reader_object(reader, json, "status");
	pod->node = reader_copied(reader, spec, "nodeName");
	pod->host_network = reader_bool(reader, spec, "hostNetwork", false);
	pod->phase = read_phase(reader, status);
	pod->is_ready = read_ready(reader, status);
	read_ips(reader, status, pod);
	read_all_containers(reader, spec, status, pod);
	return &pod->object;
}
