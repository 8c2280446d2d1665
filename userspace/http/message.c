#include "http/message.h"

const struct http_field *http_find(const struct http_head *head, const char *name)
{
	struct span wanted = span_text(name);
	for (size_t i = 0; i < head->field_count; i++) {
		if (span_equal_nocase(head->fields[i].name, wanted))
			return &head->fields[i];
	}
	return NULL;
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
