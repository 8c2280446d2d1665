/*
 * Routes as users write them, in the shape of the Gateway API's HTTPRoute
 * (gateway.networking.k8s.io v1): which requests of which services go where, changed how.
 * Immutable; built by model/build_route from the draft, shared by snapshots until a route changes.
 * Spans point into the set's own memory.
 */
#ifndef MODEL_ROUTE_H
#define MODEL_ROUTE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/span.h"

struct text;
struct route_index; /* policy/route_match */

#define ROUTE_NONE       UINT32_MAX
#define SERIES_UNCLAIMED UINT32_MAX /* by now; a worker claims at the first use */

/* In the order of precedence. */
enum route_path_type { ROUTE_PATH_EXACT, ROUTE_PATH_REGEX, ROUTE_PATH_PREFIX };
enum route_value_type { ROUTE_VALUE_EXACT, ROUTE_VALUE_REGEX };

/* A header field or a parameter of the query. */
struct route_value {
	uint8_t type;   /* enum route_value_type */
	uint32_t regex; /* number in the set, ROUTE_NONE where type is exact */
	struct span name;
	struct span value;
};

/* All that it names must hold. */
struct route_match {
	uint8_t path_type;   /* enum route_path_type */
	uint32_t path_regex; /* as route_value.regex */
	struct span path; /* normal form (route_path.h); a prefix without its last "/": "" is all */
	struct span method; /* size 0 = any */
	uint32_t header_count;
	uint32_t query_count;
	const struct route_value *headers; /* each name once */
	const struct route_value *queries;
};

struct route_field {
	struct span name;
	struct span value;
};

struct route_fields {
	uint32_t count;
	const struct route_field *items;
};

/* A name stands in one of the three only. */
struct route_header_change {
	struct route_fields set;
	struct route_fields add;
	struct route_fields remove; /* names; values are empty */
};

enum route_path_change_type { ROUTE_PATH_KEEP, ROUTE_PATH_FULL, ROUTE_PATH_REPLACE_PREFIX };

struct route_path_change {
	uint8_t type; /* enum route_path_change_type */
	struct span value;
};

/* Only one of redirect and rewrite. */
struct route_redirect {
	bool is_set;
	uint16_t port;        /* 0 = by the scheme, or as the request had it */
	uint16_t status;      /* 301, 302, 303, 307 or 308 */
	struct span scheme;   /* "http", "https"; size 0 = http */
	struct span hostname; /* size 0 = the request's */
	struct route_path_change path;
};

struct route_rewrite {
	struct span hostname; /* size 0 = the request's */
	struct route_path_change path;
};

struct route_mirror {
	uint32_t backend;     /* number in the set */
	uint32_t numerator;   /* so many ... */
	uint32_t denominator; /* ... of so many requests, >= 1 */
};

struct route_filters {
	struct route_header_change request;
	struct route_header_change response;
	struct route_redirect redirect;
	struct route_rewrite rewrite;
	uint32_t mirror_count;
	const struct route_mirror *mirrors;
};

struct route_backend {
	uint32_t number; /* in the set: where a snapshot says which service it is */
	uint32_t weight; /* 0 = no requests */
	struct span service;
	struct span path; /* a name for a dtab, instead of a service; size 0 = none */
	struct route_filters filters;
};

struct route_rule {
	struct span name; /* may be empty */
	uint32_t number;  /* in the route, from 0 */
	uint32_t series;  /* slot in the metric store: as an endpoint's, workers claim it */
	uint32_t match_count;
	uint32_t backend_count;
	uint32_t retry_code_count;
	uint32_t retry_attempts;           /* beside the first; ROUTE_NONE = nothing was said */
	uint64_t weight_total;             /* of the backends */
	uint64_t request_ns;               /* the whole, with retries; 0 = no limit of the rule */
	uint64_t backend_ns;               /* one try; 0 = no limit of the rule */
	uint64_t backoff_ns;               /* base of what is between tries; 0 = nothing was said */
	const struct route_match *matches; /* one is enough; at least one */
	const struct route_backend *backends;
	const uint16_t *retry_codes;
	struct route_filters filters;
};

/* What a rule is called in metrics: its name, or its number (written to `number`). */
#define ROUTE_NUMBER_MAX 12
static inline struct span route_rule_label(const struct route_rule *rule,
					   char number[ROUTE_NUMBER_MAX])
{
	if (rule->name.size)
		return rule->name;
	snprintf(number, ROUTE_NUMBER_MAX, "%u", rule->number);
	return span_text(number);
}

struct route {
	struct span name;
	uint32_t number; /* place in the set: older routes first, then as the ties say */
	uint32_t line;   /* of the config; 0 = from a cluster */
	uint32_t hostname_count;
	uint32_t service_count;
	uint32_t rule_count;
	const struct span *hostnames; /* lower case; "*.example.com" for all below; none = any */
	const uint32_t *scopes;       /* of the services that it is for; none = of all the mesh */
	const struct route_rule *rules;
};

/* How a request gets its logical name (linkerd1.md 1.7). */
enum identify_kind {
	IDENTIFY_DESTINATION,     /* the service of the original destination: the default */
	IDENTIFY_HEADER_TOKEN,    /* I1 */
	IDENTIFY_HEADER,          /* I2 */
	IDENTIFY_HEADER_PATH,     /* I3 */
	IDENTIFY_METHOD_AND_HOST, /* I4 */
	IDENTIFY_PATH,            /* I5 */
	IDENTIFY_STATIC,          /* I6 */
	IDENTIFY_MATCH,           /* what holds of path, headers, query and method together */
};

struct identifier {
	uint8_t kind;      /* enum identify_kind */
	bool consumes;     /* PATH: the segments leave the forwarded URI */
	bool has_uri;      /* METHOD_AND_HOST: URI segments follow */
	uint32_t segments; /* PATH, HEADER_PATH; 0 = all (HEADER_PATH only) */
	uint32_t match_count;
	struct span header;
	struct span path; /* STATIC, MATCH: "/a/b", to come after "/svc" */
	const struct route_match *matches;
};

/* A regular expression: matches whole texts. */
struct route_regex {
	struct span pattern;
	uint32_t line;   /* of the config */
	const char *key; /* of the config */
};

struct route_set {
	uint32_t users; /* snapshots that hold it; written by the control thread only */
	uint32_t route_count;
	uint32_t identifier_count;
	uint32_t regex_count;
	uint32_t backend_count;
	uint32_t scope_count;       /* services that routes are for; scopes count from 1 */
	const struct route *routes; /* in order of precedence among equals */
	const struct identifier *identifiers;
	const struct route_regex *regexes;
	const struct route_backend **backends; /* [number] */
	const struct span *scopes;             /* names; [scope - 1] */
	struct route_index *index;
	void (*index_free)(struct route_index *index);
	struct arena arena;
	char *form; /* what the draft said, to know whether it says the same again */
	size_t form_size;
};

/* Makes of a set what finds its routes fast: policy's part of the build. */
struct route_compiler {
	/* 0, -EINVAL (fault was told: line, key, sentence) or -ENOMEM. */
	int (*compile)(const struct route_set *set,
		       void (*fault)(void *owner, uint32_t line, const char *key,
				     const char *sentence),
		       void *fault_owner, struct route_index **ret_index);
	void (*free)(struct route_index *index); /* NULL is fine */
};

void route_set_drop(struct route_set *set); /* control thread; NULL is fine */

#endif
