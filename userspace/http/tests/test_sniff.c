/* First bytes of many protocols; every prefix must not contradict the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/sniff.h"

struct first_bytes {
	const char *bytes;
	size_t size;
	enum sniff answer;
	size_t decided_at; /* bytes that must suffice; fewer must say SNIFF_MORE */
};

#define BYTES(text, kind, at)                                                                      \
	{                                                                                          \
		text, sizeof(text) - 1, kind, at                                                   \
	}

static const struct first_bytes firsts[] = {
	BYTES("GET / HTTP/1.1\r\n", SNIFF_HTTP1, 5),
	BYTES("POST /a HTTP/1.0\r\n", SNIFF_HTTP1, 6),
	BYTES("PUT /", SNIFF_HTTP1, 5),
	BYTES("PATCH /", SNIFF_HTTP1, 7),
	BYTES("PROPFIND /dav", SNIFF_HTTP1, 10),
	BYTES("PROPPATCH /dav", SNIFF_HTTP1, 11),
	BYTES("UNSUBSCRIBE /event", SNIFF_HTTP1, 13),
	BYTES("MKCALENDAR /", SNIFF_HTTP1, 12),
	BYTES("M-SEARCH /", SNIFF_HTTP1, 10),
	BYTES("OPTIONS * HTTP/1.1\r\n", SNIFF_HTTP1, 17),
	BYTES("GET /d\xc3\xa4 HTTP/1.1\r\n", SNIFF_HTTP1, 5),
	BYTES("GET HTTP://A/ HTTP/1.1\r\n", SNIFF_HTTP1, 11),
	BYTES("OPTIONS /", SNIFF_HTTP1, 9),
	BYTES("GET http://a/ HTTP/1.1\r\n", SNIFF_HTTP1, 11),
	BYTES("UNSUBSCRIBE https://a/", SNIFF_HTTP1, 20),
	BYTES("CONNECT a:443 HTTP/1.1\r\n", SNIFF_HTTP1, 9),
	BYTES("CONNECT [::1]:443 ", SNIFF_HTTP1, 9),
	BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SNIFF_HTTP2, 24),
	BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4", SNIFF_HTTP2, 24),
	BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", SNIFF_TLS, 6),
	BYTES("\x16\x03\x03\x40\x00\x01", SNIFF_TLS, 6),
	BYTES("\x16\x03\x00\x00\x01\x01", SNIFF_TLS, 6),
	/* not HTTP though it begins like it */
	BYTES("get / HTTP/1.1\r\n", SNIFF_OPAQUE, 1),
	BYTES("GET\t/", SNIFF_OPAQUE, 4),
	BYTES("GETS /", SNIFF_OPAQUE, 4),
	BYTES("GET  /", SNIFF_OPAQUE, 5),
	BYTES("GET * HTTP/1.1\r\n", SNIFF_OPAQUE, 5),
	BYTES("GET key\r\n", SNIFF_OPAQUE, 5),
	BYTES("GET abcdefghijklmnopqrstuvwxyz", SNIFF_OPAQUE, 5),
	BYTES("GET httpd\r\n", SNIFF_OPAQUE, 9),
	BYTES("GET https\r\n", SNIFF_OPAQUE, 10),
	BYTES("GET a:b", SNIFF_OPAQUE, 5),
	BYTES("GET http:b", SNIFF_OPAQUE, 10),
	BYTES("GET 1://", SNIFF_OPAQUE, 5),
	BYTES("GET \r\n", SNIFF_OPAQUE, 5),
	BYTES("FOO / HTTP/1.1\r\n", SNIFF_OPAQUE, 1),
	BYTES("SOURCE /live ICE/1.0\r\n", SNIFF_OPAQUE, 2),
	BYTES("CONNECT\naccept-version:1.2\n", SNIFF_OPAQUE, 8),
	BYTES("CONNECT {\"verbose\":false}\r\n", SNIFF_OPAQUE, 9),
	BYTES("POST\r\n", SNIFF_OPAQUE, 5),
	BYTES("HEAD <1@a>\r\n", SNIFF_OPAQUE, 6),
	BYTES("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", SNIFF_OPAQUE, 19),
	BYTES("PRI / HTTP/1.1\r\n", SNIFF_OPAQUE, 5),
	BYTES("\r\nGET / HTTP/1.1\r\n", SNIFF_OPAQUE, 1),
	/* other protocols */
	BYTES("*3\r\n$3\r\nSET\r\n", SNIFF_OPAQUE, 1),
	BYTES("OPTIONS rtsp://a/b RTSP/1.0\r\n", SNIFF_OPAQUE, 9),
	BYTES("OPTIONS * RTSP/1.0\r\n", SNIFF_OPAQUE, 11),
	BYTES("OPTIONS icap://a/b ICAP/1.0\r\n", SNIFF_OPAQUE, 9),
	BYTES("OPTIONS sip:a@b SIP/2.0\r\n", SNIFF_OPAQUE, 9),
	BYTES("NOTIFY sip:a@b SIP/2.0\r\n", SNIFF_OPAQUE, 8),
	BYTES("SSH-2.0-OpenSSH_9.2\r\n", SNIFF_OPAQUE, 2),
	BYTES("EHLO a\r\n", SNIFF_OPAQUE, 1),
	BYTES("USER a\r\n", SNIFF_OPAQUE, 2),
	BYTES("\0\0\0\x08\x04\xd2\x16\x2f", SNIFF_OPAQUE, 1),
	BYTES("\x16\x02\x01", SNIFF_OPAQUE, 2),
	BYTES("\x16\x03\x05", SNIFF_OPAQUE, 3),
	BYTES("\x16\x03\x01\x00\x00", SNIFF_OPAQUE, 5),
	BYTES("\x16\x03\x01\x40\x01", SNIFF_OPAQUE, 5),
	BYTES("\x16\x03\x01\x02\x00\x02", SNIFF_OPAQUE, 6),
	BYTES("\x17\x03\x03\x02\x00\x01", SNIFF_OPAQUE, 1),
	BYTES("\x80\x2e\x01\x03\x01", SNIFF_OPAQUE, 1),
	BYTES("\xff", SNIFF_OPAQUE, 1),
};

static enum sniff sniff_copy(const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	enum sniff answer = sniff_client(span_of(copy, size));
	free(copy);
	return answer;
}

static void every_prefix_is_undecided_until_it_says_the_final_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(firsts); i++) {
		const struct first_bytes *first = &firsts[i];
		for (size_t size = 0; size <= first->size; size++) {
			enum sniff wanted = size < first->decided_at ? SNIFF_MORE : first->answer;
			enum sniff answer = sniff_copy(first->bytes, size);
			if (answer != wanted)
				fail_msg("%.*s: %zu bytes say %d, not %d", (int)first->size,
					 first->bytes, size, answer, wanted);
		}
	}
}

static void twenty_four_bytes_always_decide(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(firsts); i++) {
		char bytes[24];
		memset(bytes, 'a', sizeof(bytes));
		memcpy(bytes, firsts[i].bytes,
		       firsts[i].size < sizeof(bytes) ? firsts[i].size : sizeof(bytes));
		assert_int_not_equal(sniff_copy(bytes, sizeof(bytes)), SNIFF_MORE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix_is_undecided_until_it_says_the_final_answer),
		cmocka_unit_test(twenty_four_bytes_always_decide),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
