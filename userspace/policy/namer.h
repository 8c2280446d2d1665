/*
 * Who knows names below /#/<prefix>: static services, files, DNS. A namer is asked while a name is
 * delegated and answers at once, from what it knows. Owner: the caller of delegate(); its thread.
 * linkerd1.md 1.8 D8, 1.11.
 */
#ifndef POLICY_NAMER_H
#define POLICY_NAMER_H

#include "model/name_tree.h"

enum namer_verdict {
	NAMER_NEG,     /* no such name: another namer of that prefix, the next alternate */
	NAMER_BOUND,   /* `consumed`, and `id`, `target` or their defaults */
	NAMER_EMPTY,   /* there is such a name, and nobody serves it */
	NAMER_TREE,    /* `tree` of names to delegate further, and `consumed` */
	NAMER_PENDING, /* not known yet */
	NAMER_FAIL,    /* could not find out */
};

struct namer_answer {
	enum namer_verdict verdict;
	uint32_t consumed;            /* segments behind the prefix; the others are the residual */
	uint32_t target;              /* for the leaf: what the caller will know the endpoints by */
	struct name_path id;          /* for the leaf; empty: /#/<prefix>/<consumed segments> */
	const struct name_tree *tree; /* in the arena, or living as long as the namer's knowledge */
	const char *why; /* of what is not bound; static, or in the arena; may be NULL */
};

struct namer {
	struct name_path prefix; /* as configured, without the leading /# */
	/* `name` is what follows the prefix; what the answer needs is taken from the arena. */
	void (*look_up)(void *context, struct name_path name, struct name_arena *arena,
			struct namer_answer *ret_answer);
	void *context;
};

#endif
