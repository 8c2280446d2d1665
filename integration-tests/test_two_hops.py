"""Deadlines over two hops: a client, weft, the relay in pod "a", weft again, a slow service in pod "b"."""

import contextlib
import threading
import time

import pytest
from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Closed, Connection, Upstream, answer

MODES = ("weft",)
FIELD = "l5d-ctx-deadline"
SKEW_S = 0.1  # weft forgives clocks of two nodes so much
PORT = 9700
SERVICES = [
    Service("a", [f"a:{PORT}"], protocol="http"),
    Service("b", [f"b:{PORT}"], protocol="http"),
    Service("a-short", [f"a:{PORT}"], protocol="http", rules={"timeouts": {"total": "20s"}}),
    Service("b-short", [f"b:{PORT}"], protocol="http", rules={"timeouts": {"total": "400ms"}}),
]


class Slow:
    """Never answers; knows when its connection was closed."""

    def __init__(self):
        self.seen = []
        self.closed = threading.Event()

    def __call__(self, connection, _number):
        while (request := connection.read_request()) is not None:
            self.seen.append(request)
            with contextlib.suppress(OSError):
                connection.socket.recv(1)
            self.closed.set()


class Relay:
    """Asks b as often as it is asked, with the deadline that it was told; leaves when its client leaves."""

    def __init__(self, mesh):
        self.mesh, self.to = mesh, "b"
        self.seen, self.got = [], []
        self.pause = 0.0

    def __call__(self, connection, _number):
        while (request := connection.read_request()) is not None:
            self.seen.append(request)
            time.sleep(self.pause)
            with Connection(self.mesh.dial(self.to, pod=self.mesh.pod("a"))) as onward:
                fields = f"{FIELD}: {request.get(FIELD)}\r\n" if request.get(FIELD) else ""
                leaver = threading.Thread(target=self._leave_with, args=(connection, onward), daemon=True)
                leaver.start()
                try:
                    got = onward.ask(f"GET / HTTP/1.1\r\nHost: {self.to}\r\n{fields}\r\n")
                except (Closed, OSError):
                    return
                self.got.append(got.status)
                connection.send(answer(f"{got.status} relayed", got.body))
                leaver.join(10)

    @staticmethod
    def _leave_with(connection, onward):
        """The client's end, or its next request that never comes here: each test's client asks once."""
        with contextlib.suppress(OSError):
            if not connection.socket.recv(1):
                onward.socket.shutdown(2)


@pytest.fixture
def hops(mesh):
    relay, slow = Relay(mesh), Slow()
    with Upstream(mesh.pod("a"), PORT, relay), Upstream(mesh.pod("b"), PORT, slow):
        yield relay, slow


def request(service, seconds=None):
    field = f"{FIELD}: 0 {time.time_ns() + int(seconds * 1e9)}\r\n" if seconds is not None else ""
    return f"GET / HTTP/1.1\r\nHost: {service}\r\n{field}\r\n"


def until_ns(message):
    return int(message.get(FIELD).split()[1])


def test_each_hop_tightens_the_deadline_and_the_nearest_one_ends_it(mesh, hops):
    relay, slow = hops
    relay.to = "b-short"
    with Connection(mesh.dial("a-short")) as client:
        began_ns = time.time_ns()
        got = client.ask(request("a-short", 60))
    assert got.status == 504 and relay.got == [504]
    first, second = until_ns(relay.seen[0]), until_ns(slow.seen[0])
    assert began_ns + 10e9 < first < began_ns + 60e9  # the 20 s of a-short, not the client's 60
    assert second < first - 10e9  # the 400 ms of b-short
    assert slow.closed.wait(5)  # cancelled, not left to finish


def test_a_deadline_ends_at_the_first_hop_and_cancels_the_last(mesh, hops):
    relay, slow = hops
    before = mesh.weftd.metrics().proxy_reason("deadline_exceeded")
    with Connection(mesh.dial("a")) as client:
        began = time.monotonic()
        got = client.ask(request("a", 0.6))
        took = time.monotonic() - began
        assert got.status == 504 and took > 0.6 - SKEW_S
        assert slow.closed.wait(5)
    assert until_ns(slow.seen[0]) <= until_ns(relay.seen[0])
    wait_for(lambda: mesh.weftd.metrics().proxy_reason("deadline_exceeded") > before, "the deadline to be counted", 5)


def test_what_is_over_is_not_sent_on(mesh, hops):
    relay, slow = hops
    relay.pause = 1.0
    before = mesh.weftd.metrics().proxy_reason("deadline_passed")
    with Connection(mesh.dial("a")) as client:
        assert client.ask(request("a", 0.3)).status == 504
    wait_for(lambda: mesh.weftd.metrics().proxy_reason("deadline_passed") > before, "the second hop to refuse", 5)
    assert len(relay.seen) == 1 and not slow.seen


def test_a_client_that_leaves_is_felt_two_hops_away(mesh, hops):
    _, slow = hops
    with Connection(mesh.dial("a")) as client:
        client.send(request("a"))
        wait_for(lambda: slow.seen, "the request to arrive at b", 5)
        assert not slow.closed.is_set()
    assert slow.closed.wait(5)
