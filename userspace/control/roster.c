#include "control/roster.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/annotations.h"

#define NETNS_PATH_MAX 256
/* A search reads all cgroups. So many fail in a row, then there is one in so many ticks. */
#define SEARCHES_EAGER 8
#define SEARCH_TICKS   16

struct roster_pod {
	struct hash_item item;
	char *namespace;
	char *short_name;
	const struct kube_pod *pod; /* NULL: not told yet, or not any more */
	char uid[64];
	char name[WEFT_NAME_MAX];
	enum roster_verdict verdict;
	char netns[NETNS_PATH_MAX]; /* "" = not found yet */
	bool has_ended;    /* the runtime is removing the sandbox, whatever still runs in it */
	unsigned searches; /* for the namespace, in vain, since something changed */
	struct draft_value addresses[2];
	uint32_t address_count;
	struct arena arena; /* what the draft's lists lie in */
	struct pod_draft draft;
	struct text faults;
	struct text problem; /* why there is no namespace */
};

/* ---- judging ---- */

/* Containers that other meshes put beside the app: two proxies would take each other's dials. */
static bool has_other_mesh(const struct kube_pod *pod)
{
	static const char *const proxies[] = {"istio-proxy", "linkerd-proxy", "consul-dataplane",
					      "kuma-sidecar", "osm-envoy"};
	for (uint16_t i = 0; i < pod->container_count; i++) {
		for (size_t j = 0; j < array_count(proxies); j++) {
			if (strcmp(pod->containers[i].name, proxies[j]) == 0)
				return true;
		}
	}
	return false;
}

static bool label_is(const struct kube_object *object, const char *value)
{
	const char *label = object ? kube_label(object, LABEL_MESH) : NULL;
	return label && strcmp(label, value) == 0;
}

enum roster_verdict roster_judge(const struct kube_pod *pod, const struct kube_object *namespace)
{
	if (label_is(&pod->object, "disabled"))
		return ROSTER_DISABLED;
	bool is_enabled = label_is(&pod->object, "enabled");
	if (!is_enabled && !namespace)
		return ROSTER_UNKNOWN;
	if (!is_enabled && label_is(namespace, "disabled"))
		return ROSTER_DISABLED;
	if (!is_enabled && !label_is(namespace, "enabled"))
		return ROSTER_NOT_LABELLED;
	if (pod->host_network)
		return ROSTER_HOST_NETWORK;
	if (has_other_mesh(pod))
		return ROSTER_OTHER_MESH;
	if (pod->phase == KUBE_SUCCEEDED || pod->phase == KUBE_FAILED)
		return ROSTER_FINISHED;
	return ROSTER_MESHED;
}

const char *roster_verdict_text(enum roster_verdict verdict)
{
	switch (verdict) {
	case ROSTER_MESHED:
		return "meshed";
	case ROSTER_NOT_LABELLED:
		return "neither the pod nor its namespace is labelled weft.io/mesh: enabled";
	case ROSTER_DISABLED:
		return "weft.io/mesh: disabled";
	case ROSTER_HOST_NETWORK:
		return "it shares the node's network (hostNetwork), where weft captures nothing";
	case ROSTER_OTHER_MESH:
		return "it has another mesh's proxy as a sidecar";
	case ROSTER_FINISHED:
		return "it has finished";
	case ROSTER_UNKNOWN:
		return "the API server has not told of it yet";
	}
	return "";
}

/* ---- pods by name ---- */

void roster_init(struct roster *roster, const struct roster_hooks *hooks)
{
	*roster = (struct roster){.hooks = *hooks};
}

static uint32_t pod_hash(const char *namespace, const char *name)
{
	return hash_text(span_text(name), hash_text(span_text(namespace), 0));
}

static struct roster_pod *find(const struct roster *roster, const char *namespace, const char *name)
{
	struct hash_item *item = hash_first(&roster->pods, pod_hash(namespace, name));
	for (; item; item = hash_next(item)) {
		struct roster_pod *pod = hash_entry(item, struct roster_pod, item);
		if (strcmp(pod->short_name, name) == 0 && strcmp(pod->namespace, namespace) == 0)
			return pod;
	}
	return NULL;
}

static void pod_free(struct roster_pod *pod)
{
	mem_free(pod->namespace);
	mem_free(pod->short_name);
	arena_fini(&pod->arena);
	text_fini(&pod->faults);
	text_fini(&pod->problem);
	mem_free(pod);
}

/* "namespace/name"; a pair that is too long ends in its hash. */
static void name_pod(struct roster_pod *pod)
{
	int size = snprintf(pod->name, sizeof(pod->name), "%s/%s", pod->namespace, pod->short_name);
	if (size >= (int)sizeof(pod->name))
		snprintf(pod->name + sizeof(pod->name) - 10, 10, "~%08x",
			 pod_hash(pod->namespace, pod->short_name));
}

/* For one pod more, so that roster_list never lacks memory. */
static int drafts_make_room(struct roster *roster)
{
	if (roster->pods.count < roster->capacity)
		return 0;
	uint32_t capacity = roster->capacity ? 2 * roster->capacity : 16;
	struct pod_draft *drafts = mem_realloc(roster->drafts, capacity * sizeof(*roster->drafts));
	if (!drafts)
		return -ENOMEM;
	roster->drafts = drafts;
	roster->capacity = capacity;
	return 0;
}

static struct roster_pod *get(struct roster *roster, const char *namespace, const char *name)
{
	struct roster_pod *pod = find(roster, namespace, name);
	if (pod)
		return pod;
	if (drafts_make_room(roster))
		return NULL;
	pod = mem_zalloc(sizeof(*pod));
	if (!pod)
		return NULL;
	pod->verdict = ROSTER_UNKNOWN;
	pod->namespace = mem_text(namespace, strlen(namespace));
	pod->short_name = mem_text(name, strlen(name));
	if (!pod->namespace || !pod->short_name ||
	    hash_add(&roster->pods, &pod->item, pod_hash(namespace, name))) {
		pod_free(pod);
		return NULL;
	}
	name_pod(pod);
	return pod;
}

static void forget(struct roster *roster, struct roster_pod *pod)
{
	hash_remove(&roster->pods, &pod->item);
	pod_free(pod);
}

/* Another pod under the same name: what was known of the sandbox was the other's. */
static void take_uid(struct roster_pod *pod, const char *uid)
{
	if (strcmp(pod->uid, uid) == 0)
		return;
	snprintf(pod->uid, sizeof(pod->uid), "%s", uid);
	pod->netns[0] = '\0';
	pod->has_ended = false;
	pod->address_count = 0;
	text_clear(&pod->problem);
}

static bool is_listed(const struct roster_pod *pod)
{
	return pod->verdict == ROSTER_MESHED && pod->netns[0] && pod->address_count > 0;
}

/* ---- one pod's draft ---- */

/* One of each family, the first: a pod has no more. */
static void add_address(struct roster_pod *pod, const struct weft_address *address)
{
	for (uint32_t i = 0; i < pod->address_count; i++) {
		if (address_is_v4(&pod->addresses[i].address) == address_is_v4(address))
			return;
	}
	if (pod->address_count < array_count(pod->addresses))
		pod->addresses[pod->address_count++].address = *address;
}

static void take_addresses(struct roster_pod *pod)
{
	if (!pod->pod || pod->pod->ip_count == 0)
		return; /* what the runtime told holds until the API knows */
	pod->address_count = 0;
	for (uint16_t i = 0; i < pod->pod->ip_count; i++)
		add_address(pod, &pod->pod->ips[i]);
}

static void tell_faults(struct roster *roster, const struct roster_pod *pod,
			const struct text *before)
{
	if (pod->faults.size == 0 || span_equal(text_span(before), text_span(&pod->faults)))
		return;
	log_warn("bad_annotation", "pod=%s faults=\"%.*s\"", pod->name,
		 SPAN_PRINT(span_trim(text_span(&pod->faults))));
	roster->hooks.tell(roster->hooks.owner, &pod->pod->object, pod->faults.data);
}

static void read_annotations(struct roster *roster, struct roster_pod *pod)
{
	struct text before = pod->faults;
	const struct kube_object *namespace =
		roster->hooks.find_namespace(roster->hooks.owner, pod->namespace);
	arena_fini(&pod->arena);
	pod->faults = (struct text){0};
	pod->draft = (struct pod_draft){
		.on_proxy_death = roster->on_proxy_death,
		.name = pod->name,
		.netns_path = pod->netns,
		.cgroup_path = "",
		.may_be_left_out = true,
		.holds_addresses = true,
	};
	if (annotations_read(&pod->pod->object, namespace, &pod->arena, &pod->draft, &pod->faults))
		roster->has_gaps = true;
	tell_faults(roster, pod, &before);
	text_fini(&before);
}

static void find_netns(struct roster *roster, struct roster_pod *pod)
{
	if (pod->netns[0] || pod->has_ended)
		return;
	text_clear(&pod->problem);
	pod->searches++;
	if (roster->hooks.find_netns(roster->hooks.owner, pod->uid, pod->netns, &pod->problem))
		pod->netns[0] = '\0';
	else
		text_clear(&pod->problem);
}

static void find_netns_again(struct roster *roster, struct roster_pod *pod)
{
	if (pod->searches < SEARCHES_EAGER || roster->ticks % SEARCH_TICKS == 0)
		find_netns(roster, pod);
}

/* True: its draft has changed, has come or has gone. */
static bool judge(struct roster *roster, struct roster_pod *pod)
{
	bool was_listed = is_listed(pod);
	if (!pod->pod)
		return false;
	const struct kube_object *namespace =
		roster->hooks.find_namespace(roster->hooks.owner, pod->namespace);
	pod->verdict = roster_judge(pod->pod, namespace);
	if (pod->verdict == ROSTER_MESHED) {
		take_addresses(pod);
		find_netns(roster, pod);
		read_annotations(roster, pod);
	}
	return was_listed || is_listed(pod);
}

/* ---- what is told ---- */

static bool pod_deleted(struct roster *roster, const struct kube_object *object)
{
	struct roster_pod *pod = find(roster, object->namespace, object->name);
	if (!pod || pod->pod != kube_pod_of(object))
		return false;
	pod->pod = NULL;
	if (is_listed(pod))
		return false; /* as long as its sandbox lives, it stays captured */
	forget(roster, pod);
	return false;
}

bool roster_pod_changed(struct roster *roster, const struct kube_object *before,
			const struct kube_object *after)
{
	assert(before || after);
	if (!after)
		return pod_deleted(roster, before);
	struct roster_pod *pod = get(roster, after->namespace, after->name);
	if (!pod) {
		roster->has_gaps = true;
		return false;
	}
	bool was_listed = is_listed(pod);
	take_uid(pod, after->uid);
	pod->pod = kube_pod_of(after);
	pod->searches = 0;
	return judge(roster, pod) || was_listed;
}

bool roster_namespace_changed(struct roster *roster, const char *namespace)
{
	bool is_due = false;
	hash_each(&roster->pods, item)
	{
		struct roster_pod *pod = hash_entry(item, struct roster_pod, item);
		if (strcmp(pod->namespace, namespace) == 0)
			is_due |= judge(roster, pod);
	}
	return is_due;
}

static bool has_vanished(const struct roster_pod *pod)
{
	struct stat place;
	return pod->netns[0] && stat(pod->netns, &place) && errno == ENOENT;
}

bool roster_tick(struct roster *roster)
{
	bool is_due = false;
	roster->ticks++;
	hash_each(&roster->pods, item)
	{
		struct roster_pod *pod = hash_entry(item, struct roster_pod, item);
		bool was_listed = is_listed(pod);
		if (has_vanished(pod)) {
			pod->netns[0] = '\0';
			pod->searches = 0;
		}
		if (pod->pod && pod->verdict == ROSTER_MESHED)
			find_netns_again(roster, pod); /* a sandbox may be made anew */
		is_due |= was_listed != is_listed(pod);
		if (!pod->pod && !pod->netns[0])
			forget(roster, pod);
	}
	return is_due;
}

enum roster_verdict roster_sandbox_added(struct roster *roster,
					 const struct roster_sandbox *sandbox,
					 char ret_name[WEFT_NAME_MAX])
{
	struct roster_pod *pod = find(roster, sandbox->namespace, sandbox->name);
	if (!pod || !pod->pod || strcmp(pod->uid, sandbox->uid) != 0)
		return ROSTER_UNKNOWN;
	if (pod->verdict != ROSTER_MESHED)
		return pod->verdict;
	snprintf(pod->netns, sizeof(pod->netns), "%s", sandbox->netns);
	pod->has_ended = false;
	pod->address_count = 0;
	for (uint32_t i = 0; i < sandbox->address_count; i++)
		add_address(pod, &sandbox->addresses[i]);
	take_addresses(pod);
	text_clear(&pod->problem);
	memcpy(ret_name, pod->name, sizeof(pod->name));
	return ROSTER_MESHED;
}

bool roster_sandbox_removed(struct roster *roster, const struct roster_sandbox *sandbox,
			    char ret_name[WEFT_NAME_MAX])
{
	struct roster_pod *pod = find(roster, sandbox->namespace, sandbox->name);
	if (!pod || strcmp(pod->uid, sandbox->uid) != 0 || !pod->netns[0])
		return false;
	bool is_due = is_listed(pod);
	memcpy(ret_name, pod->name, sizeof(pod->name));
	pod->netns[0] = '\0';
	pod->has_ended = true;
	pod->address_count = 0;
	if (!pod->pod)
		forget(roster, pod);
	return is_due;
}

/* ---- drafts ---- */

void roster_list(struct roster *roster, struct draft_list *ret)
{
	uint32_t count = 0;
	hash_each(&roster->pods, item)
	{
		struct roster_pod *pod = hash_entry(item, struct roster_pod, item);
		if (!is_listed(pod))
			continue;
		pod->draft.addresses =
			(struct draft_list){.count = pod->address_count, .items = pod->addresses};
		roster->drafts[count++] = pod->draft;
	}
	*ret = (struct draft_list){.count = count, .items = roster->drafts};
}

void roster_each(const struct roster *roster,
		 void (*each)(void *owner, const char *name, enum roster_verdict verdict,
			      const char *faults, const char *problem),
		 void *owner)
{
	hash_each(&roster->pods, item)
	{
		const struct roster_pod *pod = hash_entry(item, struct roster_pod, item);
		each(owner, pod->name, pod->verdict, pod->faults.data ? pod->faults.data : "",
		     pod->problem.data ? pod->problem.data : "");
	}
}

void roster_fini(struct roster *roster)
{
	hash_each(&roster->pods, item) pod_free(hash_entry(item, struct roster_pod, item));
	hash_fini(&roster->pods);
	mem_free(roster->drafts);
	roster_init(roster, &roster->hooks);
}
