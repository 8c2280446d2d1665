/*
 * Which leaf of a bound tree takes this request? The first alternate that has a leaf which is
 * ready, a union's branch by weight. Pure. linkerd1.md 1.8 D5, D6; unlike D7 alternates count at
 * run time too.
 */
#ifndef POLICY_BRANCH_H
#define POLICY_BRANCH_H

#include "base/rng.h"
#include "model/name_tree.h"

/* What the caller knows of a leaf now: could it take a request? */
struct branch_view {
	bool (*is_ready)(const void *context, const struct name_tree *leaf);
	const void *context;
};

/*
 * A leaf, or the ~ ! or $ that ends the alternates. When no leaf is ready it is the one that would
 * be taken if all were, so that the caller names what failed. A union's branches that have no ready
 * leaf, or weight 0, take no part; weights need no sum of their own. NULL: no branch of a union has
 * weight. `view` NULL: all are ready.
 */
const struct name_tree *branch_pick(const struct name_tree *tree, const struct branch_view *view,
				    struct rng *rng);
/* Has it a leaf that is ready and that some weight leads to? */
bool branch_is_ready(const struct name_tree *tree, const struct branch_view *view);

#endif
