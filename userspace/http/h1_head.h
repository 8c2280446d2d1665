/*
 * From the fields that llhttp found to a head that can be believed: every byte accounted for,
 * framing decided (RFC 9112 3, 5, 6.3, 9.3). Pure; used by the reader only.
 */
#ifndef HTTP_H1_HEAD_H
#define HTTP_H1_HEAD_H

#include "http/h1.h"

/* A broken rule. Functions return a pointer to a constant one, or NULL when all is well. */
struct h1_fault {
	uint8_t error; /* enum h1_error */
	const char *text;
};

/* Options that a Connection field may list, so that the writer's look-ups stay bounded. */
#define H1_CONNECTION_OPTIONS_MAX 32

bool h1_is_token(char c); /* RFC 9110 5.6.2 tchar */
bool h1_is_text(char c);  /* field-vchar, blank or tab (RFC 9110 5.5) */

/*
 * `bytes` is the whole head with its empty line, `fields` are llhttp's (values untrimmed, NULL
 * when empty). Trims the values, fills *ret_head.
 */
const struct h1_fault *h1_head_read(const struct h1_reader *reader, struct span bytes,
				    struct http_field *fields, size_t count,
				    struct http_head *ret_head) MUST_CHECK;
/* The same for a trailer section. */
const struct h1_fault *h1_trailers_read(struct span bytes, struct http_field *fields,
					size_t count) MUST_CHECK;

#endif
