#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "telemetry/series.h"

#define WORKERS 3u

static struct weft_series rows[WORKERS * WEFT_SERIES_MAX];
static struct weft_series_label labels[WEFT_SERIES_MAX];
static struct weft_proxy_counts proxy[WEFT_WORKERS_MAX];
static struct series_store store;

static int fresh_store(void **state)
{
	(void)state;
	memset(rows, 0, sizeof(rows));
	memset(labels, 0, sizeof(labels));
	memset(proxy, 0, sizeof(proxy));
	series_store_init(&store, rows, labels, proxy, WORKERS);
	return 0;
}

static uint32_t slot_of(const char *service, const char *endpoint)
{
	return series_slot(&store, span_text(service), span_text(endpoint));
}

static uint64_t requests_of(uint32_t slot)
{
	struct weft_series sum;
	series_sum(&store, slot, &sum);
	return sum.requests;
}

static void a_label_keeps_its_slot(void **state)
{
	(void)state;
	uint32_t total = slot_of("web", "");
	uint32_t endpoint = slot_of("web", "10.0.0.1:80");
	assert_int_not_equal(total, SERIES_OVERFLOW);
	assert_int_not_equal(total, endpoint);
	assert_int_equal(slot_of("web", ""), total);
	assert_int_equal(slot_of("web", "10.0.0.1:80"), endpoint);
	assert_string_equal(labels[endpoint].service, "web");
	assert_string_equal(labels[endpoint].endpoint, "10.0.0.1:80");
	assert_int_equal(labels[endpoint].state, WEFT_SERIES_READY);
}

static void names_do_not_run_into_one_another(void **state)
{
	(void)state;
	assert_int_not_equal(slot_of("ab", "c"), slot_of("a", "bc"));
	assert_int_not_equal(slot_of("abc", ""), slot_of("a", "bc"));
}

static void a_full_table_counts_as_overflow_and_still_finds_the_old(void **state)
{
	(void)state;
	uint32_t first = slot_of("service-0", "");
	for (unsigned i = 0; i < WEFT_SERIES_MAX - 1; i++) {
		char name[32];
		snprintf(name, sizeof(name), "service-%u", i);
		assert_int_not_equal(slot_of(name, ""), SERIES_OVERFLOW);
	}
	assert_int_equal(slot_of("one-more", ""), SERIES_OVERFLOW);
	assert_int_equal(slot_of("service-0", ""), first);
	assert_string_equal(labels[SERIES_OVERFLOW].service, "overflow");
}

static void names_that_apps_invent_leave_room_for_services(void **state)
{
	(void)state;
	uint32_t first = series_slot_spare(&store, span_text("192.0.2.1:80"));
	unsigned found = 0;
	assert_int_not_equal(first, SERIES_OVERFLOW);
	for (unsigned i = 0; i < WEFT_SERIES_MAX; i++) {
		char name[32];
		snprintf(name, sizeof(name), "192.0.2.2:%u", i);
		found += series_slot_spare(&store, span_text(name)) != SERIES_OVERFLOW;
	}
	assert_in_range(found, WEFT_SERIES_MAX / 2, WEFT_SERIES_MAX * 3 / 4);
	assert_int_not_equal(slot_of("web", ""), SERIES_OVERFLOW);
	assert_int_equal(series_slot_spare(&store, span_text("192.0.2.1:80")), first);
	assert_int_equal(series_slot_spare(&store, span_text("192.0.2.3:80")), SERIES_OVERFLOW);
}

static uint32_t route_of(const char *route, const char *rule)
{
	return series_slot_route(&store, span_text(route), span_text(rule));
}

static void routes_have_slots_of_their_own(void **state)
{
	uint32_t found;
	(void)state;
	uint32_t service = slot_of("web", "0");
	uint32_t rule = route_of("web", "0");
	assert_int_not_equal(rule, SERIES_OVERFLOW);
	assert_int_not_equal(rule, service);
	assert_int_not_equal(rule, route_of("web", "1"));
	assert_int_equal(route_of("web", "0"), rule);
	assert_int_equal(labels[rule].kind, WEFT_SERIES_ROUTE);
	assert_true(series_find_route(&store, span_text("web"), span_text("0"), &found));
	assert_int_equal(found, rule);
	assert_false(series_find_route(&store, span_text("web"), span_text("2"), &found));
	struct series_sample *samples;
	size_t count;
	assert_int_equal(series_collect(&store, &samples, &count), 0);
	assert_int_equal(count, 4); /* with overflow */
	assert_int_equal(series_of_services(samples, count), 2);
	assert_int_equal(samples[2].slot, rule);
	mem_free(samples);
}

static void routes_leave_room_for_services(void **state)
{
	unsigned found = 0;
	(void)state;
	for (unsigned i = 0; i < WEFT_SERIES_MAX; i++) {
		char rule[32];
		snprintf(rule, sizeof(rule), "%u", i);
		found += route_of("web", rule) != SERIES_OVERFLOW;
	}
	assert_in_range(found, WEFT_SERIES_MAX / 2, WEFT_SERIES_MAX * 3 / 4);
	assert_int_not_equal(slot_of("web", ""), SERIES_OVERFLOW);
	assert_int_not_equal(route_of("web", "0"), SERIES_OVERFLOW);
	assert_int_equal(route_of("web", "more"), SERIES_OVERFLOW);
}

static void a_retired_routes_slot_is_found_and_may_be_kept(void **state)
{
	static bool used[WEFT_SERIES_MAX];
	uint32_t rule = route_of("web", "0");
	uint32_t found;
	(void)state;
	memset(used, 0, sizeof(used));
	series_row(&store, 0, rule)->requests = 3;
	assert_int_equal(series_retire(&store, used), 1);
	assert_true(series_find_route(&store, span_text("web"), span_text("0"), &found));
	used[found] = true;
	series_settle(&store, used);
	assert_int_equal(requests_of(route_of("web", "0")), 3);
}

/* As the balancer's own estimates do (linkerd1.md L2). */
static void the_highest_cost_fades(void **state)
{
	uint32_t slot = slot_of("web", "10.0.0.1:80");
	(void)state;
	assert_int_equal(series_cost_us(&store, slot, 5, 10e9), 0);
	series_tell_cost(series_row(&store, 0, slot), 8000000, 1000000000);
	series_tell_cost(series_row(&store, 2, slot), 4000000, 11000000000);
	assert_int_equal(series_cost_us(&store, slot, 1000000000, 10e9), 8000);
	assert_int_equal(series_cost_us(&store, slot, 11000000000, 10e9), 4000);
	assert_in_range(series_cost_us(&store, slot, 21000000000, 10e9), 1471, 1472);
	struct weft_series sum;
	series_sum(&store, slot, &sum);
	assert_true(series_is_zero(&sum)); /* it is no counter */
	series_store_init(&store, rows, labels, proxy, WORKERS);
	assert_int_equal(series_cost_us(&store, slot, 11000000000, 10e9), 0);
}

static void a_long_label_is_cut_at_a_whole_character(void **state)
{
	(void)state;
	char name[WEFT_NAME_MAX + 10];
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	uint32_t slot = slot_of(name, "");
	assert_int_equal(strlen(labels[slot].service), WEFT_NAME_MAX - 1);
	assert_int_equal(slot_of(name, ""), slot);

	memcpy(name + WEFT_NAME_MAX - 2, "\xc3\xa4", 2); /* would be cut in the middle */
	slot = slot_of(name, "");
	assert_int_equal(strlen(labels[slot].service), WEFT_NAME_MAX - 2);
}

static void a_label_without_a_name_is_overflow(void **state)
{
	(void)state;
	assert_int_equal(slot_of("", ""), SERIES_OVERFLOW);
	assert_int_equal(slot_of("", "10.0.0.1:80"), SERIES_OVERFLOW);
}

/* Its own slot would be a second series of the same labels on the page. */
static void a_service_called_overflow_counts_there(void **state)
{
	(void)state;
	assert_int_equal(slot_of("overflow", ""), SERIES_OVERFLOW);
	assert_int_equal(series_slot_spare(&store, span_text("overflow")), SERIES_OVERFLOW);
	assert_int_not_equal(slot_of("overflow", "10.0.0.1:80"), SERIES_OVERFLOW);
	assert_int_equal(store.claimed, 2); /* the second is the endpoint's */
}

static void sums_go_over_all_workers(void **state)
{
	(void)state;
	uint32_t slot = slot_of("web", "");
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		struct weft_series *row = series_row(&store, worker, slot);
		series_add(&row->requests, 10 + worker);
		series_add(&row->responses[5], 1);
		series_add(&row->latency_buckets[WEFT_LATENCY_BUCKETS - 1], 2);
		series_add(&row->requests_active, worker);
	}
	struct weft_series sum;
	series_sum(&store, slot, &sum);
	assert_int_equal(sum.requests, 33);
	assert_int_equal(sum.responses[5], 3);
	assert_int_equal(sum.latency_buckets[WEFT_LATENCY_BUCKETS - 1], 6);
	assert_int_equal(sum.requests_active, 3);
	assert_int_equal(sum.retries, 0);
}

static void a_new_start_keeps_counters_and_closes_what_was_open(void **state)
{
	(void)state;
	uint32_t slot = slot_of("web", "");
	struct weft_series *row = series_row(&store, 1, slot);
	row->requests = 7;
	row->requests_active = 2;
	row->connections_opened = 5;
	row->connections_closed = 3;
	row->tunnels_opened = 4;
	proxy[1].sessions = 9;
	proxy[1].loop_turns = 100;
	proxy[1].block_bytes = 4096;

	series_store_init(&store, rows, labels, proxy, WORKERS);
	assert_int_equal(slot_of("web", ""), slot);
	assert_int_equal(row->requests, 7);
	assert_int_equal(row->requests_active, 0);
	assert_int_equal(row->connections_closed, 5);
	assert_int_equal(row->tunnels_closed, 4);
	assert_int_equal(proxy[1].sessions, 0);
	assert_int_equal(proxy[1].block_bytes, 0);
	assert_int_equal(proxy[1].loop_turns, 100);
}

static void what_a_dead_weftd_began_is_brought_to_an_end(void **state)
{
	bool nobody[WEFT_SERIES_MAX] = {0};
	(void)state;
	uint32_t slot = slot_of("web", "");
	series_row(&store, 1, slot)->requests = 7;
	labels[slot].state = WEFT_SERIES_CLAIMED; /* with half a label */
	uint32_t retired = slot_of("api", "");
	series_row(&store, 1, retired)->requests = 9;
	assert_int_equal(series_retire(&store, nobody), 1);
	series_store_init(&store, rows, labels, proxy, WORKERS);
	assert_int_equal(labels[slot].state, WEFT_SERIES_VACANT);
	assert_int_equal(labels[slot].service[0], 0);
	assert_int_equal(requests_of(slot_of("web", "")), 0);
	assert_int_equal(requests_of(slot_of("api", "")), 9);
}

/* ---- giving back ---- */

static void give_back_unused(const bool used[WEFT_SERIES_MAX])
{
	if (series_retire(&store, used))
		series_settle(&store, used);
}

static void a_slot_that_was_given_back_starts_at_zero_under_its_next_label(void **state)
{
	bool used[WEFT_SERIES_MAX] = {0};
	(void)state;
	uint32_t web = slot_of("web", "");
	uint32_t gone = slot_of("web", "10.0.0.1:80");
	used[web] = true;
	series_row(&store, 0, web)->requests = 5;
	series_row(&store, 0, gone)->requests = 2;
	series_row(&store, 1, gone)->latency_buckets[3] = 3;
	give_back_unused(used);
	struct weft_series zero = {0};
	struct weft_series sum;
	series_sum(&store, gone, &sum);
	assert_memory_equal(&sum, &zero, sizeof(sum));
	assert_int_equal(labels[gone].endpoint[0], 0);
	assert_true(store.was_given_back[gone]);
	assert_int_equal(requests_of(web), 5);
	assert_int_equal(slot_of("web", ""), web);
	assert_int_equal(requests_of(slot_of("web", "10.0.0.1:80")), 0);
}

static void ten_thousand_replaced_pods_do_not_fill_the_table(void **state)
{
	(void)state;
	uint32_t kept = slot_of("web", "");
	series_row(&store, 0, kept)->requests = 1;
	for (unsigned i = 0; i < 10000; i++) {
		bool used[WEFT_SERIES_MAX] = {0};
		char address[32];
		snprintf(address, sizeof(address), "10.%u.%u.1:80", i / 250, i % 250);
		uint32_t slot = slot_of("web", address);
		assert_int_not_equal(slot, SERIES_OVERFLOW);
		assert_int_equal(requests_of(slot), 0);
		series_row(&store, 0, slot)->requests = i + 1;
		used[kept] = used[slot] = true;
		give_back_unused(used);
		assert_int_equal(store.claimed, 3); /* overflow, the total, the endpoint */
	}
	assert_int_equal(slot_of("web", ""), kept);
	assert_int_equal(requests_of(kept), 1);
}

/* Labels that were placed behind a slot stay reachable when that one is given back. */
static void a_full_table_stays_reachable_while_others_come_and_go(void **state)
{
	static uint32_t slots[WEFT_SERIES_MAX];
	bool used[WEFT_SERIES_MAX];
	char name[32];
	(void)state;
	memset(used, true, sizeof(used));
	for (unsigned i = 1; i < WEFT_SERIES_MAX; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		slots[i] = slot_of(name, "");
		assert_int_not_equal(slots[i], SERIES_OVERFLOW);
		used[slots[i]] = i % 3 != 0;
	}
	assert_int_equal(slot_of("one more", ""), SERIES_OVERFLOW);
	for (unsigned round = 0; round < 3; round++) {
		give_back_unused(used);
		for (unsigned i = 1; i < WEFT_SERIES_MAX; i++) {
			snprintf(name, sizeof(name), "s%u", i);
			if (i % 3)
				assert_int_equal(slot_of(name, ""), slots[i]);
		}
		snprintf(name, sizeof(name), "round %u", round);
		assert_int_not_equal(slot_of(name, ""), SERIES_OVERFLOW);
	}
}

static void an_empty_table_is_free_again_in_the_end(void **state)
{
	bool nobody[WEFT_SERIES_MAX] = {0};
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		char name[32];
		snprintf(name, sizeof(name), "s%u", i);
		slot_of(name, "");
	}
	give_back_unused(nobody);
	for (unsigned round = 0; round < 3; round++) {
		slot_of("x", ""); /* so that something retires */
		give_back_unused(nobody);
	}
	unsigned vacant = 0;
	for (unsigned i = 0; i < WEFT_SERIES_MAX; i++)
		vacant += labels[i].state == WEFT_SERIES_VACANT;
	assert_in_range(vacant, 0, 4); /* the last ones */
}

static void one_that_is_asked_for_while_it_retires_is_kept(void **state)
{
	bool nobody[WEFT_SERIES_MAX] = {0};
	(void)state;
	uint32_t slot = slot_of("web", "");
	uint32_t held = slot_of("api", "");
	series_row(&store, 0, slot)->requests = 4;
	series_row(&store, 0, held)->requests = 6;
	assert_int_equal(series_retire(&store, nobody), 2);
	assert_int_equal(slot_of("web", ""), slot);
	bool used[WEFT_SERIES_MAX] = {[0] = false};
	used[held] = true; /* found in use at the second look */
	series_settle(&store, used);
	assert_int_equal(requests_of(slot), 4);
	assert_int_equal(requests_of(held), 6);
	assert_int_equal(slot_of("api", ""), held);
}

static void names_that_apps_invented_go_when_the_table_is_crowded(void **state)
{
	bool nobody[WEFT_SERIES_MAX] = {0};
	char name[32];
	(void)state;
	series_slot_spare(&store, span_text("192.0.2.1:80"));
	assert_int_equal(series_retire(&store, nobody), 0);
	for (unsigned i = 0; !series_is_crowded(&store); i++) {
		snprintf(name, sizeof(name), "192.0.2.1:%u", i + 100);
		series_slot_spare(&store, span_text(name));
	}
	give_back_unused(nobody);
	assert_int_equal(store.claimed, 1);
	assert_int_not_equal(series_slot_spare(&store, span_text("192.0.2.2:80")), SERIES_OVERFLOW);
}

static void collected_series_are_sorted_with_totals_first(void **state)
{
	(void)state;
	slot_of("web", "10.0.0.2:80");
	slot_of("api", "");
	slot_of("web", "");
	slot_of("web", "10.0.0.1:80");
	static const char *const expected[][2] = {{"api", ""},
						  {"overflow", ""},
						  {"web", ""},
						  {"web", "10.0.0.1:80"},
						  {"web", "10.0.0.2:80"}};
	struct series_sample *samples;
	size_t count;
	assert_int_equal(series_collect(&store, &samples, &count), 0);
	assert_int_equal(count, array_count(expected));
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(samples[i].label->service, expected[i][0]);
		assert_string_equal(samples[i].label->endpoint, expected[i][1]);
	}
	mem_free(samples);
}

static void collecting_without_memory_is_an_error(void **state)
{
	(void)state;
	struct series_sample *samples;
	size_t count;
	mem_fail_nth(1);
	assert_int_equal(series_collect(&store, &samples, &count), -ENOMEM);
	mem_fail_nth(0);
}

static void finding_claims_nothing(void **state)
{
	uint32_t slot = 77;
	unsigned claimed = store.claimed;
	(void)state;
	assert_false(series_find(&store, span_text("web"), span_text(""), &slot));
	assert_int_equal(slot, 77);
	assert_int_equal(store.claimed, claimed);
	uint32_t web = series_slot(&store, span_text("web"), span_text(""));
	assert_true(series_find(&store, span_text("web"), span_text(""), &slot));
	assert_int_equal(slot, web);
	assert_false(series_find(&store, span_text("web"), span_text("10.0.0.1:80"), &slot));
	assert_string_equal(series_label(&store, web)->service, "web");
	assert_null(series_label(&store, web == 9 ? 8 : 9));
}

/* ---- threads ---- */

#define THREADS 4
#define NAMES   600

static uint32_t slots_seen[THREADS][NAMES];

static void *claim_names(void *argument)
{
	unsigned self = *(unsigned *)argument;
	for (unsigned i = 0; i < NAMES; i++) {
		/* Each thread starts elsewhere, so that both races happen: for the same label and
		 * for the same slot. */
		unsigned number = (i + self * NAMES / (2 * THREADS)) % NAMES;
		char name[32];
		int size = snprintf(name, sizeof(name), "service-%u", number);
		slots_seen[self][number] =
			series_slot(&store, span_of(name, (size_t)size), span_text(""));
		if (self < WORKERS)
			series_add(&series_row(&store, self, slots_seen[self][number])->requests,
				   1);
	}
	return NULL;
}

static void threads_that_claim_at_once_agree(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, claim_names, &numbers[i]), 0);
	}
	/* A reader meanwhile sees only whole labels. */
	for (unsigned round = 0; round < 20; round++) {
		struct series_sample *samples;
		size_t count;
		assert_int_equal(series_collect(&store, &samples, &count), 0);
		for (size_t i = 0; i < count; i++)
			assert_true(!strncmp(samples[i].label->service, "service-", 8) ||
				    samples[i].slot == SERIES_OVERFLOW);
		mem_free(samples);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);

	static bool used[WEFT_SERIES_MAX];
	for (unsigned number = 0; number < NAMES; number++) {
		uint32_t slot = slots_seen[0][number];
		for (unsigned i = 1; i < THREADS; i++)
			assert_int_equal(slots_seen[i][number], slot);
		assert_false(used[slot]);
		used[slot] = true;
		struct weft_series sum;
		series_sum(&store, slot, &sum);
		assert_int_equal(sum.requests, WORKERS);
	}
}

static void every_proxy_reason_has_a_name_and_a_help(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WEFT_PROXY_REASON_COUNT; i++) {
		assert_true(strlen(proxy_reason_name((enum weft_proxy_reason)i)) > 0);
		assert_true(strlen(proxy_reason_help((enum weft_proxy_reason)i)) > 0);
	}
	assert_string_equal(proxy_reason_name(WEFT_PROXY_NOT_HTTP), "not_http");
	assert_string_equal(proxy_reason_name(WEFT_PROXY_NO_SOCKET), "no_socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_label_keeps_its_slot, fresh_store),
		cmocka_unit_test_setup(names_do_not_run_into_one_another, fresh_store),
		cmocka_unit_test_setup(a_full_table_counts_as_overflow_and_still_finds_the_old,
				       fresh_store),
		cmocka_unit_test_setup(names_that_apps_invent_leave_room_for_services, fresh_store),
		cmocka_unit_test_setup(routes_have_slots_of_their_own, fresh_store),
		cmocka_unit_test_setup(routes_leave_room_for_services, fresh_store),
		cmocka_unit_test_setup(a_retired_routes_slot_is_found_and_may_be_kept, fresh_store),
		cmocka_unit_test_setup(the_highest_cost_fades, fresh_store),
		cmocka_unit_test_setup(a_long_label_is_cut_at_a_whole_character, fresh_store),
		cmocka_unit_test_setup(a_label_without_a_name_is_overflow, fresh_store),
		cmocka_unit_test_setup(a_service_called_overflow_counts_there, fresh_store),
		cmocka_unit_test_setup(sums_go_over_all_workers, fresh_store),
		cmocka_unit_test_setup(a_new_start_keeps_counters_and_closes_what_was_open,
				       fresh_store),
		cmocka_unit_test_setup(what_a_dead_weftd_began_is_brought_to_an_end, fresh_store),
		cmocka_unit_test_setup(
			a_slot_that_was_given_back_starts_at_zero_under_its_next_label,
			fresh_store),
		cmocka_unit_test_setup(ten_thousand_replaced_pods_do_not_fill_the_table,
				       fresh_store),
		cmocka_unit_test_setup(a_full_table_stays_reachable_while_others_come_and_go,
				       fresh_store),
		cmocka_unit_test_setup(an_empty_table_is_free_again_in_the_end, fresh_store),
		cmocka_unit_test_setup(one_that_is_asked_for_while_it_retires_is_kept, fresh_store),
		cmocka_unit_test_setup(names_that_apps_invented_go_when_the_table_is_crowded,
				       fresh_store),
		cmocka_unit_test_setup(collected_series_are_sorted_with_totals_first, fresh_store),
		cmocka_unit_test_setup(collecting_without_memory_is_an_error, fresh_store),
		cmocka_unit_test_setup(finding_claims_nothing, fresh_store),
		cmocka_unit_test_setup(threads_that_claim_at_once_agree, fresh_store),
		cmocka_unit_test(every_proxy_reason_has_a_name_and_a_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
