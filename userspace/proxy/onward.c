#include "proxy/onward.h"

#include <errno.h>

#include "base/mem.h"
#include "proxy/route.h"

#define OWN_FIELDS_MAX 3

static bool is_deadline(const struct http_field *field)
{
	return span_is_nocase(field->name, DEADLINE_HEADER) ||
	       span_is_nocase(field->name, "grpc-timeout");
}

/* A request's deadline, as this hop leaves of it. */
static void add_deadline(struct onward *onward, const struct http_head *head,
			 const struct deadline *deadline, uint64_t wall_ns,
			 struct http_field *extra)
{
	uint64_t left_ns = deadline->at_ns > wall_ns ? deadline->at_ns - wall_ns : 0;
	struct rewritten *result = &onward->result;
	extra[result->extra_count++] = (struct http_field){
		span_text(DEADLINE_HEADER), deadline_print(deadline, onward->deadline)};
	if (http_find(head, "grpc-timeout"))
		extra[result->extra_count++] = (struct http_field){
			span_text("grpc-timeout"), deadline_print_grpc(left_ns, onward->grpc)};
}

static bool is_dtab(const struct http_field *field)
{
	return span_is_nocase(field->name, "l5d-dtab") ||
	       span_is_nocase(field->name, "l5d-ctx-dtab");
}

int onward_init(struct onward *onward, const struct route_way *way, const struct deadline *deadline,
		uint64_t wall_ns)
{
	const struct rewritten *from = &way->forwarded;
	bool tells_deadline = deadline->at_ns > 0;
	onward->result = *from;
	onward->fields = NULL;
	if (!tells_deadline && !way->strips_dtab)
		return 0;
	const struct http_head *head = &from->head;
	size_t most = head->field_count + from->extra_count + OWN_FIELDS_MAX;
	struct http_field *fields = mem_alloc(most * sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	uint16_t count = 0;
	for (uint16_t i = 0; i < head->field_count; i++) {
		bool is_out = (tells_deadline && is_deadline(&head->fields[i])) ||
			      (way->strips_dtab && is_dtab(&head->fields[i]));
		if (!is_out)
			fields[count++] = head->fields[i];
	}
	struct http_field *extra = fields + count;
	for (size_t i = 0; i < from->extra_count; i++)
		extra[i] = from->extra[i];
	if (tells_deadline)
		add_deadline(onward, head, deadline, wall_ns, extra);
	if (way->dtab.size)
		extra[onward->result.extra_count++] =
			(struct http_field){span_text("l5d-ctx-dtab"), way->dtab};
	onward->result.head.fields = fields;
	onward->result.head.field_count = count;
	onward->result.extra = extra;
	onward->fields = fields;
	return 0;
}

void onward_fini(struct onward *onward)
{
	mem_free(onward->fields);
}
