#include "kube/notes.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

#define QUEUE_MOST 64
#define TRIES_MOST 5
/* Between two requests; after a failure. */
#define PAUSE_NS    200000000ull
#define FAILURE_NS  5000000000ull
#define QUIET_NS    10000000000ull
#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

struct note {
	struct list queue;
	struct text target;
	struct text body;
	unsigned tries;
};

static const char *const kinds[KUBE_KINDS] = {
	[KUBE_PODS] = "Pod",         [KUBE_NAMESPACES] = "Namespace", [KUBE_NODES] = "Node",
	[KUBE_SERVICES] = "Service", [KUBE_SLICES] = "EndpointSlice",
};

static void note_free(struct note *note)
{
	text_fini(&note->target);
	text_fini(&note->body);
	mem_free(note);
}

/* ---- the Event's JSON ---- */

static uint64_t hash_on(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
	return (hash ^ 0xff) * 1099511628211ull;
}

/* The same note has the same name, so that the server refuses it a second time. */
static uint64_t hash_of(const struct kube_note *note)
{
	uint64_t hash = hash_on(14695981039346656037ull, note->object->uid);
	return hash_on(hash_on(hash, note->reason), note->message);
}

static void add_member(struct text *json, const char *key, const char *value)
{
	text_printf(json, "\"%s\":", key);
	text_json_string(json, span_text(value));
}

static void write_body(struct text *json, const struct kube_note *note, const char *namespace,
		       const char *node)
{
	const struct kube_object *object = note->object;
	char when[32];
	time_t seconds = (time_t)note->now_s;
	struct tm parts;
	strftime(when, sizeof(when), TIME_FORMAT, gmtime_r(&seconds, &parts));
	text_printf(json, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{");
	text_printf(json, "\"name\":\"%.200s.%016llx\",", object->name,
		    (unsigned long long)hash_of(note));
	add_member(json, "namespace", namespace);
	text_printf(json, "},\"involvedObject\":{\"apiVersion\":\"%s\",",
		    object->kind == KUBE_SLICES ? "discovery.k8s.io/v1" : "v1");
	add_member(json, "kind", kinds[object->kind]);
	text_add(json, span_text(","));
	add_member(json, "namespace", object->namespace);
	text_add(json, span_text(","));
	add_member(json, "name", object->name);
	text_add(json, span_text(","));
	add_member(json, "uid", object->uid);
	text_add(json, span_text("},\"type\":\"Warning\",\"count\":1,"));
	add_member(json, "reason", note->reason);
	text_add(json, span_text(","));
	add_member(json, "message", note->message);
	text_add(json, span_text(",\"source\":{\"component\":\"weft\","));
	add_member(json, "host", node);
	text_add(json, span_text("},"));
	add_member(json, "firstTimestamp", when);
	text_add(json, span_text(","));
	add_member(json, "lastTimestamp", when);
	text_add(json, span_text("}"));
}

/* ---- requests ---- */

static struct notes *of_call(struct call *call)
{
	return container_of(call, struct notes, call);
}

static void send_next_after(struct notes *notes, uint64_t pause_ns)
{
	struct io_ring *ring = notes->call.callers->loop->ring;
	if (list_is_empty(&notes->queue) || notes->call.is_waiting || timer_is_set(&notes->timer))
		return;
	/* Without memory the next note that is added tries again. */
	(void)!timer_set(io_timers(ring), &notes->timer, io_now_ns(ring) + pause_ns);
}

static struct note *first_of(struct notes *notes)
{
	return list_entry(notes->queue.next, struct note, queue);
}

static void drop_first(struct notes *notes)
{
	struct note *note = first_of(notes);
	list_remove(&note->queue);
	notes->counts.queued--;
	note_free(note);
}

static void settle_failure(struct notes *notes, const char *why)
{
	struct note *note = first_of(notes);
	note->tries++;
	log_warn("kube_event", "try=%u why=\"%s\"", note->tries, why);
	if (note->tries >= TRIES_MOST) {
		notes->counts.failed++;
		drop_first(notes);
	}
	send_next_after(notes, FAILURE_NS);
}

static void on_timer(struct timer *timer)
{
	struct notes *notes = container_of(timer, struct notes, timer);
	const struct note *note = first_of(notes);
	const struct call_request request = {
		.method = "POST",
		.target = text_span(&note->target),
		.body = text_span(&note->body),
		.quiet_ns = QUIET_NS,
	};
	int error = call_send(&notes->call, &request);
	if (error)
		settle_failure(notes, strerror(-error));
}

static void on_head(struct call *call, const struct http_head *head)
{
	of_call(call)->status = head->status;
}

static void on_body(struct call *call, struct span bytes)
{
	(void)call;
	(void)bytes;
}

/* 409: it exists already. Refusals other than "later" would be repeated for ever. */
static void on_complete(struct call *call)
{
	struct notes *notes = of_call(call);
	bool is_made = notes->status / 100 == 2 || notes->status == 409;
	bool is_later = notes->status == 429 || notes->status == 401 || notes->status >= 500;
	char why[32];
	snprintf(why, sizeof(why), "status %u", notes->status);
	if (is_later) {
		settle_failure(notes, why);
		return;
	}
	notes->counts.made += is_made;
	notes->counts.failed += !is_made;
	if (!is_made)
		log_warn("kube_event", "given_up=1 why=\"%s\"", why);
	drop_first(notes);
	send_next_after(notes, PAUSE_NS);
}

static void on_failed(struct call *call, enum kube_fault fault, const char *why)
{
	(void)fault;
	settle_failure(of_call(call), why);
}

static const struct call_events call_events = {
	.head = on_head, .body = on_body, .complete = on_complete, .failed = on_failed};

int notes_add(struct notes *notes, const struct kube_note *about)
{
	if (notes->counts.queued >= QUEUE_MOST) {
		notes->counts.dropped++;
		return -EAGAIN;
	}
	struct note *note = mem_zalloc(sizeof(*note));
	if (!note)
		return -ENOMEM;
	/* Of what is in no namespace the Events are in "default". */
	const char *namespace = *about->object->namespace ? about->object->namespace : "default";
	text_printf(&note->target, "/api/v1/namespaces/%s/events", namespace);
	write_body(&note->body, about, namespace, notes->node);
	if (note->target.failed || note->body.failed) {
		note_free(note);
		return -ENOMEM;
	}
	list_add_last(&notes->queue, &note->queue);
	notes->counts.queued++;
	send_next_after(notes, 0);
	return 0;
}

void notes_init(struct notes *notes, struct callers *callers, const char *node)
{
	*notes = (struct notes){.node = node};
	list_init(&notes->queue);
	call_init(&notes->call, callers, &call_events);
	timer_init(&notes->timer, on_timer);
}

void notes_close(struct notes *notes)
{
	call_drop(&notes->call);
	timer_clear(io_timers(notes->call.callers->loop->ring), &notes->timer);
	while (!list_is_empty(&notes->queue))
		drop_first(notes);
}
