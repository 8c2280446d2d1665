/*
 * Where the API server may be dialled: one IP address, or those of a name, which is looked up again
 * before the next connection after each fault. Of several the one whose last fault is longest ago,
 * or that had none, is next: all are tried in turn. While the name cannot be looked up, what it led
 * to last is tried. Owner: kube's server.
 */
#ifndef KUBE_ADDRESSES_H
#define KUBE_ADDRESSES_H

#include "base/list.h"
#include "io/lookup.h"

/* Who waits for a look-up. Embedded in its owner, who may leave at any time. */
struct seeker {
	struct list link;
	/* It has ended, well or not: addresses_next says whether there is one to dial. */
	void (*settled)(struct seeker *seeker);
};

struct known_address {
	struct weft_address address;
	uint64_t failed_ns; /* 0 = it answered last, or was never tried */
};

struct addresses {
	struct io_ring *ring; /* NULL: not initialised */
	struct io_lookup lookup;
	struct timer timer; /* the most that seekers wait */
	struct list seekers;
	struct known_address known[IO_LOOKUP_MOST];
	unsigned count;
	uint16_t port;
	bool is_stale;                 /* to be looked up before the next connection */
	char name[IO_LOOKUP_NAME_MAX]; /* "" = an IP address */
	char why[80];                  /* of the last look-up that failed */
};

void addresses_init(struct addresses *addresses, struct io_ring *ring);
/* Turns the ring if a look-up is just ending. All zero is fine. */
void addresses_fini(struct addresses *addresses);
void addresses_set(struct addresses *addresses, const struct weft_address *only);
/* Shorter than IO_LOOKUP_NAME_MAX. */
void addresses_set_name(struct addresses *addresses, struct span name, uint16_t port);

/* False: seek first. */
bool addresses_are_fresh(const struct addresses *addresses);
/* 0: `settled` follows, in a later turn. Or -errno. */
int addresses_seek(struct addresses *addresses, struct seeker *seeker) MUST_CHECK;
void addresses_leave(struct seeker *seeker); /* also when it does not wait */
/* NULL = none is known: `why` says why. */
const struct weft_address *addresses_next(const struct addresses *addresses);
void addresses_answered(struct addresses *addresses, const struct weft_address *address);
void addresses_failed(struct addresses *addresses, const struct weft_address *address);

#endif
