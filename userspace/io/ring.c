#include "io/ring.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/lost.h"

#define GROUP_SHARED 0
#define GROUP_LARGE  1
#define NS_PER_S     1000000000ull
/* Results of cancel requests carry no operation. */
#define NO_OP 0

/* Receive buffers of one size that the kernel picks from (IORING_REGISTER_PBUF_RING). */
struct lent {
	struct io_uring_buf_ring *ring;
	size_t ring_bytes;
	unsigned count;
	unsigned missing; /* buffers that could not be replaced for want of memory */
};

struct io_ring {
	struct io_uring uring;
	struct timers timers;
	uint64_t now_ns;
	uint64_t busy_ns;
	uint64_t turns;
	void (*before_wait)(void *owner);
	void (*after_wait)(void *owner);
	void *hooks_owner;

	struct lent shared;
	char *shared_memory;
	struct lent large;
	struct block **large_blocks; /* by buffer id */
	struct blocks *blocks;
	struct span lent_bytes;
	struct block *lent_block;
	struct lost lost;

	_Atomic(struct io_mail *) mails; /* newest first */
	int mail_fd;
	struct io_op mail_op;
	uint64_t mail_count;
};

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- buffers that the ring lends ---- */

static int lent_open(struct io_ring *ring, struct lent *lent, unsigned count, int group)
{
	lent->ring_bytes = count * sizeof(struct io_uring_buf);
	void *memory = mmap(NULL, lent->ring_bytes, PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)memory,
		.ring_entries = count,
		.bgid = (__u16)group,
	};
	int error = io_uring_register_buf_ring(&ring->uring, &registration, 0);
	if (error) {
		munmap(memory, lent->ring_bytes);
		return error;
	}
	lent->ring = memory;
	lent->count = count;
	io_uring_buf_ring_init(lent->ring);
	return 0;
}

static void lent_add(struct lent *lent, void *memory, unsigned size, unsigned id)
{
	io_uring_buf_ring_add(lent->ring, memory, size, (unsigned short)id,
			      io_uring_buf_ring_mask(lent->count), 0);
	io_uring_buf_ring_advance(lent->ring, 1);
}

static void lent_close(struct lent *lent)
{
	if (lent->ring)
		munmap(lent->ring, lent->ring_bytes);
}

static int shared_open(struct io_ring *ring, unsigned count)
{
	int error = lent_open(ring, &ring->shared, count, GROUP_SHARED);
	if (error)
		return error;
	ring->shared_memory = mem_alloc((size_t)count * IO_SHARED_BYTES);
	if (!ring->shared_memory)
		return -ENOMEM;
	for (unsigned id = 0; id < count; id++)
		lent_add(&ring->shared, ring->shared_memory + (size_t)id * IO_SHARED_BYTES,
			 IO_SHARED_BYTES, id);
	return 0;
}

static bool large_refill(struct io_ring *ring, unsigned id)
{
	struct block *block = blocks_take_large(ring->blocks);
	ring->large_blocks[id] = block;
	if (!block)
		return false;
	lent_add(&ring->large, block->data, block->capacity, id);
	return true;
}

static int large_open(struct io_ring *ring, unsigned count)
{
	int error = lent_open(ring, &ring->large, count, GROUP_LARGE);
	if (error)
		return error;
	ring->large_blocks = mem_zalloc(count * sizeof(struct block *));
	if (!ring->large_blocks)
		return -ENOMEM;
	for (unsigned id = 0; id < count; id++) {
		if (!large_refill(ring, id))
			return -ENOMEM;
	}
	return 0;
}

static void large_refill_missing(struct io_ring *ring)
{
	for (unsigned id = 0; id < ring->large.count && ring->large.missing; id++) {
		if (ring->large_blocks[id])
			continue;
		if (!large_refill(ring, id))
			return;
		ring->large.missing--;
	}
}

struct span io_lent_bytes(const struct io_ring *ring)
{
	return ring->lent_bytes;
}

struct block **io_lent_block(struct io_ring *ring)
{
	return &ring->lent_block;
}

/* ---- opening ---- */

static void on_mail(struct io_op *op, int result, bool more);

static void mail_arm(struct io_ring *ring)
{
	io_read(ring, &ring->mail_op, ring->mail_fd, &ring->mail_count, sizeof(ring->mail_count));
}

int io_ring_open(const struct io_options *options, struct io_ring **ret_ring)
{
	struct io_ring *ring = mem_zalloc(sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	timers_init(&ring->timers);
	ring->blocks = options->blocks;
	ring->mail_op.done = on_mail;

	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = options->entries * 4,
	};
	ring->mail_fd = eventfd(0, EFD_CLOEXEC);
	int error = ring->mail_fd < 0 ? -errno : 0;
	if (error)
		goto free_ring;
	error = io_uring_queue_init_params(options->entries, &ring->uring, &params);
	if (error)
		goto close_mail;
	io_uring_register_ring_fd(&ring->uring); /* saves a look-up per call where it is known */
	error = options->shared_count ? shared_open(ring, options->shared_count) : 0;
	if (!error && options->large_count)
		error = large_open(ring, options->large_count);
	if (error) {
		io_ring_close(ring);
		return error;
	}
	ring->now_ns = clock_ns();
	mail_arm(ring);
	*ret_ring = ring;
	return 0;

close_mail:
	close(ring->mail_fd);
free_ring:
	mem_free(ring);
	return error;
}

void io_ring_close(struct io_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	lent_close(&ring->shared);
	lent_close(&ring->large);
	for (unsigned id = 0; ring->large_blocks && id < ring->large.count; id++)
		blocks_give(ring->blocks, ring->large_blocks[id]);
	mem_free(ring->large_blocks);
	mem_free(ring->shared_memory);
	close(ring->mail_fd);
	timers_fini(&ring->timers);
	mem_free(ring);
}

uint64_t io_now_ns(const struct io_ring *ring)
{
	return ring->now_ns;
}

uint64_t io_wall_ns(const struct io_ring *ring)
{
	struct timespec now;
	(void)ring;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

struct timers *io_timers(struct io_ring *ring)
{
	return &ring->timers;
}

uint64_t io_busy_ns(const struct io_ring *ring)
{
	return ring->busy_ns;
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

/* ---- mails from other threads ---- */

void io_post(struct io_ring *ring, struct io_mail *mail)
{
	struct io_mail *head = atomic_load_explicit(&ring->mails, memory_order_relaxed);
	do {
		mail->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&ring->mails, &head, mail, memory_order_release, memory_order_relaxed));
	if (!head) {
		uint64_t one = 1;
		ssize_t written = write(ring->mail_fd, &one, sizeof(one));
		(void)written; /* only a full counter fails, and then a wake-up is pending */
	}
}

static void on_mail(struct io_op *op, int result, bool more)
{
	struct io_ring *ring = container_of(op, struct io_ring, mail_op);
	(void)result;
	(void)more;
	mail_arm(ring);
	struct io_mail *newest = atomic_exchange_explicit(&ring->mails, NULL, memory_order_acquire);
	struct io_mail *oldest = NULL;
	while (newest) {
		struct io_mail *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct io_mail *next = oldest->next;
		oldest->run(oldest);
		oldest = next;
	}
}

/* ---- one turn ---- */

static void give_shared(struct io_ring *ring, unsigned id)
{
	lent_add(&ring->shared, ring->shared_memory + (size_t)id * IO_SHARED_BYTES, IO_SHARED_BYTES,
		 id);
}

static void give_large(struct io_ring *ring, unsigned id)
{
	if (ring->lent_block) {
		ring->lent_block->begin = ring->lent_block->end = 0;
		lent_add(&ring->large, ring->lent_block->data, ring->lent_block->capacity, id);
	} else if (!large_refill(ring, id)) {
		ring->large.missing++;
	}
	ring->lent_block = NULL;
}

static void dispatch(struct io_ring *ring, const struct io_uring_cqe *cqe)
{
	struct io_op *op = (struct io_op *)(uintptr_t)cqe->user_data;
	bool is_large = op->is_large;
	bool has_buffer = cqe->flags & IORING_CQE_F_BUFFER;
	bool more = cqe->flags & IORING_CQE_F_MORE;
	unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	int result = cqe->res;

	if (has_buffer) {
		size_t size = result > 0 ? (size_t)result : 0;
		ring->lent_block = is_large ? ring->large_blocks[id] : NULL;
		char *memory = is_large ? ring->lent_block->data
					: ring->shared_memory + (size_t)id * IO_SHARED_BYTES;
		ring->lent_bytes = span_of(memory, size);
		if (is_large)
			ring->lent_block->end = (uint32_t)size;
	}
	if (has_buffer && more && !is_large)
		lost_suspect(&ring->lost, ring, op);
	if (!more) {
		lost_forget(&ring->lost, op);
		op->in_flight = false;
	}
	op->done(op, result, more);
	if (has_buffer && is_large)
		give_large(ring, id);
	else if (has_buffer)
		give_shared(ring, id);
}

static void dispatch_all(struct io_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned seen = 0;
	io_uring_for_each_cqe(&ring->uring, head, cqe)
	{
		if (cqe->user_data != NO_OP)
			dispatch(ring, cqe);
		if (++seen == 64) {
			io_uring_cq_advance(&ring->uring, seen);
			seen = 0;
		}
	}
	io_uring_cq_advance(&ring->uring, seen);
}

static uint64_t wait_limit(const struct io_ring *ring, uint64_t wait_ns)
{
	uint64_t next_ns = timers_next_ns(&ring->timers);
	if (ring->lost.count && ring->lost.look_at_ns < next_ns)
		next_ns = ring->lost.look_at_ns;
	if (next_ns == UINT64_MAX)
		return wait_ns;
	uint64_t until_ns = next_ns > ring->now_ns ? next_ns - ring->now_ns : 0;
	return until_ns < wait_ns ? until_ns : wait_ns;
}

void io_turn(struct io_ring *ring, uint64_t wait_ns)
{
	if (ring->before_wait)
		ring->before_wait(ring->hooks_owner);
	uint64_t limit_ns = wait_limit(ring, wait_ns);
	struct __kernel_timespec limit = {
		.tv_sec = (long long)(limit_ns / NS_PER_S),
		.tv_nsec = (long long)(limit_ns % NS_PER_S),
	};
	struct io_uring_cqe *cqe = NULL;
	uint64_t before_ns = clock_ns();
	ring->busy_ns += before_ns - ring->now_ns;
	io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
					 limit_ns == UINT64_MAX ? NULL : &limit, NULL);
	ring->now_ns = clock_ns();
	ring->turns++;
	if (ring->after_wait)
		ring->after_wait(ring->hooks_owner);
	if (ring->large.missing)
		large_refill_missing(ring);
	dispatch_all(ring);
	lost_look(&ring->lost, ring);
	timers_run(&ring->timers, ring->now_ns);
}

/* ---- operations ---- */

static struct io_uring_sqe *next_sqe(struct io_ring *ring, struct io_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	while (!sqe) {
		io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	io_uring_sqe_set_data(sqe, op);
	if (op) {
		op->in_flight = true;
		op->is_large = false;
	}
	return sqe;
}

void io_accept(struct io_ring *ring, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void io_connect(struct io_ring *ring, struct io_op *op, int fd,
		const struct sockaddr_storage *address, socklen_t size)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_connect(sqe, fd, (const struct sockaddr *)address, size);
}

void io_read(struct io_ring *ring, struct io_op *op, int fd, void *memory, size_t size)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_read(sqe, fd, memory, (unsigned)size, 0);
}

void io_recv_shared(struct io_ring *ring, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->buf_group = GROUP_SHARED;
	op->fd = fd;
}

void io_recv_large(struct io_ring *ring, struct io_op *op, int fd)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_recv(sqe, fd, NULL, BLOCK_LARGE_BYTES, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP_LARGE;
	op->is_large = true;
}

void io_send(struct io_ring *ring, struct io_op *op, int fd, const void *memory, size_t size)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_send(sqe, fd, memory, size, MSG_WAITALL | MSG_NOSIGNAL);
}

void io_sendmsg(struct io_ring *ring, struct io_op *op, int fd, const struct msghdr *message)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_sendmsg(sqe, fd, message, MSG_WAITALL | MSG_NOSIGNAL);
}

void io_poll(struct io_ring *ring, struct io_op *op, int fd, unsigned events)
{
	struct io_uring_sqe *sqe = next_sqe(ring, op);
	io_uring_prep_poll_multishot(sqe, fd, events);
}

void io_cancel(struct io_ring *ring, struct io_op *op)
{
	if (!op->in_flight)
		return;
	struct io_uring_sqe *sqe = next_sqe(ring, NULL);
	io_uring_prep_cancel(sqe, op, 0);
}

static void option_set(int fd, int option, int value)
{
	setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

int io_socket(struct io_ring *ring, int family, unsigned silence_s)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	int on = 1;
	(void)ring;
	if (fd < 0)
		return -errno;
	/* Half of the time idle, then three probes. */
	int probe_s = silence_s < 6 ? 1 : (int)silence_s / 6;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	option_set(fd, TCP_KEEPIDLE, 3 * probe_s);
	option_set(fd, TCP_KEEPINTVL, probe_s);
	option_set(fd, TCP_KEEPCNT, 3);
	option_set(fd, TCP_USER_TIMEOUT, (int)silence_s * 1000);
	option_set(fd, TCP_NODELAY, 1);
	return fd;
}

int io_bind_source(struct io_ring *ring, int fd, const struct weft_address *address)
{
	struct sockaddr_storage source;
	struct weft_address any_port = *address;
	int on = 1;
	(void)ring;
	any_port.port = 0;
	socklen_t size = address_to_sockaddr(&any_port, &source);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&source, size) ? -errno : 0;
}

int io_send_now(struct io_ring *ring, int fd, const void *memory, size_t size)
{
	(void)ring;
	ssize_t sent = send(fd, memory, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : (int)sent;
}

void io_shutdown_send(struct io_ring *ring, int fd)
{
	(void)ring;
	shutdown(fd, SHUT_WR);
}

void io_close(struct io_ring *ring, int fd)
{
	(void)ring;
	close(fd);
}

void io_reset_when_closed(struct io_ring *ring, int fd, bool resets)
{
	struct linger now = {.l_onoff = resets, .l_linger = 0};
	(void)ring;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void io_close_reset(struct io_ring *ring, int fd)
{
	io_reset_when_closed(ring, fd, true);
	io_close(ring, fd);
}

bool io_has_unread(struct io_ring *ring, int fd)
{
	char byte;
	(void)ring;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
