/*
 * The steps of one delegation as indented lines, each with what came of it. Owner: who declared it;
 * one thread.
 */
#ifndef CLI_DTAB_TREE_H
#define CLI_DTAB_TREE_H

#include "policy/delegate.h"

#define DTAB_TREE_LINES_MAX 500 /* further steps are counted, not shown */

struct dtab_tree_line {
	uint32_t level;
	bool has_below; /* another line one level deeper */
	size_t begin;   /* what is looked at, in `words` */
	size_t size;
	size_t end_begin; /* what came of it */
	size_t end_size;
};

struct dtab_tree {
	struct delegate_trace trace; /* for delegate() */
	struct dtab_tree_line *lines;
	uint32_t *open; /* by level: its line, UINT32_MAX if not kept */
	uint32_t line_count;
	uint32_t open_count;
	uint32_t lines_capacity;
	uint32_t open_capacity;
	uint32_t left_out;
	struct text words;
	bool failed; /* out of memory: lines are missing */
};

void dtab_tree_init(struct dtab_tree *tree);
void dtab_tree_print(const struct dtab_tree *tree, struct text *text);
void dtab_tree_fini(struct dtab_tree *tree);

#endif
