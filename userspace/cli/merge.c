#include "cli/merge.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>

/* JSON strings are YAML strings too (YAML 1.2, 1.3). */
static void add_pair(struct text *config, const char *before, const char *value)
{
	text_add(config, span_text(before));
	text_json_string(config, span_text(value));
}

static void add_own(const struct merge_places *places, const char *capture, struct text *config)
{
	add_pair(config, "admin: {address: \"\", socket: ", places->socket);
	add_pair(config, "}\nbpf: {pin_dir: ", places->pin_dir);
	add_pair(config, ", cgroup_root: ", places->cgroup_root);
	add_pair(config, "}\npods: [{name: " MERGE_POD ", cgroup: ", places->cgroup);
	text_printf(config, ", capture: %s}]\n", capture);
}

static const char *const own_log = "log: {level: warn}\n";
static const char *const own_timeouts = "timeouts: {drain: 2s}\n";

void merge_default(const struct merge_places *places, struct text *config)
{
	text_add(config, span_text(own_log));
	text_add(config, span_text(own_timeouts));
	add_own(places, "all", config);
}

/* ---- YAML: top-level keys stand at the beginning of a line ---- */

/* The key of a line like `key: …`, `"key": …`; size 0 = the line begins no top-level key. */
static struct span line_key(struct span line)
{
	size_t quote = line.size && (line.data[0] == '"' || line.data[0] == '\'') ? 1 : 0;
	size_t end = quote;
	while (end < line.size && (isalnum((unsigned char)line.data[end]) ||
				   line.data[end] == '_' || line.data[end] == '-'))
		end++;
	struct span key = span_of(line.data + quote, end - quote);
	if (quote && (end >= line.size || line.data[end] != line.data[0]))
		return span_of(NULL, 0);
	end += quote;
	while (end < line.size && line.data[end] == ' ')
		end++;
	bool has_colon = end < line.size && line.data[end] == ':' &&
			 (end + 1 == line.size || isspace((unsigned char)line.data[end + 1]));
	return has_colon ? key : span_of(NULL, 0);
}

/* Belongs to the key above: indented, an element of its list, the end of its brackets, or text that
 * is no content. */
static bool is_continuation(struct span line)
{
	if (line.size == 0 || strchr(" \t\r#]}", line.data[0]))
		return true;
	return line.data[0] == '-' && !span_starts(line, span_text("---"));
}

static bool is_marker(struct span line)
{
	return span_starts(line, span_text("---")) || span_starts(line, span_text("...")) ||
	       line.data[0] == '%';
}

static bool is_replaced(struct span key, struct merge_notes *notes)
{
	notes->had_log = notes->had_log || span_is(key, "log");
	notes->had_timeouts = notes->had_timeouts || span_is(key, "timeouts");
	notes->had_pods = notes->had_pods || span_is(key, "pods");
	return span_is(key, "pods") || span_is(key, "bpf") || span_is(key, "admin");
}

static int merge_yaml(struct span user, struct text *config, struct merge_notes *notes,
		      struct text *why)
{
	struct span rest = user;
	struct span line;
	bool drops = false;
	unsigned number = 0;
	if (user.size == 0)
		return 0;
	if (user.data[user.size - 1] == '\n')
		rest.size--;
	while (span_split(&rest, '\n', &line)) {
		number++;
		if (span_is(line, "...")) /* end of the document: ours is written after it */
			line = span_of("", 0);
		if (!is_continuation(line) && !is_marker(line)) {
			struct span key = line_key(line);
			if (key.size == 0) {
				text_printf(why,
					    "line %u: weft run takes a config whose top-level keys "
					    "stand at the beginning of their lines, or JSON",
					    number);
				return -EINVAL;
			}
			drops = is_replaced(key, notes);
		} else if (is_marker(line)) {
			drops = false;
		}
		if (!drops)
			text_add(config, line);
		text_add(config, span_text("\n"));
	}
	return 0;
}

/* ---- JSON ---- */

static bool json_set(cJSON *root, const char *section, const char *json)
{
	cJSON_DeleteItemFromObjectCaseSensitive(root, section);
	cJSON *item = cJSON_Parse(json);
	return item && cJSON_AddItemToObject(root, section, item);
}

static bool json_set_own(cJSON *root, const struct merge_places *places,
			 const struct merge_notes *notes)
{
	struct text text = {0};
	add_pair(&text, "{\"address\":\"\",\"socket\":", places->socket);
	text_add(&text, span_text("}"));
	bool set = !text.failed && json_set(root, "admin", text.data);
	text_clear(&text);
	add_pair(&text, "{\"pin_dir\":", places->pin_dir);
	add_pair(&text, ",\"cgroup_root\":", places->cgroup_root);
	text_add(&text, span_text("}"));
	set = set && !text.failed && json_set(root, "bpf", text.data);
	text_clear(&text);
	add_pair(&text, "[{\"name\":\"" MERGE_POD "\",\"capture\":\"services\",\"cgroup\":",
		 places->cgroup);
	text_add(&text, span_text("}]"));
	set = set && !text.failed && json_set(root, "pods", text.data);
	text_fini(&text);
	if (set && !notes->had_log)
		set = json_set(root, "log", "{\"level\":\"warn\"}");
	if (set && !notes->had_timeouts)
		set = json_set(root, "timeouts", "{\"drain\":\"2s\"}");
	return set;
}

static int merge_json(struct span user, const struct merge_places *places, struct text *config,
		      struct merge_notes *notes, struct text *why)
{
	cJSON *root = cJSON_ParseWithLength(user.data, user.size);
	if (!cJSON_IsObject(root)) {
		cJSON_Delete(root);
		text_add(why, span_text("begins like JSON and is no valid JSON object"));
		return -EINVAL;
	}
	*notes = (struct merge_notes){
		.had_pods = cJSON_HasObjectItem(root, "pods"),
		.had_log = cJSON_HasObjectItem(root, "log"),
		.had_timeouts = cJSON_HasObjectItem(root, "timeouts"),
	};
	char *text = json_set_own(root, places, notes) ? cJSON_PrintUnformatted(root) : NULL;
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	text_add(config, span_text(text));
	text_add(config, span_text("\n"));
	cJSON_free(text);
	return config->failed ? -ENOMEM : 0;
}

int merge_user(struct span user, const struct merge_places *places, struct text *config,
	       struct merge_notes *ret_notes, struct text *why)
{
	*ret_notes = (struct merge_notes){0};
	size_t blank = 0;
	while (blank < user.size && isspace((unsigned char)user.data[blank]))
		blank++;
	if (blank < user.size && user.data[blank] == '{')
		return merge_json(user, places, config, ret_notes, why);
	int error = merge_yaml(user, config, ret_notes, why);
	if (error)
		return error;
	if (!ret_notes->had_log)
		text_add(config, span_text(own_log));
	if (!ret_notes->had_timeouts)
		text_add(config, span_text(own_timeouts));
	add_own(places, "services", config);
	return config->failed ? -ENOMEM : 0;
}
