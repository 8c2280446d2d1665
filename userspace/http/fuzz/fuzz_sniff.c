/*
 * More bytes never change an answer, a server name is found however the input is cut, and what the
 * reader takes as a plain request was sniffed as one.
 */
#include "base/fuzz/target.h"

#include <assert.h>

#include "http/server_name.h"
#include "http/sniff.h"
#include "http/tests/recorder.h"

static void prefixes_check(struct span bytes)
{
	enum sniff before = SNIFF_MORE;
	size_t most = bytes.size < 40 ? bytes.size : 40;
	for (size_t size = 0; size <= most; size++) {
		enum sniff answer = sniff_client(span_of(bytes.data, size));
		assert(before == SNIFF_MORE || answer == before);
		before = answer;
	}
	assert(most < 24 || before != SNIFF_MORE);
}

/* In pieces of `most` bytes. */
static enum server_name_state name_search(struct server_name *search, struct span bytes,
					  size_t most)
{
	enum server_name_state state = SERVER_NAME_MORE;
	server_name_init(search);
	for (size_t at = 0; at < bytes.size; at += most) {
		size_t size = bytes.size - at < most ? bytes.size - at : most;
		enum server_name_state next =
			server_name_feed(search, span_of(bytes.data + at, size));
		assert(state == SERVER_NAME_MORE || next == state);
		state = next;
	}
	return state;
}

static void name_check(struct span bytes)
{
	struct server_name whole;
	struct server_name cut;
	enum server_name_state state = name_search(&whole, bytes, bytes.size);
	for (size_t most = 1; most <= 64; most = most * 3 + 1)
		assert(name_search(&cut, bytes, most) == state);
	struct span name = server_name_found(&whole);
	assert(span_equal(name, server_name_found(&cut)));
	if (state != SERVER_NAME_FOUND)
		return;
	assert(name.size > 0);
	for (size_t i = 0; i < name.size; i++)
		assert(name.data[i] > 0x20 && name.data[i] < 0x7f);
	assert(bytes.data[0] == 22);
}

/* Other methods, other schemes and an empty line in front may begin other protocols: tunnels. */
static bool is_plain_request(struct span bytes)
{
	static const char *const begins[] = {
		"GET /",   "HEAD /",    "POST /",    "PUT /",      "DELETE /",    "PATCH /",
		"TRACE /", "OPTIONS /", "OPTIONS *", "PROPFIND /", "GET http://", "PUT https://",
	};
	for (size_t i = 0; i < array_count(begins); i++) {
		if (span_starts(bytes, span_text(begins[i])))
			return true;
	}
	return false;
}

static void request_check(struct span bytes)
{
	struct recorder recorder;
	recorder_init(&recorder, true);
	(void)!recorder_feed(&recorder, bytes);
	if (recorder.heads && is_plain_request(bytes))
		assert(sniff_client(bytes) == SNIFF_HTTP1);
	recorder_fini(&recorder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of((const char *)data, size);
	prefixes_check(bytes);
	name_check(bytes);
	request_check(bytes);
	return 0;
}
