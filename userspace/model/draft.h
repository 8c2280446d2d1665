/*
 * What somebody asked for, not yet checked as a whole: filled by the loader (control/config) and by
 * discovery, turned into a snapshot by model/builder. Plain memory of whoever fills it; text is
 * borrowed and NUL-terminated. Every struct that a list holds begins with its line, and a field
 * that a config key fills is named in the table of model/keys.c.
 */
#ifndef MODEL_DRAFT_H
#define MODEL_DRAFT_H

#include "model/route_draft.h"
#include "model/snapshot.h"

/* One element of a list of plain values, such as services[].ports[]. */
struct draft_value {
	uint32_t line; /* 0 = not from a file */
	uint8_t prefix;
	uint64_t number;
	const char *text;
	struct weft_address address;
};

/* The default of services[].panic_threshold, for services that are not of the config. */
#define PANIC_PERCENT 50

/* A text of several lines, and where its first character stands in the file. */
struct draft_text {
	const char *text;
	uint32_t line;   /* 0 = not from a file */
	uint32_t column; /* characters before it, in its first line */
	uint32_t indent; /* the same, in the other lines */
};

struct namer_draft {
	uint32_t line;
	enum namer_kind kind;
	const char *prefix; /* "" = the kind's name */
	const char *root_dir;
	const char *pattern;
	const char *name;
	/* Of those that ask DNS: */
	const char *domain;        /* "" = none */
	struct draft_list servers; /* of draft_value: address without port */
	uint16_t server_port;
	uint8_t family; /* enum dns_family */
	uint32_t names_most;
	uint64_t timeout_ns;
	uint64_t refresh_ns; /* 0 = by the answers' TTL */
	uint64_t ttl_min_ns;
	uint64_t ttl_max_ns;
};

struct endpoint_draft {
	uint32_t line;
	uint32_t weight;
	bool is_destination; /* as in struct endpoint */
	const char *node;    /* where it is; NULL or "" = unknown */
	const char *zone;
	struct weft_address address;
};

struct service_draft {
	uint32_t line;
	enum protocol protocol;
	enum balancer balancer;
	enum weft_shortcut shortcut;
	struct balancing balancing;
	const char *sticky_cookie; /* NULL or "" = none */
	const char *hash_name;     /* NULL or "" = none */
	const char *rate_header;   /* NULL or "" = none */
	uint32_t shortcut_window;  /* as in struct service */
	struct resilience resilience;
	bool balances_endpoints; /* as in struct service */
	bool trusts_dtabs;
	bool may_be_left_out; /* a fault in it costs only itself, not the build */
	enum standing standing;
	uint32_t same_id; /* as the snapshot before has it, under this id: not looked at again; 0 */
	const char *name;
	struct draft_list addresses; /* of draft_value: address without port */
	struct draft_list ports;     /* of draft_value: number */
	struct draft_list endpoints; /* of endpoint_draft */
};

struct pod_draft {
	uint32_t line;
	enum on_proxy_death on_proxy_death;
	enum weft_shortcut shortcut;
	bool captures_all;
	bool trusts_dtabs;    /* as in struct pod */
	bool may_be_left_out; /* as in service_draft */
	bool holds_addresses; /* `addresses` are the namespace's own: refused if it lacks them */
	const char *name;
	const char *netns_path;         /* "" = none */
	const char *cgroup_path;        /* "" = none */
	struct draft_list addresses;    /* of draft_value: address without port */
	struct draft_list skip_ports;   /* of draft_value: number */
	struct draft_list skip_cidrs;   /* of draft_value: address and prefix */
	struct draft_list opaque_ports; /* of draft_value: number */
	struct draft_list http_ports;   /* of draft_value: number */
};

struct draft {
	struct settings settings;
	struct draft_list services;    /* of service_draft */
	struct draft_list pods;        /* of pod_draft */
	struct draft_list routes;      /* of route_draft */
	struct draft_list identifiers; /* of identifier_draft */
	struct draft_list namers;      /* of namer_draft */
	struct draft_text dtab;
};

#endif
