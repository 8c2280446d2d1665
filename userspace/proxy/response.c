/* The answer's way: upstream's bytes to the reader, the reader's events to the client. */
#include <errno.h>
#include <stdio.h>

#include "model/sticky.h"
#include "proxy/admit.h"
#include "proxy/exchange.h"
#include "proxy/hedge.h"
#include "proxy/retry.h"
#include "proxy/tunnel.h"

static const struct h1_events response_events;

void response_begin(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	struct upstream *upstream = exchange->dial.upstream;
	upstream_assign(upstream, UPSTREAM_EXCHANGE, exchange);
	h1_reader_init(&upstream->reader, false, &response_events, &worker->h1_limits);
	upstream->reader.answers_head = exchange->is_head;
	upstream->reader.answers_connect = exchange->is_connect;
	upstream->uses++;
	exchange->was_sent = true;
	upstream->idle_limit_ns = 0;
	exchange->sent_before = upstream->wire.bytes_sent;
	exchange->received_before = upstream->wire.bytes_received;
	series_add(&worker_row(worker, upstream->series.endpoint)->requests_active, 1);
	wire_read_start(&upstream->wire);
	if (exchange->client_finished)
		wire_finish(&upstream->wire);
}

static struct exchange *of_reader(struct h1_reader *reader)
{
	return container_of(reader, struct upstream, reader)->user;
}

/* The events of one h1_feed come after the exchange was ended by an earlier one. */
static bool is_over(struct h1_reader *reader)
{
	return container_of(reader, struct upstream, reader)->role != UPSTREAM_EXCHANGE;
}

/* ---- head ---- */

/* `extra`: one field more, NULL = none. */
static int write_head(struct exchange *exchange, const struct http_head *head, bool keep_alive,
		      const struct http_field *extra)
{
	const struct settings *settings = &exchange->session->worker->snapshot->settings;
	bool has_no_body = exchange->is_head || head->status == 304;
	struct rewritten answer = {.head = *head};
	bool is_final = head->status >= 200 || head->status == 101;
	if (is_final && route_answer(exchange->session->worker, &exchange->route, head, &answer))
		return -ENOMEM;
	if (extra && rewritten_add(exchange->session->worker->rewriter, &answer, *extra))
		return -ENOMEM;
	bool adds_class = settings->compatibility == COMPATIBILITY_LINKERD && head->status >= 200 &&
			  !exchange->has_success_class;
	const struct http_field success_class = {span_text("l5d-success-class"),
						 span_text(exchange->is_success ? "1.0" : "0.0")};
	if (adds_class &&
	    rewritten_add(exchange->session->worker->rewriter, &answer, success_class))
		return -ENOMEM;
	struct h1_rewrite rewrite = {
		.framing = has_no_body ? head->framing : exchange->response.framing,
		.minor_version = exchange->client_minor,
		.keep_alive = keep_alive,
		.keeps_upgrade = head->status == 101 || head->status == 426,
		.is_head_answer = has_no_body,
		.via = forward_via(settings),
		.extra = answer.extra,
		.extra_count = answer.extra_count,
	};
	return forward_head(&exchange->session->client, &answer.head, &rewrite, NULL);
}

static uint8_t framing_to_client(const struct exchange *exchange, const struct http_head *head)
{
	bool is_open_ended = head->framing == HTTP_CHUNKED || head->framing == HTTP_UNTIL_CLOSE;
	if (!is_open_ended)
		return head->framing;
	return exchange->client_minor >= 1 ? HTTP_CHUNKED : HTTP_UNTIL_CLOSE;
}

/* NTLM and Negotiate authenticate the connection, not the request (RFC 4559 6). */
static bool authenticates_connection(const struct http_head *head)
{
	if (head->status != 401 && head->status != 407)
		return false;
	for (uint16_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		bool is_challenge = span_is_nocase(field->name, "www-authenticate") ||
				    span_is_nocase(field->name, "proxy-authenticate");
		struct span challenges = is_challenge ? field->value : span_of(NULL, 0);
		struct span challenge, scheme;
		while (span_split(&challenges, ',', &challenge)) {
			challenge = span_trim(challenge);
			if (span_split(&challenge, ' ', &scheme) &&
			    (span_is_nocase(scheme, "negotiate") || span_is_nocase(scheme, "ntlm")))
				return true;
		}
	}
	return false;
}

static void remember_limits(struct upstream *upstream, const struct http_head *head,
			    const struct settings *settings)
{
	uint64_t own_ns = settings->upstream_idle_timeout_ns;
	/* A tenth less than the server promised, so that ours ends first. */
	uint64_t server_ns = (uint64_t)head->keep_alive_timeout_s * 900000000ull;
	bool is_shorter = head->has_keep_alive_timeout && server_ns < own_ns;
	upstream->idle_limit_ns = is_shorter ? server_ns : own_ns;
}

static void pause_if_full(struct exchange *exchange)
{
	const struct session *session = exchange->session;
	if (wire_queued(&session->client) >= session->worker->snapshot->settings.window_bytes)
		wire_pause(&exchange->dial.upstream->wire);
}

static void interim_answer(struct exchange *exchange, const struct http_head *head)
{
	uint8_t framing = exchange->response.framing;
	if (exchange->client_minor == 0)
		return; /* RFC 9110 15.2 */
	exchange->response.framing = HTTP_NO_BODY;
	int error = write_head(exchange, head, true, NULL);
	exchange->response.framing = framing;
	exchange->told_client = true;
	if (error)
		exchange_out_of_memory(exchange);
	else
		pause_if_full(exchange);
}

static void tunnel_answer(struct exchange *exchange, const struct http_head *head)
{
	exchange->is_tunnel = true;
	exchange->head_sent = true;
	dial_answered(&exchange->dial);
	retry_clock_stops(exchange);
	exchange->response.framing = HTTP_NO_BODY;
	if (write_head(exchange, head, true, NULL))
		exchange_out_of_memory(exchange);
}

#define COOKIE_ATTRIBUTES "; Path=/; HttpOnly"
#define COOKIE_MAX        (HASH_NAME_MAX + STICKY_TEXT + sizeof(COOKIE_ATTRIBUTES))

/* The Set-Cookie of a service that wants one, for a client that does not name this endpoint yet. */
static bool sticky_cookie(const struct exchange *exchange, char text[COOKIE_MAX],
			  struct http_field *ret_field)
{
	const struct upstream *upstream = exchange->dial.upstream;
	const struct service *service =
		snapshot_service(exchange->session->worker->snapshot, upstream->service_id);
	char value[STICKY_TEXT];
	if (!service || !*service->sticky.cookie)
		return false;
	const struct endpoint *endpoint = service_endpoint(service, upstream->endpoint_id);
	if (!endpoint || endpoint->birth != upstream->attempt.birth)
		return false;
	uint64_t token = sticky_token(service, endpoint);
	if (exchange->dial.has_token && exchange->dial.token == token)
		return false;
	sticky_print(token, value);
	int size = snprintf(text, COOKIE_MAX, "%s=%s" COOKIE_ATTRIBUTES, service->sticky.cookie,
			    value);
	*ret_field = (struct http_field){span_text("Set-Cookie"), span_of(text, (size_t)size)};
	return true;
}

static void final_answer(struct exchange *exchange, const struct http_head *head)
{
	struct session *session = exchange->session;
	exchange->response.framing = framing_to_client(exchange, head);
	exchange->upstream_keep_alive = head->keep_alive && head->framing != HTTP_UNTIL_CLOSE;
	/* An answer that comes before the request's end leaves the rest of it to be forwarded. */
	bool can_finish = exchange->request_done || exchange->upstream_keep_alive;
	exchange->keep_alive = exchange->client_keep_alive && can_finish &&
			       exchange->response.framing != HTTP_UNTIL_CLOSE && !session->closes &&
			       !session->pod->is_draining;
	exchange->pins |= authenticates_connection(head);
	exchange->head_sent = true;
	char cookie[COOKIE_MAX];
	struct http_field field;
	bool sets_cookie = sticky_cookie(exchange, cookie, &field);
	admit_answered(exchange);
	if (exchange->is_success) { /* a failure that came fast is no sign of a fast server */
		dial_answered(&exchange->dial);
		exchange->is_timed = true;
		hedge_learn(exchange);
	}
	retry_clock_stops(exchange);
	replay_drop(&exchange->replay);
	if (write_head(exchange, head, exchange->keep_alive, sets_cookie ? &field : NULL))
		exchange_out_of_memory(exchange);
}

/* Whose failure is it? An answer's `l5d-retryable` on what is no 5xx is about the request; who was
 * told that its client ends may well answer with an error. */
static enum breaker_outcome blame(const struct exchange *exchange, const struct attempt_end *end)
{
	bool is_endpoints = end->status >= 500 || end->signs.has_success_class;
	return is_endpoints && !exchange->client_finished ? BREAKER_FAILED : BREAKER_NOT_COUNTED;
}

/* What the service's classifier makes of the answer. True: it is not passed on, the request is
 * tried again. */
static bool judge(struct exchange *exchange, const struct http_head *head)
{
	const struct service *service = exchange_service(exchange);
	struct attempt_end end = {.method = (enum method_kind)exchange->method,
				  .status = head->status};
	classify_read_signs(head->fields, head->field_count, &end.signs);
	end.signs.wants_retry &= retry_believes(exchange);
	struct verdict verdict = classify(service ? (enum classifier)service->resilience.classifier
						  : CLASSIFIER_NON_RETRYABLE_5XX,
					  &end);
	exchange->is_success = !verdict.is_failure;
	exchange->has_success_class = end.signs.has_success_class;
	if (verdict.is_failure)
		dial_tell(&exchange->dial, blame(exchange, &end));
	else if (guard_is_out(exchange->session->worker, exchange->dial.upstream->endpoint_id))
		dial_tell(&exchange->dial, BREAKER_SUCCEEDED); /* a probe waits for no body */
	bool is_unwanted = retry_wants(exchange, &end, verdict);
	bool awaits_other = hedge_awaits_other(exchange, head->status);
	if ((verdict.is_failure || is_unwanted || awaits_other) && retry_by_hedge(exchange, head))
		return true;
	return is_unwanted && retry_answer(exchange, head);
}

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	struct exchange *exchange = of_reader(reader);
	if (is_over(reader))
		return;
	if (head->status == 101 && !exchange->wants_upgrade) {
		h1_stop(reader);
		exchange_upstream_gone(exchange, WEFT_PROXY_BAD_RESPONSE,
				       "the upstream switched protocols without being asked to");
		return;
	}
	exchange->status = head->status >= 200 || head->status == 101 ? head->status : 0;
	if (exchange->status) {
		remember_limits(exchange->dial.upstream, head,
				&exchange->session->worker->snapshot->settings);
		if (judge(exchange, head))
			return;
	}
	if (head->status == 101 ||
	    (exchange->is_connect && head->status >= 200 && head->status < 300))
		tunnel_answer(exchange, head);
	else if (head->status < 200)
		interim_answer(exchange, head);
	else
		final_answer(exchange, head);
}

/* ---- body ---- */

static void on_body(struct h1_reader *reader, struct span bytes)
{
	struct exchange *exchange = of_reader(reader);
	if (is_over(reader))
		return;
	if (forward_body(&exchange->response, &exchange->session->client, bytes, &exchange->lent))
		exchange_out_of_memory(exchange);
	else
		pause_if_full(exchange);
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	struct exchange *exchange = of_reader(reader);
	if (is_over(reader))
		return;
	if (forward_trailers(&exchange->response, &exchange->session->client, fields, count))
		exchange_out_of_memory(exchange);
}

static void on_complete(struct h1_reader *reader)
{
	struct exchange *exchange = of_reader(reader);
	if (is_over(reader))
		return;
	if (!exchange->head_sent || exchange->is_tunnel)
		return; /* an interim answer; or the tunnel begins when h1_feed returns */
	h1_stop(reader);
	bool has_body = !exchange->is_head && exchange->status != 304;
	if (has_body && forward_end(&exchange->response, &exchange->session->client)) {
		exchange_out_of_memory(exchange);
		return;
	}
	exchange->response_done = true;
	if (exchange->request_done || !exchange->upstream_keep_alive)
		exchange_end(exchange, exchange->keep_alive && exchange->request_done);
}

static const struct h1_events response_events = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

/* ---- what the upstream's wire tells ---- */

static void become_tunnel(struct exchange *exchange, struct span rest)
{
	struct session *session = exchange->session;
	struct upstream *upstream = exchange->dial.upstream;
	struct block *none = NULL;
	worker_count(session->worker,
		     exchange->is_connect ? WEFT_PROXY_CONNECTED : WEFT_PROXY_UPGRADED);
	exchange_detach(exchange);
	if (!tunnel_join(session, upstream)) {
		worker_count(session->worker, WEFT_PROXY_OUT_OF_MEMORY);
		upstream_abort(upstream);
		session_abort(session);
		return;
	}
	if (rest.size)
		tunnel_upstream_data(session->tunnel, rest, &none);
}

void exchange_upstream_data(struct exchange *exchange, struct span bytes, struct block **block)
{
	struct upstream *upstream = exchange->dial.upstream;
	if (exchange->response_done) {
		exchange_end(exchange, false); /* bytes after the answer: nobody asked for them */
		return;
	}
	if (exchange_is_unsent(exchange)) {
		exchange_upstream_gone(exchange, WEFT_PROXY_BAD_RESPONSE,
				       "the upstream spoke before it was asked");
		return;
	}
	exchange->lent = (struct forward_lent){block, bytes.data + bytes.size};
	size_t used = h1_feed(&upstream->reader, bytes);
	if (upstream->role != UPSTREAM_EXCHANGE || upstream->user != exchange) {
		if (upstream->role == UPSTREAM_IDLE && used < bytes.size)
			upstream_close(upstream); /* bytes that nobody asked for */
		return;
	}
	exchange->lent = (struct forward_lent){0};
	if (exchange->is_tunnel)
		become_tunnel(exchange, span_of(bytes.data + used, bytes.size - used));
	else if (upstream->reader.error == H1_NO_MEMORY)
		exchange_upstream_gone(exchange, WEFT_PROXY_OUT_OF_MEMORY,
				       "out of memory for the upstream's answer");
	else if (upstream->reader.error != H1_OK)
		exchange_upstream_gone(exchange, WEFT_PROXY_BAD_RESPONSE,
				       "the upstream's answer is malformed");
}

void exchange_upstream_eof(struct exchange *exchange)
{
	struct upstream *upstream = exchange->dial.upstream;
	if (exchange->response_done) {
		exchange_end(exchange, false); /* the rest of the request has nowhere to go */
		return;
	}
	enum h1_error error = h1_end(&upstream->reader);
	if (upstream->role != UPSTREAM_EXCHANGE || upstream->user != exchange)
		return; /* a body until close is complete now */
	(void)error;
	exchange_upstream_gone(exchange, WEFT_PROXY_UPSTREAM_CLOSED,
			       "the upstream closed the connection before it had answered");
}

void exchange_upstream_failed(struct exchange *exchange, int error)
{
	if (exchange->response_done)
		exchange_end(exchange, false);
	else if (error == -ENOMEM)
		exchange_upstream_gone(exchange, WEFT_PROXY_OUT_OF_MEMORY,
				       "out of memory for the upstream's answer");
	else
		exchange_upstream_gone(exchange, WEFT_PROXY_UPSTREAM_RESET,
				       "the upstream reset the connection before it had answered");
}

void exchange_client_drained(struct exchange *exchange)
{
	struct upstream *upstream = exchange->dial.upstream;
	if (upstream && upstream->role == UPSTREAM_EXCHANGE)
		wire_read_start(&upstream->wire);
}
