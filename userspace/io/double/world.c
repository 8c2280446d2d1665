#include "io/double/world.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static struct {
	pthread_mutex_t mutex;
	struct world_fd **fds; /* by number; never moved */
	size_t fd_count;
	struct world_fd foreign[8]; /* real listeners */
	struct io_peer *peers;
	struct world_address *addresses;
	bool is_random;
	struct rng rng;
	unsigned missing_buffers;
	unsigned missing_descriptors;
	int missing_family; /* AF_UNSPEC = none */
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void world_lock(void)
{
	pthread_mutex_lock(&world.mutex);
}

void world_unlock(void)
{
	pthread_mutex_unlock(&world.mutex);
}

static void *or_abort(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void io_double_reset(void)
{
	while (world.peers) {
		struct io_peer *next = world.peers->next;
		free(world.peers->to_us.data);
		free(world.peers->from_us.data);
		free(world.peers);
		world.peers = next;
	}
	while (world.addresses) {
		struct world_address *next = world.addresses->next;
		free(world.addresses);
		world.addresses = next;
	}
	for (size_t i = 0; i < world.fd_count; i++)
		free(world.fds[i]);
	free(world.fds);
	world.fds = NULL;
	world.fd_count = 0;
	memset(world.foreign, 0, sizeof(world.foreign));
	world.is_random = false;
	world.missing_buffers = world.missing_descriptors = 0;
	world.missing_family = AF_UNSPEC;
	lookup_reset();
}

size_t io_double_open_count(void)
{
	size_t count = 0;
	world_lock();
	for (size_t i = 0; i < world.fd_count; i++)
		count += world.fds[i]->is_open;
	world_unlock();
	return count;
}

void io_double_seed(uint64_t seed)
{
	world.is_random = seed != 0;
	rng_init(&world.rng, seed);
}

uint64_t world_random(void)
{
	return world.is_random ? rng_next(&world.rng) : 0;
}

void io_double_no_buffers(unsigned count)
{
	world.missing_buffers = count;
}

void io_double_no_descriptors(unsigned count)
{
	world.missing_descriptors = count;
}

void io_double_no_family(int family)
{
	world.missing_family = family;
}

bool world_lacks_family(int family)
{
	return family != AF_UNSPEC && family == world.missing_family;
}

bool world_lacks_buffers(void)
{
	if (!world.missing_buffers)
		return false;
	world.missing_buffers--;
	return true;
}

void world_bytes_add(struct world_bytes *bytes, const void *data, size_t size)
{
	if (bytes->size + size > bytes->capacity) {
		bytes->capacity = (bytes->size + size) * 2;
		bytes->data = or_abort(realloc(bytes->data, bytes->capacity));
	}
	if (size)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

/* ---- descriptors ---- */

static struct world_fd *fd_new(void)
{
	world.fds = or_abort(realloc(world.fds, (world.fd_count + 1) * sizeof(*world.fds)));
	struct world_fd *fd = or_abort(calloc(1, sizeof(*fd)));
	fd->fd = WORLD_FIRST_FD + (int)world.fd_count;
	fd->is_open = true;
	world.fds[world.fd_count++] = fd;
	return fd;
}

bool world_is_pretended(int fd)
{
	return fd >= WORLD_FIRST_FD;
}

static struct world_fd *foreign_listener(int fd)
{
	for (size_t i = 0; i < array_count(world.foreign); i++) {
		struct world_fd *slot = &world.foreign[i];
		if (slot->is_open && slot->fd != fd)
			continue;
		slot->fd = fd;
		slot->is_open = slot->is_listener = true;
		return slot;
	}
	abort();
}

struct world_fd *world_fd(int fd)
{
	if (!world_is_pretended(fd))
		return foreign_listener(fd);
	size_t index = (size_t)(fd - WORLD_FIRST_FD);
	assert(index < world.fd_count);
	assert(world.fds[index]->is_open); /* else: used after it was closed */
	return world.fds[index];
}

int io_double_listener(void)
{
	world_lock();
	struct world_fd *fd = fd_new();
	fd->is_listener = true;
	int number = fd->fd;
	world_unlock();
	return number;
}

int io_double_socket(void)
{
	world_lock();
	int number = fd_new()->fd;
	world_unlock();
	return number;
}

/* ---- connections ---- */

struct io_peer *world_peer_new(const struct weft_address *address)
{
	struct io_peer *peer = or_abort(calloc(1, sizeof(*peer)));
	peer->window = UINT64_MAX;
	if (address)
		peer->address = *address;
	peer->next = world.peers;
	world.peers = peer;
	return peer;
}

struct io_peer *io_double_pair(int *ret_fd)
{
	world_lock();
	struct world_fd *fd = fd_new();
	fd->is_connected = true;
	fd->peer = world_peer_new(NULL);
	struct io_peer *peer = fd->peer;
	*ret_fd = fd->fd;
	world_unlock();
	return peer;
}

static void queue_add(struct io_peer **first, struct io_peer **last, struct io_peer *peer)
{
	if (*first)
		(*last)->next_waiting = peer;
	else
		*first = peer;
	*last = peer;
}

static struct io_peer *queue_take(struct io_peer **first)
{
	struct io_peer *peer = *first;
	if (peer)
		*first = peer->next_waiting;
	return peer;
}

struct io_peer *io_double_arrives(int listener, const struct weft_address *from)
{
	world_lock();
	struct world_fd *at = world_fd(listener);
	assert(at->is_listener);
	struct io_peer *peer = world_peer_new(from);
	queue_add(&at->waiting, &at->last_waiting, peer);
	world_unlock();
	return peer;
}

int world_accept(struct world_fd *listener)
{
	if (listener->waiting && world.missing_descriptors) {
		world.missing_descriptors--;
		return -EMFILE;
	}
	struct io_peer *peer = queue_take(&listener->waiting);
	if (!peer)
		return -EAGAIN;
	struct world_fd *fd = fd_new();
	fd->is_connected = true;
	fd->peer = peer;
	return fd->fd;
}

struct world_address *world_address(const struct weft_address *address)
{
	for (struct world_address *at = world.addresses; at; at = at->next) {
		if (address_equal(&at->address, address))
			return at;
	}
	struct world_address *at = or_abort(calloc(1, sizeof(*at)));
	at->address = *address;
	at->next = world.addresses;
	world.addresses = at;
	return at;
}

void world_connected(struct world_fd *fd, struct world_address *address)
{
	fd->peer = world_peer_new(&address->address);
	fd->peer->source = fd->source;
	fd->is_connected = true;
	queue_add(&address->reached, &address->last_reached, fd->peer);
}

void io_double_address(const struct weft_address *address, enum io_double_answer answer,
		       uint64_t delay_ns)
{
	world_lock();
	struct world_address *at = world_address(address);
	at->answer = answer;
	at->delay_ns = delay_ns;
	world_unlock();
}

struct io_peer *io_double_reached(const struct weft_address *address)
{
	world_lock();
	struct io_peer *peer = queue_take(&world_address(address)->reached);
	world_unlock();
	return peer;
}

size_t io_double_dials(const struct weft_address *address)
{
	world_lock();
	size_t dials = world_address(address)->dials;
	world_unlock();
	return dials;
}
