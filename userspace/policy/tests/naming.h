/* For tests: dtabs and names from text, namers that know what a table says. */
#ifndef POLICY_TESTS_NAMING_H
#define POLICY_TESTS_NAMING_H

#include <string.h>

#include "base/mem.h"
#include "policy/delegate.h"

#define NAMING_DTABS_MAX 3

struct naming {
	struct dtab *dtabs[NAMING_DTABS_MAX];
	uint32_t dtab_count;
	struct namer namers[4];
	struct span prefix_segments[4];
	uint32_t namer_count;
	uint32_t steps_max;
	struct name_arena arena;
	struct text printed;
};

static inline void naming_dtab(struct naming *naming, const char *text)
{
	struct name_error where;
	if (dtab_parse(span_text(text), &naming->dtabs[naming->dtab_count++], &where))
		fail_msg("\"%s\": column %u: %s", text, where.column, where.why);
}

/* Prefix of one segment. */
static inline void naming_namer(struct naming *naming, const char *prefix,
				void (*look_up)(void *, struct name_path, struct name_arena *,
						struct namer_answer *),
				void *context)
{
	struct span *segment = &naming->prefix_segments[naming->namer_count];
	*segment = span_text(prefix);
	naming->namers[naming->namer_count++] =
		(struct namer){.prefix = {segment, 1}, .look_up = look_up, .context = context};
}

static inline struct bound_name *naming_bind(struct naming *naming, const char *name,
					     struct delegate_trace *trace)
{
	struct name_path path;
	struct name_error where;
	const struct delegate_rules rules = {
		.dtabs = (const struct dtab *const *)naming->dtabs,
		.dtab_count = naming->dtab_count,
		.namers = naming->namers,
		.namer_count = naming->namer_count,
		.steps_max = naming->steps_max,
	};
	if (name_path_parse(span_text(name), &naming->arena, &path, &where))
		fail_msg("\"%s\": column %u: %s", name, where.column, where.why);
	return delegate(&rules, path, trace);
}

/* Like weft dtab eval; what is an error or pending is its name. Lasts until the next call. */
static inline const char *naming_eval(struct naming *naming, const char *name)
{
	struct bound_name *bound = naming_bind(naming, name, NULL);
	assert_non_null(bound);
	text_clear(&naming->printed);
	if (bound->state >= DELEGATE_PENDING)
		text_add(&naming->printed, span_text(delegate_state_name(bound->state)));
	else
		name_tree_print(bound->tree, &naming->printed);
	bound_name_free(bound);
	return naming->printed.data;
}

static inline void naming_fini(struct naming *naming)
{
	for (uint32_t i = 0; i < naming->dtab_count; i++)
		dtab_free(naming->dtabs[i]);
	name_arena_fini(&naming->arena);
	text_fini(&naming->printed);
	*naming = (struct naming){0};
}

/* A namer that knows the paths of a NULL-terminated table, as many segments each as they have. */
static inline void naming_table_look_up(void *context, struct name_path name,
					struct name_arena *arena, struct namer_answer *ret_answer)
{
	const char *const *known = context;
	ret_answer->verdict = NAMER_NEG;
	for (uint32_t i = 0; known[i]; i++) {
		struct name_path path;
		struct name_error where;
		assert_int_equal(name_path_parse(span_text(known[i]), arena, &path, &where), 0);
		if (!name_path_starts(name, path))
			continue;
		ret_answer->verdict = NAMER_BOUND;
		ret_answer->consumed = path.count;
		ret_answer->target = i + 1;
		return;
	}
}

#endif
