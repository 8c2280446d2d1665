"""What a program sees of its sockets and bytes: through weft it must be what a direct dial shows."""

import array
import contextlib
import errno
import fcntl
import json
import os
import random
import select
import socket
import struct
import termios
import threading
import time

import pytest

from harness.mesh import Service
from harness.peers import peer
from harness.poll import wait_for
from harness.weftd import is_sanitized

SERVICES = [
    Service("tcp", ["server:9000"], port=9000),
    Service("opaque", ["server:9000"], port=9001, protocol="opaque"),
    Service("tcp6", ["server:9000"], port=9002, family=6),
    Service("bulk", ["server:9010"], port=9010),
    Service("bulk-opaque", ["server:9010"], port=9011, protocol="opaque"),
]
GIB = 1 << 30
SIOCOUTQ = termios.TIOCOUTQ
SO_ZEROCOPY, MSG_ZEROCOPY, MSG_FASTOPEN, TCP_FASTOPEN_CONNECT = 60, 0x4000000, 0x20000000, 30
TUNNELS = ("tcp", "opaque")


@pytest.fixture(scope="module")
def module_listener(cluster):
    def fast_open(server):
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)

    server = cluster.pod("server").listen(9000, family=socket.AF_INET6, before_bind=fast_open)
    yield server
    server.close()


@pytest.fixture
def listener(module_listener):
    """Nothing is queued from an earlier test that failed."""
    module_listener.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            module_listener.accept()[0].close()
    module_listener.settimeout(10)
    return module_listener


@pytest.fixture(scope="module")
def bulk(cluster):
    process = cluster.pod("server").spawn([peer("bulk"), "serve", "9010"])
    cluster.pod("server").wait_port(9010, process)
    yield process
    process.stop()


class Ends:
    """Both ends of one connection from the client pod to the server pod."""

    def __init__(self, mesh, listener, service="tcp", family=4):
        self.client = mesh.dial(service, family)
        self.server, self.seen = listener.accept()
        self.server.settimeout(10)

    def __enter__(self):
        return self.client, self.server

    def __exit__(self, *failure):
        self.client.close()
        self.server.close()


@pytest.fixture(params=TUNNELS)
def ends(request, mesh, listener):
    with mesh.traffic(request.param, captured=1, tunnels=1):
        with Ends(mesh, listener, request.param) as both:
            # a byte each way makes it a tunnel for sure, whatever the test does then
            both[0].sendall(b"\x00")
            assert both[1].recv(1) == b"\x00"
            yield both


def both_ways(ends):
    """The test's body once with the client and once with the server as the first."""
    return [(ends[0], ends[1]), (ends[1], ends[0])]


def read_all(reader):
    pieces = []
    while piece := reader.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def read_exactly(reader, size):
    got = bytearray()
    while len(got) < size:
        piece = reader.recv(size - len(got))
        assert piece, f"ended after {len(got)} of {size} bytes"
        got += piece
    return bytes(got)


def readable_bytes(reader):
    count = array.array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, count)
    return count[0]


def unsent_bytes(sender):
    count = array.array("i", [0])
    fcntl.ioctl(sender, SIOCOUTQ, count)
    return count[0]


def reset(end):
    """Closes with RST."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def in_background(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


# ---- many bytes ----


@pytest.mark.big
@pytest.mark.parametrize(
    "service, up, down",
    (("bulk", GIB, 0), ("bulk", 0, GIB), ("bulk", GIB, GIB), ("bulk-opaque", GIB, GIB)),
    ids=("up", "down", "both", "both-opaque"),
)
def test_a_gibibyte_arrives_unchanged(mesh, bulk, service, up, down):
    before = mesh.weftd.rss_kib() if mesh.is_weft else 0
    with mesh.traffic(service, tunnels=1):
        done = mesh.client.run([peer("bulk"), "dial", mesh.address(service)[0], mesh.port(service), up, down],
                               seconds=200)  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["right"], told["sent"], told["received"]) == (True, up, down)
    if mesh.is_weft and not is_sanitized():
        assert mesh.weftd.rss_kib() - before < 16 * 1024


def test_many_small_writes_arrive_in_order(mesh, ends):
    random.seed(3)
    pieces = [random.randbytes(random.randint(1, 20)) for _ in range(10000)]
    for sender, receiver in both_ways(ends):
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def write(sender=sender):
            for piece in pieces:
                sender.sendall(piece)
            sender.shutdown(socket.SHUT_WR)

        writer = in_background(write)
        assert read_all(receiver) == b"".join(pieces)
        writer.join()


# ---- how connections end ----


def test_half_close_with_data_queued_client_first(mesh, ends):
    client, server = ends
    question, answer = os.urandom(300_000), os.urandom(2_000_000)
    client.sendall(question)
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == question
    writer = in_background(lambda: (server.sendall(answer), server.close()))
    assert read_all(client) == answer
    writer.join()


def test_half_close_with_data_queued_server_first(mesh, ends):
    client, server = ends
    question, answer = os.urandom(2_000_000), os.urandom(300_000)
    server.sendall(answer)
    server.shutdown(socket.SHUT_WR)
    assert read_all(client) == answer
    writer = in_background(lambda: (client.sendall(question), client.close()))
    assert read_all(server) == question
    writer.join()


def test_half_close_of_both_ends_at_once(mesh, ends):
    text = os.urandom(100_000)
    for end in ends:
        end.sendall(text)
        end.shutdown(socket.SHUT_WR)
    for end in ends:
        assert read_all(end) == text


@pytest.mark.parametrize("service", TUNNELS)
def test_half_close_before_any_byte(mesh, listener, service):
    with mesh.traffic(service), Ends(mesh, listener, service) as (client, server):
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        server.sendall(b"late answer")
        server.close()
        assert read_all(client) == b"late answer"


@pytest.mark.parametrize("service", TUNNELS)
@pytest.mark.parametrize("by", ("client", "server"))
def test_fin_comes_after_all_data(mesh, listener, service, by):
    random.seed(5)
    with mesh.traffic(service, captured=20):
        for _ in range(20):
            data = random.randbytes(random.randint(1, 400_000))
            with Ends(mesh, listener, service) as (client, server):
                sender, receiver = (client, server) if by == "client" else (server, client)
                writer = in_background(lambda s=sender, d=data: (s.sendall(d), s.close()))
                assert read_all(receiver) == data
                writer.join()


@pytest.mark.parametrize("by", ("client", "server"))
def test_a_reset_is_seen_as_a_reset_after_the_data(mesh, ends, by):
    sender, receiver = ends if by == "client" else reversed(ends)
    sender.sendall(b"x" * 10_000)
    wait_for(lambda: readable_bytes(receiver) == 10_000, "the data to arrive")
    reset(sender)
    read_exactly(receiver, 10_000)
    with pytest.raises(ConnectionResetError):
        receiver.recv(1)


@pytest.mark.parametrize("by", ("client", "server"))
def test_close_with_unread_data_is_seen_as_a_reset(mesh, ends, by):
    closer, other = ends if by == "client" else reversed(ends)
    other.sendall(b"never read")
    wait_for(lambda: readable_bytes(closer) == 10, "the data to arrive")
    closer.close()
    with pytest.raises(ConnectionResetError):
        other.recv(1)


@pytest.mark.parametrize("service", TUNNELS)
def test_a_reset_before_any_byte_is_seen_as_a_reset(mesh, listener, service):
    with mesh.traffic(service), Ends(mesh, listener, service) as (client, server):
        reset(client)
        with pytest.raises(ConnectionResetError):
            server.recv(1)


@pytest.mark.parametrize("service", TUNNELS)
def test_closing_while_data_is_in_flight_leaves_nothing(mesh, listener, service):
    """Both ends write and close at random moments; each sees an end, and weftd forgets them all."""
    random.seed(7)
    with mesh.traffic(service, captured=40):
        for _ in range(40):
            with Ends(mesh, listener, service) as both:
                threads = []
                for end in both:
                    size, wait = random.randint(1, 300_000), random.random() / 100

                    def write_and_close(end=end, size=size, wait=wait):
                        end.settimeout(5)
                        try:
                            end.sendall(bytes(size))
                            time.sleep(wait)
                        except OSError:
                            pass
                        end.close()

                    threads.append(in_background(write_and_close))
                for thread in threads:
                    thread.join(8)
                    assert not thread.is_alive()
    if mesh.is_weft:
        wait_for(lambda: mesh.weftd.metrics().sum("weft_worker_sessions") == 0, "all sessions to end")


# ---- what a socket can be asked ----


def test_peek_leaves_the_bytes(mesh, ends):
    for sender, receiver in both_ways(ends):
        sender.sendall(b"peek at me")
        wait_for(lambda r=receiver: readable_bytes(r) == 10, "the bytes")
        assert receiver.recv(4, socket.MSG_PEEK) == b"peek"
        assert receiver.recv(100, socket.MSG_PEEK) == b"peek at me"
        assert receiver.recv(100) == b"peek at me"


def test_rcvlowat_holds_readiness_back(mesh, ends):
    for sender, receiver in both_ways(ends):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
        sender.sendall(b"a" * 500)
        wait_for(lambda r=receiver: readable_bytes(r) == 500, "half of it")
        assert select.select([receiver], [], [], 0.05)[0] == []
        sender.sendall(b"b" * 500)
        assert select.select([receiver], [], [], 5)[0] == [receiver]
        assert receiver.recv(2000) == b"a" * 500 + b"b" * 500
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def test_fionread_and_siocoutq_count_bytes(mesh, ends):
    for sender, receiver in both_ways(ends):
        assert readable_bytes(receiver) == 0
        sender.sendall(b"x" * 12345)
        wait_for(lambda r=receiver: readable_bytes(r) == 12345, "FIONREAD")
        wait_for(lambda s=sender: unsent_bytes(s) == 0, "SIOCOUTQ to reach 0")
        read_exactly(receiver, 12345)
        sender.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                sender.send(bytes(1 << 20))
        assert unsent_bytes(sender) > 0
        receiver.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while receiver.recv(1 << 20):
                pass
        assert unsent_bytes(sender) == 0
        for end in (sender, receiver):
            end.settimeout(10)


def test_urgent_data_is_not_lost(mesh, ends):
    """Direct: out of band. Through a proxy: in its place in the stream, as RFC 6093 advises."""
    for sender, receiver in both_ways(ends):
        sender.sendall(b"abc")
        sender.send(b"!", socket.MSG_OOB)
        sender.sendall(b"def")
        if not mesh.is_weft:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        assert read_exactly(receiver, 7) == b"abc!def"


# ---- other ways to move bytes ----


def test_sendfile_sends_the_file(mesh, ends, tmp_path):
    content = os.urandom(8_000_000)
    (tmp_path / "file").write_bytes(content)
    for sender, receiver in both_ways(ends):

        def send(sender=sender):
            with open(tmp_path / "file", "rb") as file:
                sender.sendfile(file)
            sender.shutdown(socket.SHUT_WR)

        writer = in_background(send)
        assert read_all(receiver) == content
        writer.join()


@pytest.mark.parametrize("blocking", (True, False))
def test_splice_moves_bytes_on_both_ends(mesh, ends, blocking):
    """file -> pipe -> socket … socket -> pipe -> memory."""
    content = os.urandom(3_000_000)
    flags = 0 if blocking else 2  # SPLICE_F_NONBLOCK
    for sender, receiver in both_ways(ends):
        for end in (sender, receiver):
            end.setblocking(blocking)

        def send(sender=sender):
            source, sink = os.pipe()
            done = 0
            while done < len(content):
                queued = os.write(sink, content[done : done + 65536])
                done += queued
                while queued:
                    if not blocking:
                        select.select([], [sender], [], 10)
                    try:
                        queued -= os.splice(source, sender.fileno(), queued, flags=flags)
                    except BlockingIOError:
                        continue
            os.close(source)
            os.close(sink)
            sender.shutdown(socket.SHUT_WR)

        writer = in_background(send)
        source, sink = os.pipe()
        got = bytearray()
        while True:
            if not blocking:
                assert select.select([receiver], [], [], 10)[0], "no byte came"
            try:
                moved = os.splice(receiver.fileno(), sink, 65536, flags=flags)
            except BlockingIOError:
                continue
            if not moved:
                break
            got += os.read(source, moved)
        writer.join()
        os.close(source)
        os.close(sink)
        assert bytes(got) == content


def test_zerocopy_sends_complete(mesh, ends):
    sends, size = 16, 60_000
    for sender, receiver in both_ways(ends):
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        content = os.urandom(size)
        got = []
        reader = in_background(lambda r=receiver, g=got: g.append(read_exactly(r, sends * size)))
        calls = 0
        for _ in range(sends):
            sent = 0
            while sent < size:
                sent += sender.send(content[sent:], MSG_ZEROCOPY)
                calls += 1
        reader.join(10)
        assert got and (got[0] == content * sends)  # noqa: the text would be long
        completed = set()

        def completions(sender=sender, completed=completed, calls=calls):
            try:
                _, ancillary, _, _ = sender.recvmsg(1, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return len(completed) == calls
            # struct sock_extended_err: errno, origin (5 = zero copy), type, code, pad, info (from), data (to)
            number, origin, _, _, _, first, last = struct.unpack_from("IBBBBII", ancillary[0][2])
            assert (number, origin) == (0, 5)
            completed.update(range(first, last + 1))
            return len(completed) == calls

        wait_for(completions, "all completions")
        assert completed == set(range(calls))


# ---- back-pressure ----


@pytest.mark.parametrize("service", TUNNELS)
@pytest.mark.parametrize("reader", ("client", "server"))
def test_a_peer_that_never_reads_stops_its_sender(mesh, listener, service, reader):
    before = mesh.weftd.rss_kib() if mesh.is_weft else 0
    connections = [Ends(mesh, listener, service) for _ in range(6)]
    accepted = []
    try:
        for ends in connections:
            ends.client.sendall(b"\x01")
            assert ends.server.recv(1) == b"\x01"
            sender = ends.server if reader == "client" else ends.client
            sender.settimeout(0.3)
            total = 0
            try:
                while total < 200 << 20:
                    total += sender.send(bytes(1 << 16))
            except TimeoutError:
                pass
            accepted.append(total)
        assert max(accepted) < 64 << 20, accepted
        if mesh.is_weft and not is_sanitized():
            assert mesh.weftd.rss_kib() - before < 8 * 1024
        # and once it reads, everything is there
        ends = connections[0]
        sender, slow = (ends.server, ends.client) if reader == "client" else (ends.client, ends.server)
        sender.close()
        assert len(read_all(slow)) == accepted[0]
    finally:
        for ends in connections:
            ends.__exit__()


# ---- names of the ends ----


def test_ends_of_an_ipv4_connection(mesh, listener):
    with mesh.traffic("tcp"), Ends(mesh, listener) as (client, server):
        address, port = mesh.address("tcp")
        assert client.getpeername() == (address, port)
        local, local_port = client.getsockname()
        assert local == mesh.client.address
        assert local_port > 0
        assert server.getpeername()[0] == f"::ffff:{mesh.client.address}"
        assert server.getsockname()[:2] == (f"::ffff:{mesh.pod('server').address}", 9000)


@pytest.mark.parametrize("service", ("tcp", "tcp6"))
def test_ends_of_an_ipv6_connection(mesh, listener, service):
    with mesh.traffic(service):
        ends = Ends(mesh, listener, service, family=6)
        with ends as (client, server):
            address, port = mesh.address(service, 6)
            assert client.getpeername()[:2] == (address, port)
            assert client.getsockname()[0] == mesh.client.address6
            # weft dials the endpoint with the endpoint's family
            over_ipv6 = service == "tcp6" or not mesh.is_weft
            seen = mesh.client.address6 if over_ipv6 else f"::ffff:{mesh.client.address}"
            assert ends.seen[0] == server.getpeername()[0] == seen


def test_ends_of_a_v4_mapped_connection(mesh, listener):
    """An IPv6 socket that dials an IPv4 address, as Java does."""
    address, port = mesh.address("tcp")
    with mesh.traffic("tcp"), mesh.client.new_socket(socket.AF_INET6) as client:
        client.settimeout(10)
        client.connect((f"::ffff:{address}", port))
        server, _ = listener.accept()
        with server:
            assert client.getpeername()[:2] == (f"::ffff:{address}", port)
            assert client.getsockname()[0] == f"::ffff:{mesh.client.address}"
            assert server.getpeername()[0] == f"::ffff:{mesh.client.address}"
            client.sendall(b"mapped")
            assert server.recv(100) == b"mapped"


def test_a_bound_source_port_is_kept(mesh, listener):
    port = mesh.client.free_port()
    with mesh.traffic("tcp"), mesh.client.new_socket() as client:
        client.settimeout(10)
        client.bind(("0.0.0.0", port))
        client.connect(mesh.address("tcp"))
        server, _ = listener.accept()
        server.close()
        assert client.getsockname() == (mesh.client.address, port)


# ---- ways to dial ----


def test_non_blocking_connect(mesh, listener):
    with mesh.traffic("tcp"), mesh.client.new_socket() as client:
        client.setblocking(False)
        assert client.connect_ex(mesh.address("tcp")) in (0, errno.EINPROGRESS)
        assert select.select([], [client], [], 5)[1] == [client]
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        server, _ = listener.accept()
        with server:
            client.send(b"hello")
            assert server.recv(10) == b"hello"


def test_connect_by_io_uring(mesh, listener):
    def answer():
        server, _ = listener.accept()
        with server:
            server.sendall(server.recv(100)[::-1])

    address, port = mesh.address("tcp")
    with mesh.traffic("tcp"):
        thread = in_background(answer)
        told = json.loads(mesh.client.run([peer("uring_dial"), address, port, "abc"]).stdout)
        thread.join(5)
    assert told == {"peer": f"{address} {port}", "local": mesh.client.address, "answer": "cba"}


@pytest.mark.parametrize("service", TUNNELS)
def test_fast_open_by_sendto(mesh, listener, service):
    with mesh.traffic(service, captured=3):
        for number in range(3):
            with mesh.client.new_socket() as client:  # blocking, or it would say EINPROGRESS
                assert client.sendto(b"first bytes", MSG_FASTOPEN, mesh.address(service)) == 11
                server, _ = listener.accept()
                with server:
                    server.settimeout(5)
                    client.sendall(b" and more")
                    assert read_exactly(server, 20) == b"first bytes and more", number
                    server.sendall(b"answer")
                assert read_all(client) == b"answer"


def test_fast_open_by_connect(mesh, listener):
    with mesh.traffic("tcp", captured=3):
        for _ in range(3):
            with mesh.client.new_socket() as client:
                client.settimeout(10)
                client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
                client.connect(mesh.address("tcp"))
                client.sendall(b"hello")
                server, _ = listener.accept()
                with server:
                    assert read_exactly(server, 5) == b"hello"


def test_udp_is_untouched(mesh):
    server = mesh.pod("server").new_socket(kind=socket.SOCK_DGRAM)
    server.bind((mesh.pod("server").address, 9000))
    server.settimeout(5)
    with server, mesh.client.new_socket(kind=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((mesh.pod("server").address, 9000))
        client.send(b"datagram")
        heard, sender = server.recvfrom(100)
        assert (heard, sender[0]) == (b"datagram", mesh.client.address)
        server.sendto(b"answer", sender)
        assert client.recv(100) == b"answer"
        assert client.getpeername() == (mesh.pod("server").address, 9000)
