/* The kernel's map of destinations follows what discovery finds: services and single endpoints. */
#include "base/rng.h"
#include "control/source.h"
#include "control/tests/stage.h"

#define SERVICES  3u
#define ENDPOINTS 4u
#define NOTHING   "pods: []\n"

/* Services web, api and db at 10.96.0.1..3:80, each with room for endpoints. */
static struct {
	struct source source;
	struct service_draft services[SERVICES];
	struct draft_value ips[SERVICES];
	struct draft_value port;
	struct endpoint_draft endpoints[SERVICES][ENDPOINTS];
} cluster;

static const char *const names[SERVICES] = {"web", "api", "db"};
static const char *const ips[SERVICES] = {"10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80"};
static const char *const pods[ENDPOINTS] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80",
					    "[fd00::4]:80"};

static void begin(unsigned service_count)
{
	memset(&cluster, 0, sizeof(cluster));
	cluster.port.number = 80;
	for (unsigned i = 0; i < SERVICES; i++) {
		cluster.ips[i].address = address_of(ips[i]);
		cluster.ips[i].address.port = 0;
		cluster.services[i] = (struct service_draft){
			.may_be_left_out = true,
			.name = names[i],
			.addresses = {1, &cluster.ips[i]},
			.ports = {1, &cluster.port},
			.endpoints = {0, cluster.endpoints[i]},
		};
	}
	cluster.source.services = (struct draft_list){service_count, cluster.services};
	stage_open(NOTHING);
	control_source_add(stage.control, &cluster.source);
}

static struct endpoint_draft *add(unsigned service, unsigned pod)
{
	struct draft_list *list = &cluster.services[service].endpoints;
	struct endpoint_draft *endpoint = &cluster.endpoints[service][list->count++];
	*endpoint = (struct endpoint_draft){
		.weight = 1, .is_destination = true, .address = address_of(pods[pod])};
	return endpoint;
}

static void publish(void)
{
	uint64_t before = stage_generation();
	control_sources_changed(stage.control);
	stage_until(stage_generation() > before);
}

static uint32_t flags_at(const char *address)
{
	const struct weft_destination *row = destination_of(address);
	assert_non_null(row);
	return row->flags;
}

static const char *name_at(const char *address)
{
	const struct weft_destination *row = destination_of(address);
	return row ? row->name : "nobody's";
}

static void an_endpoint_is_dialled_itself_ready_or_not(void **state)
{
	(void)state;
	begin(1);
	struct endpoint_draft *one = add(0, 0);
	publish();
	assert_int_equal(flags_at("10.96.0.1:80"), WEFT_DESTINATION_READY);
	assert_int_equal(flags_at("10.0.0.1:80"),
			 WEFT_DESTINATION_READY | WEFT_DESTINATION_ENDPOINT);
	assert_string_equal(name_at("10.0.0.1:80"), "web");
	one->weight = 0;
	publish();
	assert_int_equal(flags_at("10.96.0.1:80"), 0);
	assert_int_equal(flags_at("10.0.0.1:80"),
			 WEFT_DESTINATION_READY | WEFT_DESTINATION_ENDPOINT);
}

static void a_declared_protocol_is_in_all_rows(void **state)
{
	(void)state;
	begin(1);
	add(0, 3);
	cluster.services[0].protocol = PROTOCOL_HTTP;
	publish();
	assert_true(flags_at("10.96.0.1:80") & WEFT_DESTINATION_HTTP);
	assert_true(flags_at("[fd00::4]:80") & WEFT_DESTINATION_HTTP);
	cluster.services[0].protocol = PROTOCOL_OPAQUE;
	publish();
	assert_false(flags_at("[fd00::4]:80") & WEFT_DESTINATION_HTTP);
}

static void a_services_shortcut_is_in_all_rows(void **state)
{
	static const char *const rows[] = {"10.96.0.1:80", "10.0.0.1:80"};
	(void)state;
	begin(1);
	add(0, 0);
	publish();
	assert_int_equal(destination_of(rows[0])->shortcut, WEFT_SHORTCUT_INHERIT);
	cluster.services[0].shortcut = WEFT_SHORTCUT_AUTO;
	publish();
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_int_equal(destination_of(rows[i])->shortcut, WEFT_SHORTCUT_AUTO);
		assert_int_equal(destination_of(rows[i])->shortcut_window, 0);
	}
	cluster.services[0].shortcut_window = 65536; /* and nothing else */
	publish();
	for (size_t i = 0; i < array_count(rows); i++)
		assert_int_equal(destination_of(rows[i])->shortcut_window, 65536);
	cluster.services[0].shortcut = WEFT_SHORTCUT_OFF; /* and nothing else */
	publish();
	for (size_t i = 0; i < array_count(rows); i++)
		assert_int_equal(destination_of(rows[i])->shortcut, WEFT_SHORTCUT_OFF);
}

static void balanced_endpoints_are_as_the_service_is(void **state)
{
	(void)state;
	begin(1);
	cluster.services[0].balances_endpoints = true;
	cluster.services[0].addresses.count = 0; /* headless */
	struct endpoint_draft *one = add(0, 0);
	add(0, 1);
	publish();
	assert_int_equal(flags_at("10.0.0.1:80"), WEFT_DESTINATION_READY);
	one->weight = 0;
	publish();
	assert_int_equal(flags_at("10.0.0.1:80"), WEFT_DESTINATION_READY);
	cluster.endpoints[0][1].weight = 0;
	publish();
	assert_int_equal(flags_at("10.0.0.1:80"), 0); /* refused: nobody is there to balance to */
}

static void an_endpoint_that_is_another_services_has_that_ones_row(void **state)
{
	(void)state;
	begin(2);
	add(0, 0);
	add(1, 0)->is_destination = false;
	publish();
	assert_string_equal(name_at("10.0.0.1:80"), "web");
	cluster.endpoints[0][0].is_destination = false;
	cluster.endpoints[1][0].is_destination = true;
	publish();
	assert_string_equal(name_at("10.0.0.1:80"), "api");
	cluster.services[1].endpoints.count = 0;
	publish();
	assert_string_equal(name_at("10.0.0.1:80"), "nobody's");
	assert_int_equal(kernel_double_destination_count(), 2);
}

static void a_service_that_goes_takes_its_rows_with_it(void **state)
{
	(void)state;
	begin(3);
	for (unsigned i = 0; i < SERVICES; i++)
		add(i, i);
	publish();
	assert_int_equal(kernel_double_destination_count(), 6);
	cluster.source.services.count = 1;
	publish();
	assert_int_equal(kernel_double_destination_count(), 2);
	assert_string_equal(name_at("10.0.0.1:80"), "web");
}

static void rows_that_could_not_be_written_come_later(void **state)
{
	(void)state;
	begin(1);
	add(0, 0);
	kernel_double_fail_put(-ENOSPC);
	publish();
	assert_null(destination_of("10.0.0.1:80"));
	kernel_double_fail_put(0);
	stage_until(destination_of("10.0.0.1:80") && destination_of("10.96.0.1:80"));
}

static void rows_that_are_there_are_not_written_with_those_that_are_owed(void **state)
{
	const struct weft_address written = address_of("10.96.0.1:80");
	struct weft_destination other = {.service_id = 77};
	(void)state;
	begin(1);
	add(0, 0);
	publish();
	add(0, 1);
	kernel_double_fail_put(-E2BIG);
	publish();
	kernel_double_fail_put(0);
	assert_int_equal(kernel_destination_put(stage.kernel, &written, &other), 0);
	stage_until(destination_of("10.0.0.2:80"));
	assert_int_equal(destination_of("10.96.0.1:80")->service_id, 77);
}

/* Each pod is the destination of one service at most, as claims have it. */
static void change(struct rng *rng)
{
	bool is_taken[ENDPOINTS] = {0};
	cluster.source.services.count = rng_below(rng, SERVICES + 1);
	for (unsigned i = 0; i < cluster.source.services.count; i++) {
		cluster.services[i].endpoints.count = 0;
		cluster.services[i].balances_endpoints = rng_below(rng, 4) == 0;
		cluster.services[i].protocol = rng_below(rng, 2) ? PROTOCOL_HTTP : PROTOCOL_AUTO;
		cluster.services[i].shortcut = (enum weft_shortcut)rng_below(rng, 4);
		cluster.services[i].shortcut_window = 4096 * rng_below(rng, 3);
		for (unsigned pod = 0; pod < ENDPOINTS; pod++) {
			if (rng_below(rng, 2))
				continue;
			struct endpoint_draft *endpoint = add(i, pod);
			endpoint->weight = rng_below(rng, 2);
			endpoint->is_destination = !is_taken[pod] && rng_below(rng, 3);
			is_taken[pod] |= endpoint->is_destination;
		}
	}
}

static void check_row(const struct service_draft *service, const struct weft_address *address,
		      uint32_t flags)
{
	const struct weft_destination *row = kernel_double_destination(address);
	assert_non_null(row);
	assert_string_equal(row->name, service->name);
	assert_int_equal(row->flags, flags);
	assert_int_equal(row->shortcut, service->shortcut);
	assert_int_equal(row->shortcut_window, service->shortcut_window);
}

static void check_rows(void)
{
	size_t count = 0;
	for (unsigned i = 0; i < cluster.source.services.count; i++) {
		const struct service_draft *service = &cluster.services[i];
		struct weft_address address = address_of(ips[i]);
		uint32_t flags = service->protocol == PROTOCOL_HTTP ? WEFT_DESTINATION_HTTP : 0;
		uint32_t own = WEFT_DESTINATION_READY | WEFT_DESTINATION_ENDPOINT;
		for (unsigned j = 0; j < service->endpoints.count; j++)
			flags |= cluster.endpoints[i][j].weight ? WEFT_DESTINATION_READY : 0;
		check_row(service, &address, flags);
		count++;
		for (unsigned j = 0; j < service->endpoints.count; j++) {
			const struct endpoint_draft *endpoint = &cluster.endpoints[i][j];
			if (!endpoint->is_destination)
				continue;
			check_row(service, &endpoint->address,
				  flags | (service->balances_endpoints ? 0 : own));
			count++;
		}
	}
	assert_int_equal(kernel_double_destination_count(), count);
}

static void any_changes_give_the_rows_of_the_last(void **state)
{
	struct rng rng;
	(void)state;
	rng_init(&rng, 3);
	begin(0);
	for (unsigned i = 0; i < 60; i++) {
		change(&rng);
		publish();
		check_rows();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(an_endpoint_is_dialled_itself_ready_or_not),
		stage_test(a_declared_protocol_is_in_all_rows),
		stage_test(a_services_shortcut_is_in_all_rows),
		stage_test(balanced_endpoints_are_as_the_service_is),
		stage_test(an_endpoint_that_is_another_services_has_that_ones_row),
		stage_test(a_service_that_goes_takes_its_rows_with_it),
		stage_test(rows_that_could_not_be_written_come_later),
		stage_test(rows_that_are_there_are_not_written_with_those_that_are_owed),
		stage_test(any_changes_give_the_rows_of_the_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
