#include "stage.h"

#include <errno.h>

/* A client that knows service "a", and a server that holds the watch on one connection: the Events
 * come on another. */
static void notes_open(struct stage *stage)
{
	stage_synced(stage);
	stage->server = NULL;
}

static int tell(struct stage *stage, const char *reason, const char *message)
{
	const struct kube_note note = {
		.object = kube_find(stage->kube, KUBE_SERVICES, "shop", "a"),
		.reason = reason,
		.message = message,
		.now_s = 1714564800,
	};
	assert_non_null(note.object);
	return kube_tell(stage->kube, &note);
}

static struct kube_note_counts counts_of(const struct stage *stage)
{
	struct kube_note_counts counts;
	kube_note_counts(stage->kube, &counts);
	return counts;
}

/* The name of the Event that was posted last; the request is taken. */
static void asked_to_make(struct stage *stage, char name[64])
{
	for (int i = 0; i < 600; i++) {
		struct io_peer *reached = io_double_reached(&stage->address);
		stage->server = reached ? reached : stage->server;
		if (stage->server && io_peer_received(stage->server).size)
			break;
		stage_run(stage, 10);
	}
	assert_non_null(stage->server);
	struct span request = io_peer_received(stage->server);
	assert_true(span_starts(request,
				span_text("POST /api/v1/namespaces/shop/events HTTP/1.1\r\n")));
	const char *at = memmem(request.data, request.size, "\"name\":\"a.", 10);
	assert_non_null(at);
	snprintf(name, 64, "%.18s", at + 8);
	io_peer_forget(stage->server);
}

static void a_note_becomes_an_event(void **state)
{
	struct stage stage;
	(void)state;
	notes_open(&stage);
	assert_int_equal(tell(&stage, "BadAnnotation", "weft.io/opaque-ports: \"x\" is no port"),
			 0);
	stage_run(&stage, 100);
	stage.server = io_double_reached(&stage.address);
	struct span request = io_peer_received(stage.server);
	static const char *const parts[] = {
		"POST /api/v1/namespaces/shop/events HTTP/1.1\r\n",
		"\r\nContent-Type: application/json\r\n",
		"\"kind\":\"Event\"",
		"\"involvedObject\":{\"apiVersion\":\"v1\",\"kind\":\"Service\","
		"\"namespace\":\"shop\",\"name\":\"a\",\"uid\":\"u1\"}",
		"\"reason\":\"BadAnnotation\"",
		"\"message\":\"weft.io/opaque-ports: \\\"x\\\" is no port\"",
		"\"firstTimestamp\":\"2024-05-01T12:00:00Z\"",
		"\"type\":\"Warning\"",
		"\"component\":\"weft\"",
	};
	for (size_t i = 0; i < array_count(parts); i++) {
		if (!memmem(request.data, request.size, parts[i], strlen(parts[i])))
			fail_msg("no %s in %.*s", parts[i], SPAN_PRINT(request));
	}
	assert_int_equal(counts_of(&stage).queued, 1);
	answers(&stage, "201 Created", "", "{}");
	assert_int_equal(counts_of(&stage).queued, 0);
	assert_int_equal(counts_of(&stage).made, 1);
	stage_close(&stage);
}

static void the_same_note_has_the_same_name(void **state)
{
	struct stage stage;
	char names[3][64];
	(void)state;
	notes_open(&stage);
	assert_int_equal(tell(&stage, "A", "one"), 0);
	assert_int_equal(tell(&stage, "A", "one"), 0);
	assert_int_equal(tell(&stage, "A", "two"), 0);
	asked_to_make(&stage, names[0]);
	answers(&stage, "201 Created", "", "{}");
	asked_to_make(&stage, names[1]);
	answers(&stage, "409 Conflict", "", "{}");
	asked_to_make(&stage, names[2]);
	answers(&stage, "201 Created", "", "{}");
	assert_string_equal(names[0], names[1]);
	assert_string_not_equal(names[0], names[2]);
	assert_int_equal(counts_of(&stage).made, 3);
	stage_close(&stage);
}

static void notes_are_told_one_by_one_and_slowly(void **state)
{
	struct stage stage;
	char name[64];
	(void)state;
	notes_open(&stage);
	for (int i = 0; i < 64; i++) {
		char message[16];
		snprintf(message, sizeof(message), "%d", i);
		assert_int_equal(tell(&stage, "A", message), 0);
	}
	assert_int_equal(tell(&stage, "A", "too many"), -EAGAIN);
	assert_int_equal(counts_of(&stage).dropped, 1);
	uint64_t begun_ns = io_now_ns(stage.ring);
	size_t dials = io_double_dials(&stage.address);
	for (int i = 0; i < 64; i++) {
		asked_to_make(&stage, name);
		answers(&stage, "201 Created", "", "{}");
	}
	assert_in_range(io_now_ns(stage.ring) - begun_ns, 63 * NS_PER_S / 5, 63 * NS_PER_S / 4);
	assert_int_equal(io_double_dials(&stage.address) - dials, 1);
	assert_int_equal(counts_of(&stage).made, 64);
	stage_close(&stage);
}

static void what_is_not_allowed_is_given_up(void **state)
{
	struct stage stage;
	char name[64];
	(void)state;
	notes_open(&stage);
	assert_int_equal(tell(&stage, "A", "one"), 0);
	asked_to_make(&stage, name);
	answers(&stage, "403 Forbidden", "", "{}");
	assert_int_equal(counts_of(&stage).failed, 1);
	assert_int_equal(counts_of(&stage).queued, 0);
	stage_run(&stage, 60000);
	assert_int_equal(io_peer_received(stage.server).size, 0);
	stage_close(&stage);
}

static void a_busy_or_broken_server_is_tried_again(void **state)
{
	struct stage stage;
	char name[64];
	(void)state;
	notes_open(&stage);
	assert_int_equal(tell(&stage, "A", "one"), 0);
	asked_to_make(&stage, name);
	answers(&stage, "503 Away", "", "");
	asked_to_make(&stage, name);
	io_peer_reset(stage.server);
	io_double_settle(stage.ring);
	asked_to_make(&stage, name);
	answers(&stage, "201 Created", "", "");
	assert_int_equal(counts_of(&stage).made, 1);
	assert_int_equal(tell(&stage, "A", "two"), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(counts_of(&stage).failed, 0);
		asked_to_make(&stage, name);
		answers(&stage, "500 Oh", "", "");
	}
	assert_int_equal(counts_of(&stage).failed, 1);
	assert_int_equal(counts_of(&stage).queued, 0);
	stage_close(&stage);
}

static void each_failed_allocation_is_told_or_costs_a_try(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 40; n++) {
		struct stage stage;
		char name[64];
		notes_open(&stage);
		mem_fail_nth(n);
		int error = tell(&stage, "A", "one");
		assert_true(error == 0 || error == -ENOMEM);
		stage_run(&stage, 1);
		mem_fail_nth(0);
		if (error)
			assert_int_equal(tell(&stage, "A", "one"), 0);
		asked_to_make(&stage, name);
		answers(&stage, "201 Created", "", "{}");
		assert_int_equal(counts_of(&stage).made, 1);
		stage_close(&stage);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_note_becomes_an_event),
		cmocka_unit_test(the_same_note_has_the_same_name),
		cmocka_unit_test(notes_are_told_one_by_one_and_slowly),
		cmocka_unit_test(what_is_not_allowed_is_given_up),
		cmocka_unit_test(a_busy_or_broken_server_is_tried_again),
		cmocka_unit_test(each_failed_allocation_is_told_or_costs_a_try),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
