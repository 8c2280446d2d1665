#include "stage.h"

#include <errno.h>

static void a_list_is_followed_by_a_watch(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	assert_int_equal(status_of(&stage).state, KUBE_WATCHING);
	assert_true(status_of(&stage).is_synced);
	streams(&stage, EVENT("ADDED", META("b", "u2", "8")));
	streams(&stage, EVENT("MODIFIED", META("a", "u1", "9")));
	assert_told(&stage, "+shop/b@8 ~shop/a@9 ");
	streams(&stage, EVENT("DELETED", META("a", "u1", "10")));
	assert_told(&stage, "-shop/a@9 ");
	assert_int_equal(status_of(&stage).objects, 1);
	assert_int_equal(status_of(&stage).changes, 3);
	assert_string_equal(status_of(&stage).version, "10");
	stage_close(&stage);
}

/* The list and the watch of one kind need one connection. */
static void a_connection_that_stays_is_used_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	assert_int_equal(io_double_dials(&stage.address), 1);
	stage_close(&stage);
}

static void a_connection_that_the_server_closes_is_not(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	answers(&stage, "200 OK", "Connection: close\r\n",
		"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}");
	asked(&stage, "GET /api/v1/services?watch=1&");
	assert_int_equal(io_double_dials(&stage.address), 2);
	stage_close(&stage);
}

static void a_list_may_come_in_pages(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"7\",\"continue\":\"a+/=b\"", META("a", "u1", "5"));
	asked(&stage, "GET /api/v1/services?limit=500&continue=a%2B%2F%3Db ");
	lists(&stage, "\"resourceVersion\":\"7\",\"continue\":\"c\",\"remainingItemCount\":1",
	      META("b", "u2", "6"));
	assert_told(&stage, "+shop/a@5 +shop/b@6 ");
	asked(&stage, "GET /api/v1/services?limit=500&continue=c ");
	lists(&stage, "\"resourceVersion\":\"7\",\"continue\":\"\"", META("c", "u3", "4"));
	assert_told(&stage, "+shop/c@4 =services ");
	asked(&stage, "GET /api/v1/services?watch=1&");
	stage_close(&stage);
}

/* A page's token may end before the list does. */
static void a_list_whose_pages_are_gone_begins_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"7\",\"continue\":\"x\"", META("a", "u1", "5"));
	asked(&stage, "GET /api/v1/services?limit=500&continue=x ");
	answers(&stage, "410 Gone", "", "{\"kind\":\"Status\",\"message\":\"too old\"}");
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"9\"", META("b", "u2", "8"));
	assert_told(&stage, "+shop/a@5 +shop/b@8 -shop/a@5 =services ");
	assert_string_equal(status_of(&stage).version, "9");
	stage_close(&stage);
}

static void only_what_is_on_the_node_is_asked_for(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	struct kube_options options = stage_options(&stage);
	options.kinds = 1u << KUBE_PODS;
	options.node = "node-1.a b";
	options.page_items = 2;
	stage_open(&stage, &options);
	asked(&stage, "GET /api/v1/pods?limit=2&fieldSelector=spec.nodeName%3Dnode-1.a%20b ");
	stage_close(&stage);
}

/* ---- streams ---- */

static void a_bookmark_moves_the_version_on(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("BOOKMARK",
			      "{\"kind\":\"Service\",\"metadata\":"
			      "{\"resourceVersion\":\"1234\"}}"));
	assert_told(&stage, "");
	assert_string_equal(status_of(&stage).version, "1234");
	assert_int_equal(status_of(&stage).changes, 0);
	stage_close(&stage);
}

/* The version is the last part of the target but one: the test server sees it there. */
static void assert_next_watch_from(struct stage *stage, const char *version)
{
	char wanted[64];
	struct span request = span_of("", 0);
	for (unsigned waited_ms = 0; waited_ms <= 5200 && !request.size; waited_ms += 10) {
		struct io_peer *reached = io_double_reached(&stage->address);
		stage->server = reached ? reached : stage->server;
		request = io_peer_received(stage->server);
		stage_run(stage, request.size ? 0 : 10);
	}
	snprintf(wanted, sizeof(wanted), "&resourceVersion=%s HTTP/1.1\r\n", version);
	if (!memmem(request.data, request.size, wanted, strlen(wanted)))
		fail_msg("not from %s: %.*s", version, SPAN_PRINT(request));
	io_peer_forget(stage->server);
}

static void a_stream_that_ends_is_followed_by_the_next(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("MODIFIED", META("a", "u1", "9")));
	stage_run(&stage, 60000);
	uint64_t begun_ns = io_now_ns(stage.ring);
	streams(&stage, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"77\"}}"));
	says(&stage, "0\r\n\r\n");
	assert_next_watch_from(&stage, "77");
	assert_int_equal(io_now_ns(stage.ring), begun_ns);
	assert_int_equal(io_double_dials(&stage.address), 1);
	stage_close(&stage);
}

static void a_stream_that_ends_at_once_is_not_followed_at_once(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	size_t streams_before = status_of(&stage).watches;
	uint64_t begun_ns = io_now_ns(stage.ring);
	for (int i = 0; i < 10; i++) {
		says(&stage, "0\r\n\r\n");
		asked(&stage, "GET /api/v1/services?");
		if (status_of(&stage).state == KUBE_LISTING) {
			lists(&stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
			asked(&stage, "GET /api/v1/services?watch=1");
		}
		stream_begins(&stage);
	}
	assert_int_equal(status_of(&stage).watches - streams_before, 10);
	assert_true(io_now_ns(stage.ring) - begun_ns > 10 * NS_PER_S);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_SERVER), 10);
	stage_close(&stage);
}

static void events_may_come_in_any_pieces(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct stage stage;
		stage_synced(&stage);
		io_double_seed(seed);
		io_peer_pieces(stage.server, 1 + seed);
		streams(&stage,
			EVENT("ADDED", META("b", "u2", "8"))
				EVENT("ADDED", META("c", "u3", "9")) "{\"type\":\"DELETED\",\"obj");
		streams(&stage, "ect\":" META("a", "u1", "10") "}\n");
		assert_told(&stage, "+shop/b@8 +shop/c@9 -shop/a@5 ");
		stage_close(&stage);
	}
}

/* A pod that restarts with the same name is another pod. */
static void a_replaced_object_is_told_as_deleted_and_added(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("MODIFIED", META("a", "u9", "20")));
	assert_told(&stage, "-shop/a@5 +shop/a@20 ");
	stage_close(&stage);
}

/* ---- what Kubernetes calls gone ---- */

static void relists(struct stage *stage, const char *version, const char *items)
{
	char meta[64];
	asked(stage, "GET /api/v1/services?limit=500 ");
	assert_told(stage, "");
	assert_int_equal(status_of(stage).objects, 1);
	snprintf(meta, sizeof(meta), "\"resourceVersion\":\"%s\"", version);
	lists(stage, meta, items);
}

static void gone_inside_a_stream_lists_anew_and_tells_the_difference(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("ERROR",
			      "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\","
			      "\"message\":\"too old: \\\"7\\\"\"}"));
	assert_int_equal(status_of(&stage).state, KUBE_BACKING_OFF);
	assert_string_equal(status_of(&stage).last_fault, "the watch ended: too old: '7'");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GONE), 1);
	relists(&stage, "30", META("b", "u2", "25"));
	assert_told(&stage, "+shop/b@25 -shop/a@5 =services ");
	assert_next_watch_from(&stage, "30");
	assert_int_equal(status_of(&stage).lists, 2);
	stage_close(&stage);
}

static void gone_as_a_status_lists_anew(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
	assert_told(&stage, "+shop/a@5 =services ");
	asked(&stage, "GET /api/v1/services?watch=1&");
	answers(&stage, "410 Gone", "", "{}");
	relists(&stage, "30", META("a", "u1", "5"));
	assert_told(&stage, "=services "); /* nothing changed */
	stage_close(&stage);
}

static void another_error_inside_a_stream_goes_on_from_the_same_version(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("ADDED", META("b", "u2", "8"))
				EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500}")
					EVENT("ADDED", META("c", "u3", "9")));
	assert_told(&stage, "+shop/b@8 ");
	assert_next_watch_from(&stage, "8");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_SERVER), 1);
	stage_close(&stage);
}

/* ---- connections that break ---- */

static void a_watch_without_a_byte_is_asked_for_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	struct io_peer *stalled = stage.server;
	stage_run(&stage, 80000);
	streams(&stage, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"8\"}}"));
	stage_run(&stage, 80000);
	assert_false(io_peer_is_closed(stalled));
	assert_true(status_of(&stage).byte_age_s > 79.9);
	stage_run(&stage, 10100);
	assert_true(io_peer_is_closed(stalled));
	assert_next_watch_from(&stage, "8");
	assert_true(status_of(&stage).stale_s == 0);
	stream_begins(&stage);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 0);
	stage_close(&stage);
}

static void a_server_that_hangs_is_stale_since_its_last_byte(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	stage_run(&stage, 90100);
	assert_next_watch_from(&stage, "7");
	stage_run(&stage, 20100);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 1);
	assert_string_equal(status_of(&stage).last_fault, "watch: the server was silent for 20 s");
	assert_true(status_of(&stage).stale_s > 110);
	assert_int_equal(status_of(&stage).objects, 1);
	assert_next_watch_from(&stage, "7");
	stream_begins(&stage);
	assert_true(status_of(&stage).stale_s == 0);
	stage_close(&stage);
}

static void a_stream_that_pauses_inside_an_event_is_a_fault(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, "{\"type\":");
	stage_run(&stage, 90100);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 1);
	assert_next_watch_from(&stage, "7");
	stage_close(&stage);
}

static void an_answer_that_does_not_begin_is_given_up(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	stage_run(&stage, 20500);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 1);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	stage_close(&stage);
}

static void a_list_that_pauses_is_given_up(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	says(&stage,
	     "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	     "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" META(
		     "a", "u1", "5") ",");
	stage_run(&stage, 30500);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 1);
	assert_false(status_of(&stage).is_synced);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	stage_close(&stage);
}

static void a_broken_connection_goes_on_from_the_last_version(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct stage stage;
		stage_synced(&stage);
		streams(&stage, EVENT("MODIFIED", META("a", "u1", "9")));
		if (how == 1)
			streams(&stage, "{\"type\":\"ADDED\",\"object\":{\"meta");
		if (how == 2)
			says(&stage, "ff\r\n{");
		if (how == 3)
			io_peer_reset(stage.server);
		else
			io_peer_finish(stage.server);
		io_double_settle(stage.ring);
		assert_told(&stage, "~shop/a@9 ");
		assert_int_equal(status_of(&stage).objects, 1);
		assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE) +
					 fault_count(&stage, KUBE_FAULT_CONNECT),
				 1);
		assert_next_watch_from(&stage, "9");
		stage_close(&stage);
	}
}

/* A stream that ends well, but in the middle of an event. */
static void an_event_that_is_cut_off_is_told_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	stage_run(&stage, 2000);
	streams(&stage, "{\"type\":\"ADDED\",\"object\":{\"meta");
	says(&stage, "0\r\n\r\n");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE), 1);
	assert_next_watch_from(&stage, "7");
	stage_close(&stage);
}

/* ---- a server that is away ---- */

static void the_pause_is_never_above_five_seconds(void **state)
{
	static const enum io_double_answer answers[] = {IO_DOUBLE_REFUSES, IO_DOUBLE_IS_SILENT};
	(void)state;
	for (size_t i = 0; i < array_count(answers); i++) {
		struct stage stage;
		stage_synced(&stage);
		streams(&stage, EVENT("MODIFIED", META("a", "u1", "9")));
		assert_told(&stage, "~shop/a@9 ");
		io_double_address(&stage.address, answers[i], 0);
		io_peer_reset(stage.server);
		uint64_t begun_ns = io_now_ns(stage.ring);
		size_t dials = io_double_dials(&stage.address);
		uint64_t last_ns = begun_ns;
		/* A dial that is not answered takes 20 s. */
		uint64_t most_ns = (i ? 25 : 5) * NS_PER_S + 100 * NS_PER_MS;
		while (io_now_ns(stage.ring) - begun_ns < 300 * NS_PER_S) {
			stage_run(&stage, 50);
			if (io_double_dials(&stage.address) > dials) {
				dials = io_double_dials(&stage.address);
				last_ns = io_now_ns(stage.ring);
			}
			assert_true(io_now_ns(stage.ring) - last_ns <= most_ns);
		}
		assert_in_range(dials, i ? 12 : 60, i ? 20 : 140);
		assert_told(&stage, "");
		assert_int_equal(status_of(&stage).objects, 1);
		assert_true(status_of(&stage).stale_s > 299);
		io_double_address(&stage.address, IO_DOUBLE_ACCEPTS, 0);
		stage_run(&stage, 25000);
		stage.server = io_double_reached(&stage.address);
		assert_next_watch_from(&stage, "9");
		stage_close(&stage);
	}
}

struct refusal {
	const char *status;
	const char *fields;
	const char *body;
	enum kube_fault fault;
	const char *sentence;
};

static void a_refusal_is_named_and_tried_again(void **state)
{
	static const struct refusal cases[] = {
		{"403 Forbidden", "", "{\"message\":\"services is forbidden: User \\\"weft\\\"\"}",
		 KUBE_FAULT_FORBIDDEN, "status 403: services is forbidden: User 'weft'"},
		{"401 Unauthorized", "", "", KUBE_FAULT_UNAUTHORIZED, "status 401"},
		{"429 Too Many Requests", "Retry-After: 1\r\n", "{\"message\":7}", KUBE_FAULT_BUSY,
		 "status 429"},
		{"500 Internal Server Error", "", "<html>", KUBE_FAULT_SERVER, "status 500"},
		{"404 Not Found", "", "404 page not found", KUBE_FAULT_SERVER, "status 404"},
		{"302 Found", "Location: /\r\n", "", KUBE_FAULT_SERVER, "status 302"},
		{"200 OK", "", "<html></html>", KUBE_FAULT_GARBAGE,
		 "the answer is no JSON of a list or watch"},
		{"200 OK", "", "{}", KUBE_FAULT_GARBAGE, "the answer is no list with a version"},
		{"200 OK", "", "{\"kind\":\"ServiceList\",\"items\":[]}", KUBE_FAULT_GARBAGE,
		 "the answer is no list with a version"},
		{"200 OK", "",
		 "{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}",
		 KUBE_FAULT_GARBAGE, "the answer is no list with a version"},
		{"200 OK", "",
		 "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\","
		 "\"continue\":7}}",
		 KUBE_FAULT_GARBAGE, "the answer is no list with a version"},
		{"200 OK", "", "{\"kind\":\"ServiceList\",\"items\":[", KUBE_FAULT_GARBAGE,
		 "the answer ended in the middle of an item"},
		{"200 OK", "", "", KUBE_FAULT_GARBAGE, "the answer ended in the middle of an item"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct stage stage;
		stage_begin(&stage);
		asked(&stage, "GET /api/v1/services?limit=500 ");
		answers(&stage, cases[i].status, cases[i].fields, cases[i].body);
		assert_int_equal(fault_count(&stage, cases[i].fault), 1);
		assert_string_equal(status_of(&stage).last_fault, cases[i].sentence);
		assert_int_equal(status_of(&stage).state, KUBE_BACKING_OFF);
		assert_false(status_of(&stage).is_synced);
		asked(&stage, "GET /api/v1/services?limit=500 ");
		lists(&stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
		assert_told(&stage, "+shop/a@5 =services ");
		stage_close(&stage);
	}
}

/* An answer that deletes everything has to be a list. */
static void a_wrong_answer_deletes_nothing(void **state)
{
	static const char *const bodies[] = {
		"{}", "{\"kind\":\"ServiceList\",\"items\":[]}", "",
		"{\"kind\":\"APIVersions\",\"metadata\":{\"resourceVersion\":\"1\"}}"};
	(void)state;
	for (size_t i = 0; i < array_count(bodies); i++) {
		struct stage stage;
		stage_synced(&stage);
		streams(&stage, EVENT("ERROR", "{\"code\":410}"));
		asked(&stage, "GET /api/v1/services?limit=500 ");
		answers(&stage, "200 OK", "", bodies[i]);
		asked(&stage, "GET /api/v1/services?limit=500 ");
		assert_told(&stage, "");
		assert_int_equal(status_of(&stage).objects, 1);
		stage_close(&stage);
	}
}

static void a_server_may_ask_to_come_later(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	answers(&stage, "429 Too Many Requests", "Retry-After: 3\r\n", "");
	uint64_t refused_ns = io_now_ns(stage.ring);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	assert_in_range(io_now_ns(stage.ring) - refused_ns, 3 * NS_PER_S, 31 * NS_PER_S / 10);
	answers(&stage, "429 Too Many Requests", "Retry-After: 3600\r\n", "");
	refused_ns = io_now_ns(stage.ring);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	assert_in_range(io_now_ns(stage.ring) - refused_ns, 5 * NS_PER_S, 51 * NS_PER_S / 10);
	stage_close(&stage);
}

static void what_is_no_http_is_garbage(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	says(&stage, "SSH-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE), 1);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	says(&stage, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE), 2);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	says(&stage, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE), 3);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	stage_close(&stage);
}

/* ---- objects that are not as they should be ---- */

static void an_object_that_cannot_be_read_is_named_and_skipped(void **state)
{
	static const char *const odd[] = {
		"7",
		"null",
		"{}",
		"{\"metadata\":{\"name\":7,\"resourceVersion\":\"1\"}}",
		"{\"metadata\":{\"name\":\"x\"}}",
		"{\"metadata\":[]}",
		"{\"metadata\":null}",
	};
	(void)state;
	for (size_t i = 0; i < array_count(odd); i++) {
		struct stage stage;
		char event[256];
		stage_synced(&stage);
		snprintf(event, sizeof(event), "{\"type\":\"ADDED\",\"object\":%s}\n", odd[i]);
		streams(&stage, event);
		assert_int_equal(fault_count(&stage, KUBE_FAULT_UNREADABLE), 1);
		streams(&stage, EVENT("ADDED", META("b", "u2", "8")));
		assert_told(&stage, "+shop/b@8 ");
		assert_int_equal(status_of(&stage).state, KUBE_WATCHING);
		stage_close(&stage);
	}
}

static void an_object_is_used_as_far_as_it_is_readable(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage,
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"namespace\":\"shop\","
		"\"name\":\"b\",\"resourceVersion\":\"8\",\"labels\":[],\"future\":{}},"
		"\"spec\":{\"ports\":\"none\",\"clusterIP\":\"10.96.0.7\"}}}\n");
	assert_told(&stage, "+shop/b@8 ");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_FIELD), 2);
	const struct kube_service *service =
		kube_service_of(kube_find(stage.kube, KUBE_SERVICES, "shop", "b"));
	assert_int_equal(service->ip_count, 1);
	assert_int_equal(service->port_count, 0);
	stage_close(&stage);
}

static void an_unknown_event_is_skipped(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	streams(&stage, EVENT("RENAMED", META("a", "u1", "8")) EVENT("BOOKMARK", "{}")
				EVENT("ADDED", META("b", "u2", "9")));
	assert_told(&stage, "+shop/b@9 ");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_UNREADABLE), 2);
	streams(&stage, "{\"object\":{}}\n");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_GARBAGE), 1);
	assert_next_watch_from(&stage, "9");
	stage_close(&stage);
}

static void a_huge_item_is_skipped_and_costs_no_memory(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	char *filler = malloc(1 << 20);
	assert_non_null(filler);
	memset(filler, 'x', 1 << 20);
	filler[(1 << 20) - 1] = '\0';
	streams(&stage, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"");
	for (int i = 0; i < 8; i++)
		streams(&stage, filler);
	streams(&stage, "\"}}}\n" EVENT("ADDED", META("b", "u2", "8")));
	free(filler);
	assert_told(&stage, "+shop/b@8 ");
	assert_int_equal(fault_count(&stage, KUBE_FAULT_TOO_LARGE), 1);
	stage_close(&stage);
}

static void many_objects_are_all_found(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	stage.log_size = 0;
	for (int i = 0; i < 2000; i++) {
		char event[256];
		snprintf(event, sizeof(event),
			 EVENT("ADDED",
			       "{\"metadata\":{\"name\":\"s%d\",\"resourceVersion\":"
			       "\"%d\"}}"),
			 i, 100 + i);
		streams(&stage, event);
		stage.log_size = 0;
	}
	assert_int_equal(status_of(&stage).objects, 2001);
	for (int i = 0; i < 2000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "s%d", i);
		assert_string_equal(kube_find(stage.kube, KUBE_SERVICES, "", name)->name, name);
	}
	stage_close(&stage);
}

/* ---- the rest ---- */

static void now_and_then_a_list_makes_sure(void **state)
{
	struct stage stage;
	(void)state;
	stage_synced(&stage);
	for (int i = 0; i < 100; i++) {
		stage_run(&stage, 60000);
		streams(&stage, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"8\"}}"));
	}
	says(&stage, "0\r\n\r\n");
	asked(&stage, "GET /api/v1/services?limit=500 ");
	assert_true(status_of(&stage).stale_s == 0);
	stage_close(&stage);
}

static void bytes_that_nobody_asked_for_end_a_connection(void **state)
{
	struct stage stage;
	(void)state;
	stage_begin(&stage);
	asked(&stage, "GET /api/v1/services?limit=500 ");
	answers(&stage, "500 Oh", "", "");
	says(&stage, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_true(io_peer_is_closed(stage.server));
	asked(&stage, "GET /api/v1/services?limit=500 ");
	lists(&stage, "\"resourceVersion\":\"7\"", "");
	assert_told(&stage, "=services ");
	stage_close(&stage);
}

/* With the n-th allocation failing the client comes to the same end. */
static void a_failed_allocation_costs_one_attempt(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 60; n++) {
		struct stage stage;
		stage_begin(&stage);
		asked(&stage, "GET /api/v1/services?limit=500 ");
		mem_fail_nth(n);
		lists(&stage, "\"resourceVersion\":\"7\",\"continue\":\"x\"", META("a", "u1", "5"));
		for (int i = 0; i < 100 && !status_of(&stage).is_synced; i++) {
			stage_run(&stage, 100);
			struct io_peer *reached = io_double_reached(&stage.address);
			stage.server = reached ? reached : stage.server;
			if (!io_peer_received(stage.server).size)
				continue;
			io_peer_forget(stage.server);
			lists(&stage, "\"resourceVersion\":\"7\"",
			      META("a", "u1", "5") "," META("b", "u2", "6"));
		}
		mem_fail_nth(0);
		assert_true(status_of(&stage).is_synced);
		assert_int_equal(status_of(&stage).objects, 2);
		stage_close(&stage);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_followed_by_a_watch),
		cmocka_unit_test(a_connection_that_stays_is_used_again),
		cmocka_unit_test(a_connection_that_the_server_closes_is_not),
		cmocka_unit_test(a_list_may_come_in_pages),
		cmocka_unit_test(a_list_whose_pages_are_gone_begins_again),
		cmocka_unit_test(only_what_is_on_the_node_is_asked_for),
		cmocka_unit_test(a_bookmark_moves_the_version_on),
		cmocka_unit_test(a_stream_that_ends_is_followed_by_the_next),
		cmocka_unit_test(a_stream_that_ends_at_once_is_not_followed_at_once),
		cmocka_unit_test(events_may_come_in_any_pieces),
		cmocka_unit_test(a_replaced_object_is_told_as_deleted_and_added),
		cmocka_unit_test(gone_inside_a_stream_lists_anew_and_tells_the_difference),
		cmocka_unit_test(gone_as_a_status_lists_anew),
		cmocka_unit_test(another_error_inside_a_stream_goes_on_from_the_same_version),
		cmocka_unit_test(a_watch_without_a_byte_is_asked_for_again),
		cmocka_unit_test(a_server_that_hangs_is_stale_since_its_last_byte),
		cmocka_unit_test(a_stream_that_pauses_inside_an_event_is_a_fault),
		cmocka_unit_test(an_answer_that_does_not_begin_is_given_up),
		cmocka_unit_test(a_list_that_pauses_is_given_up),
		cmocka_unit_test(a_broken_connection_goes_on_from_the_last_version),
		cmocka_unit_test(an_event_that_is_cut_off_is_told_again),
		cmocka_unit_test(the_pause_is_never_above_five_seconds),
		cmocka_unit_test(a_refusal_is_named_and_tried_again),
		cmocka_unit_test(a_wrong_answer_deletes_nothing),
		cmocka_unit_test(a_server_may_ask_to_come_later),
		cmocka_unit_test(what_is_no_http_is_garbage),
		cmocka_unit_test(an_object_that_cannot_be_read_is_named_and_skipped),
		cmocka_unit_test(an_object_is_used_as_far_as_it_is_readable),
		cmocka_unit_test(an_unknown_event_is_skipped),
		cmocka_unit_test(a_huge_item_is_skipped_and_costs_no_memory),
		cmocka_unit_test(many_objects_are_all_found),
		cmocka_unit_test(now_and_then_a_list_makes_sure),
		cmocka_unit_test(bytes_that_nobody_asked_for_end_a_connection),
		cmocka_unit_test(a_failed_allocation_costs_one_attempt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
