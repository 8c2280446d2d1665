/*
 * A loop on the doubled ring and an owner of one wire that writes down what it is told. Its
 * notebook does not use base/mem, so that tests may let allocations fail.
 */
#ifndef WIRE_TESTS_STAGE_H
#define WIRE_TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/double.h"
#include "wire/wire.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

struct stage {
	struct io_ring *ring;
	struct blocks blocks;
	struct wire_loop loop;
	long live_before;
	uint64_t seed; /* of this round */
};

struct owner {
	struct io_peer *peer_when_closing; /* sends then; NULL = nobody */
	struct wire wire;
	char *bytes;
	size_t size;
	size_t capacity;
	unsigned deliveries;
	unsigned blocks_seen; /* deliveries with a block */
	char log[256];        /* one letter per event: d e w c f x */
	unsigned log_size;
	int error;
	bool is_calling;    /* inside a call of the owner's */
	bool takes_blocks;  /* keeps the blocks that it is offered */
	bool pauses;        /* after each delivery */
	size_t keeps_after; /* 0 = takes all; else keeps what is beyond so many in all */
	struct wire *echo;  /* passes everything on to it */
	struct wire *wakes; /* starts it reading with each delivery */
	bool lacked_memory; /* wire_keep or the echo failed */
	unsigned closed;
};

static inline struct owner *owner_of(struct wire *wire)
{
	return container_of(wire, struct owner, wire);
}

static inline void owner_note(struct wire *wire, char letter)
{
	struct owner *owner = owner_of(wire);
	assert_false(owner->is_calling);
	assert_int_equal(owner->closed, 0);
	if (letter == 'd' && owner->log_size && owner->log[owner->log_size - 1] == 'd')
		return; /* how many deliveries it took is no matter of order */
	if (owner->log_size < sizeof(owner->log) - 1)
		owner->log[owner->log_size++] = letter;
}

static inline void owner_record(struct owner *owner, struct span bytes)
{
	if (owner->size + bytes.size > owner->capacity) {
		owner->capacity = (owner->size + bytes.size) * 2;
		owner->bytes = realloc(owner->bytes, owner->capacity);
		assert_non_null(owner->bytes);
	}
	memcpy(owner->bytes + owner->size, bytes.data, bytes.size);
	owner->size += bytes.size;
}

static inline void owner_pass_on(struct owner *owner, struct span bytes, struct block **block)
{
	if (*block) {
		wire_write_block(owner->echo, *block);
		*block = NULL;
	} else if (wire_write(owner->echo, bytes)) {
		owner->lacked_memory = true;
		wire_abort(&owner->wire);
		wire_abort(owner->echo);
	}
}

static inline void on_data(struct wire *wire, struct span bytes, struct block **block)
{
	struct owner *owner = owner_of(wire);
	owner_note(wire, 'd');
	assert_true(bytes.size > 0);
	assert_true(wire->is_reading);
	owner->deliveries++;
	owner->blocks_seen += *block != NULL;
	size_t wanted = bytes.size;
	if (owner->keeps_after && owner->size + wanted > owner->keeps_after)
		wanted = owner->keeps_after - owner->size;
	owner_record(owner, span_of(bytes.data, wanted));
	if (owner->pauses)
		wire_pause(wire);
	if (wanted < bytes.size &&
	    wire_keep(wire, span_of(bytes.data + wanted, bytes.size - wanted))) {
		owner->lacked_memory = true;
		wire_abort(wire);
	}
	if (owner->echo)
		owner_pass_on(owner, bytes, block);
	if (owner->wakes)
		wire_read_start(owner->wakes);
	if (owner->takes_blocks && *block) {
		blocks_give(wire->loop->blocks, *block);
		*block = NULL;
	}
}

static inline void on_eof(struct wire *wire)
{
	owner_note(wire, 'e');
}

static inline void on_drained(struct wire *wire)
{
	owner_note(wire, 'w');
	if (owner_of(wire)->echo)
		wire_read_start(owner_of(wire)->echo);
}

static inline void on_connected(struct wire *wire)
{
	owner_note(wire, 'c');
}

static inline void on_failed(struct wire *wire, int error)
{
	owner_note(wire, 'f');
	owner_of(wire)->error = error;
}

static inline void on_closing(struct wire *wire)
{
	if (owner_of(wire)->peer_when_closing)
		io_peer_send(owner_of(wire)->peer_when_closing, span_text("a last word"));
}

static inline void on_closed(struct wire *wire)
{
	owner_note(wire, 'x');
	assert_false(wire->recv_op.in_flight);
	assert_false(wire->send_op.in_flight);
	owner_of(wire)->closed++;
}

static const struct wire_events owner_events = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.connected = on_connected,
	.failed = on_failed,
	.closing = on_closing,
	.closed = on_closed,
};

/* Free blocks go back to the allocator, so that each later take is an allocation that can fail. */
static inline void stage_forget_free_blocks(struct stage *stage)
{
	struct block **lists[] = {&stage->blocks.free_small, &stage->blocks.free_large};
	for (int i = 0; i < 2; i++) {
		while (*lists[i]) {
			struct block *next = (*lists[i])->next;
			mem_free(*lists[i]);
			*lists[i] = next;
		}
	}
	stage->blocks.free_small_count = stage->blocks.free_large_count = 0;
}

static inline void stage_flush(void *owner)
{
	wire_loop_flush(&((struct stage *)owner)->loop);
}

static inline void stage_open(struct stage *stage)
{
	io_double_reset(); /* a test that failed left something */
	stage->live_before = mem_live();
	struct io_options options = {
		.entries = 64, .shared_count = 64, .large_count = 4, .blocks = &stage->blocks};
	blocks_init(&stage->blocks, UINT64_MAX);
	assert_int_equal(io_ring_open(&options, &stage->ring), 0);
	wire_loop_init(&stage->loop, stage->ring, &stage->blocks);
	io_set_hooks(stage->ring, stage_flush, NULL, stage);
}

/* Everything was given back. */
static inline void stage_close(struct stage *stage)
{
	mem_fail_nth(0);
	assert_int_equal(io_double_open_count(), 0);
	assert_int_equal(stage->blocks.in_use, 0);
	assert_int_equal(timers_next_ns(io_timers(stage->ring)), UINT64_MAX);
	io_ring_close(stage->ring);
	blocks_fini(&stage->blocks);
	assert_int_equal(mem_live(), stage->live_before);
	io_double_reset();
}

static inline void owner_init(struct owner *owner, struct stage *stage)
{
	*owner = (struct owner){0};
	wire_init(&owner->wire, &stage->loop, &owner_events);
}

static inline struct io_peer *owner_adopt(struct owner *owner, struct stage *stage)
{
	int fd;
	struct io_peer *peer = io_double_pair(&fd);
	owner_init(owner, stage);
	wire_adopt(&owner->wire, fd);
	return peer;
}

static inline void owner_fini(struct owner *owner)
{
	assert_int_equal(owner->closed, 1);
	free(owner->bytes);
	owner->bytes = NULL;
}

/* The owner calls; no event may come from inside. */
#define owner_calls(owner, call)                                                                   \
	do {                                                                                       \
		(owner)->is_calling = true;                                                        \
		call;                                                                              \
		(owner)->is_calling = false;                                                       \
	} while (0)

static inline void owner_abort(struct owner *owner, struct stage *stage)
{
	owner_calls(owner, wire_abort(&owner->wire));
	io_double_settle(stage->ring);
	owner_fini(owner);
}

/* A test of one wire and its peer; whatever it leaves open is aborted and must then be gone. */
struct played {
	void (*test)(struct stage *stage, struct owner *owner, struct io_peer *peer);
	uint64_t rounds; /* each in another order of completions */
};

static inline void play_rounds(void **state)
{
	const struct played *played = *state;
	for (uint64_t seed = 0; seed < played->rounds; seed++) {
		struct stage stage;
		struct owner owner;
		stage_open(&stage);
		stage.seed = seed;
		io_double_seed(seed);
		struct io_peer *peer = owner_adopt(&owner, &stage);
		played->test(&stage, &owner, peer);
		if (owner.closed)
			owner_fini(&owner);
		else
			owner_abort(&owner, &stage);
		stage_close(&stage);
	}
}

/* As cmocka_unit_test, of such a test. */
#define play(test, rounds)                                                                         \
	{                                                                                          \
#test, play_rounds, NULL, NULL, &(struct played)                                   \
		{                                                                                  \
			test, rounds                                                               \
		}                                                                                  \
	}

static inline void write_text(struct owner *owner, const char *text)
{
	owner_calls(owner, assert_int_equal(wire_write(&owner->wire, span_text(text)), 0));
}

static inline void assert_span(struct span got, struct span wanted)
{
	assert_int_equal(got.size, wanted.size);
	assert_memory_equal(got.data, wanted.data, wanted.size);
}

static inline void assert_got(const struct owner *owner, const char *text)
{
	assert_span(span_of(owner->bytes ? owner->bytes : "", owner->size), span_text(text));
}

static inline void assert_peer_got(const struct io_peer *peer, const char *text)
{
	assert_span(io_peer_received(peer), span_text(text));
}

/* After mem_fail_nth(n): did a run make n allocations? Ends the failing either way. */
static inline bool nth_has_failed(unsigned long n)
{
	bool has_failed = true;
	for (unsigned long i = 0; i < n && has_failed; i++) {
		void *memory = mem_alloc(1);
		has_failed = memory != NULL;
		mem_free(memory);
	}
	mem_fail_nth(0);
	return has_failed;
}

/* Bytes without a short period. */
static inline char *pattern(size_t size)
{
	char *bytes = malloc(size + 1);
	uint32_t state = 12345;
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = (char)(state >> 24);
	}
	return bytes;
}

#endif
