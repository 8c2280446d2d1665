/* What a draft says about routes as one text, lines left out: equal texts make equal sets. */
#include "base/text.h"
#include "model/build_route.h"

#define EACH(type, item, list)                                                                     \
	for (const type *item = (list)->items;                                                     \
	     item && item < (const type *)(list)->items + (list)->count; item++)

static void add_text(struct text *text, const char *value)
{
	if (value)
		text_add(text, span_of(value, strlen(value) + 1));
	else
		text_add(text, span_of("\1", 1));
}

static void add_number(struct text *text, uint64_t number)
{
	text_add(text, span_of((const char *)&number, sizeof(number)));
}

static void add_values(struct text *text, const struct draft_list *list)
{
	add_number(text, list->count);
	EACH(struct draft_value, value, list)
	{
		add_text(text, value->text);
		add_number(text, value->number);
	}
}

static void add_conditions(struct text *text, const struct draft_list *list)
{
	add_number(text, list->count);
	EACH(struct route_value_draft, value, list)
	{
		add_number(text, value->type);
		add_text(text, value->name);
		add_text(text, value->value);
	}
}

static void add_matches(struct text *text, const struct draft_list *list)
{
	add_number(text, list->count);
	EACH(struct route_match_draft, match, list)
	{
		add_number(text, match->path_type);
		add_text(text, match->path);
		add_text(text, match->method);
		add_conditions(text, &match->headers);
		add_conditions(text, &match->query);
	}
}

static void add_fields(struct text *text, const struct draft_list *list)
{
	add_number(text, list->count);
	EACH(struct route_field_draft, field, list)
	{
		add_text(text, field->name);
		add_text(text, field->value);
	}
}

static void add_change(struct text *text, const struct route_header_change_draft *change)
{
	add_fields(text, &change->set);
	add_fields(text, &change->add);
	add_values(text, &change->remove);
}

static void add_path_change(struct text *text, const struct route_path_change_draft *change)
{
	add_number(text, change->type);
	add_text(text, change->value);
}

static void add_filters(struct text *text, const struct route_filters_draft *filters)
{
	add_change(text, &filters->request);
	add_change(text, &filters->response);
	add_number(text, filters->redirect.port);
	add_number(text, filters->redirect.status);
	add_text(text, filters->redirect.scheme);
	add_text(text, filters->redirect.hostname);
	add_path_change(text, &filters->redirect.path);
	add_text(text, filters->rewrite.hostname);
	add_path_change(text, &filters->rewrite.path);
	add_number(text, filters->mirrors.count);
	EACH(struct route_mirror_draft, mirror, &filters->mirrors)
	{
		add_text(text, mirror->service);
		add_number(text, mirror->percent);
		add_number(text, mirror->numerator);
		add_number(text, mirror->denominator);
	}
}

static void add_rule(struct text *text, const struct route_rule_draft *rule)
{
	add_text(text, rule->name);
	add_number(text, rule->attempts);
	add_number(text, rule->request_ns);
	add_number(text, rule->backend_ns);
	add_number(text, rule->backoff_ns);
	add_matches(text, &rule->matches);
	add_filters(text, &rule->filters);
	add_values(text, &rule->retry_codes);
	add_number(text, rule->backends.count);
	EACH(struct route_backend_draft, backend, &rule->backends)
	{
		add_number(text, backend->weight);
		add_text(text, backend->service);
		add_text(text, backend->path);
		add_filters(text, &backend->filters);
	}
}

void route_form(const struct draft *draft, struct text *text)
{
	add_number(text, draft->routes.count);
	EACH(struct route_draft, route, &draft->routes)
	{
		add_text(text, route->name);
		add_number(text, route->created_s);
		add_number(text, route->may_be_left_out);
		add_values(text, &route->hostnames);
		add_values(text, &route->services);
		add_number(text, route->rules.count);
		EACH(struct route_rule_draft, rule, &route->rules)
		add_rule(text, rule);
	}
	add_number(text, draft->identifiers.count);
	EACH(struct identifier_draft, identifier, &draft->identifiers)
	{
		add_number(text, identifier->kind);
		add_number(text, identifier->segments);
		add_number(text, identifier->consumes);
		add_number(text, identifier->has_uri);
		add_text(text, identifier->header);
		add_text(text, identifier->path);
		add_matches(text, &identifier->matches);
	}
}
