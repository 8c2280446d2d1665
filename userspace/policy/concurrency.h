/*
 * How many requests of a service may be under way (linkerd1.md S3), and a limit that finds itself
 * by the latency. Pure; shared by all workers without a lock.
 *
 * The adaptive limit compares the latency of now with the least that was seen: where answers
 * take twice as long as they could, requests wait in a queue somewhere, and the limit goes down in
 * proportion (a gradient); where they do not, it grows by its square root, the queue that is
 * tolerated. It begins at 20. The least latency is forgotten by 0.1 % a window, so a service that
 * became twice as slow for good has its limit back after a minute, and one that is overloaded for
 * as long has twice the queue. A window is 100 ms or 10 answers, whichever is longer. What races
 * cost: an answer at a window's edge counts in the one or the other. All zero is new.
 */
#ifndef POLICY_CONCURRENCY_H
#define POLICY_CONCURRENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct concurrency {
	_Atomic uint32_t active;
	_Atomic uint32_t queued; /* wait for a place */
	/* adaptive */
	_Atomic uint32_t limit; /* in 256ths, 0 = not found yet */
	_Atomic uint32_t count; /* answers of the window */
	_Atomic uint32_t most_active;
	_Atomic uint64_t sum_ns;   /* their latencies */
	_Atomic uint64_t least_ns; /* the best window's mean */
	_Atomic uint64_t until_ns; /* end of the window */
};

/* True: it is under way now, until concurrency_leave. cap 0 = no limit. */
bool concurrency_enter(struct concurrency *concurrency, uint32_t cap);
void concurrency_leave(struct concurrency *concurrency);
/* True: one more waits for a place, at most `most` do, until concurrency_unqueue. Who waits where
 * is the caller's. */
bool concurrency_queue(struct concurrency *concurrency, uint32_t most);
void concurrency_unqueue(struct concurrency *concurrency);
/* Newcomers go behind these. */
uint32_t concurrency_queued(const struct concurrency *concurrency);

/* The limit of now: at most `cap`. */
uint32_t concurrency_limit(const struct concurrency *concurrency, uint32_t cap);
/* An answer came after this time. */
void concurrency_answered(struct concurrency *concurrency, uint32_t cap, uint64_t latency_ns,
			  uint64_t now_ns);

#endif
