/*
 * Random dtabs, evaluated by delegate() and by a slow reference that is written from the rules
 * alone: it first expands a name into the whole tree of everything that might be looked up, as
 * texts, then simplifies that tree from its leaves up, one rule at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/rng.h"
#include "policy/tests/naming.h"

#define NODES_MAX    20000
#define CHILDREN_MAX 400
#define ENTRIES_MAX  12
#define NAME_MAX     64

/* L leaf (a name, or bound: name is the id), A alternates, U union, ~ ! $, P pending, D too deep */
struct node {
	char kind;
	uint32_t weight;
	uint32_t count;
	struct node *children[CHILDREN_MAX];
	char name[NAME_MAX];
};

static struct node nodes[NODES_MAX];
static uint32_t node_count;

struct rule {
	char prefix[NAME_MAX];
	struct node *tree;
};

static struct rule rules[ENTRIES_MAX];
static uint32_t rule_count;

static struct node *node_new(char kind, const char *name)
{
	assert_true(node_count < NODES_MAX);
	struct node *node = &nodes[node_count++];
	*node = (struct node){.kind = kind, .weight = 1};
	snprintf(node->name, sizeof(node->name), "%s", name);
	return node;
}

static void node_add(struct node *parent, struct node *child)
{
	assert_true(parent->count < CHILDREN_MAX);
	parent->children[parent->count++] = child;
}

/* ---- the reference ---- */

/* What is left of the name behind the prefix; NULL when it does not match. */
static const char *behind(const char *prefix, const char *name)
{
	if (strcmp(prefix, "/") == 0)
		return strcmp(name, "/") == 0 ? "" : name;
	while (*prefix) {
		size_t wanted = strcspn(prefix + 1, "/") + 1;
		size_t given = *name == '/' ? strcspn(name + 1, "/") + 1 : 0;
		if (given < 2)
			return NULL;
		bool is_wild = wanted == 2 && prefix[1] == '*';
		if (!is_wild && (wanted != given || strncmp(prefix, name, wanted) != 0))
			return NULL;
		prefix += wanted;
		name += given;
	}
	return name;
}

static struct node *expand_name(const char *name, uint32_t look_ups);

static struct node *expand_tree(const struct node *tree, const char *residual, uint32_t look_ups)
{
	char name[2 * NAME_MAX];
	if (tree->kind == 'L') {
		bool is_root = strcmp(tree->name, "/") == 0;
		snprintf(name, sizeof(name), "%s%s", is_root ? "" : tree->name, residual);
		return expand_name(name[0] ? name : "/", look_ups);
	}
	struct node *copy = node_new(tree->kind, "");
	for (uint32_t i = 0; i < tree->count; i++) {
		struct node *child = expand_tree(tree->children[i], residual, look_ups);
		child->weight = tree->children[i]->weight;
		node_add(copy, child);
	}
	return copy;
}

/* The only namer is /#/n: its answer is the first letter of the segment behind. */
static struct node *expand_final(const char *name)
{
	const char *rest = behind("/#/n", name);
	if (!rest || !rest[0])
		return node_new('~', "");
	size_t size = strcspn(rest + 1, "/");
	if (rest[1] != 'b')
		return node_new(rest[1] == 'f'   ? '!'
				: rest[1] == 'e' ? '$'
				: rest[1] == 'p' ? 'P'
						 : '~',
				"");
	char id[NAME_MAX];
	snprintf(id, sizeof(id), "/#/n/%.*s", (int)size, rest + 1);
	return node_new('L', id);
}

static struct node *expand_name(const char *name, uint32_t look_ups)
{
	struct node *all = node_new('A', "");
	if (look_ups == 100)
		return node_new('D', "");
	for (uint32_t i = rule_count; i > 0; i--) {
		const char *residual = behind(rules[i - 1].prefix, name);
		if (residual)
			node_add(all, expand_tree(rules[i - 1].tree, residual, look_ups + 1));
	}
	return all->count ? all : expand_final(name);
}

static bool is_one_of(char kind, const char *kinds)
{
	return strchr(kinds, kind) != NULL;
}

static void remove_at(struct node *node, uint32_t at)
{
	node->count--;
	for (uint32_t i = at; i < node->count; i++)
		node->children[i] = node->children[i + 1];
}

static void become(struct node *node, struct node *other)
{
	uint32_t weight = node->weight;
	*node = *other;
	node->weight = weight;
}

/* Nothing behind this one can be reached. */
static bool ends_alternates(const struct node *node)
{
	return is_one_of(node->kind, "!$PD") ||
	       (node->kind == 'A' && ends_alternates(node->children[node->count - 1]));
}

static void simplify_alternates(struct node *node)
{
	struct node *kept = node_new('A', "");
	struct node *flat = node_new('A', "");
	/* Rule 1: negative ones are passed over, and pending ones behind another. */
	for (uint32_t i = 0; i < node->count; i++) {
		char kind = node->children[i]->kind;
		if (kind != '~' && (kind != 'P' || kept->count == 0))
			node_add(kept, node->children[i]);
	}
	/* Rule 2: what stops is the last; an error is not even that, behind another. */
	for (uint32_t i = 0; i < kept->count; i++)
		if (ends_alternates(kept->children[i]))
			kept->count = kept->children[i]->kind == 'D' && i ? i : i + 1;
	/* Rule 3: alternates of alternates are one list. */
	for (uint32_t i = 0; i < kept->count; i++) {
		struct node *child = kept->children[i];
		if (child->kind != 'A')
			node_add(flat, child);
		for (uint32_t k = 0; child->kind == 'A' && k < child->count; k++)
			node_add(flat, child->children[k]);
	}
	/* Rule 4: one is no alternate. */
	if (flat->count == 0)
		flat->kind = '~';
	if (flat->count == 1)
		become(flat, flat->children[0]);
	become(node, flat);
}

static void simplify_union(struct node *node)
{
	bool has_pending = false;
	uint32_t deep = 0;
	uint32_t empty = 0;
	uint32_t asked = node->count;
	for (uint32_t i = 0; i < node->count;) {
		char kind = node->children[i]->kind;
		has_pending |= kind == 'P';
		deep += kind == 'D';
		if (is_one_of(kind, "~!PD"))
			remove_at(node, i);
		else
			empty += node->children[i++]->kind == '$';
	}
	if (node->count == 0)
		node->kind = has_pending ? 'P' : deep == asked ? 'D' : '~';
	else if (empty == node->count)
		*node = (struct node){.kind = '$', .weight = node->weight};
	else if (node->count == 1)
		become(node, node->children[0]);
}

static void simplify(struct node *node)
{
	for (uint32_t i = 0; i < node->count; i++)
		simplify(node->children[i]);
	if (node->kind == 'A')
		simplify_alternates(node);
	else if (node->kind == 'U')
		simplify_union(node);
}

/* With parentheses around every inner node; `names` with weights, too. */
static void print(const struct node *node, struct text *text)
{
	if (node->kind == 'L')
		text_add(text, span_text(node->name));
	else if (!node->count)
		text_printf(text, "%c", node->kind);
	for (uint32_t i = 0; i < node->count; i++) {
		const struct node *child = node->children[i];
		if (i)
			text_printf(text, " %c ", node->kind == 'U' ? '&' : '|');
		if (node->kind == 'U' && child->weight != 1)
			text_printf(text, "%u * ", child->weight);
		bool has_parentheses = child->count && (node->kind == 'U' || child->kind == 'A');
		text_add(text, span_text(has_parentheses ? "(" : ""));
		print(child, text);
		text_add(text, span_text(has_parentheses ? ")" : ""));
	}
}

/* ---- random dtabs ---- */

/* Names go from /a down to /e, so that the whole tree is finite; /loop is the exception. */
static void random_name(struct rng *rng, char least, char *ret_name)
{
	static const char *const last[] = {"/#/n/b1",  "/#/n/b2/x", "/#/n/b3", "/#/n/b4",
					   "/#/n/neg", "/#/n/f",    "/#/n/e",  "/#/n/p",
					   "/none",    "/loop",     "/#/n"};
	if (least > 'e' || rng_below(rng, 3) == 0)
		snprintf(ret_name, NAME_MAX, "%s", last[rng_below(rng, array_count(last))]);
	else
		snprintf(ret_name, NAME_MAX, "/%c%s", (int)(least + rng_below(rng, 2)),
			 rng_below(rng, 2)   ? ""
			 : rng_below(rng, 2) ? "/x"
					     : "/y/x");
}

static struct node *random_tree(struct rng *rng, char least, uint32_t depth)
{
	char name[NAME_MAX];
	uint32_t kind = rng_below(rng, depth ? 10 : 7);
	if (kind == 0)
		return node_new("~!$"[rng_below(rng, 3)], "");
	if (kind < 7) {
		random_name(rng, least, name);
		return node_new('L', name);
	}
	struct node *node = node_new(kind == 7 ? 'A' : 'U', "");
	uint32_t count = 2 + rng_below(rng, 2);
	for (uint32_t i = 0; i < count; i++) {
		struct node *child = random_tree(rng, least, depth - 1);
		child->weight = node->kind == 'U' ? rng_below(rng, 4) : 1;
		node_add(node, child);
	}
	return node;
}

static void random_rules(struct rng *rng)
{
	static const char *const tails[] = {"", "", "", "/x", "/*", "/y", "/*/x"};
	rule_count = 2 + rng_below(rng, ENTRIES_MAX - 2);
	for (uint32_t i = 0; i < rule_count; i++) {
		char level = (char)('a' + rng_below(rng, 5));
		snprintf(rules[i].prefix, NAME_MAX, "/%c%s", level,
			 tails[rng_below(rng, array_count(tails))]);
		rules[i].tree = random_tree(rng, (char)(level + 1), 2);
	}
	snprintf(rules[0].prefix, NAME_MAX, "/loop");
	rules[0].tree = node_new('L', "/loop");
}

static void moods_look_up(void *context, struct name_path name, struct name_arena *arena,
			  struct namer_answer *ret_answer)
{
	(void)context;
	(void)arena;
	char mood = name.count ? name.segments[0].data[0] : 'n';
	ret_answer->consumed = 1;
	ret_answer->why = "so it is";
	ret_answer->verdict = mood == 'b'   ? NAMER_BOUND
			      : mood == 'f' ? NAMER_FAIL
			      : mood == 'e' ? NAMER_EMPTY
			      : mood == 'p' ? NAMER_PENDING
					    : NAMER_NEG;
}

static void random_dtabs_agree_with_the_reference(void **state)
{
	(void)state;
	static const char *const names[] = {"/a", "/a/x", "/b/y/x", "/c", "/a/q/x", "/d/y", "/z"};
	uint32_t seen[128] = {0};
	struct rng rng;
	rng_init(&rng, 42);
	for (int round = 0; round < 6000; round++) {
		node_count = 0;
		random_rules(&rng);
		struct text dtab = {0};
		for (uint32_t i = 0; i < rule_count; i++) {
			text_printf(&dtab, "%s => ", rules[i].prefix);
			print(rules[i].tree, &dtab);
			text_add(&dtab, span_text(";\n"));
		}
		struct naming naming = {0};
		naming_namer(&naming, "n", moods_look_up, NULL);
		naming_dtab(&naming, dtab.data);
		for (size_t i = 0; i < array_count(names); i++) {
			uint32_t kept = node_count;
			struct text expected = {0};
			struct node *tree = expand_name(names[i], 0);
			simplify(tree);
			if (tree->kind == 'P' || tree->kind == 'D')
				text_add(&expected,
					 span_text(delegate_state_name(
						 tree->kind == 'P' ? DELEGATE_PENDING
								   : DELEGATE_TOO_DEEP)));
			else
				print(tree, &expected);
			const char *bound = naming_eval(&naming, names[i]);
			if (strcmp(bound, expected.data) != 0)
				fail_msg("of %s\n%s  delegate: %s\n  reference: %s", names[i],
					 dtab.data, bound, expected.data);
			seen[(unsigned char)tree->kind]++;
			text_fini(&expected);
			node_count = kept;
		}
		naming_fini(&naming);
		text_fini(&dtab);
	}
	/* The dice were good for something. */
	for (const char *kind = "LAU~!$PD"; *kind; kind++)
		if (seen[(unsigned char)*kind] < 100)
			fail_msg("%c was seen %u times", *kind, seen[(unsigned char)*kind]);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_dtabs_agree_with_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
