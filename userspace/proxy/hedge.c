#include "proxy/hedge.h"

#include "base/mem.h"
#include "proxy/guard.h"
#include "proxy/retry.h"

#define STATUS_AT 9 /* "HTTP/1.1 200": where its class is */

struct hedge {
	struct exchange *exchange;
	struct dial dial;
	uint64_t began_ns;
	uint64_t sent_before; /* as in struct exchange */
	uint64_t received_before;
};

static struct weft_series *endpoint_row(const struct hedge *hedge)
{
	return worker_row(hedge->dial.worker, hedge->dial.upstream->series.endpoint);
}

/* ---- when? ---- */

uint64_t hedge_due_ns(const struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	const struct hedge_rule *rule = service ? &service->resilience.hedge : NULL;
	struct worker *worker = exchange->session->worker;
	if (!rule || !hedge_is_wanted(rule) || exchange->was_hedged)
		return 0;
	uint64_t after_ns = rule->after_ns;
	if (rule->share_ppm) {
		const struct guard *guard = guard_service(worker, service);
		uint64_t slow_ns = guard ? quantile_ns(&guard->shared->latency) : 0;
		if (!slow_ns)
			return 0;
		after_ns = slow_ns > after_ns ? slow_ns : after_ns;
	}
	return worker_now_ns(worker) + after_ns;
}

/* How long the attempt has taken until now, which is its end or where it was cut off. */
static void observe(const struct exchange *exchange, bool is_cut)
{
	const struct service *service = exchange_service(exchange);
	struct worker *worker = exchange->session->worker;
	uint64_t took_ns = worker_now_ns(worker) - exchange->attempt_ns;
	uint32_t share_ppm = service ? service->resilience.hedge.share_ppm : 0;
	struct guard *guard = share_ppm ? guard_service(worker, service) : NULL;
	if (!guard)
		return;
	if (is_cut)
		quantile_observe_cut(&guard->shared->latency, share_ppm, took_ns);
	else
		quantile_observe(&guard->shared->latency, share_ppm, took_ns);
}

void hedge_learn(const struct exchange *exchange)
{
	if (!exchange->was_hedged) /* else the first attempt's time was told as cut off */
		observe(exchange, false);
}

/* ---- how it ends ---- */

static void on_ready(struct dial *dial);

static void free_hedge(struct hedge *hedge)
{
	hedge->exchange->hedge = NULL;
	mem_free(hedge);
}

/* `class`: of its answer's status, 0 = none came. */
static void end(struct hedge *hedge, unsigned class, enum balance_outcome outcome)
{
	if (!hedge->dial.is_ready) {
		dial_cancel(&hedge->dial);
	} else {
		struct weft_series *row = endpoint_row(hedge);
		struct upstream *upstream = dial_release(&hedge->dial, outcome);
		series_add(&row->requests_active, (uint64_t)-1);
		series_add(&row->requests, 1);
		series_add(&row->responses[class], 1);
		series_add(&row->bytes_sent, upstream->wire.bytes_sent - hedge->sent_before);
		series_add(&row->bytes_received,
			   upstream->wire.bytes_received - hedge->received_before);
		upstream_abort(upstream);
	}
	free_hedge(hedge);
}

void hedge_drop(struct hedge *hedge)
{
	if (hedge)
		end(hedge, 0, BALANCE_LEFT);
}

void hedge_take_over(struct hedge *hedge, const struct dial_events *events)
{
	struct exchange *exchange = hedge->exchange;
	struct hedge from = *hedge;
	uint64_t limit_ns = exchange->attempt_deadline_ns - exchange->attempt_ns;
	worker_count(exchange->session->worker, WEFT_PROXY_HEDGE_WON);
	dial_move(&hedge->dial, &exchange->dial, events);
	free_hedge(hedge);
	exchange->attempt_ns = from.began_ns;
	if (exchange->attempt_deadline_ns)
		exchange->attempt_deadline_ns = from.began_ns + limit_ns;
	retry_watch(exchange);
	if (!exchange->dial.is_ready)
		return;
	series_add(&worker_row(exchange->dial.worker, exchange->dial.upstream->series.endpoint)
			    ->requests_active,
		   (uint64_t)-1);
	response_begin(exchange);
	exchange->sent_before = from.sent_before;
	exchange->received_before = from.received_before;
}

static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason)
{
	(void)reason;
	free_hedge(container_of(dial, struct hedge, dial));
}

static const struct dial_events hedge_dial_events = {
	.ready = on_ready,
	.failed = on_dial_failed,
};

/* ---- how it begins ---- */

static void take_upstream(struct hedge *hedge)
{
	struct upstream *upstream = hedge->dial.upstream;
	upstream_assign(upstream, UPSTREAM_HEDGE, hedge);
	hedge->sent_before = upstream->wire.bytes_sent;
	hedge->received_before = upstream->wire.bytes_received;
	series_add(&endpoint_row(hedge)->requests_active, 1);
	wire_read_start(&upstream->wire);
}

static void on_ready(struct dial *dial)
{
	take_upstream(container_of(dial, struct hedge, dial));
}

/* Of the request as it was kept; a client that has ended its side may be about to leave, and one
 * that brings a cookie belongs to its endpoint, which may be the only one that knows its session.
 */
static bool may_be_sent_twice(const struct exchange *exchange)
{
	const struct dial *dial = &exchange->dial;
	bool is_bound = exchange->is_connect || exchange->wants_upgrade || exchange->pins ||
			dial->to_destination || dial->has_token ||
			(dial->upstream && dial->upstream->is_pinned);
	return classify_may_retry(CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
				  (enum method_kind)exchange->method) &&
	       !is_bound && dial->upstream && exchange->request_done && !exchange->head_sent &&
	       !exchange->told_client && !exchange->client_finished && !exchange->was_hedged &&
	       replay_is_whole(&exchange->replay);
}

/* Another endpoint than those that the request has tried. NULL: there is none, or no memory. */
static struct hedge *start(struct exchange *exchange)
{
	enum weft_proxy_reason reason;
	struct hedge *hedge = mem_zalloc(sizeof(*hedge));
	if (!hedge)
		return NULL;
	hedge->exchange = exchange;
	hedge->began_ns = worker_now_ns(exchange->session->worker);
	dial_fork(&hedge->dial, &exchange->dial, &hedge_dial_events);
	if (dial_start(&hedge->dial, &reason))
		return hedge;
	mem_free(hedge);
	return NULL;
}

void hedge_begin(struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	if (!service || service->ready_count < 2 || !may_be_sent_twice(exchange) ||
	    !retry_is_paid(exchange, service))
		return;
	struct hedge *hedge = start(exchange);
	if (!hedge)
		return;
	observe(exchange, true);
	worker_count(exchange->session->worker, WEFT_PROXY_HEDGED);
	exchange->hedge = hedge;
	exchange->was_hedged = true;
	if (hedge->dial.is_ready)
		take_upstream(hedge);
	if (replay_write(&exchange->replay, &hedge->dial.upstream->wire))
		hedge_drop(hedge);
}

/* ---- what its upstream tells ---- */

/* Of an answer's first bytes; 0 = not a whole status line yet. */
static unsigned class_of(struct span bytes)
{
	char digit = bytes.size > STATUS_AT + 2 ? bytes.data[STATUS_AT] : '0';
	return digit >= '1' && digit <= '5' ? (unsigned)(digit - '0') : 0;
}

bool hedge_awaits_other(const struct exchange *exchange, unsigned status)
{
	bool is_read = classify_may_retry(CLASSIFIER_RETRYABLE_READ_5XX,
					  (enum method_kind)exchange->method);
	return exchange->hedge && status >= 400 && status < 500 && !is_read;
}

/* A failure is nobody's gain: the first attempt is still there. */
void hedge_upstream_data(struct hedge *hedge, struct span bytes, struct block **block)
{
	struct exchange *exchange = hedge->exchange;
	unsigned class = class_of(bytes);
	if (class == 0 || class == 5 || hedge_awaits_other(exchange, class * 100)) {
		dial_tell(&hedge->dial, class == 5 ? BREAKER_FAILED : BREAKER_NOT_COUNTED);
		end(hedge, class, BALANCE_LEFT);
		return;
	}
	retry_leave_first(exchange);
	exchange_upstream_data(exchange, bytes, block);
}

/* One from the pool may have been dead before. */
void hedge_upstream_ended(struct hedge *hedge)
{
	bool was_open = hedge->dial.was_open;
	dial_tell(&hedge->dial, was_open ? BREAKER_NOT_COUNTED : BREAKER_FAILED);
	end(hedge, 0, was_open ? BALANCE_LEFT : BALANCE_FAILED);
}
