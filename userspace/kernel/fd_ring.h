/*
 * A ring of descriptors between one thread that adds and one that takes; no lock. Capacity is a
 * power of two.
 */
#ifndef KERNEL_FD_RING_H
#define KERNEL_FD_RING_H

#include <stdatomic.h>
#include <stdbool.h>

struct fd_ring {
	atomic_uint added; /* written by the producer alone */
	atomic_uint taken; /* written by the consumer alone */
	unsigned capacity;
	int *fds;
};

/* `fds` has room for `capacity`, a power of two, and outlives the ring. */
static inline void fd_ring_init(struct fd_ring *ring, int *fds, unsigned capacity)
{
	ring->fds = fds;
	ring->capacity = capacity;
	atomic_init(&ring->added, 0);
	atomic_init(&ring->taken, 0);
}

/* Exact for the caller's own end, a moment old for the other. */
static inline unsigned fd_ring_count(const struct fd_ring *ring)
{
	return atomic_load_explicit(&ring->added, memory_order_acquire) -
	       atomic_load_explicit(&ring->taken, memory_order_acquire);
}

/* Producer. False when the ring is full. */
static inline bool fd_ring_add(struct fd_ring *ring, int fd)
{
	unsigned added = atomic_load_explicit(&ring->added, memory_order_relaxed);
	if (fd_ring_count(ring) == ring->capacity)
		return false;
	ring->fds[added & (ring->capacity - 1)] = fd;
	atomic_store_explicit(&ring->added, added + 1, memory_order_release);
	return true;
}

/* Consumer. -1 when the ring is empty. */
static inline int fd_ring_take(struct fd_ring *ring)
{
	unsigned taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	if (fd_ring_count(ring) == 0)
		return -1;
	int fd = ring->fds[taken & (ring->capacity - 1)];
	atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
	return fd;
}

#endif
