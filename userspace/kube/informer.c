#include "kube/informer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

#define NS_PER_MS      1000000ull
#define NS_PER_S       1000000000ull
#define RETRY_LEAST_NS (100 * NS_PER_MS)
#define RETRY_MOST_NS  (5 * NS_PER_S)
/* A stream that lived so long was a success; one that ends earlier is not asked for again at once.
 */
#define SUCCESS_NS NS_PER_S
/* After so many bad answers in a row to one version it is not trusted any more. */
#define REFUSALS_MOST 5
/* The server ends a stream after this time, of which half is jitter. */
#define STREAM_LEAST_S 240
/* A timer without a deadline stays in the heap, so that setting it never needs memory. */
#define NEVER_NS (UINT64_MAX / 2)
/* A list that pauses for so long is dead. */
#define LIST_QUIET_NS (30 * NS_PER_S)
/* Even a watch without faults lists again after this time and up to half more. */
#define LIST_AGAIN_S 3600
/* etcd refuses requests of more than 1.5 MiB. */
#define ITEM_BYTES_MAX    (4u << 20)
#define REFUSAL_BYTES_MAX 4096

static const struct {
	const char *name;
	const char *path;
	const char *selector; /* for a node */
} kinds[KUBE_KINDS] = {
	[KUBE_PODS] = {"pods", "/api/v1/pods", "spec.nodeName"},
	[KUBE_NAMESPACES] = {"namespaces", "/api/v1/namespaces", NULL},
	[KUBE_NODES] = {"nodes", "/api/v1/nodes", "metadata.name"},
	[KUBE_SERVICES] = {"services", "/api/v1/services", NULL},
	[KUBE_SLICES] = {"endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", NULL},
};

static struct informer *of_call(struct call *call)
{
	return container_of(call, struct informer, call);
}

static struct io_ring *ring_of(const struct informer *informer)
{
	return informer->informers->callers.loop->ring;
}

static uint64_t now_ns(const struct informer *informer)
{
	return io_now_ns(ring_of(informer));
}

const char *kube_kind_name(enum kube_kind kind)
{
	return kinds[kind].name;
}

/* ---- faults ---- */

static void note(struct informer *informer, enum kube_fault fault, const char *what,
		 const char *why)
{
	informer->faults[fault]++;
	snprintf(informer->last_fault, sizeof(informer->last_fault), "%s%s%s", what,
		 *why ? ": " : "", why);
	log_warn("kube_fault", "kind=%s fault=%s why=\"%s\"", kinds[informer->kind].name,
		 kube_fault_name(fault), informer->last_fault);
}

static void forget_version(struct informer *informer)
{
	informer->refusals = 0;
	informer->version[0] = '\0';
	text_clear(&informer->next_page);
}

static void parts_end(struct informer *informer)
{
	if (informer->has_parts)
		json_parts_fini(&informer->parts);
	informer->has_parts = false;
}

static void set_timer(struct informer *informer, uint64_t deadline_ns)
{
	int error = timer_set(io_timers(ring_of(informer)), &informer->timer, deadline_ns);
	assert(!error); /* its place in the heap is kept, see NEVER_NS */
	(void)error;
}

static uint64_t pause_ns(struct informer *informer)
{
	unsigned doublings = informer->failures < 10 ? informer->failures : 10;
	uint64_t most_ns = RETRY_LEAST_NS << doublings;
	uint64_t asked_ns = informer->retry_s * NS_PER_S;
	if (most_ns > RETRY_MOST_NS)
		most_ns = RETRY_MOST_NS;
	uint64_t pause_ns = most_ns / 2 + rng_below(&informer->informers->rng,
						    (uint32_t)(most_ns / 2 / NS_PER_MS)) *
						  NS_PER_MS;
	if (asked_ns > RETRY_MOST_NS)
		asked_ns = RETRY_MOST_NS;
	return asked_ns > pause_ns ? asked_ns : pause_ns;
}

/* The attempt is over. What is known stays, and counts as old since the last byte. */
static void back_off(struct informer *informer)
{
	bool was_success =
		informer->opened_ns && now_ns(informer) - informer->opened_ns >= SUCCESS_NS;
	call_drop(&informer->call);
	if (was_success)
		informer->failures = 0;
	uint64_t at_ns = now_ns(informer) + pause_ns(informer);
	informer->failures++;
	if (informer->state == KUBE_LISTING || informer->refusals > REFUSALS_MOST)
		forget_version(informer);
	if (!informer->stale_ns)
		informer->stale_ns =
			informer->call.heard_ns ? informer->call.heard_ns : now_ns(informer);
	informer->opened_ns = 0;
	informer->retry_s = 0;
	informer->state = KUBE_BACKING_OFF;
	set_timer(informer, at_ns);
}

static void fail(struct informer *informer, enum kube_fault fault, const char *what,
		 const char *why)
{
	note(informer, fault, what, why);
	if (fault == KUBE_FAULT_GONE || fault == KUBE_FAULT_MEMORY)
		forget_version(informer);
	informer->refusals += fault == KUBE_FAULT_SERVER || fault == KUBE_FAULT_GARBAGE;
	if (fault == KUBE_FAULT_UNAUTHORIZED)
		server_refresh(informer->informers->callers.server, now_ns(informer), true);
	back_off(informer);
}

/* ---- requests ---- */

/* Percent-encodes all but RFC 3986's unreserved characters. */
static void add_encoded(struct text *text, struct span value)
{
	static const char unreserved[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._~";
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] && strchr(unreserved, value.data[i]))
			text_add(text, span_of(value.data + i, 1));
		else
			text_printf(text, "%%%02X", (unsigned char)value.data[i]);
	}
}

static void ask(struct informer *informer, struct text *target, uint64_t quiet_ns, uint64_t rest_ns)
{
	text_add(target, text_span(&informer->selector));
	const struct call_request request = {.method = "GET",
					     .target = text_span(target),
					     .quiet_ns = quiet_ns,
					     .rest_ns = rest_ns};
	int error = target->failed ? -ENOMEM : call_send(&informer->call, &request);
	text_fini(target);
	if (error)
		fail(informer, error == -ENOMEM ? KUBE_FAULT_MEMORY : KUBE_FAULT_CONNECT,
		     "no request", strerror(-error));
}

static void list_page(struct informer *informer)
{
	struct text target = {0};
	informer->state = KUBE_LISTING;
	informer->is_list = false;
	text_printf(&target, "%s?limit=%u", kinds[informer->kind].path,
		    informer->informers->page_items);
	if (informer->next_page.size) {
		text_printf(&target, "&continue=");
		add_encoded(&target, text_span(&informer->next_page));
	}
	text_clear(&informer->next_page);
	ask(informer, &target, LIST_QUIET_NS, 0);
}

static void list(struct informer *informer)
{
	cache_list_begin(&informer->cache);
	forget_version(informer);
	list_page(informer);
}

static void watch_on(struct informer *informer)
{
	struct text target = {0};
	uint32_t timeout_s = STREAM_LEAST_S + rng_below(&informer->informers->rng, STREAM_LEAST_S);
	informer->state = KUBE_WATCHING;
	informer->is_over = false;
	text_printf(&target,
		    "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=",
		    kinds[informer->kind].path, timeout_s);
	add_encoded(&target, span_text(informer->version));
	ask(informer, &target, informer->informers->stall_ns, informer->informers->rest_ns);
}

static void go_on(struct informer *informer)
{
	parts_end(informer);
	if (informer->version[0])
		watch_on(informer);
	else
		list(informer);
}

static void on_retry(struct timer *timer)
{
	struct informer *informer = container_of(timer, struct informer, timer);
	set_timer(informer, NEVER_NS); /* where it has just been */
	go_on(informer);
}

/* ---- objects ---- */

static bool take_version(struct informer *informer, struct span meta)
{
	struct span value;
	struct span version;
	if (json_member(meta, "resourceVersion", &value) || !json_plain_string(value, &version) ||
	    !version.size || version.size >= sizeof(informer->version))
		return false;
	memcpy(informer->version, version.data, version.size);
	informer->version[version.size] = '\0';
	return true;
}

static void end_stream(struct informer *informer, enum kube_fault fault, const char *what,
		       const char *why)
{
	informer->is_over = true;
	fail(informer, fault, what, why);
}

/* The message of a Status, fit for a log: without escapes and double quotes. */
static void copy_message(struct span status, char why[INFORMER_SENTENCE_MAX])
{
	struct span value;
	size_t used = 0;
	if (json_member(status, "message", &value) || value.data[0] != '"')
		value = span_of("", 0);
	for (size_t i = 1; i + 1 < value.size && used + 1 < INFORMER_SENTENCE_MAX; i++) {
		bool is_escaped = value.data[i] == '\\' && i + 2 < value.size;
		char c = value.data[is_escaped ? ++i : i];
		why[used++] = c == '"' ? '\'' : c;
	}
	why[used] = '\0';
}

/* NULL: it is said why. */
static struct kube_object *read_object(struct informer *informer, struct span json)
{
	struct read_faults faults;
	struct kube_object *object = NULL;
	int error = kube_read(informer->kind, json, &informer->informers->read, &faults, &object);
	if (error == -ENOMEM) {
		end_stream(informer, KUBE_FAULT_MEMORY, "no memory for an object", "");
	} else if (error) {
		note(informer, KUBE_FAULT_UNREADABLE, "an object cannot be read",
		     error == -EBADMSG ? "no JSON object" : "no name or no version");
	} else if (faults.count) {
		char what[INFORMER_SENTENCE_MAX];
		snprintf(what, sizeof(what), "%s/%s: field %s", object->namespace, object->name,
			 faults.field);
		note(informer, KUBE_FAULT_FIELD, what, "is not understood and left out");
		informer->faults[KUBE_FAULT_FIELD] += faults.count - 1;
	}
	return object;
}

/* A list that goes on in a way that is not understood must not look complete. */
static void take_next_page(struct informer *informer, struct span meta)
{
	struct span value;
	struct span token;
	if (json_member(meta, "continue", &value))
		return;
	if (json_plain_string(value, &token))
		text_add(&informer->next_page, token);
	else
		informer->version[0] = '\0';
}

static void list_part(struct informer *informer, enum json_part part, struct span key,
		      struct span text)
{
	struct span value;
	if (part == JSON_ITEM) {
		struct kube_object *object = read_object(informer, text);
		if (object)
			cache_put(&informer->cache, object);
	} else if (span_is(key, "kind")) {
		informer->is_list = json_plain_string(text, &value) && value.size > 4 &&
				    memcmp(value.data + value.size - 4, "List", 4) == 0;
	} else if (span_is(key, "metadata")) {
		(void)!take_version(informer, text);
		take_next_page(informer, text);
	}
}

/* An ERROR event carries a Status instead of an object. */
static void meet_error(struct informer *informer, struct span status)
{
	char why[INFORMER_SENTENCE_MAX];
	struct span code;
	bool is_gone = json_member(status, "code", &code) == 0 && span_is(code, "410");
	copy_message(status, why);
	end_stream(informer, is_gone ? KUBE_FAULT_GONE : KUBE_FAULT_SERVER, "the watch ended", why);
}

static void apply(struct informer *informer, struct span json, bool is_deleted)
{
	struct kube_object *object = read_object(informer, json);
	if (!object)
		return;
	informer->changes++;
	snprintf(informer->version, sizeof(informer->version), "%s", object->version);
	if (is_deleted) {
		cache_remove(&informer->cache, object->namespace, object->name);
		mem_free(object);
	} else {
		cache_put(&informer->cache, object);
	}
}

static void stream_part(struct informer *informer, struct span text)
{
	struct span value;
	struct span type;
	struct span object;
	struct span meta;
	if (json_member(text, "type", &value) || !json_plain_string(value, &type) ||
	    json_member(text, "object", &object)) {
		end_stream(informer, KUBE_FAULT_GARBAGE, "no event of a watch", "");
		return;
	}
	if (span_is(type, "ERROR")) {
		meet_error(informer, object);
		return;
	}
	informer->failures = informer->refusals = 0;
	if (span_is(type, "ADDED") || span_is(type, "MODIFIED"))
		apply(informer, object, false);
	else if (span_is(type, "DELETED"))
		apply(informer, object, true);
	else if (!span_is(type, "BOOKMARK"))
		note(informer, KUBE_FAULT_UNREADABLE, "an event of an unknown type", "skipped");
	else if (json_member(object, "metadata", &meta) || !take_version(informer, meta))
		note(informer, KUBE_FAULT_UNREADABLE, "a bookmark without a version", "skipped");
}

static void on_part(struct json_parts *parts, enum json_part kind, struct span key,
		    struct span text)
{
	struct informer *informer = container_of(parts, struct informer, parts);
	if (informer->is_over)
		return;
	if (kind == JSON_DOCUMENT)
		stream_part(informer, text);
	else
		list_part(informer, kind, key, text);
}

static void on_too_large(struct json_parts *parts, enum json_part kind, uint64_t size)
{
	struct informer *informer = container_of(parts, struct informer, parts);
	char why[48];
	(void)kind;
	snprintf(why, sizeof(why), "%zu bytes", (size_t)size);
	note(informer, KUBE_FAULT_TOO_LARGE, "an item is skipped", why);
}

static const struct json_parts_events part_events = {.part = on_part, .too_large = on_too_large};

/* ---- answers ---- */

static void on_head(struct call *call, const struct http_head *head)
{
	struct informer *informer = of_call(call);
	const struct http_field *retry = http_find(head, "retry-after");
	uint64_t retry_s = 0;
	informer->status = head->status;
	text_clear(&informer->refusal);
	if (retry && span_to_u64(retry->value, &retry_s) == 0)
		informer->retry_s = retry_s < UINT32_MAX ? (uint32_t)retry_s : UINT32_MAX;
	if (head->status != 200)
		return;
	bool is_stream = informer->state == KUBE_WATCHING;
	informer->is_over = false;
	parts_end(informer);
	json_parts_init(&informer->parts, is_stream, ITEM_BYTES_MAX, &part_events);
	informer->has_parts = true;
	if (!is_stream)
		return;
	informer->streams++;
	informer->opened_ns = now_ns(informer);
	informer->stale_ns = 0;
}

static void on_body(struct call *call, struct span bytes)
{
	struct informer *informer = of_call(call);
	if (informer->status != 200) {
		size_t room = REFUSAL_BYTES_MAX - informer->refusal.size;
		text_add(&informer->refusal,
			 span_of(bytes.data, bytes.size < room ? bytes.size : room));
		return;
	}
	int error = json_parts_feed(&informer->parts, bytes);
	if (informer->is_over)
		return;
	if (error == -ENOMEM)
		fail(informer, KUBE_FAULT_MEMORY, "no memory for an item", "");
	else if (error)
		fail(informer, KUBE_FAULT_GARBAGE, "the answer is no JSON of a list or watch", "");
}

static enum kube_fault fault_of(unsigned status)
{
	switch (status) {
	case 401:
		return KUBE_FAULT_UNAUTHORIZED;
	case 403:
		return KUBE_FAULT_FORBIDDEN;
	case 410:
		return KUBE_FAULT_GONE;
	case 429:
		return KUBE_FAULT_BUSY;
	default:
		return KUBE_FAULT_SERVER;
	}
}

static void refused(struct informer *informer)
{
	char what[32];
	char why[INFORMER_SENTENCE_MAX];
	snprintf(what, sizeof(what), "status %u", informer->status);
	copy_message(text_span(&informer->refusal), why);
	fail(informer, fault_of(informer->status), what, why);
}

static void listed(struct informer *informer)
{
	if (!informer->is_list || !informer->version[0]) {
		forget_version(informer);
		fail(informer, KUBE_FAULT_GARBAGE, "the answer is no list with a version", "");
		return;
	}
	if (informer->next_page.failed) {
		text_fini(&informer->next_page);
		fail(informer, KUBE_FAULT_MEMORY, "no memory for the next page", "");
		return;
	}
	if (informer->next_page.size) {
		list_page(informer);
		return;
	}
	uint32_t again_s = LIST_AGAIN_S + rng_below(&informer->informers->rng, LIST_AGAIN_S / 2);
	informer->lists++;
	informer->listed_ns = now_ns(informer);
	informer->relist_ns = informer->listed_ns + again_s * NS_PER_S;
	cache_list_end(&informer->cache);
	informer->informers->events->synced(informer->informers->owner, informer->kind);
	watch_on(informer);
}

static void streamed(struct informer *informer)
{
	if (now_ns(informer) - informer->opened_ns < SUCCESS_NS) {
		fail(informer, KUBE_FAULT_SERVER, "the watch ended at once", "");
		return;
	}
	informer->opened_ns = 0;
	informer->failures = informer->refusals = 0;
	if (now_ns(informer) >= informer->relist_ns)
		forget_version(informer);
	go_on(informer);
}

static void on_complete(struct call *call)
{
	struct informer *informer = of_call(call);
	bool is_whole = informer->status != 200 || json_parts_is_whole(&informer->parts);
	parts_end(informer);
	if (!is_whole)
		fail(informer, KUBE_FAULT_GARBAGE, "the answer ended in the middle of an item", "");
	else if (informer->status != 200)
		refused(informer);
	else if (informer->state == KUBE_LISTING)
		listed(informer);
	else
		streamed(informer);
}

static void on_failed(struct call *call, enum kube_fault fault, const char *why)
{
	struct informer *informer = of_call(call);
	static const char *const states[] = {
		[KUBE_LISTING] = "list", [KUBE_WATCHING] = "watch", [KUBE_BACKING_OFF] = ""};
	/* The server sends no bookmarks for a kind that has not changed since it started: silence
	 * is a reason to ask again, and a fault only if that is not answered. */
	bool is_idle = fault == KUBE_FAULT_STALLED && informer->opened_ns &&
		       json_parts_is_whole(&informer->parts);
	parts_end(informer);
	if (!is_idle) {
		fail(informer, fault, states[informer->state], why);
		return;
	}
	informer->opened_ns = 0;
	watch_on(informer);
}

static const struct call_events call_events = {
	.head = on_head, .body = on_body, .complete = on_complete, .failed = on_failed};

/* ---- a watch's life ---- */

static void on_changed(void *owner, const struct kube_object *before,
		       const struct kube_object *after)
{
	const struct informers *informers = ((struct informer *)owner)->informers;
	informers->events->changed(informers->owner, before, after);
}

int informer_open(struct informer *informer, struct informers *informers, enum kube_kind kind,
		  const char *node)
{
	*informer = (struct informer){.informers = informers, .kind = (uint8_t)kind};
	call_init(&informer->call, &informers->callers, &call_events);
	timer_init(&informer->timer, on_retry);
	informer->stale_ns = now_ns(informer);
	if (node && kinds[kind].selector) {
		text_printf(&informer->selector, "&fieldSelector=%s%%3D", kinds[kind].selector);
		add_encoded(&informer->selector, span_text(node));
	}
	int error = informer->selector.failed ? -ENOMEM
					      : cache_init(&informer->cache, on_changed, informer);
	if (!error)
		error = timer_set(io_timers(ring_of(informer)), &informer->timer, now_ns(informer));
	informer->state = KUBE_LISTING;
	return error;
}

void informer_close(struct informer *informer)
{
	call_drop(&informer->call);
	timer_clear(io_timers(ring_of(informer)), &informer->timer);
	parts_end(informer);
	text_fini(&informer->selector);
	text_fini(&informer->next_page);
	text_fini(&informer->refusal);
	cache_fini(&informer->cache);
}

static double age_s(const struct informer *informer, uint64_t since_ns)
{
	return since_ns ? (double)(now_ns(informer) - since_ns) / 1e9 : -1;
}

void informer_status(const struct informer *informer, struct kube_status *ret_status)
{
	*ret_status = (struct kube_status){
		.state = informer->state,
		.is_synced = informer_is_known(informer),
		.is_recalled = informer->is_recalled && informer->lists == 0,
		.objects = informer->cache.objects.count,
		.lists = informer->lists,
		.watches = informer->streams,
		.changes = informer->changes,
		.byte_age_s = age_s(informer, informer->call.heard_ns),
		.sync_age_s = age_s(informer, informer->listed_ns),
		.stale_s = informer->stale_ns ? age_s(informer, informer->stale_ns) : 0,
		.version = informer->version,
		.last_fault = informer->last_fault,
	};
	memcpy(ret_status->faults, informer->faults, sizeof(informer->faults));
}

/* ---- what is kept for the next client ---- */

bool informer_is_known(const struct informer *informer)
{
	return informer->lists > 0 || informer->is_recalled;
}

uint64_t informer_news(const struct informer *informer)
{
	return informer->changes + informer->lists;
}

uint64_t informer_told_ns(const struct informer *informer)
{
	return informer->stale_ns ? informer->stale_ns : now_ns(informer);
}

void informer_recall(struct informer *informer, struct kube_object *object)
{
	if (informer->lists > 0)
		mem_free(object);
	else
		cache_recall(&informer->cache, object);
}

void informer_recalled(struct informer *informer, uint64_t told_ns)
{
	if (informer->lists > 0)
		return;
	informer->is_recalled = true;
	informer->stale_ns = told_ns;
	if (!informer->call.heard_ns)
		informer->call.heard_ns = told_ns;
}
