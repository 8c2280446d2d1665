#include "proxy/park.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/exchange.h"
#include "proxy/orders.h"
#include "proxy/tunnel.h"

#define AGAIN_NS 1000000000ull

static uint64_t deadline_ns(const struct parked *parked)
{
	const struct worker *worker = parked->session->worker;
	return parked->since_ns + worker->snapshot->settings.connect_timeout_ns;
}

static bool is_over(const struct parked *parked)
{
	return worker_now_ns(parked->session->worker) >= deadline_ns(parked);
}

static struct parked *parked_new(struct session *session, const struct http_head *head)
{
	struct worker *worker = session->worker;
	size_t bytes = http_head_bytes(head);
	if (worker->parked_count >= PARKED_MOST || bytes > PARKED_BYTES_MOST - worker->parked_bytes)
		return NULL;
	struct parked *parked = mem_zalloc(sizeof(*parked));
	if (!parked)
		return NULL;
	parked->session = session;
	parked->bytes = bytes;
	parked->since_ns = worker_now_ns(worker);
	parked->head = http_head_copy(head);
	if (parked->head)
		return parked;
	mem_free(parked);
	return NULL;
}

static void parked_free(struct parked *parked)
{
	mem_free(parked->head);
	mem_free(parked);
}

/* ---- into the line and out of it ---- */

static void leave(struct parked *parked)
{
	struct session *session = parked->session;
	timer_clear(io_timers(session->worker->ring), &session->timer);
	list_remove(&parked->item);
	session->worker->parked_count--;
	session->worker->parked_bytes -= parked->bytes;
	session->parked = NULL;
}

bool park(struct session *session, const struct http_head *head, struct parked *again)
{
	struct worker *worker = session->worker;
	struct parked *parked = again ? again : parked_new(session, head);
	if (!parked)
		return false;
	bool waits = !is_over(parked) &&
		     timer_set(io_timers(worker->ring), &session->timer, deadline_ns(parked)) == 0;
	if (!waits) {
		if (!again)
			parked_free(parked);
		return false;
	}
	if (!again)
		worker_count(worker, WEFT_PROXY_NAME_WAITED);
	/* Dialled before the request was known: it is for nobody. */
	if (session->tunnel)
		tunnel_free(session->tunnel);
	list_add_last(&worker->parked, &parked->item);
	worker->parked_count++;
	worker->parked_bytes += parked->bytes;
	session->parked = parked;
	h1_stop(&session->reader);
	return true;
}

void park_leave(struct session *session)
{
	struct parked *parked = session->parked;
	if (!parked)
		return;
	leave(parked);
	parked_free(parked);
}

static void try_again(struct parked *parked)
{
	struct session *session = parked->session;
	leave(parked);
	exchange_begin_again(session, parked);
	if (session->parked)
		return;
	parked_free(parked);
	session_goes_on(session);
}

void park_give_up(struct session *session)
{
	try_again(session->parked);
}

/* Those that wait on are behind the others. */
void park_wake(struct worker *worker)
{
	for (uint32_t left = worker->parked_count; left && !list_is_empty(&worker->parked); left--)
		try_again(list_entry(worker->parked.next, struct parked, item));
}

/* ---- what namers are to find out ---- */

void park_want(struct worker *worker, const char *service)
{
	struct span name = span_text(service);
	uint32_t hash = hash_text(name, 0);
	struct want *want = &worker->wants[hash % WORKER_WANTS];
	uint64_t now_ns = worker_now_ns(worker);
	if (want->hash == hash && want->said_ns && now_ns - want->said_ns < AGAIN_NS)
		return;
	*want = (struct want){hash, now_ns};
	workers_told_wanted(worker->workers, name);
}
