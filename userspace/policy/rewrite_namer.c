#include "policy/rewrite_namer.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

/* A piece of a segment: bytes, or what a capture took. */
struct piece {
	struct span text; /* bytes; of a capture its name */
	bool is_capture;
	uint32_t capture; /* which, in the order of the pattern */
};

struct template
{
	struct piece *pieces; /* of all segments, one after the other */
	uint32_t *ends;       /* by segment: past its last piece; none of its own = `*` */
	uint32_t count;       /* segments */
};

struct rewrite_namer {
	struct template pattern;
	struct template name;
	struct span captures[REWRITE_NAMER_CAPTURES_MAX]; /* names */
	uint32_t capture_count;
	struct name_arena memory;
};

static uint32_t piece_begin(const struct template *template, uint32_t segment)
{
	return segment ? template->ends[segment - 1] : 0;
}

/* ---- parsing ---- */

static bool find_capture(const struct rewrite_namer *rewrite, struct span name, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < rewrite->capture_count; i++) {
		if (span_equal(rewrite->captures[i], name)) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

/* Behind the '{'. */
static int read_capture(struct name_reader *reader, struct rewrite_namer *rewrite, bool is_pattern,
			struct piece *ret_piece)
{
	size_t begin = reader->at;
	while (!name_at_end(reader) &&
	       name_byte_is_plain((unsigned char)reader->text.data[reader->at]))
		reader->at++;
	struct span name = span_of(reader->text.data + begin, reader->at - begin);
	if (name.size == 0)
		return name_expected(reader, "the name of a capture");
	if (!name_accept(reader, '}'))
		return name_expected(reader, "'}' after the name of the capture");
	*ret_piece = (struct piece){.text = name, .is_capture = true};
	bool is_known = find_capture(rewrite, name, &ret_piece->capture);
	if (!is_pattern && !is_known)
		return name_refuse(reader, begin, -EINVAL, "the pattern has no capture {%.*s}",
				   name.size < 40 ? (int)name.size : 40, name.data);
	if (is_pattern && is_known)
		return name_refuse(reader, begin, -EINVAL, "a second capture of that name");
	if (!is_pattern)
		return 0;
	if (rewrite->capture_count == REWRITE_NAMER_CAPTURES_MAX)
		return name_refuse(reader, begin, -E2BIG, "more than %d captures",
				   REWRITE_NAMER_CAPTURES_MAX);
	ret_piece->capture = rewrite->capture_count;
	rewrite->captures[rewrite->capture_count++] = name;
	return 0;
}

static int read_bytes(struct name_reader *reader, struct piece *ret_piece)
{
	size_t begin = reader->at;
	while (!name_at_end(reader) &&
	       name_byte_is_plain((unsigned char)reader->text.data[reader->at]))
		reader->at++;
	if (reader->at == begin)
		return name_expected(reader, "a path segment");
	*ret_piece = (struct piece){.text = span_of(reader->text.data + begin, reader->at - begin)};
	return 0;
}

static int read_template(struct name_reader *reader, struct rewrite_namer *rewrite, bool is_pattern,
			 struct template *template)
{
	uint32_t piece_count = 0;
	template->pieces =
		name_arena_take(reader->arena, sizeof(*template->pieces) * (reader->text.size + 1));
	template->ends =
		name_arena_take(reader->arena, sizeof(*template->ends) * (reader->text.size + 1));
	if (!template->pieces || !template->ends)
		return name_refuse(reader, 0, -ENOMEM, "out of memory");
	if (!name_accept(reader, '/'))
		return name_expected(reader, "a path, which begins with '/'");
	if (name_at_end(reader))
		return 0;
	do {
		bool is_wildcard = is_pattern && name_accept(reader, '*');
		uint32_t begin = piece_count;
		while (!is_wildcard &&
		       (piece_count == begin ||
			(!name_at_end(reader) && reader->text.data[reader->at] != '/'))) {
			struct piece *piece = &template->pieces[piece_count];
			int error = name_accept(reader, '{')
					    ? read_capture(reader, rewrite, is_pattern, piece)
					    : read_bytes(reader, piece);
			if (error)
				return error;
			piece_count++;
		}
		template->ends[template->count++] = piece_count;
	} while (name_accept(reader, '/'));
	return name_at_end(reader) ? 0 : name_expected(reader, "'/' or the end");
}

/* Both texts are copied into the rewrite's memory, the name behind the pattern. */
static int read_both(struct rewrite_namer *rewrite, const char *copy, struct span pattern,
		     struct span name, struct rewrite_namer_error *ret_error)
{
	struct name_reader reader;
	name_reader_init(&reader, span_of(copy, pattern.size), &rewrite->memory, &ret_error->error);
	int error = read_template(&reader, rewrite, true, &rewrite->pattern);
	if (error)
		return error;
	ret_error->is_in_name = true;
	name_reader_init(&reader, span_of(copy + pattern.size, name.size), &rewrite->memory,
			 &ret_error->error);
	return read_template(&reader, rewrite, false, &rewrite->name);
}

int rewrite_namer_parse(struct span pattern, struct span name, struct rewrite_namer **ret_rewrite,
			struct rewrite_namer_error *ret_error)
{
	struct name_reader reader;
	ret_error->is_in_name = false;
	name_reader_init(&reader, pattern, NULL, &ret_error->error);
	if (pattern.size > NAME_PATH_BYTES_MAX || name.size > NAME_PATH_BYTES_MAX)
		return name_refuse(&reader, 0, -E2BIG, "a path of more than %d bytes",
				   NAME_PATH_BYTES_MAX);
	struct rewrite_namer *rewrite = mem_zalloc(sizeof(*rewrite));
	if (!rewrite)
		return name_refuse(&reader, 0, -ENOMEM, "out of memory");
	int error = -ENOMEM;
	char *copy = name_arena_take(&rewrite->memory, pattern.size + name.size + 1);
	if (!copy) {
		name_refuse(&reader, 0, -ENOMEM, "out of memory");
		goto free_rewrite;
	}
	memcpy(copy, pattern.data, pattern.size);
	memcpy(copy + pattern.size, name.data, name.size);
	error = read_both(rewrite, copy, pattern, name, ret_error);
	if (error)
		goto free_rewrite;
	*ret_rewrite = rewrite;
	return 0;
free_rewrite:
	rewrite_namer_free(rewrite);
	return error;
}

void rewrite_namer_free(struct rewrite_namer *rewrite)
{
	if (!rewrite)
		return;
	name_arena_fini(&rewrite->memory);
	mem_free(rewrite);
}

/* ---- rewriting ---- */

/*
 * Greedy, with backtracking; each try is paid for from *tries, so that no pattern takes long: a
 * segment that needs more does not match.
 */
static bool match_pieces(const struct piece *pieces, uint32_t count, struct span segment,
			 struct span *captured, uint32_t *tries)
{
	if (*tries == 0)
		return false;
	--*tries;
	if (count == 0)
		return segment.size == 0;
	if (!pieces->is_capture) {
		size_t size = pieces->text.size;
		return span_starts(segment, pieces->text) &&
		       match_pieces(pieces + 1, count - 1,
				    span_of(segment.data + size, segment.size - size), captured,
				    tries);
	}
	for (size_t left = 0; left <= segment.size && *tries; left++) {
		size_t taken = segment.size - left;
		captured[pieces->capture] = span_of(segment.data, taken);
		if (match_pieces(pieces + 1, count - 1, span_of(segment.data + taken, left),
				 captured, tries))
			return true;
	}
	return false;
}

static bool match(const struct rewrite_namer *rewrite, struct name_path name, struct span *captured)
{
	const struct template *pattern = &rewrite->pattern;
	uint32_t tries = 100000;
	if (name.count < pattern->count)
		return false;
	for (uint32_t i = 0; i < pattern->count; i++) {
		uint32_t begin = piece_begin(pattern, i);
		uint32_t count = pattern->ends[i] - begin;
		if (count && !match_pieces(pattern->pieces + begin, count, name.segments[i],
					   captured, &tries))
			return false;
	}
	return true;
}

static struct span piece_text(const struct piece *piece, const struct span *captured)
{
	return piece->is_capture ? captured[piece->capture] : piece->text;
}

/* NULL: out of memory, or the sentence in *ret_why. */
static struct name_tree *make_name(const struct rewrite_namer *rewrite, const struct span *captured,
				   struct name_arena *arena, const char **ret_why)
{
	const struct template *name = &rewrite->name;
	size_t bytes = 0;
	uint32_t piece_count = piece_begin(name, name->count);
	for (uint32_t i = 0; i < piece_count; i++)
		bytes += piece_text(&name->pieces[i], captured).size;
	if (bytes > NAME_PATH_BYTES_MAX) {
		*ret_why = "the new name is too long";
		return NULL;
	}
	struct name_tree *leaf = name_tree_new(NAME_LEAF, arena);
	struct span *segments = name_arena_take(arena, sizeof(*segments) * name->count + 1);
	char *at = name_arena_take(arena, bytes + 1);
	if (!leaf || !segments || !at)
		return NULL;
	for (uint32_t i = 0; i < name->count; i++) {
		segments[i] = span_of(at, 0);
		for (uint32_t k = piece_begin(name, i); k < name->ends[i]; k++) {
			struct span text = piece_text(&name->pieces[k], captured);
			if (text.size)
				memcpy(at, text.data, text.size);
			at += text.size;
			segments[i].size += text.size;
		}
		if (segments[i].size == 0) {
			*ret_why = "a segment of the new name is empty";
			return NULL;
		}
	}
	leaf->path = (struct name_path){segments, name->count};
	return leaf;
}

void rewrite_namer_look_up(void *context, struct name_path name, struct name_arena *arena,
			   struct namer_answer *ret_answer)
{
	const struct rewrite_namer *rewrite = context;
	struct span captured[REWRITE_NAMER_CAPTURES_MAX] = {{NULL, 0}};
	*ret_answer = (struct namer_answer){.verdict = NAMER_NEG};
	if (!match(rewrite, name, captured)) {
		ret_answer->why = "the pattern does not match";
		return;
	}
	ret_answer->tree = make_name(rewrite, captured, arena, &ret_answer->why);
	if (ret_answer->tree) {
		ret_answer->verdict = NAMER_TREE;
		ret_answer->consumed = rewrite->pattern.count;
	} else if (!ret_answer->why) {
		ret_answer->verdict = NAMER_FAIL; /* out of memory */
	}
}
