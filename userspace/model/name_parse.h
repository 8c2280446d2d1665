/*
 * Text to names: a reader of the one grammar that paths, prefixes, trees and dtabs share. Errors
 * say where. Owner: the caller; one thread. linkerd1.md 1.8 (grammar).
 */
#ifndef MODEL_NAME_PARSE_H
#define MODEL_NAME_PARSE_H

#include "model/name_tree.h"

#define NAME_PARENTHESES_MAX 16 /* deep */
#define NAME_WEIGHT_BYTES    24 /* digits and point */

struct name_error {
	uint32_t line;   /* from 1 */
	uint32_t column; /* characters from 1; past the last one where the text ends too early */
	char why[112];
};

/* "line 2, column 7: expected …"; without the line where the text had only one. */
void name_error_print(const struct name_error *error, struct text *text);

/* Where a reader is in a text. */
struct name_reader {
	struct span text; /* paths without escapes point into it */
	size_t at;
	uint32_t parentheses;
	struct name_arena *arena;
	struct name_error *error;
};

void name_reader_init(struct name_reader *reader, struct span text, struct name_arena *arena,
		      struct name_error *error);
void name_skip_blanks(struct name_reader *reader); /* and comments: # to the end of the line */
bool name_at_end(const struct name_reader *reader);
bool name_accept(struct name_reader *reader, char c); /* true: it was there, and is passed */
/* Sets the error, at the place where the reader is; returns -EINVAL. */
int name_expected(struct name_reader *reader, const char *what);
/* Sets the error at byte `at`; returns `code`. */
int name_refuse(struct name_reader *reader, size_t at, int code, const char *format, ...)
	PRINTF_LIKE(4, 5);

/*
 * Each reads one thing after blanks and stops behind it. 0, -EINVAL (not the grammar), -E2BIG (past
 * a limit; the error names it) or -ENOMEM; the error is set for each of them.
 */
int name_read_path(struct name_reader *reader, struct name_path *ret_path) MUST_CHECK;
int name_read_prefix(struct name_reader *reader, struct name_path *ret_prefix) MUST_CHECK;
int name_read_tree(struct name_reader *reader, struct name_tree **ret_tree) MUST_CHECK;
int name_read_end(struct name_reader *reader, const char *otherwise) MUST_CHECK;

/* A whole text; it must outlive what is parsed. Errors as above. */
int name_path_parse(struct span text, struct name_arena *arena, struct name_path *ret_path,
		    struct name_error *ret_error) MUST_CHECK;
int name_tree_parse(struct span text, struct name_arena *arena, struct name_tree **ret_tree,
		    struct name_error *ret_error) MUST_CHECK;

#endif
