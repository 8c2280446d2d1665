/*
 * Binding: a name is rewritten through dtabs and namers until only bound ids are left. Pure, at
 * once, bounded in work; no pointer is kept. linkerd1.md 1.8 D1-D10, D13.
 */
#ifndef POLICY_DELEGATE_H
#define POLICY_DELEGATE_H

#include "model/dtab.h"
#include "policy/namer.h"

#define DELEGATE_DEPTH_MAX 100   /* look-ups one below the other (D4) */
#define DELEGATE_STEPS_MAX 20000 /* in all, see delegate.c: about 2 ms and 6 MB at most */

struct delegate_rules {
	const struct dtab *const *dtabs; /* later ones win: base, then the request's own (D3) */
	uint32_t dtab_count;
	const struct namer *namers; /* of one prefix the later ones are asked first (D8) */
	uint32_t namer_count;
	/* Who knows HOST/PORT of /$/inet names; NULL: they are bound as they are. */
	const struct namer *hosts;
	uint32_t steps_max; /* 0 = DELEGATE_STEPS_MAX */
};

enum delegate_state {
	DELEGATE_BOUND,     /* the tree has a leaf */
	DELEGATE_EMPTY,     /* $ */
	DELEGATE_NEG,       /* ~ */
	DELEGATE_FAIL,      /* ! */
	DELEGATE_PENDING,   /* a namer does not know yet; ask again when it does */
	DELEGATE_TOO_DEEP,  /* DELEGATE_DEPTH_MAX */
	DELEGATE_TOO_LONG,  /* a rewritten name is longer than NAME_PATH_BYTES_MAX */
	DELEGATE_TOO_MUCH,  /* steps_max */
	DELEGATE_NO_MEMORY, /* this time */
};

/* "bound", "negative", …, "too deep: more than 100 look-ups one below the other". */
const char *delegate_state_name(enum delegate_state state);

/*
 * What a name is bound to. All alternates that may be reached are kept, in order, so that a later
 * one can be taken at run time too; what follows ! or $ is not. Negative branches, and negative or
 * failed ones of a union, are gone; alternates within alternates are one list.
 */
struct bound_name {
	enum delegate_state state;
	const struct name_tree *tree; /* its leaves are ids; ~ ! or $ by itself when not bound */
	const char *why;              /* of what is not bound; may be "" */
	uint32_t steps;               /* that it took */
	bool has_pending;             /* some branch is left out until its namer knows */
	struct name_arena memory;     /* of all this */
};

/* ---- the trace (D13): every step begins and ends, properly nested ---- */

enum delegate_step {
	STEP_NAME,      /* a name is looked up: path */
	STEP_ENTRY,     /* an entry of a dtab matched: entry, dtab; path is the residual */
	STEP_NAMER,     /* a configured namer is asked: path is /#/<its prefix> */
	STEP_UTILITY,   /* a /$/ name */
	STEP_ALTERNATE, /* a branch of alternates that were written with |: tree */
	STEP_BRANCH,    /* a branch of a union: tree with its weight */
};

struct delegate_event {
	enum delegate_step step;
	bool is_end;
	uint32_t level; /* of nesting, from 0 */
	struct name_path path;
	const struct dtab_entry *entry;
	uint32_t dtab; /* index in the rules */
	const struct name_tree *tree;
	/* At the end: */
	enum delegate_state state;
	const struct name_tree *bound; /* NULL unless bound */
	const char *why;               /* of the state, or how the branch is used; may be NULL */
};

/* What an event points to is lent until the call returns. */
struct delegate_trace {
	void (*step)(struct delegate_trace *trace, const struct delegate_event *event);
};

/* `trace` may be NULL. The result is the caller's; NULL when there was no memory even for that. */
struct bound_name *delegate(const struct delegate_rules *rules, struct name_path name,
			    struct delegate_trace *trace) MUST_CHECK;
void bound_name_free(struct bound_name *bound); /* NULL is fine */

#endif
