/*
 * How names become services: the config's dtab and namers. Immutable; built by model/build_naming
 * from the draft, shared by snapshots until one of these keys changes. linkerd1.md 1.8, 1.11.
 */
#ifndef MODEL_NAMING_H
#define MODEL_NAMING_H

#include "model/dtab.h"

#define NAMING_STATIC_PREFIX "weft" /* /#/weft/NAME is the service NAME */
#define NAMERS_MAX           64

/* In the order of the key namers[].kind. */
enum namer_kind { NAMER_FILES, NAMER_REWRITE, NAMER_DNS, NAMER_DNS_SRV };

static inline bool namer_asks_dns(enum namer_kind kind)
{
	return kind == NAMER_DNS || kind == NAMER_DNS_SRV;
}

struct namer_rule {
	uint8_t kind;            /* enum namer_kind */
	struct name_path prefix; /* as configured, without the leading /# */
	struct span text;        /* the same, "fs" or "a/b" */
	void *rewriter;          /* of NAMER_REWRITE: policy's, for its look-up */
};

struct naming {
	uint32_t users;     /* snapshots that hold it; written by the control thread only */
	bool is_plain;      /* no entries, no namers: /svc/NAME is the service NAME */
	struct dtab *first; /* /svc => /#/weft */
	struct dtab *base;  /* the config's; it comes after, and wins */
	uint32_t namer_count;
	struct namer_rule *namers; /* of one prefix the later ones are asked first (D8) */
	void (*rewriter_free)(void *rewriter);
	struct name_arena memory;
	char *form; /* what the draft said, to know whether it says the same again */
	size_t form_size;
};

/* Makes of a rewriting namer what rewrites: policy's part of the build. */
struct namer_compiler {
	/* 0, -EINVAL, -E2BIG (*ret_error, and whether it is in `name`) or -ENOMEM. */
	int (*compile)(struct span pattern, struct span name, void **ret_rewriter,
		       bool *ret_is_in_name, struct name_error *ret_error);
	void (*free)(void *rewriter); /* NULL is fine */
};

void naming_drop(struct naming *naming); /* control thread; NULL is fine */

#endif
