/* Every connection as JSON: each worker writes its own part, the last one to answer sends it. */
#include <errno.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "http/h1.h"
#include "proxy/exchange.h"
#include "proxy/orders.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

#define ANSWER_NS 1000000000ull

struct question {
	struct io_ring *ring;
	void (*done)(void *request, const char *json);
	void *request; /* NULL once it was answered */
	struct timer timer;
	struct io_mail answer_mail;
	atomic_uint left;
	unsigned count;
	struct part {
		struct io_mail mail;
		struct question *question;
		struct worker *worker;
		struct text json;
	} parts[];
};

static const char *mode_name(const struct session *session)
{
	switch ((enum session_mode)session->mode) {
	case SESSION_SNIFF:
		return "waiting";
	case SESSION_HTTP:
		return session->exchange ? "exchange" : "http_idle";
	case SESSION_TUNNEL:
		return session->tunnel->is_undecided ? "undecided" : "tunnel";
	case SESSION_ENDING:
		break;
	}
	return "ending";
}

static const struct upstream *upstream_of(const struct session *session)
{
	if (session->exchange)
		return session->exchange->dial.upstream;
	return session->tunnel ? session->tunnel->dial.upstream : session->pinned;
}

static void add_address(struct text *json, const char *key, const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	text_printf(json, ",\"%s\":\"%s\"", key, address_print(address, text));
}

static void add_session(struct text *json, const struct session *session)
{
	char text[ADDRESS_TEXT_MAX];
	const struct upstream *upstream = upstream_of(session);
	uint64_t age_ns = worker_now_ns(session->worker) - session->accepted_ns;
	text_add(json, span_text(json->size ? ",{\"pod\":" : "{\"pod\":"));
	text_json_string(json, span_text(session->pod->name));
	text_printf(json, ",\"worker\":%u,\"state\":\"%s\",\"service\":", session->worker->index,
		    mode_name(session));
	text_json_string(json, span_text(session_destination(session, text)));
	add_address(json, "destination", &session->flow.destination);
	add_address(json, "app", &session->flow.app);
	if (upstream)
		add_address(json, "endpoint", &upstream->address);
	if (session->server_name) {
		text_add(json, span_text(",\"server_name\":"));
		text_json_string(json, span_text(session->server_name));
	}
	text_printf(json,
		    ",\"age_seconds\":%llu.%03llu,\"requests\":%u,\"received_bytes\":%llu,"
		    "\"sent_bytes\":%llu,\"queued_bytes\":%zu}",
		    (unsigned long long)(age_ns / 1000000000),
		    (unsigned long long)(age_ns / 1000000 % 1000), session->exchanges,
		    (unsigned long long)session->client.bytes_received,
		    (unsigned long long)session->client.bytes_sent, wire_queued(&session->client));
}

/* In the worker's thread. */
static void ask_worker(struct io_mail *mail)
{
	struct part *part = container_of(mail, struct part, mail);
	struct question *question = part->question;
	list_each (&part->worker->sessions, link) {
		add_session(&part->json, list_entry(link, struct session, link));
	}
	if (atomic_fetch_sub(&question->left, 1) == 1)
		io_post(question->ring, &question->answer_mail);
}

static void answer(struct question *question, const char *json)
{
	if (question->request)
		question->done(question->request, json);
	question->request = NULL;
}

static void on_all_answered(struct io_mail *mail)
{
	struct question *question = container_of(mail, struct question, answer_mail);
	struct text all = {0};
	text_add(&all, span_text("["));
	for (unsigned i = 0; i < question->count; i++) {
		struct text *json = &question->parts[i].json;
		if (json->size && all.size > 1)
			text_add(&all, span_text(","));
		text_add(&all, text_span(json));
		all.failed |= json->failed;
		text_fini(json);
	}
	text_add(&all, span_text("]"));
	timer_clear(io_timers(question->ring), &question->timer);
	answer(question, all.failed ? NULL : all.data);
	text_fini(&all);
	mem_free(question);
}

/* The question stays until the worker answers after all: it may only be slow. */
static void on_timeout(struct timer *timer)
{
	answer(container_of(timer, struct question, timer), NULL);
}

void workers_connections(struct workers *workers, struct io_ring *ring,
			 void (*done)(void *request, const char *json), void *request)
{
	unsigned count = workers_count(workers);
	struct question *question = mem_zalloc(sizeof(*question) + count * sizeof(struct part));
	if (!question) {
		done(request, NULL);
		return;
	}
	question->ring = ring;
	question->done = done;
	question->request = request;
	question->count = count;
	question->answer_mail.run = on_all_answered;
	atomic_store(&question->left, count);
	timer_init(&question->timer, on_timeout);
	if (timer_set(io_timers(ring), &question->timer, io_now_ns(ring) + ANSWER_NS)) {
		mem_free(question);
		done(request, NULL);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		struct part *part = &question->parts[i];
		part->question = question;
		part->worker = workers_at(workers, i);
		part->mail.run = ask_worker;
		io_post(part->worker->ring, &part->mail);
	}
}
