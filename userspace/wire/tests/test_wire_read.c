#include "stage.h"

#include <errno.h>

static void bytes_come_in_order_and_then_eof(struct stage *stage, struct owner *owner,
					     struct io_peer *peer)
{
	io_peer_pieces(peer, 1);
	owner_calls(owner, wire_read_start(&owner->wire));
	io_peer_send(peer, span_text("one byte after the other"));
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_got(owner, "one byte after the other");
	assert_string_equal(owner->log, "de");
	assert_int_equal(owner->wire.bytes_received, 24);
}

static void nothing_is_delivered_before_reading_starts(struct stage *stage, struct owner *owner,
						       struct io_peer *peer)
{
	io_peer_send(peer, span_text("wait"));
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "");
	assert_int_equal(io_peer_unreceived(peer), 4);
	owner_calls(owner, wire_read_start(&owner->wire));
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "de");
}

/* What the ring had received when the owner paused is kept and comes first afterwards. */
static void a_paused_wire_keeps_what_arrives(struct stage *stage, struct owner *owner,
					     struct io_peer *peer)
{
	owner->pauses = true;
	io_peer_pieces(peer, 3);
	io_peer_send(peer, span_text("abcdefghijklmnopqrst"));
	if (stage->seed % 2)
		io_peer_finish(peer);
	else
		io_peer_reset(peer);
	wire_read_start(&owner->wire);
	io_double_settle(stage->ring);
	unsigned deliveries = owner->deliveries;
	assert_int_equal(deliveries, 1);
	for (int turns = 0; turns < 20; turns++) {
		io_double_settle(stage->ring);
		assert_int_equal(owner->deliveries, deliveries);
		assert_false(owner->wire.recv_op.in_flight);
		owner_calls(owner, wire_read_start(&owner->wire));
		io_double_settle(stage->ring);
		assert_in_range(owner->deliveries, deliveries, deliveries + 1);
		deliveries = owner->deliveries;
	}
	assert_got(owner, "abcdefghijklmnopqrst");
	assert_string_equal(owner->log, stage->seed % 2 ? "de" : "df");
}

/* Another wire's owner resumes it in the middle of a turn, while more of its bytes are under way.
 */
static void a_wire_that_is_resumed_in_a_turn_keeps_the_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct stage stage;
		struct owner owner, waker;
		stage_open(&stage);
		io_double_seed(seed);
		struct io_peer *peer = owner_adopt(&owner, &stage);
		struct io_peer *wakers = owner_adopt(&waker, &stage);
		owner.pauses = true;
		waker.wakes = &owner.wire;
		io_peer_pieces(peer, 2);
		io_peer_pieces(wakers, 1);
		wire_read_start(&owner.wire);
		wire_read_start(&waker.wire);
		for (int i = 0; i < 5; i++) {
			io_peer_send(peer, span_text("abcdefgh"));
			io_peer_send(wakers, span_text("......"));
			io_double_settle(stage.ring);
		}
		owner.pauses = false;
		wire_read_start(&owner.wire);
		io_double_settle(stage.ring);
		assert_got(&owner, "abcdefghabcdefghabcdefghabcdefghabcdefgh");
		owner_abort(&owner, &stage);
		owner_abort(&waker, &stage);
		stage_close(&stage);
	}
}

static void a_paused_wire_receives_no_more_than_is_under_way(struct stage *stage,
							     struct owner *owner,
							     struct io_peer *peer)
{
	owner->pauses = true;
	char *bytes = pattern(1000000);
	io_peer_send(peer, span_of(bytes, 1000000));
	wire_read_start(&owner->wire);
	io_double_settle(stage->ring);
	assert_in_range(1000000 - io_peer_unreceived(peer), 1, 32768);
	free(bytes);
}

static void kept_bytes_come_again_in_front_of_the_others(struct stage *stage, struct owner *owner,
							 struct io_peer *peer)
{
	io_peer_pieces(peer, stage->seed % 3 ? 5 : 0);
	io_peer_send(peer, span_text("0123456789abcdefghij"));
	io_peer_finish(peer);
	owner->keeps_after = 7;
	wire_read_start(&owner->wire);
	io_double_settle(stage->ring);
	assert_got(owner, "0123456");
	assert_true(wire_has_kept(&owner->wire));
	owner->keeps_after = 13;
	owner_calls(owner, wire_read_start(&owner->wire));
	io_double_settle(stage->ring);
	assert_got(owner, "0123456789abc");
	assert_string_equal(owner->log, "d");
	owner->keeps_after = 0;
	owner_calls(owner, wire_read_start(&owner->wire));
	io_double_settle(stage->ring);
	assert_got(owner, "0123456789abcdefghij");
	assert_string_equal(owner->log, "de");
}

static void bulk_switches_to_large_receives_and_back(struct stage *stage, struct owner *owner,
						     struct io_peer *peer)
{
	size_t size = 1000000;
	char *bytes = pattern(size);
	wire_read_start(&owner->wire);
	io_peer_send(peer, span_text("small"));
	io_double_settle(stage->ring);
	assert_int_equal(owner->blocks_seen, 0);
	assert_int_equal(stage->blocks.in_use, 0); /* an idle wire holds no memory */

	io_peer_send(peer, span_of(bytes, size));
	io_double_settle(stage->ring);
	assert_in_range(owner->blocks_seen, size / BLOCK_LARGE_BYTES - 1,
			size / BLOCK_LARGE_BYTES + 1);
	unsigned blocks_seen = owner->blocks_seen;
	io_peer_send(peer, span_text("small"));
	io_double_settle(stage->ring);
	io_peer_send(peer, span_text("again"));
	io_double_settle(stage->ring);
	assert_in_range(owner->blocks_seen, blocks_seen, blocks_seen + 1);
	assert_false(owner->wire.is_bulk);
	assert_int_equal(stage->blocks.in_use, 0);
	assert_int_equal(owner->size, size + 15);
	assert_memory_equal(owner->bytes + 5, bytes, size);
	assert_memory_equal(owner->bytes + 5 + size, "smallagain", 10);
	free(bytes);
}

static void a_lent_block_may_be_kept(struct stage *stage, struct owner *owner, struct io_peer *peer)
{
	char *bytes = pattern(200000);
	owner->takes_blocks = true;
	wire_read_start(&owner->wire);
	io_peer_send(peer, span_of(bytes, 200000));
	io_double_settle(stage->ring);
	assert_span(span_of(owner->bytes, owner->size), span_of(bytes, 200000));
	assert_true(owner->blocks_seen > 0);
	free(bytes);
}

static void a_receive_that_finds_no_buffer_is_armed_again(void **state)
{
	(void)state;
	for (unsigned lacking = 1; lacking < 6; lacking++) {
		struct stage stage;
		struct owner owner;
		char *bytes = pattern(300000);
		stage_open(&stage);
		struct io_peer *peer = owner_adopt(&owner, &stage);
		wire_read_start(&owner.wire);
		io_peer_send(peer, span_of(bytes, 100000));
		io_double_no_buffers(lacking);
		io_double_settle(stage.ring);
		io_double_no_buffers(lacking);
		io_peer_send(peer, span_of(bytes + 100000, 200000));
		io_double_settle(stage.ring);
		assert_span(span_of(owner.bytes, owner.size), span_of(bytes, 300000));
		free(bytes);
		owner_abort(&owner, &stage);
		stage_close(&stage);
	}
}

static void a_reset_is_told_after_the_bytes_before_it(struct stage *stage, struct owner *owner,
						      struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	io_peer_send(peer, span_text("before"));
	io_peer_reset(peer);
	io_double_settle(stage->ring);
	assert_got(owner, "before");
	assert_string_equal(owner->log, "df");
	assert_int_equal(owner->error, -ECONNRESET);
}

/* An HTTP session wants to know at once that its client is gone, even while it reads nothing. */
static void a_wire_that_fails_fast_does_not_wait_for_its_reader(struct stage *stage,
								struct owner *owner,
								struct io_peer *peer)
{
	owner->wire.fails_fast = true;
	owner->pauses = true;
	io_peer_pieces(peer, 1);
	wire_read_start(&owner->wire);
	io_peer_send(peer, span_text("xyz"));
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "d");
	io_peer_reset(peer);
	write_text(owner, "an answer");
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "df");
	assert_got(owner, "x");
}

static void eof_leaves_the_other_direction_open(struct stage *stage, struct owner *owner,
						struct io_peer *peer)
{
	wire_read_start(&owner->wire);
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_string_equal(owner->log, "e");
	write_text(owner, "still here");
	io_double_settle(stage->ring);
	assert_peer_got(peer, "still here");
	assert_true(wire_is_open(&owner->wire));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		play(bytes_come_in_order_and_then_eof, 20),
		play(nothing_is_delivered_before_reading_starts, 1),
		play(a_paused_wire_keeps_what_arrives, 40),
		cmocka_unit_test(a_wire_that_is_resumed_in_a_turn_keeps_the_order),
		play(a_paused_wire_receives_no_more_than_is_under_way, 1),
		play(kept_bytes_come_again_in_front_of_the_others, 40),
		play(bulk_switches_to_large_receives_and_back, 1),
		play(a_lent_block_may_be_kept, 1),
		cmocka_unit_test(a_receive_that_finds_no_buffer_is_armed_again),
		play(a_reset_is_told_after_the_bytes_before_it, 1),
		play(a_wire_that_fails_fast_does_not_wait_for_its_reader, 1),
		play(eof_leaves_the_other_direction_open, 1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
