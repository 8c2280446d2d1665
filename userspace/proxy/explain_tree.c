#include "proxy/explain_tree.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MOST 1024 /* bytes of one node's text */

void tree_open(struct tree *tree, const char *step, const char *format, ...)
{
	char words[TEXT_MOST];
	va_list args;
	if (tree->hidden || !tree->nodes_left) {
		tree->hidden++;
		return;
	}
	tree->nodes_left--;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	text_printf(tree->json, "%s{\"step\":\"%s\",\"text\":", tree->needs_comma ? "," : "", step);
	text_json_string(tree->json, span_text(words));
	text_add(tree->json, span_text(",\"below\":["));
	tree->needs_comma = false;
}

void tree_close(struct tree *tree, const char *format, ...)
{
	char words[TEXT_MOST];
	va_list args;
	if (tree->hidden) {
		tree->hidden--;
		return;
	}
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	text_add(tree->json, span_text("],\"result\":"));
	text_json_string(tree->json, span_text(words));
	text_add(tree->json, span_text("}"));
	tree->needs_comma = true;
}

/* ---- steps of a delegation ---- */

static const char *step_name(enum delegate_step step)
{
	static const char *const names[] = {
		[STEP_NAME] = "name",           [STEP_ENTRY] = "entry",
		[STEP_NAMER] = "namer",         [STEP_UTILITY] = "utility",
		[STEP_ALTERNATE] = "alternate", [STEP_BRANCH] = "branch",
	};
	return names[step];
}

static void print_label(const struct delegate_event *event, struct text *words)
{
	switch (event->step) {
	case STEP_NAME:
	case STEP_NAMER:
	case STEP_UTILITY:
		name_path_print(event->path, words);
		break;
	case STEP_ENTRY:
		if (event->dtab > 1)
			text_add(words, span_text("(of the request) "));
		dtab_entry_print(event->entry, words);
		break;
	case STEP_BRANCH:
		name_weight_print(event->tree->weight, words);
		text_add(words, span_text(" * "));
		name_tree_print(event->tree, words);
		break;
	case STEP_ALTERNATE:
		name_tree_print(event->tree, words);
		break;
	}
}

static void on_step(struct delegate_trace *trace, const struct delegate_event *event)
{
	struct tree *tree = container_of(trace, struct tree, trace);
	struct text words = {0};
	if (event->is_end) {
		const char *state = delegate_state_name(event->state);
		tree_close(tree, "%s%s%s", event->state == DELEGATE_BOUND ? "" : state,
			   event->state != DELEGATE_BOUND && event->why ? ": " : "",
			   event->why ? event->why : "");
		return;
	}
	print_label(event, &words);
	tree_open(tree, step_name(event->step), "%s", words.data ? words.data : "");
	text_fini(&words);
}

void tree_init(struct tree *tree, struct text *json, uint32_t nodes_most)
{
	*tree = (struct tree){.trace = {.step = on_step}, .json = json, .nodes_left = nodes_most};
}
