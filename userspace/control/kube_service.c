#include "control/kube_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "control/annotations.h"

bool kube_service_is_api(const struct kube_object *service)
{
	return strcmp(service->namespace, "default") == 0 &&
	       strcmp(service->name, "kubernetes") == 0;
}

bool kube_service_is_meshed(const struct kube_service *service)
{
	if (kube_service_is_api(&service->object))
		return false;
	return service->type != KUBE_EXTERNAL_NAME;
}

bool kube_service_port_is_meshed(const struct kube_service_port *port)
{
	return port->protocol == KUBE_TCP && port->number != 0;
}

static uint64_t tcp_ports_of(const struct kube_slice *slice)
{
	uint64_t count = 0;
	for (uint16_t i = 0; i < slice->port_count; i++)
		count += slice->ports[i].protocol == KUBE_TCP && slice->ports[i].number != 0;
	return count;
}

/* By the slices alone, which have the Service's ports: a Service of a thousand ports must not cost
 * a comparison of each with each before it is found too large. */
uint64_t kube_service_record_count(const struct kube_service *service,
				   const struct kube_slice *const *slices, uint32_t slice_count)
{
	uint64_t meshed = 0;
	uint64_t records = 0;
	for (uint16_t i = 0; i < service->port_count; i++)
		meshed += kube_service_port_is_meshed(&service->ports[i]);
	for (uint32_t i = 0; i < slice_count; i++) {
		uint64_t ports = tcp_ports_of(slices[i]);
		records += (ports < meshed ? ports : meshed) * slices[i]->endpoint_count;
	}
	return records;
}

void kube_service_name(const struct kube_service *service, const struct kube_service_port *port,
		       char ret_name[WEFT_NAME_MAX])
{
	snprintf(ret_name, WEFT_NAME_MAX, "/svc/%s/%s/%u", service->object.namespace,
		 service->object.name, port->number);
}

/* appProtocol is a name of IANA's or PREFIX/name; http and ws begin as HTTP/1.1. What else is known
 * is left to the first bytes: TLS and HTTP/2 show themselves. */
static bool protocol_by_name(const char *name, enum protocol *ret)
{
	static const char *const http[] = {"http", "kubernetes.io/ws", "ws"};
	static const char *const opaque[] = {"tcp", "mysql", "smtp", "postgres", "redis", "mongo"};
	for (size_t i = 0; i < array_count(http); i++) {
		if (strcasecmp(name, http[i]) == 0) {
			*ret = PROTOCOL_HTTP;
			return true;
		}
	}
	for (size_t i = 0; i < array_count(opaque); i++) {
		if (strcasecmp(name, opaque[i]) == 0) {
			*ret = PROTOCOL_OPAQUE;
			return true;
		}
	}
	return false;
}

enum protocol kube_service_protocol(const struct kube_service *service,
				    const struct kube_service_port *port)
{
	enum protocol protocol;
	if (annotation_protocol(&service->object, port->number, &protocol))
		return protocol;
	if (*port->app_protocol)
		return protocol_by_name(port->app_protocol, &protocol) ? protocol : PROTOCOL_AUTO;
	bool is_http = strcmp(port->name, "http") == 0 || strncmp(port->name, "http-", 5) == 0;
	return is_http ? PROTOCOL_HTTP : PROTOCOL_AUTO;
}

/* By latency, a client that asks one after the other stays with one of two; the cluster has no word
 * for that yet, so least requests it is, which draws where nothing is under way. */
enum balancer kube_service_balancer(const struct kube_service *service)
{
	return service->affinity_s ? BALANCER_CLIENT_IP : BALANCER_P2C;
}

bool kube_service_balances_endpoints(const struct kube_service *service)
{
	const char *value = kube_annotation(&service->object, ANNOTATION_HEADLESS);
	return service->is_headless && value && strcmp(value, "balance") == 0;
}

/* ---- endpoints ---- */

/* How willing an endpoint is; greater is better. */
enum readiness { UNREADY, LEAVING, READY };

struct candidate {
	const struct kube_endpoint *endpoint;
	struct weft_address address;
	enum readiness readiness;
	bool is_taken;
};

static enum readiness readiness_of(const struct kube_endpoint *endpoint)
{
	if (endpoint->is_ready)
		return READY;
	return endpoint->is_serving && endpoint->is_terminating ? LEAVING : UNREADY;
}

/* By what is known of the pods here before the slices say it. A Service that publishes what is not
 * ready has pods that end as ready ones. */
static enum readiness readiness_here(const struct kube_service *service,
				     const struct kube_endpoint *endpoint,
				     const struct kube_place *place)
{
	enum readiness readiness = readiness_of(endpoint);
	if (readiness == UNREADY || !place->ended || !*endpoint->pod_uid ||
	    strcmp(endpoint->node, place->node) != 0)
		return readiness;
	switch (ended_find(place->ended, endpoint->pod_uid)) {
	case POD_STAYS:
		break;
	case POD_ENDS:
		return service->publishes_not_ready ? readiness : LEAVING;
	case POD_ENDED:
		return UNREADY;
	}
	return readiness;
}

/* The place from `from` on, around the end, of this address; the count of endpoints = nowhere. */
static uint32_t find_endpoint(const struct kube_slice *slice, const struct weft_address *address,
			      uint32_t from, uint64_t *steps)
{
	for (uint32_t i = 0; i < slice->endpoint_count; i++, ++*steps) {
		uint32_t at = (from + i) % slice->endpoint_count;
		if (address_equal(&slice->endpoints[at].address, address))
			return at;
	}
	return slice->endpoint_count;
}

/* The API server keeps their order, more or less: each is looked for behind the one before. */
bool kube_slice_takes_away(const struct kube_slice *before, const struct kube_slice *after)
{
	uint32_t from = 0;
	uint64_t steps = 0;
	for (uint32_t i = 0; i < before->endpoint_count; i++) {
		const struct kube_endpoint *old = &before->endpoints[i];
		if (readiness_of(old) == UNREADY)
			continue;
		uint32_t at = after ? find_endpoint(after, &old->address, from, &steps) : 0;
		if (!after || at == after->endpoint_count ||
		    readiness_of(&after->endpoints[at]) < readiness_of(old) ||
		    steps > 8ull * after->endpoint_count)
			return true;
		from = at + 1;
	}
	return false;
}

/* The API server refuses these in slices. From a pod's namespace they would lead to the pod itself
 * or to the node's neighbours (169.254.169.254 tells secrets of the machine). */
static bool is_dialable(const struct weft_address *address)
{
	const uint8_t *ip = address->ip;
	if (address_is_any(address) || address_is_loopback(address))
		return false;
	if (address_is_v4(address)) /* RFC 3927, RFC 5771 */
		return (ip[12] != 169 || ip[13] != 254) && ip[12] < 224;
	return (ip[0] != 0xfe || (ip[1] & 0xc0) != 0x80) && ip[0] != 0xff; /* RFC 4291 2.4 */
}

/* The slice's number for this port of the Service, 0 = it has none. */
static uint16_t target_in(const struct kube_slice *slice, const struct kube_service_port *port)
{
	for (uint16_t i = 0; i < slice->port_count; i++) {
		const struct kube_slice_port *known = &slice->ports[i];
		if (known->protocol == KUBE_TCP && strcmp(known->name, port->name) == 0)
			return known->number;
	}
	return 0;
}

/* By address; the readier of two with the same address first. */
static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;
	int order = memcmp(&x->address, &y->address, sizeof(x->address));
	return order ? order : (int)y->readiness - (int)x->readiness;
}

static uint32_t gather(const struct kube_service *service, const struct kube_service_port *port,
		       const struct kube_slice *const *slices, uint32_t slice_count,
		       const struct kube_place *place, struct candidate *ret)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < slice_count; i++) {
		const struct kube_slice *slice = slices[i];
		uint16_t number = target_in(slice, port);
		for (uint32_t j = 0; number && j < slice->endpoint_count; j++) {
			const struct kube_endpoint *endpoint = &slice->endpoints[j];
			if (!is_dialable(&endpoint->address))
				continue;
			struct candidate *to = &ret[count++];
			*to = (struct candidate){.endpoint = endpoint,
						 .readiness =
							 readiness_here(service, endpoint, place)};
			to->address = endpoint->address;
			to->address.port = htons(number);
		}
	}
	if (count > 1)
		qsort(ret, count, sizeof(*ret), compare_candidates);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || !address_equal(&ret[kept - 1].address, &ret[i].address))
			ret[kept++] = ret[i];
	}
	return kept;
}

static void take_the_willing(struct candidate *all, uint32_t count)
{
	enum readiness best = UNREADY;
	for (uint32_t i = 0; i < count; i++)
		best = all[i].readiness > best ? all[i].readiness : best;
	for (uint32_t i = 0; i < count; i++)
		all[i].is_taken = best > UNREADY && all[i].readiness == best;
}

/* A pod of a dual-stack Service is in a slice of each family, and its app may listen in one only:
 * the Service's first family, as far as it has endpoints. */
static void take_one_family(const struct kube_service *service, struct candidate *all,
			    uint32_t count)
{
	bool is_v4 = service->ip_count == 0 || address_is_v4(&service->cluster_ips[0]);
	bool any = false;
	for (uint32_t i = 0; i < count; i++)
		any |= all[i].is_taken && address_is_v4(&all[i].address) == is_v4;
	for (uint32_t i = 0; any && i < count; i++)
		all[i].is_taken &= address_is_v4(&all[i].address) == is_v4;
}

static bool is_on_node(const struct candidate *candidate, const struct kube_place *place)
{
	return *place->node && strcmp(candidate->endpoint->node, place->node) == 0;
}

static bool is_in_zone(const struct candidate *candidate, const struct kube_place *place)
{
	return *place->zone && strcmp(candidate->endpoint->zone, place->zone) == 0;
}

static bool is_hinted(const struct candidate *candidate, const struct kube_place *place)
{
	const struct kube_endpoint *endpoint = candidate->endpoint;
	for (uint16_t i = 0; *place->zone && i < endpoint->hint_count; i++) {
		if (strcmp(endpoint->hint_zones[i], place->zone) == 0)
			return true;
	}
	return false;
}

typedef bool nearness(const struct candidate *candidate, const struct kube_place *place);

/* Leaves only those that are near; when none is, nothing changes and false. */
static bool narrow(struct candidate *all, uint32_t count, const struct kube_place *place,
		   nearness *is_near)
{
	bool any = false;
	for (uint32_t i = 0; i < count; i++)
		any |= all[i].is_taken && is_near(&all[i], place);
	for (uint32_t i = 0; any && i < count; i++)
		all[i].is_taken &= is_near(&all[i], place);
	return any;
}

/* Hints count only when every endpoint has them: else some were given before a change. */
static bool all_have_hints(const struct candidate *all, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (all[i].is_taken && all[i].endpoint->hint_count == 0)
			return false;
	}
	return true;
}

static void take_the_near(const struct kube_service *service, const struct kube_place *place,
			  struct candidate *all, uint32_t count)
{
	if (service->internal_local) {
		if (!narrow(all, count, place, is_on_node)) {
			for (uint32_t i = 0; i < count; i++)
				all[i].is_taken = false;
		}
		return;
	}
	if (service->distribution == KUBE_SAME_NODE && narrow(all, count, place, is_on_node))
		return;
	if (all_have_hints(all, count))
		narrow(all, count, place, is_hinted);
	else if (service->distribution != KUBE_ANYWHERE)
		narrow(all, count, place, is_in_zone);
}

int kube_service_endpoints(const struct kube_service *service, const struct kube_service_port *port,
			   const struct kube_slice *const *slices, uint32_t slice_count,
			   const struct kube_place *place, struct endpoint_draft **ret,
			   uint32_t *ret_count)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < slice_count; i++)
		most += slices[i]->endpoint_count;
	struct candidate *all = mem_alloc((most + 1) * sizeof(*all));
	struct endpoint_draft *drafts = mem_zalloc((most + 1) * sizeof(*drafts));
	if (!all || !drafts) {
		mem_free(all);
		mem_free(drafts);
		return -ENOMEM;
	}
	uint32_t count = gather(service, port, slices, slice_count, place, all);
	take_the_willing(all, count);
	take_one_family(service, all, count);
	take_the_near(service, place, all, count);
	for (uint32_t i = 0; i < count; i++) {
		drafts[i].address = all[i].address;
		drafts[i].weight = all[i].is_taken;
		drafts[i].node = all[i].endpoint->node;
		drafts[i].zone = all[i].endpoint->zone;
	}
	mem_free(all);
	*ret = drafts;
	*ret_count = count;
	return 0;
}
