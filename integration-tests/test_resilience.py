"""What fails is tried again, left out, cut short or refused, as the service's rules say."""

import concurrent.futures
import hashlib
import itertools
import random
import re
import socket
import struct
import threading
import time

import pytest

from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer
from test_cli import rows

MODES = ("weft", "weft-on")
REPLICAS = ["server:9200", "other:9200"]
READS = {"classifier": "retryable_read_5xx"}


SERVICES = [
    Service("plain", REPLICAS, port=9200, protocol="http", balancer="round_robin"),
    Service("reads", REPLICAS, port=9201, protocol="http", balancer="round_robin", rules=READS),
    Service(
        "all",
        REPLICAS,
        port=9202,
        protocol="http",
        balancer="round_robin",
        rules={"classifier": "retryable_all_5xx", "retries": {"backoff_least": "20ms"}},
    ),
    Service(
        "impatient",
        REPLICAS,
        port=9203,
        protocol="http",
        balancer="round_robin",
        rules={**READS, "timeouts": {"per_try": "200ms", "total": "2s"}},
    ),
    Service(
        "broken",
        REPLICAS,
        port=9204,
        protocol="http",
        balancer="round_robin",
        rules={"breaker": {"failures": 3, "backoff_least": "500ms"}},
    ),
    Service(
        "hedged",
        REPLICAS,
        port=9208,
        protocol="http",
        balancer="round_robin",
        rules={"hedging": {"after": "50ms"}},
    ),
    Service("narrow", REPLICAS, port=9205, protocol="http", rules={"limits": {"concurrency": 1}}),
    Service("slow", REPLICAS, port=9206, protocol="http", rules={"limits": {"rate": 2}}),
    Service(
        "queued",
        REPLICAS,
        port=9209,
        protocol="http",
        rules={"limits": {"concurrency": 2, "queue": 2, "queue_wait": "10s"}},
    ),
    Service(
        "brief",
        REPLICAS,
        port=9210,
        protocol="http",
        rules={"limits": {"concurrency": 1, "queue": 2, "queue_wait": "200ms"}},
    ),
    Service(
        "each",
        REPLICAS,
        port=9211,
        protocol="http",
        balancer="round_robin",
        rules={"limits": {"endpoint_concurrency": 1, "queue": 2, "queue_wait": "10s"}},
    ),
    Service(
        "keyed",
        REPLICAS,
        port=9212,
        protocol="http",
        rules={"limits": {"rate": 2, "rate_by": "header", "rate_header": "x-key", "rate_values": 8}},
    ),
    Service(
        "faulty",
        REPLICAS,
        port=9207,
        protocol="http",
        rules={"faults": {"abort_share": "100%", "abort_status": 418}},
    ),
]


class Replica:
    """Answers by a function of the request, which a test may exchange."""

    def __init__(self, name):
        self.name = name
        self.seen = []
        self.respond = self.good
        self.dies = lambda: False  # asked when it has read a part of a body

    def good(self, _request):
        return answer("200 OK", self.name)

    @staticmethod
    def bad(_request):
        return answer("503 Service Unavailable", "busy")

    def slow(self, _request):
        time.sleep(0.4)
        return answer("200 OK", self.name)

    def __call__(self, connection, _number):
        while True:  # until the connection ends
            head = connection.read_head()
            if self.dies():
                connection.read(10000)
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            self.seen.append(connection.read_body(head))
            connection.send(self.respond(self.seen[-1]))



class Crowd:
    """Counts requests that are under way at several replicas, at once."""

    def __init__(self, *replicas):
        self.lock = threading.Lock()
        self.now = self.most = 0
        for replica in replicas:
            replica.respond = self.counted(replica.slow)

    def counted(self, respond):
        def counting(request):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                return respond(request)
            finally:
                with self.lock:
                    self.now -= 1

        return counting


@pytest.fixture
def replicas(mesh):
    one, other = Replica("server"), Replica("other")
    with (
        Upstream(mesh.pod("server"), 9200, one),
        Upstream(mesh.pod("other"), 9200, other),
    ):
        yield one, other


def ask(mesh, service, request=b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"):
    with Connection(mesh.dial(service)) as client:
        return client.ask(request)


def reason(mesh, name):
    return mesh.weftd.metrics().proxy_reason(name)


def test_a_failing_replica_is_not_seen_by_readers(mesh, replicas):
    replicas[0].respond = Replica.bad
    assert [ask(mesh, "reads").status for _ in range(20)] == [200] * 20
    assert len(replicas[1].seen) == 20 and replicas[0].seen
    assert mesh.weftd.metrics().service("weft_retries_total", "reads") == len(replicas[0].seen)


def test_by_default_a_failure_is_passed_on(mesh, replicas):
    replicas[0].respond = Replica.bad
    statuses = [ask(mesh, "plain").status for _ in range(8)]
    assert statuses.count(503) >= 3
    assert mesh.weftd.metrics().service("weft_retries_total", "plain") == 0


def test_a_chunked_post_is_sent_again_whole(mesh, replicas):
    replicas[0].respond = replicas[1].respond = lambda request: (
        Replica.bad(request) if len(replicas[0].seen) + len(replicas[1].seen) == 1 else answer("200 OK", request.body)
    )
    pieces = b"".join(b"%x\r\n%s\r\n" % (1000 + n, bytes([65 + n]) * (1000 + n)) for n in range(20))
    body = b"".join(bytes([65 + n]) * (1000 + n) for n in range(20))
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(mesh, "all", head + pieces + b"0\r\n\r\n").body == body
    assert [request.body for request in replicas[0].seen + replicas[1].seen] == [body, body]


def chunked_post(size):
    """The request and its body: bytes of no pattern in chunks of all sizes."""
    drawn = random.Random(size)
    body, pieces, at = drawn.randbytes(size), b"", 0
    while at < size:
        piece = body[at : at + drawn.randint(1, 4000)]
        pieces += b"%x\r\n%s\r\n" % (len(piece), piece)
        at += len(piece)
    return b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n", body


def first_of_both(replicas, name, first, then):
    """The attribute of both: `first` for whoever is asked first, `then` after that."""
    calls = itertools.count()
    for replica in replicas:
        setattr(replica, name, lambda *given: (then if next(calls) else first)(*given))


def digest(request):
    return answer("200 OK", hashlib.sha256(request.body).hexdigest())


def test_a_replica_that_dies_in_a_chunked_body_does_not_cost_it(mesh, replicas):
    first_of_both(replicas, "dies", lambda: True, lambda: False)
    replicas[0].respond = replicas[1].respond = digest
    request, body = chunked_post(40000)
    before = reason(mesh, "retried_unanswered")
    got = ask(mesh, "all", request)
    assert got.status == 200 and got.body.decode() == hashlib.sha256(body).hexdigest()
    assert len(replicas[0].seen + replicas[1].seen) == 1
    assert reason(mesh, "retried_unanswered") == before + 1


def test_a_chunked_body_beyond_the_buffer_is_not_sent_again(mesh, replicas):
    first_of_both(replicas, "respond", Replica.bad, digest)
    request, body = chunked_post(100000)  # the buffer is 64 KiB
    before = mesh.weftd.metrics().service("weft_retries_total", "all")
    assert ask(mesh, "all", request).status == 503
    assert [seen.body for seen in replicas[0].seen + replicas[1].seen] == [body]
    assert mesh.weftd.metrics().service("weft_retries_total", "all") == before
    assert ask(mesh, "all", request).body.decode() == hashlib.sha256(body).hexdigest()


def test_a_silent_replica_costs_its_timeout(mesh, replicas):
    replicas[0].respond = lambda request: time.sleep(1) or replicas[0].good(request)
    began = time.monotonic()
    assert [ask(mesh, "impatient").body for _ in range(4)] == [b"other"] * 4
    assert 0.2 < time.monotonic() - began < 3
    assert reason(mesh, "retried_timeout") > 0


def test_a_replica_that_hangs_is_not_waited_for(mesh, replicas):
    over = threading.Event()
    replicas[0].respond = lambda request: over.wait(30) and None or replicas[0].good(request)
    try:
        assert [ask(mesh, "hedged").body for _ in range(6)] == [b"other"] * 6
        hedged = len(replicas[0].seen)
        assert reason(mesh, "hedged") == reason(mesh, "hedge_won") == hedged > 0
    finally:
        over.set()
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
    replicas[0].respond = replicas[1].respond = lambda request: time.sleep(0.2) or answer("200 OK", "late")
    assert ask(mesh, "hedged", post).body == b"late"
    assert reason(mesh, "hedged") == hedged


def endpoints(mesh, service):
    """`weft endpoints`: endpoint to row."""
    return {row["ENDPOINT"]: row for row in rows(mesh.weftd.cli("endpoints").stdout) if row["SERVICE"] == service}


def test_a_failing_replica_is_left_out_and_comes_back(mesh, replicas):
    replicas[0].respond = Replica.bad
    for _ in range(12):
        ask(mesh, "broken")
    assert len(replicas[0].seen) == 3
    assert reason(mesh, "endpoint_removed") >= 1
    failed, good = (endpoints(mesh, "broken")[mesh.endpoint("broken", number)] for number in (0, 1))
    assert failed["STATE"] in ("open", "probing") and failed["WHY"].startswith("3 failures in a row"), failed
    assert good["STATE"] == "closed" and good["WHY"] == "-" and re.fullmatch(r"[\d.]+ [mu]?s", good["ESTIMATE"]), good
    services = {row["SERVICE"]: row for row in rows(mesh.weftd.cli("services").stdout)}
    assert services["broken"]["EJECTED"] == "1" and services["broken"]["UP"] == "yes"
    assert mesh.weftd.metrics().service("weft_endpoints_ejected", "broken") == 1
    replicas[0].respond = replicas[0].good
    time.sleep(0.6)
    assert {ask(mesh, "broken").body for _ in range(6)} == {b"server", b"other"}
    assert reason(mesh, "endpoint_revived") >= 1
    assert {row["STATE"] for row in endpoints(mesh, "broken").values()} == {"closed"}
    assert mesh.weftd.metrics().service("weft_endpoints_ejected", "broken") == 0


def deadline(offset):
    at_ns = time.time_ns() + int(offset * 1e9)
    return b"GET / HTTP/1.1\r\nHost: h\r\nl5d-ctx-deadline: 1 %d\r\n\r\n" % at_ns


def test_a_deadline_is_kept_and_told(mesh, replicas):
    assert ask(mesh, "plain", deadline(-1)).status == 504
    assert not replicas[0].seen and not replicas[1].seen
    assert ask(mesh, "plain", deadline(5)).status == 200
    request = (replicas[0].seen + replicas[1].seen)[0]
    assert int(request.get("l5d-ctx-deadline").split()[1]) > time.time_ns()
    replicas[0].respond = replicas[1].respond = lambda request: time.sleep(1) or answer()
    began = time.monotonic()
    assert ask(mesh, "plain", deadline(0.2)).status == 504
    assert time.monotonic() - began < 0.9


def test_the_cap_refuses_and_says_so(mesh, replicas):
    replicas[0].respond = replicas[1].respond = lambda request: time.sleep(0.5) or answer()
    first = []
    thread = threading.Thread(target=lambda: first.append(ask(mesh, "narrow")))
    thread.start()
    time.sleep(0.2)
    refused = ask(mesh, "narrow")
    thread.join()
    assert first[0].status == 200
    assert refused.status == 503 and refused.get("finagle-http-nack") == "true"
    assert refused.get("retry-after") == "0"


def test_the_rate_refuses_and_says_when(mesh, replicas):
    answers = [ask(mesh, "slow") for _ in range(4)]
    assert [message.status for message in answers[:2]] == [200, 200]
    assert answers[3].status == 429 and int(answers[3].get("retry-after")) == 1


def all_at_once(mesh, service, count):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(mesh, service), range(count)))


def test_two_run_two_wait_and_the_others_are_refused(mesh, replicas):
    crowd = Crowd(*replicas)
    refused_before = reason(mesh, "concurrency_limit")
    waited_before = reason(mesh, "queued")
    answers = all_at_once(mesh, "queued", 8)
    refused = [message for message in answers if message.status != 200]
    assert [message.status for message in answers].count(200) == 4 and len(refused) == 4
    for message in refused:
        assert message.status == 503 and message.get("finagle-http-nack") == "true"
        assert message.get("retry-after") == "0"
    assert crowd.most == 2 and len(replicas[0].seen) + len(replicas[1].seen) == 4
    assert reason(mesh, "queued") - waited_before == 2
    assert reason(mesh, "concurrency_limit") - refused_before == 4


def test_who_waits_too_long_or_leaves_is_not_sent(mesh, replicas):
    Crowd(*replicas)
    timeouts_before = reason(mesh, "queue_timeout")
    left_before = reason(mesh, "client_closed")
    with Connection(mesh.dial("brief")) as first, Connection(mesh.dial("brief")) as second:
        first.send(b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for(lambda: replicas[0].seen or replicas[1].seen, "the first request at a replica")
        with Connection(mesh.dial("brief")) as gone:
            gone.send(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
            time.sleep(0.05)
        began = time.monotonic()
        refused = second.ask(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
        assert 0.15 < time.monotonic() - began < 0.39
        assert refused.status == 503 and refused.get("finagle-http-nack") == "true"
        assert first.read_response().status == 200
    assert [request.start for request in replicas[0].seen + replicas[1].seen] == ["GET /first HTTP/1.1"]
    assert reason(mesh, "queue_timeout") - timeouts_before == 1
    assert reason(mesh, "client_closed") - left_before == 1


def test_an_endpoint_has_a_cap_of_its_own(mesh, replicas):
    crowds = [Crowd(replica) for replica in replicas]
    answers = all_at_once(mesh, "each", 6)
    assert sorted(message.status for message in answers) == [200] * 4 + [503] * 2
    assert [crowd.most for crowd in crowds] == [1, 1]
    assert [len(replica.seen) for replica in replicas] == [2, 2]


def test_each_header_value_has_a_rate(mesh, replicas):
    def keyed(value):
        return ask(mesh, "keyed", b"GET / HTTP/1.1\r\nHost: h\r\nx-key: %s\r\n\r\n" % value)

    answers = [keyed(b"one") for _ in range(4)]
    assert [message.status for message in answers[:2]] == [200, 200]
    assert answers[3].status == 429 and int(answers[3].get("retry-after")) == 1
    assert [keyed(b"other").status for _ in range(2)] == [200, 200]


def test_faults_are_made_on_purpose(mesh, replicas):
    refused = ask(mesh, "faulty")
    assert refused.status == 418 and refused.get("l5d-err")
    assert not replicas[0].seen and not replicas[1].seen
    counted = mesh.weftd.metrics()
    assert counted.service("weft_faults_aborted_total", "faulty") == 1
    assert counted.service("weft_requests_total", "faulty") == 0  # apart from real traffic
