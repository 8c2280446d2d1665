/*
 * Where JSON values begin and end (RFC 8259), without a tree and without memory: bytes may come in
 * any pieces. Strict about structure, literals, numbers and escapes; bytes above 127 in strings
 * are not looked at, and a string's content is never decoded. Owner: one thread.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define JSON_DEPTH_MAX 64

enum json_event {
	JSON_MORE,      /* all bytes are used */
	JSON_KEY_BEGIN, /* the next byte is the quote of a member's name */
	JSON_KEY_END,   /* its closing quote was used */
	JSON_BEGIN,     /* the next byte is the first of a value */
	JSON_END,       /* its last byte was used */
	JSON_BAD,       /* no JSON, or nested deeper than JSON_DEPTH_MAX; and so for ever */
};

struct json_scan {
	const char *literal; /* what is left of true, false or null */
	uint64_t objects;    /* bit d: the container that encloses depth d + 1 is an object */
	uint8_t depth;       /* containers that are open */
	uint8_t told_depth;
	uint8_t state;
	uint8_t hex_left;
	bool is_told;
	bool in_key;
};

/* One value. Events come for what lies at most `told_depth` containers deep (0 = the value). */
void json_scan_init(struct json_scan *scan, unsigned told_depth);
/*
 * Uses bytes off the front of *bytes up to the next event. After JSON_END at depth 0 the value is
 * over: only blanks may follow. A number at depth 0 ends with the byte behind it.
 */
enum json_event json_scan_next(struct json_scan *scan, struct span *bytes);
static inline bool json_scan_is_over(const struct json_scan *scan)
{
	return scan->depth == 0 && scan->state == 0;
}

/*
 * Looks into a whole text. The value of an object's member: its bytes, quotes and brackets
 * included. Of members with one name the last counts; `key` is compared with the name as it is
 * written, so a name with escapes is no match. 0, -ENOENT, -EINVAL (no object, or bad JSON).
 */
int json_member(struct span object, const char *key, struct span *ret_value) MUST_CHECK;
/* The same of an array, by index from 0. 0, -ENOENT, -EINVAL (no array, or bad JSON). */
int json_element(struct span array, size_t index, struct span *ret_value) MUST_CHECK;
/* What is between the quotes of a string without escapes; false for anything else. */
bool json_plain_string(struct span value, struct span *ret_text) MUST_CHECK;

#endif
