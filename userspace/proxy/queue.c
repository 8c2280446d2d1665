#include "proxy/queue.h"

#include "base/mem.h"
#include "proxy/answer.h"
#include "proxy/retry.h"

static uint64_t now_of(const struct exchange *exchange)
{
	return worker_now_ns(exchange->session->worker);
}

static struct queue *queue_of(const struct worker *worker, uint32_t service_id)
{
	return service_id < worker->guard_count ? worker->guards[service_id].queue : NULL;
}

static bool is_empty(const struct queue *queue)
{
	return !queue || list_is_empty(&queue->waiting);
}

static struct exchange *first_of(const struct worker *worker, uint32_t service_id)
{
	const struct queue *queue = queue_of(worker, service_id);
	if (is_empty(queue))
		return NULL;
	return list_entry(queue->waiting.next, struct exchange, queued);
}

/* ---- whose turn it is ---- */

static uint32_t heir_name(const struct worker *worker)
{
	return worker->index + 1;
}

/* Asked by the first of this worker's queue. */
static bool is_our_turn(const struct worker *worker, const struct guard *guard)
{
	_Atomic uint32_t *place = &guard->shared->heir;
	uint32_t own = heir_name(worker);
	uint32_t heir = atomic_load_explicit(place, memory_order_relaxed);
	uint64_t waited_ns = worker_now_ns(worker) - guard->queue->served_ns;
	if (heir == 0 && waited_ns >= QUEUE_PATIENCE_NS &&
	    atomic_compare_exchange_strong(place, &heir, own))
		return true;
	return heir == 0 || heir == own;
}

static void end_turn(const struct worker *worker, struct node_service *shared)
{
	uint32_t own = heir_name(worker);
	if (atomic_load_explicit(&shared->heir, memory_order_relaxed) == own)
		atomic_compare_exchange_strong(&shared->heir, &own, 0);
}

/* ---- waiting ---- */

/* The first one looks often, as other workers free places, too. */
static uint64_t next_look_ns(const struct exchange *exchange)
{
	uint64_t now_ns = now_of(exchange);
	bool is_first = first_of(exchange->session->worker, exchange->route.service_id) == exchange;
	uint64_t left_ns =
		exchange->queue_until_ns > now_ns ? exchange->queue_until_ns - now_ns : 0;
	return is_first && left_ns > QUEUE_LOOK_NS ? QUEUE_LOOK_NS : left_ns;
}

/* False: full, or short of memory, which is answered alike. */
static bool join(struct exchange *exchange, struct guard *guard, const struct limit_rule *rule,
		 bool goes_first)
{
	if (!goes_first && blocks_are_short(&exchange->session->worker->blocks))
		return false;
	if (!guard->queue) {
		guard->queue = mem_alloc(sizeof(*guard->queue));
		if (!guard->queue)
			return false;
		list_init(&guard->queue->waiting);
		guard->queue->served_ns = 0;
	}
	if (!concurrency_queue(&guard->shared->concurrency, goes_first ? UINT32_MAX : rule->queue))
		return false;
	exchange->queue_place = guard->shared;
	if (is_empty(guard->queue) && !goes_first)
		guard->queue->served_ns = now_of(exchange);
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
	const struct service *service = exchange_service(exchange);
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

/* The next one looks from now on. */
static void step_out(struct exchange *exchange)
{
	concurrency_unqueue(&exchange->queue_place->concurrency);
	exchange->queue_place = NULL;
	list_remove(&exchange->queued);
	queue_wake(exchange->session->worker, exchange->route.service_id);
}

bool queue_turn(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	const struct service *service = exchange_service(exchange);
	struct guard *guard = service ? guard_service(worker, service) : NULL;
	bool is_first = first_of(worker, exchange->route.service_id) == exchange;
	if (now_of(exchange) >= exchange->queue_until_ns) {
		queue_refuse(exchange, WEFT_PROXY_QUEUE_TIMEOUT);
		return false;
	}
	/* a service that is gone has no cap any more */
	if (is_first && (!guard || (is_our_turn(worker, guard) &&
				    enter(exchange, guard->shared, &service->resilience.limit)))) {
		step_out(exchange);
		if (guard && exchange->delay_ns) {
			/* it keeps its place over the delay, but nobody waiting for another */
			guard->queue->served_ns = now_of(exchange);
			end_turn(worker, guard->shared);
		}
		return true;
	}
	retry_wait(exchange, next_look_ns(exchange));
	return false;
}

bool queue_moved(struct exchange *exchange)
{
	const struct service *service = exchange_service(exchange);
	struct guard *guard = service ? guard_service(exchange->session->worker, service) : NULL;
	uint64_t wait_ns;
	enum queue_answer answer =
		guard ? queue_admit(exchange, guard, service, &wait_ns) : QUEUE_MAY_GO;
	if (answer == QUEUE_WAITS)
		retry_wait(exchange, wait_ns);
	else if (answer == QUEUE_FULL)
		queue_refuse(exchange, WEFT_PROXY_CONCURRENCY_LIMIT);
	return answer == QUEUE_MAY_GO;
}

void queue_wake(struct worker *worker, uint32_t service_id)
{
	struct exchange *first = first_of(worker, service_id);
	if (first && first->wait_until_ns)
		retry_wait_less(first);
}

void queue_served(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	struct queue *queue = queue_of(worker, exchange->route.service_id);
	if (!exchange->queue_until_ns || !queue)
		return;
	exchange->queue_until_ns = 0;
	exchange->place_ns = queue->served_ns = now_of(exchange);
	end_turn(worker, worker->guards[exchange->route.service_id].shared);
}

void queue_leave(struct exchange *exchange)
{
	struct worker *worker = exchange->session->worker;
	uint32_t service_id = exchange->route.service_id;
	if (exchange->queue_place)
		step_out(exchange);
	if (exchange->queue_until_ns && is_empty(queue_of(worker, service_id)))
		end_turn(worker, worker->guards[service_id].shared);
	exchange->queue_until_ns = 0;
}

static const char *refusal(enum weft_proxy_reason reason)
{
	switch (reason) {
	case WEFT_PROXY_QUEUE_TIMEOUT:
		return "it waited too long for one of the requests under way to end";
	case WEFT_PROXY_CLIENT_CLOSED:
		return "its client ended its side while it waited for a request under way to end";
	default:
		return "too many requests to it are under way";
	}
}

void queue_refuse(struct exchange *exchange, enum weft_proxy_reason reason)
{
	struct answer answer = {
		.status = 503,
		.text = refusal(reason),
		.is_unsent = !exchange->was_sent,
		.is_nack = !exchange->was_sent,
		.has_retry_after = true,
	};
	exchange_reply(exchange, &answer, reason);
}

void queues_fini(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->guard_count; i++)
		mem_free(worker->guards[i].queue);
}
