/* Of bytes that come past TCP the kernel knows nothing when a socket is closed; the guard does. */
#include "stage.h"

/* Nobody reads what the peer sends past TCP. */
static void leave_unread(struct stage *stage, struct io_peer *peer)
{
	io_peer_passes_tcp(peer);
	io_peer_send(peer, span_text("nobody reads this"));
	io_double_settle(stage->ring);
	assert_true(io_peer_unreceived(peer) > 0);
}

static void without_a_guard_unread_bytes_are_lost_in_silence(struct stage *stage,
							     struct owner *owner,
							     struct io_peer *peer)
{
	leave_unread(stage, peer);
	assert_false(io_peer_would_see_reset(peer));
	owner_calls(owner, wire_close(&owner->wire));
	io_double_settle(stage->ring);
	assert_false(io_peer_saw_reset(peer));
}

/* From its beginning: whatever comes may be unread at any moment. */
static void death_is_a_reset(struct stage *stage, struct owner *owner, struct io_peer *peer)
{
	assert_false(io_peer_would_see_reset(peer));
	wire_guard(&owner->wire);
	assert_true(io_peer_would_see_reset(peer));
	wire_read_start(&owner->wire);
	io_peer_passes_tcp(peer);
	io_peer_send(peer, span_text("request"));
	io_double_settle(stage->ring);
	assert_got(owner, "request");
	write_text(owner, "answer");
	io_double_settle(stage->ring);
	assert_true(io_peer_would_see_reset(peer));
	owner_calls(owner, wire_finish(&owner->wire));
	io_double_settle(stage->ring);
	assert_true(io_peer_saw_fin(peer));
	assert_true(io_peer_would_see_reset(peer));
}

static void (*const orderly_ends[])(struct wire *wire) = {wire_close, wire_close_lingering};

static void an_orderly_end_is_a_fin(struct stage *stage, struct owner *owner, struct io_peer *peer)
{
	wire_guard(&owner->wire);
	io_peer_passes_tcp(peer);
	io_peer_send(peer, span_text("request"));
	wire_read_start(&owner->wire);
	io_double_settle(stage->ring);
	write_text(owner, "answer");
	owner_calls(owner, orderly_ends[stage->seed % 2](&owner->wire));
	io_double_run(stage->ring, 2 * NS_PER_S);
	assert_int_equal(owner->closed, 1);
	assert_peer_got(peer, "answer");
	assert_true(io_peer_saw_fin(peer));
	assert_false(io_peer_saw_reset(peer));
}

/* As over TCP, also behind what was still to be sent. */
static void an_end_with_bytes_unread_is_a_reset(struct stage *stage, struct owner *owner,
						struct io_peer *peer)
{
	wire_guard(&owner->wire);
	leave_unread(stage, peer);
	if (stage->seed % 2)
		write_text(owner, "answer");
	owner_calls(owner, wire_close(&owner->wire));
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 1);
	assert_peer_got(peer, stage->seed % 2 ? "answer" : "");
	assert_true(io_peer_saw_reset(peer));
	assert_false(io_peer_saw_fin(peer));
}

/* The owner is told before the socket is looked at, so that what comes past TCP until then is seen.
 */
static void what_comes_until_it_is_told_is_seen(struct stage *stage, struct owner *owner,
						struct io_peer *peer)
{
	wire_guard(&owner->wire);
	io_peer_passes_tcp(peer);
	owner->peer_when_closing = peer;
	owner_calls(owner, wire_close(&owner->wire));
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 1);
	assert_true(io_peer_saw_reset(peer));
}

/* It is what reads the rest of a request that was refused, so that no RST eats the answer. */
static void lingering_reads_what_is_unread(struct stage *stage, struct owner *owner,
					   struct io_peer *peer)
{
	wire_guard(&owner->wire);
	leave_unread(stage, peer);
	write_text(owner, "413");
	owner_calls(owner, wire_close_lingering(&owner->wire));
	io_double_settle(stage->ring);
	io_peer_finish(peer);
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 1);
	assert_peer_got(peer, "413");
	assert_false(io_peer_saw_reset(peer));
}

static void an_abort_stays_one(struct stage *stage, struct owner *owner, struct io_peer *peer)
{
	wire_guard(&owner->wire);
	io_peer_passes_tcp(peer);
	owner_calls(owner, (stage->seed % 2 ? wire_abort : wire_abort_after_queue)(&owner->wire));
	io_double_settle(stage->ring);
	assert_int_equal(owner->closed, 1);
	assert_true(io_peer_saw_reset(peer));
	assert_false(io_peer_saw_fin(peer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		play(without_a_guard_unread_bytes_are_lost_in_silence, 1),
		play(death_is_a_reset, 10),
		play(an_orderly_end_is_a_fin, 20),
		play(what_comes_until_it_is_told_is_seen, 1),
		play(an_end_with_bytes_unread_is_a_reset, 10),
		play(lingering_reads_what_is_unread, 10),
		play(an_abort_stays_one, 10),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
