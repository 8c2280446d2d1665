#include "base/json_scan.h"

#include <ctype.h>
#include <errno.h>

/* What may come next. */
enum state {
	AFTER, /* a value: comma, closing bracket; at depth 0 only blanks */
	VALUE,
	VALUE_OR_END, /* after [ */
	KEY,
	KEY_OR_END, /* after { */
	COLON,
	STRING,
	ESCAPE,
	HEX,
	LITERAL,
	/* A number, by its last byte. */
	MINUS,
	ZERO,
	DIGITS,
	POINT,
	FRACTION,
	EXPONENT,
	EXPONENT_SIGN,
	EXPONENT_DIGITS,
	BAD,
};

/* json_scan_is_over relies on it. */
_Static_assert(AFTER == 0, "a value that is over");

/* What one byte did. */
enum step {
	STEP_USED,
	STEP_ENDED,      /* used, and a value or name is over */
	STEP_ENDED_EARLY /* not used: a number was over before it */
};

void json_scan_init(struct json_scan *scan, unsigned told_depth)
{
	*scan = (struct json_scan){.state = VALUE, .told_depth = (uint8_t)told_depth};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool in_object(const struct json_scan *scan)
{
	return scan->depth && (scan->objects >> (scan->depth - 1) & 1);
}

static enum step become(struct json_scan *scan, enum state state)
{
	scan->state = (uint8_t)state;
	return STEP_USED;
}

static enum step open_container(struct json_scan *scan, bool is_object)
{
	if (scan->depth == JSON_DEPTH_MAX)
		return become(scan, BAD);
	uint64_t bit = 1ull << scan->depth;
	scan->objects = is_object ? scan->objects | bit : scan->objects & ~bit;
	scan->depth++;
	return become(scan, is_object ? KEY_OR_END : VALUE_OR_END);
}

static enum step close_container(struct json_scan *scan, char c)
{
	if (!scan->depth || c != (in_object(scan) ? '}' : ']'))
		return become(scan, BAD);
	scan->depth--;
	scan->state = AFTER;
	return STEP_ENDED;
}

static enum step begin_literal(struct json_scan *scan, const char *rest)
{
	scan->literal = rest;
	return become(scan, LITERAL);
}

static enum step begin_value(struct json_scan *scan, char c)
{
	scan->in_key = false;
	switch (c) {
	case '{':
	case '[':
		return open_container(scan, c == '{');
	case '"':
		return become(scan, STRING);
	case 't':
		return begin_literal(scan, "rue");
	case 'f':
		return begin_literal(scan, "alse");
	case 'n':
		return begin_literal(scan, "ull");
	case '-':
		return become(scan, MINUS);
	case '0':
		return become(scan, ZERO);
	default:
		return become(scan, is_digit(c) ? DIGITS : BAD);
	}
}

static enum step begin_key(struct json_scan *scan, char c)
{
	scan->in_key = true;
	return become(scan, c == '"' ? STRING : BAD);
}

static enum step after_value(struct json_scan *scan, char c)
{
	if (c == ',' && scan->depth)
		return become(scan, in_object(scan) ? KEY : VALUE);
	return close_container(scan, c);
}

static enum step string_byte(struct json_scan *scan, char c)
{
	if (c == '\\')
		return become(scan, ESCAPE);
	if (c != '"')
		return become(scan, (unsigned char)c < 0x20 ? BAD : STRING);
	scan->state = scan->in_key ? COLON : AFTER;
	return STEP_ENDED;
}

static enum step escape_byte(struct json_scan *scan, char c)
{
	scan->hex_left = 4;
	if (c == 'u')
		return become(scan, HEX);
	return become(scan, c && strchr("\"\\/bfnrt", c) ? STRING : BAD);
}

static enum step hex_byte(struct json_scan *scan, char c)
{
	if (!isxdigit((unsigned char)c))
		return become(scan, BAD);
	scan->hex_left--;
	return become(scan, scan->hex_left ? HEX : STRING);
}

static enum step literal_byte(struct json_scan *scan, char c)
{
	if (c != *scan->literal)
		return become(scan, BAD);
	scan->literal++;
	if (*scan->literal)
		return STEP_USED;
	scan->state = AFTER;
	return STEP_ENDED;
}

static enum step end_number(struct json_scan *scan)
{
	scan->state = AFTER;
	return STEP_ENDED_EARLY;
}

/* A digit leads to `next`, anything else ends the number. */
static enum step digit_or_end(struct json_scan *scan, char c, enum state next)
{
	return is_digit(c) ? become(scan, next) : end_number(scan);
}

/* RFC 8259 6: no leading zero, a digit on both sides of the point. */
static enum step number_byte(struct json_scan *scan, char c)
{
	bool is_exponent = c == 'e' || c == 'E';
	switch (scan->state) {
	case MINUS:
		return become(scan, c == '0' ? ZERO : is_digit(c) ? DIGITS : BAD);
	case ZERO:
		if (is_digit(c))
			return become(scan, BAD);
		/* fall through */
	case DIGITS:
		if (c == '.' || is_exponent)
			return become(scan, is_exponent ? EXPONENT : POINT);
		return digit_or_end(scan, c, DIGITS);
	case FRACTION:
		if (is_exponent)
			return become(scan, EXPONENT);
		return digit_or_end(scan, c, FRACTION);
	case POINT:
		return become(scan, is_digit(c) ? FRACTION : BAD);
	case EXPONENT:
		if (c == '+' || c == '-')
			return become(scan, EXPONENT_SIGN);
		/* fall through */
	case EXPONENT_SIGN:
		return become(scan, is_digit(c) ? EXPONENT_DIGITS : BAD);
	default:
		return digit_or_end(scan, c, EXPONENT_DIGITS);
	}
}

static enum step step(struct json_scan *scan, char c)
{
	switch (scan->state) {
	case STRING:
		return string_byte(scan, c);
	case ESCAPE:
		return escape_byte(scan, c);
	case HEX:
		return hex_byte(scan, c);
	case LITERAL:
		return literal_byte(scan, c);
	case BAD:
		return STEP_USED;
	default:
		break;
	}
	if (scan->state >= MINUS)
		return number_byte(scan, c);
	if (is_blank(c))
		return STEP_USED;
	switch (scan->state) {
	case VALUE_OR_END:
		return c == ']' ? close_container(scan, c) : begin_value(scan, c);
	case VALUE:
		return begin_value(scan, c);
	case KEY_OR_END:
		return c == '}' ? close_container(scan, c) : begin_key(scan, c);
	case KEY:
		return begin_key(scan, c);
	case COLON:
		return become(scan, c == ':' ? VALUE : BAD);
	default:
		return after_value(scan, c);
	}
}

/* The event that is due before byte `c` is used; JSON_MORE = none. */
static enum json_event begins(const struct json_scan *scan, char c)
{
	if (is_blank(c))
		return JSON_MORE;
	switch (scan->state) {
	case VALUE_OR_END:
		return c == ']' ? JSON_MORE : JSON_BEGIN;
	case VALUE:
		return JSON_BEGIN;
	case KEY_OR_END:
		return c == '}' ? JSON_MORE : JSON_KEY_BEGIN;
	case KEY:
		return JSON_KEY_BEGIN;
	default:
		return JSON_MORE;
	}
}

/* Most bytes are inside of strings and mean nothing. */
static const char *skip_plain(const char *at, const char *end)
{
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
		at++;
	return at;
}

enum json_event json_scan_next(struct json_scan *scan, struct span *bytes)
{
	const char *at = bytes->data;
	const char *end = at + bytes->size;
	enum json_event event = JSON_MORE;
	for (; at < end && event == JSON_MORE; at++) {
		if (scan->state == STRING && (at = skip_plain(at, end)) == end)
			break;
		if (scan->depth <= scan->told_depth && !scan->is_told)
			event = begins(scan, *at);
		scan->is_told = event != JSON_MORE;
		if (scan->is_told)
			break;
		bool was_key = scan->state == STRING && scan->in_key;
		enum step did = step(scan, *at);
		if (did != STEP_USED && scan->depth <= scan->told_depth)
			event = was_key ? JSON_KEY_END : JSON_END;
		if (did == STEP_ENDED_EARLY)
			at--;
		if (scan->state == BAD)
			event = JSON_BAD;
	}
	*bytes = span_of(at, (size_t)(end - at));
	return event;
}

/* ---- whole texts ---- */

static bool is_only_blanks(struct span bytes)
{
	while (bytes.size && is_blank(bytes.data[0]))
		bytes = span_of(bytes.data + 1, bytes.size - 1);
	return bytes.size == 0;
}

/* What json_member and json_element look for, and the walk's state. */
struct wanted {
	const char *key; /* NULL: by index */
	size_t index;
	size_t elements; /* seen so far */
	const char *began;
	bool is_next; /* the value that begins now is the one */
	bool is_found;
	struct span value;
};

static void meet(struct wanted *wanted, const struct json_scan *scan, enum json_event event,
		 const char *at)
{
	if (scan->depth != 1)
		return;
	switch (event) {
	case JSON_KEY_BEGIN:
	case JSON_BEGIN:
		wanted->began = at;
		break;
	case JSON_KEY_END:
		wanted->is_next = wanted->key && span_is(span_of(wanted->began + 1,
								 (size_t)(at - wanted->began) - 2),
							 wanted->key);
		break;
	case JSON_END:
		if (!wanted->key)
			wanted->is_next = wanted->elements++ == wanted->index;
		if (wanted->is_next) {
			wanted->is_found = true;
			wanted->value = span_of(wanted->began, (size_t)(at - wanted->began));
		}
		break;
	default:
		break;
	}
}

static int look_for(struct span text, struct wanted *wanted, struct span *ret_value)
{
	struct json_scan scan;
	struct span rest = text;
	char first = wanted->key ? '{' : '[';
	json_scan_init(&scan, 1);
	while (!json_scan_is_over(&scan)) {
		enum json_event event = json_scan_next(&scan, &rest);
		bool is_kind = event != JSON_BEGIN || scan.depth || rest.data[0] == first;
		if (event == JSON_MORE || event == JSON_BAD || !is_kind)
			return -EINVAL;
		meet(wanted, &scan, event, rest.data);
	}
	if (!is_only_blanks(rest))
		return -EINVAL;
	if (!wanted->is_found)
		return -ENOENT;
	*ret_value = wanted->value;
	return 0;
}

int json_member(struct span object, const char *key, struct span *ret_value)
{
	struct wanted wanted = {.key = key};
	return look_for(object, &wanted, ret_value);
}

int json_element(struct span array, size_t index, struct span *ret_value)
{
	struct wanted wanted = {.index = index};
	return look_for(array, &wanted, ret_value);
}

bool json_plain_string(struct span value, struct span *ret_text)
{
	if (value.size < 2 || value.data[0] != '"' || value.data[value.size - 1] != '"')
		return false;
	struct span text = span_of(value.data + 1, value.size - 2);
	if (memchr(text.data, '\\', text.size) || memchr(text.data, '"', text.size))
		return false;
	*ret_text = text;
	return true;
}
