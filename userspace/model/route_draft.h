/*
 * Routes and identifiers as asked for; see draft.h. Spelling of keys: model/keys_route.c. What is
 * not said is 0, "" or an empty list.
 */
#ifndef MODEL_ROUTE_DRAFT_H
#define MODEL_ROUTE_DRAFT_H

#include "model/route.h"

struct draft_list {
	uint32_t count;
	void *items;
};

/* The order of the key's choices: the default comes first. */
enum route_path_word { ROUTE_WORD_PREFIX, ROUTE_WORD_EXACT, ROUTE_WORD_REGEX };

struct route_value_draft {
	uint32_t line;
	enum route_value_type type;
	const char *name;
	const char *value;
};

struct route_match_draft {
	uint32_t line;
	enum route_path_word path_type;
	const char *path;
	const char *method;        /* "" = any */
	struct draft_list headers; /* of route_value_draft */
	struct draft_list query;   /* of route_value_draft */
};

struct route_field_draft {
	uint32_t line;
	const char *name;
	const char *value;
};

struct route_header_change_draft {
	struct draft_list set;    /* of route_field_draft */
	struct draft_list add;    /* of route_field_draft */
	struct draft_list remove; /* of draft_value: text */
};

struct route_path_change_draft {
	enum route_path_change_type type;
	const char *value;
};

struct route_redirect_draft {
	uint32_t port;
	uint32_t status;
	const char *scheme; /* "http", "https" or "" */
	const char *hostname;
	struct route_path_change_draft path;
};

struct route_rewrite_draft {
	const char *hostname;
	struct route_path_change_draft path;
};

struct route_mirror_draft {
	uint32_t line;
	uint32_t percent;
	uint32_t numerator;
	uint32_t denominator; /* 0 = percent says it */
	const char *service;
};

struct route_filters_draft {
	struct route_header_change_draft request;
	struct route_header_change_draft response;
	struct route_redirect_draft redirect;
	struct route_rewrite_draft rewrite;
	struct draft_list mirrors; /* of route_mirror_draft */
};

struct route_backend_draft {
	uint32_t line;
	uint32_t weight;
	const char *service;
	const char *path;
	struct route_filters_draft filters;
};

struct route_rule_draft {
	uint32_t line;
	uint32_t attempts; /* 0 = nothing was said, else one more than the retries */
	uint64_t request_ns;
	uint64_t backend_ns;
	uint64_t backoff_ns;
	const char *name;
	struct draft_list matches; /* of route_match_draft */
	struct route_filters_draft filters;
	struct draft_list backends;    /* of route_backend_draft */
	struct draft_list retry_codes; /* of draft_value: number */
};

struct route_draft {
	uint32_t line;
	bool may_be_left_out; /* a fault in it costs only itself, not the build */
	uint64_t created_s;   /* of a cluster's; 0: the config's, older than all of those */
	const char *name;
	struct draft_list hostnames; /* of draft_value: text */
	struct draft_list services;  /* of draft_value: text */
	struct draft_list rules;     /* of route_rule_draft */
};

struct identifier_draft {
	uint32_t line;
	enum identify_kind kind;
	uint32_t segments;
	bool consumes;
	bool has_uri;
	const char *header;
	const char *path;
	struct draft_list matches; /* of route_match_draft */
};

#endif
