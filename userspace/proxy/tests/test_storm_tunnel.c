/*
 * Many tunnels whose two ends send, read, half-close and reset in random order. What one end has
 * received is always the beginning of what the other has sent, and all of it, with its FIN, unless
 * somebody reset the connection or memory was short.
 */
#include "script.h"

#define PAIRS       10
#define STEPS       250
#define SEEDS       8
#define LABEL_BYTES 8 /* at the front of what a client sends: its number */

struct side {
	struct io_peer *peer;
	size_t wanted; /* bytes that it will send in all */
	size_t sent;
	bool has_finished;
	bool has_reset;
};

struct pair {
	unsigned number;
	struct side client;
	struct side server; /* peer NULL: not reached yet */
};

struct storm {
	struct stage *stage;
	struct rng rng;
	struct pair pairs[PAIRS];
	struct io_peer *strangers[PEERS_MAX]; /* servers whose client is not known yet */
	unsigned stranger_count;
	unsigned next_number;
	unsigned whole;
	bool lacks_memory;
};

static uint32_t below(struct storm *storm, uint32_t bound)
{
	return rng_below(&storm->rng, bound);
}

/* Byte `at` of what that side of that pair sends. */
static char byte_of(unsigned number, bool is_client, size_t at)
{
	char label[LABEL_BYTES + 1];
	if (is_client && at < LABEL_BYTES) {
		snprintf(label, sizeof(label), "\x01%07u", number);
		return label[at];
	}
	return (char)((at * 31 + at / 251 + number * 7 + is_client) & 0xff);
}

static void side_sends(struct storm *storm, struct pair *pair, struct side *side, size_t most)
{
	char bytes[4096];
	bool is_client = side == &pair->client;
	while (most && side->sent < side->wanted) {
		size_t size = most < sizeof(bytes) ? most : sizeof(bytes);
		if (size > side->wanted - side->sent)
			size = side->wanted - side->sent;
		for (size_t i = 0; i < size; i++)
			bytes[i] = byte_of(pair->number, is_client, side->sent + i);
		io_peer_send(side->peer, span_of(bytes, size));
		side->sent += size;
		most -= size;
	}
	if (side->sent == side->wanted && !side->has_finished && below(storm, 3) == 0) {
		io_peer_finish(side->peer);
		side->has_finished = true;
	}
}

static void side_acts(struct storm *storm, struct pair *pair, struct side *side)
{
	if (!side->peer || side->has_reset)
		return;
	side_sends(storm, pair, side, below(storm, 30000));
	io_peer_read(side->peer, below(storm, 60000));
	if (below(storm, 300) == 0) {
		io_peer_reset(side->peer);
		side->has_reset = true;
	}
}

static void pair_begins(struct storm *storm, struct pair *pair)
{
	static const char *const services[] = {RAW, ANY, STRANGER};
	*pair = (struct pair){.number = storm->next_number++};
	pair->client.wanted = LABEL_BYTES + below(storm, 150000);
	pair->server.wanted = below(storm, 3) ? below(storm, 150000) : 0;
	pair->client.peer = client_dials(storm->stage, services[below(storm, 3)]);
	io_peer_pieces(pair->client.peer, below(storm, 3) ? 0 : 1 + below(storm, 5000));
	io_peer_window(pair->client.peer, below(storm, 2) ? UINT64_MAX : 1 + below(storm, 30000));
}

/* The pair whose label this connection has received; NULL = not there yet. */
static struct pair *pair_of(struct storm *storm, const struct io_peer *server)
{
	struct span got = io_peer_received(server);
	char label[LABEL_BYTES];
	if (got.size < LABEL_BYTES)
		return NULL;
	memcpy(label, got.data + 1, LABEL_BYTES - 1);
	label[LABEL_BYTES - 1] = '\0';
	unsigned number = (unsigned)strtoul(label, NULL, 10);
	for (unsigned i = 0; i < PAIRS; i++) {
		if (storm->pairs[i].client.peer && storm->pairs[i].number == number)
			return &storm->pairs[i];
	}
	return NULL;
}

static void find_servers(struct storm *storm)
{
	static const char *const endpoints[] = {RAW_ENDPOINT, ANY_ENDPOINT, STRANGER};
	for (unsigned i = 0; i < array_count(endpoints); i++) {
		struct weft_address address = address_of(endpoints[i]);
		struct io_peer *peer = stage_peer(storm->stage, io_double_reached(&address));
		if (!peer)
			continue;
		io_peer_pieces(peer, below(storm, 3) ? 0 : 1 + below(storm, 5000));
		io_peer_window(peer, LABEL_BYTES + below(storm, 30000));
		storm->strangers[storm->stranger_count++] = peer;
	}
	for (unsigned i = 0; i < storm->stranger_count; i++) {
		struct pair *pair =
			storm->strangers[i] ? pair_of(storm, storm->strangers[i]) : NULL;
		if (!pair)
			continue;
		assert_null(pair->server.peer);
		pair->server.peer = storm->strangers[i];
		storm->strangers[i] = NULL;
	}
}

static bool side_is_right(const struct pair *pair, const struct side *from, const struct side *to)
{
	struct span got = io_peer_received(to->peer);
	bool is_client = from == &pair->client;
	assert_true(got.size <= from->sent);
	for (size_t i = 0; i < got.size; i++)
		assert_int_equal(got.data[i], byte_of(pair->number, is_client, i));
	return got.size == from->wanted && from->has_finished && io_peer_saw_fin(to->peer);
}

/* Looks at what both have seen; true when both have seen all. */
static bool pair_is_right(struct storm *storm, const struct pair *pair)
{
	if (!pair->client.peer || !pair->server.peer)
		return false;
	bool is_whole = side_is_right(pair, &pair->client, &pair->server);
	is_whole &= side_is_right(pair, &pair->server, &pair->client);
	storm->whole += is_whole;
	return is_whole;
}

static bool is_over(const struct pair *pair)
{
	bool has_ended = pair->client.has_finished && pair->server.has_finished &&
			 io_peer_saw_fin(pair->client.peer);
	return has_ended || pair->client.has_reset || pair->server.has_reset;
}

static void blow(struct storm *storm)
{
	struct stage *stage = storm->stage;
	for (unsigned step = 0; step < STEPS; step++) {
		struct pair *pair = &storm->pairs[below(storm, PAIRS)];
		bool may_begin = stage->peer_count < PEERS_MAX - 100;
		if ((!pair->client.peer || is_over(pair)) && may_begin) {
			pair_is_right(storm, pair);
			pair_begins(storm, pair);
		}
		find_servers(storm);
		for (unsigned i = 0; i < PAIRS; i++) {
			if (below(storm, 2) && storm->pairs[i].client.peer) {
				side_acts(storm, &storm->pairs[i], &storm->pairs[i].client);
				side_acts(storm, &storm->pairs[i], &storm->pairs[i].server);
			}
		}
		stage_forget_free_blocks(stage);
		if (storm->lacks_memory && below(storm, 5) == 0)
			mem_fail_nth(1 + below(storm, 4));
		io_turn(stage->worker.ring, below(storm, 8) ? 0 : below(storm, 400) * NS_PER_MS);
		mem_fail_nth(0);
	}
}

/* Everybody says the rest and reads everything. */
static void calm(struct storm *storm)
{
	for (int round = 0; round < 40; round++) {
		find_servers(storm);
		for (unsigned i = 0; i < PAIRS; i++) {
			struct pair *pair = &storm->pairs[i];
			struct side *sides[] = {&pair->client, &pair->server};
			for (int k = 0; k < 2; k++) {
				if (!sides[k]->peer || sides[k]->has_reset)
					continue;
				io_peer_window(sides[k]->peer, UINT64_MAX);
				side_sends(storm, pair, sides[k], SIZE_MAX);
			}
		}
		stage_run(storm->stage, 50 * NS_PER_MS);
	}
	for (unsigned i = 0; i < PAIRS; i++) {
		const struct pair *pair = &storm->pairs[i];
		bool is_whole = pair_is_right(storm, pair);
		bool was_reset = pair->client.has_reset || pair->server.has_reset;
		assert_true(is_whole || was_reset || !pair->client.peer || storm->lacks_memory);
	}
}

static unsigned run_storm(uint64_t seed, bool lacks_memory)
{
	struct stage stage;
	struct storm *storm = calloc(1, sizeof(*storm));
	assert_non_null(storm);
	trace("storm %llu, memory %d", (unsigned long long)seed, lacks_memory);
	stage_open(&stage, NULL, NULL);
	stage.is_lenient = true;
	io_double_seed(seed + 1);
	rng_init(&storm->rng, seed);
	storm->stage = &stage;
	storm->lacks_memory = lacks_memory;
	blow(storm);
	calm(storm);
	unsigned whole = storm->whole;
	free(storm);
	stage_empty(&stage);
	stage_close(&stage);
	return whole;
}

static void tunnels_are_whole_after_a_storm(void **state)
{
	unsigned whole = 0;
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		whole += run_storm(seed, false);
	assert_true(whole > SEEDS * 5);
}

static void tunnels_are_right_when_memory_is_short_as_well(void **state)
{
	unsigned whole = 0;
	(void)state;
	for (uint64_t seed = 1000; seed < 1000 + SEEDS; seed++)
		whole += run_storm(seed, true);
	assert_true(whole > SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels_are_whole_after_a_storm),
		cmocka_unit_test(tunnels_are_right_when_memory_is_short_as_well),
	};
	cmocka_set_test_filter(getenv("ONLY")); /* a pattern, for one test alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
