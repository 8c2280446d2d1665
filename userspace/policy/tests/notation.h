/*
 * Routes and requests in short lines, for tables in tests:
 *
 *   shop host=a.com for=web; =/cart GET h:x=1 q:a=b, /api > v1*9 v2; ~/v[0-9] > v1
 *
 * name, hosts, services and age; then rules after ";", matches between ",", backends after ">".
 * =/p exact, /p prefix, ~r regular expression, h:NAME=VALUE, h:NAME~REGEX, q: likewise.
 * Requests: "GET host /path?query h:x=1".
 */
#ifndef POLICY_TESTS_NOTATION_H
#define POLICY_TESTS_NOTATION_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/builder.h"
#include "policy/route_match.h"

struct notation {
	struct arena arena;
	struct draft draft;
	struct snapshot *snapshot; /* NULL = refused */
	struct route_matcher *matcher;
	char fault[256]; /* the first */
};

/* Draft memory is the notation's, whatever allocation is to fail. */
static inline void *notation_take(struct notation *notation, size_t size)
{
	void *memory = arena_take(&notation->arena, size);
	assert(memory);
	return memory;
}

static inline char *notation_text(struct notation *notation, struct span text)
{
	char *copy = arena_text(&notation->arena, text);
	assert(copy);
	return copy;
}

/* A new last element. */
static inline void *draft_push(struct notation *notation, struct draft_list *list, size_t width)
{
	char *items = notation_take(notation, (list->count + 1) * width);
	if (list->count)
		memcpy(items, list->items, list->count * width);
	list->items = items;
	return items + width * list->count++;
}

static inline void push_text(struct notation *notation, struct draft_list *list, struct span text)
{
	struct draft_value *value = draft_push(notation, list, sizeof(*value));
	value->line = 1;
	value->text = notation_text(notation, text);
}

static inline bool next_word(struct span *rest, struct span *ret_word)
{
	*rest = span_trim(*rest);
	return rest->size && span_split(rest, ' ', ret_word);
}

static inline struct span without(struct span word, size_t front)
{
	return span_of(word.data + front, word.size - front);
}

static inline void push_condition(struct notation *notation, struct draft_list *list,
				  struct span word)
{
	struct route_value_draft *value = draft_push(notation, list, sizeof(*value));
	size_t at = 0;
	while (at < word.size && word.data[at] != '=' && word.data[at] != '~')
		at++;
	value->line = 1;
	value->type =
		at < word.size && word.data[at] == '~' ? ROUTE_VALUE_REGEX : ROUTE_VALUE_EXACT;
	value->name = notation_text(notation, span_of(word.data, at));
	value->value =
		notation_text(notation, at < word.size ? without(word, at + 1) : span_of("", 0));
}

static inline void read_match(struct notation *notation, struct span text,
			      struct draft_list *matches)
{
	struct span word;
	struct route_match_draft *match = draft_push(notation, matches, sizeof(*match));
	match->line = 1;
	while (next_word(&text, &word)) {
		if (span_starts(word, span_text("h:"))) {
			push_condition(notation, &match->headers, without(word, 2));
		} else if (span_starts(word, span_text("q:"))) {
			push_condition(notation, &match->query, without(word, 2));
		} else if (word.data[0] == '=' || word.data[0] == '~') {
			match->path_type =
				word.data[0] == '=' ? ROUTE_WORD_EXACT : ROUTE_WORD_REGEX;
			match->path = notation_text(notation, without(word, 1));
		} else if (word.data[0] == '/') {
			match->path = notation_text(notation, word);
		} else {
			match->method = notation_text(notation, word);
		}
	}
}

static inline void read_rule(struct notation *notation, struct span text, struct draft_list *rules)
{
	struct span matches, match, word;
	struct route_rule_draft *rule = draft_push(notation, rules, sizeof(*rule));
	rule->line = 1;
	span_split(&text, '>', &matches);
	while (span_split(&matches, ',', &match))
		read_match(notation, match, &rule->matches);
	while (text.data && next_word(&text, &word)) {
		struct span name;
		uint64_t weight = 1;
		struct route_backend_draft *backend =
			draft_push(notation, &rule->backends, sizeof(*backend));
		span_split(&word, '*', &name);
		backend->line = 1;
		backend->service = notation_text(notation, name);
		if (!word.data || span_to_u64(word, &weight) || weight > 1000000)
			weight = 1;
		backend->weight = (uint32_t)weight;
	}
	if (!rule->backends.count) {
		struct route_backend_draft *backend =
			draft_push(notation, &rule->backends, sizeof(*backend));
		backend->line = 1;
		backend->weight = 1;
		backend->service = "web";
	}
}

static inline struct route_draft *notation_route(struct notation *notation, struct span text)
{
	struct span head, word, rule;
	uint64_t age;
	struct route_draft *route = draft_push(notation, &notation->draft.routes, sizeof(*route));
	route->line = 1;
	route->name = "";
	span_split(&text, ';', &head);
	if (next_word(&head, &word))
		route->name = notation_text(notation, word);
	while (next_word(&head, &word)) {
		if (span_starts(word, span_text("host=")))
			push_text(notation, &route->hostnames, without(word, 5));
		else if (span_starts(word, span_text("for=")))
			push_text(notation, &route->services, without(word, 4));
		else if (span_starts(word, span_text("age=")) &&
			 !span_to_u64(without(word, 4), &age))
			route->created_s = age;
	}
	while (span_split(&text, ';', &rule))
		read_rule(notation, rule, &route->rules);
	return route;
}

static inline void notation_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	struct notation *notation = owner;
	(void)line;
	if (!notation->fault[0])
		snprintf(notation->fault, sizeof(notation->fault), "%s: %s", key, sentence);
}

/* A service at an address of its own, for routes that are for it. */
static inline void notation_service(struct notation *notation, const char *name)
{
	struct service_draft *service =
		draft_push(notation, &notation->draft.services, sizeof(*service));
	struct draft_value *address = draft_push(notation, &service->addresses, sizeof(*address));
	struct draft_value *port = draft_push(notation, &service->ports, sizeof(*port));
	service->line = 1;
	service->name = name;
	address->address.ip[0] = 0xfd;
	address->address.ip[15] = (uint8_t)notation->draft.services.count;
	address->address.ip[14] = (uint8_t)(notation->draft.services.count >> 8);
	port->number = 80;
}

/* From the draft; 0, -EINVAL or -ENOMEM. */
static inline int notation_build(struct notation *notation, const struct snapshot *previous)
{
	struct build_options options = {
		.previous = previous,
		.fault = notation_fault,
		.fault_owner = notation,
		.routes = &route_compiler,
	};
	notation->draft.settings.head_limit_bytes = notation->draft.settings.line_limit_bytes;
	return snapshot_build(&notation->draft, &options, &notation->snapshot);
}

/* Lines of routes, "\n" between them. */
static inline void notation_init(struct notation *notation, const char *lines)
{
	struct span rest = span_text(lines);
	struct span line;
	*notation = (struct notation){0};
	notation_service(notation, "web");
	notation_service(notation, "api");
	while (span_split(&rest, '\n', &line)) {
		if (line.size)
			notation_route(notation, line);
	}
	int error = notation_build(notation, NULL);
	assert(!error == !!notation->snapshot);
	notation->matcher = route_matcher_new();
	assert(notation->matcher);
}

static inline void notation_fini(struct notation *notation)
{
	snapshot_free(notation->snapshot);
	route_matcher_free(notation->matcher);
	arena_fini(&notation->arena);
}

#define NOTATION_FIELDS_MOST 24

struct request {
	struct http_head head;
	struct http_field fields[NOTATION_FIELDS_MOST];
};

static inline void request_field(struct request *request, struct span name, struct span value)
{
	if (request->head.field_count < NOTATION_FIELDS_MOST)
		request->fields[request->head.field_count++] = (struct http_field){name, value};
}

/* `line` must live as long. */
static inline void request_read(struct request *request, struct span line)
{
	struct span word, name;
	*request = (struct request){0};
	struct http_head *head = &request->head;
	head->is_request = true;
	head->minor_version = 1;
	head->fields = request->fields;
	head->method_text = head->host = head->target = span_of("", 0);
	next_word(&line, &head->method_text);
	if (next_word(&line, &word) && !span_is(word, "-")) {
		head->host = word;
		request_field(request, span_text("Host"), word);
	}
	if (next_word(&line, &word))
		head->target = word;
	while (next_word(&line, &word)) {
		if (!span_starts(word, span_text("h:")))
			continue;
		word = without(word, 2);
		span_split(&word, '=', &name);
		request_field(request, name, word.data ? word : span_of("", 0));
	}
}

#endif
