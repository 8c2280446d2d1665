/* What workers share: by id, new for whoever has the id next. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proxy/node.h"

static const struct breaker_rule rule = {
	.kind = BREAKER_CONSECUTIVE_FAILURES,
	.failures = 1,
	.removed_most_ppm = PPM,
	.backoff = {.least_ns = 1000000000, .most_ns = 1000000000},
};

static const struct failover_rule slow = {.back_ns = 1000000000};

static void fail_once(struct node_service *service, struct node_endpoint *endpoint)
{
	struct rng rng;
	rng_init(&rng, 1);
	breaker_tell(&endpoint->breaker, &service->breakers, &rule, 10, BREAKER_FAILED, 1000, &rng);
}

/* Room for one. */
static const struct budget_rule one = {.ttl_ns = 1000000000, .min_per_second = 1};

static void the_next_owner_of_an_id_begins_anew(void **state)
{
	struct node *node = node_new();
	struct service service = {.id = 700, .birth = 1};
	struct endpoint endpoint = {.id = 5000, .birth = 2};
	(void)state;
	assert_non_null(node);
	assert_null(node_endpoint_at(node, 5000));
	struct node_service *shared = node_service(node, &service);
	struct node_endpoint *entry = node_endpoint(node, &endpoint);
	fail_once(shared, entry);
	assert_false(breaker_admits(&entry->breaker));
	assert_ptr_equal(node_service(node, &service), shared);
	assert_ptr_equal(node_endpoint_at(node, 5000), entry);
	assert_ptr_equal(node_endpoint(node, &endpoint), entry);
	assert_false(breaker_admits(&entry->breaker));
	assert_int_equal(shared->breakers.removed, 1);
	assert_false(failover_see(&shared->failover, &slow, false, 1));
	assert_false(failover_see(&node_service(node, &service)->failover, &slow, true, 2));
	for (int i = 0; i < QUANTILE_SAMPLES_LEAST; i++)
		quantile_observe(&shared->latency, 900000, 1000000);
	assert_int_not_equal(quantile_ns(&shared->latency), 0);
	assert_true(retry_budget_withdraw(&shared->requeues, &one, 1));
	assert_false(retry_budget_withdraw(&shared->requeues, &one, 1));
	service.birth = 3;
	endpoint.birth = 4;
	assert_ptr_equal(node_endpoint(node, &endpoint), entry);
	assert_true(breaker_admits(&entry->breaker));
	assert_ptr_equal(node_service(node, &service), shared);
	assert_int_equal(shared->breakers.removed, 0);
	assert_true(failover_see(&shared->failover, &slow, true, 2));
	assert_int_equal(shared->latency.samples, 0);
	assert_true(retry_budget_withdraw(&shared->requeues, &one, 1));
	node_free(node);
}

static void ids_beyond_the_table_are_not_there(void **state)
{
	struct node *node = node_new();
	struct service service = {.id = 1u << 30, .birth = 1};
	struct endpoint endpoint = {.id = UINT32_MAX - 1, .birth = 1};
	(void)state;
	assert_non_null(node);
	assert_null(node_service(node, &service));
	assert_null(node_endpoint(node, &endpoint));
	assert_null(node_endpoint_at(node, UINT32_MAX));
	node_free(node);
	node_free(NULL);
}

static void want_of_memory_is_told(void **state)
{
	struct service service = {.id = 1, .birth = 1};
	struct endpoint endpoint = {.id = 1, .birth = 1};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	mem_fail_nth(1);
	assert_null(node_new());
	struct node *node = node_new();
	mem_fail_nth(1);
	assert_null(node_service(node, &service));
	mem_fail_nth(1);
	assert_null(node_endpoint(node, &endpoint));
	struct node_service *shared = node_service(node, &service);
	assert_non_null(shared);
	mem_fail_nth(1);
	assert_null(node_rates(&shared->clients, 1024, &rng));
	struct rate_limit *rates = node_rates(&shared->clients, 1024, &rng);
	assert_non_null(rates);
	mem_fail_nth(1);
	assert_ptr_equal(node_rates(&shared->clients, 2048, &rng), rates);
	node_free(node);
}

static void a_table_of_rates_grows(void **state)
{
	struct service service = {.id = 1, .birth = 1};
	struct rng rng;
	(void)state;
	rng_init(&rng, 1);
	struct node *node = node_new();
	struct node_service *shared = node_service(node, &service);
	assert_non_null(shared);
	struct rate_limit *small = node_rates(&shared->values, 8, &rng);
	assert_non_null(small);
	assert_ptr_equal(node_rates(&shared->values, 8, &rng), small);
	struct rate_limit *large = node_rates(&shared->values, 16, &rng);
	assert_ptr_not_equal(large, small);
	assert_ptr_equal(node_rates(&shared->values, 16, &rng), large);
	assert_ptr_equal(node_rates(&shared->values, 8, &rng), large);
	node_free(node);
}

/* ---- many workers ---- */

#define THREADS 4

static struct node *common;
static struct node_service *found[THREADS][64];

static void *look_all_up(void *argument)
{
	struct node_service **mine = argument;
	struct rng rng;
	rng_init(&rng, 1);
	for (uint32_t i = 0; i < 64; i++) {
		struct service service = {.id = i * 256, .birth = i + 1};
		mine[i] = node_service(common, &service);
		if (mine[i] && !node_rates(&mine[0]->clients, 8 * i, &rng))
			mine[i] = NULL;
	}
	return NULL;
}

static void all_workers_find_the_same(void **state)
{
	pthread_t threads[THREADS];
	(void)state;
	common = node_new();
	assert_non_null(common);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_all_up, found[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i < THREADS; i++)
		assert_memory_equal(found[i], found[0], sizeof(found[0]));
	node_free(common);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_owner_of_an_id_begins_anew),
		cmocka_unit_test(ids_beyond_the_table_are_not_there),
		cmocka_unit_test(want_of_memory_is_told),
		cmocka_unit_test(a_table_of_rates_grows),
		cmocka_unit_test(all_workers_find_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
