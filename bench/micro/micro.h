/*
 * Costs of single calls on the hot path: ns by the clock, instructions by callgrind. A subject is a
 * file with a table of cases, named in micro.c. One thread.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stddef.h>
#include <stdint.h>

struct micro_case {
	const char *name; /* one word, unique: SUBJECT-WHAT-SIZE */
	uint32_t size;    /* for the case's own use: how many endpoints, routes, … */
	uint32_t variant; /* for the case's own use: which algorithm, … */
	/* What the calls work on; exits when it cannot. Not measured. */
	void *(*open)(const struct micro_case *of);
	/* Makes `calls` calls, one after another. Measured. */
	void (*run)(void *state, uint32_t calls);
	void (*close)(void *state);
};

struct micro_subject {
	const char *name;
	const struct micro_case *cases;
	size_t count;
};

extern const struct micro_subject micro_balance;
extern const struct micro_subject micro_route;
extern const struct micro_subject micro_naming;
extern const struct micro_subject micro_resilience;

/* Keeps the compiler from leaving out a call whose result nobody reads. */
static inline void micro_use(const void *value)
{
	__asm__ volatile("" : : "g"(value) : "memory");
}

/* calloc, or the end of the program. */
void *micro_alloc(size_t size);

#endif
