#include "cni/conflist.h"

#include <errno.h>

#include "base/json_scan.h"
#include "cni/request.h"

#define BEFORE_OURS ",\n    "

enum conflist_kind conflist_kind(struct span config)
{
	struct span value;
	if (json_member(config, "plugins", &value) == 0)
		return json_element(value, 0, &value) == 0 ? CONFLIST_LIST : CONFLIST_NONE;
	if (json_member(config, "type", &value) == 0 && json_plain_string(value, &value))
		return value.size ? CONFLIST_SINGLE : CONFLIST_NONE;
	return CONFLIST_NONE;
}

static bool is_ours(struct span plugin)
{
	struct span type;
	return json_member(plugin, "type", &type) == 0 && json_plain_string(type, &type) &&
	       span_is(type, CNI_TYPE);
}

bool conflist_has_ours(struct span config)
{
	struct span plugins;
	struct span plugin;
	if (json_member(config, "plugins", &plugins))
		return false;
	for (size_t i = 0; json_element(plugins, i, &plugin) == 0; i++)
		if (is_ours(plugin))
			return true;
	return false;
}

static const char *end_of(struct span s)
{
	return s.data + s.size;
}

static void add_between(struct text *text, const char *begin, const char *end)
{
	text_add(text, span_of(begin, (size_t)(end - begin)));
}

/* Copies the list without plugins of our type, which go with the comma and the blanks before them;
 * then `ours`, unless it is empty, behind the last one. */
static int rewrite(struct span config, struct span ours, struct text *text)
{
	struct span plugins;
	struct span plugin;
	const char *from;
	const char *first = NULL;
	bool has_other = false;
	if (json_member(config, "plugins", &plugins) || json_element(plugins, 0, &plugin))
		return -EINVAL;
	from = plugins.data + 1;
	first = plugin.data;
	add_between(text, config.data, first);
	for (size_t i = 0; json_element(plugins, i, &plugin) == 0; i++) {
		if (!is_ours(plugin)) {
			add_between(text, has_other ? from : plugin.data, end_of(plugin));
			has_other = true;
		}
		from = end_of(plugin);
	}
	if (!has_other)
		return -EINVAL;
	if (ours.size)
		text_printf(text, "%s%.*s", BEFORE_OURS, SPAN_PRINT(ours));
	add_between(text, from, end_of(config));
	return text->failed ? -ENOMEM : 0;
}

/* The version that all plugins of the list are called with. */
static int version_check(struct span config)
{
	struct span version;
	if (json_member(config, "cniVersion", &version) || !json_plain_string(version, &version))
		return -ENOTSUP; /* 0.2.0, by the spec: it has no chains */
	for (const char *const *known = cni_versions; *known; known++)
		if (span_is(version, *known))
			return 0;
	return -ENOTSUP;
}

/* Without what may stand around a JSON text (RFC 8259 2). */
static struct span bare(struct span json)
{
	while (json.size && strchr(" \t\r\n", json.data[0]))
		json = span_of(json.data + 1, json.size - 1);
	while (json.size && strchr(" \t\r\n", json.data[json.size - 1]))
		json.size--;
	return json;
}

static int wrap(struct span config, struct span ours, struct text *text)
{
	struct span version;
	struct span name;
	struct span plugin = bare(config);
	if (json_member(config, "cniVersion", &version) || json_member(config, "name", &name))
		return -EINVAL;
	text_printf(text,
		    "{\n  \"cniVersion\": %.*s,\n  \"name\": %.*s,\n  \"plugins\": [\n    %.*s%s"
		    "%.*s\n  ]\n}\n",
		    SPAN_PRINT(version), SPAN_PRINT(name), SPAN_PRINT(plugin), BEFORE_OURS,
		    SPAN_PRINT(ours));
	return text->failed ? -ENOMEM : 0;
}

int conflist_insert(struct span config, struct span ours, struct text *ret_config)
{
	enum conflist_kind kind = conflist_kind(config);
	struct text text = {0};
	if (kind == CONFLIST_NONE || is_ours(config))
		return -EINVAL;
	int error = version_check(config);
	if (!error)
		error = kind == CONFLIST_LIST ? rewrite(config, ours, &text)
					      : wrap(config, ours, &text);
	if (error) {
		text_fini(&text);
		return error;
	}
	*ret_config = text;
	return 0;
}

int conflist_remove(struct span config, struct text *ret_config)
{
	struct text text = {0};
	int error = rewrite(config, span_of(NULL, 0), &text);
	if (error) {
		text_fini(&text);
		return error;
	}
	*ret_config = text;
	return 0;
}
