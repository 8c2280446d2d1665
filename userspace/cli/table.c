#include "cli/table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define GAP 2 /* blanks between columns */

/* A command that has no memory for a table has nothing to say. */
static void *needed(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void table_add(struct table *table, const char *cell)
{
	if (table->cell_count == table->capacity) {
		table->capacity = table->capacity ? table->capacity * 2 : 64;
		table->cells = needed(mem_realloc(table->cells, table->capacity * sizeof(char *)));
	}
	if (!cell || !cell[0])
		cell = "-";
	table->cells[table->cell_count++] = needed(mem_text(cell, strlen(cell)));
}

void table_init(struct table *table, size_t columns, const char *const *headings, unsigned right)
{
	assert(columns >= 1 && columns <= TABLE_COLUMNS_MAX);
	*table = (struct table){.columns = columns, .right = right};
	for (size_t i = 0; i < columns; i++)
		table_add(table, headings[i]);
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		mem_free(table->cells[i]);
	mem_free(table->cells);
	*table = (struct table){0};
}

/* Columns on a terminal: UTF-8 continuation bytes take none. */
static size_t cell_width(const char *cell)
{
	size_t width = 0;
	for (; *cell; cell++)
		width += ((unsigned char)*cell & 0xc0) != 0x80;
	return width;
}

static void add_blanks(struct text *text, size_t count)
{
	while (count--)
		text_add(text, span_text(" "));
}

void table_print(const struct table *table, struct text *text)
{
	assert(table->cell_count % table->columns == 0);
	size_t widths[TABLE_COLUMNS_MAX] = {0};
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = cell_width(table->cells[i]);
		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t column = i % table->columns;
		bool is_last = column == table->columns - 1;
		size_t blanks = widths[column] - cell_width(table->cells[i]);
		bool right = table->right & (1u << column);
		if (right)
			add_blanks(text, blanks);
		text_add(text, span_text(table->cells[i]));
		if (!is_last)
			add_blanks(text, (right ? 0 : blanks) + GAP);
		else
			text_add(text, span_text("\n"));
	}
}
