/* Short names for looking into weftd's JSON; what is absent reads as "" or 0. */
#ifndef CLI_JSON_VIEW_H
#define CLI_JSON_VIEW_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/text.h"

const cJSON *view_item(const cJSON *object, const char *key);
const char *view_text(const cJSON *object, const char *key);
uint64_t view_number(const cJSON *object, const char *key);
/* The array's texts, separated by ", ". */
void view_join(const cJSON *array, struct text *text);

#endif
