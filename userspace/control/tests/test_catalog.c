/* The catalog after each change is what a computation of everything from scratch gives. */
#include "control/tests/catalog_stage.h"

/* ---- cases ---- */

static void a_slice_may_come_before_its_service(void **state)
{
	struct held_slice *slice = new_slice(0, "a");
	(void)state;
	add_endpoint(slice, "10.0.0.1");
	put_slice(0, slice);
	expect("");
	put_service(0, new_service(0, 1));
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/1!\n");
	put_service(0, NULL);
	expect("");
	put_service(0, new_service(0, 1)); /* anew: its slice was there all the time */
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/1!\n");
	put_slice(0, NULL);
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 :\n");
	put_service(0, NULL);
	expect("");
	assert_int_equal(world.catalog.entries.count, 0);
}

static void a_slice_without_a_service_or_of_another_namespace_is_nobodys(void **state)
{
	struct held_slice *none = new_slice(0, "");
	struct held_slice *foreign = new_slice(1, "a");
	(void)state;
	add_endpoint(none, "10.0.0.1");
	add_endpoint(foreign, "10.0.0.2");
	foreign->slice.object.namespace = "bank";
	put_slice(0, none);
	put_slice(1, foreign);
	put_service(0, new_service(0, 1));
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 :\n");
	put_slice(0, NULL);
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 :\n");
}

static void a_slice_may_move_to_another_service(void **state)
{
	struct held_slice *moved = new_slice(0, "b");
	(void)state;
	put_pair(0, false, 100, "10.0.0.1");
	put_service(1, new_service(1, 1));
	(void)refresh();
	add_endpoint(moved, "10.0.0.1");
	put_slice(0, moved);
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 :\n"
	       "/svc/shop/b/80 p1 b1 10.96.0.2 80 : 10.0.0.1:8080/1!\n");
}

static void a_pod_of_two_services_is_the_cluster_ip_ones_until_that_goes(void **state)
{
	(void)state;
	put_pair(0, true, 1, "10.0.0.1");
	put_pair(1, false, 200, "10.0.0.1");
	put_pair(2, false, 300, "10.0.0.1");
	expect("/svc/shop/a/80 p1 b1 80 : 10.0.0.1:8080/1\n"
	       "/svc/shop/b/80 p1 b1 10.96.0.2 80 : 10.0.0.1:8080/1!\n"
	       "/svc/shop/c/80 p1 b1 10.96.0.3 80 : 10.0.0.1:8080/1\n");
	put_service(1, NULL);
	expect("/svc/shop/a/80 p1 b1 80 : 10.0.0.1:8080/1\n"
	       "/svc/shop/c/80 p1 b1 10.96.0.3 80 : 10.0.0.1:8080/1!\n");
	put_slice(2, NULL);
	expect("/svc/shop/a/80 p1 b1 80 : 10.0.0.1:8080/1!\n"
	       "/svc/shop/c/80 p1 b1 10.96.0.3 80 :\n");
}

/* "a" is balanced by its own namespace's wish; "b" of another says that one of its pods is b's. */
static void an_address_that_two_namespaces_claim_is_not_balanced(void **state)
{
	static const char both[] =
		"/svc/shop/a/80 p1 b1 balanced 80 : 10.0.0.1:8080/1! 10.0.0.2:8080/1!\n";
	struct held_service *mine = new_service(0, 1);
	struct held_service *foreign = new_service(1, 1);
	struct held_slice *slice = new_slice(0, "a");
	struct held_slice *claim = new_slice(1, "b");
	struct draft_list list;
	(void)state;
	make_headless(mine);
	mine->service.object.annotations = mine->pairs;
	mine->service.object.annotation_count = 1;
	add_endpoint(slice, "10.0.0.1");
	add_endpoint(slice, "10.0.0.2");
	make_headless(foreign);
	foreign->service.object.namespace = claim->slice.object.namespace = "zoo";
	foreign->service.object.created_s = 200;
	add_endpoint(claim, "10.0.0.1");
	put_service(0, mine);
	put_slice(0, slice);
	expect(both);
	put_service(1, foreign);
	put_slice(1, claim);
	catalog_refresh(&world.catalog, &world.place, &list);
	const struct service_draft *drafts = list.items;
	const struct endpoint_draft *endpoints = drafts[0].endpoints.items;
	assert_false(endpoints[0].is_destination);
	assert_true(endpoints[1].is_destination);
	put_slice(1, NULL);
	put_service(1, NULL);
	expect(both);
}

static void nobody_takes_dials_to_the_api_server(void **state)
{
	struct held_service *api = new_service(SERVICES - 1, 1);
	struct draft_list list;
	(void)state;
	api->service.object.namespace = "default";
	put_pair(0, false, 1, cluster_ips[SERVICES - 1]);
	(void)refresh();
	put_service(SERVICES - 1, api);
	catalog_refresh(&world.catalog, &world.place, &list);
	const struct service_draft *drafts = list.items;
	const struct endpoint_draft *endpoints = drafts[0].endpoints.items;
	assert_int_equal(list.count, 1);
	assert_false(endpoints[0].is_destination);
}

static void only_what_changed_is_looked_at_again(void **state)
{
	struct held_slice *slice = new_slice(1, "b");
	(void)state;
	put_pair(0, false, 100, "10.0.0.1");
	put_pair(1, false, 100, "10.0.0.2");
	struct draft_list list = refresh();
	build(&list);
	add_endpoint(slice, "10.0.0.3");
	put_slice(1, slice);
	list = refresh();
	const struct service_draft *drafts = list.items;
	for (uint32_t i = 0; i < list.count; i++)
		assert_int_equal(drafts[i].same_id != 0,
				 strcmp(drafts[i].name, "/svc/shop/a/80") == 0);
}

static void a_failed_build_leaves_changes_to_the_next(void **state)
{
	(void)state;
	put_pair(0, false, 100, "10.0.0.1");
	(void)refresh(); /* and no build */
	struct draft_list list = refresh();
	assert_int_equal(((struct service_draft *)list.items)[0].same_id, 0);
}

static void tcp_and_udp_of_one_number_are_one_service(void **state)
{
	struct held_service *dns = new_service(0, 2);
	(void)state;
	dns->ports[0].protocol = KUBE_UDP;
	dns->ports[0].number = dns->ports[1].number = 53;
	put_service(0, dns);
	expect("/svc/shop/a/53 p0 b1 10.96.0.1 53 :\n");
}

/* ... and is not taken for it afterwards. */
static void a_service_of_the_config_takes_a_name_while_it_has_it(void **state)
{
	static const char name[] = "/svc/shop/a/80";
	(void)state;
	put_pair(0, false, 100, "10.0.0.1");
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 2; i++) {
			struct draft_list list = refresh();
			build(&list);
			const struct service *service =
				snapshot_service_named(world.snapshot, span_text(name));
			assert_int_equal(service->may_be_left_out, !world.config_name);
			assert_int_equal(service->endpoint_count, world.config_name ? 0 : 1);
		}
		world.config_name = world.config_name ? NULL : name;
	}
}

static void another_zone_is_another_choice(void **state)
{
	struct held_service *service = new_service(0, 1);
	struct held_slice *slice = new_slice(0, "a");
	(void)state;
	service->service.distribution = KUBE_SAME_ZONE;
	add_endpoint(slice, "10.0.0.1")->zone = "z1";
	add_endpoint(slice, "10.0.0.2")->zone = "z2";
	put_service(0, service);
	put_slice(0, slice);
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/1! 10.0.0.2:8080/0!\n");
	world.place.zone = "z2";
	catalog_place_changed(&world.catalog);
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/0! 10.0.0.2:8080/1!\n");
}

/* Where its endpoints are, and what it says of itself, are the draft's. */
static void a_service_says_how_it_is_balanced(void **state)
{
	struct held_service *service = new_service(0, 1);
	struct held_slice *slice = new_slice(0, "a");
	(void)state;
	annotate(service, "weft.io/locality", "near");
	annotate(service, "weft.io/balancer", "least");
	add_endpoint(slice, "10.0.0.1")->node = "n1";
	slice->endpoints[0].zone = "z1";
	add_endpoint(slice, "10.0.0.2");
	put_service(0, service);
	put_slice(0, slice);
	struct draft_list list;
	catalog_refresh(&world.catalog, &world.place, &list);
	const struct service_draft *draft = list.items;
	const struct endpoint_draft *endpoints = draft->endpoints.items;
	assert_int_equal(draft->balancer, BALANCER_LEAST);
	assert_int_equal(draft->balancing.locality, LOCALITY_NEAR);
	assert_int_equal(draft->balancing.near_limit, 32);
	assert_string_equal(endpoints[0].node, "n1");
	assert_string_equal(endpoints[0].zone, "z1");
	assert_string_equal(endpoints[1].node, "");

	const struct draft whole = {.services = list};
	struct build_options options = {.node = "n1"};
	assert_int_equal(snapshot_build(&whole, &options, &world.snapshot), 0);
	assert_int_equal(world.snapshot->services[0]->endpoints[0].tier, TIER_NODE);
	assert_int_equal(world.snapshot->services[0]->endpoints[1].tier, TIER_FAR);
}

static void a_service_says_what_shortcut_it_has_before_its_namespace(void **state)
{
	static const char alone[] =
		"/svc/shop/a/80 p1 b1 10.96.0.1 80 :\n"
		"/svc/shop/b/80 p1 b1 s3/65536 10.96.0.2 80 :\n";
	struct held_service *own = new_service(1, 1);
	(void)state;
	put_service(0, new_service(0, 1));
	annotate(own, ANNOTATION_SHORTCUT, "on");
	annotate(own, ANNOTATION_WINDOW, "64KiB");
	put_service(1, own);
	expect(alone);
	assert_true(say_in_namespace("off"));
	expect("/svc/shop/a/80 p1 b1 s1/0 10.96.0.1 80 :\n"
	       "/svc/shop/b/80 p1 b1 s3/65536 10.96.0.2 80 :\n");
	assert_true(say_in_namespace(NULL));
	expect(alone);
}

/* Namespaces come by the thousand when they are listed. */
static void a_namespace_without_another_word_makes_nothing_stale(void **state)
{
	struct kube_object other = object_of(KUBE_NAMESPACES, "", "bank");
	(void)state;
	put_pair(0, false, 100, "10.0.0.1");
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/1!\n");
	assert_false(say_in_namespace(NULL));
	other.annotations = &world.said;
	other.annotation_count = 1;
	world.said.value = "on";
	assert_false(catalog_namespace_changed(&world.catalog, NULL, &other));
	assert_int_not_equal(((struct service_draft *)refresh().items)[0].same_id, 0);
}

/* ---- any changes ---- */

static uint32_t below(uint32_t bound)
{
	return rng_below(&world.rng, bound);
}

static bool chance(uint32_t in)
{
	return below(in) == 0;
}

static void change_service(void)
{
	unsigned at = below(SERVICES);
	if (chance(4)) {
		put_service(at, NULL);
		return;
	}
	struct held_service *held = new_service(at, 1 + below(PORTS));
	held->ports[1].protocol = chance(3) ? KUBE_UDP : KUBE_TCP;
	held->ports[0].app_protocol = chance(4) ? "tcp" : "";
	held->service.object.created_s = 100 + below(3);
	held->service.affinity_s = chance(4) ? 60 : 0;
	held->service.internal_local = chance(6);
	held->service.distribution = (uint8_t)below(3);
	held->service.type = chance(8) ? KUBE_EXTERNAL_NAME : KUBE_CLUSTER_IP;
	if (at == SERVICES - 1 && chance(2))
		held->service.object.namespace = "default"; /* default/kubernetes */
	if (chance(3))
		make_headless(held);
	if (chance(3)) {
		held->service.object.annotations = held->pairs;
		held->service.object.annotation_count = 1;
	}
	if (chance(4))
		annotate(held, ANNOTATION_SHORTCUT, chance(2) ? "on" : "off");
	if (chance(4))
		annotate(held, ANNOTATION_WINDOW, chance(2) ? "64KiB" : "nothing");
	/* An object of another namespace is another object. */
	struct held_service *old = world.services[at];
	if (old && strcmp(old->service.object.namespace, held->service.object.namespace) != 0)
		put_service(at, NULL);
	put_service(at, held);
}

static void change_slice(void)
{
	static const char *const nodes[] = {"n1", "n2", ""};
	static const char *const zones[] = {"z1", "z2"};
	unsigned at = below(SLICES);
	if (chance(4)) {
		put_slice(at, NULL);
		return;
	}
	struct held_slice *held = new_slice(at, chance(10) ? "" : names[below(SERVICES)]);
	held->ports[1] = slice_port("admin", chance(2) ? 8080 : 9090);
	held->ports[2] = slice_port("dns", 53);
	held->slice.port_count = (uint16_t)(1 + below(PORTS));
	for (unsigned i = below(ENDPOINTS + 1); i > 0; i--) {
		unsigned pod = below(PODS); /* where it runs is the same in each slice */
		struct kube_endpoint *endpoint = add_endpoint(held, pod_ips[pod]);
		endpoint->node = nodes[pod % array_count(nodes)];
		endpoint->zone = zones[pod % array_count(zones)];
		endpoint->hint_zones = &zones[pod % array_count(zones)];
		endpoint->hint_count = pod % 4 ? 1 : 0;
		endpoint->is_ready = !chance(3);
		endpoint->is_terminating = chance(3);
	}
	put_slice(at, held);
}

static void change_something(void)
{
	if (chance(40)) {
		world.place.zone = chance(2) ? "z1" : "z2";
		catalog_place_changed(&world.catalog);
	} else if (chance(40)) {
		(void)say_in_namespace(chance(2) ? "auto" : NULL);
	} else if (chance(2)) {
		change_service();
	} else {
		change_slice();
	}
}

static void any_changes_give_what_a_computation_from_scratch_gives(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 6; seed++) {
		rng_init(&world.rng, seed);
		catalog_limit(&world.catalog, seed < 5 ? 0 : seed);
		for (unsigned i = 0; i < 2000; i++) {
			change_something();
			if (chance(3))
				continue; /* several changes in one build */
			struct draft_list list = refresh();
			if (!chance(4))
				build(&list);
		}
	}
}

static void begin_anew(void)
{
	catalog_fini(&world.catalog);
	for (unsigned i = 0; i < SERVICES; i++) {
		if (world.services[i])
			catalog_service_changed(&world.catalog, NULL,
						&world.services[i]->service.object);
	}
	for (unsigned i = 0; i < SLICES; i++) {
		if (world.slices[i])
			catalog_slice_changed(&world.catalog, NULL, &world.slices[i]->slice.object);
	}
}

/* Everything is told again with the n-th allocation of the catalog failing. True: it was noticed.
 */
static bool try_short_of_memory(unsigned n)
{
	struct draft_list list;
	for (unsigned i = 0; i < 4; i++)
		change_something();
	mem_fail_nth(n);
	begin_anew();
	catalog_refresh(&world.catalog, &world.place, &list);
	mem_fail_nth(0);
	bool has_gaps = world.catalog.has_gaps;
	if (has_gaps)
		begin_anew();
	assert_false(world.catalog.has_gaps);
	list = refresh();
	build(&list);
	return has_gaps;
}

static void what_was_lost_for_want_of_memory_is_there_after_a_new_beginning(void **state)
{
	unsigned gaps = 0;
	(void)state;
	rng_init(&world.rng, 7);
	for (unsigned i = 0; i < 30; i++)
		change_something();
	for (unsigned n = 1; n <= 400; n++)
		gaps += try_short_of_memory(1 + n % 150);
	assert_true(gaps > 100);
}

static void endpoints_that_go_do_harm_where_their_service_is_used(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		world.used = i ? "/svc/shop/a/80" : "/svc/shop/b/80";
		put_pair(0, false, 100, "10.0.0.1");
		assert_false(world.did_harm);
		(void)refresh();
		struct held_slice *more = new_slice(0, "a");
		add_endpoint(more, "10.0.0.1");
		add_endpoint(more, "10.0.0.2");
		put_slice(0, more);
		assert_false(world.did_harm);
		struct held_slice *less = new_slice(0, "a");
		add_endpoint(less, "10.0.0.2");
		put_slice(0, less);
		assert_int_equal(world.did_harm, i);
		put_slice(0, NULL);
		assert_int_equal(world.did_harm, i);
	}
}

static void a_pod_that_ends_here_makes_its_services_stale(void **state)
{
	struct kube_pod pod = pod_of("web-1", NULL, 0);
	static struct ended_pods ended;
	(void)state;
	ended = (struct ended_pods){0};
	world.place.ended = &ended;
	world.used = "/svc/shop/b/80";
	for (unsigned i = 0; i < 2; i++) {
		put_pair(i, false, 100, i ? "10.0.0.2" : "10.0.0.1");
		world.slices[i]->endpoints[0].pod_uid = i ? "b" : "a";
		world.slices[i]->endpoints[0].node = "n1";
	}
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/1!\n"
	       "/svc/shop/b/80 p1 b1 10.96.0.2 80 : 10.0.0.2:8080/1!\n");
	for (unsigned i = 0; i < 2; i++) {
		pod.object.uid = i ? "b" : "a";
		assert_true(ended_note(&ended, &pod.object, NULL));
		assert_int_equal(catalog_pod_ended(&world.catalog, &pod.object), i);
	}
	pod.object.uid = "c";
	assert_false(catalog_pod_ended(&world.catalog, &pod.object));
	expect("/svc/shop/a/80 p1 b1 10.96.0.1 80 : 10.0.0.1:8080/0!\n"
	       "/svc/shop/b/80 p1 b1 10.96.0.2 80 : 10.0.0.2:8080/0!\n");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_slice_may_come_before_its_service),
		test(a_slice_without_a_service_or_of_another_namespace_is_nobodys),
		test(a_slice_may_move_to_another_service),
		test(a_pod_of_two_services_is_the_cluster_ip_ones_until_that_goes),
		test(an_address_that_two_namespaces_claim_is_not_balanced),
		test(nobody_takes_dials_to_the_api_server),
		test(only_what_changed_is_looked_at_again),
		test(a_failed_build_leaves_changes_to_the_next),
		test(tcp_and_udp_of_one_number_are_one_service),
		test(a_service_of_the_config_takes_a_name_while_it_has_it),
		test(another_zone_is_another_choice),
		test(a_service_says_how_it_is_balanced),
		test(a_service_says_what_shortcut_it_has_before_its_namespace),
		test(a_namespace_without_another_word_makes_nothing_stale),
		test(any_changes_give_what_a_computation_from_scratch_gives),
		test(endpoints_that_go_do_harm_where_their_service_is_used),
		test(a_pod_that_ends_here_makes_its_services_stale),
		test(what_was_lost_for_want_of_memory_is_there_after_a_new_beginning),
	};
	long live = mem_live();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed ? failed : mem_live() != live;
}
