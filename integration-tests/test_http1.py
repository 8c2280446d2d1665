"""HTTP/1.1 as both ends see it: whatever holds for a direct connection holds through weft."""

import os
import socket
import threading

import pytest

from harness.mesh import Service
from harness.raw import Connection, Upstream, answer, serve

MODES = ("direct", "weft", "weft-auto", "weft-on")
SERVICES = [
    Service("auto", ["server:9100"], port=9100),
    Service("http", ["server:9100"], port=9101, protocol="http"),
]


@pytest.fixture(params=("auto", "http"))
def service(request):
    return request.param


@pytest.fixture
def talk(mesh, service):
    """talk(script) -> (client connection, upstream); closed after the test."""
    opened = []

    def start(script):
        upstream = Upstream(mesh.pod("server"), 9100, script).__enter__()
        client = Connection(mesh.dial(service))
        opened.append((client, upstream))
        return client, upstream

    with mesh.traffic(service, requests=1):
        yield start
        for client, upstream in opened:
            client.socket.close()
            upstream.__exit__(None)


def echo(request):
    return answer("200 OK", request.body)


def test_pipelined_requests_are_answered_in_order(talk):
    client, _ = talk(serve(lambda request: answer("200 OK", request.start.split()[1] * 50)))
    client.send("".join(f"GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n" for n in range(20)))
    for number in range(20):
        assert client.read_response().body == f"/{number}".encode() * 50


def test_pipelined_requests_with_bodies(talk):
    client, _ = talk(serve(echo))
    client.send(
        b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst"
        b"POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
        b"POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        b"GET /4 HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    assert [client.read_response().body for _ in range(4)] == [b"first", b"second", b"", b""]


def test_a_request_byte_by_byte(talk):
    client, _ = talk(serve(echo))
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nX-T: 1\r\n\r\n":
        client.send(bytes([byte]))
    assert client.read_response().body == b"abcd"


def test_chunked_both_ways_with_trailers(talk):
    seen = []

    def script(connection, _number):
        request = connection.read_request()
        seen.append(request)
        connection.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            "5;note=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 99\r\n\r\n"
        )
        connection.read_request()

    client, _ = talk(script)
    got = client.ask(
        "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n"
        "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Check: 42\r\n\r\n"
    )
    assert seen[0].body == b"abc0123456789abcdef"
    assert seen[0].trailers == [("X-Check", "42")]
    assert got.body == b"hello world"
    assert got.trailers == [("X-Sum", "99")]


@pytest.mark.parametrize("chunked", (False, True))
def test_bodies_larger_than_the_buffers(talk, chunked):
    client, _ = talk(serve(echo))
    body = os.urandom(5_000_000)
    if chunked:
        pieces = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + framed
    else:
        request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    writer = threading.Thread(target=client.send, args=(request,), daemon=True)
    writer.start()
    assert client.read_response().body == body
    writer.join()


def test_fields_pass_unchanged(talk):
    fields = [f"X-Field-{n}: value {n} \xe9;, \"q\"" for n in range(90)]
    seen = []

    def respond(request):
        seen.append(request)
        return answer("299 Very Special", b"x", *fields, "Set-Cookie: a=1", "Set-Cookie: b=2")

    client, _ = talk(serve(respond))
    lines = ["GET /p%20ath?q=%41&x=y#f HTTP/1.1".replace("#f", ""), "Host: example.org:81", *fields, "Cookie: c=1"]
    got = client.ask("\r\n".join([*lines, "", ""]))
    assert got.start == "HTTP/1.1 299 Very Special"
    assert got.all("Set-Cookie") == ["a=1", "b=2"]
    assert [got.get(f"X-Field-{n}") for n in range(90)] == [line.split(": ", 1)[1] for line in fields]
    assert seen[0].start == "GET /p%20ath?q=%41&x=y HTTP/1.1"
    assert seen[0].get("Host") == "example.org:81"
    assert [seen[0].get(f"X-Field-{n}") for n in range(90)] == [line.split(": ", 1)[1] for line in fields]


def test_a_large_head_passes(talk):
    large = "x" * 12_000
    client, _ = talk(serve(lambda request: answer("200 OK", b"", f"X-A: {request.get('X-A')}", f"X-B: {large}")))
    got = client.ask(f"GET / HTTP/1.1\r\nHost: h\r\nX-A: {large}\r\nX-C: {large}\r\n\r\n")
    assert got.get("X-A") == got.get("X-B") == large


# ---- answers without a body, and before the answer ----


@pytest.mark.parametrize(
    "method, head",
    (
        ("HEAD", "200 OK\r\nContent-Length: 1000"),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked"),
        ("GET", "204 No Content"),
        ("GET", "304 Not Modified\r\nContent-Length: 77\r\nETag: \"e\""),
        ("GET", "200 OK\r\nContent-Length: 0"),
    ),
)
def test_an_answer_without_a_body_keeps_the_connection(talk, method, head):
    client, _ = talk(serve(lambda request: f"HTTP/1.1 {head}\r\n\r\n".encode()))
    for _ in range(3):
        got = client.ask(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n", method)
        assert got.start == "HTTP/1.1 " + head.split("\r\n", maxsplit=1)[0]
        if "1000" in head:
            assert got.get("Content-Length") == "1000"


def test_interim_answers_come_before_the_final_one(talk):
    def script(connection, _number):
        connection.read_request()
        connection.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        connection.read(0)
        connection.send(answer("200 OK", b"final"))
        connection.read_request()

    client, _ = talk(script)
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.read_head().status == 102
    hints = client.read_head()
    assert (hints.status, hints.get("Link")) == (103, "</a.css>")
    assert client.read_response().body == b"final"


def test_expect_100_continue_waits_for_the_server(talk):
    def script(connection, _number):
        head = connection.read_head()
        assert head.get("Expect") == "100-continue"
        assert connection.buffer == b""
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(head)
        connection.send(answer("200 OK", head.body))
        connection.read_request()

    client, _ = talk(script)
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.read_head().status == 100
    client.send(b"body")
    assert client.read_response().body == b"body"


def test_expect_100_continue_may_be_refused(talk):
    def script(connection, _number):
        connection.read_head()
        connection.send(answer("403 Forbidden", b"no", "Connection: close"))

    client, _ = talk(script)
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.read_response().status == 403


# ---- versions and closing ----


def test_an_http_1_0_client_gets_its_answer_and_the_end(talk):
    seen = []

    def script(connection, _number):
        seen.append(connection.read_request())
        connection.send("HTTP/1.0 200 OK\r\n\r\nuntil the end")

    client, _ = talk(script)
    client.send("GET / HTTP/1.0\r\n\r\n")
    got = client.read_response()
    assert (got.body, got.get("Transfer-Encoding")) == (b"until the end", None)
    assert client.is_closed()
    assert seen[0].start.startswith("GET / HTTP/1.")


def test_an_http_1_0_client_may_keep_its_connection(talk):
    client, _ = talk(serve(lambda request: answer("200 OK", b"kept", "Connection: keep-alive")))
    for _ in range(3):
        got = client.ask("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        assert (got.body, got.get("Connection", "").lower()) == (b"kept", "keep-alive")


def test_an_http_1_0_server_without_length(talk):
    def script(connection, _number):
        connection.read_request()
        connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"z" * 300_000)

    client, _ = talk(script)
    assert client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").body == b"z" * 300_000


def test_connection_close_from_the_client(talk):
    def script(connection, _number):
        connection.read_request()
        connection.send(answer("200 OK", b"bye", "Connection: close"))

    client, _ = talk(script)
    got = client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert (got.body, got.get("Connection")) == (b"bye", "close")
    assert client.is_closed()


def test_an_answer_until_close(talk):
    def script(connection, _number):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"q" * 200_000)

    client, _ = talk(script)
    got = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert got.body == b"q" * 200_000
    if got.get("Transfer-Encoding") is None:  # weft may tell the end by chunks and keep the client's connection
        assert client.is_closed()


def test_a_client_that_half_closes_still_gets_its_answer(talk):
    client, _ = talk(serve(echo))
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_response().body == b"abc"
    assert client.is_closed()


# ---- leaving HTTP ----


def test_upgrade_becomes_a_tunnel(talk):
    def script(connection, _number):
        request = connection.read_request()
        assert (request.get("Upgrade"), request.get("Connection").lower()) == ("chat", "upgrade")
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nwelcome")
        connection.send(connection.read(9).upper())
        connection.send(connection.read_to_end())

    client, _ = talk(script)
    client.send("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
    got = client.read_head()
    assert (got.status, got.get("Upgrade"), got.get("Connection").lower()) == (101, "chat", "upgrade")
    assert client.read(7) == b"welcome"
    client.send(b"anything\n")
    assert client.read(9) == b"ANYTHING\n"
    client.send(b"\x00\xff" * 100_000)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_to_end() == b"\x00\xff" * 100_000


def test_a_refused_upgrade_stays_http(talk):
    client, _ = talk(serve(lambda request: answer("200 OK", b"no chat")))
    for _ in range(2):
        got = client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        assert (got.status, got.body) == (200, b"no chat")


def test_connect_goes_to_the_dialled_destination(talk):
    def script(connection, _number):
        request = connection.read_request()
        assert request.start == "CONNECT far.example:443 HTTP/1.1"
        connection.send("HTTP/1.1 200 Connection Established\r\n\r\n")
        connection.send(connection.read(5)[::-1])
        connection.read_to_end()

    client, _ = talk(script)
    client.send("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n")
    assert client.read_head().status == 200
    client.send(b"12345")
    assert client.read(5) == b"54321"


def test_a_refused_connect_stays_http(talk):
    client, _ = talk(serve(lambda request: answer("405 Method Not Allowed", b"no")))
    for _ in range(2):
        client.send("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n")
        assert client.read_response("CONNECT").body == b"no"


def test_the_absolute_form_goes_to_the_dialled_destination(talk):
    seen = []

    def respond(request):
        seen.append(request)
        return answer("200 OK", b"here")

    client, _ = talk(serve(respond))
    assert client.ask("GET http://far.example/path HTTP/1.1\r\nHost: far.example\r\n\r\n").body == b"here"
    assert seen[0].start in ("GET http://far.example/path HTTP/1.1", "GET /path HTTP/1.1")
    assert seen[0].get("Host") == "far.example"


def test_options_asterisk_and_other_methods(talk):
    client, _ = talk(serve(lambda request: answer("200 OK", request.start)))
    for line in ("OPTIONS * HTTP/1.1", "PROPFIND /dav HTTP/1.1", "DELETE /x HTTP/1.1", "M-SEARCH /all HTTP/1.1"):
        assert client.ask(f"{line}\r\nHost: h\r\n\r\n").body.decode() == line
