/*
 * Many clients and servers that do random things in random order, also while memory is short and
 * the pod is drained. Every request carries a number that says what its body and its answer must
 * be, so that a byte that goes astray is noticed on either side.
 */
#include "script.h"

#define CLIENTS 12
#define STEPS   400
#define SEEDS   60

struct caller {
	struct io_peer *peer;
	char *wanted; /* bytes that it will send, all of them */
	size_t wanted_size;
	size_t sent;
	unsigned first; /* number of its first request */
	unsigned requests;
	bool is_over; /* it has sent FIN or RST */
};

struct server {
	struct io_peer *peer;
	size_t read;        /* of what it received */
	struct text answer; /* being sent */
	size_t answered;
	bool closes; /* after the answer, whose end that is */
	bool is_over;
};

static uint64_t hedges; /* in all storms */

struct storm {
	struct stage *stage;
	struct rng rng;
	struct caller callers[CLIENTS];
	struct server servers[PEERS_MAX];
	unsigned server_count;
	unsigned next_number;
	unsigned whole_answers;
	bool lacks_memory;
};

static uint32_t below(struct storm *storm, uint32_t bound)
{
	return rng_below(&storm->rng, bound);
}

/* ---- what a number means ---- */

static size_t request_body_size(unsigned number)
{
	return number % 3 ? 0 : (size_t)(number * 7919u) % 9000;
}

static size_t answer_body_size(unsigned number)
{
	return number % 7 == 0 ? 0 : (size_t)(number * 104729u) % (number % 5 ? 3000 : 90000);
}

static void add_body(struct text *text, char letter, size_t size, bool chunked)
{
	char piece[700];
	memset(piece, letter, sizeof(piece));
	while (size) {
		size_t most = size < sizeof(piece) ? size : sizeof(piece);
		if (chunked)
			text_printf(text, "%zx\r\n", most);
		text_add(text, span_of(piece, most));
		if (chunked)
			text_add(text, span_text("\r\n"));
		size -= most;
	}
	if (chunked)
		text_add(text, span_text("0\r\n\r\n"));
}

static void add_request(struct text *text, unsigned number)
{
	size_t size = request_body_size(number);
	bool chunked = size && number % 2;
	text_printf(text, "%s /%u HTTP/1.1\r\nHost: storm\r\n", size ? "POST" : "GET", number);
	if (chunked)
		text_printf(text, "Transfer-Encoding: chunked\r\n");
	else if (size)
		text_printf(text, "Content-Length: %zu\r\n", size);
	text_printf(text, "\r\n");
	if (size)
		add_body(text, (char)('a' + number % 26), size, chunked);
}

/* ---- servers ---- */

static void add_answer(struct storm *storm, struct server *server, unsigned number)
{
	size_t size = answer_body_size(number);
	struct text *text = &server->answer;
	unsigned kind = below(storm, 8);
	if (below(storm, 6) == 0)
		text_printf(text, "HTTP/1.1 103 Early Hints\r\n\r\n");
	server->closes = kind == 0;
	if (below(storm, 8) == 0) { /* as one of weft's own, whose number is not looked at */
		text_printf(text, "HTTP/1.1 503 No\r\nl5d-err: busy\r\nContent-Length: 0\r\n%s\r\n",
			    server->closes ? "Connection: close\r\n" : "");
		return;
	}
	text_printf(text, "HTTP/1.1 200 OK\r\nX-Number: %u\r\n", number);
	if (kind == 0)
		text_printf(text, "Connection: close\r\n");
	else if (kind < 4)
		text_printf(text, "Transfer-Encoding: chunked\r\n");
	else
		text_printf(text, "Content-Length: %zu\r\n", size);
	text_printf(text, "\r\n");
	add_body(text, (char)('A' + number % 26), size, kind > 0 && kind < 4);
}

/* The size of a whole request at the front of `bytes`, which is checked; 0 = not there yet. */
static size_t check_request(struct span bytes, unsigned *ret_number)
{
	const char *end = memmem(bytes.data, bytes.size, "\r\n\r\n", 4);
	if (!end)
		return 0;
	size_t head = (size_t)(end + 4 - bytes.data);
	const char *slash = memchr(bytes.data, '/', head);
	assert_non_null(slash);
	unsigned number = (unsigned)strtoul(slash + 1, NULL, 10);
	size_t size = request_body_size(number);
	struct span body = span_of(end + 4, bytes.size - head);
	*ret_number = number;
	if (memmem(bytes.data, head, "chunked", 7)) {
		const char *last = memmem(body.data, body.size, "\r\n0\r\n\r\n", 7);
		if (!last)
			return 0;
		body.size = (size_t)(last + 7 - body.data);
		char *plain = malloc(body.size + sizeof(END_OF_CHUNKS));
		assert_int_equal(unchunk(body, plain), size + sizeof(END_OF_CHUNKS "\r\n") - 1);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(plain[i], 'a' + (int)(number % 26));
		free(plain);
		return head + body.size;
	}
	if (body.size < size)
		return 0;
	for (size_t i = 0; i < size; i++)
		assert_int_equal(body.data[i], 'a' + (int)(number % 26));
	return head + size;
}

static void server_acts(struct storm *storm, struct server *server)
{
	struct span got = io_peer_received(server->peer);
	unsigned number;
	if (server->is_over)
		return;
	if (server->answer.size == 0) {
		size_t used = check_request(
			span_of(got.data + server->read, got.size - server->read), &number);
		server->read += used;
		if (used)
			add_answer(storm, server, number);
	}
	size_t left = server->answer.size - server->answered;
	size_t burst = left ? 1 + below(storm, 30000) : 0;
	burst = burst < left ? burst : left;
	io_peer_send(server->peer, span_of(server->answer.data + server->answered, burst));
	server->answered += burst;
	bool is_done = server->answer.size && server->answered == server->answer.size;
	if (is_done) {
		text_clear(&server->answer);
		server->answered = 0;
	}
	if (below(storm, 200) == 0) {
		io_peer_reset(server->peer);
		server->is_over = true;
	} else if (is_done ? server->closes : !server->closes && below(storm, 200) == 0) {
		/* FIN in the middle of a body until close would be its end. */
		io_peer_finish(server->peer);
		server->is_over = true;
	}
}

static void find_servers(struct storm *storm)
{
	for (unsigned i = 0; i < array_count(stage_endpoints); i++) {
		struct weft_address address = address_of(stage_endpoints[i]);
		struct io_peer *peer;
		while (storm->server_count < PEERS_MAX &&
		       (peer = io_double_reached(&address)) != NULL) {
			stage_peer(storm->stage, peer);
			io_peer_pieces(peer, below(storm, 3) ? 0 : 1 + below(storm, 3000));
			storm->servers[storm->server_count++] = (struct server){.peer = peer};
		}
	}
}

/* ---- clients ---- */

static void caller_begins(struct storm *storm, struct caller *caller)
{
	static const char *const services[] = {WEB, ANY, MANY, STRANGER};
	struct text text = {0};
	free(caller->wanted);
	*caller = (struct caller){.first = storm->next_number, .requests = 1 + below(storm, 4)};
	storm->next_number += caller->requests;
	for (unsigned i = 0; i < caller->requests; i++)
		add_request(&text, caller->first + i);
	caller->wanted = malloc(text.size + 1);
	assert_non_null(caller->wanted);
	memcpy(caller->wanted, text.data, text.size);
	caller->wanted_size = text.size;
	text_fini(&text);
	caller->peer = client_dials(storm->stage, services[below(storm, 4)]);
	io_peer_pieces(caller->peer, below(storm, 3) ? 0 : 1 + below(storm, 3000));
	if (below(storm, 3) == 0)
		io_peer_window(caller->peer, 1 + below(storm, 30000));
}

static bool is_own_answer(struct span head)
{
	return memmem(head.data, head.size, "\r\nl5d-err: ", 11) != NULL;
}

/* The size of the answer at the front that is whole; 0 = it is not, or is none. */
static size_t check_answer(struct span bytes, unsigned number, bool *ret_is_own)
{
	const char *end = memmem(bytes.data, bytes.size, "\r\n\r\n", 4);
	if (!end)
		return 0;
	size_t head = (size_t)(end + 4 - bytes.data);
	struct span body = span_of(end + 4, bytes.size - head);
	char wanted[64];
	*ret_is_own = is_own_answer(span_of(bytes.data, head));
	const char *length = memmem(bytes.data, head, "Content-Length: ", 16);
	if (*ret_is_own) {
		size_t size = strtoul(length + 16, NULL, 10);
		return body.size < size ? 0 : head + size;
	}
	if (memcmp(bytes.data, "HTTP/1.1 103", 12) == 0)
		return head;
	snprintf(wanted, sizeof(wanted), "HTTP/1.1 200 OK\r\nX-Number: %u\r\n", number);
	assert_memory_equal(bytes.data, wanted, strlen(wanted));
	size_t size = answer_body_size(number);
	char *plain = malloc(body.size + sizeof(END_OF_CHUNKS) + 2);
	size_t used = size;
	size_t have = body.size < size ? body.size : size;
	if (length) {
		assert_int_equal(strtoul(length + 16, NULL, 10), size);
		memcpy(plain, body.data, have);
	} else {
		const char *last = memmem(body.data, body.size, "0\r\n\r\n", 5);
		used = last ? (size_t)(last + 5 - body.data) : body.size + 1;
		have = unchunk(span_of(body.data, last ? used : body.size), plain);
		have = have < size ? have : size;
	}
	for (size_t i = 0; i < have; i++)
		assert_int_equal(plain[i], 'A' + (int)(number % 26));
	free(plain);
	return used <= body.size ? head + used : 0;
}

/* All that it has seen is whole answers to its requests in order, the last one perhaps cut. */
static void caller_is_right(struct storm *storm, const struct caller *caller)
{
	struct span got = io_peer_received(caller->peer);
	unsigned answers = 0;
	while (got.size) {
		bool is_own = false;
		bool is_interim = got.size > 12 && memcmp(got.data, "HTTP/1.1 103", 12) == 0;
		size_t used = check_answer(got, caller->first + answers, &is_own);
		if (!used)
			return;
		assert_true(answers < caller->requests || is_own);
		answers += !is_interim;
		storm->whole_answers += !is_interim && !is_own;
		got = span_of(got.data + used, got.size - used);
	}
}

static void caller_acts(struct storm *storm, struct caller *caller)
{
	if (!caller->peer || caller->is_over) {
		if (caller->peer)
			caller_is_right(storm, caller);
		if (storm->stage->peer_count < PEERS_MAX - 100)
			caller_begins(storm, caller);
		else
			caller->peer = NULL;
		return;
	}
	size_t left = caller->wanted_size - caller->sent;
	size_t burst = left ? 1 + below(storm, 12000) : 0;
	burst = burst < left ? burst : left;
	io_peer_send(caller->peer, span_of(caller->wanted + caller->sent, burst));
	caller->sent += burst;
	io_peer_read(caller->peer, below(storm, 60000));
	if (below(storm, 60) == 0) {
		io_peer_reset(caller->peer);
		caller->is_over = true;
	} else if (left == burst && below(storm, 10) == 0) {
		io_peer_finish(caller->peer);
		caller->is_over = below(storm, 2);
	}
}

/* ---- the storm ---- */

static void weather(struct storm *storm)
{
	struct stage *stage = storm->stage;
	if (below(storm, 50) == 0)
		kernel_double_dry(below(storm, 2));
	if (below(storm, 50) == 0)
		endpoint_answers(stage_endpoints[3 + below(storm, 4)],
				 (enum io_double_answer)below(storm, 3),
				 below(storm, 1200) * NS_PER_MS);
	stage_forget_free_blocks(stage);
	if (storm->lacks_memory && below(storm, 5) == 0)
		mem_fail_nth(1 + below(storm, 4));
	io_turn(stage->worker.ring, below(storm, 8) ? 0 : below(storm, 400) * NS_PER_MS);
	mem_fail_nth(0);
	if (below(storm, 100) == 0)
		stage_run(stage, below(storm, 3000) * NS_PER_MS);
}

static void blow(struct storm *storm)
{
	for (unsigned step = 0; step < STEPS; step++) {
		caller_acts(storm, &storm->callers[below(storm, CLIENTS)]);
		find_servers(storm);
		for (unsigned i = 0; i < storm->server_count; i++) {
			if (below(storm, 3))
				server_acts(storm, &storm->servers[i]);
		}
		weather(storm);
		if (step == STEPS / 2 && storm->stage->later)
			stage_publish_later(storm->stage);
	}
}

/* Every other pair of storms: what takes long is sent to a second server, what fails or takes too
 * long is tried again. */
static void hedging(struct stage_draft *all)
{
	for (unsigned i = 0; i < array_count(all->services); i++) {
		struct resilience *rules = &all->services[i].resilience;
		rules->hedge.after_ns = NS_PER_MS;
		rules->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
		rules->retry.budget.min_per_second = 1000;
		rules->retry.backoff.least_ns = 20 * NS_PER_MS;
		rules->retry.backoff.most_ns = 50 * NS_PER_MS;
		rules->timeout.per_try_ns = 200 * NS_PER_MS;
		rules->timeout.total_ns = 900 * NS_PER_MS;
		rules->breaker.failures = 3;
	}
}

/* From the middle of such a storm on: endpoints have gone while they were asked. */
static void hedging_with_fewer(struct stage_draft *all)
{
	hedging(all);
	all->services[0].endpoints.count = 0;
	all->services[3].endpoints.count = 2;
	all->services[3].resilience.hedge.share_ppm = 900000;
}

static unsigned run_storm(uint64_t seed, bool lacks_memory, bool drains)
{
	struct stage stage;
	struct storm *storm = calloc(1, sizeof(*storm));
	assert_non_null(storm);
	trace("storm %llu, memory %d, drains %d", (unsigned long long)seed, lacks_memory, drains);
	bool hedges_too = seed / 2 % 2;
	stage_open(&stage, hedges_too ? hedging : NULL, hedges_too ? hedging_with_fewer : NULL);
	stage.is_lenient = true;
	io_double_seed(seed + 1);
	rng_init(&storm->rng, seed);
	storm->stage = &stage;
	storm->lacks_memory = lacks_memory;
	blow(storm);
	mem_fail_nth(0);
	if (drains) {
		worker_pod_drain(&stage.worker, 1, 5 * NS_PER_S);
		for (int i = 0; i < 100; i++) {
			for (unsigned k = 0; k < storm->server_count; k++)
				server_acts(storm, &storm->servers[k]);
			stage_run(&stage, 50 * NS_PER_MS);
		}
	}
	for (unsigned i = 0; i < storm->server_count; i++) {
		const struct server *server = &storm->servers[i];
		if (server->closes && server->answer.size && !server->is_over)
			io_peer_reset(server->peer); /* a FIN would end the body */
	}
	stage_empty(&stage);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (storm->callers[i].peer)
			caller_is_right(storm, &storm->callers[i]);
		free(storm->callers[i].wanted);
	}
	for (unsigned i = 0; i < storm->server_count; i++)
		text_fini(&storm->servers[i].answer);
	hedges += counted(&stage, WEFT_PROXY_HEDGED);
	unsigned whole = storm->whole_answers;
	free(storm);
	stage_close(&stage);
	return whole;
}

static void no_byte_goes_astray_in_a_storm(void **state)
{
	unsigned whole = 0;
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		whole += run_storm(seed, false, seed % 2);
	assert_true(whole > SEEDS * 10);
	assert_true(hedges > SEEDS);
}

static void no_byte_goes_astray_when_memory_is_short_as_well(void **state)
{
	unsigned whole = 0;
	(void)state;
	for (uint64_t seed = 1000; seed < 1000 + SEEDS; seed++)
		whole += run_storm(seed, true, seed % 2);
	assert_true(whole > SEEDS * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_byte_goes_astray_in_a_storm),
		cmocka_unit_test(no_byte_goes_astray_when_memory_is_short_as_well),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
