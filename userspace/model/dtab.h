/*
 * A delegation table: entries "prefix => tree" that rewrite names; of those that match the last
 * goes first. Immutable once parsed, any thread. Owner: who parsed it. linkerd1.md 1.8 D1-D6.
 */
#ifndef MODEL_DTAB_H
#define MODEL_DTAB_H

#include "model/name_parse.h"

#define DTAB_BYTES_MAX   65536
#define DTAB_ENTRIES_MAX 8192

struct dtab_entry {
	struct name_path prefix; /* an empty segment is `*` */
	const struct name_tree *tree;
	uint32_t first_hash; /* of the first segment; 0 where any (or none) will do */
	uint32_t line;       /* in the text, from 1 */
};

struct dtab {
	const struct dtab_entry *entries; /* as written */
	uint32_t count;
	struct name_arena memory; /* dtab.c */
};

/*
 * dtab = [entry (';' entry)* [';']], entry = prefix '=>' tree. The text is copied. 0, -EINVAL (not
 * the grammar), -E2BIG (past a limit, which the error names) or -ENOMEM; *ret_error is set then.
 */
int dtab_parse(struct span text, struct dtab **ret_dtab, struct name_error *ret_error) MUST_CHECK;
void dtab_free(struct dtab *dtab); /* NULL is fine */

/* Does the entry match a path whose first segment has this hash (dtab_first_hash)? */
bool dtab_entry_matches(const struct dtab_entry *entry, struct name_path path, uint32_t first_hash);
uint32_t dtab_first_hash(struct name_path path);

/* As they are parsed again: "/svc => /a | /b", and entries with "; " between them. */
void dtab_entry_print(const struct dtab_entry *entry, struct text *text);
void dtab_print(const struct dtab *dtab, struct text *text);

#endif
