#include "proxy/session.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/ask.h"
#include "proxy/exchange.h"
#include "proxy/leg.h"
#include "proxy/park.h"
#include "proxy/tunnel.h"

static const struct wire_events client_events;
static const struct h1_events request_events;
static void on_timer(struct timer *timer);
static void on_failed(struct wire *wire, int error);

const struct service *session_service(const struct session *session)
{
	return snapshot_service(session->worker->snapshot, session->service_id);
}

const char *session_destination(const struct session *session, char text[ADDRESS_TEXT_MAX])
{
	const struct service *service = session_service(session);
	return service ? service->name : address_print(&session->destination, text);
}

/* ---- accept ---- */

static uint32_t destination_series(struct worker *worker, const struct weft_flow *flow)
{
	char text[ADDRESS_TEXT_MAX];
	const struct service *service = snapshot_service(worker->snapshot, flow->service_id);
	if (service)
		return worker_service_series(worker, service);
	address_print(&flow->destination, text);
	return series_slot_spare(worker->series, span_text(text));
}

/*
 * What the pod says of the port it dials goes before what the service says. Who dials one endpoint
 * asked for no service: whatever its server speaks must pass, also first.
 */
static enum protocol protocol_of(const struct session *session)
{
	const struct service *service = session_service(session);
	bool is_promise = !(session->destination_flags & WEFT_DESTINATION_ENDPOINT);
	const struct pod *pod =
		snapshot_pod_named(session->worker->snapshot, span_text(session->pod->name));
	uint16_t port = ntohs(session->destination.port);
	if (pod && port_list_has(&pod->opaque_ports, port))
		return PROTOCOL_OPAQUE;
	if (pod && port_list_has(&pod->http_ports, port))
		return PROTOCOL_HTTP;
	if (service && service->protocol == PROTOCOL_HTTP && !is_promise)
		return PROTOCOL_AUTO;
	return service ? service->protocol : PROTOCOL_AUTO;
}

static void session_begin(struct session *session)
{
	enum protocol protocol = protocol_of(session);
	if (protocol == PROTOCOL_HTTP) {
		session->mode = SESSION_SNIFF;
		wire_read_start(&session->client);
		return;
	}
	if (protocol == PROTOCOL_OPAQUE)
		worker_count(session->worker, WEFT_PROXY_OPAQUE);
	tunnel_open(session, protocol == PROTOCOL_AUTO);
}

static void refuse_connection(struct listener *listener, int fd, enum weft_proxy_reason reason)
{
	worker_count(listener->pod->worker, reason);
	io_close_reset(listener->pod->worker->ring, fd);
}

/* What is needed of it from now on. */
static void take_flow(struct session *session, const struct weft_flow *flow)
{
	session->destination = flow->destination;
	session->destination_flags = flow->flags;
	session->app = flow->app;
	session->service_id = flow->service_id;
	session->leg = flow->leg;
	session->leg_slot = flow->leg_slot;
}

void session_accept(struct listener *listener, int fd)
{
	struct worker *worker = listener->pod->worker;
	struct weft_flow flow;
	series_add(&worker->counts->accepted_connections, 1);
	if (kernel_flow_take(worker->kernel, fd, &flow)) {
		refuse_connection(listener, fd, WEFT_PROXY_NO_FLOW);
		return;
	}
	if (worker->counts->sessions >= worker->snapshot->settings.session_limit) {
		refuse_connection(listener, fd, WEFT_PROXY_SESSION_LIMIT);
		return;
	}
	struct session *session = mem_zalloc(sizeof(*session));
	if (!session) {
		refuse_connection(listener, fd, WEFT_PROXY_OUT_OF_MEMORY);
		return;
	}
	session->worker = worker;
	session->pod = listener->pod;
	take_flow(session, &flow);
	session->accepted_ns = worker_now_ns(worker);
	session->series = destination_series(worker, &flow);
	char text[ADDRESS_TEXT_MAX];
	session->edge = edge_take(&session->pod->edges, session_destination(session, text));
	worker_series_use(worker, session->series, 1);
	timer_init(&session->timer, on_timer);
	wire_init(&session->client, &worker->loop, &client_events);
	wire_adopt(&session->client, fd);
	leg_begin(session_leg(session), &session->client);
	list_add_last(&worker->sessions, &session->link);
	session->pod->session_count++;
	series_add(&worker->counts->sessions, 1);
	session_begin(session);
}

/* ---- ends ---- */

static void leave(struct session *session)
{
	session->mode = SESSION_ENDING;
	timer_clear(io_timers(session->worker->ring), &session->timer);
	if (session->exchange)
		exchange_client_gone(session->exchange);
	park_leave(session);
	if (session->tunnel)
		tunnel_free(session->tunnel);
	upstream_close(session->pinned);
	session->pinned = NULL;
}

void session_close(struct session *session)
{
	leave(session);
	wire_close_lingering(&session->client);
}

void session_abort(struct session *session)
{
	leave(session);
	wire_abort(&session->client);
}

void session_abort_after_queue(struct session *session)
{
	leave(session);
	wire_abort_after_queue(&session->client);
}

bool session_is_idle(const struct session *session)
{
	bool is_between =
		session->mode == SESSION_HTTP && !session->exchange && h1_is_idle(&session->reader);
	return is_between || session->mode == SESSION_SNIFF;
}

void session_drain(struct session *session, bool closes_new)
{
	bool is_new = session->exchanges == 0;
	session->closes = true;
	if (!session_is_idle(session) || wire_has_kept(&session->client) || (is_new && !closes_new))
		return;
	worker_count(session->worker, WEFT_PROXY_DRAINED);
	session_close(session);
}

static struct session *of_wire(struct wire *wire)
{
	return container_of(wire, struct session, client);
}

static void on_closing(struct wire *wire)
{
	const struct session *session = of_wire(wire);
	leg_end(session->worker, session_leg(session));
}

static void on_closed(struct wire *wire)
{
	struct session *session = of_wire(wire);
	struct worker_pod *pod = session->pod;
	if (session->mode != SESSION_ENDING)
		leave(session);
	h1_reader_fini(&session->reader);
	edge_give(session->edge, wire->bytes_received, wire->bytes_sent);
	ask_session_leaves(session->worker, session);
	list_remove(&session->link);
	worker_series_use(session->worker, session->series, -1);
	series_add(&session->worker->counts->sessions, (uint64_t)-1);
	mem_free(session->hello);
	mem_free(session->server_name);
	mem_free(session);
	pod->session_count--;
	worker_pod_forget(pod);
}

/* ---- HTTP: bytes to the reader, the reader's events to the exchange ---- */

static void set_timer(struct session *session, uint64_t after_ns)
{
	struct worker *worker = session->worker;
	uint64_t at_ns = worker_now_ns(worker) + after_ns;
	timer_clear(io_timers(worker->ring), &session->timer);
	if (after_ns && timer_set(io_timers(worker->ring), &session->timer, at_ns))
		log_warn("no_timer", "what=session");
}

static void refuse_syntax(struct session *session)
{
	const struct h1_reader *reader = &session->reader;
	const char *text = reader->error_text ? reader->error_text : "malformed request";
	unsigned status = 400;
	enum weft_proxy_reason reason = WEFT_PROXY_BAD_REQUEST;
	if (reader->error == H1_URI_TOO_LONG) {
		status = 414;
		reason = WEFT_PROXY_URI_TOO_LONG;
	} else if (reader->error == H1_HEAD_TOO_LARGE) {
		status = 431;
		reason = WEFT_PROXY_HEADERS_TOO_LARGE;
	} else if (reader->error == H1_NO_MEMORY) {
		worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
		session_abort(session);
		return;
	}
	if (session->exchange)
		exchange_request_broken(session->exchange, reason);
	else
		exchange_refuse(session, status, reason, text);
}

/* A head that has begun must be complete in time; while an exchange is open no timer runs. */
static void watch_head(struct session *session)
{
	const struct settings *settings = &session->worker->snapshot->settings;
	bool head_begun = session->mode == SESSION_SNIFF || !h1_is_idle(&session->reader);
	if (!head_begun || session->exchange || session->parked || session->times_head)
		return;
	session->times_head = true;
	set_timer(session, settings->header_timeout_ns);
}

static void feed(struct session *session, struct span bytes)
{
	size_t used = h1_feed(&session->reader, bytes);
	if (session->mode != SESSION_HTTP) {
		/* An event ended the session or turned it into a tunnel: the rest is the tunnel's.
		 */
		struct block *none = NULL;
		if (session->mode == SESSION_TUNNEL && used < bytes.size)
			tunnel_client_data(session, span_of(bytes.data + used, bytes.size - used),
					   &none);
		return;
	}
	if (session->reader.error != H1_OK) {
		refuse_syntax(session);
		return;
	}
	if (used < bytes.size &&
	    wire_keep(&session->client, span_of(bytes.data + used, bytes.size - used))) {
		worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
		session_abort(session);
		return;
	}
	watch_head(session);
}

static struct session *of_reader(struct h1_reader *reader)
{
	return container_of(reader, struct session, reader);
}

static void on_request_head(struct h1_reader *reader, const struct http_head *head)
{
	struct session *session = of_reader(reader);
	timer_clear(io_timers(session->worker->ring), &session->timer);
	session->times_head = false;
	session->exchanges++;
	exchange_begin(session, head);
}

static void on_request_body(struct h1_reader *reader, struct span bytes)
{
	struct session *session = of_reader(reader);
	if (session->exchange)
		exchange_request_body(session->exchange, bytes);
}

static void on_request_trailers(struct h1_reader *reader, const struct http_field *fields,
				size_t count)
{
	struct session *session = of_reader(reader);
	if (session->exchange)
		exchange_request_trailers(session->exchange, fields, count);
}

static void on_request_complete(struct h1_reader *reader)
{
	struct session *session = of_reader(reader);
	/* The next request waits for this one's answer, unless that was given already. */
	if (session->exchange || session->mode != SESSION_HTTP || session->waits_for_room)
		h1_stop(reader);
	if (session->exchange)
		exchange_request_complete(session->exchange);
}

static const struct h1_events request_events = {
	.head = on_request_head,
	.body = on_request_body,
	.trailers = on_request_trailers,
	.complete = on_request_complete,
};

static void become_http(struct session *session, struct span prefix, struct span rest)
{
	session->mode = SESSION_HTTP;
	session->client.fails_fast = true;
	h1_reader_init(&session->reader, true, &request_events, &session->worker->h1_limits);
	if (prefix.size)
		feed(session, prefix);
	if (session->mode == SESSION_HTTP)
		feed(session, rest);
}

void session_note_hello(struct session *session, struct span bytes)
{
	if (!session->hello)
		return;
	enum server_name_state state = server_name_feed(session->hello, bytes);
	if (state == SERVER_NAME_MORE)
		return;
	struct span name = server_name_found(session->hello);
	if (state == SERVER_NAME_FOUND)
		session->server_name = mem_text(name.data, name.size);
	mem_free(session->hello);
	session->hello = NULL;
}

/* Without memory the name stays unknown; the bytes pass all the same. */
static void hello_begins(struct session *session, struct span prefix)
{
	session->hello = mem_alloc(sizeof(*session->hello));
	if (!session->hello)
		return;
	server_name_init(session->hello);
	session_note_hello(session, prefix);
}

/* Before a request an empty line may stand (RFC 9112 2.2); servers take many, the reader refuses
 * them, so none may hide a request from it. Elsewhere a line end may be all that a client says. */
static struct span skip_line_ends(const struct session *session, struct span bytes)
{
	bool is_declared = session->mode == SESSION_SNIFF;
	while (is_declared && bytes.size && (*bytes.data == '\r' || *bytes.data == '\n'))
		bytes = span_of(bytes.data + 1, bytes.size - 1);
	return bytes;
}

enum sniff session_sniff(struct session *session, struct span bytes)
{
	char seen[sizeof(session->prefix)];
	size_t held = session->prefix_size;
	size_t room = sizeof(seen) - held;
	size_t more = bytes.size < room ? bytes.size : room;
	memcpy(seen, session->prefix, held);
	memcpy(seen + held, bytes.data, more);
	enum sniff answer = sniff_client(skip_line_ends(session, span_of(seen, held + more)));
	if (answer == SNIFF_MORE && more == bytes.size) {
		memcpy(session->prefix + held, bytes.data, more);
		session->prefix_size = (uint8_t)(held + more);
		return SNIFF_MORE;
	}
	if (answer == SNIFF_HTTP1) {
		session->prefix_size = 0;
		become_http(session, span_of(seen, held), bytes);
		return SNIFF_HTTP1;
	}
	if (answer == SNIFF_TLS)
		hello_begins(session, span_of(seen, held));
	return answer == SNIFF_MORE ? SNIFF_OPAQUE : answer;
}

enum weft_proxy_reason session_tunnel_reason(enum sniff answer, enum weft_proxy_reason otherwise)
{
	switch (answer) {
	case SNIFF_TLS:
		return WEFT_PROXY_TLS_PASSED;
	case SNIFF_HTTP2:
		return WEFT_PROXY_HTTP2_PASSED;
	default:
		return otherwise;
	}
}

void session_exchange_ended(struct session *session, bool keep_alive)
{
	session->exchange = NULL;
	if (!keep_alive || session->closes || session->pod->is_draining) {
		session_close(session);
		return;
	}
	if (wire_queued(&session->client) >= session->worker->snapshot->settings.window_bytes) {
		session->waits_for_room = true;
		return;
	}
	session->waits_for_room = false;
	h1_go_on(&session->reader);
	if (session->is_client_done && !wire_has_kept(&session->client)) {
		session_close(session);
		return;
	}
	set_timer(session, session->worker->snapshot->settings.client_idle_timeout_ns);
	wire_read_start(&session->client);
}

/* ---- sniffing on a port that is declared HTTP ---- */

static void sniff_declared(struct session *session, struct span bytes, struct block **block)
{
	enum sniff answer = session_sniff(session, bytes);
	if (answer == SNIFF_MORE)
		watch_head(session);
	if (answer == SNIFF_HTTP1 || answer == SNIFF_MORE)
		return;
	timer_clear(io_timers(session->worker->ring), &session->timer);
	worker_count(session->worker, session_tunnel_reason(answer, WEFT_PROXY_NOT_HTTP));
	if (tunnel_open(session, false))
		tunnel_client_data(session, bytes, block);
}

/* ---- what the client's wire tells ---- */

static void on_data(struct wire *wire, struct span bytes, struct block **block)
{
	struct session *session = of_wire(wire);
	switch ((enum session_mode)session->mode) {
	case SESSION_SNIFF:
		sniff_declared(session, bytes, block);
		return;
	case SESSION_HTTP:
		if (session->reader.is_stopped && wire_keep(wire, bytes))
			session_abort(session);
		else if (!session->reader.is_stopped)
			feed(session, bytes);
		return;
	case SESSION_TUNNEL:
		tunnel_client_data(session, bytes, block);
		return;
	case SESSION_ENDING:
		return;
	}
}

/* A client may half-close after its request and still wants the answer (RFC 9112 9.6). */
static void http_client_eof(struct session *session)
{
	session->is_client_done = true;
	if (session->parked)
		return;
	if (!session->exchange) {
		session_close(session);
		return;
	}
	if (h1_end(&session->reader) != H1_OK)
		exchange_request_broken(session->exchange, WEFT_PROXY_CLIENT_CLOSED);
	else
		exchange_client_finished(session->exchange);
}

void session_goes_on(struct session *session)
{
	if (session->mode != SESSION_HTTP)
		return;
	/* Of an exchange that has ended already, session_exchange_ended did the rest. */
	bool is_open = session->exchange;
	h1_go_on(&session->reader);
	feed(session, span_of("", 0));
	if (session->mode != SESSION_HTTP || !is_open || !session->exchange)
		return;
	if (session->is_client_done && !wire_has_kept(&session->client))
		http_client_eof(session);
	else if (!session->reader.is_stopped)
		wire_read_start(&session->client);
}

static void on_eof(struct wire *wire)
{
	struct session *session = of_wire(wire);
	if (leg_was_cut(session->worker, session_leg(session), wire)) {
		on_failed(wire, -ECONNRESET);
		return;
	}
	switch ((enum session_mode)session->mode) {
	case SESSION_SNIFF:
		session_close(session);
		return;
	case SESSION_HTTP:
		http_client_eof(session);
		return;
	case SESSION_TUNNEL:
		tunnel_client_eof(session);
		return;
	case SESSION_ENDING:
		return;
	}
}

static void on_drained(struct wire *wire)
{
	struct session *session = of_wire(wire);
	if (session->mode == SESSION_TUNNEL)
		tunnel_client_drained(session);
	else if (session->mode == SESSION_HTTP && session->exchange)
		exchange_client_drained(session->exchange);
	else if (session->mode == SESSION_HTTP && session->waits_for_room)
		session_exchange_ended(session, true);
}

static void on_failed(struct wire *wire, int error)
{
	struct session *session = of_wire(wire);
	if (session->mode == SESSION_TUNNEL) {
		tunnel_client_failed(session, error);
		return;
	}
	worker_count(session->worker,
		     error == -ENOMEM ? WEFT_PROXY_OUT_OF_MEMORY : WEFT_PROXY_CLIENT_RESET);
	if (session->exchange && error != -ENOMEM)
		worker_count(session->worker, WEFT_PROXY_CLIENT_CLOSED);
	session_abort(session);
}

static void on_connected(struct wire *wire)
{
	(void)wire; /* accepted connections are never dialled */
}

static const struct wire_events client_events = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.connected = on_connected,
	.failed = on_failed,
	.closing = on_closing,
	.closed = on_closed,
};

static void on_timer(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	if (session->parked) {
		park_give_up(session);
		return;
	}
	if (session->times_head) {
		exchange_refuse(session, 408, WEFT_PROXY_HEADER_TIMEOUT,
				"the request head did not arrive in time");
		return;
	}
	worker_count(session->worker, WEFT_PROXY_IDLE_TIMEOUT);
	session_close(session);
}
