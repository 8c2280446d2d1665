#include "model/dtab.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

uint32_t dtab_first_hash(struct name_path path)
{
	if (path.count == 0 || name_segment_is_wildcard(path.segments[0]))
		return 0;
	return hash_text(path.segments[0], 0) | 1;
}

bool dtab_entry_matches(const struct dtab_entry *entry, struct name_path path, uint32_t first_hash)
{
	if (entry->first_hash && entry->first_hash != first_hash)
		return false;
	return name_path_starts(path, entry->prefix);
}

static uint32_t newlines(const char *from, const char *to)
{
	uint32_t count = 0;
	for (; from < to; from++)
		count += *from == '\n';
	return count;
}

static int read_entry(struct name_reader *reader, struct dtab_entry *ret_entry)
{
	struct name_tree *tree;
	int error = name_read_prefix(reader, &ret_entry->prefix);
	if (error)
		return error;
	name_skip_blanks(reader);
	if (!name_accept(reader, '='))
		return name_expected(reader, "'=>' after the prefix");
	if (!name_accept(reader, '>'))
		return name_expected(reader, "'>' after '='");
	error = name_read_tree(reader, &tree);
	if (error)
		return error;
	ret_entry->tree = tree;
	ret_entry->first_hash = dtab_first_hash(ret_entry->prefix);
	return 0;
}

/* At least as many entries as there are. */
static size_t entries_at_most(struct span text)
{
	size_t count = 1;
	for (size_t i = 0; i < text.size && count <= DTAB_ENTRIES_MAX; i++)
		count += text.data[i] == ';';
	return count;
}

static int read_entries(struct name_reader *reader, struct dtab *dtab)
{
	struct dtab_entry *entries =
		name_arena_take(reader->arena, sizeof(*entries) * entries_at_most(reader->text));
	if (!entries)
		return name_refuse(reader, 0, -ENOMEM, "out of memory");
	uint32_t line = 1;
	const char *counted = reader->text.data;
	dtab->entries = entries;
	for (;;) {
		name_skip_blanks(reader);
		if (name_at_end(reader))
			return 0;
		if (dtab->count == DTAB_ENTRIES_MAX)
			return name_refuse(reader, reader->at, -E2BIG, "more than %d entries",
					   DTAB_ENTRIES_MAX);
		struct dtab_entry *entry = &entries[dtab->count];
		const char *begin = reader->text.data + reader->at;
		line += newlines(counted, begin);
		counted = begin;
		entry->line = line;
		int error = read_entry(reader, entry);
		if (error)
			return error;
		dtab->count++;
		name_skip_blanks(reader);
		if (!name_at_end(reader) && !name_accept(reader, ';'))
			return name_expected(reader, "'|', '&' or ';'");
	}
}

int dtab_parse(struct span text, struct dtab **ret_dtab, struct name_error *ret_error)
{
	struct name_arena memory;
	struct name_reader reader;
	name_arena_init(&memory, NULL, 0);
	name_reader_init(&reader, text, &memory, ret_error);
	if (text.size > DTAB_BYTES_MAX)
		return name_refuse(&reader, 0, -E2BIG, "a dtab of %zu bytes; at most %d", text.size,
				   DTAB_BYTES_MAX);
	struct dtab *dtab = mem_zalloc(sizeof(*dtab));
	char *copy = dtab ? name_arena_take(&memory, text.size + 1) : NULL;
	int error;
	if (!copy) {
		error = name_refuse(&reader, 0, -ENOMEM, "out of memory");
		goto free_memory;
	}
	if (text.size)
		memcpy(copy, text.data, text.size);
	reader.text = span_of(copy, text.size);
	error = read_entries(&reader, dtab);
	if (error)
		goto free_memory;
	dtab->memory = memory;
	*ret_dtab = dtab;
	return 0;
free_memory:
	name_arena_fini(&memory);
	mem_free(dtab);
	return error;
}

void dtab_free(struct dtab *dtab)
{
	if (!dtab)
		return;
	name_arena_fini(&dtab->memory);
	mem_free(dtab);
}

void dtab_entry_print(const struct dtab_entry *entry, struct text *text)
{
	name_path_print(entry->prefix, text);
	text_add(text, span_text(" => "));
	name_tree_print(entry->tree, text);
}

void dtab_print(const struct dtab *dtab, struct text *text)
{
	for (uint32_t i = 0; i < dtab->count; i++) {
		if (i)
			text_add(text, span_text("; "));
		dtab_entry_print(&dtab->entries[i], text);
	}
}
