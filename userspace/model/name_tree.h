/*
 * What a name stands for: leaves, alternates, weighted unions. The one form for the right side of
 * a dtab's entry, for what a name is bound to, and for the backends of a route (a union of leaves).
 * Made in an arena, never changed after; any thread. linkerd1.md 1.8 D5, D6.
 */
#ifndef MODEL_NAME_TREE_H
#define MODEL_NAME_TREE_H

#include "model/name_path.h"

enum name_tree_kind {
	NAME_LEAF,
	NAME_ALTERNATES, /* a | b: the first that is not negative */
	NAME_UNION,      /* a & b: one by weight, drawn per request */
	NAME_NEG,        /* ~: there is no such name; the next alternate is taken */
	NAME_FAIL,       /* !: failure; no alternate is taken */
	NAME_EMPTY,      /* $: there is such a name, and nobody serves it; no alternate is taken */
};

struct name_tree {
	enum name_tree_kind kind;
	uint32_t target;           /* of a leaf: its owner's id, e.g. a service's; 0 when parsed */
	double weight;             /* as a branch of a union, else 1; finite, at least 0 */
	struct name_tree *first;   /* of alternates and unions: two branches or more */
	struct name_tree *next;    /* the next branch of the same parent; NULL = last */
	struct name_path path;     /* of a leaf: a name, or the id that it is bound to */
	struct name_path residual; /* of a bound leaf: what of the name was not used (D10) */
};

#define name_tree_each(parent, child)                                                              \
	for (const struct name_tree *child = (parent)->first; child; child = child->next)

/* A node of that kind with weight 1 and nothing else; NULL when memory is short. */
struct name_tree *name_tree_new(enum name_tree_kind kind, struct name_arena *arena) MUST_CHECK;
/* A deep copy that borrows nothing. 0 or -ENOMEM. */
int name_tree_copy(const struct name_tree *tree, struct name_arena *arena,
		   struct name_tree **ret_tree) MUST_CHECK;
/* Same shape, weights, paths and residuals. */
bool name_tree_equal(const struct name_tree *a, const struct name_tree *b);

/*
 * As it is parsed again: "/a | 9 * /b & 1 * (/c | ~)". Weights that are not 1 are shown;
 * parentheses stand where precedence, or the tree's shape, needs them. Residuals are not shown.
 */
void name_tree_print(const struct name_tree *tree, struct text *text);
/* The shortest decimal without an exponent that reads as the same number. */
void name_weight_print(double weight, struct text *text);

#endif
