#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/builder.h"
#include "model/keys.h"
#include "model/publish.h"

#define READERS     3
#define GENERATIONS 300

struct reader {
	pthread_t thread;
	struct snapshot_slot *slot;
	atomic_bool *must_end;
	atomic_ulong turns;
	uint64_t seen; /* last generation */
	bool went_back;
	bool was_torn;
};

/* A snapshot whose only service says its generation twice. */
static struct snapshot *snapshot_of(const struct snapshot *previous, unsigned generation)
{
	char name[16];
	struct draft draft = {0};
	struct endpoint_draft endpoint = {.weight = generation};
	struct draft_value ip = {0};
	struct draft_value port = {.number = 80};
	struct service_draft services[2] = {
		{.name = name,
		 .addresses = {1, &ip},
		 .ports = {1, &port},
		 .endpoints = {1, &endpoint}},
		{.name = "same", .addresses = {1, &ip}, .ports = {1, &port}},
	};
	struct draft_value other_port = {.number = 81};
	struct snapshot *next = NULL;
	struct build_options options = {.previous = previous};

	keys_set_defaults(NULL, &draft);
	snprintf(name, sizeof(name), "g%u", generation);
	assert_int_equal(address_parse_ip(span_text("10.96.0.1"), 0, &ip.address), 0);
	assert_int_equal(address_parse(span_text("10.0.0.1:80"), &endpoint.address), 0);
	services[1].ports.items = &other_port;
	draft.services = (struct draft_list){2, services};
	assert_int_equal(snapshot_build(&draft, &options, &next), 0);
	return next;
}

static void look(struct reader *reader)
{
	const struct snapshot *snapshot = snapshot_current(reader->slot);
	char name[32];
	snprintf(name, sizeof(name), "g%llu", (unsigned long long)snapshot->generation);
	const struct service *service = snapshot_service_named(snapshot, span_text(name));
	const struct service *same = snapshot_service_named(snapshot, span_text("same"));
	reader->was_torn |=
		!service || !same || service->endpoints[0].weight != snapshot->generation;
	reader->went_back |= snapshot->generation < reader->seen;
	reader->seen = snapshot->generation;
}

static void *read_on(void *argument)
{
	struct reader *reader = argument;
	snapshot_reader_register();
	while (!atomic_load(reader->must_end)) {
		look(reader);
		atomic_fetch_add(&reader->turns, 1);
		snapshot_reader_offline();
		snapshot_reader_online();
	}
	snapshot_reader_unregister();
	return NULL;
}

static void readers_see_whole_snapshots_while_they_are_replaced(void **state)
{
	struct snapshot_slot *slot = snapshot_slot_new();
	struct reader readers[READERS] = {0};
	atomic_bool must_end = false;
	(void)state;
	assert_null(snapshot_current(slot));
	snapshot_publish(slot, snapshot_of(NULL, 1));
	for (unsigned i = 0; i < READERS; i++) {
		readers[i].slot = slot;
		readers[i].must_end = &must_end;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (unsigned generation = 2; generation <= GENERATIONS; generation++)
		snapshot_publish(slot, snapshot_of(snapshot_current(slot), generation));
	for (unsigned i = 0; i < READERS; i++) {
		unsigned long turns = atomic_load(&readers[i].turns);
		while (atomic_load(&readers[i].turns) < turns + 2)
			sched_yield(); /* until it has seen the last one */
	}
	atomic_store(&must_end, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_false(readers[i].was_torn);
		assert_false(readers[i].went_back);
		assert_int_equal(readers[i].seen, GENERATIONS);
	}
	snapshot_slot_free(slot);
}

struct holder {
	struct snapshot_slot *slot;
	atomic_int step;
	bool saw_old;
};

static void await(atomic_int *step, int wanted)
{
	while (atomic_load(step) < wanted)
		sched_yield();
}

/* Holds the first snapshot while the second is published, then lets go. */
static void *hold(void *argument)
{
	struct holder *holder = argument;
	snapshot_reader_register();
	const struct snapshot *held = snapshot_current(holder->slot);
	atomic_store(&holder->step, 1);
	while (snapshot_current(holder->slot) == held)
		sched_yield();
	/* The publisher is waiting for this thread: the old one must still be whole. */
	holder->saw_old =
		held->generation == 1 && snapshot_service_named(held, span_text("g1")) != NULL;
	snapshot_reader_offline();
	await(&holder->step, 2);
	snapshot_reader_unregister();
	return NULL;
}

static void an_old_snapshot_lives_until_its_reader_lets_go(void **state)
{
	struct holder holder = {.slot = snapshot_slot_new()};
	pthread_t thread;
	(void)state;
	snapshot_publish(holder.slot, snapshot_of(NULL, 1));
	assert_int_equal(pthread_create(&thread, NULL, hold, &holder), 0);
	await(&holder.step, 1);
	snapshot_publish(holder.slot, snapshot_of(snapshot_current(holder.slot), 2));
	/* An offline reader holds nobody up. */
	snapshot_publish(holder.slot, snapshot_of(snapshot_current(holder.slot), 3));
	atomic_store(&holder.step, 2);
	pthread_join(thread, NULL);
	assert_true(holder.saw_old);
	snapshot_slot_free(holder.slot);
}

static void everything_is_freed_with_the_slot(void **state)
{
	long live = mem_live();
	(void)state;
	struct snapshot_slot *slot = snapshot_slot_new();
	snapshot_publish(slot, snapshot_of(NULL, 1));
	snapshot_publish(slot, snapshot_of(snapshot_current(slot), 2));
	snapshot_slot_free(slot);
	snapshot_slot_free(NULL);
	assert_int_equal(mem_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_snapshots_while_they_are_replaced),
		cmocka_unit_test(an_old_snapshot_lives_until_its_reader_lets_go),
		cmocka_unit_test(everything_is_freed_with_the_slot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
