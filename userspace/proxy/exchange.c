#include "proxy/exchange.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "policy/balance_key.h"
#include "policy/deadline.h"
#include "proxy/admit.h"
#include "proxy/answer.h"
#include "proxy/mirror.h"
#include "proxy/onward.h"
#include "proxy/park.h"
#include "proxy/queue.h"
#include "proxy/retry.h"
#include "proxy/tunnel.h"

static void on_ready(struct dial *dial);
static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason);

const struct dial_events exchange_dial_events = {
	.ready = on_ready,
	.failed = on_dial_failed,
};

/* ---- counting ---- */

static struct weft_series *service_row(const struct exchange *exchange)
{
	return worker_row(exchange->session->worker, exchange->series);
}

/* A client may leave while its request is delayed on purpose, before that begins to count. */
static uint64_t latency_us_since(const struct exchange *exchange, uint64_t from_ns)
{
	uint64_t now_ns = worker_now_ns(exchange->session->worker);
	return now_ns > from_ns ? (now_ns - from_ns) / 1000 : 0;
}

static void count_outcome(const struct exchange *exchange, struct weft_series *row,
			  uint64_t from_ns)
{
	uint64_t latency_us = latency_us_since(exchange, from_ns);
	unsigned class = exchange->status / 100;
	series_add(&row->requests, 1);
	/* what is no class counts as 5xx, as for a client (RFC 9110 15) */
	series_add(&row->responses[class < 6 ? class : 5], 1);
	series_add(&row->proxy_errors, exchange->answered_by_proxy);
	series_add(&row->latency_us_sum, latency_us);
	series_add(&row->latency_buckets[latency_bucket(latency_us)], 1);
}

static void count_bytes(const struct exchange *exchange, struct weft_series *row)
{
	const struct wire *wire = &exchange->dial.upstream->wire;
	series_add(&row->bytes_sent, wire->bytes_sent - exchange->sent_before);
	series_add(&row->bytes_received, wire->bytes_received - exchange->received_before);
}

static void count_endpoint(const struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	struct weft_series *row = worker_row(worker, exchange->dial.upstream->series.endpoint);
	count_outcome(exchange, row, exchange->attempt_ns);
	count_bytes(exchange, row);
	count_bytes(exchange, service_row(exchange));
	series_add(&row->requests_active, (uint64_t)-1);
}

static void count_all(const struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	const struct upstream *upstream = exchange->dial.upstream;
	series_add(&service_row(exchange)->requests_active, (uint64_t)-1);
	if (exchange->answered_on_purpose) {
		series_add(&service_row(exchange)->faults_aborted, 1);
		return;
	}
	edge_answered(exchange->session->edge, exchange->status,
		      latency_us_since(exchange, exchange->started_ns));
	count_outcome(exchange, service_row(exchange), exchange->started_ns);
	if (exchange->route.series != SERIES_NONE)
		count_outcome(exchange, worker_row(worker, exchange->route.series),
			      exchange->started_ns);
	if (!upstream || !exchange->dial.is_ready)
		return;
	count_endpoint(exchange);
}

void exchange_count_retry(const struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	series_add(&service_row(exchange)->retries, 1);
	series_add(&worker_row(worker, exchange->route.series)->retries, 1);
}

void exchange_count_attempt(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	series_add(&worker_row(worker, exchange->dial.upstream->series.endpoint)->retries, 1);
	count_endpoint(exchange);
}

/* ---- ends ---- */

/* For the balancer: what the upstream did, whoever ended the exchange. How long an answer's body
 * took says more of its size and of the client. */
static enum balance_outcome outcome_of(const struct exchange *exchange)
{
	if (exchange->upstream_failed)
		return BALANCE_FAILED;
	return exchange->is_timed ? BALANCE_UNTIMED : BALANCE_LEFT;
}

static void release_upstream(struct exchange *exchange)
{
	struct upstream *upstream = exchange->dial.upstream;
	if (!upstream || !exchange->dial.is_ready) {
		dial_cancel(&exchange->dial);
		return;
	}
	if (exchange->head_sent && exchange->is_success)
		dial_tell(&exchange->dial, BREAKER_SUCCEEDED); /* to its end, or the client left */
	dial_release(&exchange->dial, outcome_of(exchange));
	bool is_clean = exchange->request_done && exchange->head_sent &&
			!exchange->client_finished && exchange->upstream_keep_alive &&
			h1_is_idle(&upstream->reader) && upstream->reader.error == H1_OK;
	if (!is_clean) {
		if (exchange->request_done && exchange->head_sent)
			upstream_close(upstream);
		else
			upstream_abort(upstream);
	} else if (exchange->pins || upstream->is_pinned) {
		upstream_pin(upstream, exchange->session);
	} else {
		upstream_give(upstream, upstream->idle_limit_ns);
	}
}

static void free_exchange(struct exchange *exchange)
{
	struct session *session = exchange->session;
	retry_clock_stops(exchange);
	admit_leave(exchange);
	replay_drop(&exchange->replay);
	worker_series_use(session->worker, exchange->series, -1);
	worker_series_use(session->worker, exchange->route.series, -1);
	exchange_route_fini(&exchange->route);
	mirrors_leave(exchange);
	session->exchange = NULL;
	mem_free(exchange);
}

static void forget(struct exchange *exchange)
{
	count_all(exchange);
	release_upstream(exchange);
	free_exchange(exchange);
}

void exchange_detach(struct exchange *exchange)
{
	count_all(exchange);
	dial_tell(&exchange->dial, BREAKER_SUCCEEDED);
	dial_release(&exchange->dial, BALANCE_UNTIMED);
	free_exchange(exchange);
}

void exchange_end(struct exchange *exchange, bool keep_alive)
{
	struct session *session = exchange->session;
	forget(exchange);
	session_exchange_ended(session, keep_alive);
}

void exchange_client_gone(struct exchange *exchange)
{
	if (!exchange->head_sent)
		exchange->status = 0;
	exchange->upstream_keep_alive = false;
	forget(exchange);
}

void exchange_out_of_memory(struct exchange *exchange)
{
	struct session *session = exchange->session;
	worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
	exchange->upstream_keep_alive = false;
	forget(exchange);
	session_abort(session);
}

/* After an answer of weft's own. */
static bool may_go_on(const struct exchange *exchange)
{
	const struct session *session = exchange->session;
	return exchange->client_keep_alive && exchange->client_minor > 0 &&
	       exchange->request_done && !session->closes && !session->pod->is_draining;
}

/* Ahead of the request, and it goes nowhere. */
static void leave_what_was_dialled(struct session *session)
{
	if (session->tunnel)
		tunnel_free(session->tunnel);
}

/* What a route makes of it; no failure of the service's. */
static void redirect(struct exchange *exchange, const struct route_way *way)
{
	bool keep_alive = may_go_on(exchange);
	leave_what_was_dialled(exchange->session);
	worker_count(exchange->session->worker, way->reason);
	exchange->status = (uint16_t)way->status;
	if (answer_redirect(&exchange->session->client, way->status, way->location, keep_alive))
		exchange_out_of_memory(exchange);
	else
		exchange_end(exchange, keep_alive);
}

void exchange_reply(struct exchange *exchange, struct answer *answer, enum weft_proxy_reason reason)
{
	struct session *session = exchange->session;
	char destination[ADDRESS_TEXT_MAX];
	leave_what_was_dialled(session);
	answer->service = session_destination(session, destination);
	answer->keep_alive = may_go_on(exchange);
	answer->is_head = exchange->is_head;
	worker_count(session->worker, reason);
	exchange->status = (uint16_t)answer->status;
	exchange->answered_by_proxy = true;
	exchange->upstream_keep_alive = false;
	if (answer_write(&session->client, answer)) {
		exchange_out_of_memory(exchange);
		return;
	}
	exchange_end(exchange, answer->keep_alive);
}

void exchange_answer(struct exchange *exchange, unsigned status, enum weft_proxy_reason reason,
		     const char *text)
{
	struct answer answer = {.status = status, .text = text};
	exchange_reply(exchange, &answer, reason);
}

/* Nobody can be reached; no server has seen anything of the request, but in an attempt before. */
static void answer_unreached(struct exchange *exchange, unsigned status,
			     enum weft_proxy_reason reason, const char *text)
{
	struct answer answer = {.status = status, .text = text, .is_unsent = !exchange->was_sent};
	exchange_reply(exchange, &answer, reason);
}

void exchange_abort_on_purpose(struct exchange *exchange)
{
	exchange->answered_on_purpose = true;
	exchange_answer(exchange, exchange->abort_status, WEFT_PROXY_FAULT_ABORTED,
			"answered so on purpose (services[].faults); it was not sent");
}

void exchange_refuse(struct session *session, unsigned status, enum weft_proxy_reason reason,
		     const char *text)
{
	struct weft_series *row = worker_row(session->worker, session->series);
	char destination[ADDRESS_TEXT_MAX];
	struct answer answer = {
		.status = status,
		.service = session_destination(session, destination),
		.text = text,
	};
	worker_count(session->worker, reason);
	series_add(&row->requests, 1);
	series_add(&row->responses[status / 100], 1);
	series_add(&row->proxy_errors, 1);
	edge_refused(session->edge);
	if (answer_write(&session->client, &answer)) {
		session_abort(session);
		return;
	}
	session_close(session);
}

/* ---- the dial ---- */

static void dial_failure_text(const struct dial *dial, char *text, size_t size)
{
	char address[ADDRESS_TEXT_MAX];
	snprintf(text, size, "no endpoint could be reached in %u attempts, last %s: %s",
		 dial->attempts, address_print(&dial->last_address, address),
		 strerror(-dial->error));
}

static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason)
{
	struct exchange *exchange = container_of(dial, struct exchange, dial);
	char text[160];
	if (retry_by_hedge(exchange, NULL))
		return;
	if (reason == WEFT_PROXY_CONCURRENCY_LIMIT && retry_with_a_place(exchange))
		return;
	if (retry_elsewhere(exchange))
		return;
	if (reason == WEFT_PROXY_CONCURRENCY_LIMIT) {
		queue_refuse(exchange, reason);
		return;
	}
	dial_failure_text(dial, text, sizeof(text));
	answer_unreached(exchange, 502, reason, text);
}

static void on_ready(struct dial *dial)
{
	response_begin(container_of(dial, struct exchange, dial));
}

void exchange_not_started(struct exchange *exchange, enum weft_proxy_reason reason)
{
	if (reason == WEFT_PROXY_OUT_OF_MEMORY)
		exchange_out_of_memory(exchange);
	else if (reason == WEFT_PROXY_CONCURRENCY_LIMIT)
		queue_refuse(exchange, reason);
	else if (reason == WEFT_PROXY_NO_ENDPOINT)
		answer_unreached(exchange, 503, reason, "the service has no ready endpoint");
	else
		answer_unreached(exchange, 502, reason, "no endpoint is left to try");
}

/* What a balancer looks at in requests, where it does. */
static void find_key(struct exchange *exchange, const struct http_head *head)
{
	struct dial *dial = &exchange->dial;
	const struct service *service =
		snapshot_service(exchange->session->worker->snapshot, dial->service_id);
	if (service && service->balancer == BALANCER_HASH &&
	    service->balancing.hash_on != HASH_ON_SOURCE)
		dial->has_key = balance_key(service, head, dial->local.ip, &dial->key);
	dial->has_token = service && balance_token(service, head, &dial->token);
}

static void prepare_dial(struct exchange *exchange, const struct http_head *head)
{
	struct session *session = exchange->session;
	const struct settings *settings = &session->worker->snapshot->settings;
	bool can_replay = exchange->is_idempotent && !exchange->has_body;
	bool wants_own = exchange->is_connect || exchange->wants_upgrade;
	dial_init(&exchange->dial, session, &exchange_dial_events);
	exchange->dial.takes_seat = true;
	if (exchange->route.service_id != session->service_id) {
		exchange->dial.service_id = exchange->route.service_id;
		exchange->dial.to_destination = false;
		exchange->dial.series.service = exchange->series;
	}
	if (exchange->route.has_address) {
		exchange->dial.to_destination = exchange->dial.is_named = true;
		exchange->dial.destination = exchange->route.address;
	}
	find_key(exchange, head);
	exchange->dial.pool_idle_ns =
		can_replay ? settings->upstream_idle_timeout_ns : settings->upstream_fresh_ns;
	if (wants_own)
		exchange->dial.pool_idle_ns = 0;
}

/* One that was opened for this service; 0: for the session's own, when that was gone already. */
static bool leads_there(const struct exchange *exchange, uint32_t service_id)
{
	if (exchange->route.has_address)
		return false; /* opened for somewhere else, or by chance for the same */
	return service_id == exchange->dial.service_id ||
	       (service_id == 0 && exchange->route.service_id == exchange->session->service_id);
}

bool exchange_find_upstream(struct exchange *exchange, enum weft_proxy_reason *ret_reason)
{
	struct session *session = exchange->session;
	struct tunnel *probe = session->tunnel;
	if (session->pinned && leads_there(exchange, session->pinned->service_id)) {
		*ret_reason = WEFT_PROXY_CONCURRENCY_LIMIT;
		if (!dial_take_seat(&exchange->dial, session->pinned))
			return false;
		dial_hold(&exchange->dial, session->pinned);
		exchange->dial.is_ready = exchange->dial.was_open = true;
		session->pinned = NULL;
		return true;
	}
	/* Dialled before the request was known, it may be the wrong one for what that hashes to. */
	if (probe && probe->dial.upstream && !exchange->dial.has_key && !exchange->dial.has_token &&
	    leads_there(exchange, probe->dial.service_id) &&
	    dial_take_seat(&exchange->dial, probe->dial.upstream)) {
		tunnel_hand_over(probe, &exchange->dial, &exchange_dial_events);
		exchange->dial.was_open = exchange->dial.is_ready;
		if (exchange->dial.is_ready) /* how long the client was silent does not count */
			dial_time_anew(&exchange->dial);
		return true;
	}
	leave_what_was_dialled(session);
	return dial_start(&exchange->dial, ret_reason);
}

/* ---- the request ---- */

static void keep_head(struct exchange *exchange, struct span written)
{
	/* size 0: larger than a block. What cannot be kept is lost, which is no error. */
	if (written.size == 0 || replay_add(&exchange->replay, written))
		replay_drop(&exchange->replay);
}

static int write_request_head(struct exchange *exchange, const struct route_way *way,
			      const struct deadline *deadline)
{
	struct onward onward;
	struct span written;
	uint64_t wall_ns = deadline->at_ns ? io_wall_ns(exchange->session->worker->ring) : 0;
	int error = onward_init(&onward, way, deadline, wall_ns);
	if (error)
		return error;
	const struct http_head *head = &onward.result.head;
	struct h1_rewrite rewrite = {
		.framing = exchange->request.framing,
		.minor_version = head->minor_version,
		.keep_alive = head->minor_version > 0 || head->keep_alive,
		.keeps_upgrade = exchange->wants_upgrade,
		.via = forward_via(&exchange->session->worker->snapshot->settings),
		.extra = onward.result.extra,
		.extra_count = onward.result.extra_count,
	};
	if (!exchange->dial.upstream) {
		error = forward_head_later(&exchange->replay, head, &rewrite);
	} else {
		error = forward_head(&exchange->dial.upstream->wire, head, &rewrite, &written);
		if (!error)
			keep_head(exchange, written);
	}
	onward_fini(&onward);
	return error;
}

/* NULL = out of memory. */
static struct exchange *new_exchange(struct session *session, const struct http_head *head)
{
	struct exchange *exchange = mem_zalloc(sizeof(*exchange));
	if (!exchange)
		return NULL;
	exchange->session = session;
	list_init(&exchange->mirrors);
	list_init(&exchange->queued);
	exchange->started_ns = exchange->attempt_ns = worker_now_ns(session->worker);
	exchange->client_minor = head->minor_version;
	exchange->request.framing = head->framing;
	exchange->is_head = head->method == HTTP_METHOD_HEAD;
	exchange->is_connect = head->method == HTTP_METHOD_CONNECT;
	exchange->is_idempotent = http_is_idempotent(head);
	exchange->method = (uint8_t)classify_method(head);
	exchange->has_body = head->framing == HTTP_CHUNKED ||
			     (head->framing == HTTP_LENGTH && head->body_length > 0);
	exchange->request_done = !exchange->has_body;
	exchange->wants_upgrade = head->has_upgrade;
	exchange->pins = head->binds_connection;
	exchange->client_keep_alive = head->keep_alive;
	replay_init(&exchange->replay, &session->worker->blocks, 0);
	exchange->request.copy = &exchange->replay;
	retry_timer_init(exchange);
	return exchange;
}

/* From here on it counts, under the service that it goes to. */
static void adopt(struct session *session, struct exchange *exchange)
{
	struct worker *worker = session->worker;
	const struct service *service =
		snapshot_service(worker->snapshot, exchange->route.service_id);
	char address[ADDRESS_TEXT_MAX];
	bool is_other = service && service->id != session->service_id;
	exchange->series = is_other ? worker_service_series(worker, service) : session->series;
	if (exchange->route.has_address)
		exchange->series = series_slot_spare(
			worker->series,
			span_text(address_print(&exchange->route.address, address)));
	worker_series_use(worker, exchange->series, 1);
	worker_series_use(worker, exchange->route.series, 1);
	session->exchange = exchange;
	series_add(&service_row(exchange)->requests_active, 1);
}

/* Keeps the request until a wait is over. */
static void begin_later(struct exchange *exchange, const struct route_way *way,
			const struct deadline *deadline, uint64_t wait_ns)
{
	leave_what_was_dialled(exchange->session);
	exchange->replay.is_only = true;
	if (write_request_head(exchange, way, deadline))
		exchange_out_of_memory(exchange);
	else
		retry_wait(exchange, wait_ns);
}

/* A copy has the deadline that came. */
static void begin_mirrors(struct exchange *exchange, const struct route_way *way)
{
	static const struct deadline none;
	struct onward onward;
	if (way->mirror_count == 0 || onward_init(&onward, way, &none, 0))
		return; /* without memory there is no copy */
	for (uint32_t i = 0; i < way->mirror_count; i++)
		mirror_begin(exchange, &onward.result, way->mirrors[i]);
	onward_fini(&onward);
}

/* Sends it, or keeps it until a delay is over. */
static void begin_attempt(struct exchange *exchange, const struct route_way *way,
			  const struct deadline *deadline, uint64_t delay_ns)
{
	enum weft_proxy_reason reason = WEFT_PROXY_OUT_OF_MEMORY;
	exchange->replay.limit_bytes = retry_buffer_bytes(exchange);
	if (delay_ns) {
		begin_later(exchange, way, deadline, delay_ns);
		return;
	}
	if (!exchange_find_upstream(exchange, &reason)) {
		if (reason == WEFT_PROXY_CONCURRENCY_LIMIT &&
		    queue_for_endpoint(exchange, &delay_ns))
			begin_later(exchange, way, deadline, delay_ns);
		else
			exchange_not_started(exchange, reason);
		return;
	}
	retry_attempt_begins(exchange);
	if (exchange->dial.is_ready)
		response_begin(exchange);
	if (write_request_head(exchange, way, deadline)) {
		exchange_out_of_memory(exchange);
		return;
	}
	begin_mirrors(exchange, way);
}

/* `head` as it came. */
static void send_request(struct exchange *exchange, const struct http_head *head,
			 const struct route_way *way)
{
	struct deadline deadline;
	uint64_t delay_ns;
	prepare_dial(exchange, head);
	if (admit(exchange, head, &deadline, &delay_ns))
		begin_attempt(exchange, way, &deadline, delay_ns);
}

/* Weft answers itself. */
static void answer_instead(struct exchange *exchange, const struct route_way *way)
{
	dial_init(&exchange->dial, exchange->session, &exchange_dial_events);
	struct answer answer = {
		.status = way->status,
		.text = way->text,
		.is_unsent = way->is_pending,
		.has_retry_after = way->is_pending,
		.retry_after_s = 1,
	};
	if (way->location.size)
		redirect(exchange, way);
	else
		exchange_reply(exchange, &answer, way->reason);
}

/* `parked`: the one that waited until now; NULL = none. */
static void begin(struct session *session, const struct http_head *head, struct parked *parked)
{
	struct route_way way;
	struct exchange *exchange = new_exchange(session, head);
	if (!exchange || route_request(session, head, &exchange->route, &way)) {
		mem_free(exchange);
		worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
		session_abort(session);
		return;
	}
	if (way.is_pending && park(session, head, parked)) {
		exchange_route_fini(&exchange->route);
		mem_free(exchange);
		return;
	}
	if (parked)
		exchange->started_ns = parked->since_ns;
	adopt(session, exchange);
	if (way.status)
		answer_instead(exchange, &way);
	else
		send_request(exchange, head, &way);
}

void exchange_begin(struct session *session, const struct http_head *head)
{
	begin(session, head, NULL);
}

void exchange_begin_again(struct session *session, struct parked *parked)
{
	begin(session, parked->head, parked);
}

void exchange_request_body(struct exchange *exchange, struct span bytes)
{
	struct session *session = exchange->session;
	struct upstream *upstream = exchange->dial.upstream;
	struct wire *wire = upstream ? &upstream->wire : NULL;
	if (!wire && !exchange->wait_until_ns)
		return;
	mirrors_body(exchange, bytes);
	if (forward_body(&exchange->request, wire, bytes, NULL)) {
		exchange_out_of_memory(exchange);
		return;
	}
	if (!wire || wire_queued(wire) >= session->worker->snapshot->settings.window_bytes)
		wire_pause(&session->client);
}

void exchange_request_trailers(struct exchange *exchange, const struct http_field *fields,
			       size_t count)
{
	struct upstream *upstream = exchange->dial.upstream;
	mirrors_trailers(exchange, fields, count);
	struct wire *wire = upstream ? &upstream->wire : NULL;
	if ((wire || exchange->wait_until_ns) &&
	    forward_trailers(&exchange->request, wire, fields, count))
		exchange_out_of_memory(exchange);
}

void exchange_request_complete(struct exchange *exchange)
{
	struct upstream *upstream = exchange->dial.upstream;
	struct wire *wire = upstream ? &upstream->wire : NULL;
	exchange->request_done = true;
	mirrors_complete(exchange);
	if ((wire || exchange->wait_until_ns) && forward_end(&exchange->request, wire))
		exchange_out_of_memory(exchange);
	else if (exchange->response_done)
		exchange_end(exchange, exchange->keep_alive);
}

void exchange_request_broken(struct exchange *exchange, enum weft_proxy_reason reason)
{
	struct session *session = exchange->session;
	exchange->upstream_keep_alive = false;
	if (exchange->head_sent) {
		worker_count(session->worker, reason);
		forget(exchange);
		session_abort_after_queue(session);
		return;
	}
	exchange_answer(exchange, 400, reason, "the request's body is malformed or incomplete");
}

void exchange_client_finished(struct exchange *exchange)
{
	exchange->client_finished = true;
	if (queue_has(exchange)) /* most of those have left; nobody keeps a place for them */
		queue_refuse(exchange, WEFT_PROXY_CLIENT_CLOSED);
	else if (exchange->dial.is_ready)
		wire_finish(&exchange->dial.upstream->wire);
}

void exchange_upstream_drained(struct exchange *exchange)
{
	struct wire *client = &exchange->session->client;
	/* After the request's end only to notice that the client leaves. */
	if (!exchange->request_done || !wire_has_kept(client))
		wire_read_start(client);
}

/* ---- an upstream that did not answer ---- */

bool exchange_is_unsent(const struct exchange *exchange)
{
	const struct wire *wire = &exchange->dial.upstream->wire;
	return exchange->dial.was_open && wire_queued(wire) && !wire->flight_bytes &&
	       !wire->lost_writes && wire->bytes_sent == exchange->sent_before;
}

static bool may_try_again(const struct exchange *exchange)
{
	const struct wire *wire = &exchange->dial.upstream->wire;
	bool is_unanswered = wire->bytes_received == exchange->received_before;
	bool can_resend = exchange->is_idempotent && !exchange->has_body && is_unanswered &&
			  replay_is_whole(&exchange->replay);
	return exchange->dial.was_open && !exchange->retried &&
	       (exchange_is_unsent(exchange) || can_resend);
}

/* A connection from before the request turned out dead before a byte was answered (RFC 9110 9.2.2).
 */
static void try_again(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	bool moves_queue = exchange_is_unsent(exchange);
	enum weft_proxy_reason reason;
	struct upstream *dead = dial_release(&exchange->dial, BALANCE_LEFT);
	exchange->retried = true;
	exchange_count_retry(exchange);
	series_add(&worker_row(worker, dead->series.endpoint)->retries, 1);
	series_add(&worker_row(worker, dead->series.endpoint)->requests_active, (uint64_t)-1);
	exchange->dial.pool_idle_ns = 0;
	bool is_started = dial_start(&exchange->dial, &reason);
	if (is_started && moves_queue)
		wire_move_queue(&dead->wire, &exchange->dial.upstream->wire);
	upstream_abort(dead);
	if (!is_started) {
		if (!retry_by_hedge(exchange, NULL))
			exchange_not_started(exchange, reason);
	} else if (!moves_queue &&
		   replay_write(&exchange->replay, &exchange->dial.upstream->wire)) {
		exchange_out_of_memory(exchange);
	}
}

void exchange_upstream_gone(struct exchange *exchange, enum weft_proxy_reason reason,
			    const char *text)
{
	struct session *session = exchange->session;
	bool ends_with_close = exchange->response.framing == HTTP_UNTIL_CLOSE;
	bool is_ours = reason == WEFT_PROXY_OUT_OF_MEMORY;
	/* many servers give up when their client ends its side: that is no failure of theirs */
	bool is_its_own = !is_ours && !exchange->client_finished;
	exchange->upstream_keep_alive = false;
	if (may_try_again(exchange)) {
		try_again(exchange);
		return;
	}
	exchange->upstream_failed = is_its_own;
	dial_tell(&exchange->dial, is_its_own ? BREAKER_FAILED : BREAKER_NOT_COUNTED);
	if (!exchange->head_sent) {
		if (is_ours || !retry_unanswered(exchange, WEFT_PROXY_RETRIED_UNANSWERED))
			exchange_answer(exchange, 502, reason, text);
		return;
	}
	/* The client must notice that the answer was cut short. */
	worker_count(session->worker, reason);
	exchange->status = 0;
	forget(exchange);
	if (ends_with_close)
		session_abort_after_queue(session);
	else
		session_close(session);
}
