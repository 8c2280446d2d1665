#include "base/span.h"

#include <errno.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++) {
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	while (s.size > 0 && is_blank(s.data[0])) {
		s.data++;
		s.size--;
	}
	while (s.size > 0 && is_blank(s.data[s.size - 1]))
		s.size--;
	return s;
}

bool span_split(struct span *rest, char separator, struct span *ret_part)
{
	if (!rest->data)
		return false;
	const char *end = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
	if (!end) {
		*ret_part = *rest;
		*rest = (struct span){NULL, 0};
		return true;
	}
	size_t size = (size_t)(end - rest->data);
	*ret_part = span_of(rest->data, size);
	*rest = span_of(end + 1, rest->size - size - 1);
	return true;
}

int span_to_u64(struct span s, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (s.size == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.size; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}
