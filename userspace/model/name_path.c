#include "model/name_path.h"

#include <errno.h>
#include <string.h>

bool name_byte_is_plain(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || (byte && strchr("_:.#$%-", byte));
}

bool name_path_equal(struct name_path a, struct name_path b)
{
	if (a.count != b.count)
		return false;
	for (uint32_t i = 0; i < a.count; i++)
		if (!span_equal(a.segments[i], b.segments[i]))
			return false;
	return true;
}

bool name_path_starts(struct name_path path, struct name_path prefix)
{
	if (path.count < prefix.count)
		return false;
	for (uint32_t i = 0; i < prefix.count; i++)
		if (!name_segment_is_wildcard(prefix.segments[i]) &&
		    !span_equal(path.segments[i], prefix.segments[i]))
			return false;
	return true;
}

struct name_path name_path_slice(struct name_path path, uint32_t from, uint32_t count)
{
	if (from >= path.count)
		return (struct name_path){NULL, 0};
	uint32_t left = path.count - from;
	return (struct name_path){path.segments + from, count < left ? count : left};
}

size_t name_path_bytes(struct name_path path)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < path.count; i++)
		bytes += path.segments[i].size + 1;
	return bytes;
}

int name_path_join(struct name_path a, struct name_path b, struct name_arena *arena,
		   struct name_path *ret_path)
{
	if (name_path_bytes(a) + name_path_bytes(b) > NAME_PATH_BYTES_MAX)
		return -E2BIG;
	if (a.count == 0 || b.count == 0) {
		*ret_path = a.count ? a : b;
		return 0;
	}
	struct span *segments =
		name_arena_take(arena, sizeof(*segments) * ((size_t)a.count + b.count));
	if (!segments)
		return -ENOMEM;
	memcpy(segments, a.segments, sizeof(*segments) * a.count);
	memcpy(segments + a.count, b.segments, sizeof(*segments) * b.count);
	*ret_path = (struct name_path){segments, a.count + b.count};
	return 0;
}

int name_path_copy(struct name_path path, struct name_arena *arena, struct name_path *ret_path)
{
	*ret_path = (struct name_path){NULL, 0};
	if (path.count == 0)
		return 0;
	size_t list_bytes = sizeof(struct span) * path.count;
	struct span *segments = name_arena_take(arena, list_bytes + name_path_bytes(path));
	if (!segments)
		return -ENOMEM;
	char *at = (char *)segments + list_bytes;
	for (uint32_t i = 0; i < path.count; i++) {
		struct span from = path.segments[i];
		if (from.size)
			memcpy(at, from.data, from.size);
		segments[i] = span_of(at, from.size);
		at += from.size;
	}
	*ret_path = (struct name_path){segments, path.count};
	return 0;
}

void name_segment_print(struct span segment, struct text *text)
{
	if (name_segment_is_wildcard(segment))
		text_add(text, span_text("*"));
	for (size_t i = 0; i < segment.size; i++) {
		unsigned char byte = (unsigned char)segment.data[i];
		size_t run = i;
		while (run < segment.size && name_byte_is_plain((unsigned char)segment.data[run]))
			run++;
		if (run == i) {
			text_printf(text, "\\x%02x", byte);
			continue;
		}
		text_add(text, span_of(segment.data + i, run - i));
		i = run - 1;
	}
}

void name_path_print(struct name_path path, struct text *text)
{
	if (path.count == 0)
		text_add(text, span_text("/"));
	for (uint32_t i = 0; i < path.count; i++) {
		text_add(text, span_text("/"));
		name_segment_print(path.segments[i], text);
	}
}
