/*
 * micro [--count] [WORD]: the cases whose name contains WORD. Prints one line for each: its name
 * and ns per call, the least of five rounds. With --count, which bench/micro/gate.py runs under
 * callgrind: one dump for each case, of CALLS calls after as many that are not counted.
 */
#include "micro.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

#define CALLS    1000u /* counted; gate.py knows it too */
#define ROUNDS   5
#define ROUND_NS 20000000ull

static const struct micro_subject *const subjects[] = {
	&micro_balance,
	&micro_route,
	&micro_naming,
	&micro_resilience,
};

void *micro_alloc(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory) {
		fprintf(stderr, "micro: out of memory for %zu bytes\n", size);
		exit(1);
	}
	return memory;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t cost_ns(const struct micro_case *of, void *state, uint32_t calls)
{
	uint64_t before = now_ns();
	of->run(state, calls);
	return now_ns() - before;
}

static void measure(const struct micro_case *of, void *state)
{
	uint32_t calls = CALLS;
	while (cost_ns(of, state, calls) < ROUND_NS && calls < 1u << 28)
		calls *= 2;
	uint64_t least = UINT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t cost = cost_ns(of, state, calls);
		least = cost < least ? cost : least;
	}
	printf("%-36s %10.1f ns/call\n", of->name, (double)least / calls);
}

static void count(const struct micro_case *of, void *state)
{
	of->run(state, CALLS);
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	of->run(state, CALLS);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(of->name);
}

int main(int argc, char **argv)
{
	bool counts = argc > 1 && strcmp(argv[1], "--count") == 0;
	const char *word = argc > 1 + counts ? argv[1 + counts] : "";
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		for (size_t j = 0; j < subjects[i]->count; j++) {
			const struct micro_case *of = &subjects[i]->cases[j];
			if (!strstr(of->name, word))
				continue;
			void *state = of->open(of);
			(counts ? count : measure)(of, state);
			of->close(state);
		}
	}
	return 0;
}
