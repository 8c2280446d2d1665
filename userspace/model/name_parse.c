#include "model/name_parse.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void name_error_print(const struct name_error *error, struct text *text)
{
	if (error->line > 1)
		text_printf(text, "line %u, ", error->line);
	text_printf(text, "column %u: %s", error->column, error->why);
}

void name_reader_init(struct name_reader *reader, struct span text, struct name_arena *arena,
		      struct name_error *error)
{
	*reader = (struct name_reader){.text = text, .arena = arena, .error = error};
	*error = (struct name_error){.line = 1, .column = 1};
}

bool name_at_end(const struct name_reader *reader)
{
	return reader->at >= reader->text.size;
}

static unsigned char peek(const struct name_reader *reader)
{
	return name_at_end(reader) ? 0 : (unsigned char)reader->text.data[reader->at];
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void name_skip_blanks(struct name_reader *reader)
{
	while (!name_at_end(reader) && (is_blank(peek(reader)) || peek(reader) == '#')) {
		if (peek(reader) == '#')
			while (!name_at_end(reader) && peek(reader) != '\n')
				reader->at++;
		else
			reader->at++;
	}
}

bool name_accept(struct name_reader *reader, char c)
{
	if (name_at_end(reader) || reader->text.data[reader->at] != c)
		return false;
	reader->at++;
	return true;
}

int name_refuse(struct name_reader *reader, size_t at, int code, const char *format, ...)
{
	struct name_error *error = reader->error;
	*error = (struct name_error){.line = 1, .column = 1};
	for (size_t i = 0; i < at && i < reader->text.size; i++) {
		unsigned char byte = (unsigned char)reader->text.data[i];
		if (byte == '\n') {
			error->line++;
			error->column = 1;
		} else if ((byte & 0xc0) != 0x80) { /* not within a character of UTF-8 */
			error->column++;
		}
	}
	va_list args;
	va_start(args, format);
	vsnprintf(error->why, sizeof(error->why), format, args);
	va_end(args);
	return code;
}

int name_expected(struct name_reader *reader, const char *what)
{
	unsigned char found = peek(reader);
	if (name_at_end(reader))
		return name_refuse(reader, reader->at, -EINVAL, "expected %s, found the end", what);
	if (found == '\n')
		return name_refuse(reader, reader->at, -EINVAL,
				   "expected %s, found the end of the line", what);
	if (found < 0x20 || found > 0x7e)
		return name_refuse(reader, reader->at, -EINVAL,
				   "expected %s, found the byte \\x%02x", what, found);
	return name_refuse(reader, reader->at, -EINVAL, "expected %s, found '%c'", what, found);
}

static int no_memory(struct name_reader *reader)
{
	return name_refuse(reader, reader->at, -ENOMEM, "out of memory");
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind the backslash. */
static int read_escape(struct name_reader *reader, char *ret_byte)
{
	int value = 0;
	if (!name_accept(reader, 'x'))
		return name_expected(reader, "'x' and two hex digits after '\\'");
	for (int i = 0; i < 2; i++) {
		int digit = name_at_end(reader) ? -1 : hex_digit(peek(reader));
		if (digit < 0)
			return name_expected(reader, "a hex digit");
		value = value * 16 + digit;
		reader->at++;
	}
	*ret_byte = (char)value;
	return 0;
}

static bool begins_segment(const struct name_reader *reader)
{
	return !name_at_end(reader) && (name_byte_is_plain(peek(reader)) || peek(reader) == '\\');
}

static int read_segment(struct name_reader *reader, struct span *ret_segment)
{
	size_t begin = reader->at;
	size_t size = 0;
	bool has_escapes = false;
	if (!begins_segment(reader))
		return name_expected(reader, "a path segment");
	while (begins_segment(reader)) {
		char byte;
		int error;
		if (!name_accept(reader, '\\')) {
			reader->at++;
		} else {
			has_escapes = true;
			error = read_escape(reader, &byte);
			if (error)
				return error;
		}
		size++;
	}
	if (!has_escapes) {
		*ret_segment = span_of(reader->text.data + begin, size);
		return 0;
	}
	char *bytes = name_arena_take(reader->arena, size);
	if (!bytes)
		return no_memory(reader);
	size_t end = reader->at;
	reader->at = begin;
	for (size_t i = 0; reader->at < end; i++) {
		bytes[i] = reader->text.data[reader->at++];
		if (bytes[i] == '\\')
			(void)!read_escape(reader, &bytes[i]);
	}
	*ret_segment = span_of(bytes, size);
	return 0;
}

/* At least as many segments as follow. */
static size_t segments_at_most(const struct name_reader *reader)
{
	size_t count = 1;
	for (size_t i = reader->at; i < reader->text.size; i++) {
		unsigned char c = (unsigned char)reader->text.data[i];
		if (c == '/')
			count++;
		else if (!name_byte_is_plain(c) && c != '\\' && c != '*')
			break;
	}
	return count;
}

static int read_segments(struct name_reader *reader, bool is_prefix, struct name_path *ret_path)
{
	size_t begin = reader->at;
	size_t bytes = 0;
	size_t most = segments_at_most(reader);
	if (most > NAME_PATH_BYTES_MAX / 2)
		most = NAME_PATH_BYTES_MAX / 2;
	struct span *segments = name_arena_take(reader->arena, sizeof(*segments) * most);
	if (!segments)
		return no_memory(reader);
	uint32_t count = 0;
	do {
		struct span segment = {NULL, 0};
		int error = 0;
		if (!is_prefix || !name_accept(reader, '*'))
			error = read_segment(reader, &segment);
		if (error)
			return error;
		bytes += segment.size + 1;
		if (bytes > NAME_PATH_BYTES_MAX || count == most)
			return name_refuse(reader, begin, -E2BIG, "a path of more than %d bytes",
					   NAME_PATH_BYTES_MAX);
		segments[count++] = segment;
	} while (name_accept(reader, '/'));
	*ret_path = (struct name_path){segments, count};
	return 0;
}

static int read_path(struct name_reader *reader, bool is_prefix, struct name_path *ret_path)
{
	name_skip_blanks(reader);
	if (!name_accept(reader, '/'))
		return name_expected(reader, is_prefix ? "a prefix, which begins with '/'"
						       : "a path, which begins with '/'");
	if (begins_segment(reader) || (is_prefix && peek(reader) == '*'))
		return read_segments(reader, is_prefix, ret_path);
	*ret_path = (struct name_path){NULL, 0};
	return 0;
}

int name_read_path(struct name_reader *reader, struct name_path *ret_path)
{
	return read_path(reader, false, ret_path);
}

int name_read_prefix(struct name_reader *reader, struct name_path *ret_prefix)
{
	return read_path(reader, true, ret_prefix);
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static int read_weight(struct name_reader *reader, double *ret_weight)
{
	char digits[NAME_WEIGHT_BYTES + 1];
	size_t begin = reader->at;
	size_t size = 0;
	bool has_point = false;
	bool has_digit = false;
	for (; is_digit(peek(reader)) || peek(reader) == '.'; reader->at++) {
		bool is_point = peek(reader) == '.';
		if (is_point && has_point)
			return name_expected(reader, "'*' after the weight");
		if (size == NAME_WEIGHT_BYTES)
			return name_refuse(reader, begin, -E2BIG, "a weight of more than %d digits",
					   NAME_WEIGHT_BYTES);
		has_point |= is_point;
		has_digit |= !is_point;
		digits[size++] = (char)peek(reader);
	}
	if (!has_digit)
		return name_expected(reader, "a digit");
	digits[size] = '\0';
	name_skip_blanks(reader);
	if (!name_accept(reader, '*'))
		return name_expected(reader, "'*' after the weight");
	*ret_weight = strtod(digits, NULL);
	return 0;
}

static int read_simple(struct name_reader *reader, struct name_tree **ret_tree)
{
	static const struct {
		char sign;
		enum name_tree_kind kind;
	} signs[] = {{'~', NAME_NEG}, {'!', NAME_FAIL}, {'$', NAME_EMPTY}};
	name_skip_blanks(reader);
	size_t begin = reader->at;
	if (name_accept(reader, '(')) {
		if (reader->parentheses == NAME_PARENTHESES_MAX)
			return name_refuse(reader, begin, -E2BIG, "parentheses more than %d deep",
					   NAME_PARENTHESES_MAX);
		reader->parentheses++;
		int error = name_read_tree(reader, ret_tree);
		if (error)
			return error;
		reader->parentheses--;
		return name_accept(reader, ')') ? 0 : name_expected(reader, "'|', '&' or ')'");
	}
	enum name_tree_kind kind = NAME_LEAF;
	for (size_t i = 0; i < array_count(signs) && kind == NAME_LEAF; i++)
		if (name_accept(reader, signs[i].sign))
			kind = signs[i].kind;
	if (kind == NAME_LEAF && peek(reader) != '/')
		return name_expected(reader, "a path, '(', '~', '!' or '$'");
	*ret_tree = name_tree_new(kind, reader->arena);
	if (!*ret_tree)
		return no_memory(reader);
	return kind == NAME_LEAF ? name_read_path(reader, &(*ret_tree)->path) : 0;
}

static int read_weighted(struct name_reader *reader, struct name_tree **ret_tree)
{
	double weight = 1;
	name_skip_blanks(reader);
	if (is_digit(peek(reader)) || peek(reader) == '.') {
		int error = read_weight(reader, &weight);
		if (error)
			return error;
	}
	int error = read_simple(reader, ret_tree);
	if (error)
		return error;
	assert(*ret_tree);
	(*ret_tree)->weight = weight;
	return 0;
}

/* Branches with `sign` between them; a single one is taken for the whole. */
static int read_branches(struct name_reader *reader, enum name_tree_kind kind, char sign,
			 int (*read_branch)(struct name_reader *, struct name_tree **),
			 struct name_tree **ret_tree)
{
	struct name_tree *first = NULL;
	struct name_tree **link = &first;
	uint32_t count = 0;
	do {
		int error = read_branch(reader, link);
		if (error)
			return error;
		assert(*link);
		link = &(*link)->next;
		count++;
		name_skip_blanks(reader);
	} while (name_accept(reader, sign));
	if (count == 1) {
		first->weight = 1; /* of a union of one it says nothing */
		*ret_tree = first;
		return 0;
	}
	struct name_tree *parent = name_tree_new(kind, reader->arena);
	if (!parent)
		return no_memory(reader);
	parent->first = first;
	*ret_tree = parent;
	return 0;
}

static int read_union(struct name_reader *reader, struct name_tree **ret_tree)
{
	return read_branches(reader, NAME_UNION, '&', read_weighted, ret_tree);
}

int name_read_tree(struct name_reader *reader, struct name_tree **ret_tree)
{
	return read_branches(reader, NAME_ALTERNATES, '|', read_union, ret_tree);
}

int name_read_end(struct name_reader *reader, const char *otherwise)
{
	name_skip_blanks(reader);
	return name_at_end(reader) ? 0 : name_expected(reader, otherwise);
}

int name_path_parse(struct span text, struct name_arena *arena, struct name_path *ret_path,
		    struct name_error *ret_error)
{
	struct name_reader reader;
	struct name_path path = {NULL, 0};
	name_reader_init(&reader, text, arena, ret_error);
	int error = name_read_path(&reader, &path);
	if (!error)
		error = name_read_end(&reader, "the end of the path");
	if (!error)
		*ret_path = path;
	return error;
}

int name_tree_parse(struct span text, struct name_arena *arena, struct name_tree **ret_tree,
		    struct name_error *ret_error)
{
	struct name_reader reader;
	struct name_tree *tree = NULL;
	name_reader_init(&reader, text, arena, ret_error);
	int error = name_read_tree(&reader, &tree);
	if (!error)
		error = name_read_end(&reader, "'|', '&' or the end");
	if (!error)
		*ret_tree = tree;
	return error;
}
