/*
 * Any bytes from an API server, as its first answer or as the events of a watch: nothing leaks, the
 * client asks again, and what an honest server says afterwards is what it knows.
 */
#include "base/fuzz/target.h"

#include <assert.h>

#include "kube/tests/stage.h"

/* The events of a stream, or whatever comes as an answer to the list. */
static void say(struct stage *stage, const uint8_t *data, size_t size)
{
	if (data[0] & 1) {
		char head[16];
		lists(stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
		stage_run(stage, 10);
		stream_begins(stage);
		snprintf(head, sizeof(head), "%zx\r\n", size - 1);
		says(stage, head);
	}
	io_peer_pieces(stage->server, data[0] >> 1);
	io_peer_send(stage->server, span_of((const char *)data + 1, size - 1));
	io_peer_finish(stage->server);
	io_double_settle(stage->ring);
}

/* The next requests are answered as they should be. */
static void be_honest(struct stage *stage)
{
	struct io_peer *reached = io_double_reached(&stage->address);
	stage->server = reached ? reached : stage->server;
	struct span request = io_peer_received(stage->server);
	if (!request.size || io_peer_is_closed(stage->server))
		return;
	bool is_watch = memmem(request.data, request.size, "watch=1", 7) != NULL;
	io_peer_forget(stage->server);
	if (is_watch) {
		stream_begins(stage);
		streams(stage, EVENT("ERROR", "{\"code\":410}"));
	} else {
		lists(stage, "\"resourceVersion\":\"9\"", META("b", "u2", "6"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage stage;
	if (size < 2)
		return 0;
	stage_begin(&stage);
	stage.is_quiet = true;
	io_peer_forget(stage.server = io_double_reached(&stage.address));
	say(&stage, data, size);
	uint64_t lists_before = status_of(&stage).lists;
	for (int i = 0; i < 1000 && status_of(&stage).lists == lists_before; i++) {
		stage_run(&stage, 100);
		be_honest(&stage);
	}
	assert(status_of(&stage).lists > lists_before);
	assert(status_of(&stage).objects == 1);
	assert(kube_find(stage.kube, KUBE_SERVICES, "shop", "b"));
	stage_close(&stage);
	return 0;
}
