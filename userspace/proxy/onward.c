#include "proxy/onward.h"

#include <errno.h>

#include "base/mem.h"

#define OWN_FIELDS_MAX 2

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

int onward_init(struct onward *onward, const struct rewritten *from,
		const struct deadline *deadline, uint64_t wall_ns)
{
	onward->result = *from;
	onward->fields = NULL;
	if (deadline->at_ns == 0)
		return 0;
	const struct http_head *head = &from->head;
	size_t most = head->field_count + from->extra_count + OWN_FIELDS_MAX;
	struct http_field *fields = mem_alloc(most * sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	uint16_t count = 0;
	for (uint16_t i = 0; i < head->field_count; i++) {
		if (!is_deadline(&head->fields[i]))
			fields[count++] = head->fields[i];
	}
	struct http_field *extra = fields + count;
	for (size_t i = 0; i < from->extra_count; i++)
		extra[i] = from->extra[i];
	add_deadline(onward, head, deadline, wall_ns, extra);
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
