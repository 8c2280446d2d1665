/* Services that are too large for weftd are left out of the catalog as a whole. */
#include "control/catalog.h"

#include <stdio.h>

#include "base/text.h"
#include "control/tests/cluster.h"

#define SERVICES 2
#define PODS     4

static const char *const names[SERVICES] = {"a", "b"};
static const char *const pod_ips[PODS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"};

/* Services of two ports, each with one slice, and what the catalog told. */
static struct {
	struct catalog catalog;
	struct kube_service_port ports[2];
	struct kube_slice_port slice_ports[2];
	struct weft_address ips[SERVICES];
	struct kube_endpoint endpoints[PODS];
	struct kube_service services[SERVICES];
	struct kube_slice slices[SERVICES];
	unsigned told;
	uint64_t told_records;
	char told_name[32];
} world;

static void on_left_out(void *owner, const struct kube_service *service, uint64_t records)
{
	(void)owner;
	world.told++;
	world.told_records = records;
	snprintf(world.told_name, sizeof(world.told_name), "%s", service->object.name);
}

static const struct kube_object *find_namespace(void *owner, const char *name)
{
	(void)owner;
	(void)name;
	return NULL;
}

static const struct catalog_hooks hooks = {.find_namespace = find_namespace,
					   .left_out = on_left_out};

static void put_service(unsigned at)
{
	static const char *const cluster_ips[SERVICES] = {"10.96.0.1", "10.96.0.2"};
	world.services[at] = service_of(names[at], world.ports, 2);
	world.ips[at] = ip_of(cluster_ips[at]);
	world.services[at].cluster_ips = &world.ips[at];
	world.services[at].ip_count = 1;
	world.services[at].object.created_s = 100 + at;
	catalog_service_changed(&world.catalog, NULL, &world.services[at].object);
}

/* So many pods, the same for every service. */
static void put_endpoints(unsigned at, unsigned count)
{
	bool is_there = world.slices[at].endpoints != NULL;
	struct kube_object *object = &world.slices[at].object;
	if (is_there)
		catalog_slice_changed(&world.catalog, object, NULL);
	world.slices[at] =
		slice_of(names[at], names[at], world.slice_ports, 2, world.endpoints, count);
	catalog_slice_changed(&world.catalog, NULL, object);
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	catalog_init(&world.catalog, &hooks);
	world.ports[0] = service_port("http", 80);
	world.ports[1] = service_port("admin", 81);
	world.slice_ports[0] = slice_port("http", 8080);
	world.slice_ports[1] = slice_port("admin", 9090);
	for (unsigned i = 0; i < PODS; i++)
		world.endpoints[i] = endpoint_at(pod_ips[i]);
	for (unsigned i = 0; i < SERVICES; i++) {
		put_service(i);
		put_endpoints(i, 1);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	catalog_fini(&world.catalog);
	return 0;
}

static struct draft_list refresh(void)
{
	const struct kube_place place = {.node = "n1", .zone = "z1"};
	struct draft_list list;
	catalog_refresh(&world.catalog, &place, &list);
	return list;
}

static void on_each(void *owner, const char *namespace, const char *name, uint64_t records)
{
	text_printf(owner, "%s/%s %llu\n", namespace, name, (unsigned long long)records);
}

/* One line at most. */
static void assert_left_out(const char *wanted)
{
	struct text found = {0};
	catalog_each_left_out(&world.catalog, on_each, &found);
	assert_string_equal(found.size ? found.data : "", wanted);
	assert_int_equal(world.catalog.left_out_count, *wanted != '\0');
	text_fini(&found);
}

static void a_service_beyond_the_limit_is_left_out_as_a_whole(void **state)
{
	(void)state;
	catalog_limit(&world.catalog, 4);
	put_endpoints(0, 2);
	assert_int_equal(refresh().count, 4);
	assert_int_equal(world.told, 0);

	put_endpoints(0, 3);
	assert_int_equal(refresh().count, 2); /* its other port too; "b" stays */
	assert_left_out("shop/a 6\n");
	assert_int_equal(world.told, 1);
	assert_string_equal(world.told_name, "a");
	assert_int_equal(world.told_records, 6);

	put_endpoints(0, 4);
	(void)refresh();
	assert_left_out("shop/a 8\n");
	assert_int_equal(world.told, 1); /* when it begins */

	put_endpoints(0, 2);
	assert_int_equal(refresh().count, 4);
	assert_left_out("");
}

static void another_limit_is_another_choice(void **state)
{
	(void)state;
	put_endpoints(0, 4);
	assert_int_equal(refresh().count, 4); /* there is none */
	catalog_limit(&world.catalog, 7);
	assert_int_equal(refresh().count, 2);
	assert_left_out("shop/a 8\n");
	catalog_limit(&world.catalog, 8);
	assert_int_equal(refresh().count, 4);
	assert_left_out("");
}

static void a_service_that_goes_is_not_left_out_any_more(void **state)
{
	(void)state;
	catalog_limit(&world.catalog, 1);
	put_endpoints(1, 0);
	(void)refresh();
	assert_left_out("shop/a 2\n");
	catalog_service_changed(&world.catalog, &world.services[0].object, NULL);
	(void)refresh();
	assert_left_out("");
}

/* The limit and who is told stay when everything begins anew. */
static void a_new_beginning_tells_again(void **state)
{
	(void)state;
	catalog_limit(&world.catalog, 1);
	put_endpoints(1, 0);
	(void)refresh();
	assert_int_equal(world.told, 1);
	catalog_fini(&world.catalog);
	catalog_service_changed(&world.catalog, NULL, &world.services[0].object);
	catalog_slice_changed(&world.catalog, NULL, &world.slices[0].object);
	assert_int_equal(refresh().count, 0);
	assert_int_equal(world.told, 2);
	assert_left_out("shop/a 2\n");
}

static bool takes_dials(const struct draft_list *list, const char *name)
{
	const struct service_draft *drafts = list->items;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct endpoint_draft *endpoints = drafts[i].endpoints.items;
		if (strcmp(drafts[i].name, name) == 0)
			return endpoints[0].is_destination;
	}
	return false;
}

static void what_is_left_out_claims_no_address(void **state)
{
	(void)state;
	struct draft_list list = refresh();
	assert_true(takes_dials(&list, "/svc/shop/a/80")); /* the older one */
	assert_false(takes_dials(&list, "/svc/shop/b/80"));
	put_endpoints(0, 2);
	catalog_limit(&world.catalog, 2);
	list = refresh();
	assert_int_equal(list.count, 2);
	assert_true(takes_dials(&list, "/svc/shop/b/80"));
}

/* A Service of 1,024 ports and 1,000 endpoints is seen to be too large without being computed. */
static void a_million_records_cost_nothing(void **state)
{
	enum { WIDE = 1024, MANY = 1000 };
	static struct kube_service_port ports[WIDE];
	static struct kube_slice_port slice_ports[WIDE];
	static struct kube_endpoint endpoints[MANY];
	(void)state;
	for (unsigned i = 0; i < WIDE; i++) {
		ports[i] = service_port("p", (uint16_t)(1 + i));
		slice_ports[i] = slice_port("p", (uint16_t)(1 + i));
	}
	for (unsigned i = 0; i < MANY; i++)
		endpoints[i] = endpoint_at("10.0.0.1");
	struct kube_service service = service_of("wide", ports, WIDE);
	struct kube_slice slice = slice_of("wide", "wide", slice_ports, WIDE, endpoints, MANY);
	catalog_limit(&world.catalog, 50000);
	(void)refresh();
	catalog_service_changed(&world.catalog, NULL, &service.object);
	catalog_slice_changed(&world.catalog, NULL, &slice.object);
	long live = mem_live();
	assert_int_equal(refresh().count, 4);
	assert_int_equal(mem_live(), live);
	assert_left_out("shop/wide 1024000\n");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_service_beyond_the_limit_is_left_out_as_a_whole),
		test(another_limit_is_another_choice),
		test(a_service_that_goes_is_not_left_out_any_more),
		test(a_new_beginning_tells_again),
		test(what_is_left_out_claims_no_address),
		test(a_million_records_cost_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
