#include "proxy/mirror.h"

#include "base/mem.h"
#include "proxy/exchange.h"

struct mirror {
	struct dial dial;
	struct list link;        /* of the worker */
	struct list of_exchange; /* while the request goes on */
	struct timer timer;
	struct worker *worker;
	uint32_t series; /* of the service that gets the copy */
	struct forward request;
	bool is_head;
	bool head_seen; /* of the final answer */
	bool keep_alive;
	bool request_done;
	bool response_done;
	bool is_broken;
};

/* ---- the end ---- */

static void release(struct mirror *mirror, bool is_clean)
{
	const struct settings *settings = &mirror->worker->snapshot->settings;
	struct upstream *upstream = mirror->dial.upstream;
	if (!upstream || !mirror->dial.is_ready) {
		dial_cancel(&mirror->dial);
		return;
	}
	dial_release(&mirror->dial, is_clean ? BALANCE_ANSWERED : BALANCE_LEFT);
	if (is_clean && mirror->keep_alive && h1_is_idle(&upstream->reader))
		upstream_give(upstream, settings->upstream_idle_timeout_ns);
	else
		upstream_abort(upstream);
}

/* Here alone: a copy is no request of the service that gets it. */
static void count_end(struct worker *worker, uint32_t series, bool is_answered)
{
	struct weft_series *row = worker_row(worker, series);
	worker_count(worker, is_answered ? WEFT_PROXY_MIRRORED : WEFT_PROXY_MIRROR_FAILED);
	series_add(is_answered ? &row->mirrored : &row->mirrors_failed, 1);
}

static void end(struct mirror *mirror)
{
	struct worker *worker = mirror->worker;
	bool is_answered = mirror->response_done && !mirror->is_broken;
	count_end(worker, mirror->series, is_answered);
	worker_series_use(worker, mirror->series, -1);
	timer_clear(io_timers(worker->ring), &mirror->timer);
	release(mirror, is_answered && mirror->request_done);
	list_remove(&mirror->link);
	if (list_is_linked(&mirror->of_exchange))
		list_remove(&mirror->of_exchange);
	mem_free(mirror);
}

static void give_up(struct mirror *mirror)
{
	mirror->is_broken = true;
	end(mirror);
}

static void on_timeout(struct timer *timer)
{
	give_up(container_of(timer, struct mirror, timer));
}

/* ---- its answer ---- */

static struct mirror *of_reader(struct h1_reader *reader)
{
	return container_of(reader, struct upstream, reader)->user;
}

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	struct mirror *mirror = of_reader(reader);
	mirror->head_seen = head->status >= 200;
	mirror->keep_alive = head->keep_alive && head->framing != HTTP_UNTIL_CLOSE;
	if (head->status == 101) { /* nobody asked for it */
		mirror->is_broken = true;
		h1_stop(reader);
	}
}

static void on_body(struct h1_reader *reader, struct span bytes)
{
	(void)reader;
	(void)bytes;
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void on_complete(struct h1_reader *reader)
{
	struct mirror *mirror = of_reader(reader);
	if (!mirror->head_seen)
		return;
	mirror->response_done = true;
	h1_stop(reader);
}

static const struct h1_events answer_events = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

void mirror_upstream_data(struct mirror *mirror, struct span bytes)
{
	struct h1_reader *reader = &mirror->dial.upstream->reader;
	size_t used = h1_feed(reader, bytes);
	mirror->is_broken |= reader->error != H1_OK;
	if (used < bytes.size)
		mirror->keep_alive = false; /* bytes that nobody asked for */
	if (mirror->response_done || mirror->is_broken)
		end(mirror);
}

void mirror_upstream_eof(struct mirror *mirror)
{
	mirror->is_broken |= h1_end(&mirror->dial.upstream->reader) != H1_OK;
	mirror->keep_alive = false;
	end(mirror);
}

void mirror_upstream_failed(struct mirror *mirror)
{
	give_up(mirror);
}

/* ---- the dial ---- */

static void take_upstream(struct mirror *mirror)
{
	struct upstream *upstream = mirror->dial.upstream;
	upstream_assign(upstream, UPSTREAM_MIRROR, mirror);
	h1_reader_init(&upstream->reader, false, &answer_events, &mirror->worker->h1_limits);
	upstream->reader.answers_head = mirror->is_head;
	upstream->uses++;
	wire_read_start(&upstream->wire);
}

static void on_ready(struct dial *dial)
{
	take_upstream(container_of(dial, struct mirror, dial));
}

static void on_dial_failed(struct dial *dial, enum weft_proxy_reason reason)
{
	(void)reason;
	give_up(container_of(dial, struct mirror, dial));
}

static const struct dial_events mirror_dial_events = {
	.ready = on_ready,
	.failed = on_dial_failed,
};

/* ---- the request ---- */

static int write_head(struct mirror *mirror, const struct rewritten *forwarded)
{
	const struct http_head *head = &forwarded->head;
	struct h1_rewrite rewrite = {
		.framing = head->framing,
		.minor_version = head->minor_version,
		.keep_alive = head->minor_version > 0 || head->keep_alive,
		.extra = forwarded->extra,
		.extra_count = forwarded->extra_count,
	};
	return forward_head(&mirror->dial.upstream->wire, head, &rewrite, NULL);
}

/* False: nothing is dialled. */
static bool start(struct mirror *mirror, const struct exchange *exchange, uint32_t service_id)
{
	enum weft_proxy_reason reason;
	struct worker *worker = mirror->worker;
	dial_init(&mirror->dial, exchange->session, &mirror_dial_events);
	mirror->dial.service_id = service_id;
	mirror->dial.to_destination = false;
	mirror->dial.pool_idle_ns = worker->snapshot->settings.upstream_fresh_ns;
	if (timer_set(io_timers(worker->ring), &mirror->timer,
		      worker_now_ns(worker) + MIRROR_LIMIT_NS))
		return false;
	if (dial_start(&mirror->dial, &reason))
		return true;
	timer_clear(io_timers(worker->ring), &mirror->timer);
	return false;
}

void mirror_begin(struct exchange *exchange, const struct rewritten *forwarded, uint32_t service_id)
{
	struct worker *worker = exchange->session->worker;
	const struct service *service = snapshot_service(worker->snapshot, service_id);
	uint32_t series = service ? worker_service_series(worker, service) : SERIES_NONE;
	struct mirror *mirror = mem_zalloc(sizeof(*mirror));
	if (mirror) {
		mirror->worker = worker;
		mirror->series = series;
		mirror->is_head = exchange->is_head;
		mirror->request.framing = exchange->request.framing;
		mirror->request_done = exchange->request_done;
		list_init(&mirror->of_exchange);
		timer_init(&mirror->timer, on_timeout);
	}
	if (!mirror || !start(mirror, exchange, service_id)) {
		count_end(worker, series, false);
		mem_free(mirror);
		return;
	}
	worker_series_use(worker, series, 1);
	list_add_last(&worker->mirrors, &mirror->link);
	if (!mirror->request_done)
		list_add_last(&exchange->mirrors, &mirror->of_exchange);
	if (mirror->dial.is_ready)
		take_upstream(mirror);
	if (write_head(mirror, forwarded))
		give_up(mirror);
}

static struct mirror *of_exchange(struct list *link)
{
	return list_entry(link, struct mirror, of_exchange);
}

void mirrors_body(struct exchange *exchange, struct span bytes)
{
	const struct settings *settings = &exchange->session->worker->snapshot->settings;
	list_each (&exchange->mirrors, link) {
		struct mirror *mirror = of_exchange(link);
		struct wire *wire = &mirror->dial.upstream->wire;
		if (wire_queued(wire) > settings->window_bytes ||
		    forward_body(&mirror->request, wire, bytes, NULL))
			give_up(mirror);
	}
}

void mirrors_trailers(struct exchange *exchange, const struct http_field *fields, size_t count)
{
	list_each (&exchange->mirrors, link) {
		struct mirror *mirror = of_exchange(link);
		if (forward_trailers(&mirror->request, &mirror->dial.upstream->wire, fields, count))
			give_up(mirror);
	}
}

void mirrors_complete(struct exchange *exchange)
{
	list_each (&exchange->mirrors, link) {
		struct mirror *mirror = of_exchange(link);
		list_remove(&mirror->of_exchange);
		mirror->request_done = true;
		if (forward_end(&mirror->request, &mirror->dial.upstream->wire))
			give_up(mirror);
	}
}

void mirrors_leave(struct exchange *exchange)
{
	list_each (&exchange->mirrors, link)
		give_up(of_exchange(link));
}

void mirrors_cut_all(struct worker *worker)
{
	list_each (&worker->mirrors, link)
		give_up(list_entry(link, struct mirror, link));
}
