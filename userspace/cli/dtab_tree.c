#include "cli/dtab_tree.h"

#include "base/mem.h"

#define NOT_KEPT         UINT32_MAX
#define INDENT_LEVEL_MAX 40 /* a dtab that goes round in circles is not shown wider */

/* Room for one more item of `size` bytes. */
static bool has_room(struct dtab_tree *tree, void **items, uint32_t count, uint32_t *capacity,
		     size_t size)
{
	if (count < *capacity)
		return true;
	uint32_t more = *capacity ? *capacity * 2 : 32;
	void *grown = mem_realloc(*items, size * more);
	if (!grown) {
		tree->failed = true;
		return false;
	}
	*items = grown;
	*capacity = more;
	return true;
}

static void print_label(const struct delegate_event *event, struct text *words)
{
	switch (event->step) {
	case STEP_NAME:
		name_path_print(event->path, words);
		break;
	case STEP_ENTRY:
		if (event->dtab > 0)
			text_add(words, span_text("(local) "));
		dtab_entry_print(event->entry, words);
		break;
	case STEP_NAMER:
		text_add(words, span_text("namer "));
		name_path_print(event->path, words);
		break;
	case STEP_UTILITY:
		text_add(words, span_text("utility name"));
		break;
	case STEP_ALTERNATE:
		text_add(words, span_text("| "));
		name_tree_print(event->tree, words);
		break;
	case STEP_BRANCH:
		text_add(words, span_text("& "));
		name_weight_print(event->tree->weight, words);
		text_add(words, span_text(" * "));
		name_tree_print(event->tree, words);
		break;
	}
}

static uint32_t line_add(struct dtab_tree *tree, const struct delegate_event *event)
{
	if (tree->line_count == DTAB_TREE_LINES_MAX) {
		tree->left_out++;
		return NOT_KEPT;
	}
	void *lines = tree->lines;
	if (!has_room(tree, &lines, tree->line_count, &tree->lines_capacity, sizeof(*tree->lines)))
		return NOT_KEPT;
	tree->lines = lines;
	struct dtab_tree_line *line = &tree->lines[tree->line_count];
	*line = (struct dtab_tree_line){.level = event->level, .begin = tree->words.size};
	print_label(event, &tree->words);
	line->size = tree->words.size - line->begin;
	return tree->line_count++;
}

static void begin(struct dtab_tree *tree, const struct delegate_event *event)
{
	void *open = tree->open;
	if (!has_room(tree, &open, tree->open_count, &tree->open_capacity, sizeof(*tree->open)))
		return;
	tree->open = open;
	if (tree->open_count && tree->open[tree->open_count - 1] != NOT_KEPT)
		tree->lines[tree->open[tree->open_count - 1]].has_below = true;
	uint32_t line = line_add(tree, event);
	tree->open[tree->open_count++] = line;
}

static void print_end(const struct delegate_event *event, struct text *words)
{
	bool tells_id = event->step == STEP_NAMER || event->step == STEP_UTILITY;
	if (event->state != DELEGATE_BOUND) {
		text_add(words, span_text(delegate_state_name(event->state)));
		if (event->why)
			text_printf(words, ": %s", event->why);
		return;
	}
	if (tells_id && event->bound->kind == NAME_LEAF) {
		text_add(words, span_text("bound: "));
		name_path_print(event->bound->path, words);
		if (event->bound->residual.count) {
			text_add(words, span_text(", residual "));
			name_path_print(event->bound->residual, words);
		}
	} else if (event->why) {
		text_add(words, span_text(event->why));
	}
}

static void end(struct dtab_tree *tree, const struct delegate_event *event)
{
	uint32_t at = tree->open_count ? tree->open[--tree->open_count] : NOT_KEPT;
	if (at == NOT_KEPT)
		return;
	struct dtab_tree_line *line = &tree->lines[at];
	if (event->step == STEP_NAME && line->has_below)
		return; /* the lines below say it */
	line->end_begin = tree->words.size;
	print_end(event, &tree->words);
	line->end_size = tree->words.size - line->end_begin;
}

static void on_step(struct delegate_trace *trace, const struct delegate_event *event)
{
	struct dtab_tree *tree = container_of(trace, struct dtab_tree, trace);
	if (tree->failed)
		return;
	if (event->is_end)
		end(tree, event);
	else
		begin(tree, event);
}

void dtab_tree_init(struct dtab_tree *tree)
{
	*tree = (struct dtab_tree){.trace = {.step = on_step}};
}

void dtab_tree_print(const struct dtab_tree *tree, struct text *text)
{
	for (uint32_t i = 0; i < tree->line_count; i++) {
		const struct dtab_tree_line *line = &tree->lines[i];
		uint32_t indent = line->level < INDENT_LEVEL_MAX ? line->level : INDENT_LEVEL_MAX;
		text_printf(text, "%*s", (int)indent * 2, "");
		text_add(text, span_of(tree->words.data + line->begin, line->size));
		if (line->end_size)
			text_add(text, span_text("   -- "));
		text_add(text, span_of(tree->words.data + line->end_begin, line->end_size));
		text_add(text, span_text("\n"));
	}
	if (tree->left_out)
		text_printf(text, "(%u further steps are not shown)\n", tree->left_out);
	text->failed |= tree->failed || tree->words.failed;
}

void dtab_tree_fini(struct dtab_tree *tree)
{
	mem_free(tree->lines);
	mem_free(tree->open);
	text_fini(&tree->words);
}
