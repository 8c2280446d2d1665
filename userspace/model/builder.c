#include "model/builder.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/build.h"
#include "model/index.h"
#include "model/shared.h"

#define ADDRESSES_MOST (1u << 20) /* addresses x ports of all services */
#define KNOWN_ID_MOST  (1u << 20) /* ids found in a map are only believed up to here */

void build_fault(struct build *build, uint32_t line, const char *key, const char *format, ...)
{
	char sentence[512];
	va_list args;
	const struct build_options *options = build->options;
	build->faults++;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (!build->optional && options->fault)
		options->fault(options->fault_owner, line, key, sentence);
	else if (build->optional && options->left_out)
		options->left_out(options->left_out_owner, build->optional, sentence);
}

static int compare_known(const void *name, const void *known)
{
	return strcmp(name, ((const struct known_id *)known)->name);
}

uint32_t build_known_id(const struct known_id *known, uint32_t count, const char *name)
{
	const struct known_id *found =
		count ? bsearch(name, known, count, sizeof(*known), compare_known) : NULL;
	return found && found->id < KNOWN_ID_MOST ? found->id : 0;
}

/* ---- no two of them may have the same name or path ---- */

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a;
	const struct named *y = b;
	int order = strcmp(x->text, y->text);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static void check_unique(struct build *build, struct named *list, uint32_t count, const char *key)
{
	if (count > 1)
		qsort(list, count, sizeof(*list), compare_named);
	for (uint32_t i = 1; i < count; i++) {
		if (!*list[i].text || strcmp(list[i - 1].text, list[i].text) != 0)
			continue;
		if (list[i - 1].line)
			build_fault(build, list[i].line, key,
				    "\"%s\" stands in line %u already; each may stand only once",
				    list[i].text, list[i - 1].line);
		else
			build_fault(build, list[i].line, key,
				    "\"%s\" is in use by one that was added at run time",
				    list[i].text);
	}
}

static void check_name(struct build *build, uint32_t line, const char *key, const char *name)
{
	size_t size = strlen(name);
	if (size == 0 || size >= WEFT_NAME_MAX)
		build_fault(build, line, key, "a name has 1 to %d bytes, this one %zu",
			    WEFT_NAME_MAX - 1, size);
}

/* Only of services that must be right: the others give way, one by one. */
static uint32_t list_services(struct build *build, struct named *list)
{
	const struct service_draft *services = build->draft->services.items;
	uint32_t count = 0;
	for (uint32_t i = 0; i < build->draft->services.count; i++) {
		if (services[i].may_be_left_out)
			continue;
		check_name(build, services[i].line, "services[].name", services[i].name);
		list[count++] = (struct named){services[i].name, services[i].line};
	}
	check_unique(build, list, count, "services[].name");
	return count;
}

static const char *name_of(const struct pod_draft *pod)
{
	return pod->name;
}

static const char *netns_of(const struct pod_draft *pod)
{
	return pod->netns_path;
}

static const char *cgroup_of(const struct pod_draft *pod)
{
	return pod->cgroup_path;
}

/* Of pods that must be right, too. */
static void check_pods_by(struct build *build, struct named *list,
			  const char *(*text_of)(const struct pod_draft *pod), const char *key)
{
	const struct pod_draft *pods = build->draft->pods.items;
	uint32_t count = 0;
	for (uint32_t i = 0; i < build->draft->pods.count; i++) {
		if (!pods[i].may_be_left_out)
			list[count++] = (struct named){text_of(&pods[i]), pods[i].line};
	}
	check_unique(build, list, count, key);
}

static void check_pods(struct build *build, struct named *list)
{
	const struct pod_draft *pods = build->draft->pods.items;
	for (uint32_t i = 0; i < build->draft->pods.count; i++) {
		if (!pods[i].may_be_left_out)
			check_name(build, pods[i].line, "pods[].name", pods[i].name);
	}
	check_pods_by(build, list, name_of, "pods[].name");
	check_pods_by(build, list, netns_of, "pods[].netns");
	check_pods_by(build, list, cgroup_of, "pods[].cgroup");
}

static int check_names(struct build *build)
{
	struct named *pods = mem_alloc((build->draft->pods.count + 1) * sizeof(*pods));
	build->fixed = mem_alloc((build->draft->services.count + 1) * sizeof(*build->fixed));
	if (pods && build->fixed) {
		build->fixed_count = list_services(build, build->fixed);
		check_pods(build, pods);
	}
	bool has_room = pods && build->fixed;
	mem_free(pods);
	return has_room ? 0 : -ENOMEM;
}

static bool name_is_fixed(const struct build *build, const char *name)
{
	uint32_t low = 0;
	uint32_t high = build->fixed_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, build->fixed[middle].text);
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* ---- settings ---- */

static char *copy_text(const char *text)
{
	return mem_text(text ? text : "", text ? strlen(text) : 0);
}

static int copy_settings(struct build *build)
{
	const struct settings *from = &build->draft->settings;
	struct settings *to = &build->next->settings;
	*to = *from;
	to->admin_address = copy_text(from->admin_address);
	to->control_socket = copy_text(from->control_socket);
	to->pin_dir = copy_text(from->pin_dir);
	to->cgroup_root = copy_text(from->cgroup_root);
	to->kube_api = copy_text(from->kube_api);
	to->kube_node = copy_text(from->kube_node);
	to->proc_root = copy_text(from->proc_root);
	to->locality_node = copy_text(from->locality_node);
	to->locality_zone = copy_text(from->locality_zone);
	to->sticky_secret = copy_text(from->sticky_secret);
	to->log_level = copy_text(from->log_level);
	if (from->line_limit_bytes > from->head_limit_bytes)
		build_fault(build, 0, "limits.request_line_bytes",
			    "is larger than limits.header_bytes (%u), of which it is a part",
			    from->head_limit_bytes);
	bool is_complete = to->admin_address && to->control_socket && to->pin_dir &&
			   to->cgroup_root && to->kube_api && to->kube_node && to->proc_root &&
			   to->locality_node && to->locality_zone && to->sticky_secret &&
			   to->log_level;
	return is_complete ? 0 : -ENOMEM;
}

/* ---- ids that are taken from the start ---- */

static uint32_t known_limit(const struct known_id *known, uint32_t count, uint32_t limit)
{
	for (uint32_t i = 0; i < count; i++) {
		if (known[i].id < KNOWN_ID_MOST && known[i].id >= limit)
			limit = known[i].id + 1;
	}
	return limit;
}

static void hold_known(struct ids *ids, const struct known_id *known, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		ids_hold(ids, known[i].id);
}

static uint32_t count_endpoints(const struct draft *draft)
{
	const struct service_draft *services = draft->services.items;
	uint32_t count = 0;
	for (uint32_t i = 0; i < draft->services.count; i++)
		count += services[i].endpoints.count;
	return count;
}

static void hold_previous(struct build *build, const struct snapshot *previous)
{
	for (uint32_t id = 0; id < previous->service_id_limit; id++) {
		if (previous->service_by_id[id])
			ids_hold(&build->service_ids, id);
	}
	for (uint32_t i = 0; i < previous->pod_count; i++)
		ids_hold(&build->pod_ids, previous->pods[i]->id);
	build->service_ids.next = previous->service_id_next;
	build->pod_ids.next = previous->pod_id_next;
}

static int copy_endpoint_ids(const struct snapshot *previous, uint32_t more, struct ids *ret_ids)
{
	return ids_copy(ret_ids, &previous->endpoint_ids, previous->endpoint_count, more);
}

static int init_ids(struct build *build)
{
	static const struct snapshot nothing;
	const struct build_options *options = build->options;
	const struct draft *draft = build->draft;
	const struct snapshot *previous = options->previous ? options->previous : &nothing;
	uint32_t more = count_endpoints(draft);
	int error = ids_init(&build->service_ids, 1,
			     previous->service_count + options->known_service_count,
			     known_limit(options->known_services, options->known_service_count,
					 previous->service_id_limit),
			     draft->services.count);
	if (!error)
		error = copy_endpoint_ids(previous, more, &build->endpoint_ids);
	if (!error)
		error = copy_endpoint_ids(previous, more, &build->next->endpoint_ids);
	if (!error)
		error = ids_init(&build->pod_ids, 1, previous->pod_count + options->known_pod_count,
				 known_limit(options->known_pods, options->known_pod_count,
					     previous->pod_id_limit),
				 draft->pods.count);
	if (error)
		return error;
	hold_known(&build->service_ids, options->known_services, options->known_service_count);
	hold_known(&build->pod_ids, options->known_pods, options->known_pod_count);
	if (options->previous)
		hold_previous(build, options->previous);
	return 0;
}

/* ---- parts ---- */

static uint32_t line_of(const struct build *build, const char *name)
{
	const struct service_draft *drafts = build->draft->services.items;
	for (uint32_t i = 0; i < build->draft->services.count; i++) {
		if (strcmp(drafts[i].name, name) == 0)
			return drafts[i].line;
	}
	return 0;
}

/* Two services may not claim the same address: the kernel could not tell whose dial it is. */
static bool addresses_are_free(struct build *build, const struct service *service, uint32_t line)
{
	bool are_free = true;
	for (uint32_t i = 0; i < service->address_count; i++) {
		char text[ADDRESS_TEXT_MAX];
		const struct weft_address *address = &service->addresses[i];
		const struct service *holder = index_find(build->next->index, address);
		if (!holder)
			continue;
		are_free = false;
		build_fault(build, line, "services[].addresses",
			    "%s of service \"%s\" belongs to service \"%s\" (line %u) already",
			    address_print(address, text), service->name, holder->name,
			    line_of(build, holder->name));
	}
	return are_free;
}

static int take_service(struct build *build, const struct service_draft *draft,
			struct service **ret_service)
{
	const struct snapshot *previous = build->options->previous;
	if (draft->may_be_left_out && name_is_fixed(build, draft->name)) {
		build_fault(build, draft->line, "services[].name",
			    "\"%s\" is the name of a service of the config", draft->name);
		*ret_service = NULL;
		return 0;
	}
	if (!draft->same_id || !previous)
		return build_service(build, draft, ret_service);
	const struct service *same = snapshot_service(previous, draft->same_id);
	assert(same); /* whoever says so has seen it there */
	*ret_service = service_keep((struct service *)same);
	return 0;
}

static int build_one_service(struct build *build, const struct service_draft *draft)
{
	struct snapshot *next = build->next;
	struct service *service;
	uint32_t faults = build->faults;
	build->optional = draft->may_be_left_out ? draft->name : NULL;
	int error = take_service(build, draft, &service);
	if (!error && service && !addresses_are_free(build, service, draft->line)) {
		service_drop(service);
		service = NULL;
	}
	if (build->optional)
		build->faults = faults;
	build->optional = NULL;
	if (error || !service)
		return error;
	for (uint32_t i = 0; i < service->address_count; i++)
		index_claim(next->index, &service->addresses[i], service);
	next->services[next->service_count++] = service;
	return 0;
}

static int build_services(struct build *build)
{
	const struct service_draft *drafts = build->draft->services.items;
	struct snapshot *next = build->next;
	uint64_t address_count = 0;
	uint32_t count = build->draft->services.count;
	for (uint32_t i = 0; i < count; i++)
		address_count += (uint64_t)drafts[i].addresses.count * drafts[i].ports.count;
	if (address_count > ADDRESSES_MOST) {
		build_fault(build, 0, "services",
			    "all services together have more than %u addresses with ports",
			    ADDRESSES_MOST);
		return -EINVAL;
	}
	next->index = index_new((uint32_t)address_count);
	next->services = mem_zalloc((count + 1) * sizeof(struct service *));
	if (!next->index || !next->services)
		return -ENOMEM;
	int error = 0;
	for (uint32_t i = 0; !error && i < count; i++)
		error = build_one_service(build, &drafts[i]);
	return error;
}

static bool is_same_path(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* One with its name or place that was built already. */
static const struct pod *pod_in_the_way(const struct build *build, const struct pod *pod)
{
	for (uint32_t i = 0; i < build->next->pod_count; i++) {
		const struct pod *other = build->next->pods[i];
		if (strcmp(other->name, pod->name) == 0 ||
		    is_same_path(other->netns_path, pod->netns_path) ||
		    is_same_path(other->cgroup_path, pod->cgroup_path))
			return other;
	}
	return NULL;
}

static int build_optional_pod(struct build *build, const struct pod_draft *draft,
			      struct pod **ret_pod)
{
	uint32_t faults = build->faults;
	struct pod *pod = NULL;
	build->optional = draft->name;
	check_name(build, draft->line, "pods[].name", draft->name);
	int error = build->faults == faults ? build_pod(build, draft, &pod) : 0;
	const struct pod *other = pod ? pod_in_the_way(build, pod) : NULL;
	if (other) {
		build_fault(build, draft->line, "pods[]",
			    "pod \"%s\" has the name or the place of pod \"%s\"", draft->name,
			    other->name);
		pod_drop(pod);
		pod = NULL;
	}
	build->optional = NULL;
	build->faults = faults;
	*ret_pod = pod;
	return error;
}

static int build_pods_that(struct build *build, bool may_be_left_out)
{
	const struct pod_draft *drafts = build->draft->pods.items;
	struct snapshot *next = build->next;
	for (uint32_t i = 0; i < build->draft->pods.count; i++) {
		struct pod *pod = NULL;
		if (drafts[i].may_be_left_out != may_be_left_out)
			continue;
		int error = may_be_left_out ? build_optional_pod(build, &drafts[i], &pod)
					    : build_pod(build, &drafts[i], &pod);
		if (error)
			return error;
		if (pod)
			next->pods[next->pod_count++] = pod;
	}
	return 0;
}

/* Those that give way come last. */
static int build_pods(struct build *build)
{
	build->next->pods = mem_zalloc((build->draft->pods.count + 1) * sizeof(struct pod *));
	if (!build->next->pods)
		return -ENOMEM;
	int error = build_pods_that(build, false);
	return error ? error : build_pods_that(build, true);
}

static int compare_services(const void *a, const void *b)
{
	return strcmp((*(struct service *const *)a)->name, (*(struct service *const *)b)->name);
}

static int compare_pods(const void *a, const void *b)
{
	return strcmp((*(struct pod *const *)a)->name, (*(struct pod *const *)b)->name);
}

/* Those of a source are sorted already. */
static bool are_sorted(const struct snapshot *snapshot)
{
	for (uint32_t i = 1; i < snapshot->service_count; i++) {
		if (strcmp(snapshot->services[i - 1]->name, snapshot->services[i]->name) > 0)
			return false;
	}
	return true;
}

static void note_limits(struct build *build)
{
	struct snapshot *next = build->next;
	for (uint32_t i = 0; i < next->service_count; i++) {
		if (next->services[i]->id >= next->service_id_limit)
			next->service_id_limit = next->services[i]->id + 1;
	}
	for (uint32_t i = 0; i < next->pod_count; i++) {
		if (next->pods[i]->id >= next->pod_id_limit)
			next->pod_id_limit = next->pods[i]->id + 1;
	}
	next->service_id_next = build->service_ids.next;
	next->pod_id_next = build->pod_ids.next;
	next->births = build->births;
}

/* ---- endpoints' ids, from what differs between the two snapshots ---- */

static void release_endpoints(struct build *build, const struct service *service)
{
	build->next->endpoint_count -= service->endpoint_count;
	for (uint32_t i = 0; i < service->endpoint_count; i++)
		ids_release(&build->next->endpoint_ids, service->endpoints[i].id);
}

static void hold_endpoints(struct build *build, const struct service *service)
{
	struct snapshot *next = build->next;
	uint32_t count = service->endpoint_count;
	next->endpoint_count += count;
	for (uint32_t i = 0; i < count; i++)
		ids_hold(&next->endpoint_ids, service->endpoints[i].id);
	/* endpoints are sorted by id */
	if (count && service->endpoints[count - 1].id >= next->endpoint_id_limit)
		next->endpoint_id_limit = service->endpoints[count - 1].id + 1;
}

/* An endpoint's id stays with its service, so the order of services does not matter. */
static void note_endpoints(struct build *build)
{
	static const struct snapshot nothing;
	const struct snapshot *previous = build->options->previous;
	struct snapshot *next = build->next;
	if (!previous)
		previous = &nothing;
	next->endpoint_count = previous->endpoint_count;
	next->endpoint_id_limit = previous->endpoint_id_limit;
	for (uint32_t id = 0; id < previous->service_id_limit || id < next->service_id_limit;
	     id++) {
		const struct service *old = snapshot_service(previous, id);
		const struct service *new = snapshot_service(next, id);
		if (old && old != new)
			release_endpoints(build, old);
		if (new &&old != new)
			hold_endpoints(build, new);
	}
	next->endpoint_ids.next = build->endpoint_ids.next;
}

/* Services of the config are shown from the start. Of a cluster's a node uses few, which claim
 * when they are used first. */
static void claim_slot(const struct build *build, uint32_t *slot, const struct service *service,
		       const char *endpoint)
{
	const struct build_options *options = build->options;
	if (*slot == SERIES_UNCLAIMED && options->series)
		*slot = options->series(options->series_owner, span_text(service->name),
					span_text(endpoint), !service->may_be_left_out);
}

/* Last: what a refused snapshot claimed would not be given back at once. */
static void claim_series(const struct build *build)
{
	for (uint32_t i = 0; i < build->next->service_count; i++) {
		struct service *service = build->next->services[i];
		if (service->users > 1)
			continue; /* shared with the snapshot before, which claimed */
		claim_slot(build, &service->series, service, "");
		for (uint32_t j = 0; j < service->endpoint_count; j++)
			claim_slot(build, &service->endpoints[j].series, service,
				   service->endpoints[j].text);
	}
}

static int sort_out(struct build *build)
{
	struct snapshot *next = build->next;
	if (!are_sorted(next))
		qsort(next->services, next->service_count, sizeof(struct service *),
		      compare_services);
	qsort(next->pods, next->pod_count, sizeof(struct pod *), compare_pods);
	note_limits(build);
	next->service_by_id = mem_zalloc((next->service_id_limit + 1) * sizeof(struct service *));
	if (!next->service_by_id)
		return -ENOMEM;
	next->has_shortcut_on = next->settings.shortcut == WEFT_SHORTCUT_ON;
	for (uint32_t i = 0; i < next->service_count; i++) {
		next->service_by_id[next->services[i]->id] = next->services[i];
		next->has_shortcut_on |= next->services[i]->shortcut == WEFT_SHORTCUT_ON;
	}
	for (uint32_t i = 0; i < next->pod_count; i++)
		next->has_shortcut_on |= next->pods[i]->shortcut == WEFT_SHORTCUT_ON;
	int error = build_route_ids(build);
	if (error)
		return error;
	note_endpoints(build);
	claim_series(build);
	return 0;
}

static int build_all(struct build *build)
{
	int error = copy_settings(build);
	if (!error)
		error = check_names(build);
	if (!error)
		error = init_ids(build);
	if (!error)
		error = build_services(build);
	if (!error)
		error = build_pods(build);
	if (!error)
		error = build_routes(build);
	if (!error)
		error = build_naming(build);
	if (!error && build->faults > 0)
		error = -EINVAL;
	return error ? error : sort_out(build);
}

int snapshot_build(const struct draft *draft, const struct build_options *options,
		   struct snapshot **ret_snapshot)
{
	struct build build = {.draft = draft, .options = options};
	build.next = mem_zalloc(sizeof(*build.next));
	if (!build.next)
		return -ENOMEM;
	build.next->generation = options->previous ? options->previous->generation + 1 : 1;
	build.births = options->previous ? options->previous->births : 0;
	int error = build_all(&build);
	mem_free(build.fixed);
	ids_fini(&build.service_ids);
	ids_fini(&build.endpoint_ids);
	ids_fini(&build.pod_ids);
	if (error) {
		snapshot_free(build.next);
		return error;
	}
	*ret_snapshot = build.next;
	return 0;
}
