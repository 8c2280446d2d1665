/* What the files that build routes share. */
#ifndef MODEL_BUILD_ROUTE_H
#define MODEL_BUILD_ROUTE_H

#include "model/build.h"
#include "model/route.h"

/* A service that a route names, until scopes are numbered. */
struct scope_use {
	struct span name;
	uint32_t *scope;
};

struct route_build {
	struct build *build;
	struct route_set *set;
	struct route_regex *regexes; /* room for all that the draft has */
	const struct route_backend **backends;
	struct scope_use *uses;
	uint32_t use_count;
	const char *at; /* key of the list that holds what is being built: "routes[].rules[]" */
};

/* All: false = out of memory; faults are told. */
bool build_matches(struct route_build *build, const struct draft_list *drafts, uint32_t *ret_count,
		   const struct route_match **ret_matches) MUST_CHECK;
bool build_rules(struct route_build *build, const struct route_draft *draft,
		 struct route *route) MUST_CHECK;
bool build_filters(struct route_build *build, uint32_t line,
		   const struct route_filters_draft *draft,
		   struct route_filters *ret_filters) MUST_CHECK;
/* A copy in the set's memory; false = out of memory. */
bool build_span(struct route_build *build, const char *text, struct span *ret_span) MUST_CHECK;
/* Faults of a name that must be a host's: "" is fine. */
void build_check_host(struct route_build *build, uint32_t line, const char *key, const char *host);
bool route_is_host(struct span host);
void route_fault(struct route_build *build, uint32_t line, const char *key, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* A numbered backend of a service's name. */
struct route_backend *build_backend(struct route_build *build, const char *service) MUST_CHECK;
/* RFC 9110 5.6.2 */
bool route_is_token(struct span text);

/* What the draft says about routes, byte for byte the same for the same routes. */
void route_form(const struct draft *draft, struct text *text);

#endif
