#include "control/guests.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/load.h"
#include "control/state.h"

struct guest {
	struct list item;
	struct arena arena;     /* of its draft's texts */
	struct pod_draft draft; /* as in the source's list */
	void (*told)(void *owner, const char *error);
	void *owner;
	bool was_told;
};

void guests_init(struct guests *guests, struct control *control)
{
	list_init(&guests->list);
	control_source_add(control, &guests->source);
}

static void guest_free(struct guest *guest)
{
	list_remove(&guest->item);
	arena_fini(&guest->arena);
	mem_free(guest);
}

void guests_fini(struct guests *guests)
{
	list_each (&guests->list, item)
		guest_free(list_entry(item, struct guest, item));
	mem_free(guests->source.pods.items);
}

void guests_tell(struct guests *guests, const char *name, const char *error)
{
	list_each (&guests->list, item) {
		struct guest *guest = list_entry(item, struct guest, item);
		if (guest->was_told || (name && strcmp(guest->draft.name, name) != 0))
			continue;
		guest->was_told = true;
		guest->told(guest->owner, error); /* it may be dropped now */
	}
}

/* ---- is it right? ---- */

static void on_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	text_printf(faults_add(owner, line), "%s: %s", key, sentence);
}

/* The pod by itself, as if it were all that a config has. */
static int check_alone(const struct guest *guest, const struct control *control,
		       struct faults *faults)
{
	const struct build_options options = {.fault = on_fault, .fault_owner = faults};
	struct pod_draft pod = guest->draft;
	struct draft draft = {.settings = config_draft(control->config)->settings,
			      .pods = {.count = 1, .items = &pod}};
	struct snapshot *snapshot;
	int error = snapshot_build(&draft, &options, &snapshot);
	if (!error)
		snapshot_free(snapshot);
	return error;
}

static int read_spec(struct guest *guest, const struct control *control, struct span spec,
		     struct faults *faults)
{
	struct node *root;
	int error = tree_read(spec, &guest->arena, faults, &root);
	if (!error)
		error = draft_load_pod(root, &guest->arena, faults, &guest->draft);
	if (!error && faults->count > 0)
		error = -EINVAL;
	return error ? error : check_alone(guest, control, faults);
}

static const char *place_of(const struct pod_draft *pod)
{
	return *pod->netns_path ? pod->netns_path : pod->cgroup_path;
}

static int check_list(const struct pod_draft *pod, const struct draft_list *list, struct text *why)
{
	const struct pod_draft *others = list->items;
	for (uint32_t i = 0; i < list->count; i++) {
		if (strcmp(others[i].name, pod->name) == 0) {
			text_printf(why, "pod \"%s\" exists already", pod->name);
			return -EEXIST;
		}
		if (strcmp(place_of(&others[i]), place_of(pod)) == 0) {
			text_printf(why, "%s belongs to pod \"%s\" already", place_of(pod),
				    others[i].name);
			return -EEXIST;
		}
	}
	return 0;
}

static int check_among(const struct pod_draft *pod, const struct control *control, struct text *why)
{
	struct stat place;
	int error = check_list(pod, &config_draft(control->config)->pods, why);
	list_each (&control->sources, item) {
		if (!error)
			error = check_list(pod, &list_entry(item, struct source, item)->pods, why);
	}
	if (!error && stat(place_of(pod), &place)) {
		error = -errno;
		text_printf(why, "%s %s: %s", *pod->netns_path ? "netns" : "cgroup", place_of(pod),
			    strerror(-error));
	}
	return error;
}

/* ---- coming and going ---- */

static int make_room(struct guests *guests)
{
	struct draft_list *pods = &guests->source.pods;
	if (pods->count < guests->capacity)
		return 0;
	uint32_t capacity = guests->capacity ? 2 * guests->capacity : 4;
	struct pod_draft *items = mem_realloc(pods->items, capacity * sizeof(struct pod_draft));
	if (!items)
		return -ENOMEM;
	pods->items = items;
	guests->capacity = capacity;
	return 0;
}

/* There is room for all of them. */
static void list_drafts(struct guests *guests)
{
	struct draft_list *pods = &guests->source.pods;
	struct pod_draft *items = pods->items;
	pods->count = 0;
	list_each (&guests->list, item)
		items[pods->count++] = list_entry(item, struct guest, item)->draft;
}

static int guest_new(struct control *control, struct span spec, struct text *why,
		     struct guest **ret_guest)
{
	struct faults faults = {0};
	struct guest *guest = mem_zalloc(sizeof(*guest));
	if (!guest)
		return -ENOMEM;
	list_init(&guest->item);
	int error = read_spec(guest, control, spec, &faults);
	if (error == -EINVAL)
		faults_print(&faults, "pod", why);
	faults_fini(&faults);
	if (!error)
		error = check_among(&guest->draft, control, why);
	if (!error)
		error = make_room(&control->guests);
	if (error) {
		guest_free(guest);
		return error;
	}
	*ret_guest = guest;
	return 0;
}

int control_pod_add(struct control *control, struct span spec,
		    void (*told)(void *owner, const char *error), void *owner, struct text *why,
		    struct guest **ret_guest)
{
	struct guest *guest;
	if (control->is_draining) {
		text_add(why, span_text("weftd is draining"));
		return -ESHUTDOWN;
	}
	int error = guest_new(control, spec, why, &guest);
	if (error)
		return error;
	guest->told = told;
	guest->owner = owner;
	list_add_last(&control->guests.list, &guest->item);
	list_drafts(&control->guests);
	log_info("pod_added", "pod=%s %s=%s", guest->draft.name,
		 *guest->draft.netns_path ? "netns" : "cgroup", place_of(&guest->draft));
	control_sources_changed(control);
	*ret_guest = guest;
	return 0;
}

void control_pod_drop(struct control *control, struct guest *guest)
{
	log_info("pod_dropped", "pod=%s", guest->draft.name);
	guest_free(guest);
	list_drafts(&control->guests);
	control_sources_changed(control);
}
