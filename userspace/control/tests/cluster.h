/*
 * Objects of Kubernetes as a test wants them: each function gives one with everything that it does
 * not name empty, and a test then sets what it is about. Arrays are lent by the caller. A header
 * because a test is one file.
 */
#ifndef CONTROL_TESTS_CLUSTER_H
#define CONTROL_TESTS_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/objects.h"

/* Sets the pointer and the count of a member: LEND(slice.endpoint, slice.endpoint_count, one). */
#define LEND(items, number, ...)                                                                   \
	((items) = (__VA_ARGS__), (number) = sizeof(__VA_ARGS__) / sizeof((__VA_ARGS__)[0]))

static inline struct weft_address ip_of(const char *text)
{
	struct weft_address address;
	assert_int_equal(address_parse_ip(span_text(text), 0, &address), 0);
	return address;
}

static inline struct kube_object object_of(enum kube_kind kind, const char *namespace,
					   const char *name)
{
	return (struct kube_object){
		.kind = kind, .namespace = namespace, .name = name, .uid = "uid", .version = "1"};
}

static inline struct kube_service
service_of(const char *name, const struct kube_service_port *ports, uint16_t port_count)
{
	return (struct kube_service){
		.object = object_of(KUBE_SERVICES, "shop", name),
		.external_name = "",
		.ports = ports,
		.port_count = port_count,
		.has_selector = true,
	};
}

static inline struct kube_service_port service_port(const char *name, uint16_t number)
{
	return (struct kube_service_port){
		.name = name, .number = number, .app_protocol = "", .target_name = ""};
}

static inline struct kube_slice_port slice_port(const char *name, uint16_t number)
{
	return (struct kube_slice_port){.name = name, .number = number, .app_protocol = ""};
}

/* Ready. */
static inline struct kube_endpoint endpoint_at(const char *ip)
{
	return (struct kube_endpoint){
		.address = ip_of(ip),
		.node = "",
		.zone = "",
		.pod = "",
		.pod_namespace = "",
		.pod_uid = "",
		.is_ready = true,
		.is_serving = true,
	};
}

static inline struct kube_slice slice_of(const char *name, const char *service,
					 const struct kube_slice_port *ports, uint16_t port_count,
					 const struct kube_endpoint *endpoints,
					 uint32_t endpoint_count)
{
	return (struct kube_slice){
		.object = object_of(KUBE_SLICES, "shop", name),
		.service = service,
		.ports = ports,
		.port_count = port_count,
		.endpoints = endpoints,
		.endpoint_count = endpoint_count,
	};
}

/* Running. */
static inline struct kube_pod pod_of(const char *name, const struct weft_address *ips,
				     uint16_t ip_count)
{
	return (struct kube_pod){
		.object = object_of(KUBE_PODS, "shop", name),
		.node = "n1",
		.phase = KUBE_RUNNING,
		.ips = ips,
		.ip_count = ip_count,
	};
}

#endif
