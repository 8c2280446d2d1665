#include "stage.h"

#include <errno.h>

static void finish_sends_fin_after_the_queue_and_reads_on(struct stage *stage, struct owner *owner,
							  struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	io_peer_window(peer, 4);
	write_text(owner, "question");
	owner_calls(owner, wire_finish(&owner->wire));
	io_double_settle(stage->ring);
	assert_false(io_peer_saw_fin(peer));
	io_peer_read(peer, 8);
	io_double_settle(stage->ring);
	assert_peer_got(peer, "question");
	assert_true(io_peer_saw_fin(peer));
	io_peer_send(peer, span_text("answer"));
	io_double_settle(stage->ring);
	assert_got(owner, "answer");
}

static void close_sends_the_queue_first(struct stage *stage, struct owner *owner,
					struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	io_double_settle(stage->ring);
	io_peer_window(peer, 4);
	write_text(owner, "farewell");
	owner_calls(owner, wire_close(&owner->wire));
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 0);
	io_peer_read(peer, 8);
	io_double_settle(stage->ring);
	assert_peer_got(peer, "farewell");
	assert_true(io_peer_saw_fin(peer));
	assert_false(io_peer_saw_reset(peer));
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

static void close_gives_up_on_a_peer_that_does_not_read(struct stage *stage, struct owner *owner,
							struct io_peer *peer)
{
	io_peer_window(peer, 0);
	write_text(owner, "nobody listens");
	wire_close(&owner->wire);
	io_double_run(stage->ring, 29 * NS_PER_S);
	assert_int_equal(owner->closed, 0);
	io_double_run(stage->ring, 2 * NS_PER_S);
	assert_true(io_peer_saw_reset(peer));
	assert_int_equal(owner->closed, 1);
}

static void lingering_ends_with_the_peers_fin(struct stage *stage, struct owner *owner,
					      struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	write_text(owner, "400");
	owner_calls(owner, wire_close_lingering(&owner->wire));
	io_peer_send(peer, span_text("a body that nobody wants"));
	io_double_run(stage->ring, NS_PER_S / 2);
	assert_peer_got(peer, "400");
	assert_true(io_peer_saw_fin(peer));
	assert_false(io_peer_is_closed(peer));
	assert_int_equal(io_peer_unreceived(peer), 0); /* read and forgotten */
	assert_got(owner, "");
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_true(io_peer_is_closed(peer));
	assert_false(io_peer_saw_reset(peer));
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

/* The receive may just have been cancelled, or end for want of a buffer: the input still goes. */
static void lingering_reads_on_whatever_ends_its_receive(struct stage *stage, struct owner *owner,
							 struct io_peer *peer)
{
	owner->pauses = true;
	io_peer_pieces(peer, 10);
	wire_read_start(&owner->wire);
	io_peer_send(peer, span_text("the first ten bytes are wanted"));
	io_turn(stage->ring, 0);
	io_turn(stage->ring, 0);
	io_double_no_buffers(stage->seed % 3);
	io_peer_send(peer, span_text("; these are not, and must not cause a RST"));
	write_text(owner, "413");
	wire_close_lingering(&owner->wire);
	io_double_run(stage->ring, NS_PER_S / 2);
	assert_int_equal(io_peer_unreceived(peer), 0);
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 1);
	assert_peer_got(peer, "413");
	assert_false(io_peer_saw_reset(peer));
	assert_int_equal(owner->closed, 1);
}

static void lingering_waits_a_second_at_most(struct stage *stage, struct owner *owner,
					     struct io_peer *peer)
{
	write_text(owner, "400");
	wire_close_lingering(&owner->wire);
	io_double_run(stage->ring, NS_PER_S - NS_PER_MS);
	assert_int_equal(owner->closed, 0);
	io_double_run(stage->ring, 2 * NS_PER_MS);
	assert_true(io_peer_is_closed(peer));
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

static void lingering_ends_with_a_reset_too(struct stage *stage, struct owner *owner,
					    struct io_peer *peer)
{
	wire_close_lingering(&owner->wire);
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 0);
	io_peer_reset(peer);
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

static void abort_drops_the_queue_and_resets(struct stage *stage, struct owner *owner,
					     struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	if (stage->seed % 2)
		io_double_settle(stage->ring);
	io_peer_window(peer, 4);
	write_text(owner, "in flight");
	if (stage->seed % 4 > 1)
		io_turn(stage->ring, 0);
	write_text(owner, "not even begun");
	owner_calls(owner, wire_abort(&owner->wire));
	io_double_settle(stage->ring);
	assert_true(io_peer_received(peer).size <= 4);
	assert_true(io_peer_saw_reset(peer));
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

static void abort_after_queue_sends_first(struct stage *stage, struct owner *owner,
					  struct io_peer *peer)
{
	write_text(owner, "delivered");
	owner_calls(owner, wire_abort_after_queue(&owner->wire));
	io_double_settle(stage->ring);
	assert_peer_got(peer, "delivered");
	assert_true(io_peer_saw_reset(peer));
	assert_false(io_peer_saw_fin(peer));
	assert_int_equal(owner->closed, 1);
}

static void abort_after_queue_waits_a_second_at_most(struct stage *stage, struct owner *owner,
						     struct io_peer *peer)
{
	io_peer_window(peer, 4);
	write_text(owner, "delivered in part");
	wire_abort_after_queue(&owner->wire);
	io_double_run(stage->ring, NS_PER_S - NS_PER_MS);
	assert_int_equal(owner->closed, 0);
	io_double_run(stage->ring, 2 * NS_PER_MS);
	assert_true(io_peer_saw_reset(peer));
	assert_int_equal(owner->closed, 1);
}

/* A later, harder ending wins; a softer one changes nothing. */
static void an_ending_only_gets_harder(struct stage *stage, struct owner *owner,
				       struct io_peer *peer)
{
	io_peer_window(peer, 1);
	write_text(owner, "queue");
	wire_abort(&owner->wire);
	wire_close(&owner->wire);
	wire_close_lingering(&owner->wire);
	io_double_settle(stage->ring);
	assert_true(io_peer_saw_reset(peer));
	assert_string_equal(owner->log, "x");
	assert_int_equal(owner->closed, 1);
}

static void a_new_wire_that_is_closed_says_closed(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	owner_init(&owner, &stage);
	owner_calls(&owner, wire_close(&owner.wire));
	io_double_settle(stage.ring);
	assert_string_equal(owner.log, "x");
	owner_fini(&owner);
	stage_close(&stage);
}

/* What may come in any order from outside, and the owner ends it in any way at any moment. */
static void closed_comes_exactly_once_whatever_happens(void **state)
{
	(void)state;
	void (*const endings[])(struct wire * wire) = {wire_close, wire_close_lingering, wire_abort,
						       wire_abort_after_queue};
	for (unsigned round = 0; round < 2000; round++) {
		struct stage stage;
		struct owner owner;
		struct rng rng;
		stage_open(&stage);
		rng_init(&rng, round);
		io_double_seed(round + 1);
		struct io_peer *peer = owner_adopt(&owner, &stage);
		owner.wire.fails_fast = rng_below(&rng, 2);
		owner.pauses = rng_below(&rng, 2);
		bool is_over = false;
		for (int step = 0; step < 12; step++) {
			switch (rng_below(&rng, 12)) {
			case 0:
			case 1:
				io_peer_send(peer, span_text("some bytes from the peer"));
				break;
			case 2:
				io_peer_window(peer, rng_below(&rng, 40));
				break;
			case 3:
				io_peer_read(peer, rng_below(&rng, 40));
				break;
			case 4:
				if (step > 6)
					io_peer_finish(peer);
				break;
			case 5:
				if (step > 8)
					io_peer_reset(peer);
				break;
			case 6:
			case 7:
				if (!is_over)
					write_text(&owner, "some bytes from us");
				break;
			case 8:
			case 9:
				if (!is_over)
					owner_calls(&owner, wire_read_start(&owner.wire));
				break;
			case 10:
				io_turn(stage.ring, NS_PER_S / 3);
				break;
			case 11:
				if (step > 4 && !owner.closed)
					owner_calls(&owner,
						    endings[rng_below(&rng, 4)](&owner.wire));
				is_over |= step > 4;
				break;
			}
		}
		if (!owner.closed)
			owner_calls(&owner, endings[round % 4](&owner.wire));
		io_double_run(stage.ring, 31 * NS_PER_S);
		owner_fini(&owner);
		stage_close(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		play(finish_sends_fin_after_the_queue_and_reads_on, 1),
		play(close_sends_the_queue_first, 10),
		play(close_gives_up_on_a_peer_that_does_not_read, 1),
		play(lingering_ends_with_the_peers_fin, 1),
		play(lingering_reads_on_whatever_ends_its_receive, 40),
		play(lingering_waits_a_second_at_most, 1),
		play(lingering_ends_with_a_reset_too, 1),
		play(abort_drops_the_queue_and_resets, 16),
		play(abort_after_queue_sends_first, 1),
		play(abort_after_queue_waits_a_second_at_most, 1),
		play(an_ending_only_gets_harder, 1),
		cmocka_unit_test(a_new_wire_that_is_closed_says_closed),
		cmocka_unit_test(closed_comes_exactly_once_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
