#include "control/discovery.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "cni/pending.h"
#include "control/annotations.h"
#include "control/catalog.h"
#include "control/kept.h"
#include "control/roster.h"
#include "control/state.h"
#include "kernel/sandbox.h"
#include "kube/kube.h"
#include "weft/limits.h"

/* While a pod's namespace is awaited; also how soon a pod that is gone is noticed. */
#define TICK_NS 250000000ull
/* How long a change may wait for the next ones, which are then read together. With the 10 ms of
 * control_sources_harm it is what a request may meet an endpoint that is gone. */
#define REST_NS 40000000ull

struct discovery {
	struct control *control;
	struct kube *kube;
	struct source source;
	struct catalog catalog;
	struct roster roster;
	struct ended_pods ended;
	struct timer tick;
	bool is_synced; /* every kind was listed once: nothing is built of half a cluster */
	bool is_built;  /* and a snapshot has it */
	char node[256];
	char zone[64];
	char pending_dir[PATH_MAX];
};

/* ---- drafts for a build ---- */

static struct discovery *of_source(struct source *source)
{
	return container_of(source, struct discovery, source);
}

static uint64_t limit_of(const struct discovery *discovery)
{
	return discovery->control->current->settings.service_endpoint_limit;
}

static void refresh(struct source *source)
{
	struct discovery *discovery = of_source(source);
	const struct kube_place place = {
		.node = discovery->node, .zone = discovery->zone, .ended = &discovery->ended};
	if (!discovery->is_synced)
		return;
	catalog_limit(&discovery->catalog, limit_of(discovery));
	catalog_refresh(&discovery->catalog, &place, &source->services);
	roster_list(&discovery->roster, &source->pods);
}

static bool is_recalled(const struct discovery *discovery)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_status status;
		kube_status(discovery->kube, (enum kube_kind)kind, &status);
		if (status.is_recalled)
			return true;
	}
	return false;
}

/* A pod that a file does not have may have come after it, and may be one that fails closed; a
 * destination that leads to no service would only refuse what passes without it. */
static void built(struct source *source, const struct snapshot *snapshot)
{
	struct discovery *discovery = of_source(source);
	if (!discovery->is_synced)
		return;
	catalog_built(&discovery->catalog, snapshot);
	discovery->is_built = true;
	control_release_destinations(discovery->control);
	if (!is_recalled(discovery))
		control_release_adopted(discovery->control);
	if (limit_of(discovery) != discovery->catalog.record_limit)
		control_sources_churn(discovery->control); /* the file has another one now */
}

/* ---- Events ---- */

static void make_event(struct discovery *discovery, const struct kube_object *object,
		       const char *reason, const char *message)
{
	const struct kube_note note = {
		.object = object,
		.reason = reason,
		.message = message,
		.now_s = (uint64_t)time(NULL),
	};
	int error = kube_tell(discovery->kube, &note);
	if (error)
		log_warn("event_not_made", "object=%s/%s error=\"%s\"", object->namespace,
			 object->name, strerror(-error));
}

static void tell(void *owner, const struct kube_object *object, const char *faults)
{
	make_event(owner, object, "BadAnnotation", faults);
}

/* The message names the limit and not the number, which changes: one Event, not many. */
static void on_left_out(void *owner, const struct kube_service *service, uint64_t records)
{
	struct discovery *discovery = owner;
	const struct kube_object *object = &service->object;
	char message[160];
	snprintf(message, sizeof(message),
		 "not meshed, served as without weft: it has more endpoints, times its TCP ports, "
		 "than limits.service_endpoints (%llu)",
		 (unsigned long long)discovery->catalog.record_limit);
	log_warn("service_left_out", "service=%s/%s endpoints=%llu limit=%llu", object->namespace,
		 object->name, (unsigned long long)records,
		 (unsigned long long)discovery->catalog.record_limit);
	make_event(discovery, object, "TooManyEndpoints", message);
}

/* What is wrong in a Service's annotations is told when it comes or changes. */
static void check_service(struct discovery *discovery, const struct kube_object *before,
			  const struct kube_object *after)
{
	struct text old = {0};
	struct text now = {0};
	if (before)
		annotations_check_service(before, &old);
	if (after)
		annotations_check_service(after, &now);
	if (now.size > 0 && !span_equal(text_span(&old), text_span(&now)))
		tell(discovery, after, now.data);
	text_fini(&old);
	text_fini(&now);
}

/* ---- what the API server tells ---- */

static void take_node(struct discovery *discovery, const struct kube_object *node)
{
	const char *zone = node ? kube_node_of(node)->zone : "";
	if (strcmp(discovery->zone, zone) == 0)
		return;
	snprintf(discovery->zone, sizeof(discovery->zone), "%s", zone);
	catalog_place_changed(&discovery->catalog);
}

/* How soon a build is due. */
enum due { DUE_NEVER, DUE_WITH_OTHERS, DUE_AT_ONCE };

static enum due due_if(bool is_changed)
{
	return is_changed ? DUE_WITH_OTHERS : DUE_NEVER;
}

static enum due take_pod(struct discovery *discovery, const struct kube_object *before,
			 const struct kube_object *after)
{
	bool is_changed = roster_pod_changed(&discovery->roster, before, after);
	if (!ended_note(&discovery->ended, before, after))
		return due_if(is_changed);
	bool does_harm = catalog_pod_ended(&discovery->catalog, after ? after : before);
	return does_harm ? DUE_AT_ONCE : DUE_WITH_OTHERS;
}

/* Both are told, whatever the first one says. */
static enum due take_namespace(struct discovery *discovery, const struct kube_object *before,
			       const struct kube_object *after)
{
	bool has_services = catalog_namespace_changed(&discovery->catalog, before, after);
	bool has_pods =
		roster_namespace_changed(&discovery->roster, (after ? after : before)->name);
	return due_if(has_services || has_pods);
}

static enum due take(struct discovery *discovery, const struct kube_object *before,
		     const struct kube_object *after)
{
	const struct kube_object *object = after ? after : before;
	assert(object); /* one of the two is there */
	switch ((enum kube_kind)object->kind) {
	case KUBE_PODS:
		return take_pod(discovery, before, after);
	case KUBE_NAMESPACES:
		return take_namespace(discovery, before, after);
	case KUBE_NODES:
		if (strcmp(object->name, discovery->node) == 0)
			take_node(discovery, after);
		return DUE_WITH_OTHERS;
	case KUBE_SERVICES:
		check_service(discovery, before, after);
		catalog_service_changed(&discovery->catalog, before, after);
		return DUE_WITH_OTHERS;
	case KUBE_SLICES:
		return catalog_slice_changed(&discovery->catalog, before, after) ? DUE_AT_ONCE
										 : DUE_WITH_OTHERS;
	case KUBE_KINDS:
		break;
	}
	return DUE_NEVER;
}

static void on_changed(void *owner, const struct kube_object *before,
		       const struct kube_object *after)
{
	struct discovery *discovery = owner;
	enum due due = take(discovery, before, after);
	if (due == DUE_NEVER || !discovery->is_synced)
		return;
	if (due == DUE_AT_ONCE)
		control_sources_harm(discovery->control);
	else
		control_sources_churn(discovery->control);
}

static bool all_are_synced(const struct discovery *discovery)
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_status status;
		kube_status(discovery->kube, (enum kube_kind)kind, &status);
		if (!status.is_synced)
			return false;
	}
	return true;
}

bool discovery_is_built(const struct discovery *discovery, struct text *why)
{
	if (discovery->is_built)
		return true;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_status status;
		kube_status(discovery->kube, (enum kube_kind)kind, &status);
		if (status.is_synced)
			continue;
		text_printf(why, "the API server has not listed %s yet%s%s",
			    kube_kind_name((enum kube_kind)kind), *status.last_fault ? ": " : "",
			    status.last_fault);
		return false;
	}
	text_printf(why, "what the API server told is not in force yet");
	return false;
}

static void on_synced(void *owner, enum kube_kind kind)
{
	struct discovery *discovery = owner;
	struct kube_status status;
	kube_status(discovery->kube, kind, &status);
	log_info("kubernetes_listed", "kind=%s objects=%llu", kube_kind_name(kind),
		 (unsigned long long)status.objects);
	discovery->is_synced = all_are_synced(discovery);
	if (discovery->is_synced)
		control_sources_churn(discovery->control);
}

static void on_recalled(void *owner)
{
	struct discovery *discovery = owner;
	discovery->is_synced = all_are_synced(discovery);
	control_sources_churn(discovery->control);
}

static const struct kube_events kube_events = {
	.changed = on_changed, .synced = on_synced, .recalled = on_recalled};

/* ---- what the catalog and the roster ask ---- */

/* A worker claims the service's place in the metric store when it is used first. */
static bool is_used(void *owner, const char *service)
{
	const struct discovery *discovery = owner;
	uint32_t slot;
	return series_find(discovery->control->options.series, span_text(service), span_text(""),
			   &slot);
}

static const struct kube_object *find_namespace(void *owner, const char *name)
{
	const struct discovery *discovery = owner;
	return kube_find(discovery->kube, KUBE_NAMESPACES, "", name);
}

static int find_netns(void *owner, const char *pod_uid, char *ret_path, struct text *why)
{
	const struct discovery *discovery = owner;
	const struct settings *settings = &discovery->control->current->settings;
	const struct sandbox_view view = {.proc = settings->proc_root};
	return sandbox_find(&view, pod_uid, ret_path, why);
}

/* ---- after memory was short: everything anew from the cache ---- */

static void add_again(void *owner, const struct kube_object *object)
{
	struct discovery *discovery = owner;
	(void)take(discovery, NULL, object);
}

/* Pods are only told again: no cache has who lives on without the API, or what the runtime said. */
static void begin_anew(struct discovery *discovery)
{
	catalog_fini(&discovery->catalog);
	discovery->source.services = (struct draft_list){0};
	discovery->roster.has_gaps = false;
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		kube_each(discovery->kube, (enum kube_kind)kind, add_again, discovery);
	control_sources_churn(discovery->control);
}

/* ---- pods that started while weftd was silent ---- */

/* What weft-cni would have asked (cni/ask.h). True: it needs no answer any more. */
static bool settle_pending(void *owner, struct span body)
{
	struct discovery *discovery = owner;
	struct text answer = {0};
	unsigned status = discovery_sandbox_added(discovery, body, &answer);
	text_fini(&answer);
	return status != 202;
}

static void on_tick(struct timer *timer)
{
	struct discovery *discovery = container_of(timer, struct discovery, tick);
	struct io_ring *ring = discovery->control->options.ring;
	if (timer_set(io_timers(ring), timer, io_now_ns(ring) + TICK_NS))
		log_error("discovery_tick_lost", "error=\"out of memory\"");
	if (discovery->catalog.has_gaps || discovery->roster.has_gaps)
		begin_anew(discovery);
	if (roster_tick(&discovery->roster))
		control_sources_churn(discovery->control);
	unsigned settled = pending_settle(discovery->pending_dir, settle_pending, discovery);
	if (settled)
		log_info("pending_settled", "pods=%u", settled);
}

/* ---- the container runtime ---- */

static const char *text_of(const cJSON *body, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);
	return cJSON_IsString(item) ? item->valuestring : "";
}

static void read_addresses(const cJSON *body, struct roster_sandbox *sandbox)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, "addresses"))
	{
		struct weft_address *to = &sandbox->addresses[sandbox->address_count];
		if (sandbox->address_count < array_count(sandbox->addresses) &&
		    cJSON_IsString(item) &&
		    address_parse_ip(span_text(item->valuestring), 0, to) == 0)
			sandbox->address_count++;
	}
}

/* The runtime speaks of paths as its own mount namespace has them. */
static bool read_sandbox(const struct discovery *discovery, const cJSON *body, char netns[256],
			 struct roster_sandbox *ret)
{
	const struct settings *settings = &discovery->control->current->settings;
	const char *path = text_of(body, "netns");
	*ret = (struct roster_sandbox){
		.namespace = text_of(body, "namespace"),
		.name = text_of(body, "pod"),
		.uid = text_of(body, "pod_uid"),
		.netns = netns,
	};
	read_addresses(body, ret);
	int size = snprintf(netns, 256, "%s/1/root%s", settings->proc_root, path);
	return *ret->namespace && *ret->name && *path == '/' && size < 256;
}

static unsigned answer_verdict(struct text *answer, unsigned status, const char *verdict,
			       const char *why)
{
	text_printf(answer, "{\"verdict\": \"%s\", \"why\": ", verdict);
	text_json_string(answer, span_text(why));
	text_add(answer, span_text("}\n"));
	return status;
}

unsigned discovery_sandbox_added(struct discovery *discovery, struct span body, struct text *answer)
{
	char netns[256];
	char name[WEFT_NAME_MAX];
	struct roster_sandbox sandbox;
	cJSON *json = cJSON_ParseWithLength(body.data, body.size);
	if (!json || !read_sandbox(discovery, json, netns, &sandbox)) {
		cJSON_Delete(json);
		return answer_verdict(answer, 400, "unknown",
				      "namespace, pod and netns are needed");
	}
	enum roster_verdict verdict = roster_sandbox_added(&discovery->roster, &sandbox, name);
	cJSON_Delete(json);
	if (verdict == ROSTER_UNKNOWN)
		return answer_verdict(answer, 202, "unknown", roster_verdict_text(verdict));
	if (verdict != ROSTER_MESHED)
		return answer_verdict(answer, 200, "not_meshed", roster_verdict_text(verdict));
	if (pods_is_captured(discovery->control, name))
		return answer_verdict(answer, 200, "captured", "");
	control_sources_harm(discovery->control);
	return answer_verdict(answer, 202, "opening", "its listeners are being opened");
}

unsigned discovery_sandbox_removed(struct discovery *discovery, struct span body,
				   struct text *answer)
{
	char netns[256];
	char name[WEFT_NAME_MAX];
	struct roster_sandbox sandbox;
	cJSON *json = cJSON_ParseWithLength(body.data, body.size);
	bool is_whole = json && read_sandbox(discovery, json, netns, &sandbox);
	if (is_whole && roster_sandbox_removed(&discovery->roster, &sandbox, name)) {
		pods_cut(discovery->control, name);
		control_sources_harm(discovery->control);
	}
	cJSON_Delete(json);
	text_add(answer, span_text("{}\n"));
	return is_whole ? 200 : 400;
}

/* ---- shown ---- */

static void watch_json(const struct discovery *discovery, enum kube_kind kind, struct text *json)
{
	struct kube_status status;
	kube_status(discovery->kube, kind, &status);
	text_printf(json,
		    "\"%s\":{\"state\":\"%s\",\"is_synced\":%s,\"is_recalled\":%s,"
		    "\"objects\":%llu,\"lists\":%llu,\"watches\":%llu,\"changes\":%llu,\"byte_age_"
		    "seconds\":%.3f,"
		    "\"sync_age_seconds\":%.3f,\"stale_seconds\":%.3f,\"faults\":{",
		    kube_kind_name(kind), kube_watch_state_name(status.state),
		    status.is_synced ? "true" : "false", status.is_recalled ? "true" : "false",
		    (unsigned long long)status.objects, (unsigned long long)status.lists,
		    (unsigned long long)status.watches, (unsigned long long)status.changes,
		    status.byte_age_s, status.sync_age_s, status.stale_s);
	const char *comma = "";
	for (int fault = 0; fault < KUBE_FAULTS; fault++) {
		if (status.faults[fault] == 0)
			continue;
		text_printf(json, "%s\"%s\":%llu", comma, kube_fault_name((enum kube_fault)fault),
			    (unsigned long long)status.faults[fault]);
		comma = ",";
	}
	text_add(json, span_text("},\"last_fault\":"));
	text_json_string(json, span_text(status.last_fault));
	text_add(json, span_text("}"));
}

const char *discovery_node(const struct discovery *discovery)
{
	return discovery->node;
}

struct pods_page {
	struct text *json;
	bool has_one;
};

static void pod_json(void *owner, const char *name, enum roster_verdict verdict, const char *faults,
		     const char *problem)
{
	struct pods_page *page = owner;
	text_printf(page->json, "%s{\"name\":", page->has_one ? "," : "");
	text_json_string(page->json, span_text(name));
	text_printf(page->json,
		    ",\"is_meshed\":%s,\"why\":", verdict == ROSTER_MESHED ? "true" : "false");
	text_json_string(page->json, span_text(roster_verdict_text(verdict)));
	text_add(page->json, span_text(",\"annotation_faults\":"));
	text_json_string(page->json, span_trim(span_text(faults)));
	text_add(page->json, span_text(",\"problem\":"));
	text_json_string(page->json, span_text(problem));
	text_add(page->json, span_text("}"));
	page->has_one = true;
}

static void left_out_json(void *owner, const char *namespace, const char *name, uint64_t records)
{
	struct pods_page *page = owner;
	char full[WEFT_NAME_MAX];
	snprintf(full, sizeof(full), "%s/%s", namespace, name);
	text_printf(page->json, "%s{\"name\":", page->has_one ? "," : "");
	text_json_string(page->json, span_text(full));
	text_printf(page->json, ",\"endpoints\":%llu}", (unsigned long long)records);
	page->has_one = true;
}

void discovery_json(const struct discovery *discovery, struct text *json)
{
	struct pods_page page = {.json = json};
	text_add(json, span_text("{\"enabled\":true,\"node\":"));
	text_json_string(json, span_text(discovery->node));
	text_add(json, span_text(",\"zone\":"));
	text_json_string(json, span_text(discovery->zone));
	text_add(json, span_text(",\"watches\":{"));
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		text_add(json, span_text(kind ? "," : ""));
		watch_json(discovery, (enum kube_kind)kind, json);
	}
	text_add(json, span_text("},\"known\":"));
	kept_json(discovery->kube, json);
	text_add(json, span_text(",\"pods\":["));
	roster_each(&discovery->roster, pod_json, &page);
	page.has_one = false;
	text_printf(json, "],\"service_endpoint_limit\":%llu,\"services_left_out\":[",
		    (unsigned long long)discovery->catalog.record_limit);
	catalog_each_left_out(&discovery->catalog, left_out_json, &page);
	text_add(json, span_text("]}"));
}

static void head(struct text *page, const char *name, const char *type, const char *help)
{
	text_printf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void each_watch(const struct discovery *discovery, struct text *page, const char *name,
		       double (*value)(const struct kube_status *status))
{
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_status status;
		kube_status(discovery->kube, (enum kube_kind)kind, &status);
		text_printf(page, "%s{kind=\"%s\"} %.15g\n", name,
			    kube_kind_name((enum kube_kind)kind), value(&status));
	}
}

static double objects_of(const struct kube_status *status)
{
	return (double)status->objects;
}

static double lists_of(const struct kube_status *status)
{
	return (double)status->lists;
}

static double changes_of(const struct kube_status *status)
{
	return (double)status->changes;
}

static double byte_age_of(const struct kube_status *status)
{
	return status->byte_age_s;
}

static double stale_of(const struct kube_status *status)
{
	return status->stale_s;
}

static void faults_metrics(const struct discovery *discovery, struct text *page)
{
	static const char name[] = "weft_kubernetes_watch_faults_total";
	head(page, name, "counter", "Why watches ended or objects were not understood.");
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_status status;
		kube_status(discovery->kube, (enum kube_kind)kind, &status);
		for (int fault = 0; fault < KUBE_FAULTS; fault++)
			text_printf(page, "%s{kind=\"%s\",reason=\"%s\"} %llu\n", name,
				    kube_kind_name((enum kube_kind)kind),
				    kube_fault_name((enum kube_fault)fault),
				    (unsigned long long)status.faults[fault]);
	}
}

void discovery_metrics(const struct discovery *discovery, struct text *page)
{
	static const struct {
		const char *name, *type, *help;
		double (*value)(const struct kube_status *status);
	} rows[] = {
		{"weft_kubernetes_objects", "gauge", "Objects of the API that are known.",
		 objects_of},
		{"weft_kubernetes_lists_total", "counter", "Complete lists that were read.",
		 lists_of},
		{"weft_kubernetes_changes_total", "counter", "Changes told by watches.",
		 changes_of},
		{"weft_kubernetes_watch_age_seconds", "gauge",
		 "Since the last byte of the API server; -1 before the first.", byte_age_of},
		{"weft_kubernetes_stale_seconds", "gauge",
		 "For how long the last known state serves without news; 0 = it is fresh.",
		 stale_of},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		head(page, rows[i].name, rows[i].type, rows[i].help);
		each_watch(discovery, page, rows[i].name, rows[i].value);
	}
	kept_metrics(discovery->kube, page);
	faults_metrics(discovery, page);
	head(page, "weft_kubernetes_services_left_out", "gauge",
	     "Services that are not meshed, for they exceed limits.service_endpoints.");
	text_printf(page, "weft_kubernetes_services_left_out %u\n",
		    discovery->catalog.left_out_count);
}

/* ---- life ---- */

static int find_node(const struct settings *settings, char node[256], struct text *why)
{
	const char *name = settings->kube_node;
	if (!*name)
		name = getenv("WEFT_NODE_NAME");
	if (!name || !*name) {
		text_printf(why,
			    "kubernetes.node is empty and the environment has no "
			    "WEFT_NODE_NAME: weftd must know which node it runs on\n");
		return -EINVAL;
	}
	snprintf(node, 256, "%s", name);
	return 0;
}

/* Beside weftd's socket, where weft-cni files them. */
static void name_pending_dir(struct discovery *discovery, const char *socket)
{
	const char *slash = strrchr(socket, '/');
	snprintf(discovery->pending_dir, sizeof(discovery->pending_dir), "%.*s/pending",
		 slash ? (int)(slash - socket) : 0, socket);
}

static int kube_begin(struct discovery *discovery, struct wire_loop *loop, struct text *why)
{
	static const char *const keep[] = {"weft.io/", NULL};
	const struct settings *settings = &discovery->control->current->settings;
	const char *socket = settings->control_socket;
	char known_file[PATH_MAX];
	int size = snprintf(known_file, sizeof(known_file), "%s" WEFT_KNOWN, socket);
	const struct kube_options options = {
		.loop = loop,
		.seed = io_now_ns(loop->ring),
		.url = *settings->kube_api ? settings->kube_api : NULL,
		.node = discovery->node,
		.keep = keep,
		.rest_ns = REST_NS,
		.known_file = *socket && size < PATH_MAX ? known_file : NULL,
		.events = &kube_events,
		.owner = discovery,
	};
	return kube_open(&options, why, &discovery->kube);
}

static void discovery_free(struct discovery *discovery)
{
	catalog_fini(&discovery->catalog);
	roster_fini(&discovery->roster);
	mem_free(discovery);
}

int discovery_open(struct control *control, struct wire_loop *loop, struct text *why,
		   struct discovery **ret_discovery)
{
	struct discovery *discovery = mem_zalloc(sizeof(*discovery));
	const struct settings *settings = &control->current->settings;
	if (!discovery)
		return -ENOMEM;
	const struct catalog_hooks services_hooks = {
		.owner = discovery,
		.find_namespace = find_namespace,
		.left_out = on_left_out,
		.is_used = is_used,
	};
	const struct roster_hooks hooks = {
		.owner = discovery,
		.find_namespace = find_namespace,
		.find_netns = find_netns,
		.tell = tell,
	};
	discovery->control = control;
	discovery->source.refresh = refresh;
	discovery->source.built = built;
	catalog_init(&discovery->catalog, &services_hooks);
	roster_init(&discovery->roster, &hooks);
	discovery->roster.on_proxy_death = settings->pod_on_proxy_death;
	timer_init(&discovery->tick, on_tick);
	name_pending_dir(discovery, settings->control_socket);
	int error = find_node(settings, discovery->node, why);
	if (!error)
		error = kube_begin(discovery, loop, why);
	if (!error)
		error = timer_set(io_timers(loop->ring), &discovery->tick,
				  io_now_ns(loop->ring) + TICK_NS);
	if (error) {
		kube_close(discovery->kube);
		discovery_free(discovery);
		return error;
	}
	control_place(control, discovery->node, discovery->zone);
	control_source_add(control, &discovery->source);
	*ret_discovery = discovery;
	return 0;
}

void discovery_keep(struct discovery *discovery)
{
	kube_keep(discovery->kube);
}

void discovery_keep_nothing(struct discovery *discovery)
{
	kube_keep_nothing(discovery->kube);
}

void discovery_close(struct discovery *discovery)
{
	if (!discovery)
		return;
	timer_clear(io_timers(discovery->control->options.ring), &discovery->tick);
	/* First: the ring turns while connections end, and a build would read freed objects. */
	control_source_remove(discovery->control, &discovery->source);
	control_place(discovery->control, NULL, NULL);
	kube_close(discovery->kube);
	discovery_free(discovery);
}
