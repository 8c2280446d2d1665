/*
 * Deadlines in a binary heap; no clock: time is an argument. Owner: one thread. O(log n) to set
 * and clear.
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct timer {
	uint64_t deadline_ns;
	uint32_t place; /* in the heap + 1; 0 = not set */
	void (*fire)(struct timer *timer);
};

struct timers {
	struct timer **heap;
	uint32_t count;
	uint32_t capacity;
	uint64_t least_ns; /* during a run: what is set now is due after it, not in it */
};

void timers_init(struct timers *timers);
void timers_fini(struct timers *timers);
static inline void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	*timer = (struct timer){.fire = fire};
}
static inline bool timer_is_set(const struct timer *timer)
{
	return timer->place != 0;
}
/* Sets or moves the deadline. 0 or -ENOMEM (only when the timer was not set before). A deadline in
 * the past is due in the next run, also when a callback sets it. */
int timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_ns) MUST_CHECK;
void timer_clear(struct timers *timers, struct timer *timer);
/* Earliest deadline, UINT64_MAX when none is set. */
uint64_t timers_next_ns(const struct timers *timers);
/* Fires what is due, each timer at most once; a timer is cleared before its callback runs. Returns
 * how many fired. */
unsigned timers_run(struct timers *timers, uint64_t now_ns);

#endif
