#include "policy/branch.h"

bool branch_is_ready(const struct name_tree *tree, const struct branch_view *view)
{
	if (tree->kind == NAME_LEAF)
		return !view || view->is_ready(view->context, tree);
	name_tree_each(tree, child)
	{
		bool has_weight = tree->kind != NAME_UNION || child->weight > 0;
		if (has_weight && branch_is_ready(child, view))
			return true;
	}
	return false;
}

static double weight_of(const struct name_tree *branch, const struct branch_view *view)
{
	return branch->weight > 0 && branch_is_ready(branch, view) ? branch->weight : 0;
}

/* Uniform in [0, 1): 53 bits, as many as a double holds. */
static double draw(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

static const struct name_tree *by_weight(const struct name_tree *parent,
					 const struct branch_view *view, struct rng *rng)
{
	double total = 0;
	const struct name_tree *last = NULL;
	name_tree_each(parent, child) total += weight_of(child, view);
	double point = draw(rng) * total;
	name_tree_each(parent, child)
	{
		double weight = weight_of(child, view);
		if (weight <= 0)
			continue;
		last = child; /* also what rounding leaves */
		if (point < weight)
			break;
		point -= weight;
	}
	return last;
}

/* The first that is ready; else the ! or $ at the end, which nothing passes; else none. */
static const struct name_tree *first_ready(const struct name_tree *parent,
					   const struct branch_view *view)
{
	name_tree_each(parent, child)
	{
		bool ends = child->kind == NAME_FAIL || child->kind == NAME_EMPTY;
		if (ends || branch_is_ready(child, view))
			return child;
	}
	return NULL;
}

const struct name_tree *branch_pick(const struct name_tree *tree, const struct branch_view *view,
				    struct rng *rng)
{
	while (tree && (tree->kind == NAME_ALTERNATES || tree->kind == NAME_UNION)) {
		if (!branch_is_ready(tree, view)) {
			const struct name_tree *end =
				tree->kind == NAME_ALTERNATES ? first_ready(tree, view) : NULL;
			if (end)
				return end;
			view = NULL;
		}
		tree = tree->kind == NAME_UNION ? by_weight(tree, view, rng)
						: first_ready(tree, view);
	}
	return tree;
}
