#include "base/timers.h"

#include <errno.h>

#include "base/mem.h"

void timers_init(struct timers *timers)
{
	*timers = (struct timers){0};
}

void timers_fini(struct timers *timers)
{
	mem_free(timers->heap);
	*timers = (struct timers){0};
}

static void put(struct timers *timers, uint32_t index, struct timer *timer)
{
	timers->heap[index] = timer;
	timer->place = index + 1;
}

static void rise(struct timers *timers, uint32_t index)
{
	struct timer *timer = timers->heap[index];
	while (index > 0) {
		uint32_t parent = (index - 1) / 2;
		if (timers->heap[parent]->deadline_ns <= timer->deadline_ns)
			break;
		put(timers, index, timers->heap[parent]);
		index = parent;
	}
	put(timers, index, timer);
}

static void sink(struct timers *timers, uint32_t index)
{
	struct timer *timer = timers->heap[index];
	for (;;) {
		uint32_t child = 2 * index + 1;
		if (child >= timers->count)
			break;
		if (child + 1 < timers->count &&
		    timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns)
			child++;
		if (timers->heap[child]->deadline_ns >= timer->deadline_ns)
			break;
		put(timers, index, timers->heap[child]);
		index = child;
	}
	put(timers, index, timer);
}

static int grow(struct timers *timers)
{
	uint32_t capacity = timers->capacity ? timers->capacity * 2 : 64;
	struct timer **heap = mem_realloc(timers->heap, capacity * sizeof(struct timer *));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->capacity = capacity;
	return 0;
}

int timer_set(struct timers *timers, struct timer *timer, uint64_t deadline_ns)
{
	if (deadline_ns < timers->least_ns)
		deadline_ns = timers->least_ns;
	if (!timer_is_set(timer)) {
		if (timers->count == timers->capacity && grow(timers))
			return -ENOMEM;
		timer->deadline_ns = deadline_ns;
		put(timers, timers->count++, timer);
		rise(timers, timer->place - 1);
		return 0;
	}
	uint64_t old_ns = timer->deadline_ns;
	timer->deadline_ns = deadline_ns;
	if (deadline_ns < old_ns)
		rise(timers, timer->place - 1);
	else
		sink(timers, timer->place - 1);
	return 0;
}

void timer_clear(struct timers *timers, struct timer *timer)
{
	if (!timer_is_set(timer))
		return;
	uint32_t index = timer->place - 1;
	timer->place = 0;
	struct timer *last = timers->heap[--timers->count];
	if (last == timer)
		return;
	put(timers, index, last);
	rise(timers, index);
	sink(timers, last->place - 1);
}

uint64_t timers_next_ns(const struct timers *timers)
{
	return timers->count ? timers->heap[0]->deadline_ns : UINT64_MAX;
}

unsigned timers_run(struct timers *timers, uint64_t now_ns)
{
	unsigned fired = 0;
	timers->least_ns = now_ns + 1;
	while (timers->count && timers->heap[0]->deadline_ns <= now_ns) {
		struct timer *timer = timers->heap[0];
		timer_clear(timers, timer);
		timer->fire(timer);
		fired++;
	}
	timers->least_ns = 0;
	return fired;
}
