/*
 * A catalog, the Services and EndpointSlices that it was told of, and what it should make of them:
 * as text, from scratch. For test_catalog.c.
 */
#ifndef CONTROL_TESTS_CATALOG_STAGE_H
#define CONTROL_TESTS_CATALOG_STAGE_H

#include "control/catalog.h"

#include <stdio.h>

#include "base/rng.h"
#include "base/text.h"
#include "control/annotations.h"
#include "control/tests/cluster.h"
#include "model/builder.h"

#define SERVICES  6
#define SLICES    10
#define PORTS     3
#define ENDPOINTS 4
#define PODS      8

/* Objects in memory of their own, as the cache has them: what was replaced is freed. */
struct held_service {
	struct kube_service service;
	struct kube_service_port ports[PORTS];
	struct weft_address ip;
	struct kube_pair pairs[3]; /* the annotation of headless ones, then others */
};

struct held_slice {
	struct kube_slice slice;
	struct kube_slice_port ports[PORTS];
	struct kube_endpoint endpoints[ENDPOINTS];
};

static struct {
	struct catalog catalog;
	struct kube_place place;
	struct held_service *services[SERVICES];
	struct held_slice *slices[SLICES];
	struct rng rng;
	struct text before;           /* what the drafts were when they were built last */
	struct snapshot *snapshot;    /* that was built last */
	const char *config_name;      /* of a service of the config, NULL = there is none */
	struct kube_object namespace; /* "shop" */
	struct kube_pair said;        /* by its annotation; value NULL = it has none */
	const char *used;             /* name of the service that is used here; NULL = none */
	bool did_harm;                /* what the last change of a slice was said to do */
} world;

static const struct kube_object *find_namespace(void *owner, const char *name)
{
	(void)owner;
	return strcmp(name, "shop") == 0 ? &world.namespace : NULL;
}

static bool is_used(void *owner, const char *service)
{
	(void)owner;
	return world.used && strcmp(world.used, service) == 0;
}

static const struct catalog_hooks hooks = {.find_namespace = find_namespace, .is_used = is_used};

static const char *const names[] = {"a", "b", "c", "d", "e", "kubernetes"};
static const char *const slice_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const pod_ips[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
				      "10.0.0.5", "fd00::1",  "fd00::2",  "fd00::3"};
static const char *const cluster_ips[] = {"10.96.0.1", "10.96.0.2", "10.96.0.3",
					  "10.96.0.4", "10.96.0.5", "10.96.0.6"};
static const char *const port_names[] = {"http", "admin", "dns"};

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	catalog_init(&world.catalog, &hooks);
	world.namespace = object_of(KUBE_NAMESPACES, "", "shop");
	world.said.key = ANNOTATION_SHORTCUT;
	world.namespace.annotations = &world.said;
	world.place = (struct kube_place){.node = "n1", .zone = "z1"};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_fail_nth(0);
	catalog_fini(&world.catalog);
	snapshot_free(world.snapshot);
	text_fini(&world.before);
	for (unsigned i = 0; i < SERVICES; i++)
		mem_free(world.services[i]);
	for (unsigned i = 0; i < SLICES; i++)
		mem_free(world.slices[i]);
	return 0;
}

/* ---- changes ---- */

static struct held_service *new_service(unsigned at, unsigned port_count)
{
	struct held_service *held = mem_zalloc(sizeof(*held));
	assert_non_null(held);
	for (unsigned i = 0; i < PORTS; i++)
		held->ports[i] = service_port(port_names[i], (uint16_t)(80 + i));
	held->service = service_of(names[at], held->ports, (uint16_t)port_count);
	held->ip = ip_of(cluster_ips[at]);
	held->service.cluster_ips = &held->ip;
	held->service.ip_count = 1;
	held->service.object.created_s = 100;
	held->pairs[0] = (struct kube_pair){ANNOTATION_HEADLESS, "balance"};
	return held;
}

static void annotate(struct held_service *held, const char *key, const char *value)
{
	struct kube_object *object = &held->service.object;
	object->annotations = held->pairs;
	object->annotation_count += !object->annotation_count; /* that of headless ones */
	held->pairs[object->annotation_count++] = (struct kube_pair){key, value};
}

static void make_headless(struct held_service *held)
{
	held->service.is_headless = true;
	held->service.ip_count = 0;
}

/* NULL removes. */
static void put_service(unsigned at, struct held_service *after)
{
	struct held_service *before = world.services[at];
	world.services[at] = after;
	if (before || after)
		catalog_service_changed(&world.catalog, before ? &before->service.object : NULL,
					after ? &after->service.object : NULL);
	mem_free(before);
}

static struct held_slice *new_slice(unsigned at, const char *service)
{
	struct held_slice *held = mem_zalloc(sizeof(*held));
	assert_non_null(held);
	held->ports[0] = slice_port("http", 8080);
	held->slice = slice_of(slice_names[at], service, held->ports, 1, held->endpoints, 0);
	return held;
}

static struct kube_endpoint *add_endpoint(struct held_slice *held, const char *ip)
{
	struct kube_endpoint *endpoint = &held->endpoints[held->slice.endpoint_count++];
	*endpoint = endpoint_at(ip);
	return endpoint;
}

static void put_slice(unsigned at, struct held_slice *after)
{
	struct held_slice *before = world.slices[at];
	world.slices[at] = after;
	if (before || after)
		world.did_harm =
			catalog_slice_changed(&world.catalog, before ? &before->slice.object : NULL,
					      after ? &after->slice.object : NULL);
	mem_free(before);
}

/* NULL: nothing is said there. */
static bool say_in_namespace(const char *shortcut)
{
	struct kube_pair old = world.said;
	struct kube_object before = world.namespace;
	before.annotations = &old;
	world.said.value = shortcut;
	world.namespace.annotation_count = shortcut ? 1 : 0;
	return catalog_namespace_changed(&world.catalog, &before, &world.namespace);
}

/* ---- what ought to be ---- */

/* A service with one slice of one endpoint, as most cases begin. */
static void put_pair(unsigned at, bool is_headless, uint64_t created_s, const char *ip)
{
	struct held_service *service = new_service(at, 1);
	struct held_slice *slice = new_slice(at, names[at]);
	service->service.object.created_s = created_s;
	if (is_headless)
		make_headless(service);
	add_endpoint(slice, ip);
	put_service(at, service);
	put_slice(at, slice);
}

struct offer {
	const struct kube_service *service;
	const struct kube_service_port *port;
	struct endpoint_draft *endpoints;
	uint32_t count;
	char name[WEFT_NAME_MAX];
};

static bool is_beyond_limit(const struct kube_service *service,
			    const struct kube_slice *const *slices, uint32_t slice_count)
{
	uint64_t limit = world.catalog.record_limit;
	return limit && kube_service_record_count(service, slices, slice_count) > limit;
}

/* Every meshed port of every Service with its endpoints, but those that are too large. */
static unsigned offers_of_world(struct offer offers[SERVICES * PORTS])
{
	unsigned count = 0;
	for (unsigned i = 0; i < SERVICES; i++) {
		const struct held_service *held = world.services[i];
		const struct kube_slice *slices[SLICES];
		uint32_t slice_count = 0;
		if (!held || !kube_service_is_meshed(&held->service))
			continue;
		for (unsigned j = 0; j < SLICES; j++) {
			const struct held_slice *slice = world.slices[j];
			if (slice && strcmp(slice->slice.service, names[i]) == 0 &&
			    strcmp(slice->slice.object.namespace, held->service.object.namespace) ==
				    0)
				slices[slice_count++] = &slice->slice;
		}
		if (is_beyond_limit(&held->service, slices, slice_count))
			continue;
		for (unsigned j = 0; j < held->service.port_count; j++) {
			struct offer *offer = &offers[count];
			if (!kube_service_port_is_meshed(&held->ports[j]))
				continue;
			*offer = (struct offer){.service = &held->service, .port = &held->ports[j]};
			kube_service_name(offer->service, offer->port, offer->name);
			assert_int_equal(kube_service_endpoints(offer->service, offer->port, slices,
								slice_count, &world.place,
								&offer->endpoints, &offer->count),
					 0);
			count++;
		}
	}
	return count;
}

static bool has_endpoint(const struct offer *offer, const struct weft_address *address)
{
	for (uint32_t i = 0; i < offer->count; i++) {
		if (address_equal(&offer->endpoints[i].address, address))
			return true;
	}
	return false;
}

static bool is_preferred(const struct offer *a, const struct offer *b)
{
	if (a->service->is_headless != b->service->is_headless)
		return b->service->is_headless;
	if (a->service->object.created_s != b->service->object.created_s)
		return a->service->object.created_s < b->service->object.created_s;
	return strcmp(a->name, b->name) < 0;
}

static bool owns(const struct offer *offers, unsigned count, const struct offer *one,
		 const struct weft_address *address)
{
	for (unsigned i = 0; i < count; i++) {
		if (&offers[i] != one && has_endpoint(&offers[i], address) &&
		    is_preferred(&offers[i], one))
			return false;
	}
	return true;
}

/* NAME protocol balancer balances shortcut addresses : ENDPOINT/weight[!] …, ! = a destination. */
static void print_draft(struct text *text, const struct service_draft *draft)
{
	char address[ADDRESS_TEXT_MAX];
	const struct draft_value *ips = draft->addresses.items;
	const struct draft_value *ports = draft->ports.items;
	const struct endpoint_draft *endpoints = draft->endpoints.items;
	text_printf(text, "%s p%d b%d%s", draft->name, draft->protocol, draft->balancer,
		    draft->balances_endpoints ? " balanced" : "");
	if (draft->shortcut || draft->shortcut_window)
		text_printf(text, " s%d/%u", draft->shortcut, draft->shortcut_window);
	for (uint32_t i = 0; i < draft->addresses.count; i++)
		text_printf(text, " %s", address_print_ip(&ips[i].address, address));
	for (uint32_t i = 0; i < draft->ports.count; i++)
		text_printf(text, " %llu", (unsigned long long)ports[i].number);
	text_add(text, span_text(" :"));
	for (uint32_t i = 0; i < draft->endpoints.count; i++)
		text_printf(text, " %s/%u%s", address_print(&endpoints[i].address, address),
			    endpoints[i].weight, endpoints[i].is_destination ? "!" : "");
}

static void print_drafts(struct text *text, const struct draft_list *list)
{
	const struct service_draft *drafts = list->items;
	for (uint32_t i = 0; i < list->count; i++) {
		print_draft(text, &drafts[i]);
		text_add(text, span_text("\n"));
	}
}

static void print_offer(struct text *text, const struct offer *offers, unsigned count,
			const struct offer *offer)
{
	struct draft_value ip = {0};
	struct draft_value port = {.number = offer->port->number};
	for (uint32_t i = 0; i < offer->count; i++)
		offer->endpoints[i].is_destination =
			owns(offers, count, offer, &offer->endpoints[i].address);
	if (offer->service->ip_count)
		ip.address = offer->service->cluster_ips[0];
	const struct kube_object *object = &offer->service->object;
	const struct service_draft draft = {
		.shortcut = annotation_shortcut(object, find_namespace(NULL, object->namespace)),
		.shortcut_window = annotation_shortcut_window(object),
		.name = offer->name,
		.protocol = kube_service_protocol(offer->service, offer->port),
		.balancer = kube_service_balancer(offer->service),
		.balances_endpoints = kube_service_balances_endpoints(offer->service),
		.addresses = {.count = offer->service->ip_count, .items = &ip},
		.ports = {.count = 1, .items = &port},
		.endpoints = {.count = offer->count, .items = offer->endpoints},
	};
	print_draft(text, &draft);
}

static bool has_line(const struct text *text, struct span wanted)
{
	struct span rest = text_span(text);
	struct span line;
	while (span_split(&rest, '\n', &line)) {
		if (span_equal(line, wanted))
			return true;
	}
	return false;
}

static void check_order(const struct draft_list *list)
{
	const struct service_draft *drafts = list->items;
	for (uint32_t i = 1; i < list->count; i++)
		assert_true(strcmp(drafts[i - 1].name, drafts[i].name) < 0);
}

static void check_against_world(const struct draft_list *list)
{
	check_order(list);
	static struct offer offers[SERVICES * PORTS];
	unsigned count = offers_of_world(offers);
	struct text drafts = {0};
	print_drafts(&drafts, list);
	for (unsigned i = 0; i < count; i++) {
		struct text line = {0};
		print_offer(&line, offers, count, &offers[i]);
		if (!has_line(&drafts, text_span(&line)))
			fail_msg("missing: %.*s\nin:\n%.*s", SPAN_PRINT(text_span(&line)),
				 SPAN_PRINT(text_span(&drafts)));
		text_fini(&line);
	}
	for (unsigned i = 0; i < count; i++)
		mem_free(offers[i].endpoints);
	assert_int_equal(list->count, count);
	text_fini(&drafts);
}

/* What claims to be the same must have been there, the same, when the snapshot was built. */
static void check_sameness(const struct draft_list *list)
{
	const struct service_draft *drafts = list->items;
	for (uint32_t i = 0; i < list->count; i++) {
		struct text line = {0};
		print_draft(&line, &drafts[i]);
		if (drafts[i].same_id && !has_line(&world.before, text_span(&line)))
			fail_msg("not the same: %.*s\nin:\n%.*s", SPAN_PRINT(text_span(&line)),
				 SPAN_PRINT(text_span(&world.before)));
		text_fini(&line);
	}
}

static struct draft_list refresh(void)
{
	struct draft_list list;
	catalog_refresh(&world.catalog, &world.place, &list);
	check_against_world(&list);
	check_sameness(&list);
	return list;
}

/* Together with a service of the config, whose name or address may be one of the catalog's. */
static void build(const struct draft_list *list)
{
	struct service_draft drafts[SERVICES * PORTS + 1];
	struct draft draft = {.services = {.count = list->count, .items = drafts}};
	const struct build_options options = {.previous = world.snapshot};
	struct snapshot *next;
	if (list->count > 0)
		memcpy(drafts, list->items, list->count * sizeof(*drafts));
	if (world.config_name)
		drafts[draft.services.count++] = (struct service_draft){.name = world.config_name};
	assert_int_equal(snapshot_build(&draft, &options, &next), 0);
	snapshot_free(world.snapshot);
	world.snapshot = next;
	catalog_built(&world.catalog, next);
	text_clear(&world.before);
	print_drafts(&world.before, list);
}

/* In any order. */
static void expect(const char *lines)
{
	struct draft_list list = refresh();
	struct span rest = span_text(lines);
	struct span line;
	uint32_t count = 0;
	build(&list);
	while (span_split(&rest, '\n', &line)) {
		count += line.size > 0;
		if (line.size > 0 && !has_line(&world.before, line))
			fail_msg("missing: %.*s\nin:\n%.*s", SPAN_PRINT(line),
				 SPAN_PRINT(text_span(&world.before)));
	}
	assert_int_equal(list.count, count);
}

#endif
