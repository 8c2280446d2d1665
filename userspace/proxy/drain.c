#include "proxy/drain.h"

#include "http/h1.h"

#define BYTES_MOST 65536ull
#define TIME_NS    1000000000ull

static struct upstream *of_reader(struct h1_reader *reader)
{
	return container_of(reader, struct upstream, reader);
}

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	(void)head; /* a second answer: nobody asked for it */
	h1_stop(reader);
	upstream_close(of_reader(reader));
}

static void on_body(struct h1_reader *reader, struct span bytes)
{
	struct upstream *upstream = of_reader(reader);
	(void)bytes;
	if (upstream->role != UPSTREAM_DRAINING ||
	    upstream->wire.bytes_received - upstream->drain_from <= BYTES_MOST)
		return;
	h1_stop(reader);
	upstream_close(upstream);
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void on_complete(struct h1_reader *reader)
{
	struct upstream *upstream = of_reader(reader);
	h1_stop(reader);
	if (upstream->role == UPSTREAM_DRAINING)
		upstream_give(upstream, upstream->idle_limit_ns);
}

static const struct h1_events drain_events = {
	.head = on_head,
	.body = on_body,
	.trailers = on_trailers,
	.complete = on_complete,
};

bool drain_is_worth(const struct http_head *head)
{
	bool is_long = head->framing == HTTP_UNTIL_CLOSE ||
		       (head->framing == HTTP_LENGTH && head->body_length > BYTES_MOST);
	return head->keep_alive && !is_long;
}

void drain_begin(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;
	upstream_assign(upstream, UPSTREAM_DRAINING, NULL);
	upstream->reader.events = &drain_events;
	upstream->drain_from = upstream->wire.bytes_received;
	if (timer_set(io_timers(worker->ring), &upstream->connect_timer,
		      worker_now_ns(worker) + TIME_NS)) {
		upstream_close(upstream);
		return;
	}
	wire_read_start(&upstream->wire);
}

void drain_data(struct upstream *upstream, struct span bytes)
{
	size_t used = h1_feed(&upstream->reader, bytes);
	bool is_idle = upstream->role == UPSTREAM_IDLE;
	if ((is_idle && used < bytes.size) ||
	    (upstream->role == UPSTREAM_DRAINING && upstream->reader.error != H1_OK))
		upstream_close(upstream);
}
