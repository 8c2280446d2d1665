/* A tree -> drafts, by the table of model/keys and nothing else. Memory is the arena's. */
#ifndef CONTROL_LOAD_H
#define CONTROL_LOAD_H

#include "control/tree.h"
#include "model/draft.h"

/* Fills what is right and tells the rest; list elements with a fault are left out. 0 or -ENOMEM. */
int draft_load(const struct node *root, struct arena *arena, struct faults *faults,
	       struct draft *ret_draft) MUST_CHECK;
/* One element of pods[] that stands alone; its line is 0. 0 or -ENOMEM; faults tell the rest. */
int draft_load_pod(const struct node *root, struct arena *arena, struct faults *faults,
		   struct pod_draft *ret_pod) MUST_CHECK;
/* Line of a key outside of lists, such as "limits.window"; 0 = the file does not have it. */
uint32_t tree_line(const struct node *root, struct span path);

#endif
