#include "proxy/retry.h"

#include "base/log.h"
#include "policy/backoff.h"
#include "proxy/admit.h"
#include "proxy/drain.h"
#include "proxy/hedge.h"
#include "proxy/queue.h"

/* Kept of a request for as long as its service may turn out unreachable. */
#define FALLBACK_BUFFER_BYTES BLOCK_LARGE_BYTES

/* ---- what the route's rule says goes before what the service says ---- */

uint64_t retry_total_ns(const struct exchange *exchange, const struct service *service)
{
	if (exchange->route.request_ns)
		return exchange->route.request_ns;
	return service ? service->resilience.timeout.total_ns : 0;
}

static uint64_t per_try_ns(const struct exchange *exchange, const struct service *service)
{
	if (exchange->route.backend_ns)
		return exchange->route.backend_ns;
	return service ? service->resilience.timeout.per_try_ns : 0;
}

uint32_t retry_attempts_most(const struct exchange *exchange, const struct service *service)
{
	if (exchange->route.retry_attempts != ROUTE_NONE)
		return exchange->route.retry_attempts + 1;
	return service->resilience.retry.attempts_most;
}

static bool has_codes(const struct exchange_route *route)
{
	return route->retry_codes[0] | route->retry_codes[1] | route->retry_codes[2] |
	       route->retry_codes[3];
}

/* A rule that speaks of retries wants them where they are safe: reads and idempotent methods. */
static enum classifier classifier_of(const struct exchange *exchange, const struct service *service)
{
	const struct exchange_route *route = &exchange->route;
	enum classifier classifier = (enum classifier)service->resilience.classifier;
	bool speaks = has_codes(route) || route->backoff_ns ||
		      (route->retry_attempts != ROUTE_NONE && route->retry_attempts > 0);
	bool is_safe = classify_may_retry(CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
					  (enum method_kind)exchange->method);
	return speaks && is_safe ? CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX : classifier;
}

bool retry_believes(const struct exchange *exchange)
{
	const struct settings *settings = &exchange->session->worker->snapshot->settings;
	return settings->compatibility == COMPATIBILITY_LINKERD ||
	       classify_may_retry(CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
				  (enum method_kind)exchange->method);
}

bool retry_wants(const struct exchange *exchange, const struct attempt_end *end,
		 struct verdict verdict)
{
	if (end->signs.refuses_retry)
		return false;
	if (end->signs.wants_retry)
		return verdict.is_retryable;
	if (!has_codes(&exchange->route))
		return verdict.is_retryable;
	return route_retries_code(&exchange->route, end->status);
}

/* ---- the clock ---- */

static uint64_t earlier(uint64_t one_ns, uint64_t other_ns)
{
	return other_ns && (!one_ns || other_ns < one_ns) ? other_ns : one_ns;
}

/* False: the timer could not be set. */
static bool watch(struct exchange *exchange)
{
	struct timers *timers = io_timers(exchange->session->worker->ring);
	uint64_t next_ns = earlier(exchange->deadline_ns, exchange->wait_until_ns);
	if (!exchange->wait_until_ns) {
		next_ns = earlier(next_ns, exchange->attempt_deadline_ns);
		next_ns = earlier(next_ns, exchange->hedge_due_ns);
	}
	if (!next_ns) {
		timer_clear(timers, &exchange->timer);
		return true;
	}
	return timer_set(timers, &exchange->timer, next_ns) == 0;
}

void retry_watch(struct exchange *exchange)
{
	if (!watch(exchange))
		log_warn("no_timer", "what=attempt");
}

void retry_attempt_begins(struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	uint64_t limit_ns = per_try_ns(exchange, service);
	exchange->attempt_ns = worker_now_ns(exchange->session->worker);
	exchange->attempt_deadline_ns = limit_ns ? exchange->attempt_ns + limit_ns : 0;
	exchange->attempts++;
	queue_served(exchange);
	exchange->hedge_due_ns = hedge_due_ns(exchange);
	retry_watch(exchange);
}

void retry_clock_stops(struct exchange *exchange)
{
	hedge_drop(exchange->hedge);
	exchange->deadline_ns = exchange->attempt_deadline_ns = exchange->wait_until_ns = 0;
	exchange->hedge_due_ns = 0;
	timer_clear(io_timers(exchange->session->worker->ring), &exchange->timer);
}

/* ---- may it? ---- */

static uint32_t kept_for_retries(const struct exchange *exchange, const struct service *service)
{
	uint32_t most = service->resilience.retry.buffer_bytes;
	bool is_asked = has_codes(&exchange->route) ||
			classify_may_retry(classifier_of(exchange, service),
					   (enum method_kind)exchange->method);
	if (retry_attempts_most(exchange, service) <= 1)
		return 0;
	if (is_asked)
		return most;
	/* What only an answer's own word makes retryable is rare: small requests are kept for it,
	 * and no bulk is copied. */
	uint32_t rare = retry_believes(exchange) ? BLOCK_SMALL_BYTES : 0;
	return most < rare ? most : rare;
}

static bool may_be_hedged(const struct exchange *exchange, const struct service *service)
{
	return hedge_is_wanted(&service->resilience.hedge) &&
	       classify_may_retry(CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
				  (enum method_kind)exchange->method);
}

uint32_t retry_buffer_bytes(const struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	/* a connection from before the request may turn out dead: the head alone */
	uint32_t least = exchange->is_idempotent && !exchange->has_body ? BLOCK_LARGE_BYTES : 0;
	if (exchange->route.fallback_id)
		least = FALLBACK_BUFFER_BYTES;
	if (exchange->is_connect || exchange->wants_upgrade || !service)
		return least;
	uint32_t most = may_be_hedged(exchange, service) ? service->resilience.retry.buffer_bytes
							 : kept_for_retries(exchange, service);
	return most > least ? most : least;
}

static bool is_possible(const struct exchange *exchange, const struct service *service)
{
	const struct upstream *upstream = exchange->dial.upstream;
	bool is_bound = exchange->is_connect || exchange->wants_upgrade || exchange->pins ||
			(upstream && upstream->is_pinned);
	return service && !exchange->head_sent && !exchange->told_client && !is_bound &&
	       exchange->attempts < retry_attempts_most(exchange, service);
}

/* Asked last. */
bool retry_is_paid(const struct exchange *exchange, const struct service *service)
{
	struct worker *worker = exchange->session->worker;
	struct guard *guard = guard_service(worker, service);
	if (guard &&
	    retry_budget_withdraw(&guard->shared->budget, &service->resilience.retry.budget,
				  worker_now_ns(worker)))
		return true;
	worker_count(worker, WEFT_PROXY_RETRY_BUDGET_EXHAUSTED);
	return false;
}

static uint64_t next_backoff_ns(struct exchange *exchange, const struct service *service)
{
	struct backoff_rule rule = service->resilience.retry.backoff;
	if (exchange->route.backoff_ns) {
		rule.least_ns = exchange->route.backoff_ns;
		if (rule.most_ns < rule.least_ns)
			rule.most_ns = rule.least_ns;
	}
	exchange->backoff_ns = backoff_next(&rule, exchange->attempts - 1u, exchange->backoff_ns,
					    &exchange->session->worker->rng);
	return exchange->backoff_ns;
}

static bool may_retry(struct exchange *exchange, uint64_t *ret_wait_ns)
{
	const struct service *service = exchange_service(exchange);
	struct worker *worker = exchange->session->worker;
	if (!is_possible(exchange, service))
		return false;
	if (!replay_is_whole(&exchange->replay)) {
		worker_count(worker, WEFT_PROXY_RETRY_TOO_LARGE);
		return false;
	}
	uint64_t wait_ns = next_backoff_ns(exchange, service);
	if (exchange->deadline_ns && worker_now_ns(worker) + wait_ns >= exchange->deadline_ns)
		return false;
	*ret_wait_ns = wait_ns;
	return retry_is_paid(exchange, service);
}

/* ---- the next attempt ---- */

static void start(struct exchange *exchange)
{
	struct dial *dial = &exchange->dial;
	enum weft_proxy_reason reason;
	dial->attempts = 0;
	exchange->wait_until_ns = 0;
	exchange->replay.is_only = false;
	if (exchange->abort_status) {
		exchange_abort_on_purpose(exchange);
		return;
	}
	if (exchange->client_finished)
		dial->pool_idle_ns = 0; /* its FIN goes after the request, when it is connected */
	bool is_first = exchange->attempts == 0 && !exchange->client_finished;
	bool is_started =
		is_first ? exchange_find_upstream(exchange, &reason) : dial_start(dial, &reason);
	bool is_full = !is_started && reason == WEFT_PROXY_CONCURRENCY_LIMIT;
	if (!is_started && dial->tried_count && !(is_full && dial->error)) {
		dial->tried_count = 0; /* better the same one again than none */
		is_started = dial_start(dial, &reason);
	}
	uint64_t wait_ns;
	if (!is_started && reason == WEFT_PROXY_CONCURRENCY_LIMIT &&
	    queue_for_endpoint(exchange, &wait_ns)) {
		retry_wait(exchange, wait_ns);
		return;
	}
	if (!is_started) {
		/* its service may have gone while it waited */
		bool may_move = reason == WEFT_PROXY_NO_ENDPOINT && !exchange->was_sent;
		if (!may_move || !retry_elsewhere(exchange))
			exchange_not_started(exchange, reason);
		return;
	}
	retry_attempt_begins(exchange);
	if (dial->is_ready)
		response_begin(exchange);
	if (replay_write(&exchange->replay, &dial->upstream->wire))
		exchange_out_of_memory(exchange);
	else if (!exchange->request_done)
		wire_read_start(&exchange->session->client);
}

void retry_wait(struct exchange *exchange, uint64_t wait_ns)
{
	exchange->wait_until_ns = worker_now_ns(exchange->session->worker) + wait_ns;
	exchange->replay.is_only = true;
	if (!exchange->request_done)
		wire_pause(&exchange->session->client);
	if (watch(exchange))
		return;
	/* without a timer: at once */
	if (queue_has(exchange))
		queue_refuse(exchange, WEFT_PROXY_QUEUE_TIMEOUT);
	else
		start(exchange);
}

void retry_wait_less(struct exchange *exchange)
{
	exchange->wait_until_ns = worker_now_ns(exchange->session->worker);
	if (!watch(exchange))
		log_warn("no_timer", "what=queue");
}

static void wait_is_over(struct exchange *exchange)
{
	uint64_t delay_ns = exchange->delay_ns;
	if (queue_has(exchange) && !queue_turn(exchange))
		return;
	exchange->delay_ns = 0;
	if (delay_ns)
		retry_wait(exchange, delay_ns);
	else
		start(exchange);
}

/* From here on it is the alternate's, and counts there. */
static void move_to_fallback(struct exchange *exchange, const struct service *service)
{
	struct worker *worker = exchange->session->worker;
	struct dial *dial = &exchange->dial;
	uint32_t series = worker_service_series(worker, service);
	series_add(&worker_row(worker, exchange->series)->requests_active, (uint64_t)-1);
	worker_series_use(worker, series, 1);
	worker_series_use(worker, exchange->series, -1);
	series_add(&worker_row(worker, series)->requests_active, 1);
	exchange->series = series;
	exchange->route.service_id = service->id;
	exchange->route.fallback_id = 0;
	dial->service_id = service->id;
	dial->to_destination = false;
	dial->series.service = series;
	dial->tried_count = 0;
	dial->has_key = false;
}

bool retry_with_a_place(struct exchange *exchange)
{
	uint64_t wait_ns;
	if (!replay_is_whole(&exchange->replay) || !queue_for_endpoint(exchange, &wait_ns))
		return false;
	retry_wait(exchange, wait_ns);
	return true;
}

bool retry_elsewhere(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	const struct service *service =
		snapshot_service(worker->snapshot, exchange->route.fallback_id);
	if (!service || exchange->is_connect || exchange->wants_upgrade ||
	    !replay_is_whole(&exchange->replay))
		return false;
	worker_count(worker, WEFT_PROXY_FAILED_OVER);
	admit_leave(exchange);
	move_to_fallback(exchange, service);
	if (queue_moved(exchange))
		start(exchange);
	return true;
}

static void discard(struct exchange *exchange, const struct http_head *head)
{
	struct upstream *upstream = exchange->dial.upstream;
	if (!upstream || !exchange->dial.is_ready) {
		dial_avoid(&exchange->dial);
		dial_cancel(&exchange->dial);
		return;
	}
	exchange_count_attempt(exchange);
	dial_avoid(&exchange->dial);
	/* an answer that failed fast must not look like a fast server */
	dial_release(&exchange->dial, head ? BALANCE_LEFT : BALANCE_FAILED);
	exchange->dial.is_ready = false;
	if (head && exchange->request_done && !exchange->client_finished && drain_is_worth(head))
		drain_begin(upstream);
	else if (head && exchange->request_done)
		upstream_close(upstream);
	else
		upstream_abort(upstream);
}

static void forget_attempt(struct exchange *exchange)
{
	exchange->status = 0;
	exchange->upstream_failed = false;
	exchange->retried = false; /* the next connection may turn out dead too */
	exchange->lent = (struct forward_lent){0};
	exchange->response = (struct forward){0};
}

bool retry_by_hedge(struct exchange *exchange, const struct http_head *head)
{
	if (!exchange->hedge)
		return false;
	discard(exchange, head);
	forget_attempt(exchange);
	hedge_take_over(exchange->hedge, &exchange_dial_events);
	return true;
}

void retry_leave_first(struct exchange *exchange)
{
	struct dial *dial = &exchange->dial;
	if (dial->is_ready) {
		exchange_count_attempt(exchange);
		upstream_abort(dial_release(dial, BALANCE_LEFT));
	} else {
		dial_cancel(dial);
	}
	forget_attempt(exchange);
	hedge_take_over(exchange->hedge, &exchange_dial_events);
}

static void begin_anew(struct exchange *exchange, const struct http_head *head, uint64_t wait_ns,
		       enum weft_proxy_reason reason)
{
	struct worker *worker = exchange->session->worker;
	worker_count(worker, reason);
	exchange_count_retry(exchange);
	discard(exchange, head);
	forget_attempt(exchange);
	if (wait_ns)
		retry_wait(exchange, wait_ns);
	else
		start(exchange);
}

bool retry_answer(struct exchange *exchange, const struct http_head *head)
{
	uint64_t wait_ns;
	if (!may_retry(exchange, &wait_ns))
		return false;
	begin_anew(exchange, head, wait_ns, WEFT_PROXY_RETRIED_ANSWER);
	return true;
}

bool retry_unanswered(struct exchange *exchange, enum weft_proxy_reason reason)
{
	const struct service *service = exchange_service(exchange);
	uint64_t wait_ns;
	struct attempt_end end = {.method = (enum method_kind)exchange->method};
	if (retry_by_hedge(exchange, NULL))
		return true;
	if (!service || !classify(classifier_of(exchange, service), &end).is_retryable ||
	    !may_retry(exchange, &wait_ns))
		return false;
	begin_anew(exchange, NULL, wait_ns, reason);
	return true;
}

/* ---- limits ---- */

static unsigned timeout_status(const struct exchange *exchange)
{
	const struct settings *settings = &exchange->session->worker->snapshot->settings;
	return settings->compatibility == COMPATIBILITY_LINKERD ? 503 : 504;
}

/* Not when it was not even dialled, for lack of a socket, nor when it has taken all that a client
 * has sent that is slow to send the rest. */
static bool is_its_fault(const struct exchange *exchange)
{
	const struct dial *dial = &exchange->dial;
	bool has_taken_all = dial->is_ready && !wire_queued(&dial->upstream->wire);
	return !list_is_linked(&dial->waiting) && (exchange->request_done || !has_taken_all);
}

static void tell_timeout(struct exchange *exchange)
{
	bool is_failure = exchange->dial.upstream && is_its_fault(exchange);
	dial_tell(&exchange->dial, is_failure ? BREAKER_FAILED : BREAKER_NOT_COUNTED);
	exchange->upstream_failed = is_failure;
}

static void on_timer(struct timer *timer)
{
	struct exchange *exchange = container_of(timer, struct exchange, timer);
	uint64_t now_ns = worker_now_ns(exchange->session->worker);
	if (exchange->deadline_ns && now_ns >= exchange->deadline_ns) {
		tell_timeout(exchange);
		exchange_answer(exchange, timeout_status(exchange), WEFT_PROXY_DEADLINE_EXCEEDED,
				queue_has(exchange)
					? "the request's deadline passed while it waited for one "
					  "of the requests under way to end"
					: "no answer came before the request's deadline, second "
					  "tries included");
	} else if (exchange->wait_until_ns) {
		wait_is_over(exchange);
	} else if (exchange->hedge_due_ns && now_ns >= exchange->hedge_due_ns) {
		exchange->hedge_due_ns = 0;
		hedge_begin(exchange);
		retry_watch(exchange);
	} else {
		tell_timeout(exchange);
		if (!retry_unanswered(exchange, WEFT_PROXY_RETRIED_TIMEOUT))
			exchange_answer(exchange, timeout_status(exchange),
					WEFT_PROXY_ATTEMPT_TIMEOUT,
					"no answer came within the per-try timeout");
	}
}

void retry_timer_init(struct exchange *exchange)
{
	timer_init(&exchange->timer, on_timer);
}
