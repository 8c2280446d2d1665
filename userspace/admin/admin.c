#include "admin/admin.h"

#include <errno.h>
#include <unistd.h>

#include "admin/server.h"
#include "base/log.h"
#include "base/mem.h"

#define NS_PER_MS       1000000ull
#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

static void on_accept(struct io_op *op, int result, bool more);

static void retry_later(struct admin_listener *listener)
{
	struct io_ring *ring = listener->admin->ring;
	if (timer_set(io_timers(ring), &listener->retry, io_now_ns(ring) + ACCEPT_RETRY_NS))
		log_error("admin_deaf", "reason=\"out of memory\"");
}

static void on_retry(struct timer *timer)
{
	struct admin_listener *listener = container_of(timer, struct admin_listener, retry);
	if (!listener->accept_op.in_flight)
		io_accept(listener->admin->ring, &listener->accept_op, listener->fd);
	if (!spare_fill(&listener->spare))
		retry_later(listener);
}

/* The session that has been in this phase for longest. */
static struct session *oldest_in(struct admin_listener *listener, enum session_phase phase)
{
	list_each (&listener->sessions, item) {
		struct session *session = list_entry(item, struct session, link);
		if (session->phase == phase)
			return session;
	}
	return NULL;
}

/* Who waits longest for a next request, or else for the rest of one, leaves for who comes: clients
 * that only connect cannot keep others out. */
static bool someone_leaves(struct admin_listener *listener)
{
	struct session *leaves = oldest_in(listener, SESSION_IDLE);
	if (!leaves)
		leaves = oldest_in(listener, SESSION_READING);
	if (leaves)
		admin_session_abort(leaves);
	return leaves != NULL;
}

static bool make_room(struct admin_listener *listener)
{
	return listener->session_count < SESSIONS_MAX || someone_leaves(listener);
}

/* True: there is a descriptor now. Otherwise there may be one when it is tried again. */
static bool find_descriptor(struct admin_listener *listener)
{
	bool has_one = spare_spend(&listener->spare);
	if (!has_one)
		someone_leaves(listener);
	retry_later(listener);
	return has_one;
}

static void on_accept(struct io_op *op, int result, bool more)
{
	struct admin_listener *listener = container_of(op, struct admin_listener, accept_op);
	struct admin *admin = listener->admin;
	if (result >= 0 && admin->is_closing) {
		io_close(admin->ring, result);
	} else if (result >= 0 && make_room(listener)) {
		admin_session_open(listener, result);
	} else if (result >= 0) {
		log_warn("admin_full", "connections=%u", listener->session_count);
		io_close(admin->ring, result);
	}
	if (more || admin->is_closing)
		return;
	if (result >= 0 || find_descriptor(listener))
		io_accept(admin->ring, op, listener->fd);
}

static void listener_init(struct admin_listener *listener, struct admin *admin, bool may_change)
{
	*listener = (struct admin_listener){.admin = admin, .fd = -1, .may_change = may_change};
	listener->accept_op.done = on_accept;
	timer_init(&listener->retry, on_retry);
	list_init(&listener->sessions);
}

static void listener_start(struct admin_listener *listener)
{
	if (listener->fd < 0)
		return;
	io_accept(listener->admin->ring, &listener->accept_op, listener->fd);
	if (!spare_fill(&listener->spare))
		retry_later(listener);
}

static void listener_close(struct admin_listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	spare_close(&listener->spare);
}

static struct admin *admin_new(struct wire_loop *wires, const struct admin_sources *sources)
{
	struct admin *admin = mem_zalloc(sizeof(*admin));
	if (!admin)
		return NULL;
	if (baseline_init(&admin->baseline, sources->series)) {
		mem_free(admin);
		return NULL;
	}
	admin->ring = wires->ring;
	admin->wires = wires;
	admin->sources = *sources;
	listener_init(&admin->tcp, admin, false);
	listener_init(&admin->unix_socket, admin, true);
	return admin;
}

static void admin_free(struct admin *admin)
{
	listener_close(&admin->tcp);
	if (admin->unix_socket.fd >= 0)
		listen_unlink(admin->socket_path, &admin->socket_file);
	listener_close(&admin->unix_socket);
	mem_free(admin->socket_path);
	baseline_fini(&admin->baseline);
	mem_free(admin);
}

static int open_unix(struct admin *admin, const char *path, struct text *why)
{
	admin->socket_path = mem_text(path, strlen(path));
	if (!admin->socket_path) {
		text_add(why, span_text("out of memory"));
		return -ENOMEM;
	}
	return listen_unix(path, why, &admin->socket_file, &admin->unix_socket.fd);
}

int admin_open(struct wire_loop *wires, const struct admin_sources *sources, const char *address,
	       const char *socket_path, struct text *why, struct admin **ret_admin)
{
	struct admin *admin = admin_new(wires, sources);
	if (!admin) {
		text_add(why, span_text("out of memory"));
		return -ENOMEM;
	}
	int error = 0;
	if (socket_path && socket_path[0])
		error = open_unix(admin, socket_path, why);
	if (!error && address && address[0])
		error = listen_tcp(address, why, &admin->tcp.fd);
	if (error) {
		admin_free(admin);
		return error;
	}
	listener_start(&admin->tcp);
	listener_start(&admin->unix_socket);
	*ret_admin = admin;
	return 0;
}

/* ---- closing ---- */

static void listener_stop(struct admin_listener *listener)
{
	struct io_ring *ring = listener->admin->ring;
	timer_clear(io_timers(ring), &listener->retry);
	if (listener->accept_op.in_flight)
		io_cancel(ring, &listener->accept_op);
	list_each (&listener->sessions, item)
		admin_session_abort(list_entry(item, struct session, link));
}

static bool listener_is_busy(const struct admin_listener *listener)
{
	return listener->accept_op.in_flight || !list_is_empty(&listener->sessions);
}

void admin_close(struct admin *admin)
{
	if (!admin)
		return;
	admin->is_closing = true;
	listener_stop(&admin->tcp);
	listener_stop(&admin->unix_socket);
	/* Operations in flight name memory of the sessions: the kernel must give it back first. */
	while (listener_is_busy(&admin->tcp) || listener_is_busy(&admin->unix_socket))
		io_turn(admin->ring, 10 * NS_PER_MS);
	admin_free(admin);
}
