/* Keys of routes and identifiers: the shape of the Gateway API's HTTPRoute, in weft's spelling. */
#include "model/keys_table.h"

#define TEXT_MOST 1024 /* bytes of a path, a value or a regular expression */
#define NAME_MOST 253  /* bytes of a hostname or a header's name */

/* A list of what stands in headers or query of a match. */
#define VALUE_KEYS(at, member, what)                                                               \
	{at, MAPS(struct route_match_draft, member, struct route_value_draft), .most = 16,         \
	 .meaning = "Each must hold; of two with one name the first counts."},                     \
		{at "[].name",                                                                     \
		 KEY_TEXT,                                                                         \
		 TEXT(struct route_value_draft, name),                                             \
		 .flags = KEY_REQUIRED,                                                            \
		 .most = NAME_MOST,                                                                \
		 .example = "version",                                                             \
		 .meaning = "Name of the " what "."},                                              \
		{at "[].type",                                                                     \
		 KEY_CHOICE,                                                                       \
		 NUMBER(struct route_value_draft, type),                                           \
		 .choices = "exact|regex",                                                         \
		 .fallback = "exact",                                                              \
		 .meaning = "How value is compared; a regex must match the whole."},               \
	{                                                                                          \
		at "[].value", KEY_TEXT, TEXT(struct route_value_draft, value),                    \
			.flags = KEY_REQUIRED, .most = TEXT_MOST, .example = "v2",                 \
			.meaning = "What it must be, or a regular expression (PCRE2)."             \
	}

/* A list of matches. */
#define MATCH_KEYS(at, holder)                                                                     \
	{at, MAPS(holder, matches, struct route_match_draft), .most = 64,                          \
	 .meaning = "One of them must hold, with all that it names; none: every request."},        \
		{at "[].path", KEY_MAP, .meaning = "The path, without the query."},                \
		{at "[].path.type",                                                                \
		 KEY_CHOICE,                                                                       \
		 NUMBER(struct route_match_draft, path_type),                                      \
		 .choices = "prefix|exact|regex",                                                  \
		 .fallback = "prefix",                                                             \
		 .meaning = "prefix goes by whole segments; a regex must match the whole path."},  \
		{at "[].path.value",                                                               \
		 KEY_TEXT,                                                                         \
		 TEXT(struct route_match_draft, path),                                             \
		 .most = TEXT_MOST,                                                                \
		 .fallback = "/",                                                                  \
		 .meaning = "The path, or a regular expression (PCRE2)."},                         \
		{at "[].method",                                                                   \
		 KEY_TEXT,                                                                         \
		 TEXT(struct route_match_draft, method),                                           \
		 .most = 24,                                                                       \
		 .flags = KEY_MAY_BE_EMPTY,                                                        \
		 .fallback = "",                                                                   \
		 .meaning = "Such as GET; \"\" is any."},                                          \
		VALUE_KEYS(at "[].headers", headers, "header"),                                    \
		VALUE_KEYS(at "[].query", query, "query's parameter")

#define FIELD_KEYS(at, holder, member, instance, says)                                             \
	{at, MAPS(holder, member, struct route_field_draft), .most = 64, .meaning = says},         \
		{at "[].name",                                                                     \
		 KEY_TEXT,                                                                         \
		 TEXT(struct route_field_draft, name),                                             \
		 .flags = KEY_REQUIRED,                                                            \
		 .most = NAME_MOST,                                                                \
		 .example = instance,                                                              \
		 .meaning = "Name of the header."},                                                \
	{                                                                                          \
		at "[].value", KEY_TEXT, TEXT(struct route_field_draft, value),                    \
			.flags = KEY_REQUIRED, .most = 4096, .example = "shop",                    \
			.meaning = "Its value."                                                    \
	}

#define HEADER_KEYS(at, holder, member, what)                                                      \
	{at, KEY_MAP, .meaning = "Changes of the " what "'s headers."},                            \
		FIELD_KEYS(at ".set", holder, member.set, "x-team",                                \
			   "Put in place of what is there."),                                      \
		FIELD_KEYS(at ".add", holder, member.add, "x-seen", "Put beside what is there."),  \
		{at ".remove", VALUES(holder, member.remove), .most = 64,                          \
		 .meaning = "Names of headers that are taken out."},                               \
	{                                                                                          \
		at ".remove[]", KEY_TEXT, .most = NAME_MOST, .example = "x-debug",                 \
					  .meaning = "One name."                                   \
	}

#define PATH_CHANGE_KEYS(at, holder, member)                                                       \
	{at, KEY_MAP, .meaning = "Another path."},                                                 \
		{at ".type",                                                                       \
		 KEY_CHOICE,                                                                       \
		 NUMBER(holder, member.type),                                                      \
		 .choices = "keep|full|prefix",                                                    \
		 .fallback = "keep",                                                               \
		 .meaning = "full is the whole path, prefix what the match's prefix took."},       \
	{                                                                                          \
		at ".value", KEY_TEXT, TEXT(holder, member.value),                                 \
			.most = TEXT_MOST, .flags = KEY_MAY_BE_EMPTY, .fallback = "",              \
			.meaning = "What stands there instead."                                    \
	}

#define FILTER_KEYS(at, holder)                                                                    \
	{at, KEY_MAP, .meaning = "What is changed on the way."},                                   \
		HEADER_KEYS(at ".request_headers", holder, filters.request, "request"),            \
		HEADER_KEYS(at ".response_headers", holder, filters.response, "answer"),           \
		{at ".redirect", KEY_MAP,                                                          \
		 .meaning = "weft answers itself: look elsewhere. Not beside backends."},          \
		{at ".redirect.status",                                                            \
		 KEY_INTEGER,                                                                      \
		 NUMBER(holder, filters.redirect.status),                                          \
		 RANGE(301, 308),                                                                  \
		 .flags = KEY_MAY_BE_ZERO,                                                         \
		 .fallback = "0",                                                                  \
		 .meaning = "301, 302, 303, 307 or 308; 0 is 302 if another key is given."},       \
		{at ".redirect.scheme",                                                            \
		 KEY_TEXT,                                                                         \
		 TEXT(holder, filters.redirect.scheme),                                            \
		 .most = 5,                                                                        \
		 .flags = KEY_MAY_BE_EMPTY,                                                        \
		 .fallback = "",                                                                   \
		 .meaning = "http or https; \"\" is the request's."},                              \
		{at ".redirect.hostname",                                                          \
		 KEY_TEXT,                                                                         \
		 TEXT(holder, filters.redirect.hostname),                                          \
		 .most = NAME_MOST,                                                                \
		 .flags = KEY_MAY_BE_EMPTY,                                                        \
		 .fallback = "",                                                                   \
		 .meaning = "\"\" is the request's."},                                             \
		{at ".redirect.port",                                                              \
		 KEY_INTEGER,                                                                      \
		 NUMBER(holder, filters.redirect.port),                                            \
		 RANGE(1, 65535),                                                                  \
		 .flags = KEY_MAY_BE_ZERO,                                                         \
		 .fallback = "0",                                                                  \
		 .meaning = "0 is the scheme's, or the request's where no scheme is given."},      \
		PATH_CHANGE_KEYS(at ".redirect.path", holder, filters.redirect.path),              \
		{at ".rewrite", KEY_MAP, .meaning = "Changes of the URL that is forwarded."},      \
		{at ".rewrite.hostname",                                                           \
		 KEY_TEXT,                                                                         \
		 TEXT(holder, filters.rewrite.hostname),                                           \
		 .most = NAME_MOST,                                                                \
		 .flags = KEY_MAY_BE_EMPTY,                                                        \
		 .fallback = "",                                                                   \
		 .meaning = "Host of the forwarded request; \"\" keeps it."},                      \
		PATH_CHANGE_KEYS(at ".rewrite.path", holder, filters.rewrite.path),                \
		{at ".mirrors", MAPS(holder, filters.mirrors, struct route_mirror_draft),          \
		 .most = 4, .meaning = "Who gets a copy, whose answer is thrown away."},           \
		{at ".mirrors[].service",                                                          \
		 KEY_NAME,                                                                         \
		 TEXT(struct route_mirror_draft, service),                                         \
		 .flags = KEY_REQUIRED,                                                            \
		 .most = WEFT_NAME_MAX - 1,                                                        \
		 .example = "web",                                                                 \
		 .meaning = "A service of the mesh."},                                             \
		{at ".mirrors[].percent",                                                          \
		 KEY_INTEGER,                                                                      \
		 NUMBER(struct route_mirror_draft, percent),                                       \
		 RANGE(0, 100),                                                                    \
		 .fallback = "100",                                                                \
		 .unit = "percent",                                                                \
		 .meaning = "Of the requests."},                                                   \
		{at ".mirrors[].fraction", KEY_MAP,                                                \
		 .meaning = "Instead of percent: numerator of denominator requests."},             \
		{at ".mirrors[].fraction.numerator",                                               \
		 KEY_INTEGER,                                                                      \
		 NUMBER(struct route_mirror_draft, numerator),                                     \
		 RANGE(0, UINT32_MAX - 1),                                                         \
		 .fallback = "0",                                                                  \
		 .meaning = "So many."},                                                           \
	{                                                                                          \
		at ".mirrors[].fraction.denominator", KEY_INTEGER,                                 \
			NUMBER(struct route_mirror_draft, denominator), RANGE(0, UINT32_MAX - 1),  \
			.fallback = "0", .meaning = "Of so many; 0: percent says it."              \
	}

const struct key route_keys[] = {
	{"routes", MAPS(struct draft, routes, struct route_draft), .most = 4096,
	 .meaning = "Which requests to services go where; the Gateway API's HTTPRoute."},
	{"routes[].name", KEY_NAME, TEXT(struct route_draft, name), .flags = KEY_REQUIRED,
	 .most = WEFT_NAME_MAX - 1, .example = "shop",
	 .meaning = "Name in metrics and output; unique."},
	{"routes[].hostnames", VALUES(struct route_draft, hostnames), .most = 64,
	 .meaning = "Hosts of requests that it is for; none is any."},
	{"routes[].hostnames[]", KEY_TEXT, .most = NAME_MOST, .example = "shop.example.com",
	 .meaning = "A name, or *. and a name for all below it."},
	{"routes[].services", VALUES(struct route_draft, services), .most = 1024,
	 .meaning = "Services whose requests it is for; none is all. A request to a named one that "
		    "no rule takes is answered 404."},
	{"routes[].services[]", KEY_NAME, .most = WEFT_NAME_MAX - 1, .example = "web",
	 .meaning = "A service of the mesh."},
	{"routes[].rules", MAPS(struct route_draft, rules, struct route_rule_draft),
	 .flags = KEY_REQUIRED, RANGE(1, 64),
	 .meaning = "The most specific of all rules of all routes takes the request."},
	{"routes[].rules[].name", KEY_TEXT, TEXT(struct route_rule_draft, name), .most = NAME_MOST,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .meaning = "Name in output."},
	MATCH_KEYS("routes[].rules[].matches", struct route_rule_draft),
	FILTER_KEYS("routes[].rules[].filters", struct route_rule_draft),
	{"routes[].rules[].backends",
	 MAPS(struct route_rule_draft, backends, struct route_backend_draft), .most = 64,
	 .meaning = "Who answers, drawn by weight for each request."},
	{"routes[].rules[].backends[].service", KEY_NAME, TEXT(struct route_backend_draft, service),
	 .flags = KEY_MAY_BE_EMPTY, .most = WEFT_NAME_MAX - 1, .example = "web", .fallback = "",
	 .meaning = "A service of the mesh; while there is none of that name its share gets 500."},
	{"routes[].rules[].backends[].path", KEY_TEXT, TEXT(struct route_backend_draft, path),
	 .flags = KEY_MAY_BE_EMPTY, .most = TEXT_MOST, .fallback = "",
	 .meaning = "Instead of a service: a name for the dtab, such as /svc/web."},
	{"routes[].rules[].backends[].weight", KEY_INTEGER,
	 NUMBER(struct route_backend_draft, weight), RANGE(0, 1000000), .fallback = "1",
	 .meaning = "Share of the requests beside the other backends; 0 is none."},
	FILTER_KEYS("routes[].rules[].backends[].filters", struct route_backend_draft),
	{"routes[].rules[].timeouts", KEY_MAP, .meaning = "How long requests may take."},
	{"routes[].rules[].timeouts.request", KEY_DURATION,
	 NUMBER(struct route_rule_draft, request_ns), RANGE(0, DAY), .fallback = "0s",
	 .meaning = "The whole, with retries; 0s sets no limit here."},
	{"routes[].rules[].timeouts.backend_request", KEY_DURATION,
	 NUMBER(struct route_rule_draft, backend_ns), RANGE(0, DAY), .fallback = "0s",
	 .meaning = "One try; 0s sets no limit here."},
	{"routes[].rules[].retry", KEY_MAP, .meaning = "When a request is sent again."},
	{"routes[].rules[].retry.codes", VALUES(struct route_rule_draft, retry_codes), .most = 32,
	 .meaning = "Statuses of answers after which it is."},
	{"routes[].rules[].retry.codes[]", KEY_INTEGER, RANGE(400, 599), .example = "503",
	 .meaning = "One status."},
	{"routes[].rules[].retry.attempts", KEY_CHOICE, NUMBER(struct route_rule_draft, attempts),
	 .choices = "default|0|1|2|3|4|5|6|7|8|9|10", .fallback = "default",
	 .meaning = "Most tries beside the first; 0 is no retry."},
	{"routes[].rules[].retry.backoff", KEY_DURATION,
	 NUMBER(struct route_rule_draft, backoff_ns), RANGE(0, 600 * SEC), .fallback = "0s",
	 .meaning = "Base of the pause between tries; 0s is the default pause."},

	{"identifiers", MAPS(struct draft, identifiers, struct identifier_draft), .most = 32,
	 .meaning = "How requests get their logical name /svc/...: the first that succeeds. None: "
		    "the service that was dialled."},
	{"identifiers[].kind", KEY_CHOICE, NUMBER(struct identifier_draft, kind),
	 .choices = "destination|header_token|header|header_path|method_and_host|path|static|match",
	 .fallback = "destination",
	 .meaning = "destination: the service dialled; header_token: a header's value; header: a "
		    "header as path; header_path: a header's first segments; method_and_host: "
		    "/1.1/GET/host; path: the URI's first segments; static: path below; match: "
		    "path below, if one of matches holds."},
	{"identifiers[].header", KEY_TEXT, TEXT(struct identifier_draft, header), .most = NAME_MOST,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .meaning = "Of header_token (\"\" is host), header (l5d-name), header_path (:path)."},
	{"identifiers[].segments", KEY_INTEGER, NUMBER(struct identifier_draft, segments),
	 RANGE(0, 64), .fallback = "0", .unit = "segments",
	 .meaning = "Of path (0 is 1) and header_path (0 is all); fewer do not succeed."},
	{"identifiers[].consume", KEY_BOOL, NUMBER(struct identifier_draft, consumes),
	 .fallback = "false", .meaning = "path: the segments leave the forwarded URI."},
	{"identifiers[].uri", KEY_BOOL, NUMBER(struct identifier_draft, has_uri),
	 .fallback = "false", .meaning = "method_and_host: the URI's segments follow."},
	{"identifiers[].path", KEY_TEXT, TEXT(struct identifier_draft, path), .most = TEXT_MOST,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .meaning = "static and match: what comes after /svc, such as /web."},
	MATCH_KEYS("identifiers[].matches", struct identifier_draft),
};

const size_t route_key_count = array_count(route_keys);
