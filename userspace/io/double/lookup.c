/* lookup.h without a resolver: names that a test gives, answered in virtual time. */
#include "io/lookup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/double/ring.h"

#define NAMES_MOST 8

struct name {
	char name[IO_LOOKUP_NAME_MAX];
	struct weft_address addresses[IO_LOOKUP_MOST];
	unsigned count;
	uint64_t delay_ns;
	size_t lookups;
};

static struct name names[NAMES_MOST];

struct io_lookup_task {
	struct io_ring *ring;
	struct io_lookup *lookup;
	struct timer timer;
	uint16_t port;
	char name[IO_LOOKUP_NAME_MAX];
};

/* Of one that is not known: an empty place. */
static struct name *find(const char *name)
{
	for (size_t i = 0; i < NAMES_MOST; i++)
		if (!*names[i].name || strcmp(names[i].name, name) == 0)
			return &names[i];
	abort();
}

void lookup_reset(void)
{
	memset(names, 0, sizeof(names));
}

void io_double_name(const char *name, const struct weft_address *addresses, unsigned count,
		    uint64_t delay_ns)
{
	struct name *to = find(name);
	assert(count <= IO_LOOKUP_MOST && strlen(name) < sizeof(to->name));
	memcpy(to->name, name, strlen(name) + 1);
	if (count > 0)
		memcpy(to->addresses, addresses, count * sizeof(*addresses));
	to->count = count;
	to->delay_ns = delay_ns;
}

size_t io_double_lookups(const char *name)
{
	return find(name)->lookups;
}

static void on_due(struct timer *timer)
{
	struct io_lookup_task *task = container_of(timer, struct io_lookup_task, timer);
	struct io_lookup *lookup = task->lookup;
	const struct name *known = find(task->name);
	lookup->task = NULL;
	lookup->count = known->count;
	memcpy(lookup->addresses, known->addresses, sizeof(lookup->addresses));
	for (unsigned i = 0; i < lookup->count; i++)
		lookup->addresses[i].port = htons(task->port);
	mem_free(task);
	lookup->done(lookup, lookup->count ? NULL : "Name or service not known");
}

int io_lookup_start(struct io_ring *ring, struct io_lookup *lookup, const char *name, uint16_t port)
{
	assert(!lookup->task && lookup->done && strlen(name) < IO_LOOKUP_NAME_MAX);
	struct name *known = find(name);
	struct io_lookup_task *task = mem_zalloc(sizeof(*task));
	if (!task)
		return -ENOMEM;
	task->ring = ring;
	task->lookup = lookup;
	task->port = port;
	memcpy(task->name, name, strlen(name) + 1);
	timer_init(&task->timer, on_due);
	bool is_answered = known->delay_ns != UINT64_MAX;
	if (is_answered && timer_set(&ring->timers, &task->timer, ring->now_ns + known->delay_ns)) {
		mem_free(task);
		return -ENOMEM;
	}
	known->lookups++;
	lookup->task = task;
	return 0;
}

bool io_lookup_abandon(struct io_lookup *lookup)
{
	struct io_lookup_task *task = lookup->task;
	if (task)
		timer_clear(&task->ring->timers, &task->timer);
	mem_free(task);
	lookup->task = NULL;
	return true;
}
