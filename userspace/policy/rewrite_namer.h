/*
 * The namer io.l5d.rewrite: a name that matches a pattern becomes another name. linkerd1.md M12.
 * Immutable once parsed; any thread. Owner: who parsed it.
 */
#ifndef POLICY_REWRITE_NAMER_H
#define POLICY_REWRITE_NAMER_H

#include "model/name_parse.h"
#include "policy/namer.h"

#define REWRITE_NAMER_CAPTURES_MAX 16

struct rewrite_namer;

/*
 * `pattern` is a path whose segments may be `*` (any one) or hold captures, {svc}, between other
 * bytes; a capture takes as much of its segment as it can, from left to right, and may take
 * nothing. `name` is a path with captures in it. "/{port}/{ns}/{svc}" and "/k8s/{ns}/{port}/{svc}":
 * what follows the matched segments is the residual, appended to the new name. 0, -EINVAL, -E2BIG
 * or -ENOMEM; *ret_error says where and whether in the name.
 */
struct rewrite_namer_error {
	bool is_in_name;
	struct name_error error;
};
int rewrite_namer_parse(struct span pattern, struct span name, struct rewrite_namer **ret_rewrite,
			struct rewrite_namer_error *ret_error) MUST_CHECK;
void rewrite_namer_free(struct rewrite_namer *rewrite); /* NULL is fine */

/* As struct namer's look_up; context is the struct rewrite_namer. */
void rewrite_namer_look_up(void *context, struct name_path name, struct name_arena *arena,
			   struct namer_answer *ret_answer);

#endif
