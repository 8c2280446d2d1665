#include <stdio.h>

#include "base/mem.h"
#include "farm.h"
#include "model/sticky.h"
#include "policy/balance_key.h"

#define KEYS 20000

static uint32_t pick_for(struct farm *farm, uint64_t key)
{
	farm->keeps_key = true;
	farm->request.has_key = true;
	farm->request.key = key * 0x9e3779b97f4a7c15ull;
	return farm_index(farm, farm_pick(farm));
}

static void a_key_keeps_its_endpoint(void **state)
{
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_HASH, 10, NULL);
	for (uint64_t key = 0; key < 200; key++) {
		uint32_t first = pick_for(&farm, key);
		struct balance_attempt attempt = farm_begin(&farm, first);
		farm_end(&farm, &attempt);
		assert_int_equal(pick_for(&farm, key), first);
	}
	farm_fini(&farm);
}

/* About 1/sqrt(160) from point to point. */
static void keys_are_spread_by_weight(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 4, 1, 2, 3, 4, 4, 1};
	unsigned counts[10] = {0};
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_HASH, 10, weights);
	for (uint64_t key = 0; key < KEYS; key++)
		counts[pick_for(&farm, key)]++;
	for (int i = 0; i < 10; i++)
		assert_near(counts[i], KEYS / 25.0 * weights[i], 0.4);
	farm_fini(&farm);
}

static void only_the_keys_of_one_that_leaves_move(void **state)
{
	static uint32_t before[KEYS];
	static uint32_t ids[KEYS];
	struct farm farm;
	unsigned moved = 0;
	(void)state;
	farm_init(&farm, BALANCER_HASH, 10, NULL);
	for (uint64_t key = 0; key < KEYS; key++) {
		before[key] = pick_for(&farm, key);
		ids[key] = farm.service.endpoints[before[key]].id;
	}
	memmove(&farm.service.endpoints[4], &farm.service.endpoints[5],
		5 * sizeof(struct endpoint));
	farm.service.endpoint_count = 9;
	farm_arrange(&farm);
	for (uint64_t key = 0; key < KEYS; key++) {
		bool has_moved = farm.service.endpoints[pick_for(&farm, key)].id != ids[key];
		assert_int_equal(has_moved, before[key] == 4);
		moved += has_moved;
	}
	assert_near(moved, KEYS / 10.0, 0.3);
	farm_fini(&farm);
}

/* Mirrokni, Thorup, Zadimoghaddam: no load above 1.25 × the mean, even if most want the same. */
static void loads_are_bounded(void **state)
{
	(void)state;
	for (uint32_t count = 10; count <= 1000; count *= 10) {
		struct farm farm;
		unsigned most = 0;
		farm_init(&farm, BALANCER_HASH, count, NULL);
		for (uint64_t i = 0; i < 40 * count; i++)
			farm_begin(&farm, pick_for(&farm, i % 4 ? 7 : i));
		for (uint32_t i = 0; i < count; i++)
			most = farm_active(&farm, i) > most ? farm_active(&farm, i) : most;
		assert_in_range(most, 40, 50);
		farm_fini(&farm);
	}
}

/* The rest shares the whole then: most keys still find room where they find it while all is idle.
 */
static void what_an_ejected_one_had_finds_room(void **state)
{
	struct farm farm;
	uint32_t homes[400];
	unsigned most = 0, at_home = 0;
	(void)state;
	farm_init(&farm, BALANCER_HASH, 10, NULL);
	for (uint32_t i = 0; i < 5; i++)
		farm_eject(&farm, i, true);
	for (uint64_t i = 0; i < 400; i++)
		homes[i] = pick_for(&farm, i);
	for (uint64_t i = 0; i < 400; i++) {
		uint32_t index = pick_for(&farm, i);
		farm_begin(&farm, index);
		at_home += index == homes[i];
	}
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(i >= 5 || farm_active(&farm, i) == 0);
		most = farm_active(&farm, i) > most ? farm_active(&farm, i) : most;
	}
	assert_in_range(most, 80, 100);
	assert_in_range(at_home, 340, 400);
	farm_fini(&farm);
}

static void a_request_without_the_key_is_balanced(void **state)
{
	unsigned counts[10] = {0};
	struct farm farm;
	(void)state;
	farm_init(&farm, BALANCER_HASH, 10, NULL);
	farm.keeps_key = true;
	for (int i = 0; i < 1000; i++)
		counts[farm_index(&farm, farm_pick(&farm))]++;
	for (int i = 0; i < 10; i++)
		assert_near(counts[i], 100, 0.4);
	farm_fini(&farm);
}

static void a_token_goes_before_every_balancer(void **state)
{
	(void)state;
	for (int kind = BALANCER_EWMA; kind <= BALANCER_CLIENT_IP; kind++) {
		struct farm farm;
		farm_init(&farm, (enum balancer)kind, 10, NULL);
		snprintf(farm.service.sticky.cookie, HASH_NAME_MAX, "stick");
		assert_int_equal(sticky_fill(&farm.service), 0);
		farm.request.has_token = true;
		farm.request.token = sticky_token(&farm.service, &farm.service.endpoints[6]);
		for (int i = 0; i < 20; i++)
			assert_int_equal(farm_index(&farm, farm_pick(&farm)), 6);
		farm_eject(&farm, 6, true);
		for (int i = 0; i < 20; i++)
			assert_int_not_equal(farm_index(&farm, farm_pick(&farm)), 6);
		farm_eject(&farm, 6, false);
		farm.service.endpoints[6].weight = 0;
		farm_arrange(&farm);
		assert_int_not_equal(farm_index(&farm, farm_pick(&farm)), 6);
		mem_free(farm.service.sticky.items);
		farm_fini(&farm);
	}
}

/* ---- keys ---- */

static bool key_of(enum hash_on on, const char *name, struct http_head head, uint64_t *ret)
{
	static const uint8_t client[16] = {10, 0, 0, 1};
	struct service service = {.balancer = BALANCER_HASH, .balancing.hash_on = on};
	snprintf(service.hash_name, sizeof(service.hash_name), "%s", name);
	return balance_key(&service, &head, client, ret);
}

static struct http_head with_field(const char *name, const char *value)
{
	static struct http_field field;
	field = (struct http_field){span_text(name), span_text(value)};
	return (struct http_head){.field_count = 1, .fields = &field};
}

static void a_header_is_found_whatever_its_case(void **state)
{
	uint64_t a, b, c;
	(void)state;
	assert_true(key_of(HASH_ON_HEADER, "x-user", with_field("X-User", "ann"), &a));
	assert_true(key_of(HASH_ON_HEADER, "x-user", with_field("x-user", "ann"), &b));
	assert_true(key_of(HASH_ON_HEADER, "x-user", with_field("x-user", "bob"), &c));
	assert_int_equal(a, b);
	assert_int_not_equal(a, c);
	assert_false(key_of(HASH_ON_HEADER, "x-user", with_field("x-use", "ann"), &a));
}

static void a_cookie_is_found_among_others(void **state)
{
	static const char *const alike[] = {"sid=42", "a=b; sid=42", "xsid=1;sid=42; sid=7",
					    "sid2=1; sid=42 ; z", ";; sid=42"};
	static const char *const without[] = {"", "sid", "xsid=42", "sid2=42", "a=sid=42"};
	uint64_t want, key;
	(void)state;
	assert_true(key_of(HASH_ON_COOKIE, "sid", with_field("Cookie", alike[0]), &want));
	for (size_t i = 0; i < array_count(alike); i++) {
		assert_true(key_of(HASH_ON_COOKIE, "sid", with_field("cookie", alike[i]), &key));
		assert_int_equal(key, want);
	}
	for (size_t i = 0; i < array_count(without); i++)
		assert_false(key_of(HASH_ON_COOKIE, "sid", with_field("Cookie", without[i]), &key));
}

static void a_path_is_without_authority_and_query(void **state)
{
	static const char *const alike[] = {"/a/b", "/a/b?x=1", "http://web/a/b",
					    "http://web/a/b?u=http://x/y", "/a/b?http://c/d"};
	uint64_t want, key;
	(void)state;
	assert_true(
		key_of(HASH_ON_PATH, "", (struct http_head){.target = span_text("/a/b")}, &want));
	for (size_t i = 0; i < array_count(alike); i++) {
		struct http_head head = {.target = span_text(alike[i])};
		assert_true(key_of(HASH_ON_PATH, "", head, &key));
		assert_int_equal(key, want);
	}
	assert_true(
		key_of(HASH_ON_PATH, "", (struct http_head){.target = span_text("/a/c")}, &key));
	assert_int_not_equal(key, want);
}

static void a_source_needs_no_head(void **state)
{
	static const uint8_t one[16] = {1}, other[16] = {2};
	struct service service = {.balancer = BALANCER_HASH};
	uint64_t a, b;
	(void)state;
	assert_true(balance_key(&service, NULL, one, &a));
	assert_true(balance_key(&service, NULL, other, &b));
	assert_int_not_equal(a, b);
	service.balancing.hash_on = HASH_ON_PATH;
	assert_false(balance_key(&service, NULL, one, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_keeps_its_endpoint),
		cmocka_unit_test(keys_are_spread_by_weight),
		cmocka_unit_test(only_the_keys_of_one_that_leaves_move),
		cmocka_unit_test(loads_are_bounded),
		cmocka_unit_test(what_an_ejected_one_had_finds_room),
		cmocka_unit_test(a_request_without_the_key_is_balanced),
		cmocka_unit_test(a_token_goes_before_every_balancer),
		cmocka_unit_test(a_header_is_found_whatever_its_case),
		cmocka_unit_test(a_cookie_is_found_among_others),
		cmocka_unit_test(a_path_is_without_authority_and_query),
		cmocka_unit_test(a_source_needs_no_head),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
