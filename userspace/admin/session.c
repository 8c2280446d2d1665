/* One admin connection: requests one after the other, each answered whole. */
#include "admin/server.h"

#include <errno.h>

#include "admin/pages.h"
#include "base/log.h"
#include "base/mem.h"
#include "telemetry/prometheus.h"

#define NS_PER_S           1000000000ull
#define REQUEST_TIMEOUT_NS (5 * NS_PER_S)
#define IDLE_TIMEOUT_NS    (60 * NS_PER_S)
#define SEND_TIMEOUT_NS    (30 * NS_PER_S) /* for one piece */
#define WORKERS_TIMEOUT_NS (5 * NS_PER_S)  /* the sources promise one second */
#define PIECE_BYTES        BLOCK_LARGE_BYTES

static const struct h1_limits limits = {.head_bytes = 16384, .line_bytes = 4096, .field_count = 64};

static struct session *admin_session_of(struct wire *wire)
{
	return container_of(wire, struct session, wire);
}

static struct admin *admin_of(const struct session *session)
{
	return session->listener->admin;
}

static void set_deadline(struct session *session, uint64_t in_ns)
{
	struct io_ring *ring = admin_of(session)->ring;
	if (timer_set(io_timers(ring), &session->timer, io_now_ns(ring) + in_ns))
		admin_session_abort(session);
}

static void forget_query(struct session *session)
{
	if (session->query)
		session->query->session = NULL;
	session->query = NULL;
}

static void admin_session_end(struct session *session)
{
	session->phase = SESSION_ENDING;
	forget_query(session);
	hold_end(session);
	timer_clear(io_timers(admin_of(session)->ring), &session->timer);
}

static void admin_session_close(struct session *session)
{
	admin_session_end(session);
	wire_close(&session->wire);
}

void admin_session_abort(struct session *session)
{
	admin_session_end(session);
	wire_abort(&session->wire);
}

/* ---- answering ---- */

static const char *status_text(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 202:
		return "Accepted";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 422:
		return "Unprocessable Content";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

static void send_piece(struct session *session)
{
	size_t left = session->page.size - session->page_sent;
	size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
	struct span piece = span_of(session->page.data + session->page_sent, size);
	if (wire_write(&session->wire, piece)) {
		admin_session_abort(session);
		return;
	}
	session->page_sent += size;
	set_deadline(session, SEND_TIMEOUT_NS);
}

/* Sends session->page. */
static void answer(struct session *session, unsigned status, const char *type)
{
	session->phase = SESSION_ANSWERING;
	session->page_sent = 0;
	if (session->page.failed) {
		text_clear(&session->page);
		status = 500;
		type = "text/plain; charset=utf-8";
		session->keeps_alive = false;
	}
	struct text head = {0};
	text_printf(&head,
		    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		    "Cache-Control: no-store\r\n",
		    status, status_text(status), type, session->page.size);
	if (session->verdict.allow)
		text_printf(&head, "Allow: %s\r\n", session->verdict.allow);
	text_printf(&head, "Connection: %s\r\n\r\n", session->keeps_alive ? "keep-alive" : "close");
	if (session->is_head)
		text_clear(&session->page);
	bool failed = head.failed || wire_write(&session->wire, text_span(&head));
	text_fini(&head);
	if (failed) {
		admin_session_abort(session);
		return;
	}
	wire_pause(&session->wire);
	send_piece(session);
}

void admin_answer_text(struct session *session, unsigned status)
{
	answer(session, status, "text/plain; charset=utf-8");
}

void admin_answer_json(struct session *session)
{
	answer(session, 200, "application/json");
}

static void answer_refusal(struct session *session)
{
	switch (session->verdict.status) {
	case 403:
		text_add(&session->page,
			 span_text("what changes something is only on the Unix socket\n"));
		break;
	case 404:
		text_add(&session->page, span_text("no such path; there are\n"));
		admin_paths(&session->page);
		break;
	default:
		text_printf(&session->page, "this path takes only %s\n", session->verdict.allow);
	}
	admin_answer_text(session, session->verdict.status);
}

static void on_workers_answer(void *request, const char *json)
{
	struct session_query *query = request;
	struct session *session = query->session;
	mem_free(query);
	if (!session)
		return;
	session->query = NULL;
	if (!json) {
		text_add(&session->page, span_text("a worker did not answer in time\n"));
		admin_answer_text(session, 503);
		return;
	}
	if (session->verdict.page == PAGE_EXPLAIN) {
		text_printf(&session->page, "%s\n", json);
		admin_answer_json(session);
		return;
	}
	text_printf(&session->page,
		    "{\"%s\":", session->verdict.page == PAGE_EDGES ? "edges" : "connections");
	text_add(&session->page, span_text(json));
	text_add(&session->page, span_text("}\n"));
	admin_answer_json(session);
}

static void ask_workers(struct session *session)
{
	struct session_query *query = mem_alloc(sizeof(*query));
	if (!query) {
		admin_session_abort(session);
		return;
	}
	query->session = session;
	session->query = query;
	session->phase = SESSION_WAITING;
	wire_pause(&session->wire);
	set_deadline(session, WORKERS_TIMEOUT_NS);
	const struct admin_sources *sources = &admin_of(session)->sources;
	if (session->verdict.page == PAGE_EXPLAIN) {
		sources->explain_json(sources->owner, span_text(session->verdict.query),
				      on_workers_answer, query);
		return;
	}
	(session->verdict.page == PAGE_EDGES ? sources->edges_json : sources->connections_json)(
		sources->owner, span_text(session->verdict.pod), on_workers_answer, query);
}

static void answer_json(struct session *session,
			void (*build)(const struct page_view *view, struct text *page),
			const struct page_view *view)
{
	build(view, &session->page);
	admin_answer_json(session);
}

static void answer_source(struct session *session, void (*build)(void *owner, struct text *json))
{
	build(admin_of(session)->sources.owner, &session->page);
	text_add(&session->page, span_text("\n"));
	admin_answer_json(session);
}

static void answer_sandbox(struct session *session, const struct admin_sources *sources)
{
	bool is_added = session->verdict.page == PAGE_SANDBOX_ADDED;
	unsigned status = sources->sandbox(sources->owner, is_added, text_span(&session->body),
					   &session->page);
	text_fini(&session->body);
	answer(session, status, "application/json");
}

static void answer_page(struct session *session, const struct page_view *view)
{
	const struct admin_sources *sources = view->sources;
	switch (session->verdict.page) {
	case PAGE_NONE:
		answer_refusal(session);
		return;
	case PAGE_INDEX:
		admin_paths(&session->page);
		admin_answer_text(session, 200);
		return;
	case PAGE_METRICS:
		page_metrics(view, &session->page);
		answer(session, 200, PROMETHEUS_CONTENT_TYPE);
		return;
	case PAGE_LIVE:
		admin_answer_text(session, page_live(view, &session->page));
		return;
	case PAGE_READY:
		admin_answer_text(session, page_ready(view, &session->page));
		return;
	case PAGE_STAT:
		answer_json(session, page_stat, view);
		return;
	case PAGE_SERVICES:
		answer_json(session, page_services, view);
		return;
	case PAGE_ROUTES:
		answer_json(session, page_routes, view);
		return;
	case PAGE_PODS:
		answer_source(session, sources->pods_json);
		return;
	case PAGE_CONFIG:
		answer_source(session, sources->config_json);
		return;
	case PAGE_CONNECTIONS:
	case PAGE_EDGES:
	case PAGE_EXPLAIN:
		ask_workers(session);
		return;
	case PAGE_NAMERS:
		answer_source(session, sources->namers_json);
		return;
	case PAGE_KUBERNETES:
		answer_source(session, sources->kubernetes_json);
		return;
	case PAGE_VERSION:
		answer_source(session, sources->version_json);
		return;
	case PAGE_POD_ADD:
		hold_begin(session);
		return;
	case PAGE_SANDBOX_ADDED:
	case PAGE_SANDBOX_REMOVED:
		answer_sandbox(session, sources);
		return;
	case PAGE_DRAIN:
		text_add(&session->page, span_text("draining\n"));
		session->keeps_alive = false;
		session->drains = true;
		admin_answer_text(session, 202);
		return;
	}
}

static void answer_request(struct session *session)
{
	struct admin *admin = admin_of(session);
	struct page_view view = {
		.sources = &admin->sources,
		.snapshot = snapshot_current(admin->sources.slot),
		.baseline = &admin->baseline,
		.now_ns = io_now_ns(admin->ring),
	};
	session->got_request = false;
	answer_page(session, &view);
}

static void answer_error(struct session *session, unsigned status, const char *what)
{
	session->keeps_alive = false;
	session->is_head = false;
	session->verdict = (struct admin_verdict){.status = (uint16_t)status};
	text_clear(&session->page);
	text_printf(&session->page, "%s\n", what);
	admin_answer_text(session, status);
}

static unsigned error_status(const struct h1_reader *reader)
{
	switch ((enum h1_error)reader->error) {
	case H1_URI_TOO_LONG:
		return 414;
	case H1_HEAD_TOO_LARGE:
		return 431;
	case H1_NO_MEMORY:
		return 500;
	default:
		return 400;
	}
}

/* The answer is out. */
static void request_done(struct session *session)
{
	bool drains = session->drains;
	struct admin_sources *sources = &admin_of(session)->sources;
	text_fini(&session->page); /* an idle connection holds no page */
	session->drains = false;
	if (session->pod) {
		session->phase = SESSION_HOLDING;
		timer_clear(io_timers(admin_of(session)->ring), &session->timer);
		wire_read_start(&session->wire);
		return;
	}
	if (!session->keeps_alive || admin_of(session)->is_closing) {
		admin_session_end(session);
		wire_close_lingering(&session->wire);
	} else {
		session->phase = SESSION_IDLE;
		h1_go_on(&session->reader);
		wire_read_start(&session->wire);
		set_deadline(session, IDLE_TIMEOUT_NS);
	}
	if (drains) {
		log_info("drain_requested", "by=admin_socket");
		sources->drain(sources->owner);
	}
}

/* ---- what the reader tells ---- */

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	struct session *session = container_of(reader, struct session, reader);
	session->is_head = head->method == HTTP_METHOD_HEAD;
	session->keeps_alive = head->keep_alive;
	session->body_bytes = 0;
	session->verdict = admin_route(head, session->listener->may_change);
}

static bool takes_body(enum admin_page page)
{
	return page == PAGE_POD_ADD || page == PAGE_SANDBOX_ADDED || page == PAGE_SANDBOX_REMOVED;
}

static void on_body(struct h1_reader *reader, struct span bytes)
{
	struct session *session = container_of(reader, struct session, reader);
	session->body_bytes += bytes.size;
	if (session->body_bytes > REQUEST_BODY_MAX)
		h1_stop(reader);
	else if (takes_body(session->verdict.page))
		text_add(&session->body, bytes);
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void on_complete(struct h1_reader *reader)
{
	struct session *session = container_of(reader, struct session, reader);
	session->got_request = true;
	h1_stop(reader); /* one at a time */
}

static const struct h1_events reader_events = {
	.head = on_head, .body = on_body, .trailers = on_trailers, .complete = on_complete};

/* ---- what the wire tells ---- */

static void move_to_recent(struct session *session)
{
	list_remove(&session->link);
	list_add_last(&session->listener->sessions, &session->link);
}

static void on_data(struct wire *wire, struct span bytes, struct block **block)
{
	(void)block;
	struct session *session = admin_session_of(wire);
	if (session->phase == SESSION_HOLDING) {
		admin_session_close(session); /* it may only end: then its pod does too */
		return;
	}
	if (session->phase != SESSION_IDLE && session->phase != SESSION_READING) {
		/* Comes only if the owner forgot to pause; nothing may be lost. */
		if (wire_keep(wire, bytes))
			admin_session_abort(session);
		return;
	}
	if (session->phase == SESSION_IDLE) {
		session->phase = SESSION_READING;
		move_to_recent(session);
		set_deadline(session, REQUEST_TIMEOUT_NS);
	}
	size_t used = h1_feed(&session->reader, bytes);
	if (session->reader.error != H1_OK) {
		answer_error(session, error_status(&session->reader),
			     session->reader.error_text ? session->reader.error_text
							: "bad request");
		return;
	}
	if (session->body_bytes > REQUEST_BODY_MAX) {
		answer_error(session, 413, "no path takes a body of that size");
		return;
	}
	if (used < bytes.size && wire_keep(wire, span_of(bytes.data + used, bytes.size - used))) {
		admin_session_abort(session);
		return;
	}
	if (session->got_request)
		answer_request(session);
}

static void on_eof(struct wire *wire)
{
	admin_session_close(admin_session_of(wire));
}

static void on_drained(struct wire *wire)
{
	struct session *session = admin_session_of(wire);
	if (session->phase != SESSION_ANSWERING)
		return;
	if (session->page_sent < session->page.size)
		send_piece(session);
	else
		request_done(session);
}

static void on_failed(struct wire *wire, int error)
{
	(void)error;
	admin_session_close(admin_session_of(wire));
}

static void on_closed(struct wire *wire)
{
	struct session *session = admin_session_of(wire);
	admin_session_end(session);
	list_remove(&session->link);
	if (session->is_holder)
		session->listener->holder_count--;
	else
		session->listener->session_count--;
	h1_reader_fini(&session->reader);
	text_fini(&session->page);
	text_fini(&session->body);
	mem_free(session);
}

static const struct wire_events wire_events = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.failed = on_failed,
	.closed = on_closed,
};

/* ---- time ---- */

static void on_deadline(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);
	switch ((enum session_phase)session->phase) {
	case SESSION_IDLE:
		admin_session_close(session);
		return;
	case SESSION_READING:
		answer_error(session, 408, "the request did not arrive within 5 s");
		return;
	case SESSION_WAITING:
		forget_query(session);
		answer_error(session, 503, "the workers did not answer within 5 s");
		return;
	case SESSION_HOLDING:
	case SESSION_ANSWERING:
	case SESSION_ENDING:
		admin_session_abort(session);
		return;
	}
}

void admin_session_open(struct admin_listener *listener, int fd)
{
	struct session *session = mem_zalloc(sizeof(*session));
	if (!session) {
		io_close(listener->admin->ring, fd);
		return;
	}
	session->listener = listener;
	session->phase = SESSION_READING;
	list_init(&session->link);
	timer_init(&session->timer, on_deadline);
	h1_reader_init(&session->reader, true, &reader_events, &limits);
	wire_init(&session->wire, listener->admin->wires, &wire_events);
	session->wire.fails_fast = true; /* while an answer is sent, nothing is read */
	wire_adopt(&session->wire, fd);
	list_add_last(&listener->sessions, &session->link);
	listener->session_count++;
	wire_read_start(&session->wire);
	set_deadline(session, REQUEST_TIMEOUT_NS);
}
