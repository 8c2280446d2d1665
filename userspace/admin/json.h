/*
 * JSON as it is written, straight into a text: pages of thousands of series need no tree. Owner:
 * the function that declared it. Keys are literals; `key` NULL = an element of an array.
 */
#ifndef ADMIN_JSON_H
#define ADMIN_JSON_H

#include <stdint.h>

#include "base/text.h"

struct json {
	struct text *text;
	bool needs_comma;
};

void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_number(struct json *json, const char *key, uint64_t value);
/* Six digits after the point. */
void json_decimal(struct json *json, const char *key, double value);
void json_text(struct json *json, const char *key, const char *value);
void json_span(struct json *json, const char *key, struct span value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
