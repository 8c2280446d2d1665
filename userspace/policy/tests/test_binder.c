/* What names are bound to in a snapshot, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/builder.h"
#include "policy/binder.h"

static struct service_draft services[] = {
	{.name = "web"},
	{.name = "a/b"},
	{.name = "/svc/shop/cart/80"},
	{.name = "#/fs/file"},
	{.name = "#/dns/here.example/80"},
	{.name = "#/dns/gone.example/80", .standing = STANDING_ABSENT},
	{.name = "#/dns/full.example/80", .standing = STANDING_REFUSED},
	{.name = "#/srv/_http._tcp.web"},
};
static struct namer_draft namers[] = {
	{.kind = NAMER_FILES, .prefix = "", .root_dir = "/x", .pattern = "", .name = ""},
	{.kind = NAMER_REWRITE,
	 .prefix = "turn",
	 .root_dir = "",
	 .pattern = "/{a}-{b}",
	 .name = "/svc/{b}"},
	{.kind = NAMER_DNS, .prefix = "", .ttl_max_ns = 1},
	{.kind = NAMER_DNS_SRV, .prefix = "srv", .ttl_max_ns = 1},
};

struct set_up {
	struct snapshot *snapshot;
	struct binder *binder;
};

static struct snapshot *build(const char *dtab, const struct snapshot *previous)
{
	const struct build_options options = {.previous = previous, .namers = &namer_compiler};
	struct draft draft = {
		.services = {array_count(services), services},
		.namers = {array_count(namers), namers},
		.dtab.text = dtab,
	};
	struct snapshot *snapshot;
	draft.settings.admin_address = draft.settings.control_socket = draft.settings.pin_dir = "";
	draft.settings.cgroup_root = draft.settings.kube_api = draft.settings.kube_node = "";
	draft.settings.proc_root = draft.settings.log_level = "";
	assert_int_equal(snapshot_build(&draft, &options, &snapshot), 0);
	return snapshot;
}

static struct set_up set_up(const char *dtab)
{
	struct set_up all = {build(dtab, NULL), binder_new()};
	assert_non_null(all.binder);
	return all;
}

static void tear_down(struct set_up *all)
{
	binder_free(all->binder);
	snapshot_free(all->snapshot);
}

static const struct bound_name *bind_with(struct set_up *all, const char *name, const char *local)
{
	struct span text = span_text(local ? local : "");
	const struct bind_request request = {span_text(name), &text, local != NULL};
	struct binding binding;
	struct name_error where;
	uint32_t at;
	assert_int_equal(binder_bind(all->binder, all->snapshot, &request, &binding, &at, &where),
			 0);
	return binding.bound;
}

static void expect(struct set_up *all, const char *name, const char *local, const char *wanted)
{
	struct text got = {0};
	name_tree_print(bind_with(all, name, local)->tree, &got);
	assert_string_equal(got.data, wanted);
	text_fini(&got);
}

static void names_of_services_are_found_whatever_their_form(void **state)
{
	struct set_up all = set_up("");
	(void)state;
	expect(&all, "/svc/web", NULL, "/#/weft/web");
	expect(&all, "/svc/web/more", NULL, "/#/weft/web");
	expect(&all, "/svc/a/b", NULL, "/#/weft/a/b");
	expect(&all, "/svc/shop/cart/80", NULL, "/#/weft/shop/cart/80");
	expect(&all, "/svc/nobody", NULL, "~");
	const struct bound_name *bound = bind_with(&all, "/svc/shop/cart/80/x", NULL);
	const struct service *service =
		snapshot_service_named(all.snapshot, span_text("/svc/shop/cart/80"));
	assert_int_equal(bound->tree->target, service->id);
	assert_int_equal(bound->tree->residual.count, 1);
	tear_down(&all);
}

static void namers_of_the_config_are_asked(void **state)
{
	struct set_up all = set_up("/svc/f => /#/fs/file; /svc/g => /#/fs/none | /#/turn/x-web");
	(void)state;
	expect(&all, "/svc/f", NULL, "/#/fs/file");
	expect(&all, "/svc/g", NULL, "/#/weft/web");
	tear_down(&all);
}

static void names_of_dns_are_bound_absent_failed_or_wanted(void **state)
{
	struct set_up all = set_up("/svc/pair => /#/dns/new.example/80 & /#/dns/here.example/80");
	const struct bind_request pending = {.name = span_text("/#/dns/New.Example/80/more")};
	const struct bind_request pair = {.name = span_text("/svc/pair")};
	struct binding binding;
	struct name_error where;
	uint32_t at;
	(void)state;
	expect(&all, "/#/dns/HERE.example/80/more", NULL, "/#/dns/HERE.example/80");
	expect(&all, "/#/srv/_http._tcp.web/more", NULL, "/#/srv/_http._tcp.web");
	expect(&all, "/#/dns/gone.example/80", "/#/dns/gone.example => /x", "~");
	expect(&all, "/#/dns/full.example/80", NULL, "!");
	expect(&all, "/#/dns/here.example", NULL, "~");
	char long_name[256] = "/#/dns/";
	memset(long_name + 7, 'a', 190);
	memcpy(long_name + 197, "/80", 4);
	expect(&all, long_name, NULL, "~");
	expect(&all, "/#/dns/here.example/0", NULL, "~");
	expect(&all, "/#/dns/he\\x20re/80", NULL, "~");
	for (int i = 0; i < 2; i++) { /* not remembered */
		assert_int_equal(
			binder_bind(all.binder, all.snapshot, &pending, &binding, &at, &where), 0);
		assert_int_equal(binding.bound->state, DELEGATE_PENDING);
		assert_int_equal(binding.wanted_count, 1);
		assert_string_equal(binding.wanted[0], "#/dns/new.example/80");
		assert_int_equal(
			binder_bind(all.binder, all.snapshot, &pair, &binding, &at, &where), 0);
		assert_int_equal(binding.bound->state, DELEGATE_BOUND);
		assert_int_equal(binding.wanted_count, 1);
	}
	assert_int_equal(
		binder_explain(all.binder, all.snapshot, &pending, NULL, &binding, &at, &where), 0);
	assert_int_equal(binding.bound->state, DELEGATE_PENDING);
	assert_int_equal(binding.wanted_count, 0);
	tear_down(&all);
}

/* By the namer of kind dns, under the ids that Linkerd gave them. */
static void hosts_of_inet_names_are_asked_of_dns(void **state)
{
	struct set_up all = set_up("/svc => /$/inet ; /host => /$/io.buoyant.rinet/80");
	(void)state;
	const struct bound_name *bound = bind_with(&all, "/svc/here.example/80", NULL);
	const struct service *here =
		snapshot_service_named(all.snapshot, span_text("#/dns/here.example/80"));
	assert_int_equal(bound->tree->target, here->id);
	expect(&all, "/svc/here.example/80/more", NULL, "/$/inet/here.example/80");
	expect(&all, "/host/here.example", NULL, "/$/io.buoyant.rinet/80/here.example");
	expect(&all, "/svc/gone.example/80", "/svc/gone.example => /x", "~");
	expect(&all, "/svc/full.example/80", NULL, "!");
	/* addresses, and a port of this machine, are what they are */
	expect(&all, "/svc/10.0.0.1/80", NULL, "/$/inet/10.0.0.1/80");
	expect(&all, "/svc/80", NULL, "/$/inet/80");
	const struct bind_request pending = {.name = span_text("/svc/new.example/80")};
	struct binding binding;
	struct name_error where;
	uint32_t at;
	assert_int_equal(binder_bind(all.binder, all.snapshot, &pending, &binding, &at, &where), 0);
	assert_int_equal(binding.bound->state, DELEGATE_PENDING);
	assert_int_equal(binding.wanted_count, 1);
	assert_string_equal(binding.wanted[0], "#/dns/new.example/80");
	tear_down(&all);
}

static void a_name_of_dns_is_in_use_each_time_it_is_bound(void **state)
{
	struct set_up all = set_up("/svc/x => /#/dns/gone.example/80 | /#/dns/here.example/80");
	const struct service *here =
		snapshot_service_named(all.snapshot, span_text("#/dns/here.example/80"));
	const struct service *gone =
		snapshot_service_named(all.snapshot, span_text("#/dns/gone.example/80"));
	(void)state;
	assert_false(service_take_wanted(here));
	for (int i = 0; i < 2; i++) { /* the second time from memory */
		expect(&all, "/svc/x", NULL, "/#/dns/here.example/80");
		assert_true(service_take_wanted(here));
		assert_true(service_take_wanted(gone));
		assert_false(service_take_wanted(here));
	}
	tear_down(&all);
}

static void entries_of_the_request_win_and_are_one_line(void **state)
{
	struct set_up all = set_up("/svc/x => /svc/web");
	struct span locals[2] = {span_text("/svc/x=>/svc/a/b ;# first"), span_text("/a=>/b")};
	const struct bind_request request = {span_text("/svc/x"), locals, 2};
	struct binding binding;
	struct name_error where;
	uint32_t at;
	(void)state;
	expect(&all, "/svc/x", NULL, "/#/weft/web");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			binder_bind(all.binder, all.snapshot, &request, &binding, &at, &where), 0);
		assert_true(span_is(binding.local, "/svc/x => /svc/a/b; /a => /b"));
	}
	locals[1] = span_text("/a =>");
	assert_int_equal(binder_bind(all.binder, all.snapshot, &request, &binding, &at, &where),
			 -EINVAL);
	assert_int_equal(at, 1);
	assert_int_equal(where.column, 6);
	tear_down(&all);
}

static void what_is_remembered_is_the_same_until_the_next_snapshot(void **state)
{
	struct set_up all = set_up("");
	(void)state;
	const struct bound_name *first = bind_with(&all, "/svc/web", NULL);
	assert_ptr_equal(bind_with(&all, "/svc/web", NULL), first);
	struct snapshot *next = build("/svc/web => /svc/a/b", all.snapshot);
	snapshot_free(all.snapshot);
	all.snapshot = next;
	expect(&all, "/svc/web", NULL, "/#/weft/a/b | /#/weft/web");
	tear_down(&all);
}

static void many_names_cost_no_more_memory_than_the_limit(void **state)
{
	struct set_up all = set_up("");
	char name[32];
	long at_limit = 0;
	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "/svc/web/%d", 10000 + i);
		bind_with(&all, name, i % 2 ? "/x => /y" : NULL);
		if (i == 2 * BINDER_NAMES_MAX)
			at_limit = mem_live();
	}
	assert_int_equal(mem_live(), at_limit);
	tear_down(&all);
}

static void ids_that_are_no_services_are_addresses_or_statuses(void **state)
{
	static const struct {
		const char *id;
		int error;
		const char *address;
	} cases[] = {
		{"/$/inet/10.0.0.1/80", 0, "10.0.0.1:80"},
		{"/$/fixedinet/::1/8080", 0, "[::1]:8080"},
		{"/$/io.buoyant.rinet/80/10.0.0.2", 0, "10.0.0.2:80"},
		{"/$/inet/example.com/80", -ENOENT, NULL},
		{"/$/inet/80", -EINVAL, NULL},
		{"/#/weft/web", -EINVAL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct name_arena arena;
		struct name_path path;
		struct name_error where;
		struct weft_address address;
		char text[ADDRESS_TEXT_MAX];
		name_arena_init(&arena, NULL, 0);
		assert_int_equal(name_path_parse(span_text(cases[i].id), &arena, &path, &where), 0);
		assert_int_equal(binder_address(path, &address), cases[i].error);
		if (cases[i].address)
			assert_string_equal(address_print(&address, text), cases[i].address);
		assert_int_equal(binder_status(path), 0);
		name_arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_services_are_found_whatever_their_form),
		cmocka_unit_test(namers_of_the_config_are_asked),
		cmocka_unit_test(names_of_dns_are_bound_absent_failed_or_wanted),
		cmocka_unit_test(hosts_of_inet_names_are_asked_of_dns),
		cmocka_unit_test(a_name_of_dns_is_in_use_each_time_it_is_bound),
		cmocka_unit_test(entries_of_the_request_win_and_are_one_line),
		cmocka_unit_test(what_is_remembered_is_the_same_until_the_next_snapshot),
		cmocka_unit_test(many_names_cost_no_more_memory_than_the_limit),
		cmocka_unit_test(ids_that_are_no_services_are_addresses_or_statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
