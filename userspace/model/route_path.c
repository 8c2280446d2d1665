#include "model/route_path.h"

int route_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 2.3 */
static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

bool route_path_is_normal(struct span path)
{
	for (size_t i = 0; i < path.size; i++) {
		char c = path.data[i];
		if (c == '%')
			return false; /* perhaps; rare enough to write it anew */
		if (c == '/' && i + 1 < path.size &&
		    (path.data[i + 1] == '/' || path.data[i + 1] == '.'))
			return false;
	}
	return true;
}

/* Decodes what needs no encoding. In place is fine. */
static size_t decode(struct span path, char *memory)
{
	size_t size = 0;
	for (size_t i = 0; i < path.size; i++) {
		static const char digits[] = "0123456789ABCDEF";
		int high =
			path.data[i] == '%' && i + 2 < path.size ? route_hex(path.data[i + 1]) : -1;
		int low = high >= 0 ? route_hex(path.data[i + 2]) : -1;
		if (low < 0) {
			memory[size++] = path.data[i];
			continue;
		}
		unsigned char octet = (unsigned char)(high * 16 + low);
		if (is_unreserved(octet)) {
			memory[size++] = (char)octet;
		} else {
			memory[size++] = '%';
			memory[size++] = digits[high];
			memory[size++] = digits[low];
		}
		i += 2;
	}
	return size;
}

/* The last segment leaves, its "/" too. */
static size_t without_last(const char *memory, size_t size)
{
	while (size > 0 && memory[--size] != '/')
		;
	return size;
}

struct span route_path_normalise(struct span path, char *memory)
{
	struct span rest = span_of(memory, decode(path, memory));
	struct span segment;
	size_t size = 0; /* of what is written, always at or before what is read */
	bool ends_with_slash = false;
	span_split(&rest, '/', &segment); /* what is in front of the first "/": nothing */
	while (span_split(&rest, '/', &segment)) {
		bool is_up = span_is(segment, "..");
		ends_with_slash = segment.size == 0 || is_up || span_is(segment, ".");
		if (is_up)
			size = without_last(memory, size);
		if (ends_with_slash)
			continue;
		memory[size++] = '/';
		memmove(memory + size, segment.data, segment.size);
		size += segment.size;
	}
	if (ends_with_slash || size == 0)
		memory[size++] = '/';
	return span_of(memory, size);
}

struct route_target route_target_split(struct span target)
{
	struct route_target parts = {0};
	struct span rest = target;
	const char *colon = target.size ? memchr(target.data, ':', target.size) : NULL;
	bool is_origin = target.size && target.data[0] == '/';
	if (!is_origin && colon && (size_t)(target.data + target.size - colon) > 3 &&
	    memcmp(colon, "://", 3) == 0) {
		parts.is_absolute = true;
		rest = span_of(colon + 3, (size_t)(target.data + target.size - colon - 3));
		size_t size = 0;
		while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
			size++;
		parts.authority = span_of(rest.data, size);
		rest = span_of(rest.data + size, rest.size - size);
		is_origin = true;
	}
	if (!is_origin)
		return parts;
	const char *mark = rest.size ? memchr(rest.data, '?', rest.size) : NULL;
	parts.path = rest;
	if (mark) {
		parts.has_query = true;
		parts.path.size = (size_t)(mark - rest.data);
		parts.query = span_of(mark + 1, rest.size - parts.path.size - 1);
	}
	if (parts.path.size == 0)
		parts.path = span_text("/"); /* "http://host" asks for "/" (RFC 9110 4.2.3) */
	return parts;
}

struct span route_host_of(struct span authority)
{
	const char *at = authority.size ? memrchr(authority.data, '@', authority.size) : NULL;
	if (at)
		authority = span_of(at + 1, (size_t)(authority.data + authority.size - at - 1));
	if (authority.size && authority.data[0] == '[') {
		const char *end = memchr(authority.data, ']', authority.size);
		return end ? span_of(authority.data + 1, (size_t)(end - authority.data - 1))
			   : span_of("", 0);
	}
	const char *colon = authority.size ? memchr(authority.data, ':', authority.size) : NULL;
	if (colon)
		authority.size = (size_t)(colon - authority.data);
	if (authority.size && authority.data[authority.size - 1] == '.')
		authority.size--;
	return authority;
}
