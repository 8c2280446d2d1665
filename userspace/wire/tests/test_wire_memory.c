/* A whole transfer again and again, each time with another allocation failing. */
#include "stage.h"

#include <errno.h>

#define TRANSFER_BYTES 300000
#define RUNS_MOST      2000

struct transfer {
	struct stage stage;
	struct owner left, right; /* what comes on left goes out on right */
	struct io_peer *source, *sink;
	char *bytes;
};

static void transfer_open(struct transfer *transfer, uint64_t seed)
{
	stage_open(&transfer->stage);
	io_double_seed(seed);
	transfer->bytes = pattern(TRANSFER_BYTES);
	transfer->source = owner_adopt(&transfer->left, &transfer->stage);
	transfer->sink = owner_adopt(&transfer->right, &transfer->stage);
	transfer->left.echo = &transfer->right.wire;
	if (seed % 3 == 0) {
		wire_guard(&transfer->left.wire);
		wire_guard(&transfer->right.wire);
		io_peer_passes_tcp(transfer->source);
	}
	io_peer_window(transfer->sink, 30000);
	io_peer_pieces(transfer->source, seed % 2 ? 1500 : 0);
}

/* The source sends in bursts, the sink reads now and then, left pauses now and then. */
static void transfer_run(struct transfer *transfer)
{
	struct rng rng;
	size_t sent = 0;
	rng_init(&rng, 1);
	wire_read_start(&transfer->left.wire);
	wire_read_start(&transfer->right.wire);
	for (int turns = 0; turns < 100000 && !transfer->left.closed; turns++) {
		size_t burst = rng_below(&rng, 50000);
		if (burst > TRANSFER_BYTES - sent)
			burst = TRANSFER_BYTES - sent;
		io_peer_send(transfer->source, span_of(transfer->bytes + sent, burst));
		sent += burst;
		if (sent == TRANSFER_BYTES)
			io_peer_finish(transfer->source);
		stage_forget_free_blocks(&transfer->stage);
		io_turn(transfer->stage.ring, 0);
		io_peer_read(transfer->sink, rng_below(&rng, 40000));
		bool is_done = io_peer_received(transfer->sink).size == TRANSFER_BYTES;
		if (is_done || transfer->left.error || transfer->right.error)
			break;
		if (rng_below(&rng, 4) == 0)
			wire_pause(&transfer->left.wire);
		else
			wire_read_start(&transfer->left.wire);
	}
}

/* Ends both; true when every byte had arrived. Whatever arrived is the beginning. */
static bool transfer_close(struct transfer *transfer)
{
	struct span got = io_peer_received(transfer->sink);
	bool is_whole = got.size == TRANSFER_BYTES;
	if (!transfer->left.closed)
		wire_close(&transfer->left.wire);
	if (!transfer->right.closed)
		wire_abort_after_queue(&transfer->right.wire);
	io_double_run(transfer->stage.ring, 31 * NS_PER_S);
	got = io_peer_received(transfer->sink);
	assert_true(got.size <= TRANSFER_BYTES);
	assert_memory_equal(got.data, transfer->bytes, got.size);
	assert_true(transfer->left.size <= TRANSFER_BYTES);
	assert_memory_equal(transfer->left.bytes ? transfer->left.bytes : "", transfer->bytes,
			    transfer->left.size);
	owner_fini(&transfer->left);
	owner_fini(&transfer->right);
	stage_close(&transfer->stage);
	free(transfer->bytes);
	return is_whole;
}

/* The first n for which no allocation failed any more. */
static unsigned long runs_until_enough(uint64_t seed, unsigned *ended)
{
	for (unsigned long n = 1; n < RUNS_MOST; n++) {
		struct transfer transfer;
		transfer_open(&transfer, seed);
		mem_fail_nth(n);
		transfer_run(&transfer);
		bool has_failed = nth_has_failed(n);
		bool lacked = transfer.left.lacked_memory || transfer.left.error == -ENOMEM ||
			      transfer.right.error == -ENOMEM;
		bool is_whole = transfer_close(&transfer);
		assert_true(is_whole || lacked);
		*ended += !is_whole;
		if (!has_failed)
			return n;
	}
	return RUNS_MOST;
}

static void a_transfer_survives_any_failing_allocation(void **state)
{
	(void)state;
	unsigned ended = 0;
	for (uint64_t seed = 0; seed < 6; seed++)
		assert_in_range(runs_until_enough(seed, &ended), 5, RUNS_MOST - 1);
	assert_true(ended > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transfer_survives_any_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
