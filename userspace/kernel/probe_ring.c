/*
 * Whether io_uring does what weftd needs, tried out: a ring of its flags, lent buffers, and one
 * multishot receive that must complete twice. By plain system calls: liburing is the room io's.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "kernel/probe.h"

#define ENTRIES 8
#define BYTES   4096 /* of the buffer ring; the buffers lie in its second half */

struct probe_ring {
	int fd;
	struct io_uring_params params;
	char *rings; /* submission and completion ring */
	struct io_uring_sqe *sqes;
	struct io_uring_buf_ring *buffers;
};

static void *map_or_null(int fd, size_t bytes, off_t offset)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
	return memory == MAP_FAILED ? NULL : memory;
}

static size_t rings_bytes(const struct probe_ring *ring)
{
	const struct io_uring_params *params = &ring->params;
	size_t sq = params->sq_off.array + params->sq_entries * sizeof(__u32);
	size_t cq = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	return sq > cq ? sq : cq;
}

static int ring_open(struct probe_ring *ring)
{
	ring->params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	ring->fd = (int)syscall(__NR_io_uring_setup, ENTRIES, &ring->params);
	if (ring->fd < 0)
		return -errno;
	ring->rings = map_or_null(ring->fd, rings_bytes(ring), IORING_OFF_SQ_RING);
	ring->sqes = map_or_null(ring->fd, ENTRIES * sizeof(*ring->sqes), IORING_OFF_SQES);
	ring->buffers = map_or_null(-1, BYTES, 0);
	return ring->rings && ring->sqes && ring->buffers ? 0 : -ENOMEM;
}

static void ring_close(struct probe_ring *ring)
{
	if (ring->fd >= 0)
		close(ring->fd);
	if (ring->rings)
		munmap(ring->rings, rings_bytes(ring));
	if (ring->sqes)
		munmap(ring->sqes, ENTRIES * sizeof(*ring->sqes));
	if (ring->buffers)
		munmap(ring->buffers, BYTES);
}

/* 0 or -errno: can this ring lend receive buffers? Lends some. */
static int buffers_lend(struct probe_ring *ring)
{
	struct io_uring_buf_reg wanted = {.ring_addr = (uintptr_t)ring->buffers,
					  .ring_entries = ENTRIES};
	if (syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING, &wanted, 1))
		return -errno;
	for (unsigned i = 0; i < ENTRIES / 2; i++) {
		struct io_uring_buf *buffer = &ring->buffers->bufs[i];
		buffer->addr = (uintptr_t)ring->buffers + BYTES / 2 + (uintptr_t)i * 64;
		buffer->len = 64;
		buffer->bid = (__u16)i;
	}
	__atomic_store_n(&ring->buffers->tail, ENTRIES / 2, __ATOMIC_RELEASE);
	return 0;
}

static void receive_prepare(struct probe_ring *ring, int socket)
{
	__u32 *array = (__u32 *)(ring->rings + ring->params.sq_off.array);
	__u32 *tail = (__u32 *)(ring->rings + ring->params.sq_off.tail);
	ring->sqes[0] = (struct io_uring_sqe){.opcode = IORING_OP_RECV,
					      .fd = socket,
					      .flags = IOSQE_BUFFER_SELECT,
					      .ioprio = IORING_RECV_MULTISHOT};
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
}

/* Sends a byte and waits for the completion that tells of it. 0 or -errno; `ret_more`: the
 * operation goes on. */
static int receive_one(struct probe_ring *ring, int peer, unsigned submit, bool *ret_more)
{
	__u32 *head = (__u32 *)(ring->rings + ring->params.cq_off.head);
	const __u32 *mask = (__u32 *)(ring->rings + ring->params.cq_off.ring_mask);
	const struct io_uring_cqe *cqes =
		(struct io_uring_cqe *)(ring->rings + ring->params.cq_off.cqes);
	if (send(peer, "x", 1, MSG_NOSIGNAL) != 1 ||
	    syscall(__NR_io_uring_enter, ring->fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	const struct io_uring_cqe *cqe = &cqes[*head & *mask];
	int result = cqe->res;
	*ret_more = cqe->flags & IORING_CQE_F_MORE;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result == 1 ? 0 : result < 0 ? result : -EPROTO;
}

/* 0 or -errno: does one receive tell of two bytes? */
static int multishot_try(struct probe_ring *ring)
{
	int ends[2];
	bool more = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	receive_prepare(ring, ends[0]);
	int error = receive_one(ring, ends[1], 1, &more);
	if (!error)
		error = more ? receive_one(ring, ends[1], 0, &more) : -EOPNOTSUPP;
	close(ends[0]);
	close(ends[1]);
	return error;
}

void probe_io_uring(struct check_page *page)
{
	static const char need[] = "weft needs Linux 6.1 or newer with CONFIG_IO_URING";
	static const char allow[] =
		"allow it: sysctl kernel.io_uring_disabled=0, and the io_uring "
		"system calls in the container's seccomp profile";
	struct probe_ring ring = {0};
	const char *lacks = NULL;
	int error = ring_open(&ring);
	if (error)
		lacks = "no ring";
	if (!error && (error = buffers_lend(&ring)))
		lacks = "no provided buffer rings";
	if (!error && (error = multishot_try(&ring)))
		lacks = "no multishot receive";
	if (error)
		check_add(page, "io_uring", CHECK_FAIL,
			  error == -EPERM || error == -ENOSYS ? allow : need, "%s: %s", lacks,
			  strerror(-error));
	else
		check_add(page, "io_uring", CHECK_OK, "",
			  "single issuer, deferred task work, buffer rings, multishot");
	ring_close(&ring);
}
