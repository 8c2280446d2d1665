/* The server on the doubled ring: scripted clients, a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/server.h"
#include "base/mem.h"
#include "io/double.h"

#define SECOND 1000000000ull
#define GET    "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"

static struct weft_series rows[WEFT_SERIES_MAX];
static struct weft_series_label labels[WEFT_SERIES_MAX];
static struct weft_proxy_counts proxy[WEFT_WORKERS_MAX];

struct fixture {
	struct io_ring *ring;
	struct blocks blocks;
	struct wire_loop wires;
	struct admin *admin;
	struct series_store series;
	struct snapshot_slot *slot;
	uint64_t heartbeat;
	char folder[48];
	char path[64];
	long live; /* allocations before anything was opened */
	unsigned drains;
	/* POST /pods: what was asked for, what is held, who is to be told. */
	char spec[256];
	int add_error;
	unsigned pods_held;
	unsigned pods_dropped;
	void (*told)(void *request, const char *error);
	void *holder;
	char asked_pod[64]; /* whose edges or connections were asked for */
	/* The question that waits for the workers. */
	void (*done)(void *request, const char *json);
	void *request;
};

static struct fixture fixture;

/* ---- sources ---- */

static bool is_ready(void *owner, struct text *why)
{
	(void)owner;
	(void)why;
	return true;
}

static void some_json(void *owner, struct text *json)
{
	(void)owner;
	text_add(json, span_text("[]"));
}

static void no_metrics(void *owner, struct text *page)
{
	(void)owner;
	(void)page;
}

static void ask_workers(void *owner, struct span pod, void (*done)(void *request, const char *json),
			void *request)
{
	(void)owner;
	snprintf(fixture.asked_pod, sizeof(fixture.asked_pod), "%.*s", SPAN_PRINT(pod));
	fixture.done = done;
	fixture.request = request;
}

static int add_pod(void *owner, struct span spec, void (*told)(void *request, const char *error),
		   void *request, struct text *why, void **ret_pod)
{
	(void)owner;
	snprintf(fixture.spec, sizeof(fixture.spec), "%.*s", SPAN_PRINT(spec));
	if (fixture.add_error) {
		text_add(why, span_text("it will not do"));
		return fixture.add_error;
	}
	fixture.told = told;
	fixture.holder = request;
	fixture.pods_held++;
	*ret_pod = &fixture;
	return 0;
}

static void drop_pod(void *owner, void *pod)
{
	(void)owner;
	assert_ptr_equal(pod, &fixture);
	assert_true(fixture.pods_held > 0);
	fixture.pods_held--;
	fixture.pods_dropped++;
}

static unsigned sandbox(void *owner, bool is_added, struct span body, struct text *json)
{
	(void)owner;
	text_printf(json, "{\"%s\":\"%.*s\"}", is_added ? "added" : "removed", SPAN_PRINT(body));
	return 202;
}

static void flush_wires(void *owner)
{
	(void)owner;
	wire_loop_flush(&fixture.wires);
}

static void drain(void *owner)
{
	(void)owner;
	fixture.drains++;
}

static int open_server(const char *path)
{
	const struct admin_sources sources = {
		.slot = fixture.slot,
		.series = &fixture.series,
		.heartbeats = &fixture.heartbeat,
		.workers = 1,
		.is_ready = is_ready,
		.pods_json = some_json,
		.config_json = some_json,
		.kubernetes_json = some_json,
		.namers_json = some_json,
		.version_json = some_json,
		.sandbox = sandbox,
		.kernel_metrics = no_metrics,
		.connections_json = ask_workers,
		.edges_json = ask_workers,
		.pod_add = add_pod,
		.pod_drop = drop_pod,
		.drain = drain,
	};
	struct text why = {0};
	int error = admin_open(&fixture.wires, &sources, "127.0.0.1:0", path, &why, &fixture.admin);
	text_fini(&why);
	return error;
}

static int fresh(void **state)
{
	(void)state;
	const struct io_options options = {.entries = 64, .shared_count = 16};
	fixture = (struct fixture){.live = mem_live()};
	memset(rows, 0, sizeof(rows));
	memset(labels, 0, sizeof(labels));
	io_double_reset();
	series_store_init(&fixture.series, rows, labels, proxy, 1);
	fixture.slot = snapshot_slot_new();
	assert_non_null(fixture.slot);
	assert_int_equal(io_ring_open(&options, &fixture.ring), 0);
	blocks_init(&fixture.blocks, UINT64_MAX);
	wire_loop_init(&fixture.wires, fixture.ring, &fixture.blocks);
	io_set_hooks(fixture.ring, flush_wires, NULL, NULL);
	snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/weft-admin-test-XXXXXX");
	assert_non_null(mkdtemp(fixture.folder));
	snprintf(fixture.path, sizeof(fixture.path), "%s/weftd.sock", fixture.folder);
	assert_int_equal(open_server(fixture.path), 0);
	io_double_settle(fixture.ring);
	return 0;
}

static void close_server(void)
{
	admin_close(fixture.admin);
	fixture.admin = NULL;
}

/* Whatever happened: nothing is left. */
static int drop(void **state)
{
	(void)state;
	mem_fail_nth(0);
	close_server();
	assert_int_equal(fixture.pods_held, 0);
	assert_int_equal(access(fixture.path, F_OK), -1);
	rmdir(fixture.folder);
	assert_int_equal(io_double_open_count(), 0);
	io_ring_close(fixture.ring);
	blocks_fini(&fixture.blocks);
	snapshot_slot_free(fixture.slot);
	io_double_reset();
	assert_int_equal(mem_live(), fixture.live);
	return 0;
}

/* ---- clients ---- */

static struct io_peer *arrives(bool is_unix)
{
	static const struct weft_address from = {.ip = {[15] = 1}};
	int fd = is_unix ? fixture.admin->unix_socket.fd : fixture.admin->tcp.fd;
	struct io_peer *client = io_double_arrives(fd, &from);
	io_double_settle(fixture.ring);
	return client;
}

static void send_text(struct io_peer *client, const char *text)
{
	io_peer_send(client, span_text(text));
	io_double_settle(fixture.ring);
}

static struct io_peer *asks(const char *text)
{
	struct io_peer *client = arrives(true);
	send_text(client, text);
	return client;
}

/* What the client has received, as a text that ends. */
static const char *received(const struct io_peer *client)
{
	static char copy[1 << 20];
	struct span bytes = io_peer_received(client);
	assert_true(bytes.size < sizeof(copy));
	if (bytes.size)
		memcpy(copy, bytes.data, bytes.size);
	copy[bytes.size] = '\0';
	return copy;
}

static void assert_received(const struct io_peer *client, const char *wanted)
{
	if (!strstr(received(client), wanted))
		fail_msg("no \"%s\" in \"%s\"", wanted, received(client));
}

static unsigned count_of(const struct io_peer *client, const char *wanted)
{
	unsigned count = 0;
	for (const char *at = received(client); (at = strstr(at, wanted)); at++)
		count++;
	return count;
}

/* Each with an answered request, so that /metrics shows a histogram of it. */
static void add_series(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		int size = snprintf(name, sizeof(name), "service-%u", i);
		uint32_t slot =
			series_slot(&fixture.series, span_of(name, (size_t)size), span_text(""));
		series_row(&fixture.series, 0, slot)->latency_buckets[0] = 1;
	}
}

/* ---- requests ---- */

static void a_request_is_answered_and_the_connection_kept(void **state)
{
	(void)state;
	struct io_peer *client = asks(GET);
	assert_received(client, "HTTP/1.1 200 OK\r\n");
	assert_received(client, "Content-Length: 6\r\n");
	assert_received(client, "Connection: keep-alive\r\n\r\nready\n");
	assert_false(io_peer_is_closed(client));
	send_text(client, GET);
	assert_int_equal(count_of(client, "ready\n"), 2);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	struct io_peer *client =
		asks("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
		     "HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n"
		     "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"
		     "GET /pods.json HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(count_of(client, "HTTP/1.1 200 OK"), 3);
	assert_int_equal(count_of(client, "HTTP/1.1 404 Not Found"), 1);
	assert_int_equal(count_of(client, "ready\n"), 1 + 0);
	const char *text = received(client);
	assert_true(strstr(text, "ready\n") < strstr(text, "404"));
	assert_true(strstr(text, "404") < strstr(text, "[]\n"));
}

static void a_request_byte_by_byte_is_answered(void **state)
{
	(void)state;
	struct io_peer *client = arrives(true);
	io_peer_pieces(client, 1);
	send_text(client, GET GET);
	assert_int_equal(count_of(client, "ready\n"), 2);
}

static void a_clients_wish_to_close_is_granted(void **state)
{
	(void)state;
	struct io_peer *client =
		asks("GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_received(client, "Connection: close\r\n");
	assert_true(io_peer_saw_fin(client));
	client = asks("GET /ready HTTP/1.0\r\n\r\n");
	assert_received(client, "Connection: close\r\n");
	io_double_run(fixture.ring, 2 * SECOND);
	assert_true(io_peer_is_closed(client));
}

static void a_client_that_half_closes_still_gets_its_answer(void **state)
{
	(void)state;
	struct io_peer *client = arrives(true);
	io_peer_send(client, span_text(GET));
	io_peer_finish(client);
	io_double_settle(fixture.ring);
	assert_received(client, "ready\n");
	assert_true(io_peer_is_closed(client));
}

static void what_is_no_request_is_refused_and_closed(void **state)
{
	(void)state;
	static const struct {
		const char *request;
		const char *status;
	} cases[] = {{"NONSENSE\r\n\r\n", "400"},
		     {"GET /ready HTTP/1.1\r\n\r\n", "400"},
		     {"GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n",
		      "400"},
		     {"\x16\x03\x01\x02", "400"}};
	for (size_t i = 0; i < array_count(cases); i++) {
		struct io_peer *client = asks(cases[i].request);
		assert_received(client, cases[i].status);
		assert_received(client, "Connection: close\r\n");
		io_double_run(fixture.ring, 2 * SECOND);
		assert_true(io_peer_is_closed(client));
	}
}

static void a_large_body_is_refused_and_a_small_one_forgotten(void **state)
{
	(void)state;
	static char body[REQUEST_BODY_MAX + 1];
	memset(body, 'x', sizeof(body));
	struct io_peer *client =
		asks("GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET);
	assert_int_equal(count_of(client, "ready\n"), 2);
	client = asks("GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
	io_peer_pieces(client, 4000);
	io_peer_send(client, span_of(body, sizeof(body)));
	io_double_settle(fixture.ring);
	assert_received(client, "HTTP/1.1 413 ");
}

/* ---- descriptors ---- */

static void without_a_descriptor_the_reserve_is_spent_and_filled_again(void **state)
{
	(void)state;
	struct spare *spare = &fixture.admin->unix_socket.spare;
	assert_int_equal(spare->count, SPARE_DESCRIPTORS);
	io_double_no_descriptors(1);
	struct io_peer *client = arrives(true);
	send_text(client, GET);
	assert_received(client, "HTTP/1.1 200 ");
	assert_int_equal(spare->count, SPARE_DESCRIPTORS - 1);
	io_double_run(fixture.ring, SECOND);
	assert_int_equal(spare->count, SPARE_DESCRIPTORS);
}

static void without_a_reserve_the_idle_leave_for_who_comes(void **state)
{
	(void)state;
	struct io_peer *idle = asks(GET);
	io_double_no_descriptors(SPARE_DESCRIPTORS + 1);
	struct io_peer *client = arrives(true);
	assert_true(io_peer_is_closed(idle));
	io_double_run(fixture.ring, SECOND);
	send_text(client, GET);
	assert_received(client, "HTTP/1.1 200 ");
}

/* ---- time ---- */

static void a_request_has_five_seconds_to_arrive(void **state)
{
	(void)state;
	struct io_peer *silent = arrives(true);
	struct io_peer *slow = asks("GET /ready HT");
	struct io_peer *second = asks(GET "GET");
	io_double_run(fixture.ring, 4 * SECOND);
	assert_int_equal(io_peer_received(slow).size, 0);
	io_double_run(fixture.ring, 4 * SECOND);
	assert_received(silent, "HTTP/1.1 408 ");
	assert_received(slow, "HTTP/1.1 408 ");
	assert_received(second, "HTTP/1.1 408 ");
	assert_true(io_peer_is_closed(slow));
}

static void an_idle_connection_is_closed_after_a_minute(void **state)
{
	(void)state;
	struct io_peer *client = asks(GET);
	io_double_run(fixture.ring, 59 * SECOND);
	assert_false(io_peer_is_closed(client));
	io_double_run(fixture.ring, 2 * SECOND);
	assert_true(io_peer_is_closed(client));
}

static void a_slow_reader_holds_one_piece_and_gets_everything(void **state)
{
	(void)state;
	add_series(100);
	struct io_peer *client = arrives(true);
	io_peer_window(client, 1000);
	send_text(client, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	struct session *session =
		list_entry(fixture.admin->unix_socket.sessions.next, struct session, link);
	size_t size = session->page.size;
	assert_true(size > (size_t)4 * BLOCK_LARGE_BYTES);
	for (unsigned i = 0; i < size / 1000 + 10; i++) {
		assert_true(wire_queued(&session->wire) <= BLOCK_LARGE_BYTES + 500);
		io_double_run(fixture.ring, SECOND / 10);
		io_peer_read(client, 1000);
	}
	io_double_settle(fixture.ring);
	struct span all = io_peer_received(client);
	assert_true(all.size > size);
	assert_int_equal(all.data[all.size - 1], '\n');
	assert_null(session->page.data); /* an idle connection holds none */
	send_text(client, GET);
	assert_true(io_peer_received(client).size > all.size);
}

static void a_reader_that_does_not_read_is_cut(void **state)
{
	(void)state;
	add_series(10);
	struct io_peer *client = arrives(true);
	io_peer_window(client, 1000);
	send_text(client, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	io_double_run(fixture.ring, 29 * SECOND);
	assert_false(io_peer_is_closed(client));
	io_double_run(fixture.ring, 3 * SECOND);
	assert_true(io_peer_saw_reset(client));
}

static void a_reader_that_resets_is_gone_at_once(void **state)
{
	(void)state;
	add_series(100);
	struct io_peer *client = arrives(true);
	io_peer_window(client, 1000);
	send_text(client, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	io_peer_reset(client);
	io_double_settle(fixture.ring);
	assert_true(io_peer_is_closed(client));
	assert_int_equal(fixture.admin->unix_socket.session_count, 0);
}

/* ---- the workers' answer ---- */

#define ASK "GET /connections.json HTTP/1.1\r\nHost: a\r\n\r\n"

static void the_workers_answer_is_passed_on(void **state)
{
	(void)state;
	struct io_peer *client = asks(ASK GET);
	assert_int_equal(io_peer_received(client).size, 0);
	fixture.done(fixture.request, "[1]");
	io_double_settle(fixture.ring);
	assert_received(client, "{\"connections\":[1]}\n");
	assert_received(client, "ready\n");
	client = asks(ASK);
	fixture.done(fixture.request, NULL);
	io_double_settle(fixture.ring);
	assert_received(client, "HTTP/1.1 503 ");
}

static void an_answer_may_come_after_its_client_left(void **state)
{
	(void)state;
	struct io_peer *client = asks(ASK);
	io_peer_reset(client);
	io_double_settle(fixture.ring);
	assert_true(io_peer_is_closed(client));
	fixture.done(fixture.request, "[1]");
	io_double_settle(fixture.ring);
}

static void an_answer_that_does_not_come_is_503_and_harmless_later(void **state)
{
	(void)state;
	struct io_peer *client = asks(ASK);
	io_double_run(fixture.ring, 6 * SECOND);
	assert_received(client, "HTTP/1.1 503 ");
	fixture.done(fixture.request, "[1]");
	io_double_settle(fixture.ring);
	assert_int_equal(count_of(client, "HTTP/1.1"), 1);
}

static void an_answer_may_come_after_the_server_closed(void **state)
{
	(void)state;
	asks(ASK);
	close_server();
	fixture.done(fixture.request, "[1]");
}

/* ---- what changes something ---- */

#define DRAIN "POST /drain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"

static void a_drain_is_answered_before_it_begins(void **state)
{
	(void)state;
	struct io_peer *client = arrives(true);
	io_peer_window(client, 10);
	send_text(client, DRAIN);
	assert_int_equal(fixture.drains, 0);
	io_peer_window(client, 100000);
	io_double_settle(fixture.ring);
	assert_received(client, "HTTP/1.1 202 Accepted\r\n");
	assert_int_equal(fixture.drains, 1);
}

static void a_drain_by_tcp_is_refused(void **state)
{
	(void)state;
	struct io_peer *client = arrives(false);
	send_text(client, DRAIN);
	assert_received(client, "HTTP/1.1 403 ");
	assert_int_equal(fixture.drains, 0);
}

/* ---- bounds ---- */

static void who_waits_longest_makes_room(void **state)
{
	(void)state;
	struct io_peer *clients[SESSIONS_MAX];
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		clients[i] = arrives(false);
		if (i >= 10)
			send_text(clients[i], GET);
	}
	send_text(clients[10], GET); /* not the longest any more */
	struct io_peer *late = arrives(false);
	send_text(late, GET);
	assert_received(late, "ready\n");
	assert_true(io_peer_is_closed(clients[11]));
	assert_false(io_peer_is_closed(clients[10]));
	assert_false(io_peer_is_closed(clients[0])); /* has not asked: leaves after the idle */
	assert_int_equal(fixture.admin->tcp.session_count, SESSIONS_MAX);
}

static void busy_sessions_are_not_pushed_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct io_peer *client = arrives(false);
		io_peer_window(client, 10);
		send_text(client, GET);
	}
	struct io_peer *late = arrives(false);
	assert_true(io_peer_is_closed(late));
	send_text(arrives(true), GET); /* the other listener has room of its own */
	assert_int_equal(fixture.admin->tcp.session_count, SESSIONS_MAX);
	assert_int_equal(fixture.admin->unix_socket.session_count, 1);
}

/* ---- luck ---- */

#define ADD                                                                                        \
	"POST /pods HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 12\r\n\r\n"        \
	"{\"name\":\"x\"}"

static void tell(const char *error)
{
	fixture.told(fixture.holder, error);
	io_double_settle(fixture.ring);
}

static void talk(void)
{
	struct io_peer *client = arrives(true);
	struct io_peer *other = arrives(false);
	io_peer_pieces(client, 7);
	send_text(client, GET "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	send_text(other, "GET /stat.json HTTP/1.1\r\nHost: a\r\n\r\n" ASK);
	if (fixture.done)
		fixture.done(fixture.request, "[]");
	fixture.done = NULL;
	struct io_peer *holder = asks(ADD);
	if (fixture.pods_held)
		tell(NULL);
	io_peer_finish(client);
	io_peer_finish(holder);
	io_double_run(fixture.ring, 100 * SECOND);
}

static void any_allocation_may_fail(void **state)
{
	for (unsigned long nth = 1; nth < 80; nth++) {
		mem_fail_nth(nth);
		talk();
		drop(state);
		fresh(state);
	}
	/* And after all that it serves. */
	assert_received(asks(GET), "ready\n");
}

static void opening_may_fail_at_any_allocation(void **state)
{
	(void)state;
	close_server();
	for (unsigned long nth = 1; nth < 20; nth++) {
		long live = mem_live();
		mem_fail_nth(nth);
		int error = open_server(fixture.path);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		if (!error)
			close_server();
		assert_int_equal(access(fixture.path, F_OK), -1);
		assert_int_equal(mem_live(), live);
	}
}

static void the_order_of_completions_does_not_matter(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		io_double_seed(seed);
		io_double_no_buffers((unsigned)(seed % 3));
		struct io_peer *client = arrives(true);
		io_peer_pieces(client, seed % 11);
		send_text(client, GET GET GET);
		assert_int_equal(count_of(client, "ready\n"), 3);
		talk();
		drop(state);
		fresh(state);
	}
}

/* ---- pods ---- */

static void a_pod_is_held_until_its_client_leaves(void **state)
{
	(void)state;
	static void (*const leaves[])(struct io_peer *) = {io_peer_finish, io_peer_reset};
	for (unsigned i = 0; i < array_count(leaves); i++) {
		struct io_peer *client = asks(ADD);
		assert_string_equal(fixture.spec, "{\"name\":\"x\"}");
		assert_int_equal(io_peer_received(client).size, 0); /* not before capture is on */
		tell(NULL);
		assert_received(client, "HTTP/1.1 200 OK\r\n");
		assert_received(client, "{\"state\":\"captured\"}\n");
		io_double_run(fixture.ring, 3600 * SECOND);
		assert_int_equal(fixture.pods_held, 1);
		leaves[i](client);
		io_double_settle(fixture.ring);
		assert_int_equal(fixture.pods_held, 0);
	}
}

static void a_client_that_leaves_before_capture_is_on_holds_nothing(void **state)
{
	(void)state;
	struct io_peer *client = asks(ADD);
	assert_int_equal(fixture.pods_held, 1);
	io_peer_reset(client);
	io_double_settle(fixture.ring);
	assert_int_equal(fixture.pods_held, 0);
}

static void a_connection_that_holds_a_pod_takes_no_other_request(void **state)
{
	(void)state;
	struct io_peer *client = asks(ADD);
	tell(NULL);
	send_text(client, GET);
	assert_int_equal(fixture.pods_held, 0);
	assert_int_equal(count_of(client, "HTTP/1.1"), 1);
}

static void a_pod_that_is_refused_is_answered_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		int error;
		const char *status;
	} cases[] = {{-EINVAL, "HTTP/1.1 400 "},
		     {-EEXIST, "HTTP/1.1 409 "},
		     {-ENOENT, "HTTP/1.1 422 "},
		     {-ESHUTDOWN, "HTTP/1.1 503 "}};
	for (unsigned i = 0; i < array_count(cases); i++) {
		fixture.add_error = cases[i].error;
		struct io_peer *client = asks(ADD);
		assert_received(client, cases[i].status);
		assert_received(client, "\r\n\r\nit will not do\n");
	}
	fixture.add_error = 0;
	struct io_peer *client = asks(ADD);
	tell("no room in the map");
	assert_received(client, "HTTP/1.1 422 ");
	assert_received(client, "\r\n\r\nno room in the map\n");
	assert_int_equal(fixture.pods_held, 0);
	assert_int_equal(fixture.pods_dropped, 1);
}

static void a_pod_by_tcp_is_refused(void **state)
{
	(void)state;
	struct io_peer *client = arrives(false);
	send_text(client, ADD);
	assert_received(client, "HTTP/1.1 403 ");
	assert_int_equal(fixture.pods_held, 0);
	assert_string_equal(fixture.spec, "");
}

static void who_holds_a_pod_keeps_nobody_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SESSIONS_MAX; i++) {
		asks(ADD);
		tell(NULL);
	}
	assert_int_equal(fixture.pods_held, 2 * SESSIONS_MAX);
	assert_int_equal(fixture.admin->unix_socket.session_count, 0);
	for (unsigned i = 0; i <= SESSIONS_MAX; i++)
		assert_received(asks(GET), "ready\n");
	assert_int_equal(fixture.pods_held, 2 * SESSIONS_MAX);
}

static void edges_and_connections_are_asked_for_by_pod(void **state)
{
	(void)state;
	struct io_peer *client = asks("GET /edges.json?pod=run-7 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(fixture.asked_pod, "run-7");
	fixture.done(fixture.request, "[2]");
	io_double_settle(fixture.ring);
	assert_received(client, "{\"edges\":[2]}\n");
	client = asks("GET /connections.json?pod=shop/a HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(fixture.asked_pod, "shop/a");
	fixture.done(fixture.request, "[3]");
	io_double_settle(fixture.ring);
	assert_received(client, "{\"connections\":[3]}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, fresh, drop)
		SERVER_TEST(a_request_is_answered_and_the_connection_kept),
		SERVER_TEST(pipelined_requests_are_answered_in_order),
		SERVER_TEST(a_request_byte_by_byte_is_answered),
		SERVER_TEST(a_clients_wish_to_close_is_granted),
		SERVER_TEST(a_client_that_half_closes_still_gets_its_answer),
		SERVER_TEST(what_is_no_request_is_refused_and_closed),
		SERVER_TEST(a_large_body_is_refused_and_a_small_one_forgotten),
		SERVER_TEST(without_a_descriptor_the_reserve_is_spent_and_filled_again),
		SERVER_TEST(without_a_reserve_the_idle_leave_for_who_comes),
		SERVER_TEST(a_request_has_five_seconds_to_arrive),
		SERVER_TEST(an_idle_connection_is_closed_after_a_minute),
		SERVER_TEST(a_slow_reader_holds_one_piece_and_gets_everything),
		SERVER_TEST(a_reader_that_does_not_read_is_cut),
		SERVER_TEST(a_reader_that_resets_is_gone_at_once),
		SERVER_TEST(the_workers_answer_is_passed_on),
		SERVER_TEST(an_answer_may_come_after_its_client_left),
		SERVER_TEST(an_answer_that_does_not_come_is_503_and_harmless_later),
		SERVER_TEST(an_answer_may_come_after_the_server_closed),
		SERVER_TEST(a_drain_is_answered_before_it_begins),
		SERVER_TEST(a_drain_by_tcp_is_refused),
		SERVER_TEST(who_waits_longest_makes_room),
		SERVER_TEST(busy_sessions_are_not_pushed_out),
		SERVER_TEST(a_pod_is_held_until_its_client_leaves),
		SERVER_TEST(a_client_that_leaves_before_capture_is_on_holds_nothing),
		SERVER_TEST(a_connection_that_holds_a_pod_takes_no_other_request),
		SERVER_TEST(a_pod_that_is_refused_is_answered_with_the_reason),
		SERVER_TEST(a_pod_by_tcp_is_refused),
		SERVER_TEST(who_holds_a_pod_keeps_nobody_out),
		SERVER_TEST(edges_and_connections_are_asked_for_by_pod),
		SERVER_TEST(any_allocation_may_fail),
		SERVER_TEST(opening_may_fail_at_any_allocation),
		SERVER_TEST(the_order_of_completions_does_not_matter),
#undef SERVER_TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
