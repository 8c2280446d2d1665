"""The admin server as a stranger may treat it: slow, rude, greedy."""

import contextlib
import http.client
import json
import re
import socket

import pytest

from harness.poll import wait_for
from harness.weftd import Weftd

LIMIT = 64  # connections of one listener
GET = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"


def free_port():
    """Free a moment ago; weftd tries for a second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def weftd(cluster):
    name, folder = cluster.new_name("weftd")
    port = free_port()
    config = {
        "admin": {"address": f"127.0.0.1:{port}"},
        # Enough series for pages that no socket buffer holds.
        "services": [
            {
                "name": f"service-{number}",
                "addresses": [f"10.97.{number}.1"],
                "ports": [80],
                "endpoints": [{"address": f"10.98.{number}.{at}:80"} for at in range(1, 11)],
            }
            for number in range(40)
        ],
        "pods": [],
    }
    with Weftd(name, folder, config) as made:
        made.port = port
        wait_for(lambda: made.admin("/live")[0] == 200, "every worker's first sign of life")
        yield made


class Raw:
    """One TCP connection to the admin server."""

    def __init__(self, weftd):
        self.socket = socket.create_connection(("127.0.0.1", weftd.port), timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def answer(self, method="GET"):
        """(status, body) of the next answer."""
        reply = http.client.HTTPResponse(self.socket, method=method)
        reply.begin()
        return reply.status, reply.read()

    def rest(self):
        """Everything until the server closes."""
        received = b""
        while chunk := self.socket.recv(65536):
            received += chunk
        return received


def test_a_connection_serves_one_request_after_the_other(weftd):
    with Raw(weftd) as raw:
        for _ in range(3):
            assert raw.send(GET).answer() == (200, b"ready\n")


def test_pipelined_requests_are_answered_in_order(weftd):
    with Raw(weftd) as raw:
        raw.send(GET + b"HEAD /live HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        raw.send(b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers = raw.rest()
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    assert statuses == [b"200", b"200", b"404", b"200", b"200"], answers
    assert answers.endswith(b"ok\n")


def test_a_request_byte_by_byte_is_understood(weftd):
    with Raw(weftd) as raw:
        for byte in GET:
            raw.send(bytes([byte]))
        assert raw.answer() == (200, b"ready\n")


def test_http_1_0_closes_unless_asked(weftd):
    with Raw(weftd) as raw:
        assert b"Connection: close" in raw.send(b"GET /ready HTTP/1.0\r\n\r\n").rest()


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET /ready HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET /ready HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"431"),
        (b"POST /drain HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100000, b"413"),
    ],
)
def test_bad_requests_are_refused_and_the_connection_ends(weftd, request_bytes, status):
    with Raw(weftd) as raw:
        answer = raw.send(request_bytes).rest()
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert b"Connection: close" in answer


def test_a_request_that_does_not_arrive_is_408(weftd):
    with Raw(weftd) as raw:
        assert raw.send(b"GET /ready HTTP/1.1\r\nHo").rest().startswith(b"HTTP/1.1 408 ")


def test_a_reader_that_does_not_read_stops_nobody(weftd):
    requests = 400
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            greedy = stack.enter_context(Raw(weftd))
            greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * requests)
        for _ in range(5):
            assert weftd.admin("/ready") == (200, "ready\n")
        status, body = weftd.admin("/metrics")
        assert status == 200
        assert len(body) * requests > 8 << 20, "answers that fit into the kernel's buffers stop nobody"


def test_a_slow_reader_gets_every_byte(weftd):
    with Raw(weftd) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        status, body = raw.send(b"GET /stat.json HTTP/1.1\r\nHost: a\r\n\r\n").answer()
        assert status == 200
        assert len(json.loads(body)["services"]) == 40
        assert raw.send(GET).answer() == (200, b"ready\n")


def connections(weftd):
    """TCP connections that the admin server still holds."""
    with open("/proc/net/tcp", encoding="ascii") as lines:
        rows = [line.split() for line in lines]
    listening, orphaned = "0A", "0"
    return [
        row
        for row in rows
        if row[1].endswith(f":{weftd.port:04X}") and row[3] != listening and row[9] != orphaned
    ]


def test_idle_connections_make_room_for_new_ones(weftd):
    wait_for(lambda: not connections(weftd), "earlier connections to end")
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Raw(weftd)) for _ in range(LIMIT)]
        for raw in idle:
            assert raw.send(GET).answer() == (200, b"ready\n")
        for _ in range(10):
            with Raw(weftd) as late:
                assert late.send(GET).answer() == (200, b"ready\n")
        with contextlib.suppress(OSError):
            assert idle[0].rest() == b"", "the one that waited longest was closed"


def test_connections_that_ask_nothing_lock_nobody_out(weftd):
    wait_for(lambda: not connections(weftd), "earlier connections to end")
    with contextlib.ExitStack() as stack:
        for _ in range(LIMIT + 10):
            stack.enter_context(Raw(weftd)).send(b"GET")
        for _ in range(3):
            with Raw(weftd) as raw:
                assert raw.send(GET).answer() == (200, b"ready\n")
            assert weftd.admin("/ready") == (200, "ready\n")
        wait_for(lambda: len(connections(weftd)) <= LIMIT, "the oldest to be closed")


def test_many_ask_for_connections_at_once_and_some_leave(weftd):
    request = b"GET /connections.json HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(Raw(weftd)) for _ in range(20)]
        for raw in asking:
            raw.send(request)
        for raw in asking[::2]:
            raw.socket.close()
        for raw in asking[1::2]:
            status, body = raw.answer()
            assert status == 200 and json.loads(body) == {"connections": []}
    assert weftd.admin("/live") == (200, "ok\n")
