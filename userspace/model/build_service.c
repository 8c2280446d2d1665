/* One service: its draft checked, then the service of the snapshot before or a new one. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/build.h"
#include "model/endpoint_set.h"
#include "model/shared.h"
#include "model/sticky.h"

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct weft_address));
}

static int compare_endpoint_addresses(const void *a, const void *b)
{
	const struct endpoint *x = *(const struct endpoint *const *)a;
	const struct endpoint *y = *(const struct endpoint *const *)b;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static int compare_endpoint_ids(const void *a, const void *b)
{
	uint32_t x = ((const struct endpoint *)a)->id;
	uint32_t y = ((const struct endpoint *)b)->id;
	return (x > y) - (x < y);
}

/* IPv4 224.0.0.0/4 (RFC 5771), IPv6 ff00::/8 (RFC 4291 2.7). */
static bool is_multicast(const struct weft_address *address)
{
	return address_is_v4(address) ? (address->ip[12] & 0xf0) == 0xe0 : address->ip[0] == 0xff;
}

static void check_ip(struct build *build, uint32_t line, const char *key,
		     const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	if (address_is_any(address))
		build_fault(build, line, key, "%s is no address that can be dialled",
			    address_print_ip(address, text));
	else if (is_multicast(address))
		build_fault(build, line, key, "%s is a multicast address",
			    address_print_ip(address, text));
}

/* Addresses × ports, sorted. */
static int fill_addresses(struct build *build, const struct service_draft *draft,
			  struct service *service)
{
	const struct draft_value *ips = draft->addresses.items;
	const struct draft_value *ports = draft->ports.items;
	uint32_t count = draft->addresses.count * draft->ports.count;
	if (count == 0)
		return 0;
	service->addresses = mem_alloc(count * sizeof(*service->addresses));
	if (!service->addresses)
		return -ENOMEM;
	for (uint32_t i = 0; i < draft->addresses.count; i++) {
		check_ip(build, ips[i].line, "services[].addresses[]", &ips[i].address);
		for (uint32_t j = 0; j < draft->ports.count; j++) {
			struct weft_address *to = &service->addresses[service->address_count++];
			*to = ips[i].address;
			to->port = htons((uint16_t)ports[j].number);
		}
	}
	qsort(service->addresses, count, sizeof(*service->addresses), compare_addresses);
	for (uint32_t i = 1; i < count; i++) {
		char text[ADDRESS_TEXT_MAX];
		if (address_equal(&service->addresses[i - 1], &service->addresses[i]))
			build_fault(build, draft->line, "services[]",
				    "service \"%s\" has the address %s twice", draft->name,
				    address_print(&service->addresses[i], text));
	}
	return 0;
}

static bool is_same_place(const char *one, const char *other)
{
	return one && other && *one && strcmp(one, other) == 0;
}

static const char *first_said(const char *one, const char *other)
{
	return one && *one ? one : other;
}

/* How near to this node. */
static uint8_t tier_of(const struct build *build, const struct endpoint_draft *draft)
{
	const struct settings *settings = &build->draft->settings;
	const char *node = first_said(settings->locality_node,
				      first_said(build->options->node, settings->kube_node));
	if (is_same_place(node, draft->node))
		return TIER_NODE;
	const char *zone = first_said(settings->locality_zone, build->options->zone);
	return is_same_place(zone, draft->zone) ? TIER_ZONE : TIER_FAR;
}

/* In the order of the draft, without ids. */
static int fill_endpoints(struct build *build, const struct service_draft *draft,
			  struct service *service)
{
	const struct endpoint_draft *drafts = draft->endpoints.items;
	uint32_t count = draft->endpoints.count;
	if (count == 0)
		return 0;
	service->endpoints = mem_zalloc(count * sizeof(*service->endpoints));
	if (!service->endpoints)
		return -ENOMEM;
	service->endpoint_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		check_ip(build, drafts[i].line, "services[].endpoints[].address",
			 &drafts[i].address);
		endpoint->id = ENDPOINT_ID_NONE;
		endpoint->address = drafts[i].address;
		endpoint->weight = drafts[i].weight;
		endpoint->is_destination = drafts[i].is_destination;
		endpoint->tier = tier_of(build, &drafts[i]);
		address_print(&endpoint->address, endpoint->text);
		service->ready_count += endpoint->weight > 0;
		service->weight_total += endpoint->weight;
	}
	return 0;
}

/* In the order of addresses; NULL = out of memory (or there are none). */
static const struct endpoint **endpoints_by_address(const struct service *service)
{
	uint32_t count = service->endpoint_count;
	const struct endpoint **sorted = mem_alloc(count * sizeof(struct endpoint *));
	if (!sorted)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &service->endpoints[i];
	qsort(sorted, count, sizeof(*sorted), compare_endpoint_addresses);
	return sorted;
}

static int check_endpoints(struct build *build, const struct service_draft *draft,
			   const struct service *service)
{
	if (service->endpoint_count < 2)
		return 0;
	const struct endpoint **sorted = endpoints_by_address(service);
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 1; i < service->endpoint_count; i++) {
		if (address_equal(&sorted[i - 1]->address, &sorted[i]->address))
			build_fault(build, draft->line, "services[].endpoints[].address",
				    "service \"%s\" has the endpoint %s twice", draft->name,
				    sorted[i]->text);
	}
	mem_free(sorted);
	return 0;
}

/* Endpoints that the service had before keep their id and slot. Returns how many did and have
 * their weight and tier of before too. One that gets a weight again begins as a new one. */
static int match_endpoints(const struct build *build, struct service *service,
			   const struct service *old, uint32_t *ret_unchanged)
{
	uint64_t now_ns = build->options->now_ns;
	*ret_unchanged = 0;
	if (old->endpoint_count == 0 || service->endpoint_count == 0)
		return 0;
	const struct endpoint **sorted = endpoints_by_address(old);
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		const struct endpoint **found =
			bsearch(&endpoint, sorted, old->endpoint_count, sizeof(*sorted),
				compare_endpoint_addresses);
		if (!found)
			continue;
		const struct endpoint *before = *found;
		endpoint->id = before->id;
		endpoint->series = series_kept(&before->series);
		endpoint->birth = before->birth;
		endpoint->ready_ns = before->weight > 0 ? before->ready_ns : now_ns;
		*ret_unchanged += before->weight == endpoint->weight &&
				  before->is_destination == endpoint->is_destination &&
				  before->tier == endpoint->tier;
	}
	mem_free(sorted);
	return 0;
}

/* A headless service has none. */
static bool has_same_addresses(const struct service *service, const struct service *old)
{
	size_t size = old->address_count * sizeof(*old->addresses);
	return service->address_count == old->address_count &&
	       (size == 0 || memcmp(service->addresses, old->addresses, size) == 0);
}

static bool has_same_balancing(const struct service *service, const struct service *old)
{
	const struct balancing *one = &service->balancing, *other = &old->balancing;
	return service->balancer == old->balancer && one->hash_on == other->hash_on &&
	       one->locality == other->locality && one->slow_start_ns == other->slow_start_ns &&
	       one->near_limit == other->near_limit && one->panic_percent == other->panic_percent &&
	       strcmp(service->hash_name, old->hash_name) == 0 &&
	       strcmp(service->sticky.cookie, old->sticky.cookie) == 0 &&
	       memcmp(&service->sticky.key, &old->sticky.key, sizeof(old->sticky.key)) == 0;
}

static bool is_unchanged(const struct service *service, const struct service *old,
			 uint32_t unchanged_endpoints)
{
	return service->protocol == old->protocol && has_same_balancing(service, old) &&
	       service->shortcut == old->shortcut &&
	       service->shortcut_window == old->shortcut_window &&
	       strcmp(service->rate_header, old->rate_header) == 0 &&
	       memcmp(&service->resilience, &old->resilience, sizeof(old->resilience)) == 0 &&
	       service->balances_endpoints == old->balances_endpoints &&
	       service->trusts_dtabs == old->trusts_dtabs &&
	       service->may_be_left_out == old->may_be_left_out &&
	       service->standing == old->standing && has_same_addresses(service, old) &&
	       service->endpoint_count == old->endpoint_count &&
	       unchanged_endpoints == old->endpoint_count;
}

static void give_ids(struct build *build, struct service *service, const struct service *old)
{
	const struct build_options *options = build->options;
	if (old) {
		service->id = old->id;
		service->birth = old->birth;
		service->series = series_kept(&old->series);
	} else {
		uint32_t known = build_known_id(options->known_services,
						options->known_service_count, service->name);
		/* Every known id was held from the start, so it can be nobody else's. */
		service->id = known ? known : ids_take(&build->service_ids);
		service->series = SERIES_UNCLAIMED;
		service->birth = build_birth(build);
	}
	service->version = build_birth(build);
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		struct endpoint *endpoint = &service->endpoints[i];
		if (endpoint->id != ENDPOINT_ID_NONE)
			continue;
		endpoint->id = ids_take(&build->endpoint_ids);
		endpoint->birth = build_birth(build);
		endpoint->ready_ns = old ? options->now_ns : 0;
		endpoint->series = SERIES_UNCLAIMED;
	}
	if (service->endpoint_count > 0)
		qsort(service->endpoints, service->endpoint_count, sizeof(*service->endpoints),
		      compare_endpoint_ids);
}

static bool lacks_hash_name(const struct service_draft *draft)
{
	enum hash_on on = draft->balancing.hash_on;
	return draft->balancer == BALANCER_HASH && (on == HASH_ON_HEADER || on == HASH_ON_COOKIE) &&
	       (!draft->hash_name || !*draft->hash_name);
}

/* A range the wrong way round. Constant waits have no longest one. */
static void check_backoff(struct build *build, const struct service_draft *draft, const char *key,
			  const struct backoff_rule *rule)
{
	if (rule->kind != BACKOFF_CONSTANT && rule->most_ns < rule->least_ns)
		build_fault(build, draft->line, key,
			    "service \"%s\": the longest wait, %llu ms, is shorter than "
			    "backoff_least, %llu ms",
			    draft->name, (unsigned long long)(rule->most_ns / 1000000),
			    (unsigned long long)(rule->least_ns / 1000000));
}

static int fill(struct build *build, const struct service_draft *draft, struct service *service)
{
	service->protocol = draft->protocol;
	service->balancer = draft->balancer;
	service->balancing = draft->balancing;
	snprintf(service->hash_name, sizeof(service->hash_name), "%s",
		 draft->hash_name ? draft->hash_name : "");
	snprintf(service->sticky.cookie, sizeof(service->sticky.cookie), "%s",
		 draft->sticky_cookie ? draft->sticky_cookie : "");
	if (*service->sticky.cookie)
		service->sticky.key = sticky_key(build->draft->settings.sticky_secret);
	service->shortcut = draft->shortcut;
	service->shortcut_window = draft->shortcut_window;
	service->resilience = draft->resilience;
	snprintf(service->rate_header, sizeof(service->rate_header), "%s",
		 draft->rate_header ? draft->rate_header : "");
	if (draft->resilience.limit.rate_by == RATE_BY_HEADER && !*service->rate_header)
		build_fault(build, draft->line, "services[].limits.rate_header",
			    "service \"%s\" has a rate by header and does not name the header",
			    draft->name);
	check_backoff(build, draft, "services[].retries.backoff_most",
		      &draft->resilience.retry.backoff);
	check_backoff(build, draft, "services[].breaker.backoff_most",
		      &draft->resilience.breaker.backoff);
	service->balances_endpoints = draft->balances_endpoints;
	service->trusts_dtabs = draft->trusts_dtabs;
	service->may_be_left_out = draft->may_be_left_out;
	service->standing = draft->standing;
	snprintf(service->name, sizeof(service->name), "%s", draft->name);
	if (lacks_hash_name(draft))
		build_fault(build, draft->line, "services[].hash_name",
			    "service \"%s\" balances by a header or cookie and does not name it",
			    draft->name);
	int error = fill_addresses(build, draft, service);
	if (!error)
		error = fill_endpoints(build, draft, service);
	if (!error)
		error = check_endpoints(build, draft, service);
	return error;
}

int build_service(struct build *build, const struct service_draft *draft,
		  struct service **ret_service)
{
	uint32_t faults = build->faults;
	uint32_t unchanged = 0;
	struct service *old = NULL;
	struct service *service = mem_zalloc(sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->users = 1;
	int error = fill(build, draft, service);
	if (error || build->faults > faults) {
		service_drop(service);
		*ret_service = NULL;
		return error;
	}
	if (build->options->previous)
		old = (struct service *)snapshot_service_named(build->options->previous,
							       span_text(draft->name));
	if (old)
		error = match_endpoints(build, service, old, &unchanged);
	if (error || (old && is_unchanged(service, old, unchanged))) {
		service_drop(service);
		*ret_service = error ? NULL : service_keep(old);
		return error;
	}
	give_ids(build, service, old);
	error = endpoint_sets_fill(service);
	if (!error)
		error = sticky_fill(service);
	if (error)
		service_drop(service);
	*ret_service = error ? NULL : service;
	return error;
}
