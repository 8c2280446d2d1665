/* `weft config --reference`: a config file that weftd reads, every key with its comment. */
#include "model/keys.h"

static const char *type_name(enum key_type type)
{
	switch (type) {
	case KEY_MAP:
		return "map";
	case KEY_LIST:
		return "list";
	case KEY_BOOL:
		return "true or false";
	case KEY_INTEGER:
		return "integer";
	case KEY_DURATION:
		return "duration";
	case KEY_SIZE:
		return "size";
	case KEY_PERCENT:
		return "percentage";
	case KEY_IP:
		return "address";
	case KEY_ADDRESS:
		return "address:port";
	case KEY_CIDR:
		return "network";
	case KEY_CHOICE:
		return "one of";
	case KEY_NAME:
		return "name";
	case KEY_PATH:
		return "path";
	case KEY_URL:
		return "URL";
	case KEY_DTAB:
		return "dtab";
	case KEY_TEXT:
		return "text";
	}
	return "";
}

static void print_indent(struct text *text, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		text_add(text, span_text("  "));
}

/* A number of this key as the file would say it. */
static void print_bound(const struct key *key, uint64_t number, struct text *text)
{
	struct key as_number = *key;
	as_number.store = KEY_STORE_NUMBER;
	as_number.offset = 0;
	as_number.width = sizeof(number);
	key_print(&as_number, &number, text);
}

static void print_type(const struct key *key, struct text *text)
{
	text_add(text, span_text(type_name(key->type)));
	if (key->type == KEY_CHOICE) {
		struct span rest = span_text(key->choices);
		struct span word;
		for (const char *before = " "; span_split(&rest, '|', &word); before = " | ")
			text_printf(text, "%s%.*s", before, SPAN_PRINT(word));
	}
	bool is_number = key->type == KEY_INTEGER || key->type == KEY_DURATION ||
			 key->type == KEY_SIZE || key->type == KEY_PERCENT;
	if (is_number) {
		text_add(text, span_text(", "));
		print_bound(key, key->least, text);
		text_add(text, span_text(" to "));
		print_bound(key, key->most, text);
		text_add(text, span_text(key->flags & KEY_MAY_BE_ZERO ? " or 0" : ""));
	}
	if (key->type == KEY_LIST) {
		const struct key *element = key_element(key);
		text_printf(text, " of %s", element ? type_name(element->type) : "maps");
	}
	if (key->type == KEY_INTEGER && key->unit)
		text_printf(text, ", in %s", key->unit);
	else if (key->unit)
		text_printf(text, ", in %s, KiB, MiB or GiB", key->unit);
	else if (key->type == KEY_DURATION)
		text_add(text, span_text(", in us, ms, s, m or h"));
}

static void print_comment(const struct key *key, unsigned depth, struct text *text)
{
	print_indent(text, depth);
	text_printf(text, "# %s\n", key->meaning);
	if (key->type == KEY_MAP)
		return;
	print_indent(text, depth);
	text_printf(text, "#   %s: ", key->path);
	print_type(key, text);
	if (key->flags & KEY_REQUIRED)
		text_add(text, span_text("; required"));
	else if (key->type == KEY_LIST)
		text_add(text, span_text("; default: none"));
	else if (key->fallback)
		text_printf(text, "; default: %s", *key->fallback ? key->fallback : "\"\"");
	if (key->flags & KEY_AT_START)
		text_add(text, span_text("; changes need a restart"));
	text_add(text, span_text("\n"));
}

static void print_scalar(const struct key *key, struct text *text)
{
	const char *value = key->example ? key->example : key->fallback;
	bool needs_quotes = !*value || strpbrk(value, ":[]{}, *#");
	text_printf(text, needs_quotes ? "\"%s\"" : "%s", value);
}

static void print_below(const struct key *parent, unsigned depth, struct text *text);

static void print_list(const struct key *list, unsigned depth, struct text *text)
{
	const struct key *element = key_element(list);
	if (element) {
		text_add(text, span_text(" ["));
		print_scalar(element, text);
		text_add(text, span_text("]\n"));
		return;
	}
	text_add(text, span_text("\n"));
	print_indent(text, depth + 1);
	text_add(text, span_text("-\n"));
	print_below(list, depth + 2, text);
}

static void print_below(const struct key *parent, unsigned depth, struct text *text)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		if (!key_is_child(key, parent))
			continue;
		if (!parent)
			text_add(text, span_text("\n"));
		print_comment(key, depth, text);
		print_indent(text, depth);
		text_printf(text, "%s:", key_name(key));
		if (key->type == KEY_MAP) {
			text_add(text, span_text("\n"));
			print_below(key, depth + 1, text);
		} else if (key->type == KEY_LIST) {
			print_list(key, depth, text);
		} else {
			text_add(text, span_text(" "));
			print_scalar(key, text);
			text_add(text, span_text("\n"));
		}
	}
}

void keys_print_reference(struct text *text)
{
	text_add(text,
		 span_text("# Every key of weft's config file. All are optional but those marked "
			   "required;\n# a file is YAML or JSON. Lists show one example "
			   "element.\n"));
	print_below(NULL, 0, text);
}
