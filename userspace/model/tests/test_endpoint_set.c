/* What balancers draw from, and what the builder says of endpoints for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/builder.h"
#include "model/endpoint_set.h"
#include "model/keys.h"
#include "model/ring.h"
#include "model/sticky.h"

#define MOST 16

struct plan {
	struct draft draft;
	struct service_draft service;
	struct draft_value ip, port;
	struct endpoint_draft endpoints[MOST];
	char faults[512];
	const char *node, *zone; /* as the cluster says them */
};

static struct plan plan;
static struct snapshot *current;

static int fresh(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	keys_set_defaults(NULL, &plan.draft);
	plan.ip.address.ip[15] = 9;
	plan.ip.address.ip[12] = 10;
	plan.ip.address.ip[10] = plan.ip.address.ip[11] = 0xff;
	plan.port.number = 80;
	plan.service = (struct service_draft){
		.name = "web",
		.addresses = {1, &plan.ip},
		.ports = {1, &plan.port},
		.endpoints = {.items = plan.endpoints},
	};
	plan.draft.services = (struct draft_list){1, &plan.service};
	current = NULL;
	return 0;
}

static int drop(void **state)
{
	(void)state;
	snapshot_free(current);
	return 0;
}

static struct endpoint_draft *add(uint8_t number, uint32_t weight)
{
	struct endpoint_draft *endpoint = &plan.endpoints[plan.service.endpoints.count++];
	*endpoint = (struct endpoint_draft){.weight = weight, .address = plan.ip.address};
	endpoint->address.ip[14] = 1;
	endpoint->address.ip[15] = number;
	endpoint->address.port = 80;
	return endpoint;
}

static void on_fault(void *owner, uint32_t line, const char *key, const char *sentence)
{
	(void)owner;
	(void)line;
	snprintf(plan.faults, sizeof(plan.faults), "%s: %s", key, sentence);
}

static int try_build(uint64_t now_ns)
{
	struct build_options options = {.previous = current,
					.now_ns = now_ns,
					.fault = on_fault,
					.node = plan.node,
					.zone = plan.zone};
	struct snapshot *next;
	int error = snapshot_build(&plan.draft, &options, &next);
	if (error)
		return error;
	snapshot_free(current);
	current = next;
	return 0;
}

static const struct service *build(uint64_t now_ns)
{
	assert_int_equal(try_build(now_ns), 0);
	return current->services[0];
}

static const struct endpoint *numbered(const struct service *service, uint8_t number)
{
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		if (service->endpoints[i].address.ip[15] == number)
			return &service->endpoints[i];
	}
	return NULL;
}

/* ---- sets ---- */

static void equal_weights_need_no_table(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 5; i++)
		add(i, 3);
	const struct endpoint_set *set = &build(1)->sets[TIER_ALL];
	assert_int_equal(set->count, 5);
	assert_true(set->has_equal_weights);
	assert_null(set->items);
	assert_null(set->sums);
	for (uint64_t point = 0; point < 15; point++)
		assert_int_equal(endpoint_set_at(set, point), point / 3);
	assert_int_equal(current->services[0]->sets[TIER_FAR].count, 0);
}

static void each_has_as_many_points_as_its_weight(void **state)
{
	static const uint32_t weights[] = {4, 1, 0, 7, 0, 2};
	uint32_t counts[6] = {0};
	(void)state;
	for (uint8_t i = 0; i < 6; i++)
		add(i, weights[i]);
	const struct service *service = build(1);
	const struct endpoint_set *set = &service->sets[TIER_ALL];
	assert_int_equal(set->count, 4);
	assert_int_equal(set->weight_total, 14);
	for (uint64_t point = 0; point < 14; point++)
		counts[endpoint_set_index(set, endpoint_set_at(set, point))]++;
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(counts[i], service->endpoints[i].weight);
}

static void a_set_of_each_tier(void **state)
{
	(void)state;
	plan.draft.settings.locality_node = (char *)"n1";
	plan.draft.settings.locality_zone = (char *)"z1";
	plan.service.balancing.locality = LOCALITY_NEAR;
	add(0, 1)->node = "n1";
	add(1, 1)->zone = "z1";
	add(2, 1)->zone = "z2";
	add(3, 1)->zone = "";
	add(4, 2)->zone = "z1";
	plan.endpoints[0].zone = "z1";
	const struct service *service = build(1);
	assert_int_equal(service->sets[TIER_ALL].count, 5);
	assert_int_equal(service->sets[TIER_NODE].count, 1);
	assert_int_equal(service->sets[TIER_ZONE].count, 2);
	assert_false(service->sets[TIER_ZONE].has_equal_weights);
	assert_int_equal(service->sets[TIER_FAR].count, 2);
	assert_int_equal(numbered(service, 0)->tier, TIER_NODE);
	assert_int_equal(numbered(service, 3)->tier, TIER_FAR);
}

/* What the config says of the place goes before it. */
static void where_we_are_may_be_the_clusters_word(void **state)
{
	(void)state;
	plan.node = "n1";
	plan.zone = "z1";
	plan.draft.settings.kube_node = (char *)"n2";
	add(0, 1)->node = "n1";
	add(1, 1)->zone = "z1";
	add(2, 1)->node = "n2";
	assert_int_equal(numbered(build(1), 0)->tier, TIER_NODE);
	assert_int_equal(numbered(build(1), 1)->tier, TIER_ZONE);
	assert_int_equal(numbered(build(1), 2)->tier, TIER_FAR);
	plan.zone = "z2"; /* the Node got another label */
	assert_int_equal(numbered(build(2), 1)->tier, TIER_FAR);
	plan.draft.settings.locality_node = (char *)"n2";
	plan.draft.settings.locality_zone = (char *)"z1";
	assert_int_equal(numbered(build(3), 0)->tier, TIER_FAR);
	assert_int_equal(numbered(build(3), 1)->tier, TIER_ZONE);
	assert_int_equal(numbered(build(3), 2)->tier, TIER_NODE);
}

static void nothing_is_near_when_nobody_says_where_we_are(void **state)
{
	(void)state;
	add(0, 1)->node = "";
	plan.endpoints[0].zone = "";
	assert_int_equal(numbered(build(1), 0)->tier, TIER_FAR);
}

/* ---- ring ---- */

static void a_ring_is_sorted_and_in_proportion(void **state)
{
	uint32_t counts[3] = {0};
	(void)state;
	plan.service.balancer = BALANCER_CLIENT_IP;
	add(0, 1);
	add(1, 2);
	add(2, 3);
	const struct service *service = build(1);
	assert_in_range(service->ring_count, 3 * 160 - 3, 3 * 160);
	for (uint32_t i = 0; i < service->ring_count; i++) {
		assert_true(i == 0 || service->ring[i] >> 32 >= service->ring[i - 1] >> 32);
		counts[ring_index(service, i)]++;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(counts[i], 80 * service->endpoints[i].weight);
}

static void a_hash_finds_the_next_point(void **state)
{
	(void)state;
	plan.service.balancer = BALANCER_CLIENT_IP;
	for (uint8_t i = 0; i < 10; i++)
		add(i, 1);
	const struct service *service = build(1);
	for (uint32_t i = 0; i < service->ring_count; i++) {
		uint64_t point = service->ring[i] >> 32 << 32;
		assert_int_equal(service->ring[ring_find(service, point)] >> 32, point >> 32);
		assert_true(service->ring[ring_find(service, point + (1ull << 32))] >> 32 > point >>
				    32 ||
			    i + 1 == service->ring_count);
	}
	assert_int_equal(ring_find(service, UINT64_MAX), 0);
	assert_int_equal(ring_find(service, 0), 0);
}

static void a_hash_of_a_header_names_it(void **state)
{
	(void)state;
	add(0, 1);
	plan.service.balancer = BALANCER_HASH;
	plan.service.balancing.hash_on = HASH_ON_HEADER;
	assert_int_equal(try_build(1), -EINVAL);
	assert_string_equal(plan.faults,
			    "services[].hash_name: service \"web\" balances by a header or cookie "
			    "and does not name it");
	plan.service.hash_name = "x-user";
	assert_string_equal(build(1)->hash_name, "x-user");
}

static void a_rate_by_header_names_it(void **state)
{
	(void)state;
	add(0, 1);
	plan.service.resilience.limit.rate_by = RATE_BY_HEADER;
	assert_int_equal(try_build(1), -EINVAL);
	assert_string_equal(plan.faults,
			    "services[].limits.rate_header: service \"web\" has a rate by header "
			    "and does not name the header");
	plan.service.rate_header = "x-key";
	assert_string_equal(build(1)->rate_header, "x-key");
}

/* ---- stickiness ---- */

static void a_token_finds_its_endpoint_and_shows_no_address(void **state)
{
	char text[STICKY_TEXT], other[STICKY_TEXT];
	uint64_t token;
	(void)state;
	plan.service.sticky_cookie = "stick";
	for (uint8_t i = 0; i < 9; i++)
		add(i, 1);
	const struct service *service = build(1);
	for (uint32_t i = 0; i < 9; i++) {
		sticky_print(sticky_token(service, &service->endpoints[i]), text);
		assert_true(sticky_parse(span_text(text), &token));
		assert_ptr_equal(sticky_find(service, token), &service->endpoints[i]);
	}
	assert_null(sticky_find(service, token + 1));
	plan.draft.settings.sticky_secret = (char *)"another";
	service = build(2);
	sticky_print(sticky_token(service, &service->endpoints[8]), other);
	assert_string_not_equal(text, other);
	assert_null(sticky_find(service, token));
}

static void what_is_no_token_is_refused(void **state)
{
	static const char *const wrong[] = {"",
					    "0",
					    "0123456789abcde",
					    "0123456789abcdef0",
					    "0123456789ABCDEF",
					    "0123456789abcdeg"};
	uint64_t token;
	(void)state;
	for (size_t i = 0; i < array_count(wrong); i++)
		assert_false(sticky_parse(span_text(wrong[i]), &token));
}

/* ---- identity and age ---- */

static void an_endpoint_that_stays_keeps_its_birth(void **state)
{
	(void)state;
	add(0, 1);
	add(1, 1);
	const struct service *service = build(1);
	uint32_t first = numbered(service, 0)->birth, second = numbered(service, 1)->birth;
	uint32_t birth = service->birth, version = service->version;
	assert_int_not_equal(first, 0);
	assert_int_not_equal(first, second);
	assert_ptr_equal(build(2), service); /* unchanged: the same */
	plan.endpoints[0].weight = 5;
	service = build(3);
	assert_int_equal(numbered(service, 0)->birth, first);
	assert_int_equal(service->birth, birth);
	assert_int_not_equal(service->version, version);
	plan.service.endpoints.count = 1;
	build(4);
	plan.service.endpoints.count = 2;
	service = build(5);
	assert_int_equal(numbered(service, 0)->birth, first);
	assert_int_not_equal(numbered(service, 1)->birth, second);
}

static void an_endpoint_is_as_old_as_its_weight(void **state)
{
	(void)state;
	add(0, 1);
	add(1, 0);
	const struct service *service = build(1000);
	assert_int_equal(numbered(service, 0)->ready_ns, 0); /* with its service */
	plan.endpoints[1].weight = 1;
	add(2, 1);
	service = build(2000);
	assert_int_equal(numbered(service, 0)->ready_ns, 0);
	assert_int_equal(numbered(service, 1)->ready_ns, 2000);
	assert_int_equal(numbered(service, 2)->ready_ns, 2000);
	plan.endpoints[0].weight = 3;
	service = build(3000);
	assert_int_equal(numbered(service, 0)->ready_ns, 0);
	assert_int_equal(numbered(service, 2)->ready_ns, 2000);
}

static void every_key_of_balancing_makes_a_new_version(void **state)
{
	(void)state;
	add(0, 1);
	plan.service.balancer = BALANCER_HASH;
	uint32_t version = build(1)->version;
	for (int key = 0; key < 9; key++) {
		struct balancing *balancing = &plan.service.balancing;
		balancing->slow_start_ns += key == 0;
		balancing->near_limit += key == 1;
		balancing->panic_percent += key == 2;
		if (key == 3)
			balancing->locality = LOCALITY_NEAR;
		if (key == 4)
			balancing->hash_on = HASH_ON_PATH;
		if (key == 5)
			plan.service.hash_name = "other";
		if (key == 6)
			plan.service.balancer = BALANCER_LEAST;
		if (key == 7)
			plan.service.sticky_cookie = "stick";
		if (key == 8)
			plan.draft.settings.sticky_secret = (char *)"secret";
		assert_int_not_equal(build(1)->version, version);
		version = build(1)->version;
	}
}

static void memory_may_fail_anywhere(void **state)
{
	(void)state;
	plan.service.balancer = BALANCER_HASH;
	plan.service.balancing.locality = LOCALITY_NEAR;
	plan.service.sticky_cookie = "stick";
	for (uint8_t i = 0; i < 8; i++)
		add(i, i);
	build(1);
	long before = mem_live();
	for (unsigned long n = 1;; n++) {
		plan.endpoints[1].weight = (uint32_t)n + 20;
		struct build_options options = {.previous = current};
		struct snapshot *next;
		mem_fail_nth(n);
		int error = snapshot_build(&plan.draft, &options, &next);
		mem_fail_nth(0);
		if (!error) {
			snapshot_free(next);
			assert_true(n > 10);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(mem_live(), before);
	}
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, fresh, drop)
	const struct CMUnitTest tests[] = {
		test(equal_weights_need_no_table),
		test(each_has_as_many_points_as_its_weight),
		test(a_set_of_each_tier),
		test(where_we_are_may_be_the_clusters_word),
		test(nothing_is_near_when_nobody_says_where_we_are),
		test(a_ring_is_sorted_and_in_proportion),
		test(a_hash_finds_the_next_point),
		test(a_hash_of_a_header_names_it),
		test(a_token_finds_its_endpoint_and_shows_no_address),
		test(what_is_no_token_is_refused),
		test(an_endpoint_that_stays_keeps_its_birth),
		test(an_endpoint_is_as_old_as_its_weight),
		test(every_key_of_balancing_makes_a_new_version),
		test(memory_may_fail_anywhere),
		test(a_rate_by_header_names_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
