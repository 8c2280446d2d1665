"""Replicas that are killed, and that fail, while requests run without a pause."""

import signal
import time

import pytest
from harness import programs
from harness.load import Load
from harness.mesh import Service
from harness.peers import peer
from harness.poll import wait_for

MODES = ("weft",)
NAMES = ("one", "two", "three")
BREAKER = {"breaker": {"backoff_least": "300ms", "backoff_most": "600ms"}}


@pytest.fixture
def running(cluster, daemon):
    """running(latency_ms, rules) -> mesh, {name: process}, start(name); on ports that nobody else was given"""
    processes = {}

    def open_rig(latency_ms, rules):
        ports = {name: cluster.pod(name).free_port() for name in NAMES}

        def start(name):
            word = f"{name}:{ports[name]}:{latency_ms}"
            processes[name] = programs.script(cluster.pod(name), peer("replica.py"), word, port=ports[name])

        for name in NAMES:
            start(name)
        places = [f"{name}:{port}" for name, port in ports.items()]
        return daemon([Service("web", places, protocol="http", balancer="round_robin", rules=rules)]), processes, start

    yield open_rig
    for process in processes.values():
        process.stop()


def kill(process):
    """kill -9; returns when it is gone, with its sockets."""
    process.popen.kill()
    process.popen.wait()
    return time.monotonic()


def test_a_killed_replica_fails_no_request_that_may_be_sent_again(running):
    retried = {**BREAKER, "classifier": "retryable_idempotent_5xx"}
    mesh, processes, start = running(20, retried)
    with Load(lambda: mesh.dial("web"), clients=8) as load:
        for _ in range(2):
            load.wait_seen("two", time.monotonic())
            killed_at = kill(processes["two"])
            load.wait(150, killed_at)
            assert set(load.shares(killed_at)) == {"one", "three"}
            start("two")
            load.wait_seen("two", time.monotonic())  # it was probed, and takes part again
    assert not load.failed(), load.failed()
    metrics = mesh.weftd.metrics()
    assert metrics.service("weft_requests_total", "web") == len(load.outcomes)
    assert metrics.proxy_reason("endpoint_removed") >= 1 and metrics.proxy_reason("endpoint_revived") >= 1


def test_without_retries_only_what_was_under_way_there_fails(running):
    mesh, processes, _ = running(60, BREAKER)
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    with Load(lambda: mesh.dial("web"), clients=8, request=post) as load:
        load.wait_seen("two", time.monotonic())
        began = time.monotonic()
        killed_at = kill(processes["two"])
        load.wait(150, killed_at)
    assert 1 <= len(load.failed()) <= 8, load.failed()  # as many as there are clients
    assert all(one.sent_at < killed_at and one.ended_at > began for one in load.failed()), (began, load.failed())
    assert set(load.shares(killed_at)) == {"one", "three"}
    assert mesh.weftd.metrics().proxy_reason("retried_unanswered") == 0


def test_a_failing_replica_is_left_out_under_load_and_comes_back(running):
    mesh, processes, _ = running(20, BREAKER)
    with Load(lambda: mesh.dial("web"), clients=4) as load:
        load.wait_seen("two", time.monotonic())
        processes["two"].send(signal.SIGUSR1)
        wait_for(lambda: mesh.weftd.metrics().proxy_reason("endpoint_removed"), "the breaker to open")
        began = time.monotonic()
        load.wait(200, began)
        assert sum(one.got == 503 for one in load.since(began)) < 20  # probes, not a third of all
        processes["two"].send(signal.SIGUSR2)
        wait_for(lambda: mesh.weftd.metrics().proxy_reason("endpoint_revived"), "the breaker to close")
        back_at = time.monotonic()
        load.wait(120, back_at)
    assert 0.2 < load.shares(back_at)["two"] < 0.45, load.shares(back_at)
    assert {one.got for one in load.failed()} == {503}
