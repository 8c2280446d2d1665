#include "farm.h"

static uint32_t pick_for(struct farm *farm, uint8_t client)
{
	farm->request.client_ip[15] = client;
	const struct endpoint *endpoint = farm_pick(farm);
	assert_non_null(endpoint);
	return endpoint->id;
}

static void open_farm(struct farm *farm)
{
	farm_init(farm, BALANCER_CLIENT_IP, 5, NULL);
	farm->keeps_key = true;
}

static void a_client_keeps_its_endpoint(void **state)
{
	struct farm farm;
	(void)state;
	open_farm(&farm);
	for (int client = 0; client < 256; client++) {
		uint32_t first = pick_for(&farm, (uint8_t)client);
		for (int i = 0; i < 5; i++)
			assert_int_equal(pick_for(&farm, (uint8_t)client), first);
	}
	farm_fini(&farm);
}

static void clients_are_spread(void **state)
{
	unsigned counts[5] = {0};
	struct farm farm;
	(void)state;
	open_farm(&farm);
	for (int client = 0; client < 256; client++)
		counts[pick_for(&farm, (uint8_t)client) - FARM_FIRST_ID]++;
	for (int i = 0; i < 5; i++)
		assert_in_range(counts[i], 26, 77); /* 51 ± a half */
	farm_fini(&farm);
}

static void an_endpoint_that_leaves_moves_only_its_own_clients(void **state)
{
	uint32_t before[256];
	struct farm farm;
	(void)state;
	open_farm(&farm);
	for (int client = 0; client < 256; client++)
		before[client] = pick_for(&farm, (uint8_t)client);
	farm.service.endpoints[2].weight = 0;
	farm_arrange(&farm);
	for (int client = 0; client < 256; client++) {
		uint32_t after = pick_for(&farm, (uint8_t)client);
		if (before[client] == farm.service.endpoints[2].id)
			assert_int_not_equal(after, before[client]);
		else
			assert_int_equal(after, before[client]);
	}
	farm_fini(&farm);
}

static void one_that_was_tried_is_not_taken_again(void **state)
{
	struct farm farm;
	(void)state;
	open_farm(&farm);
	uint32_t tried = pick_for(&farm, 9);
	farm.request.tried = &tried;
	farm.request.tried_count = 1;
	assert_int_not_equal(pick_for(&farm, 9), tried);
	farm_fini(&farm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_keeps_its_endpoint),
		cmocka_unit_test(clients_are_spread),
		cmocka_unit_test(an_endpoint_that_leaves_moves_only_its_own_clients),
		cmocka_unit_test(one_that_was_tried_is_not_taken_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
