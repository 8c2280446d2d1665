/* What the tests of the shortcut share: a pod that has it, and one captured connection. */
#ifndef KERNEL_TESTS_PAIR_H
#define KERNEL_TESTS_PAIR_H

#include <bpf/bpf.h>

#include "kernel/tests/rig.h"

#define CAPTURE WEFT_POD_CAPTURE
#define HTTP    (WEFT_DESTINATION_READY | WEFT_DESTINATION_HTTP)
#define WINDOW  65536u
#define SERVICE 7

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

/* One captured connection. */
struct pair {
	int app;
	int ours;
	struct weft_flow flow;
	struct weft_leg_end end; /* of ours */
};

rig_fn void pod_open_with(struct rig *rig, enum weft_shortcut mesh, struct rig_pod *ret)
{
	rig_pod_open(rig, CAPTURE, ret);
	ret->pod.shortcut_mesh = mesh;
	ret->pod.shortcut_window = WINDOW;
	rig_pod_put(ret);
	rig_service(rig, RIG_VIRTUAL, SERVICE, HTTP);
}

rig_fn void pod_open(struct rig *rig, struct rig_pod *ret)
{
	pod_open_with(rig, WEFT_SHORTCUT_ON, ret);
}

rig_fn void accept_pair(struct rig_pod *pod, struct pair *pair)
{
	pair->ours = rig_accept(pod, &pair->flow);
	pair->end = (struct weft_leg_end){pair->flow.leg, pair->flow.leg_slot, WEFT_LEG_ACCEPTOR};
}

rig_fn void set_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

/* As programs with an event loop dial. */
rig_fn int dial_nonblocking(int fd, const char *to)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	set_nonblocking(fd);
	assert_int_equal(rig_connect(fd, AF_INET, to), -EINPROGRESS);
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	return fd;
}

rig_fn void pair_open(struct rig_pod *pod, struct pair *pair)
{
	pair->app = dial_nonblocking(rig_socket(AF_INET), RIG_VIRTUAL);
	accept_pair(pod, pair);
}

rig_fn void pair_close(struct pair *pair)
{
	close(pair->app);
	close(pair->ours);
}

rig_fn const struct weft_leg *leg_of(const struct rig_pod *pod, const struct pair *pair)
{
	return kernel_leg(pod->rig->kernel, &pair->end);
}

rig_fn uint64_t past_tcp(const struct rig_pod *pod, const struct pair *pair,
			 enum weft_leg_side side)
{
	const struct weft_leg *leg = leg_of(pod, pair);
	return leg ? __atomic_load_n(&leg->ways[side].bytes, __ATOMIC_ACQUIRE) : 0;
}

rig_fn uint64_t by_tcp(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	/* struct tcp_info of glibc ends before tcpi_bytes_acked */
	struct {
		struct tcp_info old;
		uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	} more = {0};
	size = sizeof(more);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &more, &size), 0);
	return more.bytes_received;
}

rig_fn void send_all(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Waits until there is something, or an end. */
rig_fn ssize_t receive(int fd, char *got, size_t size)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, RIG_DEADLINE_MS) != 1)
		fail_msg("nothing comes");
	return recv(fd, got, size, 0);
}

rig_fn void receive_all(int fd, char *got, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t more = receive(fd, got + have, size - have);
		assert_true(more > 0);
		have += (size_t)more;
	}
}

/* Exactly these bytes come next. */
rig_fn void expect(int fd, const char *wanted)
{
	char got[256];
	size_t size = strlen(wanted);
	assert_true(size < sizeof(got));
	receive_all(fd, got, size);
	got[size] = '\0';
	assert_string_equal(got, wanted);
}

rig_fn void expect_end(int fd)
{
	char byte;
	assert_int_equal(receive(fd, &byte, 1), 0);
}

/* Was that side closed before it had read everything? */
rig_fn bool is_unread(const struct rig_pod *pod, const struct pair *pair, enum weft_leg_side side)
{
	const struct weft_leg *leg = leg_of(pod, pair);
	assert_non_null(leg);
	return __atomic_load_n(&leg->unread, __ATOMIC_ACQUIRE) >> side & 1;
}

/* Slots of the pinned map. */
rig_fn unsigned rows_in_use(const struct rig *rig)
{
	char path[160];
	struct weft_leg row;
	unsigned used = 0;
	snprintf(path, sizeof(path), "%s/weft_legs", rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (uint32_t slot = 0; slot < WEFT_LEGS_MAX; slot++)
		used += bpf_map_lookup_elem(fd, &slot, &row) == 0 && row.id != 0;
	close(fd);
	return used;
}

/* ---- our dials to a server of the same namespace ---- */

rig_fn int upstream_socket(struct rig_pod *pod, int family)
{
	int fd = rig_socket(family);
	struct weft_socket mark = {.role = WEFT_SOCKET_UPSTREAM,
				   .pod_id = pod->pod.pod_id,
				   .service_id = SERVICE,
				   .shortcut_window = WINDOW};
	assert_int_equal(kernel_socket_mark(pod->rig->kernel, fd, &mark), 0);
	return fd;
}

rig_fn int upstream_dial(struct rig_pod *pod, const char *to)
{
	int family = *to == '[' ? AF_INET6 : AF_INET;
	int fd = upstream_socket(pod, family);
	assert_int_equal(rig_connect(fd, family, to), 0);
	return fd;
}

/* A server of the pod's namespace that has been seen once. */
struct server {
	char address[ADDRESS_TEXT_MAX];
	int listener;
	int flags; /* of accept4 */
};

rig_fn void serve_pair(struct rig_pod *pod, const struct server *server, struct pair *pair)
{
	struct pollfd ready = {.fd = server->listener, .events = POLLIN};
	pair->ours = upstream_dial(pod, server->address);
	assert_int_equal(poll(&ready, 1, RIG_DEADLINE_MS), 1);
	pair->app = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | server->flags);
	assert_true(pair->app >= 0);
	if (kernel_leg_take(pod->rig->kernel, pair->ours, &pair->end))
		pair->end.leg = 0;
}

rig_fn void exchange(struct pair *pair)
{
	send_all(pair->ours, "request", 7);
	expect(pair->app, "request");
	send_all(pair->app, "answer", 6);
	expect(pair->ours, "answer");
}

rig_fn void server_open(struct rig_pod *pod, const char *ip, int flags, struct server *ret)
{
	struct pair pair;
	ret->listener = rig_server(ip, ret->address);
	ret->flags = flags;
	serve_pair(pod, ret, &pair);
	assert_int_equal(pair.end.leg, 0); /* nobody knows it yet */
	exchange(&pair);
	exchange(&pair); /* acknowledges the first answer */
	assert_int_equal(by_tcp(pair.app), 2 * 7);
	pair_close(&pair);
}

#endif
