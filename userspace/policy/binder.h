/*
 * What names are bound to in a snapshot: dtab and namers of the config, services, and entries that
 * a request brings. Remembers the names that it bound last, until the next snapshot. Pure but for
 * memory; owner: one worker. linkerd1.md 1.8, 1.9 (l5d-dtab).
 */
#ifndef POLICY_BINDER_H
#define POLICY_BINDER_H

#include "model/snapshot.h"
#include "policy/delegate.h"

#define BINDER_NAMES_MAX  256 /* remembered; the one that was used longest ago is forgotten */
#define BINDER_STEPS_MAX  200 /* a name that takes more to bind is not remembered: its memory */
#define BINDER_LOCALS_MAX 8   /* texts of dtabs that a request may bring */
#define BINDER_WANTED_MAX 8   /* of one name; what is beyond is wanted at the next time */

extern const struct namer_compiler namer_compiler;

struct binder;
struct binder *binder_new(void) MUST_CHECK; /* NULL = out of memory */
void binder_free(struct binder *binder);    /* NULL is fine */

/* A name, and the entries of the request itself: later texts win (D3). */
struct bind_request {
	struct span name; /* "/svc/web" */
	const struct span *locals;
	uint32_t local_count; /* at most BINDER_LOCALS_MAX */
};

struct binding {
	const struct bound_name *bound; /* targets of its leaves are ids of services, 0 = none */
	struct span local;              /* the request's entries as one text on one line */
	/* Services that a namer is to find out about, as "#/dns/web.example/80": what they would
	 * be is pending in `bound`. Whoever binds tells the namer and, if the whole is pending,
	 * binds again in a later snapshot. None of binder_explain. */
	const char (*wanted)[WEFT_NAME_MAX];
	uint32_t wanted_count;
};

/* 0; -EINVAL or -E2BIG: *ret_error says what is wrong, *ret_local in which text, UINT32_MAX: in the
 * name; -ENOMEM. What is returned lives until the next call. */
int binder_bind(struct binder *binder, const struct snapshot *snapshot,
		const struct bind_request *request, struct binding *ret_binding,
		uint32_t *ret_local, struct name_error *ret_error) MUST_CHECK;
/* The same step by step, not remembered and not taken from what is. */
int binder_explain(struct binder *binder, const struct snapshot *snapshot,
		   const struct bind_request *request, struct delegate_trace *trace,
		   struct binding *ret_binding, uint32_t *ret_local,
		   struct name_error *ret_error) MUST_CHECK;
/* "/$/inet/10.0.0.1/80" (also fixedinet, rinet): an address. -EINVAL: another id; -ENOENT: a host's
 * name.
 */
int binder_address(struct name_path id, struct weft_address *ret_address) MUST_CHECK;
/* "/$/io.buoyant.http.status/404": that; 0: another id. */
unsigned binder_status(struct name_path id);

#endif
