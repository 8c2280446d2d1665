/* Pods as a worker has them: listeners, stock, pool; added, drained and forgotten. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/dial.h"
#include "proxy/orders.h"
#include "proxy/session.h"

/* A dial that passed the hook just before capture went off may still be on its way. */
#define LISTEN_GRACE_NS 300000000ull
/* A connection that is new when draining begins still gets its first request answered. */
#define FIRST_REQUEST_NS 1000000000ull

static struct worker_pod *find(struct worker *worker, uint32_t pod_id)
{
	list_each (&worker->pods, link) {
		struct worker_pod *pod = list_entry(link, struct worker_pod, link);
		if (pod->id == pod_id)
			return pod;
	}
	return NULL;
}

/* ---- listeners ---- */

static void listener_close(struct listener *listener)
{
	io_close(listener->pod->worker->ring, listener->fd);
	listener->fd = -1;
}

/* Out of descriptors or memory: asking again at once would only spin. */
static bool must_rest(int result)
{
	return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
}

static void on_accepted(struct io_op *op, int result, bool more)
{
	struct listener *listener = container_of(op, struct listener, accept_op);
	struct worker_pod *pod = listener->pod;
	if (result >= 0)
		session_accept(listener, result);
	else if (result != -ECANCELED)
		log_warn("accept_failed", "pod=%s error=%d", pod->name, result);
	if (more)
		return;
	if (pod->is_draining && pod->listen_until_ns == 0) {
		listener_close(listener);
		worker_pod_forget(pod);
		return;
	}
	if (!must_rest(result)) /* else the next tick asks again */
		io_accept(pod->worker->ring, op, listener->fd);
}

static void listeners_ask_again(struct worker_pod *pod)
{
	for (unsigned i = 0; i < array_count(pod->listeners); i++) {
		struct listener *listener = &pod->listeners[i];
		if (listener->fd >= 0 && !listener->accept_op.in_flight)
			io_accept(pod->worker->ring, &listener->accept_op, listener->fd);
	}
}

static void listen_on(struct listener *listener, struct worker_pod *pod, int fd)
{
	listener->pod = pod;
	listener->fd = fd;
	listener->accept_op.done = on_accepted;
	if (fd >= 0)
		io_accept(pod->worker->ring, &listener->accept_op, fd);
}

/* ---- the stock's news ---- */

static void on_refill_mail(struct io_mail *mail)
{
	struct worker_pod *pod = container_of(mail, struct worker_pod, refill_mail);
	atomic_store(&pod->refill_posted, false);
	dials_retry(pod->worker);
	worker_pod_forget(pod);
}

/* In the helper's thread. */
static void on_refilled(void *owner)
{
	struct worker_pod *pod = owner;
	if (!atomic_exchange(&pod->refill_posted, true))
		io_post(pod->worker->ring, &pod->refill_mail);
}

/* ---- added ---- */

/* Its dials find no listener and go direct, or are refused where it fails closed. */
static void refuse(struct worker *worker, const struct pod_order *order)
{
	log_error("pod_not_served", "pod=%s why=\"out of memory\"", order->name);
	worker_count(worker, WEFT_PROXY_OUT_OF_MEMORY);
	for (unsigned i = 0; i < WEFT_LANES; i++) {
		if (order->fd4[i] >= 0)
			io_close(worker->ring, order->fd4[i]);
		if (order->fd6[i] >= 0)
			io_close(worker->ring, order->fd6[i]);
	}
	workers_told_not_served(worker->workers, order->pod_id, worker->index);
}

void worker_pod_add(struct worker *worker, const struct pod_order *order)
{
	struct worker_pod *pod = mem_zalloc(sizeof(*pod));
	if (!pod) {
		refuse(worker, order);
		return;
	}
	pod->worker = worker;
	pod->id = order->pod_id;
	memcpy(pod->name, order->name, sizeof(pod->name));
	pod->share = order->share;
	pod->refill_mail.run = on_refill_mail;
	for (unsigned i = 0; i < POOL_BUCKETS; i++)
		list_init(&pod->pool[i]);
	edges_init(&pod->edges);
	list_add_last(&worker->pods, &pod->link);
	stock_share_on_refill(pod->share, on_refilled, pod);
	for (unsigned i = 0; i < WEFT_LANES; i++) {
		listen_on(&pod->listeners[i], pod, order->fd4[i]);
		listen_on(&pod->listeners[WEFT_LANES + i], pod, order->fd6[i]);
	}
	workers_told_served(worker->workers, pod->id, worker->index);
}

/* ---- drained ---- */

static void drain_sessions(struct worker_pod *pod, bool closes_new)
{
	list_each (&pod->worker->sessions, link) {
		struct session *session = list_entry(link, struct session, link);
		if (session->pod == pod)
			session_drain(session, closes_new);
	}
}

void worker_pod_drain(struct worker *worker, uint32_t pod_id, uint64_t drain_ns)
{
	struct worker_pod *pod = find(worker, pod_id);
	if (!pod) {
		workers_told_left(worker->workers, pod_id, worker->index);
		return;
	}
	uint64_t now_ns = worker_now_ns(worker);
	pod->is_draining = true;
	pod->listen_until_ns = now_ns + LISTEN_GRACE_NS;
	pod->cut_at_ns = pod->listen_until_ns + drain_ns;
	pod->new_until_ns = now_ns + FIRST_REQUEST_NS;
	upstreams_close_idle(pod);
	drain_sessions(pod, false);
}

static void stop_listening(struct worker_pod *pod)
{
	pod->listen_until_ns = 0;
	for (unsigned i = 0; i < array_count(pod->listeners); i++) {
		struct listener *listener = &pod->listeners[i];
		if (listener->accept_op.in_flight)
			io_cancel(pod->worker->ring, &listener->accept_op);
		else if (listener->fd >= 0)
			listener_close(listener);
	}
}

static void cut_sessions(struct worker_pod *pod)
{
	list_each (&pod->worker->sessions, link) {
		struct session *session = list_entry(link, struct session, link);
		if (session->pod != pod || session->mode == SESSION_ENDING)
			continue;
		worker_count(pod->worker, WEFT_PROXY_DRAINED);
		session_abort(session);
	}
}

void worker_pods_tick(struct worker *worker)
{
	uint64_t now_ns = worker_now_ns(worker);
	list_each (&worker->pods, link) {
		struct worker_pod *pod = list_entry(link, struct worker_pod, link);
		if (!pod->is_draining || pod->listen_until_ns)
			listeners_ask_again(pod);
		if (!pod->is_draining)
			continue;
		if (pod->listen_until_ns && now_ns >= pod->listen_until_ns)
			stop_listening(pod);
		if (now_ns >= pod->new_until_ns)
			drain_sessions(pod, true);
		if (now_ns >= pod->cut_at_ns)
			cut_sessions(pod);
		worker_pod_forget(pod);
	}
}

void worker_pods_cut(struct worker *worker)
{
	list_each (&worker->pods, link) {
		struct worker_pod *pod = list_entry(link, struct worker_pod, link);
		pod->is_draining = true;
		pod->cut_at_ns = 0;
		stop_listening(pod);
	}
}

static bool is_listening(const struct worker_pod *pod)
{
	for (unsigned i = 0; i < array_count(pod->listeners); i++) {
		if (pod->listeners[i].fd >= 0)
			return true;
	}
	return false;
}

void worker_pod_forget(struct worker_pod *pod)
{
	if (!pod->is_draining || is_listening(pod) || pod->session_count || pod->upstream_count)
		return;
	/* From here on the helper's thread does not call on_refilled any more; one mail may be
	 * under way: then on_refill_mail comes here again. */
	stock_share_on_refill(pod->share, NULL, NULL);
	if (atomic_load(&pod->refill_posted))
		return;
	uint32_t pod_id = pod->id;
	struct worker *worker = pod->worker;
	list_remove(&pod->link);
	edges_fini(&pod->edges);
	mem_free(pod);
	workers_told_left(worker->workers, pod_id, worker->index);
}
