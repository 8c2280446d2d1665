#include "base/json_parts.h"

#include <errno.h>

#define KEPT_BYTES   65536 /* of gathering memory, between parts */
#define KEY_TOO_LONG UINT8_MAX

/* A list's items lie two containers deep. */
static unsigned told_depth(const struct json_parts *parts)
{
	return parts->is_stream ? 0 : 2;
}

void json_parts_init(struct json_parts *parts, bool is_stream, size_t limit_bytes,
		     const struct json_parts_events *events)
{
	*parts = (struct json_parts){
		.events = events, .is_stream = is_stream, .limit_bytes = limit_bytes};
	json_scan_init(&parts->scan, told_depth(parts));
}

void json_parts_fini(struct json_parts *parts)
{
	text_fini(&parts->gathered);
}

bool json_parts_is_whole(const struct json_parts *parts)
{
	return parts->is_stream ? !parts->in_part : json_scan_is_over(&parts->scan);
}

/* ---- names ---- */

static void key_add(struct json_parts *parts, struct span bytes)
{
	if (parts->key_size == KEY_TOO_LONG || parts->key_size + bytes.size > sizeof(parts->key)) {
		parts->key_size = KEY_TOO_LONG;
		return;
	}
	memcpy(parts->key + parts->key_size, bytes.data, bytes.size);
	parts->key_size += (uint8_t)bytes.size;
}

/* Without its quotes. */
static struct span key_of(const struct json_parts *parts)
{
	if (parts->is_stream || parts->in_items || parts->key_size == KEY_TOO_LONG)
		return span_of("", 0);
	return span_of(parts->key + 1, parts->key_size - 2u);
}

/* ---- parts ---- */

static enum json_part kind_of(const struct json_parts *parts)
{
	if (parts->is_stream)
		return JSON_DOCUMENT;
	return parts->in_items ? JSON_ITEM : JSON_MEMBER;
}

/* What was fed of the part goes to the gathered rest, unless it is too much. */
static int gather(struct json_parts *parts, struct span bytes)
{
	parts->part_bytes += bytes.size;
	if (parts->part_bytes > parts->limit_bytes)
		text_fini(&parts->gathered);
	else
		text_add(&parts->gathered, bytes);
	return parts->gathered.failed ? -ENOMEM : 0;
}

static int end_part(struct json_parts *parts, const char *end)
{
	struct span piece = span_of(parts->from, (size_t)(end - parts->from));
	bool is_one_piece = parts->part_bytes == 0;
	if (is_one_piece)
		parts->part_bytes = piece.size;
	else if (gather(parts, piece))
		return -ENOMEM;
	struct span text = is_one_piece ? piece : text_span(&parts->gathered);
	uint64_t size = parts->part_bytes;
	parts->part_bytes = 0;
	parts->in_part = false;
	if (size > parts->limit_bytes)
		parts->events->too_large(parts, kind_of(parts), size);
	else
		parts->events->part(parts, kind_of(parts), key_of(parts), text);
	if (parts->gathered.capacity > KEPT_BYTES)
		text_fini(&parts->gathered);
	else
		text_clear(&parts->gathered);
	return 0;
}

static void begin_part(struct json_parts *parts, const char *at)
{
	parts->in_part = true;
	parts->from = at;
}

/* ---- events of the scan ---- */

static int value_begins(struct json_parts *parts, const char *at)
{
	unsigned depth = parts->scan.depth;
	if (depth == 0) {
		if (*at != '{')
			return -EBADMSG;
		if (parts->is_stream)
			begin_part(parts, at);
	} else if (depth == 1) {
		parts->in_items = *at == '[' && span_is(key_of(parts), "items");
		if (!parts->in_items)
			begin_part(parts, at);
	} else if (parts->in_items) {
		begin_part(parts, at);
	}
	return 0;
}

static int value_ends(struct json_parts *parts, const char *end)
{
	unsigned depth = parts->scan.depth;
	bool is_part = parts->is_stream || (depth == 1 && !parts->in_items) ||
		       (depth == 2 && parts->in_items);
	int error = is_part ? end_part(parts, end) : 0;
	if (depth == 1)
		parts->in_items = false;
	if (depth == 0 && parts->is_stream)
		json_scan_init(&parts->scan, told_depth(parts));
	return error;
}

static int meet(struct json_parts *parts, enum json_event event, const char *at)
{
	switch (event) {
	case JSON_KEY_BEGIN:
		parts->in_key = parts->scan.depth == 1;
		if (parts->in_key) {
			parts->key_size = 0;
			parts->from = at;
		}
		return 0;
	case JSON_KEY_END:
		if (parts->in_key)
			key_add(parts, span_of(parts->from, (size_t)(at - parts->from)));
		parts->in_key = false;
		return 0;
	case JSON_BEGIN:
		return value_begins(parts, at);
	case JSON_END:
		return value_ends(parts, at);
	default:
		return -EBADMSG;
	}
}

int json_parts_feed(struct json_parts *parts, struct span bytes)
{
	struct span rest = bytes;
	enum json_event event;
	parts->from = bytes.data;
	while ((event = json_scan_next(&parts->scan, &rest)) != JSON_MORE) {
		int error = meet(parts, event, rest.data);
		if (error)
			return error;
	}
	struct span piece = span_of(parts->from, (size_t)(rest.data - parts->from));
	if (parts->in_key)
		key_add(parts, piece);
	return parts->in_part && piece.size ? gather(parts, piece) : 0;
}
