/* A borrowed run of bytes, not NUL-terminated. Any thread; never owns. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct span {
	const char *data;
	size_t size;
};

/* For printf: "%.*s", SPAN_PRINT(s). */
#define SPAN_PRINT(s) (int)(s).size, (s).data

static inline struct span span_of(const char *data, size_t size)
{
	return (struct span){data, size};
}

static inline struct span span_text(const char *text)
{
	return (struct span){text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
	return span_equal(a, span_text(text));
}

static inline bool span_starts(struct span a, struct span prefix)
{
	return a.size >= prefix.size &&
	       (prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

/* ASCII case-insensitive (RFC 9110 5.1 for field names). */
bool span_equal_nocase(struct span a, struct span b);
static inline bool span_is_nocase(struct span a, const char *text)
{
	return span_equal_nocase(a, span_text(text));
}

/* Without leading and trailing blanks and tabs (RFC 9110 5.6.3 OWS). */
struct span span_trim(struct span s);

/*
 * Takes the part before the next `separator` off the front of *rest. False when *rest is used up:
 * rest->data is NULL then. "a,,b" gives "a", "", "b".
 */
bool span_split(struct span *rest, char separator, struct span *ret_part);

/* Decimal digits only, whole span, no sign. 0, -EINVAL, or -ERANGE past UINT64_MAX. */
int span_to_u64(struct span s, uint64_t *ret_value) MUST_CHECK;

#endif
