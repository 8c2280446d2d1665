#include "kernel/double/rows.h"

#include <stdlib.h>
#include <string.h>

static size_t row_bytes(const struct rows *rows)
{
	return rows->key_bytes + rows->value_bytes;
}

void *rows_key(const struct rows *rows, size_t index)
{
	return rows->bytes + index * row_bytes(rows);
}

void *rows_value(const struct rows *rows, size_t index)
{
	return rows->bytes + index * row_bytes(rows) + rows->key_bytes;
}

void *rows_find(const struct rows *rows, const void *key)
{
	for (size_t i = 0; i < rows->count; i++)
		if (memcmp(rows_key(rows, i), key, rows->key_bytes) == 0)
			return rows_value(rows, i);
	return NULL;
}

void *rows_put(struct rows *rows, const void *key, const void *value)
{
	void *found = rows_find(rows, key);
	if (!found) {
		char *more = realloc(rows->bytes, (rows->count + 1) * row_bytes(rows));
		if (!more)
			abort();
		rows->bytes = more;
		memset(rows_key(rows, rows->count), 0, row_bytes(rows));
		memcpy(rows_key(rows, rows->count), key, rows->key_bytes);
		found = rows_value(rows, rows->count++);
	}
	if (value)
		memcpy(found, value, rows->value_bytes);
	return found;
}

void rows_remove(struct rows *rows, const void *key)
{
	for (size_t i = 0; i < rows->count; i++) {
		if (memcmp(rows_key(rows, i), key, rows->key_bytes) != 0)
			continue;
		rows->count--;
		memmove(rows_key(rows, i), rows_key(rows, i + 1),
			(rows->count - i) * row_bytes(rows));
		return;
	}
}

void rows_clear(struct rows *rows)
{
	free(rows->bytes);
	rows->bytes = NULL;
	rows->count = 0;
}
