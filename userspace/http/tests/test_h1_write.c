/* What the writer makes of a received head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/tests/recorder.h"

/* ---- a reader whose head event writes the head again ---- */

struct forwarder {
	struct h1_reader reader;
	struct h1_rewrite rewrite;
	bool keeps_framing; /* framing as received */
	struct text written;
	size_t room; /* what h1_head_bytes said */
};

static void forward_head(struct h1_reader *reader, const struct http_head *head)
{
	struct forwarder *forwarder = container_of(reader, struct forwarder, reader);
	if (forwarder->keeps_framing)
		forwarder->rewrite.framing = head->framing;
	forwarder->room = h1_head_bytes(head, &forwarder->rewrite);
	/* Exactly as large as promised, so that one byte too many is an error under ASan. */
	char *memory = malloc(forwarder->room);
	assert_non_null(memory);
	size_t size = h1_write_head(head, &forwarder->rewrite, memory);
	assert_true(size <= forwarder->room);
	text_add(&forwarder->written, span_of(memory, size));
	free(memory);
}

static void forward_body(struct h1_reader *reader, struct span bytes)
{
	(void)reader;
	(void)bytes;
}

static void forward_trailers(struct h1_reader *reader, const struct http_field *fields,
			     size_t count)
{
	struct forwarder *forwarder = container_of(reader, struct forwarder, reader);
	size_t size = h1_write_last_chunk(fields, count, NULL);
	char *memory = malloc(size);
	assert_non_null(memory);
	assert_int_equal(h1_write_last_chunk(fields, count, memory), size);
	text_add(&forwarder->written, span_of(memory, size));
	free(memory);
}

static void forward_complete(struct h1_reader *reader)
{
	(void)reader;
}

static const struct h1_events forwards = {forward_head, forward_body, forward_trailers,
					  forward_complete};

struct rewritten {
	const char *name;
	const char *received;
	const char *sent;
	struct h1_rewrite rewrite;
	bool is_response;
	bool keeps_framing;
	bool answers_head;
};

#define KEEP .rewrite = {.minor_version = 1, .keep_alive = true}, .keeps_framing = true
#define LINE "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct http_field extra[] = {
	{{"l5d-dst", 7}, {"/svc/a", 6}},
	{{"Empty", 5}, {"", 0}},
};

static const struct rewritten rewrittens[] = {
	{
		.name = "end-to-end fields pass byte for byte, in order",
		.received = "GET /a%20b?c HTTP/1.1\r\nhOsT:a\r\nB:  1 2 \r\nB: 2\r\nEmpty:\r\n"
			    "Proxy-Authorization: x\r\nTrailer: T\r\nVia: 1.0 z\r\n\r\n",
		.sent = "GET /a%20b?c HTTP/1.1\r\nhOsT: a\r\nB: 1 2\r\nB: 2\r\nEmpty: \r\n"
			"Proxy-Authorization: x\r\nTrailer: T\r\nVia: 1.0 z\r\n\r\n",
		KEEP,
	},
	{
		.name = "hop-by-hop fields do not",
		.received = LINE "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
				 "Proxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\n"
				 "X: y\r\n\r\n",
		.sent = LINE "X: y\r\n\r\n",
		KEEP,
	},
	{
		.name = "what Connection lists does not, in any case and place",
		.received = LINE "One: 1\r\nConnection: one ,, TWO\r\nTwo: 2\r\n"
				 "connection: close,three\r\nTHREE: 3\r\nFour: 4\r\n\r\n",
		.sent = LINE "Four: 4\r\n\r\n",
		KEEP,
	},
	{
		.name = "framing, routing and identity stay, whatever Connection lists",
		.received = "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length, "
			    "cookie, authorization, cache-control, content-type, te, expect\r\n"
			    "Content-Length: 3\r\nCookie: c\r\nAuthorization: d\r\n"
			    "Cache-Control: e\r\nContent-Type: f\r\n\r\n",
		.sent = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nCookie: c\r\n"
			"Authorization: d\r\nCache-Control: e\r\nContent-Type: f\r\n\r\n",
		KEEP,
	},
	{
		.name = "TE: trailers is sent again",
		.received = LINE "TE: gzip;q=1, trailers\r\nConnection: TE\r\n\r\n",
		.sent = LINE "Connection: TE\r\nTE: trailers\r\n\r\n",
		KEEP,
	},
	{
		.name = "Upgrade goes through when it is wanted",
		.received = LINE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
				 "Sec-WebSocket-Version: 13\r\n\r\n",
		.sent = LINE "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			     "Connection: Upgrade\r\n\r\n",
		.rewrite = {.minor_version = 1, .keep_alive = true, .keeps_upgrade = true},
		.keeps_framing = true,
	},
	{
		.name = "h2c's settings stay behind, so that no server upgrades by mistake",
		.received = LINE "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
				 "HTTP2-Settings: AAMAAABk\r\n\r\n",
		.sent = LINE "\r\n",
		KEEP,
	},
	{
		.name = "close is said",
		.received = LINE "\r\n",
		.sent = LINE "Connection: close\r\n\r\n",
		.rewrite = {.minor_version = 1},
		.keeps_framing = true,
	},
	{
		.name = "HTTP/1.0 hears keep-alive",
		.received = LINE "\r\n",
		.sent = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
		.rewrite = {.minor_version = 0, .keep_alive = true},
		.keeps_framing = true,
	},
	{
		.name = "a length is normalised in its place",
		.received = "POST / HTTP/1.1\r\ncontent-LENGTH: 007\r\nHost: a\r\n\r\n",
		.sent = "POST / HTTP/1.1\r\ncontent-LENGTH: 7\r\nHost: a\r\n\r\n",
		KEEP,
	},
	{
		.name = "length 0 is kept",
		.received = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		.sent = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		KEEP,
	},
	{
		.name = "chunked is written in the place and spelling of the received field",
		.received = "POST / HTTP/1.1\r\ntransfer-encoding: CHUNKED\r\nHost: a\r\n\r\n",
		.sent = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nHost: a\r\n\r\n",
		KEEP,
	},
	{
		.name = "framing that was not received is added",
		.received = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n",
		.rewrite = {.framing = HTTP_CHUNKED, .minor_version = 1, .keep_alive = true},
		.is_response = true,
	},
	{
		.name = "HTTP/1.0 never sees Transfer-Encoding",
		.received = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.sent = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
		.rewrite = {.framing = HTTP_UNTIL_CLOSE, .keep_alive = true},
		.is_response = true,
	},
	{
		.name = "not even by mistake",
		.received = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.sent = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
		.rewrite = {.framing = HTTP_CHUNKED},
		.is_response = true,
	},
	{
		.name = "a body until close closes",
		.received = "HTTP/1.1 200 OK\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		.rewrite = {.framing = HTTP_UNTIL_CLOSE, .minor_version = 1, .keep_alive = true},
		.is_response = true,
	},
	{
		.name = "an answer to HEAD keeps its length",
		.received = "HTTP/1.1 200 OK\r\nContent-Length: 012\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nContent-Length: 012\r\n\r\n",
		.rewrite = {.minor_version = 1, .keep_alive = true, .is_head_answer = true},
		.keeps_framing = true,
		.is_response = true,
		.answers_head = true,
	},
	{
		.name = "an answer to HEAD keeps its coding",
		.received = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.rewrite = {.minor_version = 1, .keep_alive = true, .is_head_answer = true},
		.keeps_framing = true,
		.is_response = true,
		.answers_head = true,
	},
	{
		.name = "but shows it to no HTTP/1.0 client",
		.received = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.sent = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
		.rewrite = {.is_head_answer = true},
		.keeps_framing = true,
		.is_response = true,
		.answers_head = true,
	},
	{
		.name = "a 304 keeps its length",
		.received = "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
		.sent = "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "a 204 and a 1xx lose theirs",
		.received = "HTTP/1.1 103 Early\r\nContent-Length: 12\r\n\r\n"
			    "HTTP/1.1 204 No\r\nContent-Length: 12\r\n\r\n",
		.sent = "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "an absent reason stays absent",
		.received = "HTTP/1.1 204\r\n\r\n",
		.sent = "HTTP/1.1 204 \r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "Via and fields of our own come last",
		.received = "GET / HTTP/1.0\r\nHost: a\r\nVia: 1.0 z\r\n\r\n",
		.sent = "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 z\r\nVia: 1.0 weft\r\nl5d-dst: "
			"/svc/a\r\n"
			"Empty: \r\n\r\n",
		.rewrite = {.minor_version = 1,
			    .keep_alive = true,
			    .via = {"weft", 4},
			    .extra = extra,
			    .extra_count = 2},
		.keeps_framing = true,
	},
	{
		.name = "trailers go on without those that could change the message",
		.received = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
			    "Sum: 1\r\nHOST: b\r\nTE: x\r\n"
			    "Connection: y\r\nAuthorization: z\r\nEmpty:\r\n\r\n",
		.sent = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
			"Sum: 1\r\nEmpty: \r\n\r\n",
		KEEP,
	},
	{
		.name = "a target and a host in raw UTF-8 pass byte for byte",
		.received = "GET /d\xc3\xa4t\xe4?\xe2\x82\xac=\"{|}\" HTTP/1.1\r\n"
			    "Host: b\xc3\xbc.example\r\nA: \xc3\xa4\xe4\r\n\r\n",
		.sent = "GET /d\xc3\xa4t\xe4?\xe2\x82\xac=\"{|}\" HTTP/1.1\r\n"
			"Host: b\xc3\xbc.example\r\nA: \xc3\xa4\xe4\r\n\r\n",
		KEEP,
	},
	{
		.name = "so do methods that nobody knows",
		.received = "QUERY /a HTTP/1.1\r\nHost: a\r\n\r\n"
			    "x-Y_z! /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		.sent = "QUERY /a HTTP/1.1\r\nHost: a\r\n\r\n"
			"x-Y_z! /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		KEEP,
	},
	{
		.name = "a chunked request of an unknown method stays chunked",
		.received =
			"FOO /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
			"0\r\n\r\n",
		.sent = "FOO /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		KEEP,
	},
	{
		.name = "an empty Host and the absolute form stay as they are",
		.received = "GET http://A.Example HTTP/1.1\r\nHost:\r\n\r\n"
			    "OPTIONS * HTTP/1.1\r\nHost: a.\r\n\r\n",
		.sent = "GET http://A.Example HTTP/1.1\r\nHost: \r\n\r\n"
			"OPTIONS * HTTP/1.1\r\nHost: a.\r\n\r\n",
		KEEP,
	},
	{
		.name = "Connection in several fields, repeated, empty: none of it goes on",
		.received = LINE "Connection: close, close\r\nConnection:\r\nConnection: ,, ,\r\n"
				 "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nX: y\r\n\r\n",
		.sent = LINE "X: y\r\n\r\n",
		KEEP,
	},
	{
		.name = "Upgrade in several Connection fields, and several protocols, go through",
		.received = LINE "Connection: keep-alive\r\nConnection: UPGRADE\r\n"
				 "Upgrade: websocket, x/1\r\nUpgrade: y\r\n\r\n",
		.sent = LINE "Upgrade: websocket, x/1\r\nUpgrade: y\r\nConnection: Upgrade\r\n\r\n",
		.rewrite = {.minor_version = 1, .keep_alive = true, .keeps_upgrade = true},
		.keeps_framing = true,
	},
	{
		.name = "fields of a 1xx go on, repeated ones too",
		.received =
			"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n"
			"HTTP/1.1 100 Continue\r\nServer: x\r\n\r\n",
		.sent = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n"
			"HTTP/1.1 100 Continue\r\nServer: x\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "repeated fields of an answer stay apart and in order",
		.received = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nVary: b\r\nSet-Cookie: "
			    "c=\"\xe4\"\r\n"
			    "Set-Cookie: a=1\r\nVary: b\r\nContent-Length: 0\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nVary: b\r\nSet-Cookie: "
			"c=\"\xe4\"\r\n"
			"Set-Cookie: a=1\r\nVary: b\r\nContent-Length: 0\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "odd statuses and reasons pass byte for byte",
		.received = "HTTP/1.1 999 N\xc3\xa4h  \"x\" \r\nContent-Length: 0\r\n\r\n"
			    "HTTP/1.1 299  b\r\nContent-Length: 0\r\n\r\n",
		.sent = "HTTP/1.1 999 N\xc3\xa4h  \"x\" \r\nContent-Length: 0\r\n\r\n"
			"HTTP/1.1 299  b\r\nContent-Length: 0\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "an HTTP/1.0 server's keep-alive is that hop's own",
		.received = "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
			    "Keep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		KEEP,
		.is_response = true,
	},
	{
		.name = "a 426 names the protocols",
		.received = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
			    "Connection: upgrade\r\nContent-Length: 0\r\n\r\n",
		.sent = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
			"Content-Length: 0\r\nConnection: Upgrade\r\n\r\n",
		.rewrite = {.minor_version = 1, .keep_alive = true, .keeps_upgrade = true},
		.keeps_framing = true,
		.is_response = true,
	},
	{
		.name = "trailers of any other name go on with their announcement",
		.received = "HTTP/1.1 200 OK\r\nTrailer: Server-Timing\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n0\r\nServer-Timing: a;dur=1\r\n"
			    "grpc-status: 0\r\nX: \xe4\r\nX: \xe4\r\nETag: \"b\"\r\n\r\n",
		.sent = "HTTP/1.1 200 OK\r\nTrailer: Server-Timing\r\n"
			"Transfer-Encoding: chunked\r\n\r\n0\r\nServer-Timing: a;dur=1\r\n"
			"grpc-status: 0\r\nX: \xe4\r\nX: \xe4\r\nETag: \"b\"\r\n\r\n",
		KEEP,
		.is_response = true,
	},
};

static void forwarder_init(struct forwarder *forwarder, const struct rewritten *rewritten)
{
	*forwarder = (struct forwarder){
		.rewrite = rewritten->rewrite,
		.keeps_framing = rewritten->keeps_framing,
	};
	h1_reader_init(&forwarder->reader, !rewritten->is_response, &forwards, &recorder_limits);
	forwarder->reader.answers_head = rewritten->answers_head;
}

static void heads_are_rewritten_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(rewrittens); i++) {
		struct forwarder forwarder;
		struct span received = span_text(rewrittens[i].received);
		forwarder_init(&forwarder, &rewrittens[i]);
		size_t used = h1_feed(&forwarder.reader, received);
		if (used != received.size || forwarder.reader.error)
			fail_msg("%s: %s", rewrittens[i].name, forwarder.reader.error_text);
		if (!span_is(text_span(&forwarder.written), rewrittens[i].sent))
			fail_msg("%s:\n%s", rewrittens[i].name, forwarder.written.data);
		h1_reader_fini(&forwarder.reader);
		text_fini(&forwarder.written);
	}
}

/* What was written must be taken, and written again it must be the same. */
static void what_is_written_reads_as_it_was_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(rewrittens); i++) {
		struct forwarder first;
		struct forwarder second;
		struct rewritten plain = rewrittens[i];
		forwarder_init(&first, &plain);
		(void)!h1_feed(&first.reader, span_text(plain.received));
		plain.rewrite.via.size = 0;
		plain.rewrite.extra_count = 0;
		forwarder_init(&second, &plain);
		size_t used = h1_feed(&second.reader, text_span(&first.written));
		/* A head with chunks was written without its chunks: nothing but that is missing.
		 */
		if (used != first.written.size || second.reader.error)
			fail_msg("%s: %s", plain.name, second.reader.error_text);
		assert_string_equal(second.written.data, first.written.data);
		h1_reader_fini(&first.reader);
		h1_reader_fini(&second.reader);
		text_fini(&first.written);
		text_fini(&second.written);
	}
}

static void chunk_heads_are_hexadecimal_without_zeros_in_front(void **state)
{
	static const struct {
		size_t size;
		const char *text;
	} sizes[] = {
		{1, "1\r\n"},
		{9, "9\r\n"},
		{10, "a\r\n"},
		{16, "10\r\n"},
		{255, "ff\r\n"},
		{65536, "10000\r\n"},
		{0, "0\r\n"},
		{0xabcdef0123456789, "abcdef0123456789\r\n"},
		{SIZE_MAX, "ffffffffffffffff\r\n"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		char memory[H1_CHUNK_HEAD_MAX];
		size_t size = h1_write_chunk_head(sizes[i].size, memory);
		assert_true(size <= sizeof(memory));
		assert_true(span_is(span_of(memory, size), sizes[i].text));
	}
}

static void a_last_chunk_without_trailers_is_five_bytes(void **state)
{
	char memory[8];
	(void)state;
	assert_int_equal(h1_write_last_chunk(NULL, 0, NULL), 5);
	assert_int_equal(h1_write_last_chunk(NULL, 0, memory), 5);
	assert_memory_equal(memory, "0\r\n\r\n", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_rewritten_as_the_table_says),
		cmocka_unit_test(what_is_written_reads_as_it_was_meant),
		cmocka_unit_test(chunk_heads_are_hexadecimal_without_zeros_in_front),
		cmocka_unit_test(a_last_chunk_without_trailers_is_five_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
