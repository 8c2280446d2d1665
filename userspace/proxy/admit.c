#include "proxy/admit.h"

#include <stdio.h>

#include "policy/fault.h"
#include "proxy/answer.h"
#include "proxy/queue.h"
#include "proxy/retry.h"

#define NS_PER_S 1000000000ull

static bool is_linkerd(const struct exchange *exchange)
{
	const struct settings *settings = &exchange->session->worker->snapshot->settings;
	return settings->compatibility == COMPATIBILITY_LINKERD;
}

/* ---- time ---- */

/* Of the time for all of it; what waited for its name has had a part. 0 = no limit. */
static uint64_t left_of(const struct exchange *exchange, uint64_t total_ns)
{
	uint64_t waited_ns = worker_now_ns(exchange->session->worker) - exchange->started_ns;
	return total_ns && total_ns <= waited_ns ? 1 : total_ns - (total_ns ? waited_ns : 0);
}

static bool admit_deadline(struct exchange *exchange, const struct http_head *head,
			   const struct service *service, struct deadline *ret_deadline)
{
	struct worker *worker = exchange->session->worker;
	uint64_t total_ns = left_of(exchange, retry_total_ns(exchange, service));
	*ret_deadline = (struct deadline){0};
	if (!total_ns && !deadline_is_told(head))
		return true; /* most requests: no look at the clock */
	uint64_t wall_ns = io_wall_ns(worker->ring);
	uint64_t now_ns = worker_now_ns(worker);
	struct deadline deadline = deadline_read(head, wall_ns);
	if (deadline_has_passed(&deadline, wall_ns)) {
		exchange_answer(exchange, is_linkerd(exchange) ? 503 : 504,
				WEFT_PROXY_DEADLINE_PASSED,
				"the request's deadline had passed when it came; it was not sent");
		return false;
	}
	uint64_t left_ns = deadline_left_ns(&deadline, wall_ns);
	if (left_ns != UINT64_MAX)
		exchange->deadline_ns = now_ns + left_ns;
	if (total_ns && (!exchange->deadline_ns || now_ns + total_ns < exchange->deadline_ns))
		exchange->deadline_ns = now_ns + total_ns;
	deadline_tighten(&deadline, wall_ns, total_ns);
	*ret_deadline = deadline;
	return true;
}

/* ---- load ---- */

static void refuse_rate(struct exchange *exchange, uint64_t wait_ns)
{
	struct answer answer = {
		.status = 429,
		.text = "more requests than its limit of the rate; it was not sent",
		.is_unsent = true,
		.has_retry_after = true,
		.retry_after_s = (uint32_t)((wait_ns + NS_PER_S - 1) / NS_PER_S),
	};
	exchange_reply(exchange, &answer, WEFT_PROXY_RATE_LIMIT);
}

/* One pod's rate of those of all pods. Without memory nobody is limited. */
static uint64_t client_wait_ns(struct exchange *exchange, struct guard *guard,
			       const struct limit_rule *rule)
{
	struct worker *worker = exchange->session->worker;
	struct span name = span_text(exchange->session->pod->name);
	struct rate_limit *rates =
		node_rates(&guard->shared->clients, rule->rate_values, &worker->rng);
	if (!rates)
		return 0;
	return rate_limit_take(rates, rate_limit_key(name, rates->seed), rule->rate_values,
			       rule->client_rate_per_second, rule->client_rate_burst,
			       worker_now_ns(worker));
}

/* The same by `rate_by`. */
static uint64_t value_wait_ns(struct exchange *exchange, struct span name, struct guard *guard,
			      const struct limit_rule *rule)
{
	struct worker *worker = exchange->session->worker;
	struct rate_limit *rates =
		node_rates(&guard->shared->values, rule->rate_values, &worker->rng);
	if (!rates)
		return 0;
	return rate_limit_take(rates, rate_limit_key(name, rates->seed), rule->rate_values,
			       rule->rate_per_second, rule->rate_burst, worker_now_ns(worker));
}

static uint64_t rate_wait_ns(struct exchange *exchange, const struct http_head *head,
			     struct guard *guard, const struct service *service)
{
	const struct limit_rule *rule = &service->resilience.limit;
	struct span name = span_text(exchange->session->pod->name);
	if (rule->rate_by == RATE_BY_SERVICE)
		return token_bucket_take(&guard->shared->rate, rule->rate_per_second,
					 rule->rate_burst,
					 worker_now_ns(exchange->session->worker));
	if (rule->rate_by == RATE_BY_HEADER) {
		const struct http_field *field = http_find(head, service->rate_header);
		name = field ? field->value : span_of(NULL, 0);
	}
	return value_wait_ns(exchange, name, guard, rule);
}

static bool admit_rate(struct exchange *exchange, const struct http_head *head, struct guard *guard,
		       const struct service *service)
{
	const struct limit_rule *rule = &service->resilience.limit;
	uint64_t wait_ns = 0;
	if (rule->client_rate_per_second)
		wait_ns = client_wait_ns(exchange, guard, rule);
	if (!wait_ns && rule->rate_per_second)
		wait_ns = rate_wait_ns(exchange, head, guard, service);
	if (wait_ns)
		refuse_rate(exchange, wait_ns);
	return wait_ns == 0;
}

/* linkerd1.md S3: refused at once where there is no queue, and the hop before may try elsewhere. */
static bool admit_concurrency(struct exchange *exchange, struct guard *guard,
			      const struct service *service, uint64_t *ret_wait_ns)
{
	if (queue_admit(exchange, guard, service, ret_wait_ns) != QUEUE_FULL)
		return true;
	queue_refuse(exchange, WEFT_PROXY_CONCURRENCY_LIMIT);
	return false;
}

void admit_leave(struct exchange *exchange)
{
	queue_leave(exchange);
	if (!exchange->place)
		return;
	concurrency_leave(&exchange->place->concurrency);
	exchange->place = NULL;
	queue_wake(exchange->session->worker, exchange->route.service_id);
}

void admit_answered(const struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	if (!exchange->place || !service || !service->resilience.limit.adapts)
		return;
	uint64_t now_ns = worker_now_ns(exchange->session->worker);
	/* neither what it waited for its place, nor what it was delayed on purpose */
	uint64_t from_ns = exchange->place_ns > exchange->started_ns ? exchange->place_ns
								     : exchange->started_ns;
	concurrency_answered(&exchange->place->concurrency, service->resilience.limit.concurrency,
			     now_ns > from_ns ? now_ns - from_ns : 0, now_ns);
}

/* ---- faults ---- */

static bool admit_fault(struct exchange *exchange, const struct http_head *head,
			const struct fault_rule *rule, uint64_t *ret_delay_ns)
{
	struct worker *worker = exchange->session->worker;
	struct fault fault = fault_pick(rule, head, &worker->rng);
	*ret_delay_ns = fault.delay_ns;
	if (fault.delay_ns) {
		worker_count(worker, WEFT_PROXY_FAULT_DELAYED);
		series_add(&worker_row(worker, exchange->series)->faults_delayed, 1);
		exchange->started_ns += fault.delay_ns; /* the delay is nobody's latency */
	}
	exchange->abort_status = fault.status;
	if (!fault.status || fault.delay_ns)
		return true; /* after the delay */
	exchange_abort_on_purpose(exchange);
	return false;
}

bool admit(struct exchange *exchange, const struct http_head *head, struct deadline *ret_deadline,
	   uint64_t *ret_delay_ns)
{
	struct worker *worker = exchange->session->worker;
	const struct service *service = exchange_service(exchange);
	*ret_delay_ns = 0;
	if (!admit_deadline(exchange, head, service, ret_deadline))
		return false;
	struct guard *guard = service ? guard_service(worker, service) : NULL;
	if (!guard)
		return true;
	const struct resilience *rules = &service->resilience;
	if (!admit_rate(exchange, head, guard, service) ||
	    !admit_concurrency(exchange, guard, service, ret_delay_ns))
		return false;
	if (retry_attempts_most(exchange, service) > 1 || hedge_is_wanted(&rules->hedge))
		retry_budget_deposit(&guard->shared->budget, &rules->retry.budget,
				     worker_now_ns(worker));
	uint64_t delay_ns;
	if (!admit_fault(exchange, head, &rules->fault, &delay_ns))
		return false;
	if (queue_has(exchange))
		exchange->delay_ns = delay_ns;
	else
		*ret_delay_ns = delay_ns;
	return true;
}
