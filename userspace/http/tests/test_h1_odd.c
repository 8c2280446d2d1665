/*
 * Legitimate but odd: what real clients and servers send to each other and what works between them
 * without us. Fed in the same ways as the good messages.
 */
#include "http/tests/good.h"

/* ---- request lines ---- */

static const struct good odd_lines[] = {
	{
		.name = "raw UTF-8 in path and query (curl, ab, HTTP::Tiny)",
		.bytes = "GET /d\xc3\xa4t\xc3\xa4?q=\xe2\x82\xac HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET /d\xc3\xa4t\xc3\xa4?q=\xe2\x82\xac 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "bytes over 127 that are no UTF-8 (Node)",
		.bytes = "GET /\xe4\x80\xff HTTP/1.0\r\n\r\n",
		.log = "> GET /\xe4\x80\xff 1.0 none\n.\n",
	},
	{
		.name = "raw UTF-8, a body and requests before and behind it",
		.bytes = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\n"
			 "PUT /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "2\r\nhi\r\n0\r\nT: u\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET /1 1.1 none keep\n  Host: a\n.\n"
		       "> PUT /\xc3\xa4 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n"
		       "| 2 hi\n^ T: u\n.\n> GET /3 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "raw UTF-8 in the absolute form",
		.bytes = "GET http://b\xc3\xbc.example/\xc3\xa4 HTTP/1.1\r\nHost: b\xc3\xbc.example"
			 "\r\n\r\n",
		.log = "> GET http://b\xc3\xbc.example/\xc3\xa4 1.1 none keep\n"
		       "  Host: b\xc3\xbc.example\n.\n",
	},
	{
		.name = "characters that RFC 3986 wants escaped",
		.bytes = "GET /\"<>[\\]^`{|}?a={\"b\":[1|2]}&c=^`\\?/@ HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET /\"<>[\\]^`{|}?a={\"b\":[1|2]}&c=^`\\?/@ 1.1 none keep\n"
		       "  Host: a\n.\n",
	},
	{
		.name = "percent signs that escape nothing, empty segments, dots",
		.bytes = "GET //a/../%zz/%/./;x=1,2?%&&= HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GET //a/../%zz/%/./;x=1,2?%&&= 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "the absolute form without a path, with a user, in capitals",
		.bytes = "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET HTTP://u:p@A:80/ HTTP/1.1\r\nHost: A:80\r\n\r\n"
			 "GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		.log = "> GET http://a 1.1 none keep\n  Host: a\n.\n"
		       "> GET http://a?b 1.1 none keep\n  Host: a\n.\n"
		       "> GET HTTP://u:p@A:80/ 1.1 none keep\n  Host: A:80\n.\n"
		       "> GET http://[::1]:80/ 1.1 none keep\n  Host: [::1]:80\n.\n",
	},
	{
		.name = "methods that llhttp does not know",
		.bytes = "QUERY /q HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
			 "VERSION-CONTROL /v HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> QUERY /q 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n"
		       "> VERSION-CONTROL /v 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "methods of every token character and of one byte",
		.bytes = "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n"
			 "x / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> !#$%&'*+-.^_`|~09azAZ / 1.1 none keep\n  Host: a\n.\n"
		       "> x / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "methods that begin like others or differ in case",
		.bytes = "GETX / HTTP/1.1\r\nHost: a\r\n\r\nHEADER / HTTP/1.1\r\nHost: a\r\n\r\n"
			 "CONNECTED / HTTP/1.1\r\nHost: a\r\n\r\nP / HTTP/1.1\r\nHost: a\r\n\r\n"
			 "get / HTTP/1.1\r\nHost: a\r\n\r\nPost / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> GETX / 1.1 none keep\n  Host: a\n.\n"
		       "> HEADER / 1.1 none keep\n  Host: a\n.\n"
		       "> CONNECTED / 1.1 none keep\n  Host: a\n.\n"
		       "> P / 1.1 none keep\n  Host: a\n.\n"
		       "> get / 1.1 none keep\n  Host: a\n.\n"
		       "> Post / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "methods that llhttp keeps for RTSP and Icecast",
		.bytes = "PLAY / HTTP/1.1\r\nHost: a\r\n\r\nFLUSH /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n"
			 "\r\nSOURCE / HTTP/1.1\r\nHost: a\r\n"
			 "\r\nREDIRECT / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> PLAY / 1.1 none keep\n  Host: a\n.\n"
		       "> FLUSH /\xc3\xa4 1.1 none keep\n  Host: a\n.\n"
		       "> SOURCE / 1.1 none keep\n  Host: a\n.\n"
		       "> REDIRECT / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "an unknown method with everything that frames and upgrades",
		.bytes = "FOO http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n"
			 "Connection: keep-alive, Upgrade\r\nUpgrade: x/1\r\nExpect: "
			 "100-continue\r\n"
			 "\r\n1\r\nx\r\n0\r\n\r\n",
		.log = "> FOO http://a/ 1.1 chunked keep upgrade continue\n  Host: a\n"
		       "  Transfer-Encoding: Chunked\n  Connection: keep-alive, Upgrade\n"
		       "  Upgrade: x/1\n  Expect: 100-continue\n| 1 x\n.\n",
	},
	{
		.name = "registered methods of WebDAV, DeltaV and UPnP",
		.bytes = "MKCALENDAR /c HTTP/1.1\r\nHost: a\r\n\r\n"
			 "M-SEARCH /d HTTP/1.1\r\nHost: a\r\n\r\n"
			 "MERGE /e HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> MKCALENDAR /c 1.1 none keep\n  Host: a\n.\n"
		       "> M-SEARCH /d 1.1 none keep\n  Host: a\n.\n"
		       "> MERGE /e 1.1 none keep\n  Host: a\n.\n",
	},
};

/* ---- fields of requests ---- */

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define GET_LOG "> GET / 1.1 none keep\n  Host: a\n"
#define HOST(value)                                                                                \
	{                                                                                          \
		.name = "Host: " value, .bytes = "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n",      \
		.log = "> GET / 1.1 none keep\n  Host: " value "\n.\n"                             \
	}

static const struct good odd_fields[] = {
	HOST(""),
	HOST("A.Example"),
	HOST("a."),
	HOST("a.:80"),
	HOST("a_b"),
	HOST("-a"),
	HOST("a:"),
	HOST("[2001:DB8::1]"),
	HOST("[2001:db8::1]:8080"),
	HOST("[::ffff:10.0.0.1]:80"),
	HOST("[fe80::1%eth0]:80"),
	HOST("[fe80::1%25eth0]"),
	HOST("a:00080"),
	HOST("a:99999"),
	HOST("b\xc3\xbc"
	     "cher.example:80"),
	HOST("b\xfc"
	     "cher"),
	{
		.name = "field names that begin like those with a meaning",
		.bytes =
			GET "Content-Length-X: a\r\nContent-Lengt: b\r\nTransfer-Encoding-2: c\r\n"
			    "Transfer: d\r\nConnection-X: close\r\nUpgrade-Insecure-Requests: 1\r\n"
			    "Hosts: e\r\nX-Host: f\r\nX: g\r\nProxy-Connection: Keep-Alive\r\n\r\n",
		.log = GET_LOG "  Content-Length-X: a\n  Content-Lengt: b\n  Transfer-Encoding-2: c"
			       "\n  Transfer: d\n  Connection-X: close\n"
			       "  Upgrade-Insecure-Requests: 1\n  Hosts: e\n  X-Host: f\n  X: g\n"
			       "  Proxy-Connection: Keep-Alive\n.\n",
	},
	{
		.name = "values with colons, commas, quotes, backslashes, semicolons",
		.bytes = GET "A: :b: , ;\"\\\"c,\"\r\nCookie: a=b; c=\"d e\"; {\"f\":[1]}\r\n\r\n",
		.log = GET_LOG "  A: :b: , ;\"\\\"c,\"\n  Cookie: a=b; c=\"d e\"; {\"f\":[1]}\n.\n",
	},
	{
		.name = "bytes over 127 as first, last and only byte of a value",
		.bytes = GET "A:\xe4\r\nB: \xa0 b \xa0 \r\nC: \x80\xff\r\n\r\n",
		.log = GET_LOG "  A: \xe4\n  B: \xa0 b \xa0\n  C: \x80\xff\n.\n",
	},
	{
		.name = "the same field again and again",
		.bytes = GET "Accept: a\r\nAccept: a\r\naccept:\r\nCookie: b\r\nCookie: c\r\n\r\n",
		.log = GET_LOG
		"  Accept: a\n  Accept: a\n  accept: \n  Cookie: b\n  Cookie: c\n.\n",
	},
	{
		.name = "Connection: keep-alive, Upgrade (Firefox)",
		.bytes = GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
		.log = "> GET / 1.1 none keep upgrade\n  Host: a\n"
		       "  Connection: keep-alive, Upgrade\n  Upgrade: websocket\n.\n",
	},
	{
		.name = "Connection: close, close",
		.bytes = GET "Connection: close, close\r\n\r\n",
		.log = "> GET / 1.1 none\n  Host: a\n  Connection: close, close\n.\n",
	},
	{
		.name = "Connection: keep-alive beside close",
		.bytes = GET "Connection: keep-alive\r\nConnection: close\r\n\r\n",
		.log = "> GET / 1.1 none\n  Host: a\n  Connection: keep-alive\n"
		       "  Connection: close\n.\n",
	},
	{
		.name = "Connection with empty elements, nothing, tabs and unknown options",
		.bytes = GET
		"Connection: ,, ,\r\nConnection:\r\nConnection:\tkeep-alive\t,\tx-y\t\r\n"
		"Connection: closed, not-close, upgraded\r\n\r\n",
		.log = GET_LOG "  Connection: ,, ,\n  Connection: \n"
			       "  Connection: keep-alive\t,\tx-y\n"
			       "  Connection: closed, not-close, upgraded\n.\n",
	},
	{
		.name = "Upgrade in several Connection fields, and several protocols",
		.bytes = GET "Connection: keep-alive\r\nConnection: UPGRADE\r\n"
			     "Upgrade: websocket, TLS/1.0\r\nUpgrade: h2c\r\n\r\n",
		.log = "> GET / 1.1 none keep upgrade\n  Host: a\n  Connection: keep-alive\n"
		       "  Connection: UPGRADE\n  Upgrade: websocket, TLS/1.0\n  Upgrade: h2c\n.\n",
	},
	{
		.name = "Connection: upgrade without Upgrade",
		.bytes = GET "Connection: upgrade\r\n\r\n",
		.log = GET_LOG "  Connection: upgrade\n.\n",
	},
	{
		.name = "codings in any case, with blanks around them",
		.bytes =
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  Chunked  \r\n\r\n"
			"0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:\tchunKED\r\n\r\n"
			"0\r\n\r\n",
		.log = "> POST / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: Chunked\n.\n"
		       "> POST / 1.1 chunked keep\n  Host: a\n  TRANSFER-ENCODING: chunKED\n.\n",
	},
	{
		.name = "a length with blanks around it",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:   2   \r\n\r\nhi"
			 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t2 \r\n\r\nhi",
		.log = "> POST / 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n"
		       "> POST / 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n",
	},
	{
		.name = "bodies where none is usual",
		.bytes = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
			 "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
			 "chunked\r\n\r\n0\r\n\r\n"
			 "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
			 "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		.log = "> GET / 1.1 length=2 keep\n  Host: a\n  Content-Length: 2\n| 2 hi\n.\n"
		       "> DELETE / 1.1 chunked keep\n  Host: a\n  Transfer-Encoding: chunked\n.\n"
		       "> HEAD / 1.1 length=1 keep\n  Host: a\n  Content-Length: 1\n| 1 x\n.\n"
		       "> OPTIONS * 1.1 length=0 keep\n  Host: a\n  Content-Length: 0\n.\n",
	},
	{
		.name = "POST without a body and without a length",
		.bytes = "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
		.log = "> POST / 1.1 none keep\n  Host: a\n.\n",
	},
	{
		.name = "an Expect that nobody knows",
		.bytes = GET "Expect: 200-ok\r\nTE:\r\nTE: deflate\r\n\r\n",
		.log = GET_LOG "  Expect: 200-ok\n  TE: \n  TE: deflate\n.\n",
	},
	{
		.name = "HTTP/1.0 with Host and keep-alive (ab)",
		.bytes = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: [::1]:80\r\n\r\n"
			 "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
		.log = "> GET / 1.0 none keep\n  Connection: Keep-Alive\n  Host: [::1]:80\n.\n"
		       "> GET / 1.0 none\n  Host: a\n.\n",
	},
	{
		.name = "a Keep-Alive of a client",
		.bytes = GET "Keep-Alive: 300\r\nConnection: keep-alive\r\n\r\n",
		.log = GET_LOG "  Keep-Alive: 300\n  Connection: keep-alive\n.\n",
	},
};

/* ---- responses ---- */

static const struct good odd_responses[] = {
	{
		.name = "start lines without a reason, and a reason of anything",
		.is_response = true,
		.bytes = "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 404 N\xc3\xa4h: 1/2 \"x\" \r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 200  OK\r\nContent-Length: 0\r\n\r\n",
		.log = "< 200  1.1 length=0 keep\n  Content-Length: 0\n.\n"
		       "< 200  1.1 length=0 keep\n  Content-Length: 0\n.\n"
		       "< 200  1.0 length=0\n  Content-Length: 0\n.\n"
		       "< 404 N\xc3\xa4h: 1/2 \"x\"  1.1 length=0 keep\n  Content-Length: 0\n.\n"
		       "< 200  OK 1.1 length=0 keep\n  Content-Length: 0\n.\n",
	},
	{
		.name = "statuses of every class and of none",
		.is_response = true,
		.bytes = "HTTP/1.1 199 a\r\n\r\nHTTP/1.1 299 b\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 418 c\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 600 d\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 999 e\r\nContent-Length: 1\r\n\r\nx",
		.log = "< 199 a 1.1 none keep\n.\n< 299 b 1.1 length=0 keep\n"
		       "  Content-Length: 0\n.\n< 418 c 1.1 length=0 keep\n  Content-Length: 0\n.\n"
		       "< 600 d 1.1 length=0 keep\n  Content-Length: 0\n.\n"
		       "< 999 e 1.1 length=1 keep\n  Content-Length: 1\n| 1 x\n.\n",
	},
	{
		.name = "several 1xx with fields before the answer",
		.is_response = true,
		.bytes = "HTTP/1.1 100 Continue\r\nServer: x\r\n\r\n"
			 "HTTP/1.1 102 Processing\r\n\r\n"
			 "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n"
			 "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		.log = "< 100 Continue 1.1 none keep\n  Server: x\n.\n"
		       "< 102 Processing 1.1 none keep\n.\n"
		       "< 103 Early Hints 1.1 none keep\n  Link: </a>; rel=preload\n"
		       "  Link: </b>\n.\n"
		       "< 103 Early Hints 1.1 none keep\n  Transfer-Encoding: chunked\n.\n"
		       "< 200 OK 1.1 chunked keep\n  Transfer-Encoding: chunked\n.\n",
	},
	{
		.name = "keep-alive without any length ends with the connection",
		.is_response = true,
		.ends = true,
		.bytes = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"
			 "Keep-Alive: timeout=5, max=100\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		.log = "< 200 OK 1.1 close timeout=5\n  Connection: keep-alive\n"
		       "  Keep-Alive: timeout=5, max=100\n| 19 HTTP/1.1 200 OK\r\n\r\n\n.\n",
	},
	{
		.name = "Keep-Alive in other spellings",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nKeep-Alive: max=9,Timeout=7\r\nContent-Length: "
			 "0\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=x\r\nKeep-Alive:\r\n"
			 "Content-Length: 0\r\n\r\n",
		.log = "< 200 OK 1.1 length=0 keep timeout=7\n  Keep-Alive: max=9,Timeout=7\n"
		       "  Content-Length: 0\n.\n"
		       "< 200 OK 1.1 length=0 keep\n  Keep-Alive: timeout=x\n  Keep-Alive: \n"
		       "  Content-Length: 0\n.\n",
	},
	{
		.name = "HTTP/1.0 servers that keep the connection and such that do not",
		.is_response = true,
		.ends = true,
		.bytes = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n"
			 "Keep-Alive: timeout=15\r\n\r\nx"
			 "HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"
			 "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>",
		.log = "< 200 OK 1.0 length=1 keep timeout=15\n  Content-Length: 1\n"
		       "  Connection: Keep-Alive\n  Keep-Alive: timeout=15\n| 1 x\n.\n"
		       "< 304 Not Modified 1.0 none keep\n  Connection: keep-alive\n.\n"
		       "< 200 OK 1.0 close\n  Content-Type: text/html\n| 3 <p>\n.\n",
	},
	{
		.name = "Set-Cookie and others repeated, alike and not",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=\"\"\r\n"
			 "Set-Cookie: a=1; Path=/\r\nServer: x\r\nServer: x\r\nDate: d\r\nDate: "
			 "d\r\n"
			 "Content-Length: 0\r\n\r\n",
		.log = "< 200 OK 1.1 length=0 keep\n  Set-Cookie: a=1; Path=/\n"
		       "  Set-Cookie: b=\"\"\n  Set-Cookie: a=1; Path=/\n  Server: x\n  Server: x\n"
		       "  Date: d\n  Date: d\n  Content-Length: 0\n.\n",
	},
	{
		.name = "bytes over 127 in values (file names)",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"\xc3\xa4"
			 "\xe4.txt\"\r\nLocation: /\xc3\xa4\r\nContent-Length: 0\r\n\r\n",
		.log = "< 200 OK 1.1 length=0 keep\n  Content-Disposition: attachment; "
		       "filename=\"\xc3\xa4\xe4.txt\"\n  Location: /\xc3\xa4\n"
		       "  Content-Length: 0\n.\n",
	},
	{
		.name = "Host, Upgrade and Expect in an answer mean nothing",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nHost: a\r\nHost: b c\r\nUpgrade: h2,h2c\r\n"
			 "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
		.log = "< 200 OK 1.1 length=0 keep\n  Host: a\n  Host: b c\n  Upgrade: h2,h2c\n"
		       "  Expect: 100-continue\n  Content-Length: 0\n.\n",
	},
	{
		.name = "Apache offers HTTP/2 with Connection: Upgrade in a 200",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n"
			 "Content-Length: 2\r\n\r\nhi"
			 "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
			 "Connection: upgrade\r\nContent-Length: 0\r\n\r\n",
		.log = "< 200 OK 1.1 length=2 keep upgrade\n  Upgrade: h2,h2c\n"
		       "  Connection: Upgrade, Keep-Alive\n  Content-Length: 2\n| 2 hi\n.\n"
		       "< 426 Upgrade Required 1.1 length=0 keep upgrade\n  Upgrade: websocket\n"
		       "  Connection: upgrade\n  Content-Length: 0\n.\n",
	},
	{
		.name = "204 with a coding, 205 with length 0",
		.is_response = true,
		.bytes = "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
			 "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
		.log = "< 204 No Content 1.1 none keep\n  Transfer-Encoding: chunked\n.\n"
		       "< 204 No Content 1.1 none keep\n  Content-Length: 0\n.\n"
		       "< 205 Reset Content 1.1 length=0 keep\n  Content-Length: 0\n.\n",
	},
	{
		.name = "an answer to HEAD that would be chunked",
		.is_response = true,
		.answers_head = true,
		.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		.log = "< 200 OK 1.1 none keep\n  Transfer-Encoding: chunked\n.\n"
		       "< 200 OK 1.1 chunked keep\n  Transfer-Encoding: chunked\n.\n",
	},
	{
		.name = "an answer to HEAD without any length keeps the connection",
		.is_response = true,
		.answers_head = true,
		.bytes = "HTTP/1.1 404 Not Found\r\n\r\n",
		.log = "< 404 Not Found 1.1 none keep\n.\n",
	},
	{
		.name = "a 101 with a length",
		.is_response = true,
		.bytes = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n"
			 "Content-Length: 0\r\n\r\n",
		.log = "< 101 Switching Protocols 1.1 none keep upgrade\n  Connection: upgrade\n"
		       "  Upgrade: x\n  Content-Length: 0\n.\n",
	},
	{
		.name = "trailers that Trailer announces, and others",
		.is_response = true,
		.bytes = "HTTP/1.1 200 OK\r\nTrailer: Server-Timing, grpc-status\r\n"
			 "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n"
			 "Server-Timing: a;dur=1\r\ngrpc-status: 0\r\ngrpc-message:\r\nX: \xe4\r\n"
			 "\r\n",
		.log = "< 200 OK 1.1 chunked\n  Trailer: Server-Timing, grpc-status\n"
		       "  Transfer-Encoding: chunked\n  Connection: close\n| 1 x\n"
		       "^ Server-Timing: a;dur=1\n^ grpc-status: 0\n^ grpc-message: \n^ X: \xe4\n"
		       ".\n",
	},
};

static const struct {
	const struct good *rows;
	size_t count;
} tables[] = {
	{odd_lines, array_count(odd_lines)},
	{odd_fields, array_count(odd_fields)},
	{odd_responses, array_count(odd_responses)},
};

static void odd_messages_give_their_events_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(tables); i++)
		goods_check_in_pieces(tables[i].rows, tables[i].count);
}

static void odd_messages_give_their_events_when_cut_in_two_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(tables); i++)
		goods_check_cut_in_two(tables[i].rows, tables[i].count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_messages_give_their_events_in_pieces_of_any_size),
		cmocka_unit_test(odd_messages_give_their_events_when_cut_in_two_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
