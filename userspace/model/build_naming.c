/* The dtab and the namers of a draft. */
#include <errno.h>

#include "base/mem.h"
#include "model/build.h"

/* Where in the file `error` is: what stands in the first line begins further right. */
static void place_fault(struct build *build, const char *key, const struct draft_text *text,
			const struct name_error *error)
{
	uint32_t left = error->line == 1 ? text->column : text->indent;
	uint32_t line = text->line ? text->line + error->line - 1 : 0;
	build_fault(build, line, key, "column %u: %s", left + error->column, error->why);
}

static int parse_dtabs(struct build *build, struct naming *naming)
{
	const struct draft_text *text = &build->draft->dtab;
	struct name_error where;
	int error =
		dtab_parse(span_text("/svc => /#/" NAMING_STATIC_PREFIX), &naming->first, &where);
	if (error)
		return error;
	error = dtab_parse(span_text(text->text ? text->text : ""), &naming->base, &where);
	if (error && error != -ENOMEM)
		place_fault(build, "dtab", text, &where);
	return error == -ENOMEM ? error : 0;
}

static int compile(struct build *build, const struct namer_draft *draft, struct namer_rule *rule)
{
	const struct namer_compiler *compiler = build->options->namers;
	struct name_error where;
	bool is_in_name;
	if (!*draft->pattern || !*draft->name) {
		build_fault(build, draft->line, "namers[].pattern",
			    "and name are needed where kind is rewrite");
		return 0;
	}
	if (!compiler)
		return 0;
	int error = compiler->compile(span_text(draft->pattern), span_text(draft->name),
				      &rule->rewriter, &is_in_name, &where);
	if (error && error != -ENOMEM)
		build_fault(build, draft->line, is_in_name ? "namers[].name" : "namers[].pattern",
			    "column %u: %s", where.column, where.why);
	return error == -ENOMEM ? error : 0;
}

static const char *default_prefix(const struct namer_draft *draft)
{
	if (*draft->prefix)
		return draft->prefix;
	static const char *const names[] = {"fs", "rewrite", "dns", "dns_srv"};
	return names[draft->kind];
}

static bool has_other_dns(const struct naming *naming, const struct namer_rule *rule)
{
	for (const struct namer_rule *other = naming->namers; other < rule; other++) {
		if (namer_asks_dns(other->kind) && span_equal(other->text, rule->text))
			return true;
	}
	return false;
}

static int fill_namer(struct build *build, struct naming *naming, const struct namer_draft *draft)
{
	struct namer_rule *rule = &naming->namers[naming->namer_count];
	struct text path = {0};
	struct name_error where;
	struct name_path parsed;
	struct name_arena scratch;
	*rule = (struct namer_rule){.kind = (uint8_t)draft->kind};
	name_arena_init(&scratch, NULL, 0);
	text_printf(&path, "/%s", default_prefix(draft));
	int error = path.failed ? -ENOMEM
				: name_path_parse(text_span(&path), &scratch, &parsed, &where);
	if (!error)
		error = name_path_copy(parsed, &naming->memory, &rule->prefix);
	char *copy = error ? NULL : name_arena_take(&naming->memory, path.size);
	if (!error && !copy)
		error = -ENOMEM;
	if (copy) {
		memcpy(copy, path.data + 1, path.size - 1);
		rule->text = span_of(copy, path.size - 1);
		naming->namer_count++;
	}
	text_fini(&path);
	name_arena_fini(&scratch);
	if (error == -ENOMEM)
		return error;
	if (error || span_is(rule->text, NAMING_STATIC_PREFIX)) {
		build_fault(build, draft->line, "namers[].prefix",
			    error ? "is no path of a name, such as fs"
				  : "weft is what names the mesh's own services");
		return 0;
	}
	if (draft->kind == NAMER_FILES && !*draft->root_dir)
		build_fault(build, draft->line, "namers[].root_dir",
			    "is needed where kind is fs: the folder whose files are services");
	if (namer_asks_dns(draft->kind) && has_other_dns(naming, rule))
		build_fault(build, draft->line, "namers[].prefix",
			    "another namer that asks DNS has this prefix: their names would be the "
			    "same");
	if (namer_asks_dns(draft->kind) && draft->ttl_min_ns > draft->ttl_max_ns)
		build_fault(build, draft->line, "namers[].ttl_min",
			    "is longer than ttl_max: %llu ms and %llu ms",
			    (unsigned long long)(draft->ttl_min_ns / 1000000),
			    (unsigned long long)(draft->ttl_max_ns / 1000000));
	return draft->kind == NAMER_REWRITE ? compile(build, draft, rule) : 0;
}

static int build_new(struct build *build, struct naming *naming)
{
	const struct namer_draft *drafts = build->draft->namers.items;
	uint32_t count = build->draft->namers.count;
	int error = parse_dtabs(build, naming);
	naming->rewriter_free = build->options->namers ? build->options->namers->free : NULL;
	naming->namers = name_arena_take(&naming->memory, (count + 1) * sizeof(*naming->namers));
	if (!naming->namers)
		return -ENOMEM;
	for (uint32_t i = 0; !error && i < count; i++)
		error = fill_namer(build, naming, &drafts[i]);
	naming->is_plain = naming->base && naming->base->count == 0 && naming->namer_count == 0;
	return error;
}

static void add_part(struct text *form, const char *part)
{
	text_printf(form, "%s%c", part ? part : "", '\1');
}

static void print_form(const struct draft *draft, struct text *form)
{
	const struct namer_draft *namers = draft->namers.items;
	add_part(form, draft->dtab.text);
	for (uint32_t i = 0; i < draft->namers.count; i++) {
		text_printf(form, "%u", (unsigned)namers[i].kind);
		add_part(form, namers[i].prefix);
		add_part(form, namers[i].root_dir);
		add_part(form, namers[i].pattern);
		add_part(form, namers[i].name);
	}
}

int build_naming(struct build *build)
{
	const struct snapshot *previous = build->options->previous;
	struct naming *old = previous ? previous->naming : NULL;
	struct text form = {0};
	print_form(build->draft, &form);
	if (form.failed) {
		text_fini(&form);
		return -ENOMEM;
	}
	if (old && span_equal(text_span(&form), span_of(old->form, old->form_size))) {
		text_fini(&form);
		old->users++;
		build->next->naming = old;
		return 0;
	}
	struct naming *naming = mem_zalloc(sizeof(*naming));
	if (!naming) {
		text_fini(&form);
		return -ENOMEM;
	}
	naming->users = 1;
	naming->form = form.data;
	naming->form_size = form.size;
	build->next->naming = naming;
	return build_new(build, naming);
}

void naming_drop(struct naming *naming)
{
	if (!naming || --naming->users > 0)
		return;
	for (uint32_t i = 0; i < naming->namer_count && naming->rewriter_free; i++)
		naming->rewriter_free(naming->namers[i].rewriter);
	dtab_free(naming->first);
	dtab_free(naming->base);
	name_arena_fini(&naming->memory);
	mem_free(naming->form);
	mem_free(naming);
}
