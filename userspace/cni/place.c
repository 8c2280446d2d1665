#include "cni/place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cni/conflist.h"
#include "cni/node_file.h"
#include "cni/request.h"

#define LIST_SUFFIX ".conflist"
#define KEPT_SUFFIX ".weft-kept"
/* A runtime reads the folder when inotify tells; until then its pods need the program. */
#define SETTLE_NS 500000000

static const char *const single_suffixes[] = {".conf", ".json"};

static int say(struct text *why, const char *what, const char *path, int error)
{
	text_printf(why, "%s %s: %s", what, path, strerror(-error));
	return error;
}

static bool ends_with(struct span name, const char *suffix)
{
	size_t size = strlen(suffix);
	return name.size > size && memcmp(name.data + name.size - size, suffix, size) == 0;
}

/* What a file of this name must hold to be used. */
static enum conflist_kind kind_of_name(struct span name)
{
	if (ends_with(name, LIST_SUFFIX))
		return CONFLIST_LIST;
	for (size_t i = 0; i < array_count(single_suffixes); i++)
		if (ends_with(name, single_suffixes[i]))
			return CONFLIST_SINGLE;
	return CONFLIST_NONE;
}

/* ---- the folder, in the order of names ---- */

struct config_file {
	char name[NAME_MAX + 1]; /* "" before the first */
	char path[PATH_MAX];
	enum conflist_kind kind;
	struct text content;
	mode_t mode;
};

static void file_fini(struct config_file *file)
{
	text_fini(&file->content);
}

/* The name that comes next. 0, -ENOENT at the end, -errno. */
static int next_name(const char *dir, char *name)
{
	char best[NAME_MAX + 1] = "";
	DIR *folder = opendir(dir);
	if (!folder)
		return -errno;
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (kind_of_name(span_text(entry->d_name)) == CONFLIST_NONE ||
		    strcmp(entry->d_name, name) <= 0 || (*best && strcmp(entry->d_name, best) >= 0))
			continue;
		snprintf(best, sizeof(best), "%s", entry->d_name);
	}
	closedir(folder);
	memcpy(name, best, sizeof(best));
	return *best ? 0 : -ENOENT;
}

/* The next file that a runtime could use. 0, -ENOENT when there is none, -errno. */
static int next_file(const char *dir, struct config_file *file)
{
	int error;
	file_fini(file);
	while ((error = next_name(dir, file->name)) == 0) {
		struct span name = span_text(file->name);
		error = node_file_path(file->path, span_text(dir), name, "");
		if (error)
			return error;
		error = node_file_read(file->path, &file->content, &file->mode);
		if (error == -ENOENT || error == -EFBIG || error == -EISDIR)
			continue;
		if (error)
			return error;
		file->kind = conflist_kind(text_span(&file->content));
		if (file->kind != CONFLIST_NONE && file->kind == kind_of_name(name))
			return 0;
		file_fini(file);
	}
	return error;
}

/* The file's name without its suffix. */
static struct span stem(const struct config_file *file)
{
	const char *dot = strrchr(file->name, '.');
	return span_of(file->name, (size_t)(dot - file->name));
}

/* ---- putting in ---- */

static int program_copy(const struct cni_place *place, struct cni_change *change, struct text *why)
{
	char path[PATH_MAX];
	struct text ours = {0};
	struct text theirs = {0};
	mode_t mode;
	int error = node_file_path(path, span_text(place->bin_dir), span_text(CNI_TYPE), "");
	if (error)
		return say(why, "cannot name", place->bin_dir, error);
	error = node_file_read(place->program, &ours, &mode);
	if (error)
		return say(why, "cannot read", place->program, error);
	error = node_file_read(path, &theirs, &mode);
	if (error || !(mode & 0100) || !span_equal(text_span(&ours), text_span(&theirs))) {
		error = node_file_replace(path, text_span(&ours), 0755);
		change->program_copied = !error;
		if (error)
			say(why, "cannot write", path, error);
	}
	text_fini(&ours);
	text_fini(&theirs);
	return error;
}

static void plugin_print(const struct cni_place *place, struct text *json)
{
	text_printf(json, "{\"type\":\"" CNI_TYPE "\",\"socket\":");
	text_json_string(json, span_text(place->socket));
	text_printf(json, ",\"onProxyDeath\":\"%s\"}", place->is_closed ? "closed" : "open");
}

/* Writes NAME.conflist, then puts away the NAME.conf that would come before it. */
static int list_write(const struct cni_place *place, const struct config_file *file,
		      struct span content, struct cni_change *change, struct text *why)
{
	char path[PATH_MAX];
	char kept[PATH_MAX];
	struct span dir = span_text(place->conf_dir);
	int error = node_file_path(path, dir, stem(file), LIST_SUFFIX);
	if (!error)
		error = node_file_path(kept, dir, span_text(file->name), KEPT_SUFFIX);
	if (!error)
		error = node_file_replace(path, content, file->mode);
	if (error)
		return say(why, "cannot write", path, error);
	if (file->kind == CONFLIST_SINGLE && rename(file->path, kept))
		return say(why, "cannot put away", file->path, -errno);
	change->list_changed = true;
	return 0;
}

static int list_insert(const struct cni_place *place, const struct config_file *file,
		       struct cni_change *change, struct text *why)
{
	struct span before = text_span(&file->content);
	struct text ours = {0};
	struct text after = {0};
	change->was_listed = conflist_has_ours(before);
	plugin_print(place, &ours);
	int error = ours.failed ? -ENOMEM : conflist_insert(before, text_span(&ours), &after);
	if (error)
		say(why,
		    error == -ENOTSUP ? "weft-cni speaks CNI 0.3.0 to 1.1.0, not that of"
				      : "cannot add weft-cni to",
		    file->path, error);
	else if (!span_equal(before, text_span(&after)))
		error = list_write(place, file, text_span(&after), change, why);
	struct span name = stem(file);
	snprintf(change->file, sizeof(change->file), "%.*s" LIST_SUFFIX, SPAN_PRINT(name));
	text_fini(&ours);
	text_fini(&after);
	return error;
}

int cni_install(const struct cni_place *place, struct cni_change *ret_change, struct text *why)
{
	struct config_file file = {0};
	*ret_change = (struct cni_change){0};
	/* The program first: a list may only name what is there. */
	int error = program_copy(place, ret_change, why);
	if (error)
		return error;
	error = next_file(place->conf_dir, &file);
	if (error)
		say(why, "no CNI configuration in", place->conf_dir, error);
	else
		error = list_insert(place, &file, ret_change, why);
	file_fini(&file);
	return error;
}

/* ---- taking out ---- */

/* Puts back the single configuration of which the list was made. False: there was none. */
static bool kept_restore(const struct cni_place *place, const struct config_file *file)
{
	for (size_t i = 0; i < array_count(single_suffixes); i++) {
		char path[PATH_MAX];
		char kept[PATH_MAX];
		struct span dir = span_text(place->conf_dir);
		if (node_file_path(path, dir, stem(file), single_suffixes[i]) ||
		    snprintf(kept, sizeof(kept), "%s" KEPT_SUFFIX, path) >= PATH_MAX)
			continue;
		/* One that was written meanwhile is newer. */
		if (access(path, F_OK) == 0 ? unlink(kept) == 0 : rename(kept, path) == 0)
			return unlink(file->path) == 0;
	}
	return false;
}

static int list_remove(const struct cni_place *place, const struct config_file *file,
		       struct text *removed, struct text *why)
{
	struct text after = {0};
	int error = 0;
	if (!kept_restore(place, file)) {
		error = conflist_remove(text_span(&file->content), &after);
		if (!error)
			error = node_file_replace(file->path, text_span(&after), file->mode);
		text_fini(&after);
	}
	if (error)
		return say(why, "cannot take weft-cni out of", file->path, error);
	text_printf(removed, "weft-cni from %s\n", file->path);
	return 0;
}

/* Calls `act` for each list that has our plugin. */
static int lists_visit(const struct cni_place *place,
		       int (*act)(const struct cni_place *place, const struct config_file *file,
				  struct text *lines, struct text *why),
		       struct text *lines, struct text *why)
{
	struct config_file file = {0};
	int error;
	while ((error = next_file(place->conf_dir, &file)) == 0)
		if (conflist_has_ours(text_span(&file.content)) &&
		    (error = act(place, &file, lines, why)))
			break;
	file_fini(&file);
	if (error == -ENOENT)
		return 0;
	if (error && !why->size)
		say(why, "cannot look into", place->conf_dir, error);
	return error;
}

int cni_remove(const struct cni_place *place, struct text *removed, struct text *why)
{
	char path[PATH_MAX];
	struct timespec settle = {.tv_nsec = SETTLE_NS};
	int error = lists_visit(place, list_remove, removed, why);
	if (removed->size)
		nanosleep(&settle, NULL);
	node_file_sweep(place->conf_dir);
	node_file_sweep(place->bin_dir);
	if (!error)
		error = node_file_path(path, span_text(place->bin_dir), span_text(CNI_TYPE), "");
	if (error)
		return error;
	if (unlink(path) == 0)
		text_printf(removed, "%s\n", path);
	else if (errno != ENOENT)
		return say(why, "cannot remove", path, -errno);
	return 0;
}

static int list_tell(const struct cni_place *place, const struct config_file *file,
		     struct text *traces, struct text *why)
{
	(void)place;
	(void)why;
	text_printf(traces, "weft-cni in %s\n", file->path);
	return 0;
}

int cni_traces(const struct cni_place *place, struct text *traces, struct text *why)
{
	char path[PATH_MAX];
	int error = lists_visit(place, list_tell, traces, why);
	if (!error)
		error = node_file_path(path, span_text(place->bin_dir), span_text(CNI_TYPE), "");
	if (!error && access(path, F_OK) == 0)
		text_printf(traces, "%s\n", path);
	return error;
}

int cni_look(const struct cni_place *place, struct cni_state *ret_state, struct text *why)
{
	char path[PATH_MAX];
	struct config_file file = {0};
	struct cni_state state = {0};
	int error = next_file(place->conf_dir, &file);
	if (!error) {
		snprintf(state.file, sizeof(state.file), "%s", file.name);
		state.is_listed = conflist_has_ours(text_span(&file.content));
	}
	file_fini(&file);
	if (error && error != -ENOENT)
		return say(why, "cannot look into", place->conf_dir, error);
	error = node_file_path(path, span_text(place->bin_dir), span_text(CNI_TYPE), "");
	if (error)
		return say(why, "cannot name", place->bin_dir, error);
	state.has_program = access(path, X_OK) == 0;
	*ret_state = state;
	return 0;
}
