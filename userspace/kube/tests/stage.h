/*
 * A client on the doubled ring, whose owner writes down what it is told, and the other end of its
 * connections: a scripted API server at 10.96.0.1:443, without TLS.
 */
#ifndef KUBE_TESTS_STAGE_H
#define KUBE_TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/double.h"
#include "kube/kube.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
#define URL       "http://10.96.0.1:443"

struct stage {
	struct io_ring *ring;
	struct blocks blocks;
	struct wire_loop loop;
	struct kube *kube;
	struct weft_address address;
	struct io_peer *server; /* the connection that was made last */
	char log[8192];         /* what the owner was told */
	size_t log_size;
	bool is_quiet; /* nothing goes to the log */
	long live_before;
};

static inline void stage_note(struct stage *stage, const char *sign,
			      const struct kube_object *object)
{
	if (stage->is_quiet)
		return;
	int size = snprintf(stage->log + stage->log_size, sizeof(stage->log) - stage->log_size,
			    "%s%s%s%s@%s ", sign, object->namespace, *object->namespace ? "/" : "",
			    object->name, object->version);
	stage->log_size += (size_t)size;
	assert_true(stage->log_size < sizeof(stage->log));
}

/* "+a/b@7" added, "~" changed, "-" deleted, "=services" synced. */
static inline void on_changed(void *owner, const struct kube_object *before,
			      const struct kube_object *after)
{
	struct stage *stage = owner;
	if (before && after) {
		assert_string_equal(before->name, after->name);
		assert_string_equal(before->uid, after->uid);
	}
	if (after)
		assert_ptr_equal(kube_find(stage->kube, after->kind, after->namespace, after->name),
				 after);
	else
		assert_null(kube_find(stage->kube, before->kind, before->namespace, before->name));
	stage_note(stage, before ? after ? "~" : "-" : "+", after ? after : before);
}

static inline void on_synced(void *owner, enum kube_kind kind)
{
	struct stage *stage = owner;
	if (stage->is_quiet)
		return;
	int size = snprintf(stage->log + stage->log_size, sizeof(stage->log) - stage->log_size,
			    "=%s ", kube_kind_name(kind));
	stage->log_size += (size_t)size;
}

static const struct kube_events stage_events = {.changed = on_changed, .synced = on_synced};

static inline void stage_flush(void *owner)
{
	wire_loop_flush(&((struct stage *)owner)->loop);
}

static inline struct kube_options stage_options(struct stage *stage)
{
	static const char *const keep[] = {"weft.io/", "app", NULL};
	return (struct kube_options){
		.loop = &stage->loop,
		.seed = 1,
		.url = URL,
		.kinds = 1u << KUBE_SERVICES,
		.keep = keep,
		.events = &stage_events,
		.owner = stage,
	};
}

static inline void stage_open_ring(struct stage *stage)
{
	io_double_reset(); /* a test that failed left something */
	log_set_level(LOG_LEVEL_ERROR);
	*stage = (struct stage){.live_before = mem_live()};
	struct io_options options = {
		.entries = 64, .shared_count = 64, .large_count = 4, .blocks = &stage->blocks};
	blocks_init(&stage->blocks, UINT64_MAX);
	assert_int_equal(io_ring_open(&options, &stage->ring), 0);
	wire_loop_init(&stage->loop, stage->ring, &stage->blocks);
	io_set_hooks(stage->ring, stage_flush, NULL, stage);
	assert_int_equal(address_parse(span_text("10.96.0.1:443"), &stage->address), 0);
	io_double_address(&stage->address, IO_DOUBLE_ACCEPTS, NS_PER_MS);
}

static inline void stage_open(struct stage *stage, const struct kube_options *options)
{
	struct text why = {0};
	int error = kube_open(options, &why, &stage->kube);
	assert_string_equal(text_span(&why).data, "");
	assert_int_equal(error, 0);
	io_double_run(stage->ring, 10 * NS_PER_MS);
}

/* With the options of stage_options. */
static inline void stage_begin(struct stage *stage)
{
	stage_open_ring(stage);
	struct kube_options options = stage_options(stage);
	stage_open(stage, &options);
}

/* Everything was given back. */
static inline void stage_close(struct stage *stage)
{
	mem_fail_nth(0);
	kube_close(stage->kube);
	assert_int_equal(io_double_open_count(), 0);
	assert_int_equal(stage->blocks.in_use, 0);
	assert_int_equal(timers_next_ns(io_timers(stage->ring)), UINT64_MAX);
	io_ring_close(stage->ring);
	blocks_fini(&stage->blocks);
	assert_int_equal(mem_live(), stage->live_before);
	io_double_reset();
}

static inline void stage_run(struct stage *stage, uint64_t ms)
{
	io_double_run(stage->ring, ms * NS_PER_MS);
}

/* What the owner was told since the last look. */
static inline void assert_told(struct stage *stage, const char *wanted)
{
	assert_string_equal(stage->log, wanted);
	stage->log_size = 0;
	stage->log[0] = '\0';
}

static inline struct kube_status status_of(const struct stage *stage)
{
	struct kube_status status;
	kube_status(stage->kube, KUBE_SERVICES, &status);
	return status;
}

static inline uint64_t fault_count(const struct stage *stage, enum kube_fault fault)
{
	return status_of(stage).faults[fault];
}

/* ---- the server: its texts do not come from base/mem ---- */

/* Waits, at most as long as the client may back off, until the server got a request that begins
 * with these words; takes it. */
static inline void asked(struct stage *stage, const char *words)
{
	for (unsigned waited_ms = 0; waited_ms <= 5200; waited_ms += 10) {
		struct io_peer *reached = io_double_reached(&stage->address);
		if (reached)
			stage->server = reached;
		struct span request =
			stage->server ? io_peer_received(stage->server) : span_of("", 0);
		if (request.size) {
			if (!span_starts(request, span_text(words)))
				fail_msg("asked: %.*s", SPAN_PRINT(request));
			io_peer_forget(stage->server);
			return;
		}
		stage_run(stage, 10);
	}
	fail_msg("nobody asked: %s", words);
}

static inline void says(struct stage *stage, const char *text)
{
	io_peer_send(stage->server, span_text(text));
	io_double_settle(stage->ring);
}

static inline void answers(struct stage *stage, const char *status, const char *fields,
			   const char *body)
{
	char *text;
	assert_true(asprintf(&text, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status,
			     fields, strlen(body), body) > 0);
	says(stage, text);
	free(text);
}

static inline void lists(struct stage *stage, const char *meta, const char *items)
{
	char *body;
	assert_true(asprintf(&body,
			     "{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{%s},"
			     "\"items\":[%s]}\n",
			     meta, items) > 0);
	answers(stage, "200 OK", "Content-Type: application/json\r\n", body);
	free(body);
}

static inline void stream_begins(struct stage *stage)
{
	says(stage, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static inline void streams(struct stage *stage, const char *text)
{
	char *chunk;
	assert_true(asprintf(&chunk, "%zx\r\n%s\r\n", strlen(text), text) > 0);
	says(stage, chunk);
	free(chunk);
}

#define META(name, uid, version)                                                                   \
	"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"" name "\",\"uid\":\"" uid               \
	"\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

/* One service "a" at version 5, and the stream that follows. */
static inline void stage_synced(struct stage *stage)
{
	stage_begin(stage);
	asked(stage, "GET /api/v1/services?limit=500 HTTP/1.1\r\n");
	lists(stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
	assert_told(stage, "+shop/a@5 =services ");
	asked(stage, "GET /api/v1/services?watch=1&allowWatchBookmarks=true&timeoutSeconds=");
	stream_begins(stage);
}

#endif
