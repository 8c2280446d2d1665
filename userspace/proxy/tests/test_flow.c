/*
 * Bulk: bodies much larger than every window, peers that read slowly, memory that stays flat, and
 * workers that run out of buffers.
 */
#include "script.h"

#define BULK_BYTES  (3u * 1024 * 1024)
#define BOUND_BYTES (320u * 1024) /* window, one large receive, and what was kept, both ways */

struct bulk {
	struct stage *stage;
	struct io_peer *source;
	struct io_peer *sink;
	char *bytes;
	size_t sent;
	uint64_t most_block_bytes;
	struct rng rng;
};

static void bulk_open(struct bulk *bulk, struct stage *stage, struct io_peer *source,
		      struct io_peer *sink, uint64_t seed)
{
	*bulk = (struct bulk){.stage = stage, .source = source, .sink = sink};
	bulk->bytes = malloc(BULK_BYTES);
	assert_non_null(bulk->bytes);
	rng_init(&bulk->rng, seed);
	for (size_t i = 0; i < BULK_BYTES; i += 8) {
		uint64_t word = rng_next(&bulk->rng);
		memcpy(bulk->bytes + i, &word, 8);
	}
	io_peer_window(sink, 20000);
}

/* One burst from the source, some reading by the sink; `chunked` wraps each burst. */
static void bulk_step(struct bulk *bulk, bool chunked)
{
	size_t burst = 1 + rng_below(&bulk->rng, 200000);
	char line[32];
	if (burst > BULK_BYTES - bulk->sent)
		burst = BULK_BYTES - bulk->sent;
	if (burst && chunked) {
		snprintf(line, sizeof(line), "%zx\r\n", burst);
		io_peer_send(bulk->source, span_text(line));
	}
	io_peer_send(bulk->source, span_of(bulk->bytes + bulk->sent, burst));
	if (burst && chunked)
		io_peer_send(bulk->source, span_text("\r\n"));
	bulk->sent += burst;
	for (int i = 0; i < 5; i++) {
		io_turn(bulk->stage->worker.ring, 0);
		uint64_t now = bulk->stage->worker.blocks.bytes_in_use;
		if (now > bulk->most_block_bytes)
			bulk->most_block_bytes = now;
	}
	io_peer_read(bulk->sink, rng_below(&bulk->rng, 200000));
}

static void bulk_run(struct bulk *bulk, bool chunked)
{
	for (int steps = 0; steps < 1000 && bulk->sent < BULK_BYTES; steps++)
		bulk_step(bulk, chunked);
	assert_int_equal(bulk->sent, BULK_BYTES);
	if (chunked)
		io_peer_send(bulk->source, span_text("0\r\n\r\n"));
}

static void bulk_finish(struct bulk *bulk)
{
	/* The rest, at the sink's pace. */
	for (int steps = 0; steps < 100000; steps++) {
		size_t before = io_peer_received(bulk->sink).size;
		io_peer_read(bulk->sink, 30000);
		io_turn(bulk->stage->worker.ring, 0);
		io_turn(bulk->stage->worker.ring, 0);
		uint64_t now = bulk->stage->worker.blocks.bytes_in_use;
		if (now > bulk->most_block_bytes)
			bulk->most_block_bytes = now;
		if (io_peer_received(bulk->sink).size == before &&
		    io_peer_unreceived(bulk->source) == 0 && steps > 10)
			break;
	}
	io_peer_window(bulk->sink, UINT64_MAX);
	stage_settle(bulk->stage);
	assert_in_range(bulk->most_block_bytes, 20000, BOUND_BYTES);
}

/* The sink has seen `head` and then every byte; chunks are taken off. */
static void bulk_check(struct bulk *bulk, const char *head, bool chunked)
{
	struct span got = io_peer_received(bulk->sink);
	size_t head_size = strlen(head);
	assert_true(got.size > head_size);
	assert_memory_equal(got.data, head, head_size);
	got = span_of(got.data + head_size, got.size - head_size);
	char *plain = malloc(got.size + sizeof(END_OF_CHUNKS));
	assert_non_null(plain);
	size_t size = got.size;
	if (chunked)
		size = unchunk(got, plain);
	else
		memcpy(plain, got.data, size);
	size_t end = chunked ? sizeof(END_OF_CHUNKS "\r\n") - 1 : 0;
	assert_int_equal(size, BULK_BYTES + end);
	assert_memory_equal(plain, bulk->bytes, BULK_BYTES);
	free(plain);
	free(bulk->bytes);
	bulk->bytes = NULL;
}

static const char *up_head;
static const char *down_head;
static const char *down_seen;
static bool is_chunked;
static bool becomes_chunked;
static uint64_t seed;

static void upload(struct stage *stage)
{
	struct bulk bulk;
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, up_head);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	bulk_open(&bulk, stage, client, server, seed);
	bulk_run(&bulk, is_chunked);
	bulk_finish(&bulk);
	bulk_check(&bulk, up_head, is_chunked);
	io_peer_forget(server);
	peer_sends(stage, server, "HTTP/1.1 204 No Content\r\n\r\n");
	sees(stage, client, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void download(struct stage *stage)
{
	struct bulk bulk;
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, "GET /big HTTP/1.1\r\nHost: web\r\n\r\n");
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, down_head);
	bulk_open(&bulk, stage, server, client, seed);
	bulk_run(&bulk, is_chunked);
	if (becomes_chunked && !is_chunked)
		io_peer_finish(server);
	bulk_finish(&bulk);
	bulk_check(&bulk, down_seen, becomes_chunked);
}

static void tunnel_up(struct stage *stage)
{
	struct bulk bulk;
	struct io_peer *client = client_connect(stage, RAW);
	struct io_peer *server = reaches(stage, RAW_ENDPOINT);
	bulk_open(&bulk, stage, client, server, seed);
	peer_sends(stage, client, "<");
	bulk_run(&bulk, false);
	io_peer_finish(client);
	bulk_finish(&bulk);
	bulk_check(&bulk, "<", false);
	assert_true(io_peer_saw_fin(server));
}

static void tunnel_down(struct stage *stage)
{
	struct bulk bulk;
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, server, ">");
	bulk_open(&bulk, stage, server, client, seed);
	bulk_run(&bulk, false);
	io_peer_finish(server);
	bulk_finish(&bulk);
	bulk_check(&bulk, ">", false);
	assert_true(io_peer_saw_fin(client));
}

static void run_all(scenario *run)
{
	for (seed = 0; seed < 3; seed++) {
		struct stage stage;
		stage_open(&stage, NULL, NULL);
		stage.piece_bytes = seed == 1 ? 3000 : 0;
		io_double_seed(seed);
		act(&stage, run);
		stage_close(&stage);
	}
}

static void an_upload_keeps_memory_flat(void **state)
{
	(void)state;
	up_head = "PUT /big HTTP/1.1\r\nHost: web\r\nContent-Length: 3145728\r\n\r\n";
	is_chunked = false;
	run_all(upload);
}

static void a_chunked_upload_keeps_memory_flat(void **state)
{
	(void)state;
	up_head = "PUT /big HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n";
	is_chunked = true;
	run_all(upload);
}

static void a_download_keeps_memory_flat(void **state)
{
	(void)state;
	down_head = down_seen = "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n";
	is_chunked = becomes_chunked = false;
	run_all(download);
}

static void a_chunked_download_keeps_memory_flat(void **state)
{
	(void)state;
	down_head = down_seen = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	is_chunked = becomes_chunked = true;
	run_all(download);
}

static void a_download_until_close_keeps_memory_flat(void **state)
{
	(void)state;
	down_head = "HTTP/1.0 200 OK\r\n\r\n";
	down_seen = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	is_chunked = false;
	becomes_chunked = true;
	run_all(download);
}

static void a_tunnel_keeps_memory_flat(void **state)
{
	(void)state;
	run_all(tunnel_up);
	run_all(tunnel_down);
}

/* A client that pipelines and never reads is not read for ever either. */
static void endless_pipeline(struct stage *stage)
{
	static const char request[] = "GET /a HTTP/1.1\r\nHost: web\r\n\r\n";
	struct io_peer *client = client_connect(stage, WEB);
	io_peer_window(client, 100);
	for (int i = 0; i < 20000; i++)
		io_peer_send(client, span_text(request));
	stage_settle(stage);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	for (int i = 0; i < 200; i++) {
		io_peer_send(server,
			     span_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
		stage_settle(stage);
		assert_true(stage->worker.blocks.bytes_in_use < 200000);
	}
	assert_true(io_peer_unreceived(client) > 400000);
	io_peer_reset(client);
	stage_settle(stage);
	assert_int_equal(stage->worker.counts->sessions, 0);
}

static void a_client_that_pipelines_for_ever_is_held_back(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, NULL, NULL);
	act(&stage, endless_pipeline);
	stage_close(&stage);
}

/* ---- out of buffers ---- */

#define FEW_BYTES      262144
#define RING_OWN_BYTES (16 * (size_t)BLOCK_LARGE_BYTES) /* on top of the limit */

static void few_buffers(struct stage_draft *all)
{
	all->draft.settings.buffer_limit_bytes = FEW_BYTES;
}

/* More sessions than the worker has buffers for: some end, the others are right. */
static void crowd(struct stage *stage)
{
	static const char head[] =
		"PUT /big HTTP/1.1\r\nHost: web\r\nContent-Length: 200000\r\n\r\n";
	struct io_peer *clients[30];
	struct io_peer *servers[30];
	char *body = malloc(200000);
	unsigned whole = 0;
	assert_non_null(body);
	memset(body, 'b', 200000);
	for (unsigned i = 0; i < 30; i++) {
		clients[i] = client_connect(stage, WEB);
		peer_sends(stage, clients[i], head);
		servers[i] = reaches(stage, WEB_ENDPOINT);
		io_peer_window(servers[i], 100);
	}
	for (unsigned i = 0; i < 30; i++) {
		io_peer_send(clients[i], span_of(body, 200000));
		stage_settle(stage);
		assert_true(stage->worker.blocks.bytes_in_use <= FEW_BYTES + RING_OWN_BYTES);
	}
	for (unsigned i = 0; i < 30; i++) {
		io_peer_window(servers[i], UINT64_MAX);
		stage_settle(stage);
		struct span got = io_peer_received(servers[i]);
		assert_memory_equal(got.data, head, sizeof(head) - 1);
		for (size_t at = sizeof(head) - 1; at < got.size; at++)
			assert_int_equal(got.data[at], 'b');
		whole += got.size == sizeof(head) - 1 + 200000;
	}
	free(body);
	assert_in_range(whole, 1, 29);
	assert_true(counted(stage, WEFT_PROXY_OUT_OF_MEMORY) > 0);
	/* It has recovered. */
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, "GET /a HTTP/1.1\r\nHost: many\r\n\r\n");
	assert_int_equal(dials_to("10.0.4.1:80") + dials_to("10.0.4.2:80") +
				 dials_to("10.0.4.3:80") + dials_to("10.0.4.4:80"),
			 1);
}

static void half_heads(struct stage *stage)
{
	char head[4000] = "GET /a HTTP/1.1\r\nHost: web\r\nX: ";
	size_t begun = strlen(head);
	memset(head + begun, 'x', sizeof(head) - 1 - begun);
	for (unsigned i = 0; i < 400; i++) {
		struct io_peer *client = client_connect(stage, WEB);
		peer_sends(stage, client, head);
		assert_true(stage->worker.blocks.bytes_in_use <= FEW_BYTES + RING_OWN_BYTES);
	}
	assert_in_range(stage->worker.counts->sessions, 1, 399);
	assert_true(counted(stage, WEFT_PROXY_OUT_OF_MEMORY) > 0);
}

static void heads_that_never_end_take_no_more_than_the_buffers_may(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, few_buffers, NULL);
	io_double_settle(stage.worker.ring);
	act(&stage, half_heads);
	stage_close(&stage);
}

static void a_worker_out_of_buffers_ends_some_and_recovers(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, few_buffers, NULL);
	io_double_settle(stage.worker.ring);
	act(&stage, crowd);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_keeps_memory_flat),
		cmocka_unit_test(a_chunked_upload_keeps_memory_flat),
		cmocka_unit_test(a_download_keeps_memory_flat),
		cmocka_unit_test(a_chunked_download_keeps_memory_flat),
		cmocka_unit_test(a_download_until_close_keeps_memory_flat),
		cmocka_unit_test(a_tunnel_keeps_memory_flat),
		cmocka_unit_test(a_client_that_pipelines_for_ever_is_held_back),
		cmocka_unit_test(heads_that_never_end_take_no_more_than_the_buffers_may),
		cmocka_unit_test(a_worker_out_of_buffers_ends_some_and_recovers),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
