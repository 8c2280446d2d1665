#include "proxy/queue.h"

#include "base/mem.h"
#include "proxy/answer.h"
#include "proxy/retry.h"

static const struct service *service_of(const struct exchange *exchange)
{
	return snapshot_service(exchange->session->worker->snapshot, exchange->route.service_id);
}

static uint64_t now_of(const struct exchange *exchange)
{
	return worker_now_ns(exchange->session->worker);
}

static struct queue *queue_of(const struct worker *worker, uint32_t service_id)
{
	return service_id < worker->guard_count ? worker->guards[service_id].queue : NULL;
}

static struct exchange *first_of(const struct worker *worker, uint32_t service_id)
{
	const struct queue *queue = queue_of(worker, service_id);
	if (!queue || list_is_empty(&queue->waiting))
		return NULL;
	return list_entry(queue->waiting.next, struct exchange, queued);
}

/* The first one looks often, as other workers free places, too. */
static uint64_t next_look_ns(const struct exchange *exchange)
{
	uint64_t now_ns = now_of(exchange);
	bool is_first = first_of(exchange->session->worker, exchange->route.service_id) == exchange;
	uint64_t left_ns =
		exchange->queue_until_ns > now_ns ? exchange->queue_until_ns - now_ns : 0;
	return is_first && left_ns > QUEUE_LOOK_NS ? QUEUE_LOOK_NS : left_ns;
}

/* False: full, or out of memory, which is answered alike. */
static bool join(struct exchange *exchange, struct guard *guard, const struct limit_rule *rule,
		 bool goes_first)
{
	if (!guard->queue) {
		guard->queue = mem_alloc(sizeof(*guard->queue));
		if (!guard->queue)
			return false;
		list_init(&guard->queue->waiting);
	}
	if (!concurrency_queue(&guard->shared->concurrency, goes_first ? UINT32_MAX : rule->queue))
		return false;
	exchange->queue_place = guard->shared;
	if (!exchange->queue_until_ns)
		exchange->queue_until_ns = now_of(exchange) + rule->queue_wait_ns;
	if (goes_first)
		list_add_first(&guard->queue->waiting, &exchange->queued);
	else
		list_add_last(&guard->queue->waiting, &exchange->queued);
	return true;
}

static bool enter(struct exchange *exchange, struct node_service *shared,
		  const struct limit_rule *rule)
{
	uint32_t cap = rule->concurrency;
	if (exchange->place || (!cap && !rule->adapts))
		return true;
	if (rule->adapts)
		cap = concurrency_limit(&shared->concurrency, cap);
	if (!concurrency_enter(&shared->concurrency, cap))
		return false;
	exchange->place = shared;
	exchange->place_ns = now_of(exchange);
	return true;
}

enum queue_answer queue_admit(struct exchange *exchange, struct guard *guard,
			      const struct service *service, uint64_t *ret_wait_ns)
{
	const struct limit_rule *rule = &service->resilience.limit;
	bool must_wait = rule->queue && concurrency_queued(&guard->shared->concurrency);
	if (!must_wait && enter(exchange, guard->shared, rule))
		return QUEUE_MAY_GO;
	if (!rule->queue || !join(exchange, guard, rule, false))
		return QUEUE_FULL;
	worker_count(exchange->session->worker, WEFT_PROXY_QUEUED);
	*ret_wait_ns = next_look_ns(exchange);
	return QUEUE_WAITS;
}

bool queue_for_endpoint(struct exchange *exchange, uint64_t *ret_wait_ns)
{
	const struct service *service = service_of(exchange);
	struct guard *guard = service ? guard_service(exchange->session->worker, service) : NULL;
	const struct limit_rule *rule = service ? &service->resilience.limit : NULL;
	bool waited = exchange->queue_until_ns != 0;
	if (!guard || !rule->queue || (waited && now_of(exchange) >= exchange->queue_until_ns) ||
	    !join(exchange, guard, rule, waited))
		return false;
	if (!waited)
		worker_count(exchange->session->worker, WEFT_PROXY_QUEUED);
	*ret_wait_ns = next_look_ns(exchange);
	return true;
}

bool queue_turn(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	const struct service *service = service_of(exchange);
	struct guard *guard = service ? guard_service(worker, service) : NULL;
	bool is_first = first_of(worker, exchange->route.service_id) == exchange;
	if (now_of(exchange) >= exchange->queue_until_ns) {
		queue_refuse(exchange, WEFT_PROXY_QUEUE_TIMEOUT);
		return false;
	}
	/* a service that is gone has no cap any more */
	if (is_first && (!guard || enter(exchange, guard->shared, &service->resilience.limit))) {
		queue_leave(exchange);
		return true;
	}
	retry_wait(exchange, next_look_ns(exchange));
	return false;
}

void queue_wake(struct worker *worker, uint32_t service_id)
{
	struct exchange *first = first_of(worker, service_id);
	if (first && first->wait_until_ns)
		retry_wait_less(first);
}

void queue_leave(struct exchange *exchange)
{
	if (!exchange->queue_place)
		return;
	concurrency_unqueue(&exchange->queue_place->concurrency);
	exchange->queue_place = NULL;
	list_remove(&exchange->queued);
	/* the next one looks from now on */
	queue_wake(exchange->session->worker, exchange->route.service_id);
}

void queue_refuse(struct exchange *exchange, enum weft_proxy_reason reason)
{
	struct answer answer = {
		.status = 503,
		.text = reason == WEFT_PROXY_QUEUE_TIMEOUT
				? "it waited too long for one of the requests under way to end; "
				  "it was not sent"
				: "too many requests to it are under way; it was not sent",
		.is_unsent = true,
		.is_nack = true,
		.has_retry_after = true,
	};
	exchange_reply(exchange, &answer, reason);
}

void queues_fini(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->guard_count; i++)
		mem_free(worker->guards[i].queue);
}
