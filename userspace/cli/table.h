/* Rows of text with columns as wide as their widest cell. Owner: the function that declared it. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#include "base/text.h"

#define TABLE_COLUMNS_MAX 16

struct table {
	size_t columns;
	unsigned right; /* bit n: column n is a number, aligned to the right */
	char **cells;   /* row by row */
	size_t cell_count;
	size_t capacity;
};

/* The headings are the first row. */
void table_init(struct table *table, size_t columns, const char *const *headings, unsigned right);
void table_fini(struct table *table);
/* The next cell, row by row; empty cells become "-". */
void table_add(struct table *table, const char *cell);
void table_print(const struct table *table, struct text *text);

#endif
