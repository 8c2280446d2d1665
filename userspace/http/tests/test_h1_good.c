/* Good messages, each fed whole, in pieces of every size, and cut in two at every place. */
#include "http/tests/good.h"

static const struct good goods[] = {
	{
		.name = "a GET without a body",
		.bytes = "GET /a?b=c&d=%20 HTTP/1.1\r\nHost: a.example:80\r\nUser-Agent: x/1 "
			 "(y)\r\n\r\n",
		.log = "> GET /a?b=c&d=%20 1.1 none keep\n  Host: a.example:80\n  User-Agent: x/1 "
		       "(y)\n.\n",
	},
	{
		.name = "one empty line before the request line is skipped",
		.bytes = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "blanks and tabs around values are no part of them",
		.bytes =
			"GET / HTTP/1.1\r\nHost:a\r\nA: \t b c \t\r\nB:\r\nC: \t \r\nD:\td\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: a\n  A: b c\n  B: \n  C: \n  D: d\n.\n",
	},
	{
		.name = "bytes above 127 pass in values",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: a\n  X: \xc3\xa4\xff\n.\n",
	},
	{
		.name = "every token character passes in a name",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: a\n  !#$%&'*+-.^_`|~09azAZ: 1\n.\n",
	},
	{
		.name = "Content-Length",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		.log = "> POST / 1.1 length=5 keep\n  Host: a\n  Content-Length: 5\n| 5 hello\n.\n",
	},
	{
		.name = "Content-Length 0",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:0\r\n\r\n",
		.log = "> POST / 1.1 length=0 keep\n  Host: a\n  content-length: 0\n.\n",
	},
	{
		.name = "leading zeros of Content-Length",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc",
		.log = "> POST / 1.1 length=3 keep\n  Host: a\n  Content-Length: 0003\n| 3 "
		       "abc\n.\n",
	},
	{
		.name = "chunks",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "5\r\nhello\r\n1\r\n \r\nB\r\nworld, all!\r\n0\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
		       "| 17 hello world, all!\n.\n",
	},
	{
		.name = "chunk sizes with zeros in front and letters of both cases",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
			 "000A\r\n0123456789\r\n0a\r\n0123456789\r\n000\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: CHUNKED\n"
		       "| 20 01234567890123456789\n.\n",
	},
	{
		.name = "well-formed chunk extensions are dropped",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "1;a\r\nx\r\n1 ; a = b\t;c=\"d; \\\" e\" ;f\r\ny\r\n1;a=\"\"\r\nz\r\n"
			 "0;last\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
		       "| 3 xyz\n.\n",
	},
	{
		.name = "trailers",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
			 "Trailer: Sum, B\r\n\r\n2\r\nab\r\n0\r\nSum: 9 \r\nB:\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
		       "  Trailer: Sum, B\n| 2 ab\n^ Sum: 9\n^ B: \n.\n",
	},
	{
		.name = "trailers with a meaning in a head have none",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "0\r\nHost: b\r\nConnection: close\r\n\r\n"
			 "GET / HTTP/1.1\r\nHost: c\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
		       "^ Host: b\n^ Connection: close\n.\n"
		       "> GET / 1.1 none keep\n  Host: c\n.\n",
	},
	{
		.name = "pipelined requests",
		.bytes = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
			 "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /3 HTTP/1.0\r\n\r\n",
		.log = "> POST /1 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n"
		       "> GET /2 1.1 none keep\n  Host: a\n.\n> GET /3 1.0 none\n.\n",
	},
	{
		.name = "Connection: close, in a list and in any case",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo,\tCLOSE , bar\r\n\r\n",
		.log = "> GET / 1.1 none\n  Host: a\n  Connection: foo,\tCLOSE , bar\n.\n",
	},
	{
		.name = "HTTP/1.0 stays open only when asked",
		.bytes = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
			 "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
		.log = "> GET / 1.0 none keep\n  Connection: Keep-Alive\n.\n"
		       "> GET / 1.0 none\n  Connection: keep-alive, close\n.\n",
	},
	{
		.name = "two Connection fields",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
		.log = "> GET / 1.1 none\n  Host: a\n  Connection: x\n  Connection: close\n.\n",
	},
	{
		.name = "Expect, TE and Upgrade",
		.bytes = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nTE: gzip, "
			 "trailers\r\nConnection: TE, upgrade\r\nUpgrade: websocket\r\n"
			 "Content-Length: 1\r\n\r\nx",
		.log = "> PUT / 1.1 length=1 keep upgrade continue te\n  Host: a\n  Expect: "
		       "100-Continue\n  TE: gzip, trailers\n  Connection: TE, upgrade\n  Upgrade: "
		       "websocket\n  Content-Length: 1\n| 1 x\n.\n",
	},
	{
		.name = "Upgrade that Connection does not list is none",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: a\n  Upgrade: websocket\n.\n",
	},
	{
		.name = "Upgrade and Expect mean nothing in HTTP/1.0",
		.bytes = "PUT / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\nExpect: "
			 "100-continue\r\nContent-Length: 0\r\n\r\n",
		.log = "> PUT / 1.0 length=0\n  Connection: upgrade\n  Upgrade: x\n  Expect: "
		       "100-continue\n  Content-Length: 0\n.\n",
	},
	{
		.name = "a request with Upgrade and a chunked body goes on as HTTP",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nT: 1\r\n\r\n"
			 "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> POST / 1.1 chunked keep upgrade\n  Host: a\n  Connection: Upgrade\n"
		       "  Upgrade: h2c\n  Transfer-Encoding: chunked\n| 2 ab\n^ T: 1\n.\n"
		       "> GET / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "the target in its other forms",
		.bytes = "GET http://a.example:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n"
			 "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET http://a.example:80/x?y 1.1 none keep\n  Host: a\n.\n"
		       "> OPTIONS * 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "CONNECT",
		.bytes = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
		.log = "> CONNECT a.example:443 1.1 none keep\n  Host: a.example:443\n.\n",
	},
	{
		.name = "hosts of every kind",
		.bytes = "GET / HTTP/1.1\r\nHost:\r\n\r\nGET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"
			 "GET / HTTP/1.1\r\nHost: a_b-c.d~e%20!$&'()*+;=\r\n\r\n"
			 "GET / HTTP/1.1\r\nHost: 10.0.0.1:\r\n\r\n",
		.log = "> GET / 1.1 none keep\n  Host: \n.\n"
		       "> GET / 1.1 none keep\n  Host: [::1]:8080\n.\n"
		       "> GET / 1.1 none keep\n  Host: a_b-c.d~e%20!$&'()*+;=\n.\n"
		       "> GET / 1.1 none keep\n  Host: 10.0.0.1:\n.\n",
	},
	{
		.name = "a method of WebDAV",
		.bytes = "PROPFIND /d HTTP/1.1\r\nHost: a\r\nDepth: 1\r\n\r\n",
		.log = "> PROPFIND /d 1.1 none keep\n  Host: a\n  Depth: 1\n.\n",
	},
	/* ---- responses ---- */
	{
		.name = "a response with Content-Length",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5, "
			 "max=100\r\n\r\nhello",
		.log = "< 200 OK 1.1 length=5 keep timeout=5\n  Content-Length: 5\n  Keep-Alive: "
		       "timeout=5, max=100\n| 5 hello\n.\n",
	},
	{
		.name = "reason phrases: absent, empty, odd",
		.is_response = true,
		.bytes = "HTTP/1.1 204\r\n\r\nHTTP/1.1 204 \r\n\r\n"
			 "HTTP/1.1 204 a\t b\xc3\xa4 \r\n\r\n",
		.log = "< 204  1.1 none keep\n.\n< 204  1.1 none keep\n.\n"
		       "< 204 a\t b\xc3\xa4  1.1 none keep\n.\n",
	},
	{
		.name = "a status that no registry knows",
		.is_response = true,
		.bytes = "HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n",
		.log = "< 999 No 1.1 length=0 keep\n  Content-Length: 0\n.\n",
	},
	{
		.name = "a body until close",
		.is_response = true,
		.ends = true,
		.bytes = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nall the rest\r\n",
		.log = "< 200 OK 1.1 close\n  A: b\n| 14 all the rest\r\n\n.\n",
	},
	{
		.name = "an empty body until close",
		.is_response = true,
		.ends = true,
		.bytes = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
		.log = "< 200 OK 1.0 close\n  Connection: keep-alive\n.\n",
	},
	{
		.name = "HTTP/1.0 with keep-alive and a length",
		.is_response = true,
		.bytes = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
		.log = "< 200 OK 1.0 length=1 keep\n  Connection: keep-alive\n"
		       "  Content-Length: 1\n| 1 x\n.\n",
	},
	{
		.name = "1xx answers are messages of their own",
		.is_response = true,
		.bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"
			 "Content-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		.log = "< 100 Continue 1.1 none keep\n.\n< 103 Early Hints 1.1 none keep\n"
		       "  Link: </a>\n  Content-Length: 9\n.\n"
		       "< 200 OK 1.1 length=1 keep\n  Content-Length: 1\n| 1 x\n.\n",
	},
	{
		.name = "204 and 304 have no body whatever they say",
		.is_response = true,
		.bytes = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
			 "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
			 "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
		.log = "< 204 No Content 1.1 none keep\n  Content-Length: 5\n.\n"
		       "< 304 Not Modified 1.1 none keep\n  Content-Length: 5\n.\n"
		       "< 304 Not Modified 1.1 none keep\n  Transfer-Encoding: chunked\n.\n",
	},
	{
		.name = "an answer to HEAD has no body, the next one has",
		.is_response = true,
		.answers_head = true,
		.bytes = "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		.log = "< 103 Hints 1.1 none keep\n.\n"
		       "< 200 OK 1.1 none keep\n  Content-Length: 5\n.\n"
		       "< 200 OK 1.1 length=1 keep\n  Content-Length: 1\n| 1 x\n.\n",
	},
	{
		.name = "a 200 to CONNECT has no body",
		.is_response = true,
		.answers_connect = true,
		.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.log = "< 200 OK 1.1 none keep\n  Transfer-Encoding: chunked\n.\n",
	},
	{
		.name = "a refusal of CONNECT has one",
		.is_response = true,
		.answers_connect = true,
		.bytes = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
		.log = "< 403 No 1.1 length=2 keep\n  Content-Length: 2\n| 2 no\n.\n",
	},
	{
		.name = "a 101",
		.is_response = true,
		.bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\n\r\n",
		.log = "< 101 Switching Protocols 1.1 none keep upgrade\n  Upgrade: websocket\n"
		       "  Connection: Upgrade\n.\n",
	},
	{
		.name = "a chunked response with trailers",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "3;x=y\r\nabc\r\n0\r\nDone: yes\r\n\r\n",
		.log = "< 200 OK 1.1 chunked keep\n  Transfer-Encoding: chunked\n| 3 abc\n"
		       "^ Done: yes\n.\n",
	},
};

static void good_messages_give_their_events_in_pieces_of_any_size(void **state)
{
	(void)state;
	goods_check_in_pieces(goods, array_count(goods));
}

static void good_messages_give_their_events_when_cut_in_two_anywhere(void **state)
{
	(void)state;
	goods_check_cut_in_two(goods, array_count(goods));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_messages_give_their_events_in_pieces_of_any_size),
		cmocka_unit_test(good_messages_give_their_events_when_cut_in_two_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
