#include "control/tree.h"

#include <errno.h>
#include <yaml.h>

#include "model/keys.h"

#define ANCHORS_MOST 256

struct anchor {
	const char *name;
	struct node *node;
};

struct frame {
	struct node *node;
	struct entry *key; /* of a map: has its name and waits for its value */
};

struct reader {
	struct arena *arena;
	struct faults *faults;
	struct node *root;
	bool has_document;
	bool is_done;
	uint32_t values;
	uint32_t depth;
	struct span rest; /* of the file, from line rest_line on */
	uint32_t rest_line;
	uint32_t anchor_count;
	struct frame frames[TREE_DEPTH_MOST];
	struct anchor anchors[ANCHORS_MOST];
};

static uint32_t line_of(const yaml_event_t *event)
{
	return (uint32_t)event->start_mark.line + 1;
}

/* Ends the reading: nothing after it can be trusted. */
static int refuse(struct reader *reader, uint32_t line, const char *sentence)
{
	text_add(faults_add(reader->faults, line), span_text(sentence));
	return -EINVAL;
}

static bool is_null(const yaml_event_t *event)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	struct span value =
		span_of((const char *)event->data.scalar.value, event->data.scalar.length);
	for (size_t i = 0; i < array_count(words); i++) {
		if (span_is(value, words[i]))
			return true;
	}
	return false;
}

static int set_anchor(struct reader *reader, const yaml_event_t *event, const yaml_char_t *name,
		      struct node *node)
{
	if (!name)
		return 0;
	if (reader->anchor_count == ANCHORS_MOST)
		return refuse(reader, line_of(event), "more than 256 anchors (&name)");
	char *copy = arena_text(reader->arena, span_text((const char *)name));
	if (!copy)
		return -ENOMEM;
	reader->anchors[reader->anchor_count++] = (struct anchor){copy, node};
	return 0;
}

static struct entry *entry_new(struct reader *reader, uint32_t line)
{
	struct entry *entry = arena_take(reader->arena, sizeof(*entry));
	if (entry)
		entry->line = line;
	return entry;
}

static void entry_append(struct node *to, struct entry *entry)
{
	if (to->last)
		to->last->next = entry;
	else
		to->first = entry;
	to->last = entry;
	to->count++;
}

static const struct entry *find_key(const struct node *map, struct span name)
{
	for (const struct entry *entry = map->first; entry; entry = entry->next) {
		if (span_equal(span_of(entry->key, entry->key_size), name))
			return entry;
	}
	return NULL;
}

/* A scalar where a map wants its next key. */
static int read_key(struct reader *reader, struct frame *frame, const yaml_event_t *event)
{
	uint32_t line = line_of(event);
	struct span name =
		span_of((const char *)event->data.scalar.value, event->data.scalar.length);
	if (span_is(name, "<<"))
		return refuse(reader, line,
			      "<<: merging maps is not supported, write the keys out");
	if (frame->node->count == TREE_KEYS_MOST)
		return refuse(reader, line, "a map with more than 256 keys");
	struct entry *entry = entry_new(reader, line);
	if (!entry)
		return -ENOMEM;
	entry->key = arena_text(reader->arena, name);
	if (!entry->key)
		return -ENOMEM;
	entry->key_size = (uint32_t)name.size;
	const struct entry *first = find_key(frame->node, name);
	if (first) {
		struct text *sentence = faults_add(reader->faults, line);
		key_quote(sentence, name);
		text_printf(sentence, ": this key stands in line %u already", first->line);
	}
	frame->key = entry;
	return 0;
}

/* A complete or just opened node goes where the reader stands. */
static int place(struct reader *reader, struct node *node, uint32_t line)
{
	if (reader->depth == 0) {
		reader->root = node;
		return 0;
	}
	struct frame *frame = &reader->frames[reader->depth - 1];
	struct entry *entry = frame->key;
	if (frame->node->type == NODE_LIST)
		entry = entry_new(reader, line);
	if (!entry)
		return -ENOMEM;
	entry->node = node;
	entry_append(frame->node, entry);
	frame->key = NULL;
	return 0;
}

static bool wants_key(const struct reader *reader)
{
	if (reader->depth == 0)
		return false;
	const struct frame *frame = &reader->frames[reader->depth - 1];
	return frame->node->type == NODE_MAP && !frame->key;
}

static struct node *node_new(struct reader *reader, enum node_type type, uint32_t line)
{
	struct node *node = arena_take(reader->arena, sizeof(*node));
	if (node) {
		node->type = (uint8_t)type;
		node->line = line;
	}
	return node;
}

static void skip_to_line(struct reader *reader, uint32_t line)
{
	struct span passed;
	while (reader->rest_line < line && span_split(&reader->rest, '\n', &passed))
		reader->rest_line++;
}

/* A block begins in the line below its | or >, as far right as its first line that is not blank. */
static uint32_t block_indent(const struct reader *reader)
{
	struct span rest = reader->rest;
	struct span line;
	while (span_split(&rest, '\n', &line)) {
		uint32_t indent = 0;
		while (indent < line.size && line.data[indent] == ' ')
			indent++;
		if (indent < line.size && line.data[indent] != '\r')
			return indent;
	}
	return 0;
}

static void note_place(struct reader *reader, const yaml_event_t *event, struct node *node)
{
	yaml_scalar_style_t style = event->data.scalar.style;
	if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
		skip_to_line(reader, node->line + 1);
		node->text_line = node->line + 1;
		node->text_column = node->text_indent = block_indent(reader);
		return;
	}
	bool is_quoted = style != YAML_PLAIN_SCALAR_STYLE;
	node->text_line = node->line;
	node->text_column = (uint32_t)event->start_mark.column + is_quoted;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event)
{
	if (event->data.scalar.tag)
		return refuse(reader, line_of(event), "tags (!name) are not supported");
	if (wants_key(reader)) {
		if (event->data.scalar.anchor)
			return refuse(reader, line_of(event), "a key cannot have an anchor");
		return read_key(reader, &reader->frames[reader->depth - 1], event);
	}
	struct node *node =
		node_new(reader, is_null(event) ? NODE_NULL : NODE_SCALAR, line_of(event));
	if (!node)
		return -ENOMEM;
	if (node->type == NODE_SCALAR) {
		node->size = (uint32_t)event->data.scalar.length;
		node->text = arena_text(
			reader->arena, span_of((const char *)event->data.scalar.value, node->size));
		if (!node->text)
			return -ENOMEM;
		note_place(reader, event, node);
	}
	int error = set_anchor(reader, event, event->data.scalar.anchor, node);
	return error ? error : place(reader, node, node->line);
}

static int read_alias(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	if (wants_key(reader))
		return refuse(reader, line_of(event), "a key cannot be an alias (*name)");
	for (uint32_t i = reader->anchor_count; i > 0; i--) {
		const struct anchor *anchor = &reader->anchors[i - 1];
		if (strcmp(anchor->name, name) != 0)
			continue;
		if (anchor->node->is_open)
			return refuse(reader, line_of(event), "an alias inside its own anchor");
		return place(reader, anchor->node, line_of(event));
	}
	struct text *sentence = faults_add(reader->faults, line_of(event));
	text_add(sentence, span_text("no anchor before here has the name "));
	key_quote(sentence, span_text(name));
	return -EINVAL;
}

static int open_node(struct reader *reader, const yaml_event_t *event, enum node_type type,
		     const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (tag)
		return refuse(reader, line_of(event), "tags (!name) are not supported");
	if (wants_key(reader))
		return refuse(reader, line_of(event), "a key must be a word, not a list or map");
	if (reader->depth == TREE_DEPTH_MOST)
		return refuse(reader, line_of(event), "nested more than 32 levels deep");
	struct node *node = node_new(reader, type, line_of(event));
	if (!node)
		return -ENOMEM;
	node->is_open = true;
	int error = set_anchor(reader, event, anchor, node);
	if (!error)
		error = place(reader, node, node->line);
	if (error)
		return error;
	reader->frames[reader->depth++] = (struct frame){.node = node};
	return 0;
}

static int read_event(struct reader *reader, const yaml_event_t *event)
{
	if (++reader->values > TREE_VALUES_MOST)
		return refuse(reader, line_of(event), "more than 2000000 values in one file");
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->has_document)
			return refuse(reader, line_of(event),
				      "a second document (---) in one file");
		reader->has_document = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return read_scalar(reader, event);
	case YAML_ALIAS_EVENT:
		return read_alias(reader, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_node(reader, event, NODE_LIST, event->data.sequence_start.anchor,
				 event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_node(reader, event, NODE_MAP, event->data.mapping_start.anchor,
				 event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		reader->frames[--reader->depth].node->is_open = false;
		return 0;
	case YAML_STREAM_END_EVENT:
		reader->is_done = true;
		return 0;
	default:
		return 0;
	}
}

static int syntax_fault(struct reader *reader, const yaml_parser_t *parser, struct span bytes)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error != YAML_READER_ERROR) {
		struct text *sentence =
			faults_add(reader->faults, (uint32_t)parser->problem_mark.line + 1);
		text_printf(sentence, "this is not YAML: %s",
			    parser->problem ? parser->problem : "unknown fault");
		if (parser->context)
			text_printf(sentence, " (%s in line %zu)", parser->context,
				    parser->context_mark.line + 1);
		return -EINVAL;
	}
	uint32_t line = 1;
	for (size_t i = 0; i < parser->problem_offset && i < bytes.size; i++)
		line += bytes.data[i] == '\n';
	struct text *sentence = faults_add(reader->faults, line);
	/* libyaml gives the code point, or the octet, that it could not take. */
	text_printf(sentence, "byte %zu of the file, 0x%02x, is no text in UTF-8: %s",
		    parser->problem_offset, (unsigned)parser->problem_value,
		    parser->problem ? parser->problem : "unknown fault");
	return -EINVAL;
}

static int read_all(struct reader *reader, yaml_parser_t *parser, struct span bytes)
{
	int error = 0;
	while (!error && !reader->is_done) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event))
			return syntax_fault(reader, parser, bytes);
		error = read_event(reader, &event);
		yaml_event_delete(&event);
	}
	return error;
}

int tree_read(struct span bytes, struct arena *arena, struct faults *faults, struct node **ret_root)
{
	yaml_parser_t parser;
	struct reader *reader = arena_take(arena, sizeof(*reader));
	if (!reader || !yaml_parser_initialize(&parser))
		return -ENOMEM;
	reader->arena = arena;
	reader->faults = faults;
	reader->rest = bytes;
	reader->rest_line = 1;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes.data, bytes.size);
	int error = read_all(reader, &parser, bytes);
	yaml_parser_delete(&parser);
	if (!error)
		*ret_root = reader->root;
	return error;
}
