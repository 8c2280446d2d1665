#include "control/load.h"

#include <errno.h>

#include "model/keys.h"

struct loader {
	struct arena *arena;
	struct faults *faults;
	uint32_t steps; /* values loaded; aliases may make them many more than the file has */
};

static int load_map(struct loader *loader, const struct node *map, const struct key *parent,
		    void *holder);

static struct text *fault_at(struct loader *loader, uint32_t line, const struct key *key)
{
	struct text *sentence = faults_add(loader->faults, line);
	text_printf(sentence, "%s: ", key->path);
	return sentence;
}

static void fault(struct loader *loader, uint32_t line, const struct key *key, const char *sentence)
{
	text_add(fault_at(loader, line, key), span_text(sentence));
}

/* "services[]" for what is inside a list, "" at the top. */
static void unknown_key(struct loader *loader, const struct entry *entry, const struct key *parent)
{
	struct span name = span_of(entry->key, entry->key_size);
	struct text *sentence = faults_add(loader->faults, entry->line);
	const struct key *near = key_near(parent, name);
	if (parent)
		text_printf(sentence, "%s%s.", parent->path, parent->type == KEY_LIST ? "[]" : "");
	struct text quoted = {0};
	key_quote(&quoted, name);
	if (quoted.size >= 2) /* the path is readable without its quotes */
		text_add(sentence, span_of(quoted.data + 1, quoted.size - 2));
	text_fini(&quoted);
	text_add(sentence, span_text(": unknown key"));
	if (near)
		text_printf(sentence, "; did you mean %s?", key_name(near));
}

/* A scalar's value in the form of `key`; false after a fault. */
static bool read_scalar(struct loader *loader, const struct key *key, const struct node *node,
			uint32_t line, struct key_value *ret_value)
{
	bool may_be_empty = key->flags & KEY_MAY_BE_EMPTY;
	if (node->type == NODE_LIST || node->type == NODE_MAP) {
		fault(loader, line, key, "one value is expected here, not a list or map");
		return false;
	}
	if (node->type == NODE_NULL && !may_be_empty) {
		fault(loader, line, key, "has no value");
		return false;
	}
	const char *text = node->type == NODE_NULL ? "" : node->text;
	if (strlen(text) != node->size) {
		fault(loader, line, key, "has a NUL character in its value");
		return false;
	}
	struct text why = {0};
	int error = key_parse(key, text, ret_value, &why);
	if (error)
		text_add(fault_at(loader, line, key), text_span(&why));
	text_fini(&why);
	return !error;
}

static int load_element(struct loader *loader, const struct key *list, const struct key *element,
			const struct entry *entry, void *item)
{
	if (element) {
		struct key_value value;
		struct draft_value *to = item;
		if (read_scalar(loader, element, entry->node, entry->line, &value))
			*to = (struct draft_value){.number = value.number,
						   .text = value.text,
						   .address = value.address,
						   .prefix = value.prefix};
	} else if (entry->node->type != NODE_MAP) {
		struct text *sentence = faults_add(loader->faults, entry->line);
		text_printf(sentence, "%s[]: a map of keys is expected here", list->path);
	} else {
		keys_set_defaults(list, item);
		int error = load_map(loader, entry->node, list, item);
		if (error)
			return error;
	}
	memcpy(item, &entry->line, sizeof(entry->line)); /* every item begins with its line */
	return 0;
}

static int load_elements(struct loader *loader, const struct key *list, const struct node *node,
			 struct draft_list *to)
{
	const struct key *element = key_element(list);
	char *items = arena_take(loader->arena, (size_t)node->count * list->width);
	if (!items)
		return -ENOMEM;
	to->items = items;
	for (const struct entry *entry = node->first; entry; entry = entry->next) {
		uint32_t faults = loader->faults->count;
		void *item = items + (size_t)to->count * list->width;
		if (++loader->steps > TREE_VALUES_MOST)
			return 0; /* told at the end */
		int error = load_element(loader, list, element, entry, item);
		if (error)
			return error;
		if (loader->faults->count == faults)
			to->count++;
		else
			memset(item, 0, list->width);
	}
	return 0;
}

static int load_list(struct loader *loader, const struct key *key, const struct node *node,
		     uint32_t line, void *holder)
{
	static const struct node empty = {.type = NODE_LIST};
	struct draft_list list = {0};
	if (node->type == NODE_NULL)
		node = &empty;
	if (node->type != NODE_LIST) {
		fault(loader, line, key, "a list is expected here");
		return 0;
	}
	if (node->count < key->least || node->count > key->most) {
		text_printf(fault_at(loader, line, key),
			    "has %u elements; %llu to %llu are allowed", node->count,
			    (unsigned long long)key->least, (unsigned long long)key->most);
		return 0;
	}
	int error = load_elements(loader, key, node, &list);
	memcpy((char *)holder + key->offset, &list, sizeof(list));
	return error;
}

static void note_place(const struct key *key, const struct node *node, void *holder)
{
	struct draft_text *text = (void *)((char *)holder + key->offset);
	text->line = node->text_line;
	text->column = node->text_column;
	text->indent = node->text_indent;
}

static int load_entry(struct loader *loader, const struct key *key, const struct entry *entry,
		      void *holder)
{
	const struct node *node = entry->node;
	struct key_value value;
	if (key->type == KEY_LIST)
		return load_list(loader, key, node, entry->line, holder);
	if (key->type != KEY_MAP) {
		if (read_scalar(loader, key, node, entry->line, &value))
			key_set(key, &value, holder);
		if (key->store == KEY_STORE_PLACED && node->type == NODE_SCALAR)
			note_place(key, node, holder);
		return 0;
	}
	if (node->type == NODE_NULL)
		return 0;
	if (node->type != NODE_MAP) {
		fault(loader, entry->line, key, "a map of keys is expected here");
		return 0;
	}
	return load_map(loader, node, key, holder);
}

static const struct entry *entry_named(const struct node *map, struct span name)
{
	for (const struct entry *entry = map->first; entry; entry = entry->next) {
		if (span_equal(span_of(entry->key, entry->key_size), name))
			return entry;
	}
	return NULL;
}

static void check_required(struct loader *loader, const struct node *map, const struct key *parent)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		if ((key->flags & KEY_REQUIRED) && key_is_child(key, parent) &&
		    !entry_named(map, span_text(key_name(key))))
			fault(loader, map->line, key, "is required and missing");
	}
}

static int load_map(struct loader *loader, const struct node *map, const struct key *parent,
		    void *holder)
{
	for (const struct entry *entry = map->first; entry; entry = entry->next) {
		const struct key *key = key_child(parent, span_of(entry->key, entry->key_size));
		if (++loader->steps > TREE_VALUES_MOST)
			return 0; /* told at the end */
		if (!key) {
			unknown_key(loader, entry, parent);
			continue;
		}
		int error = load_entry(loader, key, entry, holder);
		if (error)
			return error;
	}
	check_required(loader, map, parent);
	return 0;
}

static void check_steps(struct loader *loader)
{
	if (loader->steps > TREE_VALUES_MOST)
		text_add(faults_add(loader->faults, 0),
			 span_text("aliases (*name) unfold to more than 2000000 values"));
}

int draft_load(const struct node *root, struct arena *arena, struct faults *faults,
	       struct draft *ret_draft)
{
	struct loader loader = {.arena = arena, .faults = faults};
	struct draft draft = {0};
	keys_set_defaults(NULL, &draft);
	int error = 0;
	if (root && root->type == NODE_MAP)
		error = load_map(&loader, root, NULL, &draft);
	else if (root && root->type != NODE_NULL)
		text_add(faults_add(faults, root->line),
			 span_text("a config file is a map of keys, such as \"workers: 2\""));
	check_steps(&loader);
	if (!error)
		*ret_draft = draft;
	return error;
}

int draft_load_pod(const struct node *root, struct arena *arena, struct faults *faults,
		   struct pod_draft *ret_pod)
{
	const struct key *pods = key_child(NULL, span_text("pods"));
	struct loader loader = {.arena = arena, .faults = faults};
	struct pod_draft pod = {0};
	int error = 0;
	keys_set_defaults(pods, &pod);
	if (root && root->type == NODE_MAP)
		error = load_map(&loader, root, pods, &pod);
	else
		text_add(faults_add(faults, 0),
			 span_text("a pod is a map of keys, such as {\"name\": \"shop\"}"));
	check_steps(&loader);
	if (!error)
		*ret_pod = pod;
	return error;
}

uint32_t tree_line(const struct node *root, struct span path)
{
	uint32_t line = 0;
	struct span part;
	while (span_split(&path, '.', &part)) {
		const struct entry *entry =
			root && root->type == NODE_MAP ? entry_named(root, part) : NULL;
		if (!entry)
			return line;
		line = entry->line;
		root = entry->node;
	}
	return line;
}
