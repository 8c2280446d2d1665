#include "model/name_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Digits behind the point that tell any weight from any other that the grammar can write. */
#define WEIGHT_DIGITS_MAX 32

struct name_tree *name_tree_new(enum name_tree_kind kind, struct name_arena *arena)
{
	struct name_tree *tree = name_arena_take(arena, sizeof(*tree));
	if (tree)
		*tree = (struct name_tree){.kind = kind, .weight = 1};
	return tree;
}

int name_tree_copy(const struct name_tree *tree, struct name_arena *arena,
		   struct name_tree **ret_tree)
{
	struct name_tree *copy = name_tree_new(tree->kind, arena);
	if (!copy || name_path_copy(tree->path, arena, &copy->path) ||
	    name_path_copy(tree->residual, arena, &copy->residual))
		return -ENOMEM;
	copy->target = tree->target;
	copy->weight = tree->weight;
	struct name_tree **link = &copy->first;
	name_tree_each(tree, child)
	{
		if (name_tree_copy(child, arena, link))
			return -ENOMEM;
		link = &(*link)->next;
	}
	*ret_tree = copy;
	return 0;
}

bool name_tree_equal(const struct name_tree *a, const struct name_tree *b)
{
	if (a->kind != b->kind || a->weight != b->weight || !name_path_equal(a->path, b->path) ||
	    !name_path_equal(a->residual, b->residual))
		return false;
	const struct name_tree *left = a->first;
	const struct name_tree *right = b->first;
	while (left && right) {
		if (!name_tree_equal(left, right))
			return false;
		left = left->next;
		right = right->next;
	}
	return !left && !right;
}

void name_weight_print(double weight, struct text *text)
{
	char digits[400];
	for (int places = 0; places <= WEIGHT_DIGITS_MAX; places++) {
		snprintf(digits, sizeof(digits), "%.*f", places, weight);
		if (strtod(digits, NULL) == weight)
			break;
	}
	text_add(text, span_text(digits));
}

static void print_in(const struct name_tree *tree, bool in_parentheses, struct text *text);

static void print_branches(const struct name_tree *tree, struct text *text)
{
	bool is_union = tree->kind == NAME_UNION;
	name_tree_each(tree, child)
	{
		if (child != tree->first)
			text_add(text, span_text(is_union ? " & " : " | "));
		if (is_union && child->weight != 1) {
			name_weight_print(child->weight, text);
			text_add(text, span_text(" * "));
		}
		print_in(child,
			 child->kind == NAME_ALTERNATES || (is_union && child->kind == NAME_UNION),
			 text);
	}
}

static void print_in(const struct name_tree *tree, bool in_parentheses, struct text *text)
{
	if (in_parentheses)
		text_add(text, span_text("("));
	switch (tree->kind) {
	case NAME_LEAF:
		name_path_print(tree->path, text);
		break;
	case NAME_ALTERNATES:
	case NAME_UNION:
		print_branches(tree, text);
		break;
	case NAME_NEG:
		text_add(text, span_text("~"));
		break;
	case NAME_FAIL:
		text_add(text, span_text("!"));
		break;
	case NAME_EMPTY:
		text_add(text, span_text("$"));
		break;
	}
	if (in_parentheses)
		text_add(text, span_text(")"));
}

void name_tree_print(const struct name_tree *tree, struct text *text)
{
	print_in(tree, false, text);
}
