/*
 * A YAML or JSON document as a tree with line numbers. Bytes in, tree out; no I/O. Aliases point to
 * the node of their anchor, so a tree is never larger than its file, but walking it may be: whoever
 * walks it counts. One thread; memory is the arena's.
 */
#ifndef CONTROL_TREE_H
#define CONTROL_TREE_H

#include <stdint.h>

#include "base/arena.h"
#include "control/faults.h"

#define TREE_DEPTH_MOST  32
#define TREE_VALUES_MOST 2000000u /* nodes of a file, and steps of a walk over it */
#define TREE_KEYS_MOST   256      /* of one map */

enum node_type { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	uint8_t type; /* enum node_type */
	bool is_open; /* while it is being read: an alias to it would be a loop */
	uint32_t line;
	uint32_t text_line;   /* of a scalar: where its first character stands */
	uint32_t text_column; /* characters before it */
	uint32_t text_indent; /* characters before its further lines */
	uint32_t count;       /* of entries */
	uint32_t size;        /* of the text, which may contain NULs */
	union {
		const char *text;
		struct entry *first;
	};
	struct entry *last;
};

struct entry {
	const char *key; /* of a map; NULL in a list */
	uint32_t key_size;
	uint32_t line; /* of the key, or of the element */
	struct node *node;
	struct entry *next;
};

/* *ret_root = NULL: the document is empty. 0, -EINVAL (faults tell) or -ENOMEM. */
int tree_read(struct span bytes, struct arena *arena, struct faults *faults,
	      struct node **ret_root) MUST_CHECK;

#endif
