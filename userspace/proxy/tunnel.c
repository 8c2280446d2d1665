#include "proxy/tunnel.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/leg.h"

static void on_ready(struct dial *dial);
static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason);
static void on_idle(struct timer *timer);

static const struct dial_events tunnel_dial_events = {
	.ready = on_ready,
	.failed = on_dial_failed,
};

static struct tunnel *tunnel_new(struct session *session)
{
	struct tunnel *tunnel = mem_zalloc(sizeof(*tunnel));
	if (!tunnel)
		return NULL;
	tunnel->session = session;
	tunnel->last_bytes_ns = worker_now_ns(session->worker);
	timer_init(&tunnel->idle_timer, on_idle);
	list_init(&tunnel->dial.waiting);
	session->tunnel = tunnel;
	session->mode = SESSION_TUNNEL;
	session->client.fails_fast = false;
	return tunnel;
}

static void watch_idle(struct tunnel *tunnel)
{
	struct worker *worker = tunnel->session->worker;
	uint64_t limit_ns = worker->snapshot->settings.tunnel_idle_timeout_ns;
	uint64_t at_ns = tunnel->last_bytes_ns + limit_ns;
	if (limit_ns && timer_set(io_timers(worker->ring), &tunnel->idle_timer, at_ns))
		log_warn("no_timer", "what=tunnel");
}

static void on_idle(struct timer *timer)
{
	struct tunnel *tunnel = container_of(timer, struct tunnel, idle_timer);
	struct session *session = tunnel->session;
	uint64_t limit_ns = session->worker->snapshot->settings.tunnel_idle_timeout_ns;
	if (limit_ns == 0)
		return; /* it was lifted */
	if (worker_now_ns(session->worker) - tunnel->last_bytes_ns < limit_ns) {
		watch_idle(tunnel);
		return;
	}
	worker_count(session->worker, WEFT_PROXY_IDLE_TIMEOUT);
	session_close(session);
}

void tunnel_limit_changed(struct tunnel *tunnel)
{
	timer_clear(io_timers(tunnel->session->worker->ring), &tunnel->idle_timer);
	watch_idle(tunnel);
}

/* What was declared HTTP and is not, or no more, goes by TCP. */
static void leave_shortcut(const struct tunnel *tunnel)
{
	const struct session *session = tunnel->session;
	if (!(session->destination_flags & WEFT_DESTINATION_HTTP))
		return;
	leg_to_tcp(session->worker, session_leg(session));
	if (tunnel->dial.upstream)
		leg_to_tcp(session->worker, tunnel->dial.upstream->leg);
}

/* Counted as a tunnel from the moment that it is known to be one, and as the endpoint's when that
 * is known too: an attempt that fails is followed by one at another endpoint. */
static void decide(struct tunnel *tunnel)
{
	struct worker *worker = tunnel->session->worker;
	tunnel->is_undecided = false;
	leave_shortcut(tunnel);
	if (!tunnel->is_counted) {
		series_add(&worker_row(worker, tunnel->session->series)->tunnels_opened, 1);
		tunnel->session->edge->counts.tunnels++;
	}
	tunnel->is_counted = true;
	if (tunnel->dial.is_ready)
		dial_tell(&tunnel->dial, BREAKER_SUCCEEDED);
	if (tunnel->dial.is_ready && !tunnel->is_endpoint_counted) {
		tunnel->is_endpoint_counted = true;
		series_add(&worker_row(worker, tunnel->series.endpoint)->tunnels_opened, 1);
	}
}

bool tunnel_open(struct session *session, bool is_undecided)
{
	enum weft_proxy_reason reason = WEFT_PROXY_OUT_OF_MEMORY;
	struct tunnel *tunnel = tunnel_new(session);
	if (!tunnel) {
		worker_count(session->worker, reason);
		session_abort(session);
		return false;
	}
	tunnel->is_undecided = is_undecided;
	tunnel->series = (struct series_pair){session->series, SERIES_NONE};
	dial_init(&tunnel->dial, session, &tunnel_dial_events);
	if (!session_service(session)) { /* gone since the dial was captured */
		tunnel->dial.service_id = 0;
		tunnel->dial.to_destination = true;
	}
	if (!dial_start(&tunnel->dial, &reason)) {
		worker_count(session->worker, reason);
		session->edge->counts.failed++;
		session_abort(session);
		return false;
	}
	tunnel->series = tunnel->dial.upstream->series;
	if (!is_undecided)
		decide(tunnel);
	watch_idle(tunnel);
	wire_read_start(&session->client);
	return true;
}

bool tunnel_join(struct session *session, struct upstream *upstream)
{
	struct tunnel *tunnel = tunnel_new(session);
	if (!tunnel)
		return false;
	tunnel->series = upstream->series;
	tunnel->dial.worker = session->worker;
	tunnel->dial.pod = session->pod;
	tunnel->dial.upstream = upstream;
	tunnel->dial.is_ready = true;
	upstream_assign(upstream, UPSTREAM_TUNNEL, tunnel);
	balance_begin(&session->worker->balances, &upstream->attempt,
		      worker_now_ns(session->worker));
	decide(tunnel);
	watch_idle(tunnel);
	wire_read_start(&session->client);
	wire_read_start(&upstream->wire);
	return true;
}

static void forget(struct tunnel *tunnel)
{
	struct session *session = tunnel->session;
	struct worker *worker = session->worker;
	timer_clear(io_timers(worker->ring), &tunnel->idle_timer);
	if (tunnel->is_counted)
		series_add(&worker_row(worker, session->series)->tunnels_closed, 1);
	if (tunnel->is_endpoint_counted)
		series_add(&worker_row(worker, tunnel->series.endpoint)->tunnels_closed, 1);
	session->tunnel = NULL;
	mem_free(tunnel);
}

void tunnel_free(struct tunnel *tunnel)
{
	dial_cancel(&tunnel->dial);
	forget(tunnel);
}

void tunnel_hand_over(struct tunnel *tunnel, struct dial *to, const struct dial_events *events)
{
	dial_move(&tunnel->dial, to, events);
	forget(tunnel);
}

/* Both directions have ended in order: both sides close in order. */
static void end_if_over(struct tunnel *tunnel)
{
	if (!tunnel->client_over || !tunnel->upstream_over)
		return;
	struct upstream *upstream = tunnel->dial.upstream;
	struct session *session = tunnel->session;
	dial_release(&tunnel->dial, BALANCE_UNTIMED);
	upstream_close(upstream);
	forget(tunnel);
	session_close(session);
}

/* ---- the dial ---- */

static void on_ready(struct dial *dial)
{
	struct tunnel *tunnel = container_of(dial, struct tunnel, dial);
	struct upstream *upstream = dial->upstream;
	tunnel->series = upstream->series;
	upstream_assign(upstream, UPSTREAM_TUNNEL, tunnel);
	if (!tunnel->is_undecided) {
		decide(tunnel);
		balance_connected(&dial->worker->balances, &upstream->attempt,
				  worker_now_ns(dial->worker));
	}
	series_add(&worker_row(dial->worker, tunnel->series.endpoint)->bytes_sent,
		   wire_queued(&upstream->wire));
	wire_read_start(&upstream->wire);
	if (tunnel->client_over)
		wire_finish(&upstream->wire);
}

/* What a direct dial would have seen: a connection that is refused, here after the fact. */
static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason)
{
	struct tunnel *tunnel = container_of(dial, struct tunnel, dial);
	worker_count(dial->worker, reason);
	if (tunnel->session->mode == SESSION_HTTP)
		return; /* detected as HTTP meanwhile: the exchange dials anew and answers */
	tunnel->session->edge->counts.failed++;
	session_abort(tunnel->session);
}

/* ---- bytes ---- */

/* What is queued for an endpoint is its own when it is connected. */
static void count_sent(struct tunnel *tunnel, size_t bytes)
{
	struct worker *worker = tunnel->session->worker;
	series_add(&worker_row(worker, tunnel->session->series)->bytes_sent, bytes);
	if (tunnel->dial.is_ready)
		series_add(&worker_row(worker, tunnel->series.endpoint)->bytes_sent, bytes);
}

static void count_received(struct tunnel *tunnel, size_t bytes)
{
	struct worker *worker = tunnel->session->worker;
	series_add(&worker_row(worker, tunnel->session->series)->bytes_received, bytes);
	series_add(&worker_row(worker, tunnel->series.endpoint)->bytes_received, bytes);
}

/* False: out of memory. A block is handed over, bytes are copied. */
static bool pass_on(struct wire *to, struct span bytes, struct block **block)
{
	if (*block && bytes.data == (*block)->data + (*block)->begin) {
		wire_write_block(to, *block);
		*block = NULL;
		return true;
	}
	return wire_write(to, bytes) == 0;
}

static void move(struct tunnel *tunnel, struct wire *from, struct wire *to, struct span bytes,
		 struct block **block)
{
	struct worker *worker = tunnel->session->worker;
	tunnel->last_bytes_ns = worker_now_ns(worker);
	if (!pass_on(to, bytes, block)) {
		worker_count(worker, WEFT_PROXY_OUT_OF_MEMORY);
		session_abort(tunnel->session);
		return;
	}
	if (wire_queued(to) >= worker->snapshot->settings.window_bytes)
		wire_pause(from);
}

/* The first bytes of the client. True: they are the tunnel's, to be passed on. */
static bool client_spoke(struct tunnel *tunnel, struct span bytes)
{
	struct session *session = tunnel->session;
	enum sniff answer = session_sniff(session, bytes);
	if (answer == SNIFF_HTTP1 || answer == SNIFF_MORE)
		return false; /* after HTTP1 the tunnel may be gone */
	worker_count(session->worker, session_tunnel_reason(answer, WEFT_PROXY_OPAQUE));
	decide(tunnel);
	return true;
}

/* Bytes held back while undecided go first. */
static bool send_prefix(struct tunnel *tunnel)
{
	struct session *session = tunnel->session;
	struct span prefix = span_of(session->prefix, session->prefix_size);
	session->prefix_size = 0;
	count_sent(tunnel, prefix.size);
	return prefix.size == 0 || wire_write(&tunnel->dial.upstream->wire, prefix) == 0;
}

void tunnel_client_data(struct session *session, struct span bytes, struct block **block)
{
	struct tunnel *tunnel = session->tunnel;
	if (tunnel->is_undecided && !client_spoke(tunnel, bytes))
		return;
	if (!send_prefix(tunnel)) {
		worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
		session_abort(session);
		return;
	}
	session_note_hello(session, bytes);
	count_sent(tunnel, bytes.size);
	move(tunnel, &session->client, &tunnel->dial.upstream->wire, bytes, block);
}

void tunnel_client_eof(struct session *session)
{
	struct tunnel *tunnel = session->tunnel;
	tunnel->client_over = true;
	session->is_client_done = true;
	if (tunnel->is_undecided) {
		decide(tunnel);
		if (!send_prefix(tunnel)) {
			session_abort(session);
			return;
		}
	}
	if (tunnel->dial.is_ready)
		wire_finish(&tunnel->dial.upstream->wire);
	end_if_over(tunnel);
}

void tunnel_client_drained(struct session *session)
{
	struct upstream *upstream = session->tunnel->dial.upstream;
	if (session->tunnel->dial.is_ready && upstream->role == UPSTREAM_TUNNEL)
		wire_read_start(&upstream->wire);
}

/* RST stays RST; what the client sent before it is delivered first. */
void tunnel_client_failed(struct session *session, int error)
{
	struct tunnel *tunnel = session->tunnel;
	struct upstream *upstream = tunnel->dial.upstream;
	worker_count(session->worker,
		     error == -ENOMEM ? WEFT_PROXY_OUT_OF_MEMORY : WEFT_PROXY_CLIENT_RESET);
	if (tunnel->dial.is_ready) {
		dial_release(&tunnel->dial, BALANCE_UNTIMED);
		upstream_abort_after_queue(upstream);
	}
	session_abort(session);
}

void tunnel_upstream_data(struct tunnel *tunnel, struct span bytes, struct block **block)
{
	struct session *session = tunnel->session;
	if (session->mode == SESSION_HTTP) {
		/* HTTP was detected, its head is not complete, and the server speaks already. */
		worker_count(session->worker, WEFT_PROXY_BAD_RESPONSE);
		session_abort(session);
		return;
	}
	if (tunnel->is_undecided) {
		worker_count(session->worker, WEFT_PROXY_SERVER_FIRST);
		decide(tunnel);
		if (!send_prefix(tunnel)) {
			session_abort(session);
			return;
		}
	}
	count_received(tunnel, bytes.size);
	move(tunnel, &tunnel->dial.upstream->wire, &session->client, bytes, block);
}

void tunnel_upstream_eof(struct tunnel *tunnel)
{
	struct session *session = tunnel->session;
	if (session->mode == SESSION_HTTP) {
		/* Dialled ahead and closed before a request: the exchange will dial anew. */
		tunnel_free(tunnel);
		return;
	}
	decide(tunnel);
	tunnel->upstream_over = true;
	wire_finish(&session->client);
	end_if_over(tunnel);
}

void tunnel_upstream_drained(struct tunnel *tunnel)
{
	if (tunnel->session->mode == SESSION_TUNNEL)
		wire_read_start(&tunnel->session->client);
}

void tunnel_upstream_failed(struct tunnel *tunnel, int error)
{
	struct session *session = tunnel->session;
	if (session->mode == SESSION_HTTP) {
		tunnel_free(tunnel);
		return;
	}
	worker_count(session->worker,
		     error == -ENOMEM ? WEFT_PROXY_OUT_OF_MEMORY : WEFT_PROXY_UPSTREAM_RESET);
	session_abort_after_queue(session);
}
