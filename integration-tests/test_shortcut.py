"""The shortcut: who gets it, who is refused or taken back to TCP, how connections end, as seen from outside."""

import contextlib
import ctypes
import errno
import os
import select
import signal
import socket

import pytest

from harness.legs import legs
from harness.mesh import Service
from harness.poll import wait_for
from harness.raw import Connection, Upstream, answer, echo, serve
from harness.shortcut import AUTO, ON, decisions, ends, learn, state, wait_no_legs
from harness.truth import (
    ending,
    in_background,
    outcome,
    peeked_bytes,
    read_all,
    read_exactly,
    readable_bytes,
    reset,
    unsent_bytes,
    wait_event,
)
from harness.weftd import bpftool

SO_ZEROCOPY, MSG_ZEROCOPY, MSG_FASTOPEN, TCP_ULP = 60, 0x4000000, 0x20000000, 31
REFUSED = errno.errorcode[errno.EOPNOTSUPP]
SPLICE_F_NONBLOCK = 2
LIBC = ctypes.CDLL(None, use_errno=True)
# The server beside the client in its pod: a leg on each side of weft.
NEAR = Service("near", ["client:9500"], port=9500)
FAR = Service("far", ["server:9500"], port=9501)
HTTP = Service("http", ["server:9500"], port=9502, protocol="http")


@pytest.fixture
def near(cluster):
    """Listens in the client's pod."""
    with cluster.pod("client").listen(9500, socket.AF_INET6) as listener:
        yield listener


@pytest.fixture
def far(cluster):
    with cluster.pod("server").listen(9500, socket.AF_INET6) as listener:
        yield listener


# ---- modes ----


def expected(pod, service, mesh, is_http):
    """README's rule: an off of pod or service holds; else the pod's word, the service's, the mesh's."""
    if "off" in (pod, service):
        return False
    said = next(word for word in (pod, service, mesh) if word != "inherit")
    return said == "on" or (said == "auto" and is_http)


@pytest.mark.parametrize("mode", ("off", "auto", "on"))
def test_pod_goes_before_service_before_mesh_and_an_off_holds(daemon, far, mode):
    words = ("inherit", "off", "auto", "on")
    services = [
        Service(f"{word}-{protocol}", ["server:9500"], port=9600 + 10 * at + declared, protocol=protocol, shortcut=word)
        for at, word in enumerate(words)
        for declared, protocol in enumerate(("auto", "http"))
    ]
    pods = {f"pod-{word}": {"shortcut": word} for word in words}
    mesh = daemon(services, {"shortcut": {"mode": mode}}, pods, clients=tuple(pods))
    seen, wanted = {}, {}
    for pod, says in pods.items():
        for service in services:
            case = f"pod {says['shortcut']}, service {service.name}"
            wanted[case] = expected(says["shortcut"], service.shortcut, mode, service.protocol == "http")
            with mesh.dial(service.name, pod=mesh.pod(pod)) as client:
                seen[case] = state(mesh, client, pod=pod) == "shortcut"
    assert seen == wanted
    for pod, says in pods.items():
        count = sum(value for case, value in wanted.items() if case.startswith(f"pod {says['shortcut']},"))
        assert decisions(mesh, "shortcut", pod) == count


def test_a_change_of_mode_holds_for_new_connections(daemon, far):
    mesh = daemon([FAR], ON)
    config = mesh.config()

    def reload(mode):
        mesh.weftd.reload({**config, "shortcut": {"mode": mode}})
        wanted = "shortcut" if mode == "on" else "tcp"

        def follows():
            with ends(mesh, "far", far) as (client, _):
                return state(mesh, client) == wanted

        wait_for(follows, f"new connections to be {wanted}")

    def exchange(client, server):
        client.sendall(b"question")
        assert read_exactly(server, 8) == b"question"
        server.sendall(b"answer")
        assert read_exactly(client, 6) == b"answer"

    with ends(mesh, "far", far) as (old, old_server):
        reload("off")
        assert state(mesh, old) == "shortcut"
        exchange(old, old_server)
        with ends(mesh, "far", far) as (late, late_server):
            reload("on")
            assert state(mesh, late) == "tcp"
            exchange(late, late_server)
        exchange(old, old_server)


def test_both_sides_of_weft_have_a_leg_only_where_the_server_is_in_the_pod(daemon, near, far):
    mesh = daemon([NEAR, FAR], ON)
    learn(mesh, "near", near)
    before = decisions(mesh, "shortcut")
    with ends(mesh, "near", near) as (client, server):
        server.sendall(b"answer")
        assert read_exactly(client, 6) == b"answer"
        assert (state(mesh, client), state(mesh, client, "endpoint_leg")) == ("shortcut", "shortcut")
        assert sorted((leg.dialler["bytes"], leg.acceptor["bytes"]) for leg in legs(mesh.weftd)) == [(1, 6), (1, 6)]
    with ends(mesh, "far", far) as (client, _):
        assert (state(mesh, client), state(mesh, client, "endpoint_leg")) == ("shortcut", "tcp")
    wait_no_legs(mesh)
    assert decisions(mesh, "shortcut") == before + 3


def test_a_server_that_blocks_stays_on_tcp(daemon, near):
    mesh = daemon([NEAR], ON)
    for _ in range(3):
        with mesh.dial("near") as client:
            client.sendall(b"q")
            server, _ = near.accept()
            with server:
                server.setblocking(True)
                assert read_exactly(server, 1) == b"q"
                server.sendall(b"a")
                assert read_exactly(client, 1) == b"a"
                client.sendall(b"q")
                assert read_exactly(server, 1) == b"q"
                assert state(mesh, client, "endpoint_leg") == "tcp"
    assert decisions(mesh, "tcp_blocking") == 3


def test_a_client_that_blocks_stays_on_tcp(daemon, far):
    mesh = daemon([FAR], ON)
    with mesh.client.new_socket() as client:
        client.setblocking(True)
        client.connect(mesh.address("far"))
        client.sendall(b"q")
        server, _ = far.accept()
        with server:
            assert read_exactly(server, 1) == b"q"
            assert state(mesh, client) == "tcp"
    assert decisions(mesh, "tcp_blocking") == 1


def counts_of(mesh):
    """Asks for bytes sent, received and past TCP, of the app's legs and of the upstreams'."""

    def ask():
        now = mesh.weftd.metrics()
        return [
            [now.sum(f"weft_flow_{what}_bytes_total", service="near", leg=leg) for what in ("sent", "received", "shortcut")]
            for leg in ("app", "upstream")
        ]

    return ask


def test_bytes_past_tcp_are_counted_as_bytes(daemon, near):
    mesh = daemon([NEAR], ON)
    learn(mesh, "near", near)
    before = counts_of(mesh)()
    with ends(mesh, "near", near) as (client, server):
        client.sendall(b"q" * 999)
        read_exactly(server, 999)
        server.sendall(b"a" * 5000)
        read_exactly(client, 5000)
        client.close()
        assert server.recv(1) == b""

    def counted():
        return [[now - then for now, then in zip(*rows)] for rows in zip(counts_of(mesh)(), before)]

    wait_for(lambda: counted() == [[1000, 5000, 6000]] * 2, "the bytes to be counted")


# ---- sockets that need TCP ----


def test_zero_copy_is_refused_on_a_connection_that_has_the_shortcut(daemon, far):
    """Its completions would never come. Asked for before the dial, it keeps the connection on TCP, and they come."""
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        assert outcome(lambda: client.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)) == REFUSED
        assert client.getsockopt(socket.SOL_SOCKET, SO_ZEROCOPY) == 0
        client.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 0)
        client.send(b"as usual", MSG_ZEROCOPY)
        assert read_exactly(server, 8) == b"as usual"
        assert state(mesh, client) == "shortcut"
    assert decisions(mesh, "refused_option") == 1
    with mesh.client.new_socket() as client:
        client.settimeout(10)
        client.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        client.connect(mesh.address("far"))
        server, _ = far.accept()
        with server:
            assert state(mesh, client) == "tcp"
            assert client.send(b"x" * 1000, MSG_ZEROCOPY) == 1000
            read_exactly(server, 1000)
            wait_event(client, "ERR")
            assert client.recvmsg(1, 512, socket.MSG_ERRQUEUE)[1]
    assert decisions(mesh, "tcp_socket") == 1


def test_kernel_tls_is_refused_on_a_connection_that_has_the_shortcut(daemon, far):
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, _):
        assert outcome(lambda: client.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")) == REFUSED
    assert decisions(mesh, "refused_option") == 1


def test_a_low_water_mark_takes_a_connection_back_to_tcp(daemon, far):
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        server.sendall(b"past")
        wait_for(lambda: peeked_bytes(client) == 4, "the first bytes")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 6)
        assert state(mesh, client) == "demoted_option"
        server.sendall(b" and by TCP")
        wait_for(lambda: client.recv(4) == b"past", "the first bytes")
        assert read_exactly(client, 11) == b" and by TCP"
        server.sendall(b"five ")
        wait_for(lambda: peeked_bytes(client) == 5, "fewer bytes than the mark")
        assert not select.select([client], [], [], 0.05)[0]
        server.sendall(b"more")
        assert select.select([client], [], [], 5)[0]
        assert client.recv(20) == b"five more"
    with mesh.client.new_socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 6)
        client.connect(mesh.address("far"))
        assert state(mesh, client) == "tcp"
    assert (decisions(mesh, "demoted_option"), decisions(mesh, "tcp_socket")) == (1, 1)


def test_bytes_that_went_with_the_handshake_keep_their_connection_on_tcp(daemon, far):
    mesh = daemon([FAR], ON)
    for number in range(1, 30):
        with mesh.client.new_socket() as client:
            client.sendto(b"first", MSG_FASTOPEN, mesh.address("far"))
            server, _ = far.accept()
            with server:
                for piece in range(10):
                    client.sendall(b" next%d" % piece)
                wanted = b"first" + b"".join(b" next%d" % piece for piece in range(10))
                assert read_exactly(server, len(wanted)) == wanted
                # on TCP from the start, or as soon as the kernel was asked about the next message
                assert state(mesh, client) in ("tcp", "demoted_sent")
                assert not any(leg.dialler["bytes"] + leg.acceptor["bytes"] for leg in legs(mesh.weftd))
        reasons = ("tcp_early", "demoted_sent", "tcp_blocking")
        assert sum(decisions(mesh, reason) for reason in reasons) == number


def test_what_waits_unread_is_bounded_by_the_window(daemon, near):
    """Both legs go back to TCP, whose own windows stop the sender; every byte arrives."""
    service = Service("near", ["client:9500"], port=9500, shortcut_window="1MiB")
    mesh = daemon([service], ON)
    learn(mesh, "near", near)
    content = os.urandom(64 << 20)
    for by in ("client", "server"):
        with ends(mesh, "near", near) as (client, server):
            sender, receiver = (client, server) if by == "client" else (server, client)
            sent = 0
            sender.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                while sent < len(content):
                    sent += sender.send(content[sent : sent + 65536])
            assert sent < len(content), "nothing stops the sender"
            # towards the receiver that does not read; weft read the other leg as long as it could pass it on
            side = "acceptor" if by == "server" else "dialler"
            stalled = [leg for leg in legs(mesh.weftd) if leg.state == "demoted_window"]
            assert stalled
            for leg in stalled:
                assert getattr(leg, side)["outstanding"] <= 1 << 20
            assert readable_bytes(receiver) <= 1 << 20
            assert read_exactly(receiver, sent) == content[:sent]
            sender.settimeout(10)
            sender.sendall(b"the end")
            assert read_exactly(receiver, 7) == b"the end"
    assert decisions(mesh, "demoted_window") >= 2


def test_a_window_of_the_service_goes_before_the_mesh(daemon, far):
    wide = Service("wide", ["server:9500"], port=9503, shortcut_window="1MiB")
    mesh = daemon([FAR, wide], {"shortcut": {"mode": "on", "window": "64KiB"}})
    windows = []
    for service in ("far", "wide"):
        with ends(mesh, service, far) as (client, _):
            windows += [leg.window for leg in legs(mesh.weftd) if leg.service_id and state(mesh, client) == "shortcut"]
        wait_no_legs(mesh)
    assert windows == [65536, 1 << 20]


def test_what_can_be_counted_of_a_connection(daemon, far):
    """FIONREAD tells what waits past TCP, and only that once the connection is back on TCP; SIOCOUTQ tells TCP's."""
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        server.sendall(b"x" * 1000)
        wait_for(lambda: peeked_bytes(client) == 1000, "the bytes")
        assert readable_bytes(client) in (1000, 0)  # 0 before Linux 6.18
        client.sendall(b"x" * 500)
        assert unsent_bytes(client) == 0
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 2)
        read_exactly(client, 1000)
        server.sendall(b"y" * 300)
        wait_for(lambda: peeked_bytes(client) == 300, "more bytes, by TCP")
        assert readable_bytes(client) in (0, 300)
        assert read_exactly(client, 300) == b"y" * 300


# ---- splice ----


def splice(reader, size, flags=SPLICE_F_NONBLOCK):
    """What splice(2) moves from the socket into a pipe, or the name of its error."""
    source, sink = os.pipe()
    try:
        moved = outcome(lambda: os.splice(reader.fileno(), sink, size, flags=flags))
        return os.read(source, moved) if isinstance(moved, int) and moved else moved
    finally:
        os.close(source)
        os.close(sink)


def splice_all(reader, size):
    got = b""
    while len(got) < size:
        assert select.select([reader], [], [], 10)[0], "no byte came"
        piece = splice(reader, size - len(got))
        if piece != "EAGAIN":
            assert isinstance(piece, bytes), piece
            got += piece
    return got


def test_a_program_that_splices_keeps_its_pod_on_tcp(daemon, far):
    """
    The one thing that a socket with the shortcut cannot do: splice(2) sees none of its bytes (one
    that blocks waits for ever). Who is seen to try has TCP from its next connection on.
    """
    mesh = daemon([FAR], ON, clients=("client", "other"))
    content = os.urandom(300_000)
    with ends(mesh, "far", far) as (client, server):
        server.sendall(b"cannot be spliced")
        wait_for(lambda: peeked_bytes(client) == 17, "the bytes")
        source = mesh.client.run(
            ["/usr/bin/python3", "-c", SPLICER, str(client.fileno())], pass_fds=[client.fileno()]
        ).stdout.strip()
        assert source == "EAGAIN"
        assert client.recv(100) == b"cannot be spliced"
        assert state(mesh, client) == "shortcut"
    dump = bpftool("map", "dump", "pinned", f"{mesh.weftd.pin_dir}/weft_splicers").stdout
    assert dump.count('"key"') >= 1, dump
    with ends(mesh, "far", far) as (client, server):
        assert state(mesh, client) == "tcp"
        writer = in_background(lambda: server.sendall(content))
        assert splice_all(client, len(content)) == content
        writer.join()
    assert decisions(mesh, "tcp_splicer") == 1
    with mesh.dial("far", pod=mesh.pod("other")) as client:
        assert state(mesh, client) == "shortcut"
    assert decisions(mesh, "tcp_splicer", "other") == 0


SPLICER = """
import errno, os, sys
source, sink = os.pipe()
try:
    print(os.splice(int(sys.argv[1]), sink, 100, flags=2))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_splicing_into_a_socket_and_between_files_marks_nobody(daemon, far, tmp_path):
    mesh = daemon([FAR], ON)
    content = os.urandom(100_000)
    (tmp_path / "file").write_bytes(content)
    with ends(mesh, "far", far) as (client, server):
        code = (
            "import os, sys; source, sink = os.pipe(); file = os.open(sys.argv[2], os.O_RDONLY)\n"
            "while (moved := os.splice(file, sink, 65536)): os.splice(source, int(sys.argv[1]), moved)\n"
        )
        argv = ["/usr/bin/python3", "-c", code, str(client.fileno()), str(tmp_path / "file")]
        mesh.client.run(argv, pass_fds=[client.fileno()])
        assert read_exactly(server, len(content)) == content
        assert state(mesh, client) == "shortcut"
    with ends(mesh, "far", far) as (client, _):
        assert state(mesh, client) == "shortcut"
    assert decisions(mesh, "tcp_splicer") == 0


# ---- what was declared HTTP and is a tunnel ----


def upgrade(connection, _number):
    connection.read_request()
    connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    echo(connection, _number)


def connect(connection, _number):
    connection.read_request()
    connection.send("HTTP/1.1 200 OK\r\n\r\n")
    echo(connection, _number)


@pytest.mark.parametrize("mode, place", (("auto", "client"), ("on", "server")))
@pytest.mark.parametrize(
    "script, first",
    (
        (upgrade, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
        (connect, b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        (echo, b"\x16\x03\x01\x00 neither HTTP nor anything else\r\n"),
    ),
    ids=("upgrade", "connect", "no HTTP"),
)
def test_a_tunnel_on_a_declared_port_is_back_on_tcp_before_its_first_byte(daemon, mode, script, first, place):
    """Whoever joins two sockets may splice: all bytes of the tunnel can be spliced."""
    mesh = daemon([Service("http", [f"{place}:9500"], port=9502, protocol="http")], {"shortcut": {"mode": mode}})
    content = os.urandom(400_000)
    if place == "client":
        with mesh.pod("client").listen(9500, socket.AF_INET6) as near:
            learn(mesh, "http", near)
    known = decisions(mesh, "demoted_tunnel")
    with Upstream(mesh.pod(place), 9500, script), Connection(mesh.dial("http")) as client:
        client.send(first)
        if script is echo:
            assert splice_all(client.socket, len(first)) == first
        else:
            assert client.read_head().status in (101, 200)
        before = {leg.id: (leg.dialler["bytes"], leg.acceptor["bytes"]) for leg in legs(mesh.weftd)}
        assert len(before) == (2 if place == "client" else 1)
        writer = in_background(lambda: client.send(content))
        assert splice_all(client.socket, len(content)) == content
        writer.join()
        assert state(mesh, client.socket) == "demoted_tunnel"
        assert {leg.id: (leg.dialler["bytes"], leg.acceptor["bytes"]) for leg in legs(mesh.weftd)} == before
        assert {leg.state for leg in legs(mesh.weftd)} == {"demoted_tunnel"}
    assert decisions(mesh, "demoted_tunnel") == known + len(before)


def test_requests_of_one_connection_stay_on_the_shortcut(daemon):
    mesh = daemon([HTTP], AUTO)
    body = os.urandom(150_000)
    with Upstream(mesh.pod("server"), 9500, serve(lambda request: answer("200 OK", request.body))):
        with Connection(mesh.dial("http")) as client:
            for _ in range(50):
                assert client.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n" + body).body == body
            assert state(mesh, client.socket) == "shortcut"
            (leg,) = legs(mesh.weftd)
            assert leg.dialler["bytes"] > 50 * len(body) and leg.acceptor["bytes"] > 50 * len(body)


# ---- ends ----


@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("service", ("near", "far"))
def test_a_close_with_unread_bytes_is_a_reset_for_the_other_end(daemon, near, far, service, closer):
    """The reset has to cross two legs, or one: TCP knows of none of the unread bytes."""
    mesh = daemon([NEAR, FAR], ON)
    for size in (1, 10_000, 100_000):
        with ends(mesh, service, near if service == "near" else far) as (client, server):
            stays, leaves = (client, server) if closer == "server" else (server, client)
            stays.sendall(b"x" * size)
            wait_for(lambda: peeked_bytes(leaves) >= min(size, 1000), "the bytes to arrive")
            leaves.close()
            wait_event(stays, "ERR")
            assert ending(stays)["recv"] == "ECONNRESET"
            assert outcome(lambda: stays.send(b"x")) == "EPIPE"
    wait_no_legs(mesh)


@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("service", ("near", "far"))
def test_a_close_after_everything_was_read_is_no_reset(daemon, near, far, service, closer):
    mesh = daemon([NEAR, FAR], ON)
    for size in (1, 10_000, 200_000, 2_000_000):
        with ends(mesh, service, near if service == "near" else far) as (client, server):
            stays, leaves = (client, server) if closer == "server" else (server, client)
            writer = in_background(lambda: stays.sendall(b"x" * size))  # noqa: B023
            read_exactly(leaves, size)
            writer.join()
            leaves.sendall(b"y" * size)
            leaves.close()
            assert read_all(stays) == b"y" * size
            assert ending(stays)["recv"] == b""
    wait_no_legs(mesh)


@pytest.mark.parametrize("service", ("near", "far"))
def test_nothing_is_sent_after_shutdown(daemon, near, far, service):
    mesh = daemon([NEAR, FAR], ON)
    for first in ("client", "server"):
        with ends(mesh, service, near if service == "near" else far) as both:
            ender, other = both if first == "client" else reversed(both)
            ender.sendall(b"last words")
            ender.shutdown(socket.SHUT_WR)
            assert outcome(lambda: ender.send(b"never")) == "EPIPE"  # noqa: B023
            assert read_all(other) == b"last words"
            assert outcome(lambda: ender.send(b"never")) == "EPIPE"  # noqa: B023
            assert outcome(lambda: other.recv(1)) == b""  # noqa: B023
            other.sendall(b"answer")
            other.close()
            assert read_all(ender) == b"answer"


@pytest.mark.parametrize("service", ("near", "far"))
def test_a_reset_comes_after_the_bytes_before_it(daemon, near, far, service):
    mesh = daemon([NEAR, FAR], ON)
    for first in ("client", "server"):
        with ends(mesh, service, near if service == "near" else far) as both:
            leaver, other = both if first == "client" else reversed(both)
            leaver.sendall(b"x" * 50_000)
            wait_for(lambda: peeked_bytes(other) == 50_000, "the bytes")  # noqa: B023
            reset(leaver)
            wait_event(other, "ERR")
            assert read_exactly(other, 50_000) == b"x" * 50_000
            assert ending(other)["recv"] == "ECONNRESET"


# ---- who waits in recv ----

# Linux to 6.18: tcp_bpf_recvmsg() takes every wake-up without data for the end of its time.
woken_early = pytest.mark.xfail(strict=True, reason="a recv() that blocks, on a socket that did not when it dialled, and is woken without data answers EAGAIN")


def recv_in_background(client):
    """recv(2) itself on a blocking socket: Python's would ask poll() first."""
    answers = []

    def read():
        room = ctypes.create_string_buffer(100)
        size = LIBC.recv(client.fileno(), room, 100, 0)
        answers.append(room.raw[:size] if size >= 0 else errno.errorcode[ctypes.get_errno()])

    client.setblocking(True)
    thread = in_background(read)
    wait_for(lambda: "S" in thread_state(thread), "the reader to wait")
    return thread, answers


def thread_state(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@woken_early
def test_a_reader_that_waits_is_not_disturbed_by_a_writer_that_waits(daemon, far):
    """Two threads of the app: room in TCP's queue wakes both."""
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        reader, answers = recv_in_background(client)
        writer = in_background(lambda: client.sendall(bytes(30 << 20)))
        read_exactly(server, 30 << 20)
        writer.join()
        server.sendall(b"answer")
        reader.join(10)
        assert answers == [b"answer"]


@woken_early
def test_a_reader_that_waits_is_told_of_a_reset(daemon, far):
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        reader, answers = recv_in_background(client)
        reset(server)
        reader.join(10)
        assert answers == ["ECONNRESET"]


@pytest.mark.parametrize("ends_by", ("bytes", "end", "signal"))
def test_a_reader_that_waits_is_told_what_comes(daemon, far, ends_by):
    mesh = daemon([FAR], ON)
    with ends(mesh, "far", far) as (client, server):
        reader, answers = recv_in_background(client)
        if ends_by == "signal":  # without a handler that would end it
            signal.pthread_kill(reader.ident, signal.SIGWINCH)
        if ends_by == "end":
            server.shutdown(socket.SHUT_WR)
        else:
            server.sendall(b"answer")
        reader.join(10)
        assert answers == [b"" if ends_by == "end" else b"answer"]


# ---- namespaces ----


def peers_of(pod):
    """{local port: the port that this socket is really connected to} of connections over 127.0.0.1."""
    lines = [line.split()[1:4] for line in pod.run(["cat", "/proc/net/tcp"]).stdout.splitlines()[1:]]
    pairs = [(local.split(":"), remote.split(":")) for local, remote, status in lines if status == "01"]
    return {int(local[1], 16): int(remote[1], 16) for local, remote in pairs if local[0] == "0100007F"}


def test_the_same_four_addresses_in_two_namespaces_are_two_connections(daemon, cluster):
    """
    Two pods whose captured sockets have equal addresses and ports on both sides, dialled at once, with
    the handshakes' packets waiting in line on another CPU; also while one of the two is closed early.
    """
    pods = [cluster.pod("twin-a"), cluster.pod("twin-b")]
    steer = "mount -t sysfs sysfs /mnt && echo 3 > /mnt/class/net/lo/queues/rx-0/rps_cpus"
    for pod in pods:  # so few ports that the listeners of both pods get the same
        pod.run(["sh", "-c", f"echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range; {steer}"])
    service = Service("whose", ["server:9500"], port=9500)
    mesh = daemon([service], {**ON, "workers": 1}, clients=("twin-a", "twin-b"), only=("twin-a", "twin-b"))
    for pod in pods:
        pod.run(["sh", "-c", "echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range"])

    def script(connection, _number):
        """Says whose it is, then sends back what comes with that name before each line."""
        whose = connection.read_until(b"\n")
        connection.send(whose + b"\n")
        with contextlib.suppress(AssertionError):
            while True:
                connection.send(whose + b":" + connection.read_until(b"\n") + b"\n")

    def dial_all(ports):
        """[(a's, b's)]: those of one port are dialled at the same time."""
        pairs = [[stack.enter_context(Connection(pod.new_socket())) for pod in pods] for _ in ports]
        for port, pair in zip(ports, pairs):
            for client in pair:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.socket.bind(("127.0.0.1", port))
                client.socket.setblocking(False)
        destination = mesh.address("whose")
        for first, second in pairs:
            first.socket.connect_ex(destination)
            second.socket.connect_ex(destination)
        for pair in pairs:
            for client in pair:
                client.socket.settimeout(10)
                assert select.select([], [client.socket], [], 10)[1]
                assert client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        return pairs

    def is_right(client, pod, number):
        client.send(f"{number}\n")
        return client.read_until(b"\n") == f"{pod.name}:{number}".encode()

    ports = range(50000, 50100)
    with Upstream(cluster.pod("server"), 9500, script), contextlib.ExitStack() as stack:
        pairs = dial_all(ports)
        for number, pod in enumerate(pods):
            for pair in pairs:
                pair[number].send(f"{pod.name}\n")
            for pair in pairs:
                assert pair[number].read_until(b"\n") == pod.name.encode()
        there = [peers_of(pod) for pod in pods]
        twins = [pair for port, pair in zip(ports, pairs) if there[0][port] == there[1][port]]
        assert len(twins) >= 5, "no two sockets had the same addresses"
        for at, pair in enumerate(twins):
            for number in range(5):
                assert all(is_right(client, pod, number) for client, pod in zip(pair, pods))
            assert state(mesh, pair[0].socket) in ("shortcut", "demoted_no_peer")
            pair[at % 2].socket.close()
            assert all(is_right(pair[1 - at % 2], pods[1 - at % 2], number) for number in range(5))
