/*
 * How often work is done that something outside asks for again and again: at once after quiet, and
 * ever more seldom while it goes on, so that much of it is one piece. No clock: time is an
 * argument.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

/* All 0 at first: nothing was done yet. */
struct pace {
	uint64_t rest_ns;  /* the last rest */
	uint64_t until_ns; /* its end: no work before */
};

/*
 * Work was done at now_ns. Returns until when to rest before the next: `least_ns` after quiet, else
 * twice as long as before, up to `most_ns`. Quiet = nothing was done for half of the longest rest
 * beyond the end of the last one.
 */
uint64_t pace_rest(struct pace *pace, uint64_t now_ns, uint64_t least_ns, uint64_t most_ns);

#endif
