/* A build on top of the snapshot before is what a build from nothing is, but for the ids; and those
 * stay, are nobody else's, and come back late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "model/builder.h"
#include "model/keys.h"

#define SERVICES  12
#define CONFIGS   2 /* the first of them, which must be right */
#define ENDPOINTS 6
#define IPS       14 /* of services: some clash */

/* One service that may be asked for. */
struct wish {
	char name[16];
	bool is_wanted;
	struct draft_value ip;
	struct draft_value port;
	struct endpoint_draft endpoints[ENDPOINTS];
	struct service_draft draft;
};

static struct world {
	struct rng rng;
	struct wish wishes[SERVICES];
	struct snapshot *current;
} world;

static uint32_t below(uint32_t bound)
{
	return rng_below(&world.rng, bound);
}

static void change(struct wish *wish)
{
	uint32_t count = 0;
	wish->is_wanted = below(5) > 0;
	wish->ip.address = (struct weft_address){.ip = {[15] = (uint8_t)(1 + below(IPS))}};
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		if (below(2))
			continue;
		struct weft_address address = {.ip = {[14] = 1, [15] = (uint8_t)i}, .port = 80};
		wish->endpoints[count++] =
			(struct endpoint_draft){.weight = below(3), .address = address};
	}
	wish->draft.endpoints.count = count;
	wish->draft.protocol = (enum protocol)below(2);
	wish->draft.same_id = 0;
}

/* Some have names of services of the config. */
static void begin(uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	rng_init(&world.rng, seed);
	for (uint32_t i = 0; i < SERVICES; i++) {
		struct wish *wish = &world.wishes[i];
		snprintf(wish->name, sizeof(wish->name), "s%02u", i < 4 ? i % 3 : i);
		wish->port.number = 80;
		wish->draft = (struct service_draft){
			.name = wish->name,
			.may_be_left_out = i >= CONFIGS,
			.addresses = {.count = 1, .items = &wish->ip},
			.ports = {.count = 1, .items = &wish->port},
			.endpoints = {.items = wish->endpoints},
		};
		change(wish);
	}
	world.wishes[2].is_wanted = false;
}

static bool build_all(const struct snapshot *previous, struct snapshot **ret_snapshot)
{
	struct service_draft drafts[SERVICES];
	struct draft draft = {0};
	struct build_options options = {.previous = previous};
	keys_set_defaults(NULL, &draft);
	draft.services.items = drafts;
	for (uint32_t i = 0; i < SERVICES; i++) {
		const struct wish *wish = &world.wishes[i];
		if (wish->is_wanted)
			drafts[draft.services.count++] = wish->draft;
	}
	return snapshot_build(&draft, &options, ret_snapshot) == 0;
}

/* ---- what the snapshot says, without ids ---- */

static int compare_endpoints(const void *a, const void *b)
{
	return memcmp(&((const struct endpoint *)a)->address,
		      &((const struct endpoint *)b)->address, sizeof(struct weft_address));
}

static void print_service(struct text *text, const struct service *service)
{
	struct endpoint endpoints[ENDPOINTS] = {0};
	uint32_t count = service->endpoint_count;
	text_printf(text, "%s %u %u %u", service->name, service->protocol, service->ready_count,
		    service->may_be_left_out);
	if (count)
		memcpy(endpoints, service->endpoints, count * sizeof(*endpoints));
	qsort(endpoints, count, sizeof(*endpoints), compare_endpoints);
	for (uint32_t i = 0; i < service->address_count; i++)
		text_printf(text, " %u", service->addresses[i].ip[15]);
	for (uint32_t i = 0; i < count; i++)
		text_printf(text, " %s/%u", endpoints[i].text, endpoints[i].weight);
	text_add(text, span_text("\n"));
}

static void print_snapshot(struct text *text, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++)
		print_service(text, snapshot->services[i]);
	for (uint32_t ip = 1; ip <= IPS; ip++) {
		struct weft_address address = {.ip = {[15] = (uint8_t)ip},
					       .port = __builtin_bswap16(80)};
		const struct service *service = snapshot_service_at(snapshot, &address);
		text_printf(text, "%u %s\n", ip, service ? service->name : "-");
	}
}

static void check_against_nothing(const struct snapshot *next)
{
	uint32_t same_ids[SERVICES];
	struct snapshot *alone;
	struct text got = {0};
	struct text wanted = {0};
	for (uint32_t i = 0; i < SERVICES; i++) {
		same_ids[i] = world.wishes[i].draft.same_id;
		world.wishes[i].draft.same_id = 0;
	}
	assert_true(build_all(NULL, &alone));
	for (uint32_t i = 0; i < SERVICES; i++)
		world.wishes[i].draft.same_id = same_ids[i];
	print_snapshot(&got, next);
	print_snapshot(&wanted, alone);
	if (!span_equal(text_span(&got), text_span(&wanted)))
		fail_msg("got:\n%.*s\nwanted:\n%.*s", SPAN_PRINT(text_span(&got)),
			 SPAN_PRINT(text_span(&wanted)));
	text_fini(&got);
	text_fini(&wanted);
	snapshot_free(alone);
}

/* ---- ids ---- */

static bool has_endpoint(const struct snapshot *snapshot, uint32_t id)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		if (service_endpoint(snapshot->services[i], id))
			return true;
	}
	return false;
}

static void check_endpoint_ids(const struct snapshot *next, const struct service *service,
			       const struct service *old)
{
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		const struct endpoint *endpoint = &service->endpoints[i];
		const struct endpoint *before =
			old ? service_endpoint_at(old, &endpoint->address) : NULL;
		assert_true(endpoint->id < next->endpoint_id_limit);
		if (before)
			assert_int_equal(endpoint->id, before->id);
		else if (world.current)
			assert_false(has_endpoint(world.current, endpoint->id));
	}
}

static uint32_t bits_of(const struct ids *ids)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < ids->space / 64; i++)
		count += (uint32_t)__builtin_popcountll(ids->used[i]);
	return count;
}

static void check_ids(const struct snapshot *next)
{
	uint32_t endpoints = 0;
	for (uint32_t i = 0; i < next->service_count; i++) {
		const struct service *service = next->services[i];
		const struct service *old =
			world.current
				? snapshot_service_named(world.current, span_text(service->name))
				: NULL;
		assert_ptr_equal(snapshot_service(next, service->id), service);
		if (old)
			assert_int_equal(service->id, old->id);
		else if (world.current)
			assert_null(snapshot_service(world.current, service->id));
		check_endpoint_ids(next, service, old);
		endpoints += service->endpoint_count;
		for (uint32_t j = 0; j < service->endpoint_count; j++)
			assert_false(ids_hold((struct ids *)&next->endpoint_ids,
					      service->endpoints[j].id));
	}
	assert_int_equal(next->endpoint_count, endpoints);
	assert_int_equal(bits_of(&next->endpoint_ids), endpoints);
	assert_true(next->endpoint_id_limit <= 1024);
}

/* As the owner of a draft learns it. */
static void learn(const struct snapshot *next)
{
	for (uint32_t i = CONFIGS; i < SERVICES; i++) {
		struct wish *wish = &world.wishes[i];
		const struct service *service = snapshot_service_named(next, span_text(wish->name));
		wish->draft.same_id =
			wish->is_wanted && service && service->may_be_left_out ? service->id : 0;
	}
}

static void any_build_is_what_a_build_from_nothing_is(void **state)
{
	unsigned shared = 0;
	unsigned refused = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed);
		for (unsigned round = 0; round < 300; round++) {
			struct snapshot *next;
			for (uint32_t i = 1 + below(3); i > 0; i--)
				change(&world.wishes[below(SERVICES)]);
			/* two of one source never have one name */
			world.wishes[2].is_wanted = false;
			if (!build_all(world.current, &next)) {
				refused++;
				continue;
			}
			check_against_nothing(next);
			check_ids(next);
			for (uint32_t i = 0; i < next->service_count; i++)
				shared += next->services[i]->users > 1;
			snapshot_free(world.current);
			world.current = next;
			learn(next);
		}
		snapshot_free(world.current);
	}
	assert_true(shared > 1000);
	assert_true(refused > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_build_is_what_a_build_from_nothing_is),
	};
	long live = mem_live();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed ? failed : mem_live() != live;
}
