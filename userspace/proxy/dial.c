#include "proxy/dial.h"

#include <errno.h>

#include "base/log.h"
#include "policy/balance_key.h"
#include "proxy/guard.h"
#include "proxy/leg.h"
#include "proxy/queue.h"
#include "proxy/session.h"

/* What the balancer or the original destination gives for one attempt. */
struct target {
	struct weft_address address;
	uint32_t endpoint_id;
	struct series_pair series;
	struct balance_attempt attempt;
};

void dial_init(struct dial *dial, const struct session *session, const struct dial_events *events)
{
	*dial = (struct dial){
		.events = events,
		.worker = session->worker,
		.pod = session->pod,
		.service_id = session->service_id,
		.to_destination = session->service_id == 0 ||
				  (session->destination_flags & WEFT_DESTINATION_ENDPOINT),
		.destination = session->destination,
		.series = {session->series, SERIES_NONE},
	};
	list_init(&dial->waiting);
	if (!address_is_loopback(&session->app)) {
		dial->local = session->app;
		dial->local.port = 0;
	}
}

/* ---- caps of endpoints ---- */

static void leave_seat(struct dial *dial)
{
	if (!dial->seat)
		return;
	concurrency_leave(&dial->seat->seats);
	dial->seat = NULL;
	queue_wake(dial->worker, dial->service_id);
}

/* True: it may go there, and counts. */
static bool take_seat(struct dial *dial, const struct service *service,
		      const struct endpoint *endpoint)
{
	uint32_t cap = service->resilience.limit.endpoint_concurrency;
	struct node_endpoint *entry = NULL;
	if (dial->takes_seat && cap && dial->worker->node)
		entry = node_endpoint(dial->worker->node, endpoint);
	if (!entry)
		return true;
	if (!concurrency_enter(&entry->seats, cap))
		return false;
	dial->seat = entry;
	return true;
}

bool dial_take_seat(struct dial *dial, const struct upstream *upstream)
{
	const struct service *service =
		snapshot_service(dial->worker->snapshot, upstream->service_id);
	const struct endpoint *endpoint =
		service ? service_endpoint(service, upstream->endpoint_id) : NULL;
	leave_seat(dial);
	return !endpoint || take_seat(dial, service, endpoint);
}

/* ---- what to dial ---- */

static void avoid(struct dial *dial, uint32_t endpoint_id)
{
	if (dial->tried_count == DIAL_ATTEMPTS_MAX)
		dial->tried_count = 0; /* many tries later: no matter which was first */
	dial->tried[dial->tried_count++] = endpoint_id;
}

void dial_fork(struct dial *dial, const struct dial *from, const struct dial_events *events)
{
	*dial = *from;
	dial->events = events;
	list_init(&dial->waiting);
	dial->attempts = 0;
	if (from->upstream)
		avoid(dial, from->upstream->endpoint_id);
	dial->upstream = NULL;
	dial->owes_outcome = false;
	dial->seat = NULL;
}

/* The one address that the app asked for, counted as the endpoint that it is. */
static bool pick_destination(struct dial *dial, const struct service *service, struct target *ret,
			     enum weft_proxy_reason *ret_reason)
{
	const struct endpoint *endpoint =
		service ? service_endpoint_at(service, &dial->destination) : NULL;
	*ret = (struct target){
		.address = dial->destination,
		.endpoint_id = ENDPOINT_ID_NONE,
		.series = dial->series,
	};
	if (endpoint) {
		ret->endpoint_id = endpoint->id;
		balance_place(&dial->worker->balances, service, endpoint, &ret->attempt);
		ret->series.endpoint = worker_endpoint_series(dial->worker, service, endpoint);
	}
	*ret_reason = WEFT_PROXY_DIAL_FAILED;
	if (dial->attempts)
		return false;
	leave_seat(dial);
	*ret_reason = WEFT_PROXY_CONCURRENCY_LIMIT;
	return !endpoint || take_seat(dial, service, endpoint);
}

/* One that is at its cap is none for this pick; one that is left out for its failures takes no
 * overflow of the others. */
static const struct endpoint *pick_with_seat(struct dial *dial, const struct service *service,
					     const struct balance_request *request,
					     bool *ret_is_full)
{
	struct worker *worker = dial->worker;
	struct balance_request next = *request;
	uint32_t tried[BALANCE_TRIED_MOST];
	leave_seat(dial);
	if (next.tried_count)
		memcpy(tried, next.tried, next.tried_count * sizeof(*tried));
	next.tried = tried;
	*ret_is_full = false;
	for (;;) {
		const struct endpoint *endpoint =
			balance_pick(&worker->balances, service, &next, &worker->rng);
		if (!endpoint || (*ret_is_full && guard_is_out(worker, endpoint->id)))
			return NULL;
		if (take_seat(dial, service, endpoint))
			return endpoint;
		*ret_is_full = true;
		if (next.tried_count == BALANCE_TRIED_MOST)
			return NULL;
		tried[next.tried_count++] = endpoint->id;
	}
}

static bool pick_target(struct dial *dial, struct target *ret, enum weft_proxy_reason *ret_reason)
{
	struct worker *worker = dial->worker;
	const struct service *service = snapshot_service(worker->snapshot, dial->service_id);
	if (dial->to_destination)
		return pick_destination(dial, service, ret, ret_reason);
	const struct endpoint *endpoint = NULL;
	bool is_full = false;
	if (service) {
		struct balance_request request = {
			.now_ns = worker_now_ns(worker),
			.tried = dial->tried,
			.tried_count = dial->tried_count,
			.has_key = dial->has_key,
			.key = dial->key,
			.has_token = dial->has_token,
			.token = dial->token,
		};
		memcpy(request.client_ip, dial->local.ip, sizeof(request.client_ip));
		if (!dial->has_key)
			request.has_key =
				balance_key(service, NULL, request.client_ip, &request.key);
		const struct guard *guard = guard_service(worker, service);
		endpoint = pick_with_seat(dial, service, &request, &is_full);
		if (endpoint && guard)
			guard_picked(worker, service, endpoint);
	}
	if (!endpoint) {
		*ret_reason = is_full          ? WEFT_PROXY_CONCURRENCY_LIMIT
			      : dial->attempts ? WEFT_PROXY_DIAL_FAILED
					       : WEFT_PROXY_NO_ENDPOINT;
		return false;
	}
	*ret = (struct target){
		.address = endpoint->address,
		.endpoint_id = endpoint->id,
		.series = {worker_service_series(worker, service),
			   worker_endpoint_series(worker, service, endpoint)},
	};
	balance_place(&worker->balances, service, endpoint, &ret->attempt);
	return true;
}

static struct upstream *new_attempt(struct dial *dial, const struct target *target)
{
	struct upstream *upstream = upstream_new(dial->pod, &target->address);
	if (!upstream)
		return NULL;
	upstream->service_id = dial->service_id;
	upstream->endpoint_id = target->endpoint_id;
	upstream->attempt = target->attempt;
	upstream_set_series(upstream, target->series);
	upstream->role = UPSTREAM_DIALLING;
	upstream->user = dial;
	return upstream;
}

/*
 * An original destination gets the kernel's own patience: a direct dial would have had it too, and
 * there is no other endpoint to turn to.
 */
static uint64_t patience_ns(const struct dial *dial)
{
	const struct settings *settings = &dial->worker->snapshot->settings;
	return dial->to_destination && !dial->is_named ? 0 : settings->connect_timeout_ns;
}

/* The kernel counts this connection under its service (weft_traffic); it was marked as ours,
 * without a service, when it entered the stock. */
static void name_service(const struct dial *dial, int fd)
{
	bool is_auto = false;
	struct weft_socket mark = {
		.role = WEFT_SOCKET_UPSTREAM,
		.pod_id = dial->pod->id,
		.worker = dial->worker->index,
		.service_id = dial->service_id,
		.shortcut_window = leg_window(dial->worker, dial->pod, dial->service_id, &is_auto),
	};
	mark.shortcut_is_auto = is_auto;
	dial->upstream->may_have_leg = mark.shortcut_window > 0;
	dial->upstream->has_auto_leg = is_auto;
	if (dial->service_id && kernel_socket_mark(dial->worker->kernel, fd, &mark))
		log_debug("service_not_marked", "service_id=%u", dial->service_id);
}

/* A family that the pod does not have fails in the next turn, as any failure comes from the loop.
 */
static void fail_soon(struct dial *dial, int error)
{
	struct worker *worker = dial->worker;
	uint64_t now_ns = worker_now_ns(worker);
	dial->wait_error = error;
	dial->waits_until_ns = now_ns;
	list_add_last(&worker->waiting_dials, &dial->waiting);
	if (timer_set(io_timers(worker->ring), &worker->tick, now_ns))
		log_debug("tick_not_hastened", "worker=%u", worker->index);
}

/* The socket comes from the stock; an empty one makes the dial wait for the helper thread. */
static void connect_or_wait(struct dial *dial)
{
	const struct settings *settings = &dial->worker->snapshot->settings;
	struct upstream *upstream = dial->upstream;
	bool v4 = address_is_v4(&upstream->address);
	int fd = stock_take(dial->pod->share, v4 ? AF_INET : AF_INET6);
	if (fd < 0 && fd != -EAGAIN) {
		fail_soon(dial, fd);
		return;
	}
	if (fd < 0) {
		dial->wait_error = -EAGAIN;
		dial->waits_until_ns = worker_now_ns(dial->worker) + settings->connect_timeout_ns;
		list_add_last(&dial->worker->waiting_dials, &dial->waiting);
		return;
	}
	name_service(dial, fd);
	upstream_dial(upstream, fd, &dial->local, patience_ns(dial));
}

/* An endpoint that does not accept must not look idle, so attempts count as its load too. */
void dial_hold(struct dial *dial, struct upstream *upstream)
{
	dial->upstream = upstream;
	dial->owes_outcome = upstream->endpoint_id != ENDPOINT_ID_NONE;
	balance_begin(&dial->worker->balances, &upstream->attempt, worker_now_ns(dial->worker));
}

void dial_time_anew(struct dial *dial)
{
	struct balances *balances = &dial->worker->balances;
	uint64_t now_ns = worker_now_ns(dial->worker);
	balance_end(balances, &dial->upstream->attempt, now_ns, BALANCE_UNTIMED);
	balance_begin(balances, &dial->upstream->attempt, now_ns);
}

void dial_answered(const struct dial *dial)
{
	balance_answered(&dial->worker->balances, &dial->upstream->attempt,
			 worker_now_ns(dial->worker));
}

void dial_tell(struct dial *dial, enum breaker_outcome outcome)
{
	if (!dial->owes_outcome || !dial->upstream)
		return;
	dial->owes_outcome = false;
	guard_tell(dial->worker, &dial->upstream->attempt, outcome);
}

static void end_attempt(struct worker *worker, struct upstream *upstream,
			enum balance_outcome outcome)
{
	struct balance_attempt *attempt = &upstream->attempt;
	balance_end(&worker->balances, attempt, worker_now_ns(worker), outcome);
	if (attempt->cost_ns > 0)
		series_tell_cost(worker_row(worker, upstream->series.endpoint),
				 (uint64_t)attempt->cost_ns, attempt->cost_at_ns);
}

struct upstream *dial_release(struct dial *dial, enum balance_outcome outcome)
{
	struct upstream *upstream = dial->upstream;
	dial_tell(dial, BREAKER_NOT_COUNTED);
	leave_seat(dial);
	if (upstream)
		end_attempt(dial->worker, upstream, outcome);
	dial->upstream = NULL;
	return upstream;
}

bool dial_start(struct dial *dial, enum weft_proxy_reason *ret_reason)
{
	struct target target;
	list_init(&dial->waiting);
	dial->is_ready = false;
	dial->was_open = false;
	dial->upstream = NULL;
	if (!pick_target(dial, &target, ret_reason))
		return false;
	dial->last_address = target.address;
	struct upstream *upstream = NULL;
	if (dial->pool_idle_ns)
		upstream =
			upstream_take(dial->pod, &target.address, &dial->local, dial->pool_idle_ns);
	if (upstream) {
		dial->was_open = dial->is_ready = true;
		upstream->service_id = dial->service_id;
		upstream->endpoint_id = target.endpoint_id;
		upstream->attempt = target.attempt;
		upstream_set_series(upstream, target.series);
		dial_hold(dial, upstream);
		return true;
	}
	upstream = new_attempt(dial, &target);
	if (!upstream) {
		leave_seat(dial);
		*ret_reason = WEFT_PROXY_OUT_OF_MEMORY;
		return false;
	}
	dial_hold(dial, upstream);
	connect_or_wait(dial);
	return true;
}

void dial_connected(struct dial *dial)
{
	dial->is_ready = true;
	dial->events->ready(dial);
}

/* Some attempts are always allowed. Of pods that end together many may be picked before anyone
 * tells that they do: who is refused, which takes no time, goes on while the budget lasts. */
static bool may_try_again(const struct dial *dial)
{
	const struct snapshot *snapshot = dial->worker->snapshot;
	const struct service *service = snapshot_service(snapshot, dial->service_id);
	if (dial->to_destination || !service || dial->attempts >= DIAL_ATTEMPTS_MAX)
		return false;
	if (dial->attempts < snapshot->settings.connect_attempts)
		return true;
	bool is_another_left = dial->attempts < service->ready_count;
	return dial->error == -ECONNREFUSED && is_another_left &&
	       guard_may_requeue(dial->worker, service);
}

/* Another endpoint; when there is none left, one that was merely slow may be asked once more: a
 * full backlog drops the first SYN, and a direct dial would have sent a second. */
static bool pick_next(struct dial *dial, struct target *ret, enum weft_proxy_reason *ret_reason)
{
	if (pick_target(dial, ret, ret_reason))
		return true;
	if (dial->error != -ETIMEDOUT)
		return false;
	dial->tried_count = 0;
	return pick_target(dial, ret, ret_reason);
}

void dial_avoid(struct dial *dial)
{
	if (dial->upstream)
		avoid(dial, dial->upstream->endpoint_id);
}

static void count_failure(struct dial *dial)
{
	const struct upstream *upstream = dial->upstream;
	series_add(&worker_row(dial->worker, upstream->series.service)->connect_failures, 1);
	series_add(&worker_row(dial->worker, upstream->series.endpoint)->connect_failures, 1);
}

/* Not what this node lacks, nor what its kernel does not let this pod do: other pods may. */
static bool speaks_of_endpoint(int error)
{
	switch (-error) {
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
	case ENETUNREACH: /* no route: EHOSTUNREACH is what the other side may tell */
	case ENETDOWN:
	case EPERM: /* a firewall's or a policy's word */
	case EACCES:
		return false;
	default:
		return true;
	}
}

void dial_attempt_failed(struct dial *dial, int error)
{
	struct target target;
	enum weft_proxy_reason reason = WEFT_PROXY_DIAL_FAILED;
	count_failure(dial);
	dial_tell(dial, speaks_of_endpoint(error) ? BREAKER_FAILED : BREAKER_NOT_COUNTED);
	struct upstream *old = dial_release(dial, BALANCE_FAILED);
	dial->error = error;
	avoid(dial, old->endpoint_id);
	dial->attempts++;

	struct upstream *next = NULL;
	if (may_try_again(dial) && pick_next(dial, &target, &reason))
		next = new_attempt(dial, &target);
	if (next) {
		dial->last_address = target.address;
		wire_move_queue(&old->wire, &next->wire);
		dial_hold(dial, next);
		upstream_abort(old);
		connect_or_wait(dial);
		return;
	}
	upstream_abort(old);
	leave_seat(dial);
	dial->events->failed(dial, reason == WEFT_PROXY_CONCURRENCY_LIMIT ? reason
									  : WEFT_PROXY_DIAL_FAILED);
}

void dial_cancel(struct dial *dial)
{
	if (list_is_linked(&dial->waiting))
		list_remove(&dial->waiting);
	bool is_tunnel = dial->upstream && dial->upstream->role == UPSTREAM_TUNNEL;
	upstream_abort(dial_release(dial, is_tunnel ? BALANCE_UNTIMED : BALANCE_LEFT));
}

void dial_move(struct dial *from, struct dial *to, const struct dial_events *events)
{
	bool is_waiting = list_is_linked(&from->waiting);
	if (is_waiting)
		list_remove(&from->waiting);
	struct node_endpoint *seat = to->seat ? to->seat : from->seat;
	bool takes_seat = to->takes_seat || from->takes_seat;
	*to = *from;
	to->seat = seat;
	to->takes_seat = takes_seat;
	to->events = events;
	list_init(&to->waiting);
	if (is_waiting)
		list_add_last(&to->worker->waiting_dials, &to->waiting);
	if (to->upstream && to->upstream->role == UPSTREAM_DIALLING)
		to->upstream->user = to;
	from->upstream = NULL;
	from->owes_outcome = false;
	from->seat = NULL;
}

void dials_retry(struct worker *worker)
{
	uint64_t now_ns = worker_now_ns(worker);
	struct list again;
	list_init(&again);
	list_each (&worker->waiting_dials, link) {
		list_remove(link);
		list_add_last(&again, link);
	}
	while (!list_is_empty(&again)) {
		struct dial *dial = list_entry(again.next, struct dial, waiting);
		list_remove(&dial->waiting);
		if (now_ns >= dial->waits_until_ns) {
			if (dial->wait_error == -EAGAIN)
				worker_count(worker, WEFT_PROXY_NO_SOCKET);
			dial_attempt_failed(dial, dial->wait_error);
			continue;
		}
		uint64_t until_ns = dial->waits_until_ns;
		connect_or_wait(dial);
		if (list_is_linked(&dial->waiting))
			dial->waits_until_ns = until_ns;
	}
}
