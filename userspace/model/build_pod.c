/* One pod: its draft checked, then the pod of the snapshot before or a new one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/build.h"

static void fill_addresses(struct build *build, const struct pod_draft *draft, struct pod *pod)
{
	const struct draft_value *values = draft->addresses.items;
	static const struct weft_address none;
	for (uint32_t i = 0; i < draft->addresses.count; i++) {
		bool is_v4 = address_is_v4(&values[i].address);
		struct weft_address *local = is_v4 ? &pod->local4 : &pod->local6;
		if (address_is_any(&values[i].address))
			build_fault(build, values[i].line, "pods[].addresses[]",
				    "the unspecified address cannot be a pod's own");
		else if (!address_equal(local, &none))
			build_fault(build, values[i].line, "pods[].addresses[]",
				    "pod \"%s\" has a second %s address", draft->name,
				    is_v4 ? "IPv4" : "IPv6");
		else
			*local = values[i].address;
	}
}

static int compare_ports(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static int fill_ports(const struct draft_list *from, struct port_list *to)
{
	const struct draft_value *ports = from->items;
	if (from->count == 0)
		return 0;
	to->items = mem_alloc(from->count * sizeof(*to->items));
	if (!to->items)
		return -ENOMEM;
	to->count = from->count;
	for (uint32_t i = 0; i < from->count; i++)
		to->items[i] = (uint16_t)ports[i].number;
	qsort(to->items, to->count, sizeof(*to->items), compare_ports);
	return 0;
}

static int fill_all_ports(const struct pod_draft *draft, struct pod *pod)
{
	int error = fill_ports(&draft->skip_ports, &pod->skip_ports);
	if (!error)
		error = fill_ports(&draft->opaque_ports, &pod->opaque_ports);
	if (!error)
		error = fill_ports(&draft->http_ports, &pod->http_ports);
	return error;
}

static void check_protocols(struct build *build, const struct pod_draft *draft,
			    const struct pod *pod)
{
	for (uint32_t i = 0; i < pod->http_ports.count; i++) {
		uint16_t port = pod->http_ports.items[i];
		if (port_list_has(&pod->opaque_ports, port))
			build_fault(build, draft->line, "pods[].http_ports",
				    "port %u of pod \"%s\" stands in opaque_ports too", port,
				    draft->name);
	}
}

static int fill_cidrs(const struct pod_draft *draft, struct pod *pod)
{
	const struct draft_value *cidrs = draft->skip_cidrs.items;
	pod->skip_cidr_count = draft->skip_cidrs.count;
	if (pod->skip_cidr_count > 0) {
		/* Zeroed: compared as bytes, padding included. */
		pod->skip_cidrs = mem_zalloc(pod->skip_cidr_count * sizeof(*pod->skip_cidrs));
		if (!pod->skip_cidrs)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < pod->skip_cidr_count; i++) {
		pod->skip_cidrs[i].network = cidrs[i].address;
		pod->skip_cidrs[i].prefix = cidrs[i].prefix;
	}
	return 0;
}

static int copy_path(const char *path, char **ret_copy)
{
	if (!*path)
		return 0;
	*ret_copy = mem_text(path, strlen(path));
	return *ret_copy ? 0 : -ENOMEM;
}

static int fill(struct build *build, const struct pod_draft *draft, struct pod *pod)
{
	pod->on_proxy_death = draft->on_proxy_death;
	pod->shortcut = draft->shortcut;
	pod->captures_all = draft->captures_all;
	pod->trusts_dtabs = draft->trusts_dtabs;
	pod->holds_addresses = draft->holds_addresses;
	snprintf(pod->name, sizeof(pod->name), "%s", draft->name);
	if (!*draft->netns_path == !*draft->cgroup_path)
		build_fault(build, draft->line, "pods[]",
			    "pod \"%s\" needs exactly one of netns and cgroup, and has %s",
			    draft->name, *draft->netns_path ? "both" : "none");
	fill_addresses(build, draft, pod);
	int error = fill_all_ports(draft, pod);
	if (!error)
		check_protocols(build, draft, pod);
	if (!error)
		error = fill_cidrs(draft, pod);
	if (!error)
		error = copy_path(draft->netns_path, &pod->netns_path);
	if (!error)
		error = copy_path(draft->cgroup_path, &pod->cgroup_path);
	return error;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
	return size == 0 || memcmp(a, b, size) == 0;
}

static bool same_ports(const struct port_list *a, const struct port_list *b)
{
	return a->count == b->count && same_bytes(a->items, b->items, a->count * sizeof(*a->items));
}

static bool is_unchanged(const struct pod *pod, const struct pod *old)
{
	return pod->on_proxy_death == old->on_proxy_death && pod->shortcut == old->shortcut &&
	       pod->captures_all == old->captures_all && pod->trusts_dtabs == old->trusts_dtabs &&
	       address_equal(&pod->local4, &old->local4) &&
	       address_equal(&pod->local6, &old->local6) &&
	       same_text(pod->netns_path, old->netns_path) &&
	       same_text(pod->cgroup_path, old->cgroup_path) &&
	       same_ports(&pod->skip_ports, &old->skip_ports) &&
	       same_ports(&pod->opaque_ports, &old->opaque_ports) &&
	       same_ports(&pod->http_ports, &old->http_ports) &&
	       pod->skip_cidr_count == old->skip_cidr_count &&
	       same_bytes(pod->skip_cidrs, old->skip_cidrs,
			  pod->skip_cidr_count * sizeof(*pod->skip_cidrs));
}

int build_pod(struct build *build, const struct pod_draft *draft, struct pod **ret_pod)
{
	const struct build_options *options = build->options;
	uint32_t faults = build->faults;
	const struct pod *old = NULL;
	struct pod *pod = mem_zalloc(sizeof(*pod));
	if (!pod)
		return -ENOMEM;
	pod->users = 1;
	int error = fill(build, draft, pod);
	if (error || build->faults > faults) {
		pod_drop(pod);
		*ret_pod = NULL;
		return error;
	}
	if (options->previous)
		old = snapshot_pod_named(options->previous, span_text(draft->name));
	if (old && is_unchanged(pod, old)) {
		pod_drop(pod);
		*ret_pod = (struct pod *)pod_keep(old);
		return 0;
	}
	uint32_t known = build_known_id(options->known_pods, options->known_pod_count, pod->name);
	if (old)
		pod->id = old->id;
	else
		pod->id = known ? known : ids_take(&build->pod_ids);
	*ret_pod = pod;
	return 0;
}
