/* ring.h without a kernel: submission, turns, dispatch. */
#include "io/double/ring.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"

#define START_NS   1000000000000ull
#define GARBAGE    0xdb
#define TURNS_MOST 10000000 /* of one settling: more is a loop without end */

int io_ring_open(const struct io_options *options, struct io_ring **ret_ring)
{
	struct io_ring *ring = mem_zalloc(sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	timers_init(&ring->timers);
	ring->now_ns = START_NS;
	ring->blocks = options->blocks;
	*ret_ring = ring;
	return 0;
}

static void completion_free(struct io_ring *ring, struct completion *completion)
{
	if (completion->memory)
		memset(completion->memory, GARBAGE, (size_t)completion->result);
	free(completion->memory);
	blocks_give(ring->blocks, completion->block);
	free(completion);
}

void io_ring_close(struct io_ring *ring)
{
	if (!ring)
		return;
	while (ring->ready) {
		struct completion *next = ring->ready->next;
		completion_free(ring, ring->ready);
		ring->ready = next;
	}
	while (ring->operations) {
		struct operation *next = ring->operations->next;
		free(ring->operations);
		ring->operations = next;
	}
	timers_fini(&ring->timers);
	mem_free(ring);
}

uint64_t io_now_ns(const struct io_ring *ring)
{
	return ring->now_ns;
}

uint64_t io_wall_ns(const struct io_ring *ring)
{
	return IO_DOUBLE_WALL_NS + ring->now_ns;
}

struct timers *io_timers(struct io_ring *ring)
{
	return &ring->timers;
}

uint64_t io_busy_ns(const struct io_ring *ring)
{
	return ring->turns * 1000;
}

uint64_t io_turns(const struct io_ring *ring)
{
	return ring->turns;
}

void io_set_hooks(struct io_ring *ring, void (*before_wait)(void *owner),
		  void (*after_wait)(void *owner), void *owner)
{
	ring->before_wait = before_wait;
	ring->after_wait = after_wait;
	ring->hooks_owner = owner;
}

struct span io_lent_bytes(const struct io_ring *ring)
{
	return ring->lent_bytes;
}

struct block **io_lent_block(struct io_ring *ring)
{
	return &ring->lent_block;
}

/* ---- mails ---- */

void io_post(struct io_ring *ring, struct io_mail *mail)
{
	struct io_mail *head = atomic_load(&ring->mails);
	do {
		mail->next = head;
	} while (!atomic_compare_exchange_weak(&ring->mails, &head, mail));
}

static void run_mails(struct io_ring *ring)
{
	struct io_mail *newest = atomic_exchange(&ring->mails, NULL);
	struct io_mail *oldest = NULL;
	while (newest) {
		struct io_mail *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct io_mail *next = oldest->next;
		ring->progress++;
		oldest->run(oldest);
		oldest = next;
	}
}

/* ---- one turn ---- */

static void collect(struct io_ring *ring)
{
	world_lock();
	for (struct operation *at = ring->operations; at; at = at->next)
		ready_collect(ring, at);
	world_unlock();
}

static void remove_operation(struct io_ring *ring, struct operation *operation)
{
	struct operation **at = &ring->operations;
	while (*at != operation)
		at = &(*at)->next;
	*at = operation->next;
	world_lock();
	world_fd(operation->fd)->operations--;
	world_unlock();
	free(operation);
}

static void dispatch(struct io_ring *ring, struct completion *completion)
{
	struct io_op *op = completion->operation->op;
	size_t size = completion->result > 0 ? (size_t)completion->result : 0;
	char *bytes = completion->block ? completion->block->data : completion->memory;
	ring->progress++;
	ring->lent_bytes = span_of(bytes, bytes ? size : 0);
	ring->lent_block = completion->block;
	if (!completion->more) {
		op->in_flight = false;
		remove_operation(ring, completion->operation);
	}
	op->done(op, completion->result, completion->more);
	if (completion->block && ring->lent_block)
		memset(completion->block->data, GARBAGE, completion->block->capacity);
	completion->block = ring->lent_block;
	ring->lent_block = NULL;
	completion_free(ring, completion);
}

/* The next to dispatch: any operation's, but of each operation the oldest. */
static struct completion *take_ready(struct io_ring *ring)
{
	size_t count = 0;
	for (struct completion *at = ring->ready; at; at = at->next)
		count++;
	struct completion *chosen = ring->ready;
	for (size_t skip = world_random() % count; skip; skip--)
		chosen = chosen->next;
	struct completion **at = &ring->ready;
	while ((*at)->operation != chosen->operation)
		at = &(*at)->next;
	chosen = *at;
	*at = chosen->next;
	chosen->next = NULL;
	return chosen;
}

/* Nothing is ready: time passes until something is due. */
static void pass_time(struct io_ring *ring, uint64_t wait_ns)
{
	uint64_t due_ns = timers_next_ns(&ring->timers);
	for (struct operation *at = ring->operations; at; at = at->next) {
		if (ready_due_ns(at) < due_ns)
			due_ns = ready_due_ns(at);
	}
	uint64_t until_ns = due_ns > ring->now_ns ? due_ns - ring->now_ns : 0;
	if (due_ns == UINT64_MAX && wait_ns == UINT64_MAX) {
		sched_yield(); /* only another thread's mail can end this */
		return;
	}
	ring->now_ns += until_ns < wait_ns ? until_ns : wait_ns;
	collect(ring);
}

void io_turn(struct io_ring *ring, uint64_t wait_ns)
{
	if (ring->before_wait)
		ring->before_wait(ring->hooks_owner);
	collect(ring);
	if (!ring->ready && !atomic_load(&ring->mails))
		pass_time(ring, wait_ns);
	ring->turns++;
	if (ring->after_wait)
		ring->after_wait(ring->hooks_owner);
	run_mails(ring);
	while (ring->ready)
		dispatch(ring, take_ready(ring));
	ring->progress += timers_run(&ring->timers, ring->now_ns);
}

void io_double_settle(struct io_ring *ring)
{
	uint64_t before;
	int turns = 0;
	do {
		before = ring->progress;
		io_turn(ring, 0);
		assert(turns < TURNS_MOST);
		turns++;
	} while (ring->progress != before);
}

void io_double_run(struct io_ring *ring, uint64_t ns)
{
	uint64_t end_ns = ring->now_ns + ns;
	io_double_settle(ring);
	while (ring->now_ns < end_ns)
		io_turn(ring, end_ns - ring->now_ns);
	io_double_settle(ring);
}

/* ---- operations ---- */

static struct operation *submit(struct io_ring *ring, struct io_op *op, int fd,
				enum operation_kind kind)
{
	struct operation *operation = calloc(1, sizeof(*operation));
	struct operation **end = &ring->operations;
	if (!operation)
		abort();
	assert(!op->in_flight && op->done);
	op->in_flight = true;
	op->is_large = kind == OPERATION_RECV_LARGE;
	*operation = (struct operation){.op = op, .fd = fd, .kind = kind};
	while (*end)
		end = &(*end)->next;
	*end = operation;
	ring->progress++;
	world_lock();
	struct world_fd *at = world_fd(fd);
	at->operations++;
	bool wants_peer = kind >= OPERATION_RECV_SHARED;
	assert(wants_peer == at->is_connected || kind == OPERATION_WAIT);
	assert(at->is_listener == (kind == OPERATION_ACCEPT) || kind == OPERATION_WAIT);
	world_unlock();
	return operation;
}

void io_accept(struct io_ring *ring, struct io_op *op, int fd)
{
	submit(ring, op, fd, OPERATION_ACCEPT);
}

void io_connect(struct io_ring *ring, struct io_op *op, int fd,
		const struct sockaddr_storage *address, socklen_t size)
{
	(void)size;
	submit(ring, op, fd, OPERATION_CONNECT)->address = address;
}

void io_read(struct io_ring *ring, struct io_op *op, int fd, void *memory, size_t size)
{
	(void)memory;
	(void)size;
	submit(ring, op, fd, OPERATION_WAIT);
}

void io_poll(struct io_ring *ring, struct io_op *op, int fd, unsigned events)
{
	(void)events;
	submit(ring, op, fd, OPERATION_WAIT);
}

void io_recv_shared(struct io_ring *ring, struct io_op *op, int fd)
{
	submit(ring, op, fd, OPERATION_RECV_SHARED);
}

void io_recv_large(struct io_ring *ring, struct io_op *op, int fd)
{
	submit(ring, op, fd, OPERATION_RECV_LARGE);
}

static void submit_send(struct io_ring *ring, struct io_op *op, int fd, struct iovec single,
			const struct msghdr *message)
{
	struct operation *operation = submit(ring, op, fd, OPERATION_SEND);
	operation->single = single;
	operation->message = message;
	operation->total = single.iov_len;
	for (size_t i = 0; message && i < message->msg_iovlen; i++)
		operation->total += message->msg_iov[i].iov_len;
	operation->hash = ready_hash(operation);
	assert(operation->total > 0);
	world_lock();
	assert(!world_fd(fd)->peer->saw_fin); /* else: bytes after FIN */
	world_unlock();
}

void io_send(struct io_ring *ring, struct io_op *op, int fd, const void *memory, size_t size)
{
	submit_send(ring, op, fd, (struct iovec){(void *)memory, size}, NULL);
}

void io_sendmsg(struct io_ring *ring, struct io_op *op, int fd, const struct msghdr *message)
{
	submit_send(ring, op, fd, (struct iovec){0}, message);
}

void io_cancel(struct io_ring *ring, struct io_op *op)
{
	if (!op->in_flight)
		return;
	for (struct operation *at = ring->operations; at; at = at->next) {
		if (at->op == op)
			at->is_cancelled = true;
	}
	ring->progress++;
}

/* ---- immediate calls ---- */

int io_socket(struct io_ring *ring, int family, unsigned silence_s)
{
	(void)ring;
	(void)silence_s;
	return world_lacks_family(family) ? -EAFNOSUPPORT : io_double_socket();
}

int io_bind_source(struct io_ring *ring, int fd, const struct weft_address *address)
{
	(void)ring;
	world_lock();
	world_fd(fd)->source = *address;
	world_unlock();
	return 0;
}

int io_send_now(struct io_ring *ring, int fd, const void *memory, size_t size)
{
	for (const struct operation *at = ring->operations; at; at = at->next)
		assert(at->fd != fd || at->kind != OPERATION_SEND); /* bytes would overtake it */
	world_lock();
	int result = ready_send_now(world_fd(fd)->peer, memory, size);
	world_unlock();
	if (result > 0)
		ring->progress++;
	return result;
}

void io_shutdown_send(struct io_ring *ring, int fd)
{
	for (const struct operation *at = ring->operations; at; at = at->next)
		assert(at->fd != fd || at->kind != OPERATION_SEND); /* FIN would overtake it */
	world_lock();
	struct io_peer *peer = world_fd(fd)->peer;
	assert(peer && !peer->saw_fin);
	peer->saw_fin = true;
	ring->progress++;
	world_unlock();
}

static void close_fd(int fd, bool resets)
{
	if (!world_is_pretended(fd)) {
		close(fd);
		return;
	}
	world_lock();
	struct world_fd *at = world_fd(fd);
	struct io_peer *peer = at->peer;
	assert(at->operations == 0);
	at->is_open = false;
	if (peer) {
		resets |= io_peer_would_see_reset(peer);
		peer->saw_reset |= resets && !peer->was_reset;
		peer->saw_fin |= !resets;
		peer->is_closed = true;
	}
	for (peer = at->waiting; peer; peer = peer->next_waiting)
		peer->saw_reset = peer->is_closed = true;
	world_unlock();
}

void io_close(struct io_ring *ring, int fd)
{
	close_fd(fd, false);
	ring->progress++;
}

void io_reset_when_closed(struct io_ring *ring, int fd, bool resets)
{
	(void)ring;
	world_lock();
	assert(world_fd(fd)->peer);
	world_fd(fd)->peer->resets_when_closed = resets;
	world_unlock();
}

bool io_has_unread(struct io_ring *ring, int fd)
{
	(void)ring;
	world_lock();
	struct io_peer *peer = world_fd(fd)->peer;
	bool has_unread = peer && io_peer_unreceived(peer) > 0;
	world_unlock();
	return has_unread;
}

void io_close_reset(struct io_ring *ring, int fd)
{
	close_fd(fd, true);
	ring->progress++;
}
