#include "kube/addresses.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* A resolver tries each of its servers for five seconds, twice: what was known is tried before. */
#define LOOKUP_NS 5000000000ull

static struct known_address *find(struct addresses *addresses, const struct weft_address *address)
{
	for (unsigned i = 0; i < addresses->count; i++)
		if (address_equal(&addresses->known[i].address, address))
			return &addresses->known[i];
	return NULL;
}

/* ---- looking up ---- */

/* Those that wait now: who begins anew inside its call waits for the next one. */
static void settle(struct addresses *addresses)
{
	struct list settled;
	list_init(&settled);
	timer_clear(io_timers(addresses->ring), &addresses->timer);
	if (addresses->count)
		addresses->is_stale = false;
	while (!list_is_empty(&addresses->seekers)) {
		struct list *first = addresses->seekers.next;
		list_remove(first);
		list_add_last(&settled, first);
	}
	while (!list_is_empty(&settled)) {
		struct seeker *seeker = list_entry(settled.next, struct seeker, link);
		list_remove(&seeker->link);
		seeker->settled(seeker);
	}
}

static void note_failure(struct addresses *addresses, const char *why)
{
	snprintf(addresses->why, sizeof(addresses->why), "%s", why);
	if (addresses->count)
		log_warn("kube_name", "name=%s kept=old why=\"%s\"", addresses->name, why);
}

/* What had a fault is still known to have had it. /etc/hosts may name an address twice: the second
 * one would never have had a fault. */
static void take(struct addresses *addresses, const struct io_lookup *lookup)
{
	struct addresses next = {0};
	for (unsigned i = 0; i < lookup->count; i++) {
		const struct weft_address *address = &lookup->addresses[i];
		const struct known_address *known = find(addresses, address);
		if (find(&next, address))
			continue;
		next.known[next.count++] = (struct known_address){
			.address = *address, .failed_ns = known ? known->failed_ns : 0};
	}
	memcpy(addresses->known, next.known, sizeof(next.known));
	addresses->count = next.count;
}

static void on_looked_up(struct io_lookup *lookup, const char *why)
{
	struct addresses *addresses = container_of(lookup, struct addresses, lookup);
	if (why)
		note_failure(addresses, why);
	else
		take(addresses, lookup);
	settle(addresses);
}

/* The thread goes on: what it finds later is good for the next connection. */
static void on_late(struct timer *timer)
{
	struct addresses *addresses = container_of(timer, struct addresses, timer);
	note_failure(addresses, "the resolver did not answer within 5 s");
	settle(addresses);
}

int addresses_seek(struct addresses *addresses, struct seeker *seeker)
{
	struct io_ring *ring = addresses->ring;
	int error = 0;
	if (!addresses->lookup.task)
		error = io_lookup_start(ring, &addresses->lookup, addresses->name, addresses->port);
	if (!error && !timer_is_set(&addresses->timer))
		error = timer_set(io_timers(ring), &addresses->timer, io_now_ns(ring) + LOOKUP_NS);
	if (!error)
		list_add_last(&addresses->seekers, &seeker->link);
	return error;
}

void addresses_leave(struct seeker *seeker)
{
	list_remove(&seeker->link);
}

/* ---- what is known ---- */

bool addresses_are_fresh(const struct addresses *addresses)
{
	return !addresses->is_stale;
}

const struct weft_address *addresses_next(const struct addresses *addresses)
{
	const struct known_address *best = NULL;
	for (unsigned i = 0; i < addresses->count; i++)
		if (!best || addresses->known[i].failed_ns < best->failed_ns)
			best = &addresses->known[i];
	return best ? &best->address : NULL;
}

void addresses_answered(struct addresses *addresses, const struct weft_address *address)
{
	struct known_address *known = find(addresses, address);
	if (known)
		known->failed_ns = 0;
}

void addresses_failed(struct addresses *addresses, const struct weft_address *address)
{
	struct known_address *known = find(addresses, address);
	if (known)
		known->failed_ns = io_now_ns(addresses->ring);
	addresses->is_stale = *addresses->name;
}

/* ---- life ---- */

void addresses_init(struct addresses *addresses, struct io_ring *ring)
{
	*addresses = (struct addresses){.ring = ring, .lookup.done = on_looked_up};
	list_init(&addresses->seekers);
	timer_init(&addresses->timer, on_late);
}

void addresses_set(struct addresses *addresses, const struct weft_address *only)
{
	addresses->known[0].address = *only;
	addresses->count = 1;
}

void addresses_set_name(struct addresses *addresses, struct span name, uint16_t port)
{
	assert(name.size < sizeof(addresses->name));
	memcpy(addresses->name, name.data, name.size);
	addresses->name[name.size] = '\0';
	addresses->port = port;
	addresses->is_stale = true;
}

void addresses_fini(struct addresses *addresses)
{
	if (!addresses->ring)
		return;
	while (!io_lookup_abandon(&addresses->lookup))
		io_turn(addresses->ring, 0);
	timer_clear(io_timers(addresses->ring), &addresses->timer);
}
