/* A table of fixed-size rows, searched from front to back: small, ordered, good for tests. */
#ifndef KERNEL_DOUBLE_ROWS_H
#define KERNEL_DOUBLE_ROWS_H

#include <stddef.h>

struct rows {
	size_t key_bytes;
	size_t value_bytes;
	size_t count;
	char *bytes; /* key, value, key, value, … */
};

#define ROWS_OF(key_type, value_type)                                                              \
	{                                                                                          \
		.key_bytes = sizeof(key_type), .value_bytes = sizeof(value_type)                   \
	}

void *rows_key(const struct rows *rows, size_t index);
void *rows_value(const struct rows *rows, size_t index);
/* The value of a key, or NULL. */
void *rows_find(const struct rows *rows, const void *key);
/* Adds or overwrites; `value` NULL leaves a new row zero and an old one as it is. */
void *rows_put(struct rows *rows, const void *key, const void *value);
void rows_remove(struct rows *rows, const void *key);
void rows_clear(struct rows *rows);

#endif
