/*
 * How a scenario says what peers must see, and how it is played: with whole messages, byte by byte,
 * with completions in many orders, and once for every allocation that may fail. In the last case a
 * session may end early, but what was seen until then must be right.
 */
#ifndef PROXY_TESTS_SCRIPT_H
#define PROXY_TESTS_SCRIPT_H

#include <stdio.h>

#include "stage.h"

#define ALLOCATIONS_MOST 3000
#define END_OF_CHUNKS    "<end>"

static inline bool starts_with(struct span whole, struct span part)
{
	return span_starts(whole, part);
}

/* May a client or server have seen just this when memory is short? */
static inline void assert_no_wrong_byte(struct span got, struct span wanted)
{
	char head[64] = "";
	memcpy(head, got.data, got.size < 40 ? got.size : 40);
	bool is_own_answer = got.size > 12 && starts_with(got, span_text("HTTP/1.1 50")) &&
			     memmem(got.data, got.size, "\r\nl5d-err: ", 11);
	if (!is_own_answer && !starts_with(wanted, got))
		fail_msg("saw \"%s…\" (%zu bytes), wanted \"%.*s\"", head, got.size,
			 SPAN_PRINT(wanted));
}

/* True when the peer has seen exactly this, which is forgotten then. */
static inline bool has_seen(struct stage *stage, struct io_peer *peer, struct span wanted)
{
	stage_settle(stage);
	struct span got = io_peer_received(peer);
	bool is_same = span_equal(got, wanted);
	if (!is_same && stage->is_lenient)
		assert_no_wrong_byte(got, wanted);
	else if (!is_same)
		fail_msg("saw \"%.*s\", wanted \"%.*s\"", SPAN_PRINT(got), SPAN_PRINT(wanted));
	if (is_same)
		io_peer_forget(peer);
	return is_same;
}

/* Appends what the chunks in `from` hold to `out`; END_OF_CHUNKS for the last one, then trailers.
 */
static inline size_t unchunk(struct span from, char *out)
{
	size_t size = 0;
	while (from.size) {
		const char *line = memmem(from.data, from.size, "\r\n", 2);
		if (!line)
			return size;
		size_t bytes = strtoul(from.data, NULL, 16);
		size_t used = (size_t)(line + 2 - from.data);
		from = span_of(from.data + used, from.size - used);
		if (bytes == 0) {
			memcpy(out + size, END_OF_CHUNKS, sizeof(END_OF_CHUNKS) - 1);
			size += sizeof(END_OF_CHUNKS) - 1;
			memcpy(out + size, from.data, from.size);
			return size + from.size;
		}
		size_t here = bytes < from.size ? bytes : from.size;
		memcpy(out + size, from.data, here);
		size += here;
		if (from.size < bytes + 2)
			return size;
		assert_memory_equal(from.data + bytes, "\r\n", 2);
		from = span_of(from.data + bytes + 2, from.size - bytes - 2);
	}
	return size;
}

/* `wanted`: the head, then what the chunks hold, END_OF_CHUNKS, and trailers to the end. */
static inline bool has_seen_chunked(struct stage *stage, struct io_peer *peer, const char *wanted)
{
	stage_settle(stage);
	struct span got = io_peer_received(peer);
	const char *end = memmem(got.data, got.size, "\r\n\r\n", 4);
	if (!end)
		return has_seen(stage, peer, span_text(wanted));
	size_t head = (size_t)(end + 4 - got.data);
	char *plain = malloc(got.size + sizeof(END_OF_CHUNKS));
	assert_non_null(plain);
	memcpy(plain, got.data, head);
	size_t size = head + unchunk(span_of(end + 4, got.size - head), plain + head);
	struct span decoded = span_of(plain, size);
	bool is_same = span_is(decoded, wanted);
	if (!is_same && stage->is_lenient)
		assert_no_wrong_byte(memmem(got.data, head, "l5d-err", 7) ? got : decoded,
				     span_text(wanted));
	else if (!is_same)
		fail_msg("saw \"%.*s\", wanted \"%s\"", SPAN_PRINT(decoded), wanted);
	free(plain);
	if (is_same)
		io_peer_forget(peer);
	return is_same;
}

/* The peer has seen exactly this; leaves the scenario when memory was short. */
static inline void sees(struct stage *stage, struct io_peer *peer, const char *text)
{
	if (!has_seen(stage, peer, span_text(text)))
		longjmp(stage->leave, 1);
}

static inline void sees_chunked(struct stage *stage, struct io_peer *peer, const char *text)
{
	if (!has_seen_chunked(stage, peer, text))
		longjmp(stage->leave, 1);
}

static inline void want(struct stage *stage, bool is_true, const char *claim, int line)
{
	if (is_true)
		return;
	if (!stage->is_lenient)
		fail_msg("line %d: not so: %s", line, claim);
	longjmp(stage->leave, 1);
}

/* What must be true unless memory was short. */
#define WANT(stage, claim) want((stage), (claim), #claim, __LINE__)

/* A server's end of the connection that has reached it. */
static inline struct io_peer *reaches(struct stage *stage, const char *endpoint)
{
	struct io_peer *server = server_reached(stage, endpoint);
	if (!server && !stage->is_lenient)
		fail_msg("no connection has reached %s", endpoint);
	if (!server)
		longjmp(stage->leave, 1);
	return server;
}

/* ---- playing ---- */

typedef void scenario(struct stage *stage);

struct play {
	scenario *run;
	configuration *configure; /* NULL: the services of stage.h */
	configuration *later;     /* for stage_publish_later */
};

static inline void act(struct stage *stage, scenario *run)
{
	if (setjmp(stage->leave) == 0)
		run(stage);
	stage_empty(stage);
}

/* After mem_fail_nth(n): did the run make n allocations? Ends the failing either way. */
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

/* PLAY_TRACE=1 shows which run failed. */
PRINTF_LIKE(1, 2) static inline void trace(const char *format, ...)
{
	va_list args;
	if (!getenv("PLAY_TRACE"))
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* False when fewer than n allocations were made. */
static inline bool play_failing(const struct play *play, unsigned long n, size_t piece_bytes)
{
	struct stage stage;
	trace("allocation %lu fails, pieces %zu", n, piece_bytes);
	stage_open(&stage, play->configure, play->later);
	stage.is_lenient = true;
	stage.piece_bytes = piece_bytes;
	mem_fail_nth(n);
	act(&stage, play->run);
	bool has_failed = nth_has_failed(n);
	stage_close(&stage);
	return has_failed;
}

/* Once for every allocation, until a run needs no more. */
static inline void play_short_of_memory(const struct play *play)
{
	static const size_t pieces[] = {0, 5};
	for (unsigned i = 0; i < array_count(pieces); i++) {
		unsigned long n = 1;
		while (n < ALLOCATIONS_MOST && play_failing(play, n, pieces[i]))
			n++;
		assert_in_range(n, 2, ALLOCATIONS_MOST - 1);
	}
}

static inline void play_all(const struct play *play)
{
	static const size_t pieces[] = {0, 1, 2, 7, 100};
	for (unsigned round = 0; round < 15; round++) {
		struct stage stage;
		trace("round %u", round);
		stage_open(&stage, play->configure, play->later);
		stage.piece_bytes = pieces[round % array_count(pieces)];
		io_double_seed(round < array_count(pieces) ? 0 : round);
		act(&stage, play->run);
		stage_close(&stage);
	}
	play_short_of_memory(play);
}

/* Once, and short of memory: for what pieces do not change and shuffled completions would, as whose
 * turn it is and what time it is. */
static inline void play_in_order(scenario *run, configuration *configure, configuration *later)
{
	struct play play = {.run = run, .configure = configure, .later = later};
	struct stage stage;
	stage_open(&stage, configure, later);
	act(&stage, run);
	stage_close(&stage);
	play_short_of_memory(&play);
}

static inline void play_with(scenario *run, configuration *configure)
{
	play_all(&(struct play){.run = run, .configure = configure});
}

static inline void play(scenario *run)
{
	play_all(&(struct play){.run = run});
}

#endif
