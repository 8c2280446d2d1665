"""What weft itself does to HTTP/1.1: pools, retries, limits, refusals. Bad framing never passes."""

import json
import socket
import time

import pytest

from harness.mesh import Service
from harness.peers import peer
from harness.poll import wait_for
from harness.raw import Closed, Connection, Upstream, answer, serve
from harness.weftd import is_sanitized

MODES = ("weft", "weft-auto")
SERVICES = [
    Service("auto", ["server:9200"], port=9200),
    Service("http", ["server:9200"], port=9201, protocol="http"),
    Service("bulk", ["server:9210"], port=9210, protocol="http"),
]
WEFT_OPTIONS = {"workers": 1, "timeouts": {"header": "1s", "upstream_idle": "1500ms"}}
GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
# 10 GiB each way take about 20 s here; a sanitized build is ten times slower and moves less.
BIG_BODY = (1 << 30) if is_sanitized() else 10 * (1 << 30)


@pytest.fixture(params=("auto", "http"))
def service(request):
    return request.param


@pytest.fixture
def upstream(mesh):
    """upstream(script) -> Upstream; closed after the test."""
    opened = []

    def start(script):
        opened.append(Upstream(mesh.pod("server"), 9200, script).__enter__())
        return opened[-1]

    yield start
    for one in opened:
        one.__exit__(None)
    # what the daemon pooled to this upstream is dead now; later tests begin without it
    wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_upstreams_idle") == 0, "the pool to empty", 5)


@pytest.fixture
def dial(mesh):
    opened = []

    def start(name="http"):
        opened.append(Connection(mesh.dial(name)))
        return opened[-1]

    yield start
    for one in opened:
        one.socket.close()


def hello(request):
    return answer("200 OK", b"hello")


# ---- pools and retries ----


def test_clients_share_pooled_upstream_connections(upstream, dial):
    server = upstream(serve(hello))
    for _ in range(5):
        with dial() as client:
            assert client.ask(GET).body == b"hello"
    assert len(server.connections) == 1


def test_a_pooled_connection_is_closed_when_idle(upstream, dial):
    server = upstream(serve(hello))
    dial().ask(GET)
    began = time.monotonic()
    wait_for(lambda: getattr(server.connections[0], "ended", False), "the idle connection to be closed", 5)
    assert 1.0 < time.monotonic() - began < 3.0


def test_keep_alive_timeout_of_the_server_is_honoured(upstream, dial):
    server = upstream(serve(lambda request: answer("200 OK", b"", "Keep-Alive: timeout=1")))
    dial().ask(GET)
    began = time.monotonic()
    wait_for(lambda: getattr(server.connections[0], "ended", False), "the idle connection to be closed", 5)
    assert time.monotonic() - began < 1.1


def dying_upstream(seen):
    """The first connection answers once and dies on its second request, without a byte."""

    def script(connection, number):
        while (request := connection.read_request()) is not None:
            seen.append((number, request.method))
            if number == 1 and len(seen) > 1:
                return
            connection.send(answer("200 OK", f"from {number}"))

    return script


def test_get_is_sent_again_when_the_pooled_connection_was_dead(mesh, upstream, dial):
    before, seen = mesh.weftd.metrics(), []
    upstream(dying_upstream(seen))
    client = dial()
    assert client.ask(GET).body == b"from 1"
    assert client.ask(GET).body == b"from 2"
    assert seen == [(1, "GET"), (1, "GET"), (2, "GET")]
    wait_for(
        lambda: mesh.weftd.metrics().service("weft_retries_total", "http")
        == before.service("weft_retries_total", "http") + 1,
        "the retry to be counted",
    )


def test_post_is_never_sent_twice(upstream, dial):
    seen = []
    upstream(dying_upstream(seen))
    client = dial()
    assert client.ask(GET).body == b"from 1"
    got = client.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    assert (got.status, got.get("l5d-err") is not None) == (502, True)
    assert seen == [(1, "GET"), (1, "POST")]


def test_post_takes_no_connection_that_was_idle_for_a_second(upstream, dial):
    seen = []
    server = upstream(dying_upstream(seen))
    dial().ask(GET)
    time.sleep(1.1)  # upstream_fresh is 1 s
    assert not getattr(server.connections[0], "ended", False)
    got = dial().ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    assert (got.status, seen) == (200, [(1, "GET"), (2, "POST")])


def test_ntlm_pins_the_upstream_to_its_client(upstream, dial):
    seen = []

    def script(connection, number):
        while (request := connection.read_request()) is not None:
            seen.append((number, request.start.split()[1]))
            if "/login" in request.start:
                connection.send(answer("401 Unauthorized", b"", "WWW-Authenticate: NTLM TlRMTVNT"))
            else:
                connection.send(answer("200 OK", b"in"))

    upstream(script)
    mine, other = dial(), dial()
    mine.ask("GET /login HTTP/1.1\r\nHost: h\r\n\r\n")
    other.ask("GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
    mine.ask("GET /mine HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM TlRM\r\n\r\n")
    other.ask("GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
    mine.ask("GET /mine HTTP/1.1\r\nHost: h\r\n\r\n")
    connections = {path: {number for number, asked in seen if asked == path} for path in ("/login", "/mine", "/other")}
    assert connections["/login"] == connections["/mine"]
    assert len(connections["/mine"]) == 1
    assert not connections["/other"] & connections["/mine"]


# ---- fields ----


def test_hop_by_hop_fields_stay_on_their_hop(upstream, dial, service):
    seen = []

    def respond(request):
        seen.append(request)
        return answer("200 OK", b"", "Connection: X-Server-Hop", "X-Server-Hop: 1", "Keep-Alive: timeout=9", "X-End: 1")

    upstream(serve(respond))
    got = dial(service).ask(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        "Proxy-Connection: keep-alive\r\nTE: gzip\r\nX-End: 1\r\n\r\n"
    )
    for name in ("X-Hop", "Keep-Alive", "Proxy-Connection", "TE"):
        assert seen[0].get(name) is None, name
    assert seen[0].get("X-End") == got.get("X-End") == "1"
    for name in ("X-Server-Hop", "Keep-Alive"):
        assert got.get(name) is None, name


def test_via_is_off_by_default(upstream, dial):
    seen = []
    upstream(serve(lambda request: (seen.append(request), hello(request))[1]))
    assert dial().ask(GET).get("Via") is None
    assert seen[0].get("Via") is None


def test_via_can_be_turned_on(cluster, daemon):
    mesh = daemon([Service("http", ["server:9220"], protocol="http")], options={"http": {"via": True}})
    seen = []
    with Upstream(cluster.pod("server"), 9220, serve(lambda request: (seen.append(request), hello(request))[1])):
        with Connection(mesh.dial("http")) as client:
            got = client.ask("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 before\r\n\r\n")
    assert "1.1 weft" in got.get("Via")
    assert "1.0 before" in ", ".join(seen[0].all("Via"))
    assert "1.1 weft" in ", ".join(seen[0].all("Via"))


def test_an_http_1_0_client_never_sees_chunks(upstream, dial, service):
    upstream(
        serve(lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
    )
    client = dial(service)
    client.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n")
    got = client.read_response()
    assert (got.body, got.get("Transfer-Encoding")) == (b"abcdef", None)
    assert client.is_closed()


# ---- requests that must not pass ----

BAD_HEADS = {
    "two different lengths": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc",
    "a negative length": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nabc",
    "a length with a sign": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc",
    "a hexadecimal length": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc",
    "a length with a blank in it": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 0\r\n\r\nabc",
    "a length too large": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    "an empty length": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nabc",
    "length and chunked":
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length":
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "chunked twice": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields":
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked not last": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a quoted coding": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "a coding with a tab in front": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": "GET / HTTP/1.1\r\nHost: h\r\nX-A : 1\r\n\r\n",
    "a blank before the colon of a coding":
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a blank before the first field": "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "a folded field": "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n",
    "a folded field with a tab": "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\t2\r\n\r\n",
    "a bare carriage return": "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\rX-B: 2\r\n\r\n",
    "a bare line feed": "GET / HTTP/1.1\r\nHost: h\nX-A: 1\r\n\r\n",
    "bare line feeds only": "GET / HTTP/1.1\nHost: h\n\n",
    "a NUL in a value": "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x00b\r\n\r\n",
    "a NUL in a name": "GET / HTTP/1.1\r\nHost: h\r\nX\x00A: 1\r\n\r\n",
    "a control character in a value": "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x01b\r\n\r\n",
    "no colon": "GET / HTTP/1.1\r\nHost: h\r\nX-A\r\n\r\n",
    "an empty name": "GET / HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n",
    "a separator in a name": "GET / HTTP/1.1\r\nHost: h\r\nX(A): 1\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
    "the same host twice": "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n",
    "a blank in the target": "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/1.2 spelt wrongly": "GET / HTTP/1.x\r\nHost: h\r\n\r\n",
    "another protocol": "GET / HTCPCP/1.1\r\nHost: h\r\n\r\n",
    "no version": "GET /\r\nHost: h\r\n\r\n",
    "a control character in the target": "GET /a\x01b HTTP/1.1\r\nHost: h\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_HEADS)
def test_a_bad_head_never_reaches_the_upstream(mesh, upstream, dial, service, case):
    before = mesh.weftd.metrics().proxy_reason("bad_request")
    server = upstream(lambda connection, number: connection.read_to_end())
    client = dial(service)
    client.send(BAD_HEADS[case])
    got = client.read_response()
    assert got.status == 400, got
    assert got.get("Connection") == "close"
    assert client.is_closed()
    assert [bytes(connection.heard) for connection in server.connections] in ([], [b""])
    wait_for(lambda: mesh.weftd.metrics().proxy_reason("bad_request") == before + 1, "the refusal to be counted")


BAD_BODIES = {
    "a chunk size that is no number": "xyz\r\nbad",
    "a chunk size with a sign": "+3\r\nbad\r\n",
    "a chunk size with 0x": "0x3\r\nbad\r\n",
    "a chunk size with a blank in front": " 3\r\nbad\r\n",
    "a chunk size too large": "fffffffffffffffff\r\nbad\r\n",
    "an empty chunk size": "\r\nbad\r\n",
    "a chunk size ended by a line feed": "3\nbad\r\n",
    "a carriage return in an extension": "3;a\rb\r\nbad\r\n",
    "a line feed in an extension": "3;a\nbad\r\n",
    "a NUL in an extension": "3;a\x00b\r\nbad\r\n",
    "chunk bytes that are too many": "3\r\nbadX\r\n0\r\n\r\n",
    "a chunk ended by a line feed": "3\r\nbad\n0\r\n\r\n",
    "a folded trailer": "0\r\nX-A: 1\r\n 2\r\n\r\n",
    "a trailer with a bare carriage return": "0\r\nX-A: 1\rX-B: 2\r\n\r\n",
    "a trailer without a colon": "0\r\nX-A\r\n\r\n",
    "an extension without an end": "3;" + "e" * 200_000,
    "a trailer without an end": "0\r\nX-A: " + "t" * 200_000,
    "too many trailers": "0\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(300)) + "\r\n",
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_nothing_passes_from_the_bad_chunk_on(upstream, dial, service, case):
    server = upstream(lambda connection, number: connection.read_to_end())
    client = dial(service)
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n")
    server.wait_connections(1)
    wait_for(lambda: b"good" in server.connections[0].heard, "the good chunk at the upstream")
    client.send(BAD_BODIES[case])
    got = client.read_response()
    assert got.status in (400, 431), got
    assert client.is_closed()
    wait_for(lambda: getattr(server.connections[0], "ended", False), "that upstream to be closed")
    body = bytes(server.connections[0].heard).split(b"\r\n\r\n", 1)[1]
    # a chunk's bytes may have passed before its wrong end was seen; its end, and what follows, never
    assert body.startswith(b"4\r\ngood")
    assert b"\r\n0\r\n" not in body
    if "chunk bytes" not in case and "chunk ended" not in case:
        assert b"bad" not in body


def test_a_smuggled_request_is_never_seen(upstream, dial, service):
    """The classic: what one parser takes for a body and another for a request."""
    server = upstream(serve(hello))
    client = dial(service)
    client.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    assert client.read_response().status == 400
    assert client.is_closed()
    assert all(b"smuggled" not in connection.heard for connection in server.connections)


def test_a_good_request_before_a_bad_one_is_answered(upstream, dial, service):
    upstream(serve(hello))
    client = dial(service)
    client.send(GET + BAD_HEADS["two hosts"])
    assert client.read_response().body == b"hello"
    assert client.read_response().status == 400
    assert client.is_closed()


# ---- limits ----


def test_a_request_line_that_is_too_long_is_414(upstream, dial, service):
    upstream(serve(hello))
    client = dial(service)
    client.send("GET /" + "a" * 17_000 + " HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.read_response().status == 414
    assert client.is_closed()


@pytest.mark.parametrize("fields", (["X-Long: " + "b" * 70_000], [f"X-{n}: 1" for n in range(200)]), ids=("bytes", "count"))
def test_a_head_that_is_too_large_is_431(upstream, dial, service, fields):
    server = upstream(serve(hello))
    client = dial(service)
    client.send("\r\n".join(["GET / HTTP/1.1", "Host: h", *fields, "", ""]))
    assert client.read_response().status == 431
    assert client.is_closed()
    assert all(not connection.heard for connection in server.connections)


def test_a_head_that_does_not_arrive_in_time_is_408(upstream, dial, service):
    upstream(serve(hello))
    client = dial(service)
    began = time.monotonic()
    client.send("GET / HTTP/1.1\r\nHost: ")
    assert client.read_response().status == 408
    assert 0.8 < time.monotonic() - began < 3
    assert client.is_closed()


def test_an_idle_keep_alive_connection_is_no_slow_head(upstream, dial, service):
    upstream(serve(hello))
    client = dial(service)
    for _ in range(2):
        assert client.ask(GET).body == b"hello"
        time.sleep(1.3)  # longer than the head's limit


# ---- upstreams that misbehave ----

BAD_RESPONSES = {
    "garbage": b"this is not HTTP\r\n\r\n",
    "a bad status": b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: magic\r\n\r\n0\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
    "a head too large": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_RESPONSES)
def test_a_bad_response_is_502(upstream, dial, service, case):
    def script(connection, _number):
        connection.read_request()
        connection.send(BAD_RESPONSES[case])

    upstream(script)
    client = dial(service)
    got = client.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
    assert got.status == 502, got
    assert got.get("l5d-err")
    assert service in got.body.decode()


def test_a_bad_response_closes_that_upstream(upstream, dial):
    server = upstream(lambda connection, number: (connection.read_request(), connection.send("nonsense\r\n\r\n"),
                                                  connection.read_to_end()))  # fmt: skip
    assert dial().ask(GET).status == 502
    wait_for(lambda: getattr(server.connections[0], "ended", False), "that upstream to be closed")


@pytest.mark.parametrize(
    "begun",
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nnonsense\r\n",
    ),
    ids=("length", "chunked", "bad chunk"),
)
def test_an_answer_that_breaks_off_is_cut(upstream, dial, service, begun):
    def script(connection, _number):
        connection.read_request()
        connection.send(begun)
        time.sleep(0.05)

    upstream(script)
    client = dial(service)
    with pytest.raises((Closed, ConnectionResetError)):
        client.ask(GET)
    assert b"only this" in client.heard or b"HTTP/1.1 200" in client.heard
    assert not client.heard.endswith(b"0\r\n\r\n")


def test_an_early_answer_to_a_large_upload_arrives(upstream, dial):
    def script(connection, _number):
        connection.read_head()
        connection.send(answer("413 Content Too Large", b"too large", "Connection: close"))

    upstream(script)
    client = dial()
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n" + "x" * 50_000)
    got = client.read_response()
    assert (got.status, got.body) == (413, b"too large")


# ---- back-pressure ----


def wait_stopped(server, sent):
    """The script on the first connection has run into its time limit."""
    wait_for(lambda: server.connections and getattr(server.connections[0], "ended", False), "the server to be stopped")
    assert 0 < sent[0] < 64 << 20


def test_a_client_that_never_reads_stops_its_server(mesh, upstream, dial, service):
    sent = [0]

    def script(connection, _number):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        connection.socket.settimeout(0.5)
        while True:
            sent[0] += connection.socket.send(bytes(1 << 16))

    with mesh.weftd.flat_memory(4096):
        server = upstream(script)
        client = dial(service)
        client.send(GET)
        wait_stopped(server, sent)


def test_a_server_that_never_reads_stops_its_client(mesh, upstream, dial, service):
    upstream(lambda connection, number: (connection.read_head(), time.sleep(1.5)))
    with mesh.weftd.flat_memory(4096):
        client = dial(service)
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
        client.socket.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.socket.send(bytes(1 << 16))
        assert 0 < sent < 64 << 20


def test_interim_answers_without_end_are_held_back(mesh, upstream, dial, service):
    sent = [0]

    def script(connection, _number):
        connection.read_request()
        connection.socket.settimeout(0.5)
        while sent[0] < 64 << 20:
            sent[0] += connection.socket.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 500)

    with mesh.weftd.flat_memory(4096):
        server = upstream(script)
        client = dial(service)
        client.send(GET)
        wait_stopped(server, sent)


def test_a_client_that_pipelines_without_reading_is_stopped(mesh, upstream, dial, service):
    answered = [0]

    def respond(_request):
        answered[0] += 1
        return answer("200 OK", bytes(10_000))

    upstream(serve(respond))
    with mesh.weftd.flat_memory(4096):
        client = dial(service)
        client.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100 << 20:
                sent += client.socket.send(GET.encode() * 1000)
        assert sent < 64 << 20
        assert answered[0] < 10_000


# ---- answers that nobody asked for ----


@pytest.mark.parametrize(
    "method, sent",
    (
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nstray"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nstray"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nstray"),
    ),
    ids=("body to HEAD", "body of 204", "body of 304", "second answer", "bytes after the last chunk"),
)
def test_bytes_beyond_an_answer_reach_nobody(upstream, dial, service, method, sent):
    def script(connection, number):
        if number == 1:
            connection.read_head()
            connection.send(sent)
        while connection.read_request() is not None:
            connection.send(answer("200 OK", f"answer of {number}"))

    upstream(script)
    first = dial(service)
    got = first.ask(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n", method)
    assert got.status in (200, 204, 304)
    for client in (first, dial(service)):
        try:
            got = client.ask(GET)
        except (Closed, ConnectionResetError):
            continue  # cutting the connection of the one who asked is right too
        assert got.status == 200
        assert b"stray" not in client.heard
        assert got.body.startswith(b"answer of") or got.body == b"ok", got.body


def test_an_answer_on_an_idle_connection_is_not_for_the_next_client(upstream, dial):
    """Servers say 408 before they close an idle connection."""
    server = upstream(
        lambda connection, number: [connection.read_request(), connection.send(answer("200 OK", f"{number}")),
                                    time.sleep(0.1), connection.send(answer("408 Request Timeout", b"stray")),
                                    connection.read_to_end()]
    )  # fmt: skip
    assert dial().ask(GET).body == b"1"
    wait_for(lambda: getattr(server.connections[0], "ended", False), "the idle connection to be dropped")
    assert dial().ask(GET).body == b"2"


def test_a_client_that_leaves_takes_its_upstream_connection_along(upstream, dial, service):
    server = upstream(lambda connection, number: [connection.read_request(), connection.read_to_end()])
    client = dial(service)
    client.send(GET)
    server.wait_connections(1)
    wait_for(lambda: server.connections[0].heard, "the request at the upstream")
    client.socket.close()
    wait_for(lambda: getattr(server.connections[0], "ended", False), "the upstream connection to be closed", 2)


def test_a_client_that_leaves_in_the_middle_of_a_large_answer(mesh, upstream, dial, service):
    server = upstream(serve(lambda request: answer("200 OK", bytes(30_000_000))))
    client = dial(service)
    client.send(GET)
    client.read(1_000_000)
    client.socket.close()
    wait_for(lambda: getattr(server.connections[0], "ended", False), "the upstream connection to be closed", 2)
    wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_block_bytes") < 1 << 20, "the buffers to be given back")


@pytest.mark.parametrize("size", (10_000, 3_000_000))
def test_a_half_closed_client_that_reads_slowly_gets_the_whole_answer(upstream, dial, service, size):
    upstream(serve(lambda request: answer("200 OK", b"s" * size)))
    client = dial(service)
    client.send(GET)
    client.socket.shutdown(socket.SHUT_WR)
    time.sleep(0.3)  # the answer fills every buffer on the way
    assert client.read_response().body == b"s" * size


# ---- bytes that are not HTTP on a port declared http ----


@pytest.mark.parametrize(
    "reason, first",
    (
        ("not_http", b"\x01\x02\x03\x04 binary\n"),
        ("not_http", b"FROBNICATE / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("http2_passed", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    ),
    ids=("binary", "unknown method", "HTTP/2"),
)
def test_bytes_that_are_not_http_become_a_tunnel(mesh, upstream, dial, reason, first):
    before = mesh.weftd.metrics().proxy_reason(reason)
    upstream(lambda connection, number: (connection.send(connection.read(len(first))[::-1]), connection.read_to_end()))
    client = dial("http")
    client.send(first)
    assert client.read(len(first)) == first[::-1]
    assert mesh.weftd.metrics().proxy_reason(reason) == before + 1


# ---- other limits ----


def test_idle_limits_end_connections(cluster, daemon):
    mesh = daemon(
        [Service("http", ["server:9221"], protocol="http"), Service("tcp", ["server:9222"], protocol="opaque")],
        options={"timeouts": {"client_idle": "500ms", "tunnel_idle": "500ms"}},
    )
    with Upstream(cluster.pod("server"), 9221, serve(hello)), Upstream(
        cluster.pod("server"), 9222, lambda connection, number: connection.send(connection.read_to_end())
    ):
        for name in ("http", "tcp"):
            with Connection(mesh.dial(name)) as client:
                began = time.monotonic()
                for _ in range(4):  # traffic keeps it alive
                    time.sleep(0.3)
                    if name == "http":
                        assert client.ask(GET).body == b"hello"
                    else:
                        client.send(b"x")
                assert client.is_closed(3), name
                assert 0.4 < time.monotonic() - began - 1.2 < 1.5, name
    assert mesh.weftd.metrics().proxy_reason("idle_timeout") >= 2


def test_the_session_limit_costs_only_the_newcomers(cluster, daemon):
    mesh = daemon([Service("http", ["server:9221"], protocol="http")], options={"workers": 1, "limits": {"sessions": 16}})
    with Upstream(cluster.pod("server"), 9221, serve(hello)):
        clients = [Connection(mesh.dial("http")) for _ in range(16)]
        for client in clients:
            assert client.ask(GET).body == b"hello"
        with pytest.raises((Closed, OSError)):
            with Connection(mesh.dial("http")) as late:
                late.ask(GET)
        for client in clients:
            assert client.ask(GET).body == b"hello"
            client.socket.close()
        assert mesh.weftd.metrics().proxy_reason("session_limit") >= 1

        def admitted():
            try:
                with Connection(mesh.dial("http")) as client:
                    return client.ask(GET).body == b"hello"
            except (Closed, OSError):
                return False

        wait_for(admitted, "room for a new session")


def test_too_little_memory_costs_sessions_but_not_the_daemon(cluster, daemon):
    mesh = daemon(
        [Service("tcp", ["server:9222"], protocol="opaque")], options={"workers": 1, "limits": {"buffers": "1MiB"}}
    )
    with Upstream(cluster.pod("server"), 9222, lambda connection, number: time.sleep(1)):
        clients = [mesh.dial("tcp") for _ in range(40)]
        for client in clients:
            client.settimeout(0.05)
            try:
                while client.send(bytes(1 << 18)):
                    pass
            except OSError:
                pass
        for client in clients:
            client.close()
    with Upstream(
        cluster.pod("server"), 9222, lambda connection, number: connection.send(connection.read_to_end())
    ), Connection(mesh.dial("tcp")) as client:
        client.send(b"still here")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b"still here"


# ---- size ----


@pytest.mark.big
@pytest.mark.parametrize("way", ("http-get", "http-put"))
@pytest.mark.parametrize("framing", (pytest.param("length", marks=pytest.mark.modes("weft")), "chunked"))
def test_a_huge_body_needs_no_memory(mesh, cluster, way, framing):
    size = BIG_BODY if framing == "length" else BIG_BODY // 10
    process = cluster.pod("server").spawn([peer("bulk"), "http-serve", "9210"])
    cluster.pod("server").wait_port(9210, process)
    before = mesh.weftd.rss_kib()
    peak = [before]
    address, port = mesh.address("bulk")
    client = mesh.client.spawn([peer("bulk"), way, address, port, size, *(["chunked"] if framing == "chunked" else [])])
    wait_for(lambda: (peak.append(mesh.weftd.rss_kib()), not client.is_running())[1], "the transfer", 200, every=0.1)
    process.stop()
    assert client.popen.returncode == 0, client.log()
    assert json.loads(client.log())["right"]
    if not is_sanitized():
        assert max(peak) - before < 8 * 1024
