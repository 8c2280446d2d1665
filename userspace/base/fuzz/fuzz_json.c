/*
 * A text tells the same in whatever pieces it comes; what it is cut into is JSON by itself; a list
 * or stream that is whole has members that can be looked up.
 */
#include "base/fuzz/target.h"

#include <assert.h>
#include <errno.h>

#include "base/json_parts.h"
#include "base/mem.h"

#define LIMIT_BYTES 64

struct notebook {
	struct json_parts parts;
	struct text told;
};

static void check_whole(struct span text)
{
	struct json_scan scan;
	enum json_event event;
	struct span ends[] = {text, span_of("\n", 1)}; /* a number ends with the byte behind it */
	json_scan_init(&scan, JSON_DEPTH_MAX);
	for (size_t i = 0; i < array_count(ends); i++) {
		while ((event = json_scan_next(&scan, &ends[i])) != JSON_MORE)
			assert(event != JSON_BAD);
	}
	assert(json_scan_is_over(&scan));
}

static void on_part(struct json_parts *parts, enum json_part kind, struct span key,
		    struct span text)
{
	struct notebook *notebook = container_of(parts, struct notebook, parts);
	assert(text.size > 0 && text.size <= LIMIT_BYTES && key.size <= JSON_PART_KEY_MAX);
	check_whole(text);
	text_printf(&notebook->told, "%d %.*s ", (int)kind, SPAN_PRINT(key));
	text_add(&notebook->told, text);
}

static void on_too_large(struct json_parts *parts, enum json_part kind, uint64_t size)
{
	struct notebook *notebook = container_of(parts, struct notebook, parts);
	assert(size > LIMIT_BYTES);
	text_printf(&notebook->told, "%d too large %zu", (int)kind, (size_t)size);
}

static const struct json_parts_events events = {.part = on_part, .too_large = on_too_large};

/* 0 or what the feed said; the notebook is the caller's. */
static int feed(struct notebook *notebook, bool is_stream, struct span bytes, size_t piece)
{
	int error = 0;
	*notebook = (struct notebook){0};
	json_parts_init(&notebook->parts, is_stream, LIMIT_BYTES, &events);
	while (bytes.size && !error) {
		size_t size = bytes.size < piece ? bytes.size : piece;
		error = json_parts_feed(&notebook->parts, span_of(bytes.data, size));
		bytes = span_of(bytes.data + size, bytes.size - size);
	}
	assert(!error || error == -EBADMSG);
	return error;
}

static void check_look_ups(struct span bytes, bool is_whole_list)
{
	struct span value;
	int error = json_member(bytes, "items", &value);
	assert(!is_whole_list || error != -EINVAL);
	if (error)
		return;
	check_whole(value);
	for (size_t i = 0; json_element(value, i, &value) == 0 && i < 8; i++)
		check_whole(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {1, 3, 17};
	long live = mem_live();
	if (size < 1)
		return 0;
	bool is_stream = data[0] & 1;
	struct span bytes = span_of((const char *)data + 1, size - 1);
	struct notebook whole;
	int error = feed(&whole, is_stream, bytes, SIZE_MAX);
	bool is_whole = !error && json_parts_is_whole(&whole.parts);
	for (size_t i = 0; i < array_count(pieces); i++) {
		struct notebook cut;
		int same = feed(&cut, is_stream, bytes, pieces[i]);
		assert(same == error);
		assert(error || json_parts_is_whole(&cut.parts) == is_whole);
		assert(span_equal(text_span(&cut.told), text_span(&whole.told)));
		json_parts_fini(&cut.parts);
		text_fini(&cut.told);
	}
	check_look_ups(bytes, is_whole && !is_stream);
	json_parts_fini(&whole.parts);
	text_fini(&whole.told);
	assert(mem_live() == live);
	return 0;
}
