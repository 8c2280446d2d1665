#include "proxy/ask.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "proxy/orders.h"
#include "proxy/session.h"

#define ANSWER_NS 1000000000ull

struct part {
	struct io_mail mail;
	struct ask_place place;
	struct question *question;
	struct worker *worker;
};

struct question {
	struct ask ask;
	struct timer timer;
	struct io_mail answer_mail;
	atomic_uint left;
	unsigned count;
	bool was_answered;
	struct text about; /* the copy that ask.about is of */
	struct text texts[WEFT_WORKERS_MAX];
	struct part parts[];
};

/* ---- in the worker's thread ---- */

void ask_place_init(struct ask_place *place, struct worker *worker)
{
	place->next = worker->sessions.next;
	place->asked_ns = worker_now_ns(worker);
	list_add_last(&worker->places, &place->item);
}

struct session *ask_place_next(struct ask_place *place, struct worker *worker)
{
	struct session *session = list_entry(place->next, struct session, link);
	if (place->next == &worker->sessions || session->accepted_ns > place->asked_ns)
		return NULL;
	place->next = place->next->next;
	return session;
}

void ask_session_leaves(struct worker *worker, const struct session *session)
{
	list_each (&worker->places, item) {
		struct ask_place *place = list_entry(item, struct ask_place, item);
		if (place->next == &session->link)
			place->next = session->link.next;
	}
}

static void write_part(struct io_mail *mail)
{
	struct part *part = container_of(mail, struct part, mail);
	struct question *question = part->question;
	struct text *text = &question->texts[part - question->parts];
	if (!list_is_linked(&part->place.item))
		ask_place_init(&part->place, part->worker);
	if (question->ask.write(part->worker,
				question->about.data ? question->about.data : question->ask.pod,
				&part->place, text)) {
		io_post(part->worker->ring, mail);
		return;
	}
	list_remove(&part->place.item);
	if (atomic_fetch_sub(&question->left, 1) == 1)
		io_post(question->ask.ring, &question->answer_mail);
}

static void answer(struct question *question, const char *json)
{
	if (!question->was_answered)
		question->ask.done(question->ask.request, json);
	question->was_answered = true;
}

static void on_all_written(struct io_mail *mail)
{
	struct question *question = container_of(mail, struct question, answer_mail);
	struct text json = {0};
	bool failed = false;
	for (unsigned i = 0; i < question->count; i++)
		failed |= question->texts[i].failed;
	if (!failed)
		question->ask.join(question->texts, question->count, &json);
	timer_clear(io_timers(question->ask.ring), &question->timer);
	answer(question, failed || json.failed ? NULL : json.data);
	for (unsigned i = 0; i < question->count; i++)
		text_fini(&question->texts[i]);
	text_fini(&json);
	text_fini(&question->about);
	mem_free(question);
}

/* The question stays until the worker answers after all: it may only be slow. */
static void on_timeout(struct timer *timer)
{
	answer(container_of(timer, struct question, timer), NULL);
}

void ask_workers(const struct ask *ask)
{
	unsigned count = workers_count(ask->workers);
	struct question *question = mem_zalloc(sizeof(*question) + count * sizeof(struct part));
	if (!question) {
		ask->done(ask->request, NULL);
		return;
	}
	question->ask = *ask;
	if (ask->about.size)
		text_add(&question->about, ask->about);
	question->count = count;
	question->answer_mail.run = on_all_written;
	atomic_store(&question->left, count);
	timer_init(&question->timer, on_timeout);
	if (question->about.failed ||
	    timer_set(io_timers(ask->ring), &question->timer, io_now_ns(ask->ring) + ANSWER_NS)) {
		text_fini(&question->about);
		mem_free(question);
		ask->done(ask->request, NULL);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		struct part *part = &question->parts[i];
		part->question = question;
		part->worker = workers_at(ask->workers, i);
		part->mail.run = write_part;
		list_init(&part->place.item);
		io_post(part->worker->ring, &part->mail);
	}
}
