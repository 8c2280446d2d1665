/*
 * A growing NUL-terminated text: metrics pages, JSON, messages. Owner: whoever declared it; one
 * thread at a time. A failed allocation sets `failed` and later appends do nothing, so that only
 * the end of a long build has to be checked.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/span.h"

struct text {
	char *data; /* NULL while empty */
	size_t size;
	size_t capacity;
	bool failed;
};

void text_add(struct text *text, struct span bytes);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* As a JSON string with its quotes (RFC 8259 7); bytes that are no UTF-8 become U+FFFD. */
void text_json_string(struct text *text, struct span bytes);
static inline struct span text_span(const struct text *text)
{
	return span_of(text->data ? text->data : "", text->size);
}
void text_clear(struct text *text); /* keeps the memory */
void text_fini(struct text *text);

#endif
