/*
 * One immutable picture of config and discovery. Built by the control thread, published by a
 * pointer swap, read by workers once per turn of their loop, freed after a grace period (liburcu,
 * QSBR). Services that did not change are shared between snapshots. Long-lived objects keep ids,
 * never pointers. All that workers write is which slots of the metric store they claimed, and
 * which names of namers they wanted.
 */
#ifndef MODEL_SNAPSHOT_H
#define MODEL_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/siphash.h"
#include "model/ids.h"
#include "model/naming.h"
#include "model/resilience.h"
#include "model/route.h"
#include "weft/limits.h"
#include "weft/shortcut.h"

enum protocol { PROTOCOL_AUTO, PROTOCOL_HTTP, PROTOCOL_OPAQUE };
/* Whose statuses and headers weft's own answers have where they differ. */
enum compatibility { COMPATIBILITY_NONE, COMPATIBILITY_LINKERD };
/* In the order of the key services[].balancer. */
enum balancer {
	BALANCER_EWMA,
	BALANCER_P2C,
	BALANCER_APERTURE,
	BALANCER_ROUND_ROBIN,
	BALANCER_RANDOM,
	BALANCER_LEAST,
	BALANCER_HASH,
	BALANCER_CLIENT_IP,
};
enum hash_on { HASH_ON_SOURCE, HASH_ON_HEADER, HASH_ON_COOKIE, HASH_ON_PATH };
enum locality { LOCALITY_ANY, LOCALITY_NEAR };
/* What a balancer chooses from: all that are ready, or of those the ones of one tier. */
enum endpoint_tier { TIER_ALL, TIER_NODE, TIER_ZONE, TIER_FAR, TIERS };
enum on_proxy_death { ON_PROXY_DEATH_OPEN, ON_PROXY_DEATH_CLOSED };

/* What its namer knows of a service: whether there is such a name at all. */
enum standing {
	STANDING_PRESENT, /* with endpoints or without */
	STANDING_ABSENT,  /* there is none: a name that leads here is negative */
	STANDING_REFUSED, /* its namer has no room for it: such a name fails */
};

#define ENDPOINT_ID_NONE UINT32_MAX

struct endpoint {
	uint32_t id;         /* dense, stable for (service, address) while it exists */
	uint32_t birth;      /* no other that has or had this id has the same; never 0 */
	uint64_t ready_ns;   /* when it was first seen with a weight; 0 = with its service */
	uint32_t series;     /* slot in the metric store; see series_kept */
	uint32_t weight;     /* >= 1; 0 = drained: no new requests */
	bool is_destination; /* dials to its own address belong to the service, and go there */
	uint8_t tier;        /* enum endpoint_tier, but never TIER_ALL: how near it is */
	struct weft_address address;
	char text[ADDRESS_TEXT_MAX]; /* address as text, the metric's label */
};

/* Endpoints with a weight, to draw from; model/endpoint_set.h. */
struct endpoint_set {
	uint32_t count;
	bool has_equal_weights;
	uint64_t weight_total;
	uint32_t *items; /* indexes of the service's endpoints, ascending; NULL = all of them */
	uint64_t *sums;  /* of the weights up to and with this one; NULL = they are equal */
};

/* How a service's endpoints are chosen, beside its balancer. Of the config keys of these names. */
struct balancing {
	enum hash_on hash_on;
	enum locality locality;
	uint64_t slow_start_ns; /* 0 = off */
	uint32_t near_limit;    /* attempts in flight per near endpoint and worker; 0 = none */
	uint32_t panic_percent; /* with fewer not ejected, ejection is ignored */
};

#define HASH_NAME_MAX 64

struct sticky_item {
	uint64_t token; /* as the cookie's value says it */
	uint32_t index; /* of the endpoint */
};

/* Stickiness by cookie; model/sticky.h. */
struct sticky {
	char cookie[HASH_NAME_MAX]; /* its name; "" = off */
	struct siphash_key key;
	struct sticky_item *items; /* [endpoint_count], sorted */
};

struct service {
	uint32_t id;          /* >= 1, dense, stable for a name while it exists */
	uint32_t birth;       /* as an endpoint's */
	uint32_t version;     /* no other struct service has or had the same; never 0 */
	uint32_t series;      /* slot in the metric store, the service's total */
	uint32_t users;       /* who holds it; written by the control thread only */
	bool may_be_left_out; /* as in its draft: not of the config */
	enum standing standing;
	uint32_t was_wanted; /* of a namer: some name led here; see service_want */
	enum protocol protocol;
	enum balancer balancer;
	enum weft_shortcut shortcut;
	uint32_t shortcut_window; /* bytes; 0 = the mesh's */
	char name[WEFT_NAME_MAX];
	uint32_t address_count; /* virtual addresses × ports */
	uint32_t endpoint_count;
	uint32_t ready_count; /* endpoints with weight > 0 */
	uint64_t weight_total;
	bool trusts_dtabs;              /* requests that are dialled to it may bring dtab entries */
	bool balances_endpoints;        /* a dial to an endpoint's own address may go to another */
	struct weft_address *addresses; /* sorted */
	struct endpoint *endpoints;     /* sorted by id */
	struct balancing balancing;
	char hash_name[HASH_NAME_MAX]; /* of the header or cookie */
	/* By tier; with LOCALITY_ANY only TIER_ALL is filled. */
	struct endpoint_set sets[TIERS];
	struct sticky sticky;
	uint32_t ring_count; /* points; 0 = the balancer needs no ring */
	uint64_t *ring;      /* model/ring.h */
	struct resilience resilience;
	char rate_header[HASH_NAME_MAX]; /* whose values have a rate each (RATE_BY_HEADER) */
};

struct port_list {
	uint32_t count;
	uint16_t *items; /* host order, sorted */
};

struct skip_cidr {
	struct weft_address network;
	uint8_t prefix; /* bits of the folded address: IPv4 /8 is 104 */
};

struct pod {
	uint32_t id;    /* >= 1, dense, stable for a name while it exists */
	uint32_t users; /* as in struct service */
	char name[WEFT_NAME_MAX];
	char *netns_path;           /* NULL: enrolled by cgroup, in weftd's own network namespace */
	char *cgroup_path;          /* NULL: enrolled by network namespace */
	struct weft_address local4; /* port 0; all zero: found from the namespace's own addresses */
	struct weft_address local6;
	enum on_proxy_death on_proxy_death;
	enum weft_shortcut shortcut;
	bool captures_all;    /* every TCP dial, not only those to mesh services */
	bool trusts_dtabs;    /* its requests may bring entries of dtabs */
	bool holds_addresses; /* local4 and local6 are the namespace's: refused if it lacks them */
	struct port_list skip_ports;
	struct port_list opaque_ports; /* what it dials there is never looked at */
	struct port_list http_ports;   /* what it dials there is HTTP */
	uint32_t skip_cidr_count;
	struct skip_cidr *skip_cidrs;
};

/* Times in nanoseconds, sizes in bytes. 0 = off where the key's text says so. */
struct settings {
	uint32_t workers; /* 0 = CPUs / 4, at least 1, at most 16 */
	uint64_t connect_timeout_ns;
	uint32_t connect_attempts;
	uint64_t header_timeout_ns;        /* request head, from its first byte */
	uint64_t client_idle_timeout_ns;   /* HTTP keep-alive, 0 = off */
	uint64_t tunnel_idle_timeout_ns;   /* 0 = off */
	uint64_t upstream_idle_timeout_ns; /* pooled connections */
	uint64_t upstream_fresh_ns;        /* requests that cannot be replayed take none older */
	uint64_t drain_timeout_ns;
	uint32_t head_limit_bytes;
	uint32_t line_limit_bytes;
	uint32_t field_limit;
	uint32_t window_bytes;           /* queued per direction before reading stops */
	uint64_t buffer_limit_bytes;     /* of one worker's pool */
	uint32_t session_limit;          /* per worker */
	uint32_t socket_stock;           /* unconnected sockets kept per pod, worker, family */
	uint32_t service_endpoint_limit; /* of one Service of Kubernetes, over all its ports */
	uint32_t failover_ppm;           /* see keys_naming.c */
	uint64_t failover_back_ns;
	bool via; /* add Via */
	enum compatibility compatibility;
	enum weft_shortcut shortcut;
	uint32_t shortcut_window; /* bytes outstanding past TCP towards one socket */
	char *admin_address;      /* "127.0.0.1:9990"; "" = off */
	char *control_socket;     /* path of the Unix socket */
	char *pin_dir;
	char *cgroup_root;   /* "" = found from the mount table */
	bool kubernetes;     /* discover pods and services */
	char *kube_api;      /* "" = in-cluster */
	char *kube_node;     /* "" = environment's WEFT_NODE_NAME */
	char *proc_root;     /* a /proc that sees the pods' processes */
	char *locality_node; /* where this weftd is; "" = unknown */
	char *locality_zone;
	char *sticky_secret;
	enum on_proxy_death pod_on_proxy_death; /* of pods that do not say */
	bool log_json;
	char *log_level;
};

struct snapshot {
	uint64_t generation; /* counts publications */
	uint32_t service_count;
	uint32_t pod_count;
	struct service **services;      /* sorted by name */
	struct pod **pods;              /* sorted by name */
	struct service **service_by_id; /* [service_id_limit], NULL = no such service */
	uint32_t service_id_limit;      /* every id is below */
	uint32_t endpoint_id_limit;
	uint32_t pod_id_limit;
	uint32_t endpoint_count;
	uint32_t births;          /* given so far, to services, endpoints and versions */
	uint32_t service_id_next; /* where the builder looks for a free id */
	uint32_t pod_id_next;
	bool has_shortcut_on;         /* mesh, a service or a pod says so */
	struct ids endpoint_ids;      /* in use */
	struct snapshot_index *index; /* (address, port) -> service */
	struct route_set *routes;     /* NULL = none, and no identifiers */
	struct naming *naming;        /* never NULL */
	uint32_t *route_scopes;       /* [service id]: as routes' scopes, 0 = none; with routes */
	uint32_t *backend_services;   /* [backend's number]: service id, 0 = no such service now */
	struct settings settings;
};

/* NULL = absent. */
const struct service *snapshot_service(const struct snapshot *snapshot, uint32_t id);
const struct service *snapshot_service_at(const struct snapshot *snapshot,
					  const struct weft_address *address);
const struct service *snapshot_service_named(const struct snapshot *snapshot, struct span name);
bool port_list_has(const struct port_list *list, uint16_t port);
const struct pod *snapshot_pod_named(const struct snapshot *snapshot, struct span name);
const struct endpoint *service_endpoint(const struct service *service, uint32_t endpoint_id);
const struct endpoint *service_endpoint_at(const struct service *service,
					   const struct weft_address *address);

/* The scope of a service's requests for policy/route_match; 0: only routes for the whole mesh. */
static inline uint32_t snapshot_route_scope(const struct snapshot *snapshot, uint32_t service_id)
{
	return service_id < snapshot->service_id_limit ? snapshot->route_scopes[service_id] : 0;
}

/* "off", "auto" or "on"; "inherit" where nothing is said. */
const char *shortcut_name(enum weft_shortcut shortcut);

/* `series` of a published service or endpoint, which any worker may fill in. */
static inline uint32_t series_kept(const uint32_t *series)
{
	return __atomic_load_n(series, __ATOMIC_ACQUIRE);
}

/* Any worker: it is in use, as long as this is said now and then. */
static inline void service_want(const struct service *service)
{
	if (!__atomic_load_n(&service->was_wanted, __ATOMIC_RELAXED))
		__atomic_store_n((uint32_t *)&service->was_wanted, 1, __ATOMIC_RELAXED);
}

/* Control thread: was that said since the last time? */
static inline bool service_take_wanted(const struct service *service)
{
	return __atomic_exchange_n((uint32_t *)&service->was_wanted, 0, __ATOMIC_RELAXED);
}

static inline void series_keep(const uint32_t *series, uint32_t slot)
{
	__atomic_store_n((uint32_t *)series, slot, __ATOMIC_RELEASE);
}

/* Control thread; for snapshots that are not published (snapshot_publish frees the published). */
void snapshot_free(struct snapshot *snapshot); /* NULL is fine */
/* Control thread: keeps a pod beyond its snapshot. */
const struct pod *pod_keep(const struct pod *pod);
void pod_drop(const struct pod *pod);

#endif
