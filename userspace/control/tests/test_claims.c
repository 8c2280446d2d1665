/* Whose a dial to an endpoint's own address is. */
#include "control/claims.h"

#include "control/tests/cluster.h"

static struct claims claims;

static int tear_down(void **state)
{
	(void)state;
	claims_fini(&claims);
	claims = (struct claims){0};
	return 0;
}

static struct claim claim_of(const struct claimant *claimant, const char *address)
{
	struct claim claim = {.claimant = claimant};
	assert_int_equal(address_parse(span_text(address), &claim.address), 0);
	return claim;
}

static const char *winner_of(const struct claim *claim)
{
	const struct claimant *winner = claims_winner(&claims, &claim->address);
	return winner ? winner->name : "nobody";
}

static void the_order_is_cluster_ip_then_the_oldest_then_the_name(void **state)
{
	/* Each beats all before it. */
	static const struct claimant ranks[] = {
		{.name = "young-headless",
		 .namespace = "shop",
		 .created_s = 300,
		 .is_headless = true},
		{.name = "old-headless", .namespace = "shop", .created_s = 50, .is_headless = true},
		{.name = "young", .namespace = "shop", .created_s = 200},
		{.name = "z-old", .namespace = "shop", .created_s = 100},
		{.name = "a-old", .namespace = "shop", .created_s = 100},
	};
	struct claim list[array_count(ranks)];
	(void)state;
	for (size_t i = 0; i < array_count(ranks); i++) {
		list[i] = claim_of(&ranks[i], "10.0.0.1:8080");
		assert_int_equal(claims_add(&claims, &list[i]), 0);
		assert_string_equal(winner_of(&list[0]), ranks[i].name);
	}
	for (size_t i = array_count(ranks); i-- > 1;) {
		claims_remove(&claims, &list[i]);
		assert_string_equal(winner_of(&list[0]), ranks[i - 1].name);
	}
	claims_remove(&claims, &list[0]);
	assert_string_equal(winner_of(&list[0]), "nobody");
}

static void another_port_of_a_pod_is_another_claim(void **state)
{
	const struct claimant web = {.name = "web", .namespace = "shop"};
	const struct claimant metrics = {
		.name = "metrics", .namespace = "shop", .is_headless = true};
	struct claim http = claim_of(&web, "10.0.0.1:8080");
	struct claim scrape = claim_of(&metrics, "10.0.0.1:9100");
	struct claim none = claim_of(&web, "10.0.0.1:22");
	(void)state;
	assert_int_equal(claims_add(&claims, &http), 0);
	assert_int_equal(claims_add(&claims, &scrape), 0);
	assert_string_equal(winner_of(&http), "web");
	assert_string_equal(winner_of(&scrape), "metrics");
	assert_string_equal(winner_of(&none), "nobody");
}

#define test(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_order_is_cluster_ip_then_the_oldest_then_the_name),
		test(another_port_of_a_pod_is_another_claim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
