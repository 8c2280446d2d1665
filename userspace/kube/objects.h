/*
 * Objects of the Kubernetes API as plain structs: what a node's proxy needs of them. Immutable;
 * each is one allocation of the cache that holds it. Strings are never NULL ("" = absent), arrays
 * may be NULL when their count is 0. Addresses have port 0.
 */
#ifndef KUBE_OBJECTS_H
#define KUBE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

enum kube_kind {
	KUBE_PODS,
	KUBE_NAMESPACES,
	KUBE_NODES,
	KUBE_SERVICES,
	KUBE_SLICES, /* EndpointSlices, discovery.k8s.io/v1 */
	KUBE_KINDS,
};

struct kube_pair {
	const char *key;
	const char *value;
};

/* A member more here or below is also written (write.c), in a file of the next format (known.c),
 * and compared (tests/same.h): a list that has an object unchanged leaves the one of the file in
 * place. */

/* First member of every object: a `const struct kube_object *` of kind KUBE_PODS is a
 * `const struct kube_pod *`, and so on (kube_pod_of and its sisters). */
struct kube_object {
	const char *name;
	const char *namespace; /* "" for namespaces and nodes */
	const char *uid;
	const char *version;                 /* resourceVersion */
	const struct kube_pair *labels;      /* those that kube_options.keep asks for */
	const struct kube_pair *annotations; /* the same */
	uint64_t created_s;                  /* since 1970; 0 = unknown */
	uint16_t label_count;
	uint16_t annotation_count;
	uint8_t kind;     /* enum kube_kind */
	bool is_deleting; /* has a deletionTimestamp */
	/* the cache's own: */
	struct hash_item item;
	uint32_t seen; /* in which list */
};

enum kube_protocol { KUBE_TCP, KUBE_UDP, KUBE_SCTP, KUBE_PROTOCOL_OTHER };

struct kube_container_port {
	const char *name;
	uint16_t number;
	uint8_t protocol; /* enum kube_protocol */
};

struct kube_container {
	const char *name;
	const char *id; /* "containerd://<hex>"; "" until it was created */
	const struct kube_container_port *ports;
	uint16_t port_count;
	bool is_init; /* an init container; sidecars (restartPolicy Always) too */
};

enum kube_phase {
	KUBE_PHASE_UNKNOWN,
	KUBE_PENDING,
	KUBE_RUNNING,
	KUBE_SUCCEEDED,
	KUBE_FAILED,
};

struct kube_pod {
	struct kube_object object;
	const char *node;
	const struct weft_address *ips; /* status.podIPs, else podIP */
	const struct kube_container *containers;
	uint16_t ip_count;
	uint16_t container_count;
	uint8_t phase; /* enum kube_phase */
	bool host_network;
	bool is_ready; /* condition Ready */
};

struct kube_namespace {
	struct kube_object object;
};

struct kube_cidr {
	struct weft_address base;
	uint8_t bits; /* of the family: 0..32 or 0..128 */
};

struct kube_node {
	struct kube_object object;
	const char *zone;                     /* label topology.kubernetes.io/zone */
	const struct weft_address *addresses; /* InternalIP and ExternalIP */
	const struct kube_cidr *pod_cidrs;
	uint16_t address_count;
	uint16_t cidr_count;
};

enum kube_service_type {
	KUBE_CLUSTER_IP,
	KUBE_NODE_PORT,
	KUBE_LOAD_BALANCER,
	KUBE_EXTERNAL_NAME,
};

/* Where clients in the same topology should go (trafficDistribution). */
enum kube_distribution {
	KUBE_ANYWHERE,
	KUBE_SAME_ZONE, /* PreferClose, PreferSameZone */
	KUBE_SAME_NODE, /* PreferSameNode */
};

struct kube_service_port {
	const char *name;         /* "" for the only port of a service */
	const char *app_protocol; /* "", "http", "kubernetes.io/h2c", … */
	const char *target_name;  /* a container port's name; "" = target_number counts */
	uint16_t number;
	uint16_t target_number;
	uint8_t protocol; /* enum kube_protocol */
};

struct kube_service {
	struct kube_object object;
	const struct weft_address *cluster_ips; /* none when headless */
	const struct kube_service_port *ports;
	const char *external_name; /* type ExternalName */
	uint16_t ip_count;
	uint16_t port_count;
	uint8_t type;         /* enum kube_service_type */
	uint8_t distribution; /* enum kube_distribution */
	bool is_headless;     /* clusterIP: None */
	bool has_selector;
	bool internal_local; /* internalTrafficPolicy: Local */
	bool publishes_not_ready;
	uint32_t affinity_s; /* sessionAffinity ClientIP: for how long; 0 = None */
};

struct kube_slice_port {
	const char *name;
	const char *app_protocol;
	uint16_t number;  /* 0 = all ports (the field is absent) */
	uint8_t protocol; /* enum kube_protocol */
};

struct kube_endpoint {
	struct weft_address address; /* the first: the API says that consumers use no other */
	const char *node;
	const char *zone;
	const char *pod; /* targetRef of kind Pod: its name, else "" */
	const char *pod_namespace;
	const char *pod_uid;
	const char *const *hint_zones; /* hints.forZones */
	uint16_t hint_count;
	bool is_ready;   /* absent = ready */
	bool is_serving; /* absent = as ready */
	bool is_terminating;
};

struct kube_slice {
	struct kube_object object;
	const char *service; /* label kubernetes.io/service-name, in the same namespace */
	const struct kube_slice_port *ports;
	const struct kube_endpoint *endpoints; /* those with an address that could be read */
	uint32_t endpoint_count;
	uint16_t port_count;
};

static inline const struct kube_pod *kube_pod_of(const struct kube_object *object)
{
	return (const struct kube_pod *)(const void *)object;
}

static inline const struct kube_node *kube_node_of(const struct kube_object *object)
{
	return (const struct kube_node *)(const void *)object;
}

static inline const struct kube_service *kube_service_of(const struct kube_object *object)
{
	return (const struct kube_service *)(const void *)object;
}

static inline const struct kube_slice *kube_slice_of(const struct kube_object *object)
{
	return (const struct kube_slice *)(const void *)object;
}

/* The value of a kept label or annotation; NULL = absent. */
const char *kube_label(const struct kube_object *object, const char *key);
const char *kube_annotation(const struct kube_object *object, const char *key);
/* "pods", "namespaces", "nodes", "services", "endpointslices" */
const char *kube_kind_name(enum kube_kind kind);

#endif
