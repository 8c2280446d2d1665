#include "stage.h"

#include <errno.h>

static struct weft_address address_of(const char *text)
{
	struct weft_address address;
	assert_int_equal(address_parse(span_text(text), &address), 0);
	return address;
}

static void dial(struct owner *owner, struct stage *stage, const struct weft_address *address,
		 struct sockaddr_storage *storage)
{
	socklen_t size = address_to_sockaddr(address, storage);
	owner_init(owner, stage);
	wire_dial(&owner->wire, io_double_socket(), storage, size);
}

static void bytes_queued_before_connect_are_sent_after_it(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	struct sockaddr_storage storage;
	struct weft_address address = address_of("10.0.0.1:80");
	stage_open(&stage);
	io_double_address(&address, IO_DOUBLE_ACCEPTS, 5 * NS_PER_MS);
	dial(&owner, &stage, &address, &storage);
	write_text(&owner, "early ");
	write_text(&owner, "bird");
	io_double_settle(stage.ring);
	assert_null(io_double_reached(&address));
	io_double_run(stage.ring, 5 * NS_PER_MS);
	struct io_peer *peer = io_double_reached(&address);
	assert_non_null(peer);
	assert_peer_got(peer, "early bird");
	assert_string_equal(owner.log, "cw");
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void a_refused_dial_fails_once_and_keeps_its_queue(void **state)
{
	(void)state;
	struct stage stage;
	struct owner first, second;
	struct sockaddr_storage storages[2];
	struct weft_address refusing = address_of("10.0.0.1:80");
	struct weft_address good = address_of("[fd00::2]:80");
	stage_open(&stage);
	io_double_address(&good, IO_DOUBLE_ACCEPTS, 0);
	dial(&first, &stage, &refusing, &storages[0]);
	write_text(&first, "carried over");
	io_double_settle(stage.ring);
	assert_string_equal(first.log, "f");
	assert_int_equal(first.error, -ECONNREFUSED);

	dial(&second, &stage, &good, &storages[1]);
	wire_move_queue(&first.wire, &second.wire);
	owner_abort(&first, &stage);
	struct io_peer *peer = io_double_reached(&good);
	assert_peer_got(peer, "carried over");
	owner_abort(&second, &stage);
	stage_close(&stage);
}

static void a_dial_that_is_aborted_says_closed_only(void **state)
{
	(void)state;
	for (int seed = 0; seed < 8; seed++) {
		struct stage stage;
		struct owner owner;
		struct sockaddr_storage storage;
		struct weft_address address = address_of("10.0.0.1:80");
		stage_open(&stage);
		io_double_seed((uint64_t)seed);
		io_double_address(&address, seed % 2 ? IO_DOUBLE_ACCEPTS : IO_DOUBLE_IS_SILENT, 0);
		dial(&owner, &stage, &address, &storage);
		write_text(&owner, "never sent");
		owner_abort(&owner, &stage);
		assert_string_equal(owner.log, "x");
		stage_close(&stage);
	}
}

/* One send takes as much as the peer's window allows only at its end: count the drains. */
static void writes_of_one_turn_leave_in_one_send(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	char *big = pattern(BLOCK_SMALL_BYTES);
	write_text(&owner, "head ");
	assert_int_equal(wire_write(&owner.wire, span_of(big, BLOCK_SMALL_BYTES)), 0);
	struct block *block = blocks_take_large(&stage.blocks);
	memcpy(block->data, "block", 5);
	block->end = 5;
	owner_calls(&owner, wire_write_block(&owner.wire, block));
	write_text(&owner, " tail");
	size_t all = 5 + BLOCK_SMALL_BYTES + 5 + 5;
	assert_int_equal(wire_queued(&owner.wire), all);
	io_turn(stage.ring, 0);
	assert_int_equal(io_peer_received(peer).size, all);
	assert_int_equal(owner.wire.bytes_sent, all);
	assert_memory_equal(io_peer_received(peer).data, "head ", 5);
	assert_memory_equal(io_peer_received(peer).data + 5, big, BLOCK_SMALL_BYTES);
	assert_memory_equal(io_peer_received(peer).data + all - 10, "block tail", 10);
	free(big);
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void a_full_block_handed_over_is_not_copied(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	struct block *block = blocks_take_large(&stage.blocks);
	memset(block->data, 'x', block->capacity);
	block->begin = 2;
	block->end = block->capacity;
	wire_write_block(&owner.wire, block);
	assert_ptr_equal(owner.wire.out.first, block);
	assert_int_equal(stage.blocks.in_use, 1);
	io_double_settle(stage.ring);
	assert_int_equal(io_peer_received(peer).size, BLOCK_LARGE_BYTES - 2);
	assert_int_equal(stage.blocks.in_use, 0);
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

/* The queue counts bytes: few of them must not hold much memory. */
static void a_block_with_few_bytes_is_copied(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	struct block *block = blocks_take_large(&stage.blocks);
	memcpy(block->data, "..bytes", 7);
	block->begin = 2;
	block->end = 7;
	wire_write_block(&owner.wire, block);
	assert_int_equal(stage.blocks.bytes_in_use, BLOCK_SMALL_BYTES);
	io_double_settle(stage.ring);
	assert_peer_got(peer, "bytes");
	assert_int_equal(stage.blocks.in_use, 0);
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void room_that_was_asked_for_and_not_used_is_no_send(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	assert_non_null(wire_write_room(&owner.wire, 100));
	wire_write_commit(&owner.wire, 0);
	io_double_settle(stage.ring);
	assert_int_equal(io_peer_received(peer).size, 0);
	char *room = wire_write_room(&owner.wire, BLOCK_LARGE_BYTES);
	assert_non_null(room);
	memcpy(room, "used", 4);
	wire_write_commit(&owner.wire, 4);
	write_text(&owner, " more");
	io_double_settle(stage.ring);
	assert_peer_got(peer, "used more");
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void drained_is_told_once_when_all_is_sent(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	io_peer_window(peer, 3);
	write_text(&owner, "abcdef");
	io_double_settle(stage.ring);
	assert_peer_got(peer, "abc");
	assert_string_equal(owner.log, "");
	write_text(&owner, "ghi");
	io_peer_read(peer, 3);
	io_double_settle(stage.ring);
	assert_string_equal(owner.log, ""); /* ghi is in the window's way */
	io_peer_read(peer, 100);
	io_double_settle(stage.ring);
	assert_peer_got(peer, "abcdefghi");
	assert_string_equal(owner.log, "w");
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void many_blocks_leave_in_order(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	size_t size = 3 * 1024 * 1024;
	char *bytes = pattern(size);
	stage_open(&stage);
	io_double_seed(7);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	io_peer_window(peer, 50000);
	for (size_t at = 0, step = 1; at < size; step = step * 3 % 70001) {
		size_t most = size - at < step ? size - at : step;
		assert_int_equal(wire_write(&owner.wire, span_of(bytes + at, most)), 0);
		at += most;
	}
	while (wire_queued(&owner.wire)) {
		io_peer_read(peer, 33333);
		io_turn(stage.ring, 0);
	}
	assert_span(io_peer_received(peer), span_of(bytes, size));
	free(bytes);
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void a_send_error_comes_after_the_bytes_that_were_received(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	io_peer_send(peer, span_text("last words"));
	io_peer_reset(peer);
	write_text(&owner, "into the void");
	io_double_settle(stage.ring);        /* the send takes the socket's error */
	assert_string_equal(owner.log, "w"); /* whoever waits for room may go on */
	owner_calls(&owner, wire_read_start(&owner.wire));
	io_double_settle(stage.ring);
	assert_got(&owner, "last words");
	assert_string_equal(owner.log, "wdf");
	assert_int_equal(owner.error, -ECONNRESET);
	write_text(&owner, "ignored");
	assert_int_equal(wire_queued(&owner.wire), 0);
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

/* Its owner waits for somebody else before it reads on, perhaps for ever. */
static void a_send_error_is_told_to_an_owner_that_does_not_read(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	io_peer_send(peer, span_text("never read"));
	io_peer_reset(peer);
	write_text(&owner, "into the void");
	io_double_run(stage.ring, 29 * NS_PER_S);
	assert_string_equal(owner.log, "w");
	io_double_run(stage.ring, 2 * NS_PER_S);
	assert_string_equal(owner.log, "wf");
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

static void writes_after_failure_and_close_are_ignored(void **state)
{
	(void)state;
	struct stage stage;
	struct owner owner;
	stage_open(&stage);
	struct io_peer *peer = owner_adopt(&owner, &stage);
	write_text(&owner, "before");
	owner_calls(&owner, wire_finish(&owner.wire));
	write_text(&owner, "after");
	struct block *block = blocks_take_small(&stage.blocks);
	memcpy(block->data, "x", 1);
	block->end = 1;
	wire_write_block(&owner.wire, block);
	io_double_settle(stage.ring);
	assert_peer_got(peer, "before");
	assert_true(io_peer_saw_fin(peer));
	assert_false(io_peer_is_closed(peer));
	owner_abort(&owner, &stage);
	stage_close(&stage);
}

/* io_uring gives up on such a send for want of room: the wire goes on by hand. */
static void a_half_closed_peer_that_reads_slowly_gets_everything(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4; seed++) {
		struct stage stage;
		struct owner owner;
		size_t size = 300000;
		char *bytes = pattern(size);
		stage_open(&stage);
		io_double_seed(seed);
		struct io_peer *peer = owner_adopt(&owner, &stage);
		io_peer_window(peer, 5000);
		io_peer_finish(peer);
		wire_read_start(&owner.wire);
		assert_int_equal(wire_write(&owner.wire, span_of(bytes, size)), 0);
		wire_finish(&owner.wire);
		for (int i = 0; i < 1000 && !io_peer_saw_fin(peer); i++) {
			io_peer_read(peer, 1 + (size_t)i % 9999);
			io_double_run(stage.ring, 60 * NS_PER_MS);
		}
		assert_span(io_peer_received(peer), span_of(bytes, size));
		assert_string_equal(owner.log, "ew");
		free(bytes);
		owner_abort(&owner, &stage);
		stage_close(&stage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_queued_before_connect_are_sent_after_it),
		cmocka_unit_test(a_refused_dial_fails_once_and_keeps_its_queue),
		cmocka_unit_test(a_dial_that_is_aborted_says_closed_only),
		cmocka_unit_test(writes_of_one_turn_leave_in_one_send),
		cmocka_unit_test(a_full_block_handed_over_is_not_copied),
		cmocka_unit_test(a_block_with_few_bytes_is_copied),
		cmocka_unit_test(room_that_was_asked_for_and_not_used_is_no_send),
		cmocka_unit_test(drained_is_told_once_when_all_is_sent),
		cmocka_unit_test(many_blocks_leave_in_order),
		cmocka_unit_test(a_send_error_comes_after_the_bytes_that_were_received),
		cmocka_unit_test(a_send_error_is_told_to_an_owner_that_does_not_read),
		cmocka_unit_test(writes_after_failure_and_close_are_ignored),
		cmocka_unit_test(a_half_closed_peer_that_reads_slowly_gets_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
