#include "http/message.h"

#include "base/mem.h"

const struct http_field *http_find(const struct http_head *head, const char *name)
{
	struct span wanted = span_text(name);
	for (size_t i = 0; i < head->field_count; i++) {
		if (span_equal_nocase(head->fields[i].name, wanted))
			return &head->fields[i];
	}
	return NULL;
}

static struct span copy_span(char **text, struct span from)
{
	char *copy = *text;
	if (from.size)
		memcpy(copy, from.data, from.size);
	*text += from.size;
	return span_of(copy, from.size);
}

size_t http_head_bytes(const struct http_head *head)
{
	size_t size = sizeof(*head) + head->field_count * sizeof(struct http_field);
	size += head->method_text.size + head->target.size + head->host.size + head->reason.size;
	for (size_t i = 0; i < head->field_count; i++)
		size += head->fields[i].name.size + head->fields[i].value.size;
	return size;
}

struct http_head *http_head_copy(const struct http_head *head)
{
	struct http_head *copy = mem_alloc(http_head_bytes(head));
	if (!copy)
		return NULL;
	struct http_field *fields = (struct http_field *)(copy + 1);
	char *text = (char *)(fields + head->field_count);
	*copy = *head;
	copy->method_text = copy_span(&text, head->method_text);
	copy->target = copy_span(&text, head->target);
	copy->host = copy_span(&text, head->host);
	copy->reason = copy_span(&text, head->reason);
	for (size_t i = 0; i < head->field_count; i++) {
		fields[i].name = copy_span(&text, head->fields[i].name);
		fields[i].value = copy_span(&text, head->fields[i].value);
	}
	copy->fields = fields;
	return copy;
}

/*
 * Of the methods without a constant here only the safe ones (IANA registry): MOVE or UNLOCK count
 * as idempotent, but a second one is answered differently from the first.
 */
static bool is_other_safe(struct span method)
{
	return span_is(method, "PROPFIND") || span_is(method, "REPORT") ||
	       span_is(method, "SEARCH");
}

bool http_is_idempotent(const struct http_head *head)
{
	switch (head->method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
		return true;
	case HTTP_METHOD_OTHER:
		return is_other_safe(head->method_text);
	default:
		return false;
	}
}

bool http_list_has(struct span list, const char *token)
{
	struct span element;
	struct span wanted = span_text(token);
	while (span_split(&list, ',', &element)) {
		if (span_equal_nocase(span_trim(element), wanted))
			return true;
	}
	return false;
}
