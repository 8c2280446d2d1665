#include "cli/json_view.h"

const cJSON *view_item(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *view_text(const cJSON *object, const char *key)
{
	const cJSON *item = view_item(object, key);
	return cJSON_IsString(item) ? item->valuestring : "";
}

uint64_t view_number(const cJSON *object, const char *key)
{
	const cJSON *item = view_item(object, key);
	return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

void view_join(const cJSON *array, struct text *text)
{
	const cJSON *item;
	const char *separator = "";
	cJSON_ArrayForEach(item, array)
	{
		if (!cJSON_IsString(item))
			continue;
		text_printf(text, "%s%s", separator, item->valuestring);
		separator = ", ";
	}
}
