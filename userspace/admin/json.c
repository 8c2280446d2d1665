#include "admin/json.h"

#include <inttypes.h>

static void add_key(struct json *json, const char *key)
{
	if (json->needs_comma)
		text_add(json->text, span_text(","));
	json->needs_comma = true;
	if (key)
		text_printf(json->text, "\"%s\":", key);
}

void json_open(struct json *json, const char *key, char bracket)
{
	add_key(json, key);
	text_add(json->text, span_of(&bracket, 1));
	json->needs_comma = false;
}

void json_close(struct json *json, char bracket)
{
	text_add(json->text, span_of(&bracket, 1));
	json->needs_comma = true;
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	add_key(json, key);
	text_printf(json->text, "%" PRIu64, value);
}

void json_decimal(struct json *json, const char *key, double value)
{
	add_key(json, key);
	text_printf(json->text, "%.6f", value);
}

void json_text(struct json *json, const char *key, const char *value)
{
	add_key(json, key);
	text_json_string(json->text, span_text(value));
}

void json_span(struct json *json, const char *key, struct span value)
{
	add_key(json, key);
	text_json_string(json->text, value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	add_key(json, key);
	text_add(json->text, span_text(value ? "true" : "false"));
}

void json_null(struct json *json, const char *key)
{
	add_key(json, key);
	text_add(json->text, span_text("null"));
}
