/*
 * Bad messages: refused with the right error however they are cut, and not one event of a bad head
 * or byte of a bad chunk gets out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/tests/recorder.h"

#include "base/mem.h"

struct bad {
	const char *name;
	const char *bytes;
	size_t size;     /* 0: up to the NUL */
	const char *log; /* what was good before; NULL: nothing at all */
	uint8_t error;
	bool is_response;
	bool answers_head;
};

#define SYNTAX(words, text)                                                                        \
	{                                                                                          \
		.name = (words), .bytes = (text), .error = H1_BAD_SYNTAX                           \
	}
#define FRAMING(words, text)                                                                       \
	{                                                                                          \
		.name = (words), .bytes = (text), .error = H1_BAD_FRAMING                          \
	}
#define WITH_NUL(words, text)                                                                      \
	{                                                                                          \
		.name = (words), .bytes = (text), .size = sizeof(text) - 1, .error = H1_BAD_SYNTAX \
	}
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct bad bad_lines[] = {
	SYNTAX("no HTTP at all", "hello\r\n\r\n"),
	SYNTAX("HEAD in small letters, whose answer a server may frame in either way",
	       "head / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("HEAD with one small letter", "HEAd / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("CONNECT in small letters, which one server would take as a tunnel",
	       "connect a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("PRI, which is HTTP/2's alone", "PRI / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a blank before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("two blanks after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a tab before the version", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a blank after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
	SYNTAX("a blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("an empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("HTTP/0.9 without a version", "GET /\r\n\r\n"),
	SYNTAX("version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
	SYNTAX("version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
	SYNTAX("version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
	SYNTAX("version 1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
	SYNTAX("version without a dot", "GET / HTTP/11\r\nHost: a\r\n\r\n"),
	SYNTAX("version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("another protocol's version", "SOURCE /a ICE/1.0\r\nHost: a\r\n\r\n"),
	SYNTAX("RTSP", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
	SYNTAX("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	SYNTAX("request line ended by a lone LF", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
	SYNTAX("request line ended by a lone CR", "GET / HTTP/1.1\rHost: a\r\n\r\n"),
	SYNTAX("request line ended by two CR", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
	SYNTAX("two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a lone LF in front", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a lone CR in front", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a fragment, where servers differ about the end of the path",
	       "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
	WITH_NUL("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("a relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("* with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("more than *", "OPTIONS */a HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("CONNECT to a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("CONNECT without a host", "CONNECT :80 HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("CONNECT with a user", "CONNECT u@a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
};

/* Lines that llhttp is shown in disguise: nothing but the method and bytes over 127 is forgiven. */
#define REST " HTTP/1.1\r\nHost: a\r\n\r\n"
static const struct bad bad_disguised[] = {
	SYNTAX("UTF-8 and a control byte", "GET /\xc3\xa4\x01" REST),
	SYNTAX("a control byte and UTF-8", "GET /\x01\xc3\xa4" REST),
	SYNTAX("UTF-8 and DEL", "GET /\xc3\xa4\x7f" REST),
	SYNTAX("UTF-8 and a tab", "GET /\xc3\xa4\t" REST),
	SYNTAX("UTF-8 and a blank", "GET /\xc3\xa4 b" REST),
	SYNTAX("UTF-8 and a fragment", "GET /\xc3\xa4#b" REST),
	SYNTAX("UTF-8 and a lone CR", "GET /\xc3\xa4\rb" REST),
	SYNTAX("UTF-8 and a lone LF", "GET /\xc3\xa4\nb" REST),
	WITH_NUL("UTF-8 and NUL", "GET /\xc3\xa4\0" REST),
	SYNTAX("UTF-8 and no version", "GET /\xc3\xa4\r\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 and version 1.2", "GET /\xc3\xa4 HTTP/1.2\r\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 and a blank behind the version",
	       "GET /\xc3\xa4 HTTP/1.1 \r\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 and a lone LF as line end", "GET /\xc3\xa4 HTTP/1.1\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 and two CR as line end", "GET /\xc3\xa4 HTTP/1.1\r\r\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 at the target's beginning, which makes it relative", "GET \xc3\xa4/" REST),
	SYNTAX("UTF-8 in a scheme", "GET h\xc3\xa4://a/" REST),
	SYNTAX("UTF-8 in the method", "G\xc3\xa4T /" REST),
	SYNTAX("UTF-8 behind the method", "GET\xc3\xa4 /" REST),
	SYNTAX("UTF-8 in front", "\xef\xbb\xbfGET /" REST),
	SYNTAX("UTF-8 in the version", "GET / HTTP/1.\xc2\xb9\r\nHost: a\r\n\r\n"),
	SYNTAX("a no-break space behind the version", "GET / HTTP/1.1\xa0\r\nHost: a\r\n\r\n"),
	SYNTAX("UTF-8 in a field's name below UTF-8 in the target",
	       "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\xc3\xa4: b\r\n\r\n"),
	SYNTAX("a folded field below UTF-8 in the target",
	       "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
	FRAMING("two lengths below UTF-8 in the target",
		"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n"
		"\r\nx"),
	SYNTAX("CONNECT to UTF-8 without a port", "CONNECT \xc3\xa4" REST),
	SYNTAX("an unknown method without a blank", "FOO\r\n\r\n"),
	SYNTAX("an unknown method and nothing", "FOO \r\n\r\n"),
	SYNTAX("an unknown method without a target", "FOO HTTP/1.1\r\nHost: a\r\n\r\n"),
	SYNTAX("an unknown method without a version", "FOO /\r\nHost: a\r\n\r\n"),
	SYNTAX("an unknown method and another version", "FOO / ICE/1.0\r\nHost: a\r\n\r\n"),
	SYNTAX("an unknown method and *", "FOO *" REST),
	SYNTAX("an unknown method and a host, which is CONNECT's", "FOO a:80" REST),
	SYNTAX("an unknown method and a fragment", "FOO /a#b" REST),
	SYNTAX("an unknown method and a blank in the target", "FOO /a b" REST),
	SYNTAX("an unknown method and two blanks", "FOO  /" REST),
	SYNTAX("an unknown method and a tab", "FOO\t/" REST),
	SYNTAX("an unknown method and a lone LF", "FOO / HTTP/1.1\nHost: a\r\n\r\n"),
	SYNTAX("an unknown method and a lone CR", "FOO /\rb" REST),
	SYNTAX("an unknown method with a bracket", "F[O] /" REST),
	SYNTAX("an unknown method with a colon", "FOO: /" REST),
	SYNTAX("an unknown method with quotes", "\"GET\" /" REST),
	SYNTAX("an unknown method with a control byte", "F\x01O /" REST),
	WITH_NUL("an unknown method with NUL", "FOO\0 /" REST),
	SYNTAX("a ClientHello where a request should be", "\x16\x03\x01\x02\x01\x01\r\n\r\n"),
	FRAMING("an unknown method without Host", "FOO / HTTP/1.1\r\nA: b\r\n\r\n"),
	FRAMING("an unknown method with two Hosts", "FOO / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
	FRAMING("an unknown method with length and coding",
		"FOO / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
		"\r\n0\r\n\r\n"),
};

static const struct bad bad_fields[] = {
	SYNTAX("blank before the colon", GET "A : b\r\n\r\n"),
	SYNTAX("tab before the colon", GET "A\t: b\r\n\r\n"),
	SYNTAX("blank before Content-Length's colon", GET "Content-Length : 3\r\n\r\nabc"),
	SYNTAX("blank before Transfer-Encoding's colon",
	       GET "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
	SYNTAX("blank in a name", GET "A B: c\r\n\r\n"),
	SYNTAX("control byte in a name", GET "A\x01: c\r\n\r\n"),
	SYNTAX("byte over 127 in a name", GET "A\xe4: c\r\n\r\n"),
	SYNTAX("bracket in a name", GET "A[1]: c\r\n\r\n"),
	SYNTAX("empty name", GET ": c\r\n\r\n"),
	SYNTAX("no colon", GET "abc\r\n\r\n"),
	SYNTAX("CR in a name", GET "A\rB: c\r\n\r\n"),
	WITH_NUL("NUL in a name", GET "A\0: c\r\n\r\n"),
	WITH_NUL("NUL in a value", GET "A: b\0c\r\n\r\n"),
	SYNTAX("control byte in a value", GET "A: b\x01\r\n\r\n"),
	SYNTAX("escape in a value", GET "A: b\x1b[1m\r\n\r\n"),
	SYNTAX("DEL in a value", GET "A: b\x7f\r\n\r\n"),
	SYNTAX("lone CR in a value", GET "A: b\rc\r\n\r\n"),
	SYNTAX("lone CR as value", GET "A: \rX: c\r\n\r\n"),
	SYNTAX("lone LF in a value", GET "A: b\nX: c\r\n\r\n"),
	SYNTAX("lone LF after an empty value", GET "A:\nX: c\r\n\r\n"),
	SYNTAX("lone LF after a length", GET "Content-Length: 3\nX: c\r\n\r\nabc"),
	SYNTAX("lone LF after a coding", GET "Transfer-Encoding: chunked\n\r\n0\r\n\r\n"),
	SYNTAX("lone LF after Connection", GET "Connection: close\nX: c\r\n\r\n"),
	SYNTAX("lone LF as the empty line", GET "\n"),
	SYNTAX("lone CR as the empty line", GET "\rX"),
	SYNTAX("CR CR LF as the empty line", GET "\r\r\n"),
	SYNTAX("folded value", GET "A: b\r\n c\r\n\r\n"),
	SYNTAX("value folded with a tab", GET "A: b\r\n\tc\r\n\r\n"),
	SYNTAX("value folded at once", GET "A:\r\n b\r\n\r\n"),
	SYNTAX("value folded to nothing", GET "A: b\r\n \r\n\r\n"),
	SYNTAX("empty value folded to nothing", GET "A:\r\n \r\n\r\n"),
	SYNTAX("folded length", GET "Content-Length:\r\n 3\r\n\r\nabc"),
	SYNTAX("folded coding", GET "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
	SYNTAX("folded Connection", GET "Connection: close,\r\n x\r\n\r\n"),
	SYNTAX("first field begins with a blank", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
	SYNTAX("too many Connection options",
	       GET "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"
		   "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n"),
};

static const struct bad bad_framing[] = {
	FRAMING("two lengths", GET "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
	FRAMING("two equal lengths", GET "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
	FRAMING("a list of lengths", GET "Content-Length: 3, 3\r\n\r\nabc"),
	FRAMING("a list of lengths without blank", GET "Content-Length: 3,3\r\n\r\nabc"),
	FRAMING("a length with a sign", GET "Content-Length: +3\r\n\r\nabc"),
	FRAMING("a negative length", GET "Content-Length: -3\r\n\r\nabc"),
	FRAMING("a length with a blank inside", GET "Content-Length: 1 2\r\n\r\nabc"),
	FRAMING("a length with a tab behind, which nginx refuses too",
		GET "Content-Length: 3\t\r\n\r\nabc"),
	FRAMING("an empty length", GET "Content-Length:\r\n\r\nabc"),
	FRAMING("a blank length", GET "Content-Length: \r\n\r\nabc"),
	FRAMING("a hexadecimal length", GET "Content-Length: 0x3\r\n\r\nabc"),
	FRAMING("a length with a point", GET "Content-Length: 3.0\r\n\r\nabc"),
	FRAMING("a quoted length", GET "Content-Length: \"3\"\r\n\r\nabc"),
	FRAMING("a length of 2^64", GET "Content-Length: 18446744073709551616\r\n\r\nabc"),
	FRAMING("a length of 2^63", GET "Content-Length: 9223372036854775808\r\n\r\nabc"),
	FRAMING("a length of 30 digits",
		GET "Content-Length: 100000000000000000000000000003\r\n\r\nabc"),
	FRAMING("length, then coding",
		GET "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("coding, then length",
		GET "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
	FRAMING("coding and length 0",
		GET "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
	FRAMING("a coding in HTTP/1.0",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("an unknown coding", GET "Transfer-Encoding: gzip\r\n\r\n"),
	FRAMING("identity", GET "Transfer-Encoding: identity\r\n\r\n"),
	FRAMING("an unknown coding, then chunked",
		GET "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked, then another", GET "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked, then identity",
		GET "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked twice in a list",
		GET "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked twice in two fields",
		GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("identity and chunked in two fields",
		GET "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked with a comma before", GET "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked with a comma after", GET "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked with a tab behind, which some servers take for another coding",
		GET "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n"),
	FRAMING("chunked with a parameter", GET "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
	FRAMING("something like chunked", GET "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
	FRAMING("something after chunked", GET "Transfer-Encoding: chunked x\r\n\r\n0\r\n\r\n"),
	FRAMING("a quoted coding", GET "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
	FRAMING("an empty coding", GET "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
	FRAMING("no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
	FRAMING("no field at all", "GET / HTTP/1.1\r\n\r\n"),
	FRAMING("two Hosts", GET "Host: b\r\n\r\n"),
	FRAMING("the same Host twice", GET "host: a\r\n\r\n"),
	FRAMING("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
	FRAMING("two Hosts, one empty", "GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n"),
	FRAMING("a blank in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
	FRAMING("a list in Host", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
	FRAMING("a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	FRAMING("a user in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
	FRAMING("a scheme in Host", "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"),
	FRAMING("a port of letters", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
	FRAMING("two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
	FRAMING("only a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
	FRAMING("an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
	FRAMING("bytes behind a bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
	FRAMING("a blank beside bytes over 127 in Host",
		"GET / HTTP/1.1\r\nHost: \xc3\xa4 b\r\n\r\n"),
	FRAMING("CONNECT with a length",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
	FRAMING("CONNECT with chunks",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
};

#define CHUNKED     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_LOG "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
/* A good chunk, then the bad bytes: the good one is delivered. */
#define CHUNK(words, text)                                                                         \
	{                                                                                          \
		.name = (words), .bytes = CHUNKED "2\r\nok\r\n" text, .error = H1_BAD_FRAMING,     \
		.log = CHUNKED_LOG "| 2 ok\n",                                                     \
	}
#define DIGITS_64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct bad bad_chunks[] = {
	CHUNK("no size", "\r\nabc"),
	CHUNK("no digit", "g\r\nabc"),
	CHUNK("letters behind digits", "3g\r\nabc"),
	CHUNK("0x", "0x3\r\nabc\r\n"),
	CHUNK("blank before the size", " 3\r\nabc\r\n"),
	CHUNK("tab before the size", "\t3\r\nabc\r\n"),
	CHUNK("blank behind the size, which is in no grammar", "3 \r\nabc\r\n"),
	CHUNK("sign", "+3\r\nabc\r\n"),
	CHUNK("minus", "-3\r\nabc\r\n"),
	CHUNK("underscore", "1_0\r\nabc\r\n"),
	CHUNK("2^63", "8000000000000000\r\nabc"),
	CHUNK("2^64", "10000000000000000\r\nabc"),
	CHUNK("17 zeros", "00000000000000000\r\n\r\n"),
	CHUNK("lone LF behind the size", "3\nabc\r\n"),
	CHUNK("lone CR behind the size", "3\rabc\r\n"),
	CHUNK("two CR behind the size", "3\r\r\nabc\r\n"),
	CHUNK("lone LF behind an extension", "3;a\nabc\r\n"),
	CHUNK("CR inside an extension", "3;a\rb\r\nabc\r\n"),
	CHUNK("CR inside quotes", "3;a=\"\r\n\"\r\nabc\r\n"),
	CHUNK("quotes left open", "3;a=\"b\r\nabc\r\n"),
	CHUNK("LF inside quotes", "3;a=\"\n\"\r\nabc\r\n"),
	CHUNK("empty extension", "3;\r\nabc\r\n"),
	CHUNK("two semicolons", "3;;a\r\nabc\r\n"),
	CHUNK("extension without a name", "3;=b\r\nabc\r\n"),
	CHUNK("extension with an empty value", "3;a=\r\nabc\r\n"),
	CHUNK("extension with a blank value", "3;a= ;b\r\nabc\r\n"),
	CHUNK("extension with two values", "3;a=b=c\r\nabc\r\n"),
	CHUNK("bytes behind quotes", "3;a=\"b\"c\r\nabc\r\n"),
	CHUNK("quotes behind bytes", "3;a=b\"c\"\r\nabc\r\n"),
	CHUNK("blank behind an extension", "3;a \r\nabc\r\n"),
	CHUNK("two names", "3;a b\r\nabc\r\n"),
	CHUNK("extension without a semicolon", "3 a\r\nabc\r\n"),
	CHUNK("control byte in an extension", "3;a\x01\r\nabc\r\n"),
	CHUNK("control byte in quotes", "3;a=\"\x01\"\r\nabc\r\n"),
	CHUNK("extension of 257 bytes",
	      "3;" DIGITS_64 DIGITS_64 DIGITS_64 DIGITS_64 "0\r\nabc\r\n"),
	CHUNK("bad last chunk", "0;\r\n\r\n"),
	CHUNK("no end after the last chunk", "0\r\n\rX"),
	{
		.name = "chunk bytes without CR LF",
		.bytes = CHUNKED "3\r\nabcd\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG "| 3 abc\n",
	},
	{
		.name = "chunk bytes with a lone LF",
		.bytes = CHUNKED "3\r\nabc\n0\r\n\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG "| 3 abc\n",
	},
	{
		.name = "chunk bytes with CR and something else",
		.bytes = CHUNKED "3\r\nabc\rX",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG "| 3 abc\n",
	},
	{
		.name = "a length among the trailers",
		.bytes = CHUNKED "0\r\nA: b\r\nContent-Length: 7\r\n\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG,
	},
	{
		.name = "a bad length among the trailers",
		.bytes = CHUNKED "0\r\nA: b\r\nContent-Length: x\r\n\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG,
	},
	{
		.name = "a coding among the trailers",
		.bytes = CHUNKED "0\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG,
	},
	{
		.name = "an unknown coding among the trailers",
		.bytes = CHUNKED "0\r\nA: b\r\nTransfer-Encoding: x\r\n\r\n",
		.error = H1_BAD_FRAMING,
		.log = CHUNKED_LOG,
	},
	{
		.name = "folded trailer",
		.bytes = CHUNKED "0\r\nA: b\r\n c\r\n\r\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "trailer with a blank before the colon",
		.bytes = CHUNKED "0\r\nA : b\r\n\r\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "trailer without a colon",
		.bytes = CHUNKED "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "trailer ended by a lone LF",
		.bytes = CHUNKED "0\r\nA: b\n\r\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "trailers ended by a lone LF",
		.bytes = CHUNKED "0\r\nA: b\r\n\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "no trailers, ended by a lone LF",
		.bytes = CHUNKED "0\r\n\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
	{
		.name = "control byte in a trailer",
		.bytes = CHUNKED "0\r\nA: \x01\r\n\r\n",
		.error = H1_BAD_SYNTAX,
		.log = CHUNKED_LOG,
	},
};

#define ANSWER(words, text, kind)                                                                  \
	{                                                                                          \
		.name = (words), .bytes = (text), .error = (kind), .is_response = true             \
	}

static const struct bad bad_responses[] = {
	ANSWER("no HTTP at all", "220 mail ready\r\n", H1_BAD_SYNTAX),
	ANSWER("an empty line in front", "\r\nHTTP/1.1 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a blank in front", " HTTP/1.1 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("version 2", "HTTP/2 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("version 2.0", "HTTP/2.0 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("version 0.9", "HTTP/0.9 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("version in small letters", "http/1.1 204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("no status", "HTTP/1.1\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a status of two digits", "HTTP/1.1 20 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a status of four digits", "HTTP/1.1 2000 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a status of letters", "HTTP/1.1 abc x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a status from 0", "HTTP/1.1 099 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("two blanks before the status", "HTTP/1.1  204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a tab before the status", "HTTP/1.1\t204 x\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a tab after the status", "HTTP/1.1 204\tx\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a control byte in the reason", "HTTP/1.1 204 \x01\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a lone CR in the reason", "HTTP/1.1 204 a\rb\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a lone LF behind the reason", "HTTP/1.1 204 x\nA: b\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a lone LF behind the status", "HTTP/1.1 204\nA: b\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a folded field", "HTTP/1.1 204 x\r\nA: b\r\n c\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("a blank before the colon", "HTTP/1.1 204 x\r\nA : b\r\n\r\n", H1_BAD_SYNTAX),
	ANSWER("two lengths", "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	       H1_BAD_FRAMING),
	ANSWER("a list of lengths", "HTTP/1.1 200 x\r\nContent-Length: 1, 1\r\n\r\na",
	       H1_BAD_FRAMING),
	ANSWER("a bad length", "HTTP/1.1 200 x\r\nContent-Length: a\r\n\r\na", H1_BAD_FRAMING),
	ANSWER("length and coding",
	       "HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	       H1_BAD_FRAMING),
	ANSWER("a coding in HTTP/1.0", "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
	       H1_BAD_FRAMING),
	ANSWER("an unknown coding", "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n",
	       H1_BAD_FRAMING),
	ANSWER("chunked twice", "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
	       H1_BAD_FRAMING),
	ANSWER("bytes after a 204 that claims a body",
	       "HTTP/1.1 204 x\r\nContent-Length: a\r\n\r\nab", H1_BAD_FRAMING),
};

static void refused_check(const struct bad *bad, size_t first, size_t piece)
{
	long live = mem_live();
	struct recorder recorder;
	struct span bytes = span_of(bad->bytes, bad->size ? bad->size : strlen(bad->bytes));
	recorder_init(&recorder, !bad->is_response);
	recorder.reader.answers_head = bad->answers_head;
	if (first > bytes.size)
		first = bytes.size;
	size_t used = recorder_feed(&recorder, span_of(bytes.data, first));
	if (used == first && !recorder.reader.error)
		used += recorder_feed_pieces(
			&recorder, span_of(bytes.data + first, bytes.size - first), piece);
	if (recorder.reader.error != bad->error || !recorder.reader.error_text)
		fail_msg("%s: error %u, not %u (%zu used, log %s)", bad->name,
			 recorder.reader.error, bad->error, used, recorder_text(&recorder));
	if (used > bytes.size)
		fail_msg("%s: used more than was there", bad->name);
	assert_string_equal(recorder_text(&recorder), bad->log ? bad->log : "");
	/* A refusal stands, and nothing more is taken. */
	assert_int_equal(recorder_feed(&recorder, span_text(GET "\r\n")), 0);
	assert_int_equal(h1_end(&recorder.reader), bad->error);
	assert_string_equal(recorder_text(&recorder), bad->log ? bad->log : "");
	recorder_fini(&recorder);
	assert_int_equal(mem_live(), live);
}

static void all_refused_check(const struct bad *bads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = bads[i].size ? bads[i].size : strlen(bads[i].bytes);
		for (size_t piece = 1; piece <= size; piece++)
			refused_check(&bads[i], piece, piece);
		for (size_t cut = 1; cut < size; cut++)
			refused_check(&bads[i], cut, size);
	}
}

static void bad_start_lines_are_refused_in_any_pieces(void **state)
{
	(void)state;
	all_refused_check(bad_lines, array_count(bad_lines));
	all_refused_check(bad_disguised, array_count(bad_disguised));
}

static void bad_fields_are_refused_in_any_pieces(void **state)
{
	(void)state;
	all_refused_check(bad_fields, array_count(bad_fields));
}

static void unclear_framing_is_refused_in_any_pieces(void **state)
{
	(void)state;
	all_refused_check(bad_framing, array_count(bad_framing));
}

static void bad_chunks_are_refused_and_none_of_their_bytes_delivered(void **state)
{
	(void)state;
	all_refused_check(bad_chunks, array_count(bad_chunks));
}

static void bad_responses_are_refused_in_any_pieces(void **state)
{
	(void)state;
	all_refused_check(bad_responses, array_count(bad_responses));
}

/* Whatever single byte stands in the place of another, a head is taken clean or not at all. */
static void no_byte_put_anywhere_in_a_head_gets_a_control_byte_out(void **state)
{
	static const char good[] =
		"POST /a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n"
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
	static const size_t head_size = sizeof(good) - sizeof("1\r\nx\r\n0\r\n\r\n");
	(void)state;
	for (size_t place = 0; place < head_size * 256; place++) {
		char bytes[sizeof(good)];
		struct recorder recorder;
		memcpy(bytes, good, sizeof(good));
		bytes[place / 256] = (char)place;
		recorder_init(&recorder, true);
		size_t used = recorder_feed(&recorder, span_of(bytes, sizeof(good) - 1));
		assert_true(recorder.reader.error || used == sizeof(good) - 1);
		const char *log = recorder_text(&recorder);
		for (size_t i = 0; log[i]; i++)
			assert_true((unsigned char)log[i] >= ' ' || log[i] == '\n' ||
				    log[i] == '\t');
		assert_int_equal(strlen(log), recorder.log.size);
		recorder_fini(&recorder);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_start_lines_are_refused_in_any_pieces),
		cmocka_unit_test(bad_fields_are_refused_in_any_pieces),
		cmocka_unit_test(unclear_framing_is_refused_in_any_pieces),
		cmocka_unit_test(bad_chunks_are_refused_and_none_of_their_bytes_delivered),
		cmocka_unit_test(bad_responses_are_refused_in_any_pieces),
		cmocka_unit_test(no_byte_put_anywhere_in_a_head_gets_a_control_byte_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
