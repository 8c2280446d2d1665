/*
 * A tree of steps as it is written, straight into JSON: {"step", "text", "below": [...], "result"}.
 * Owner: who declared it. Internal to explain.c.
 */
#ifndef PROXY_EXPLAIN_TREE_H
#define PROXY_EXPLAIN_TREE_H

#include "policy/delegate.h"

struct tree {
	struct delegate_trace trace; /* for delegate(): its steps become nodes */
	struct text *json;
	uint32_t nodes_left;
	uint32_t hidden; /* nodes that are open and left out, innermost */
	bool needs_comma;
};

void tree_init(struct tree *tree, struct text *json, uint32_t nodes_most);
void tree_open(struct tree *tree, const char *step, const char *format, ...) PRINTF_LIKE(3, 4);
void tree_close(struct tree *tree, const char *format, ...) PRINTF_LIKE(2, 3);
static inline bool tree_has_room(const struct tree *tree)
{
	return tree->nodes_left > 0;
}

#endif
