#include "policy/delegate.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/mem.h"
#include "policy/utility_name.h"

/*
 * Steps bound time and memory of one evaluation, whatever the dtab says: one for each look-up, tree
 * node and namer, one for every so many entries compared, segments and bytes copied. A step takes
 * about 0.1 us and at most 300 bytes.
 */
#define ENTRIES_PER_STEP  64
#define SEGMENTS_PER_STEP 8
#define BYTES_PER_STEP    64
/* Calls of bind_path and bind_tree one in another, so that the C stack stays below 512 KiB. */
#define FRAMES_MAX 1024

struct delegating {
	const struct delegate_rules *rules;
	struct delegate_trace *trace;
	struct name_arena *arena;
	uint32_t steps;
	uint32_t steps_max;
	uint32_t frames;
	uint32_t level;
	bool has_pending;
};

struct outcome {
	enum delegate_state state;
	struct name_tree *tree; /* of DELEGATE_BOUND, else NULL */
	const char *why;        /* may be NULL */
};

/* Where one step is: names to look up are as deep as `depth` look-ups above them. */
struct place {
	struct name_path residual; /* to append to every leaf */
	uint32_t depth;
};

static struct outcome bind_path(struct delegating *run, struct name_path path, uint32_t depth);

const char *delegate_state_name(enum delegate_state state)
{
	static const char *const names[] = {
		[DELEGATE_BOUND] = "bound",
		[DELEGATE_EMPTY] = "empty",
		[DELEGATE_NEG] = "negative",
		[DELEGATE_FAIL] = "failed",
		[DELEGATE_PENDING] = "pending",
		[DELEGATE_TOO_DEEP] = "too deep: more than 100 look-ups one below the other",
		[DELEGATE_TOO_LONG] = "too long: a rewritten name has more than 8192 bytes",
		[DELEGATE_TOO_MUCH] = "too much work: the dtab multiplies names",
		[DELEGATE_NO_MEMORY] = "out of memory",
	};
	return names[state];
}

static struct outcome outcome_of(enum delegate_state state, const char *why)
{
	return (struct outcome){state, NULL, why};
}

static bool is_error(enum delegate_state state)
{
	return state >= DELEGATE_TOO_DEEP;
}

/* Ends the whole evaluation, in whatever branch it is met. */
static bool ends_all(enum delegate_state state)
{
	return state == DELEGATE_TOO_MUCH || state == DELEGATE_NO_MEMORY;
}

static bool may_step(struct delegating *run, uint32_t steps)
{
	if (run->steps_max - run->steps < steps) {
		run->steps = run->steps_max;
		return false;
	}
	run->steps += steps;
	return true;
}

static void trace_begin(struct delegating *run, struct delegate_event *event)
{
	event->level = run->level++;
	if (run->trace)
		run->trace->step(run->trace, event);
}

static void trace_end(struct delegating *run, struct delegate_event *event, struct outcome outcome,
		      const char *why)
{
	run->level--;
	if (!run->trace)
		return;
	event->is_end = true;
	event->state = outcome.state;
	event->bound = outcome.tree;
	event->why = why ? why : outcome.why;
	run->trace->step(run->trace, event);
}

/* ---- alternates: the same for a tree's and for the entries that match a path ---- */

struct alternates {
	struct name_tree *first;
	struct name_tree **link;
	uint32_t count;
	struct outcome last; /* of what ended them, or was negative last */
	bool is_over;
};

static void alternates_init(struct alternates *alternates)
{
	*alternates = (struct alternates){.last = {.state = DELEGATE_NEG}};
	alternates->link = &alternates->first;
}

static void alternates_append(struct alternates *alternates, struct name_tree *tree)
{
	tree->weight = 1;
	tree->next = NULL;
	*alternates->link = tree;
	alternates->link = &tree->next;
	alternates->count++;
	alternates->is_over = tree->kind == NAME_FAIL || tree->kind == NAME_EMPTY;
}

static void alternates_append_bound(struct alternates *alternates, struct name_tree *tree)
{
	if (tree->kind != NAME_ALTERNATES) {
		alternates_append(alternates, tree);
		return;
	}
	for (struct name_tree *child = tree->first; child;) {
		struct name_tree *next = child->next;
		alternates_append(alternates, child);
		child = next;
	}
}

/* How the next branch is used; `why` is for the trace. */
static const char *alternates_take(struct delegating *run, struct alternates *alternates,
				   struct outcome outcome)
{
	bool is_first = alternates->count == 0;
	if (outcome.state == DELEGATE_NEG) {
		alternates->last = outcome;
		return NULL;
	}
	if (outcome.state == DELEGATE_BOUND) {
		alternates_append_bound(alternates, outcome.tree);
		return is_first ? "taken: the first that is not negative"
				: "taken if none before it is ready";
	}
	if (is_first || outcome.state == DELEGATE_NO_MEMORY) {
		alternates->count = 0;
		alternates->last = outcome;
		alternates->is_over = true;
		return NULL;
	}
	if (outcome.state == DELEGATE_PENDING) {
		run->has_pending = true;
		return "left out until it is known";
	}
	alternates->is_over = true;
	if (is_error(outcome.state))
		return NULL;
	struct name_tree *end =
		name_tree_new(outcome.state == DELEGATE_FAIL ? NAME_FAIL : NAME_EMPTY, run->arena);
	if (!end) {
		alternates->count = 0;
		alternates->last = outcome_of(DELEGATE_NO_MEMORY, NULL);
		return NULL;
	}
	alternates_append(alternates, end);
	return "the alternates end here";
}

static struct outcome alternates_end(struct delegating *run, struct alternates *alternates)
{
	if (alternates->count == 0)
		return alternates->last;
	struct name_tree *tree = alternates->first;
	if (alternates->count > 1) {
		tree = name_tree_new(NAME_ALTERNATES, run->arena);
		if (!tree)
			return outcome_of(DELEGATE_NO_MEMORY, NULL);
		tree->first = alternates->first;
	}
	return (struct outcome){DELEGATE_BOUND, tree, NULL};
}

/* ---- trees ---- */

static struct outcome bind_tree(struct delegating *run, const struct name_tree *tree,
				const struct place *place);

static struct outcome bind_leaf(struct delegating *run, struct name_path leaf,
				const struct place *place)
{
	struct name_path path;
	if (!may_step(run, (leaf.count + place->residual.count) / SEGMENTS_PER_STEP))
		return outcome_of(DELEGATE_TOO_MUCH, NULL);
	int error = name_path_join(leaf, place->residual, run->arena, &path);
	if (error)
		return outcome_of(error == -E2BIG ? DELEGATE_TOO_LONG : DELEGATE_NO_MEMORY, NULL);
	return bind_path(run, path, place->depth);
}

static struct outcome bind_alternates(struct delegating *run, const struct name_tree *tree,
				      const struct place *place)
{
	struct alternates alternates;
	alternates_init(&alternates);
	name_tree_each(tree, child)
	{
		struct delegate_event event = {.step = STEP_ALTERNATE, .tree = child};
		trace_begin(run, &event);
		struct outcome outcome = bind_tree(run, child, place);
		const char *why = alternates_take(run, &alternates, outcome);
		trace_end(run, &event, outcome, why);
		if (alternates.is_over)
			break;
	}
	return alternates_end(run, &alternates);
}

struct branches {
	struct name_tree *first;
	struct name_tree **link;
	uint32_t count;
	uint32_t leaf_count;
	uint32_t error_count;
	uint32_t asked;
	bool has_pending;
	struct outcome error; /* the first */
};

static const char *branches_take(struct delegating *run, struct branches *branches,
				 struct outcome outcome, double weight)
{
	branches->asked++;
	if (outcome.state == DELEGATE_PENDING) {
		branches->has_pending = true;
		return "left out until it is known";
	}
	if (is_error(outcome.state)) {
		if (branches->error_count++ == 0 || ends_all(outcome.state))
			branches->error = outcome;
		return "takes no part";
	}
	if (outcome.state != DELEGATE_BOUND && outcome.state != DELEGATE_EMPTY)
		return "takes no part";
	struct name_tree *tree = outcome.tree;
	if (!tree)
		tree = name_tree_new(NAME_EMPTY, run->arena);
	if (!tree) {
		branches->error = outcome_of(DELEGATE_NO_MEMORY, NULL);
		return NULL;
	}
	branches->leaf_count += outcome.state == DELEGATE_BOUND;
	tree->weight = weight;
	tree->next = NULL;
	*branches->link = tree;
	branches->link = &tree->next;
	branches->count++;
	return "takes part by its weight";
}

static struct outcome branches_end(struct delegating *run, struct branches *branches)
{
	if (branches->count == 0) {
		if (branches->has_pending)
			return outcome_of(DELEGATE_PENDING, NULL);
		if (branches->error_count == branches->asked)
			return branches->error;
		return outcome_of(DELEGATE_NEG, "no branch of the union is left");
	}
	run->has_pending |= branches->has_pending;
	if (branches->leaf_count == 0)
		return outcome_of(DELEGATE_EMPTY, NULL);
	struct name_tree *tree = branches->first;
	tree->weight = branches->count > 1 ? tree->weight : 1;
	if (branches->count > 1) {
		tree = name_tree_new(NAME_UNION, run->arena);
		if (!tree)
			return outcome_of(DELEGATE_NO_MEMORY, NULL);
		tree->first = branches->first;
	}
	return (struct outcome){DELEGATE_BOUND, tree, NULL};
}

static struct outcome bind_union(struct delegating *run, const struct name_tree *tree,
				 const struct place *place)
{
	struct branches branches = {.error = {.state = DELEGATE_NEG}};
	branches.link = &branches.first;
	name_tree_each(tree, child)
	{
		struct delegate_event event = {.step = STEP_BRANCH, .tree = child};
		trace_begin(run, &event);
		struct outcome outcome = bind_tree(run, child, place);
		const char *why = branches_take(run, &branches, outcome, child->weight);
		trace_end(run, &event, outcome, why);
		if (ends_all(branches.error.state))
			return branches.error;
	}
	return branches_end(run, &branches);
}

static struct outcome bind_tree(struct delegating *run, const struct name_tree *tree,
				const struct place *place)
{
	struct outcome outcome = outcome_of(DELEGATE_TOO_MUCH, NULL);
	if (run->frames >= FRAMES_MAX || !may_step(run, 1))
		return outcome;
	run->frames++;
	switch (tree->kind) {
	case NAME_LEAF:
		outcome = bind_leaf(run, tree->path, place);
		break;
	case NAME_ALTERNATES:
		outcome = bind_alternates(run, tree, place);
		break;
	case NAME_UNION:
		outcome = bind_union(run, tree, place);
		break;
	case NAME_NEG:
		outcome = outcome_of(DELEGATE_NEG, NULL);
		break;
	case NAME_FAIL:
		outcome = outcome_of(DELEGATE_FAIL, "the entry says so");
		break;
	case NAME_EMPTY:
		outcome = outcome_of(DELEGATE_EMPTY, "the entry says so");
		break;
	}
	run->frames--;
	return outcome;
}

/* ---- namers ---- */

/* `consumed` segments of the path belong to the id. */
static struct outcome bind_bound(struct delegating *run, const struct namer_answer *answer,
				 struct name_path path, uint32_t consumed)
{
	struct name_tree *leaf = name_tree_new(NAME_LEAF, run->arena);
	if (!leaf)
		return outcome_of(DELEGATE_NO_MEMORY, NULL);
	leaf->target = answer->target;
	leaf->path = answer->id.count ? answer->id : name_path_slice(path, 0, consumed);
	leaf->residual = name_path_drop(path, consumed);
	return (struct outcome){DELEGATE_BOUND, leaf, NULL};
}

/* `before` segments of the path are not counted in what the answer says was consumed. */
static struct outcome bind_answer(struct delegating *run, const struct namer_answer *answer,
				  struct name_path path, uint32_t before, uint32_t depth)
{
	uint32_t consumed = before + answer->consumed;
	switch (answer->verdict) {
	case NAMER_NEG:
		break;
	case NAMER_BOUND:
		return bind_bound(run, answer, path, consumed);
	case NAMER_EMPTY:
		return outcome_of(DELEGATE_EMPTY, answer->why);
	case NAMER_TREE: {
		struct place place = {name_path_drop(path, consumed), depth + 1};
		return bind_tree(run, answer->tree, &place);
	}
	case NAMER_PENDING:
		return outcome_of(DELEGATE_PENDING, answer->why);
	case NAMER_FAIL:
		return answer->why ? outcome_of(DELEGATE_FAIL, answer->why)
				   : outcome_of(DELEGATE_NO_MEMORY, NULL);
	}
	return outcome_of(DELEGATE_NEG, answer->why ? answer->why : "the namer does not know it");
}

/* An inet name of a host, not of an address: bound if it is found, under the id that it has. */
static void look_up_host(const struct delegating *run, struct namer_answer *answer)
{
	const struct namer *hosts = run->rules->hosts;
	struct namer_answer found = {.verdict = NAMER_NEG};
	struct span host_port[2];
	if (!hosts || !utility_host(answer->id, host_port))
		return;
	hosts->look_up(hosts->context, (struct name_path){host_port, 2}, run->arena, &found);
	answer->verdict = found.verdict;
	answer->target = found.target;
	answer->why = found.why;
}

static struct outcome bind_utility(struct delegating *run, struct name_path path, uint32_t depth)
{
	struct delegate_event event = {.step = STEP_UTILITY, .path = path};
	struct namer_answer answer;
	if (!may_step(run, (uint32_t)(name_path_bytes(path) / BYTES_PER_STEP)))
		return outcome_of(DELEGATE_TOO_MUCH, NULL);
	trace_begin(run, &event);
	utility_look_up(path, run->arena, &answer);
	if (answer.verdict == NAMER_BOUND)
		look_up_host(run, &answer);
	struct outcome outcome = bind_answer(run, &answer, path, 0, depth);
	trace_end(run, &event, outcome, NULL);
	return outcome;
}

static struct outcome bind_with_namer(struct delegating *run, const struct namer *namer,
				      struct name_path path, uint32_t depth)
{
	uint32_t before = 1 + namer->prefix.count;
	struct delegate_event event = {.step = STEP_NAMER,
				       .path = name_path_slice(path, 0, before)};
	struct namer_answer answer = {.verdict = NAMER_NEG};
	trace_begin(run, &event);
	namer->look_up(namer->context, name_path_drop(path, before), run->arena, &answer);
	struct outcome outcome = bind_answer(run, &answer, path, before, depth);
	trace_end(run, &event, outcome, NULL);
	return outcome;
}

/* The last configured is asked first; what one does not know the next is asked. */
static struct outcome bind_by_namers(struct delegating *run, struct name_path path, uint32_t depth)
{
	struct outcome outcome = outcome_of(DELEGATE_NEG, "no such namer");
	for (uint32_t i = run->rules->namer_count; i > 0; i--) {
		const struct namer *namer = &run->rules->namers[i - 1];
		if (!name_path_starts(name_path_drop(path, 1), namer->prefix))
			continue;
		if (!may_step(run, 1))
			return outcome_of(DELEGATE_TOO_MUCH, NULL);
		outcome = bind_with_namer(run, namer, path, depth);
		if (outcome.state != DELEGATE_NEG)
			break;
	}
	return outcome;
}

/* ---- paths ---- */

/* Sets `matched` when any entry does. */
static struct outcome bind_by_entries(struct delegating *run, struct name_path path, uint32_t depth,
				      bool *matched)
{
	uint32_t hash = dtab_first_hash(path);
	struct alternates alternates;
	alternates_init(&alternates);
	for (uint32_t d = run->rules->dtab_count; d > 0; d--) {
		const struct dtab *dtab = run->rules->dtabs[d - 1];
		if (!may_step(run, dtab->count / ENTRIES_PER_STEP))
			return outcome_of(DELEGATE_TOO_MUCH, NULL);
		for (uint32_t i = dtab->count; i > 0 && !alternates.is_over; i--) {
			const struct dtab_entry *entry = &dtab->entries[i - 1];
			if (!dtab_entry_matches(entry, path, hash))
				continue;
			struct place place = {name_path_drop(path, entry->prefix.count), depth + 1};
			struct delegate_event event = {.step = STEP_ENTRY,
						       .entry = entry,
						       .dtab = d - 1,
						       .path = place.residual};
			*matched = true;
			trace_begin(run, &event);
			struct outcome outcome = bind_tree(run, entry->tree, &place);
			const char *why = alternates_take(run, &alternates, outcome);
			trace_end(run, &event, outcome, why);
		}
	}
	return alternates_end(run, &alternates);
}

static struct outcome look_up(struct delegating *run, struct name_path path, uint32_t depth)
{
	bool matched = false;
	if (depth >= DELEGATE_DEPTH_MAX)
		return outcome_of(DELEGATE_TOO_DEEP, NULL);
	if (run->frames >= FRAMES_MAX || !may_step(run, 1))
		return outcome_of(DELEGATE_TOO_MUCH, NULL);
	struct outcome outcome = bind_by_entries(run, path, depth, &matched);
	if (matched || outcome.state != DELEGATE_NEG)
		return outcome;
	if (path.count && span_is(path.segments[0], "#"))
		return bind_by_namers(run, path, depth);
	if (path.count && span_is(path.segments[0], "$"))
		return bind_utility(run, path, depth);
	return outcome_of(DELEGATE_NEG, "no entry matches");
}

static struct outcome bind_path(struct delegating *run, struct name_path path, uint32_t depth)
{
	struct delegate_event event = {.step = STEP_NAME, .path = path};
	trace_begin(run, &event);
	run->frames++;
	struct outcome outcome = look_up(run, path, depth);
	run->frames--;
	trace_end(run, &event, outcome, NULL);
	return outcome;
}

/* ---- the whole ---- */

/* The tree that stands for what is not bound. */
static enum name_tree_kind kind_of(enum delegate_state state)
{
	switch (state) {
	case DELEGATE_EMPTY:
		return NAME_EMPTY;
	case DELEGATE_NEG:
		return NAME_NEG;
	default:
		return NAME_FAIL;
	}
}

static int keep(struct bound_name *bound, struct outcome outcome)
{
	struct name_tree *tree = NULL;
	if (outcome.state == DELEGATE_BOUND) {
		if (name_tree_copy(outcome.tree, &bound->memory, &tree))
			return -ENOMEM;
	} else {
		tree = name_tree_new(kind_of(outcome.state), &bound->memory);
		if (!tree)
			return -ENOMEM;
	}
	struct span why = span_text(outcome.why ? outcome.why : "");
	char *copy = name_arena_take(&bound->memory, why.size + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, why.data, why.size + 1);
	bound->why = copy;
	bound->tree = tree;
	bound->state = outcome.state;
	return 0;
}

struct bound_name *delegate(const struct delegate_rules *rules, struct name_path name,
			    struct delegate_trace *trace)
{
	alignas(max_align_t) char scratch[4096];
	struct name_arena arena;
	struct delegating run = {
		.rules = rules,
		.trace = trace,
		.arena = &arena,
		.steps_max = rules->steps_max ? rules->steps_max : DELEGATE_STEPS_MAX,
	};
	struct bound_name *bound = mem_zalloc(sizeof(*bound));
	if (!bound)
		return NULL;
	name_arena_init(&arena, scratch, sizeof(scratch));
	struct outcome outcome = bind_path(&run, name, 0);
	if (keep(bound, outcome)) {
		name_arena_fini(&arena);
		bound_name_free(bound);
		return NULL;
	}
	bound->steps = run.steps;
	bound->has_pending = run.has_pending || outcome.state == DELEGATE_PENDING;
	name_arena_fini(&arena);
	return bound;
}

void bound_name_free(struct bound_name *bound)
{
	if (!bound)
		return;
	name_arena_fini(&bound->memory);
	mem_free(bound);
}
