"""Bytes that hang past TCP when somebody dies, stops, ends, leaves or does not read."""

import contextlib
import os
import signal
import socket
import threading

import pytest

from harness import programs
from harness.legs import legs
from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer, serve
from harness.shortcut import AUTO, ON, decisions, ends, know, state, wait_no_legs
from harness.truth import ending, in_background, outcome, peeked_bytes, read_all, read_exactly, wait_event
from harness.weftd import is_sanitized

NEAR = Service("near", ["client:9500"], port=9500)
FAR = Service("far", ["server:9500"], port=9501)
HTTP = Service("http", ["server:9500"], port=9502, protocol="http")
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CONTENT = os.urandom(100_000)


@pytest.fixture
def listener(cluster):
    with cluster.pod("server").listen(9500, socket.AF_INET6) as made:
        yield made


@pytest.fixture(params=("near", "far"))
def place(request, cluster):
    """(service, listener): the server in the client's own pod, two legs, or in another, one."""
    pod = cluster.pod("client" if request.param == "near" else "server")
    with pod.listen(9500, socket.AF_INET6) as made:
        yield request.param, made


def hang_towards_the_app(mesh, client, server):
    """The app has not read what weft was given for it."""
    server.sendall(CONTENT)
    wait_for(lambda: peeked_bytes(client) == len(CONTENT), "the bytes to hang in the app's queue")
    assert state(mesh, client) == "shortcut"


@contextlib.contextmanager
def stopped(mesh):
    mesh.weftd.process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        mesh.weftd.process.send(signal.SIGCONT)


def hang_towards_weft(mesh, client):
    """weftd is stopped and has not read what the app sent."""
    before = sum(leg.dialler["bytes"] for leg in legs(mesh.weftd))
    client.sendall(CONTENT)
    assert sum(leg.dialler["bytes"] for leg in legs(mesh.weftd)) == before + len(CONTENT)


def cleanup(mesh):
    done = mesh.weftd.cli("cleanup", "--pin-dir", mesh.weftd.pin_dir, socket=False)
    assert not os.path.exists(mesh.weftd.pin_dir), done.stdout


# ---- death ----


@pytest.mark.parametrize("cleans", (False, True), ids=("", "cleanup"))
def test_after_sigkill_the_app_reads_what_it_was_given_and_then_a_reset(daemon, place, cleans):
    """The rest of the stream is lost with weftd, so a plain end would be a lie."""
    service, listener = place
    mesh = daemon([NEAR, FAR], ON)
    with ends(mesh, service, listener) as (client, server):
        hang_towards_the_app(mesh, client, server)
        mesh.weftd.kill()
        wait_event(client, "ERR")
        if cleans:
            cleanup(mesh)
        assert read_exactly(client, len(CONTENT)) == CONTENT
        assert ending(client)["recv"] == "ECONNRESET"


def test_sigkill_with_unread_requests_is_a_reset(daemon, place):
    service, listener = place
    mesh = daemon([NEAR, FAR], ON)
    if service == "near":
        know(mesh, service, listener)
    with ends(mesh, service, listener) as (client, server):
        with stopped(mesh):
            hang_towards_weft(mesh, client)
            mesh.weftd.kill()
        assert ending(client)["recv"] == "ECONNRESET"
        # near: the server's leg ends by a reset too; far: the kernel closes an ordinary socket of a dead process
        assert outcome(lambda: server.recv(1)) in ("ECONNRESET", b"" if service == "far" else "ECONNRESET")


def test_sigkill_while_both_ends_write_is_seen_by_both(daemon, place):
    service, listener = place
    mesh = daemon([NEAR, FAR], ON)
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            pairs = [stack.enter_context(ends(mesh, service, listener)) for _ in range(4)]
            answers = {}

            def flood(end):
                end.settimeout(20)
                while isinstance(said := outcome(lambda: end.send(CONTENT)), int):
                    pass
                answers[end] = said  # noqa: B023

            def drain(end):
                end.settimeout(20)
                while isinstance(said := outcome(lambda: end.recv(1 << 16)), bytes) and said:
                    pass

            threads = [
                in_background(lambda e=end, a=act: a(e)) for pair in pairs for end in pair for act in (flood, drain)
            ]
            wait_for(lambda: mesh.weftd.metrics().sum("weft_tunnels_opened_total") >= 4, "the load")
            mesh.weftd.kill()
            for thread in threads:
                thread.join(10)
                assert not thread.is_alive(), "somebody was told nothing"
            assert set(answers.values()) <= {"ECONNRESET", "EPIPE"}
        mesh.weftd.start()
    wait_no_legs(mesh)


def test_a_stopped_weftd_goes_on_where_it_was(daemon, place):
    service, listener = place
    mesh = daemon([NEAR, FAR], ON)
    with ends(mesh, service, listener) as (client, server):
        hang_towards_the_app(mesh, client, server)
        with stopped(mesh):
            hang_towards_weft(mesh, client)
            assert read_exactly(client, len(CONTENT)) == CONTENT
        assert read_exactly(server, len(CONTENT)) == CONTENT
        assert state(mesh, client) == "shortcut"


def test_a_new_weftd_serves_beside_what_the_old_one_left(daemon, listener):
    """The bytes of the dead one's connections stay readable; their rows are free when the apps let go."""
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", listener) as (old, old_server):
        hang_towards_the_app(mesh, old, old_server)
        mesh.weftd.kill()
        mesh.weftd.start()
        with ends(mesh, "far", listener) as (client, server):
            hang_towards_the_app(mesh, client, server)
            assert read_exactly(old, len(CONTENT)) == CONTENT
            assert ending(old)["recv"] == "ECONNRESET"
            assert read_exactly(client, len(CONTENT)) == CONTENT
            assert state(mesh, client) == "shortcut"
    wait_no_legs(mesh)


# ---- the orderly end ----


@pytest.mark.parametrize("cleans", (False, True), ids=("", "cleanup"))
def test_an_answer_that_nobody_read_yet_outlives_weftd(daemon, cleans):
    mesh = daemon([HTTP], AUTO)
    with Upstream(mesh.pod("server"), 9500, serve(lambda request: answer("200 OK", CONTENT))):
        with Connection(mesh.dial("http")) as client:
            client.send(GET)
            wait_for(lambda: peeked_bytes(client.socket) > len(CONTENT), "the answer to hang in the app's queue")
            assert state(mesh, client.socket) == "shortcut"
            assert mesh.weftd.terminate() == 0
            if cleans:
                cleanup(mesh)
            assert client.read_response().body == CONTENT
            assert ending(client.socket)["recv"] == b""


def test_a_tunnel_that_a_drain_cuts_keeps_what_it_was_given(daemon, place):
    service, listener = place
    mesh = daemon([NEAR, FAR], {**ON, "timeouts": {"drain": "200ms"}})
    with ends(mesh, service, listener) as (client, server):
        hang_towards_the_app(mesh, client, server)
        assert mesh.weftd.terminate() == 0
        cleanup(mesh)
        assert read_exactly(client, len(CONTENT)) == CONTENT
        assert ending(client)["recv"] == "ECONNRESET"
        assert outcome(lambda: server.recv(1)) == "ECONNRESET"


def test_a_request_that_hangs_when_weftd_ends_is_answered_or_reset(daemon):
    mesh = daemon([HTTP], AUTO)
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)
    with Upstream(mesh.pod("server"), 9500, serve(lambda request: answer("200 OK", request.body))):
        with Connection(mesh.dial("http")) as client:
            assert client.ask(post + CONTENT).body == CONTENT
            with stopped(mesh):
                client.send(post)
                hang_towards_weft(mesh, client.socket)
                mesh.weftd.process.send(signal.SIGTERM)
            said = outcome(lambda: client.read_response().body)
            assert said in (CONTENT, "ECONNRESET")
            assert mesh.weftd.process.wait(8) == 0


@pytest.mark.parametrize("cleans", (False, True), ids=("", "cleanup"))
def test_an_un_enrolled_pod_keeps_its_bytes_and_its_connections(daemon, place, cleans):
    service, listener = place
    mesh = daemon([NEAR, FAR], {**ON, "timeouts": {"drain": "200ms"}})
    with ends(mesh, service, listener) as (client, server):
        hang_towards_the_app(mesh, client, server)
        config = mesh.config()
        config["pods"] = [pod for pod in config["pods"] if pod["name"] != "client"]
        mesh.weftd.reload(
            config,
            until=lambda: not any(
                pod["name"] == "client" and pod["state"] == "captured" for pod in mesh.weftd.json("/pods.json")
            ),
        )
        assert read_exactly(client, len(CONTENT)) == CONTENT
        client.sendall(b"still here")
        assert read_exactly(server, 10) == b"still here"
        server.sendall(CONTENT)
        wait_for(lambda: peeked_bytes(client) == len(CONTENT), "more bytes")
        if cleans:
            assert mesh.weftd.terminate() == 0
            cleanup(mesh)
        assert read_exactly(client, len(CONTENT)) == CONTENT


# ---- who does not read ----


def kernel_memory_kib():
    """Of sockets (bytes in queues) and of the whole machine (what is available to others)."""
    with open("/proc/net/sockstat", encoding="ascii") as lines:
        pages = next(int(line.split()[-1]) for line in lines if line.startswith("TCP:"))
    with open("/proc/meminfo", encoding="ascii") as lines:
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return pages * 4, available


@pytest.mark.parametrize("mode", ("off", "auto"))
def test_a_thousand_apps_that_never_read_hold_a_window_each(daemon, cluster, mode):
    """
    Each asks for 2 MiB and reads none of it. Past TCP hangs a window for each at most; the rest of
    what is in flight is TCP's and weft's, as it is with `off`. TCP's buffers are kept small, or all of
    them together would be more than the machine grants TCP.
    """
    count, window, size = (200 if is_sanitized() else 1000), 64 << 10, 2 << 20
    service = Service("http", ["stall-server:9500"], port=9502, protocol="http", shortcut_window=f"{window}")
    pods = [cluster.pod("stall-client"), cluster.pod("stall-server")]
    for pod in pods:
        pod.run(["sh", "-c", "for way in r w; do echo 4096 16384 65536 > /proc/sys/net/ipv4/tcp_${way}mem; done"])
    server = programs.nginx(pods[1], 9500)
    content = os.urandom(size)
    with open(f"{server.www}/large", "wb") as file:
        file.write(content)
    mesh = daemon([service], {"shortcut": {"mode": mode}}, clients=("stall-client",), only=("stall-client",))
    rss = mesh.weftd.rss_kib()
    before, available = kernel_memory_kib()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(mesh.dial("http", pod=pods[0])) for _ in range(count)]
        for client in clients:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")

        def settled():
            now = mesh.weftd.metrics()
            seen.append((now.sum("weft_worker_block_bytes"), now.sum("weft_received_bytes_total", endpoint=None)))
            if mode == "auto" and decisions(mesh, "demoted_window", "stall-client") < count:
                return False
            return len(seen) > 4 and len(set(seen[-4:])) == 1 and now.sum("weft_requests_active", endpoint=None) == count

        seen = []
        wait_for(settled, "everything to stand still", 50, every=0.25)
        rows = legs(mesh.weftd)
        hanging = sum(leg.acceptor["outstanding"] for leg in rows)
        after, still_available = kernel_memory_kib()
        figures = {
            "past TCP, KiB": hanging >> 10,
            "TCP, KiB": after - before,
            "weftd, KiB": mesh.weftd.rss_kib() - rss,
            "machine, KiB": available - still_available,
        }
        print(mode, count, "stalled receivers:", figures)
        if mode == "auto":
            assert len(rows) == count
            assert all(leg.acceptor["outstanding"] <= window for leg in rows)
            assert all(leg.acceptor["bytes"] <= window for leg in rows)
        # The last ones read, and miss nothing.
        for client in clients[-5:]:
            connection = Connection(client)
            assert connection.read_response().body == content
    wait_no_legs(mesh, 20)
    wait_for(lambda: kernel_memory_kib()[0] - before < 16 << 10, "the sockets' memory to be given back", 20)
    server.stop()


def test_apps_that_send_to_a_server_that_does_not_read_are_stopped(daemon, listener):
    """weft pauses reading, and then the app's leg holds a window at most."""
    window = 64 << 10
    mesh = daemon([Service("far", ["server:9500"], port=9501, shortcut_window=f"{window}")], ON)
    rss = mesh.weftd.rss_kib()
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(ends(mesh, "far", listener)) for _ in range(50)]
        sent = {}

        def fill(client):
            total = 0
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                while total < 64 << 20:
                    total += client.send(bytes(1 << 16))
            sent[client] = total

        threads = [threading.Thread(target=fill, args=(client,)) for client, _ in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(sent.values()) < 64 << 20, "nothing stops the sender"
        rows = legs(mesh.weftd)
        assert {leg.state for leg in rows} == {"demoted_window"}
        assert all(leg.dialler["outstanding"] <= window for leg in rows)
        if not is_sanitized():
            assert mesh.weftd.rss_kib() - rss < 50 * 512
        client, server = pairs[0]
        client.shutdown(socket.SHUT_WR)
        assert len(read_all(server)) == sent[client]
    wait_no_legs(mesh)

